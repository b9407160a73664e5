package jsonrpc

import "bytes"

// Repeated is an object that a peer sends with every message, such as the _meta
// of MCP 2026-07-28. Once it was checked, ParseRepeated compares its bytes
// instead of scanning them again. It is immutable and for any goroutine; nil
// stands for no such object.
type Repeated struct {
	text        []byte
	depth, keys int // what it takes of Limits
}

// NewRepeated returns the Repeated for obj, the text of one JSON object without
// white space around it, which is copied. It returns nil when obj is anything
// else, breaks a default limit, or has a name twice.
func NewRepeated(obj []byte) *Repeated {
	if len(obj) == 0 || obj[0] != '{' || Validate(obj, nil) != nil || obj[len(obj)-1] != '}' {
		return nil
	}
	r := &Repeated{text: bytes.Clone(obj)}
	r.depth, r.keys = measure(r.text)
	return r
}

// measure returns how deep an object is nested, itself included, and how many
// members it and what is in it have.
func measure(value []byte) (depth, keys int) {
	inner := 0
	switch {
	case len(value) > 0 && value[0] == '{':
		for _, v := range Members(value) {
			d, k := measure(v)
			inner, keys = max(inner, d), keys+k+1
		}
	case len(value) > 0 && value[0] == '[':
		for v := range Elements(value) {
			d, k := measure(v)
			inner, keys = max(inner, d), keys+k
		}
	default:
		return 0, 0
	}
	return inner + 1, keys
}

// Text is the text of the object, which must not be changed.
func (r *Repeated) Text() []byte { return r.text }

// starts reports whether b starts with the object. What follows it there does
// not matter: an object ends with its last brace.
func (r *Repeated) starts(b []byte) bool {
	return r != nil && bytes.HasPrefix(b, r.text)
}

// repeated skips the Repeated if it stands at i, where an object does, and the
// limits leave room for it.
func (s *scanner) repeated(i int) (end int, ok bool) {
	r := s.known
	if !r.starts(s.b[i:]) || s.depth < r.depth || s.keys < r.keys {
		return i, false
	}
	s.keys -= r.keys
	return i + len(r.text), true
}
