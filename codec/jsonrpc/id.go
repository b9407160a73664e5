package jsonrpc

import "bytes"

// SameID reports whether a and b, ids as raw JSON, are the same id: a string can
// be spelled with escapes or without.
func SameID(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return len(a) > 0
	}
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return false
	}
	x, ok := Unquote(a)
	if !ok {
		return false
	}
	y, ok := Unquote(b)
	return ok && x == y
}
