package http1

import "math"

// Defaults of Limits.
const (
	DefaultHeadBytes   = 16 << 10
	DefaultFields      = 64
	DefaultTargetBytes = 4 << 10
	DefaultBodyBytes   = 4 << 20
)

// Limits bounds one request. A field that is zero or less, and every field of a
// nil *Limits, stands for its default. A value equal to its limit passes.
type Limits struct {
	HeadBytes   int   // request line, fields and the empty line; default 16 KiB; beyond it 431
	Fields      int   // header field lines; default 64, at most 65534; beyond it 431
	TargetBytes int   // request target; default 4 KiB; beyond it 414
	BodyBytes   int64 // body after decoding; default 4 MiB; beyond it 413, before any of it is buffered
}

func (l *Limits) headBytes() int {
	if l == nil || l.HeadBytes <= 0 {
		return DefaultHeadBytes
	}
	return min(l.HeadBytes, math.MaxInt32) // spans are 32 bits wide
}

func (l *Limits) fields() int {
	if l == nil || l.Fields <= 0 {
		return DefaultFields
	}
	return min(l.Fields, math.MaxUint16-1) // slots are 16 bits wide, 0 is "absent"
}

func (l *Limits) targetBytes() int {
	if l == nil || l.TargetBytes <= 0 {
		return DefaultTargetBytes
	}
	return min(l.TargetBytes, math.MaxInt32)
}

func (l *Limits) bodyBytes() int64 {
	if l == nil || l.BodyBytes <= 0 {
		return DefaultBodyBytes
	}
	return l.BodyBytes
}
