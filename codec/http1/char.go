package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of a byte.
const (
	charToken  = 1 << iota // tchar, RFC 9110 section 5.6.2
	charTarget             // may stand in a request target: visible ASCII but '#', which starts a fragment
	charHost               // may stand in a reg-name here: RFC 3986 unreserved, without pct-encoded and sub-delims
	charHex                // HEXDIG of either case
	charDigit
)

var charClass = func() (t [256]uint8) {
	for c := byte('!'); c <= '~'; c++ {
		if c != '#' {
			t[c] |= charTarget
		}
	}
	mark := func(set string, class uint8) {
		for i := range len(set) {
			t[set[i]] |= class
		}
	}
	for c := range byte(26) {
		t['a'+c] |= charToken | charHost
		t['A'+c] |= charToken | charHost
	}
	mark("0123456789", charToken|charHost|charHex|charDigit)
	mark("!#$%&'*+-.^_`|~", charToken)
	mark("-._~", charHost)
	mark("abcdefABCDEF", charHex)
	return t
}()

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
)

// valueEnd returns the offset at or behind i of the first byte that may not
// stand in a field value, or len(b). RFC 9110 section 5.5 allows VCHAR,
// obs-text, SP and HTAB.
func valueEnd(b []byte, i int) int {
	for {
		i = nextControl(b, i)
		if i == len(b) || b[i] != '\t' {
			return i
		}
		i++
	}
}

// nextControl returns the offset at or behind i of the first control character
// (0x00-0x1f, 0x7f), or len(b). It looks at eight bytes at a time: a borrow can
// only raise a false mark above a true one, so the lowest mark is exact.
func nextControl(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*everyByte
		mark := ((x - 0x20*everyByte) &^ x) | ((del - everyByte) &^ del)
		if mark &= highBits; mark != 0 {
			return i + bits.TrailingZeros64(mark)>>3
		}
	}
	for ; i < len(b); i++ {
		if b[i] < 0x20 || b[i] == 0x7f {
			return i
		}
	}
	return i
}

// lower maps A-Z to a-z and leaves every other byte alone.
func lower(c byte) byte {
	if c-'A' < 26 {
		return c | 0x20
	}
	return c
}

// equalFold reports whether a and b are equal but for the case of ASCII letters.
func equalFold[A, B []byte | string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// trim cuts optional white space (SP, HTAB) from both ends of b.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
