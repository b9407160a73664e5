package jsonrpc

// Defaults of Limits.
const (
	DefaultDepth   = 64
	DefaultKeys    = 10_000
	DefaultIDBytes = 256
	DefaultBatch   = 64
)

// maxDepth bounds Limits.Depth: the scanner recurses once per level, and a Go
// stack that outgrows its limit ends the process.
const maxDepth = 10_000

// Limits bounds what one message may cost. A nil *Limits and every field that
// is zero or negative mean the default.
type Limits struct {
	// Depth is how deep objects and arrays may nest, the outermost being 1.
	// At most 10,000; default 64.
	Depth int
	// Keys is how many object members one message may have, at all levels
	// together. Default 10,000.
	Keys int
	// IDBytes is the longest id in bytes as sent, without the quotes of a
	// string. Default 256.
	IDBytes int
	// Batch is how many messages one batch may hold. Default 64.
	Batch int
}

func (l *Limits) orDefault() Limits {
	var r Limits
	if l != nil {
		r = *l
	}
	if r.Depth <= 0 {
		r.Depth = DefaultDepth
	}
	if r.Depth > maxDepth {
		r.Depth = maxDepth
	}
	if r.Keys <= 0 {
		r.Keys = DefaultKeys
	}
	if r.IDBytes <= 0 {
		r.IDBytes = DefaultIDBytes
	}
	if r.Batch <= 0 {
		r.Batch = DefaultBatch
	}
	return r
}
