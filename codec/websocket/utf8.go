package websocket

import "unicode/utf8"

// textCheck validates the UTF-8 of a message that arrives in pieces. It fails
// at the first byte that no continuation can make valid. The zero value is
// ready.
type textCheck struct {
	tail [utf8.UTFMax]byte // the start of a rune that a piece was cut in
	n    int
}

// write reports whether the message can still be valid after p.
func (c *textCheck) write(p []byte) bool {
	for c.n > 0 && len(p) > 0 {
		c.tail[c.n], p = p[0], p[1:]
		c.n++
		// FullRune is true for bytes that cannot begin a rune, too.
		if r := c.tail[:c.n]; utf8.FullRune(r) {
			if !utf8.Valid(r) {
				return false
			}
			c.n = 0
		}
	}
	end := len(p) - cutRune(p)
	if !utf8.Valid(p[:end]) {
		return false
	}
	c.n += copy(c.tail[c.n:], p[end:])
	return true
}

// complete reports whether the message does not end inside a rune.
func (c *textCheck) complete() bool { return c.n == 0 }

// cutRune returns how many bytes at the end of p are the valid start of a rune
// that goes on after p: 0 to 3.
func cutRune(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if !utf8.RuneStart(p[len(p)-n]) {
			continue
		}
		if utf8.FullRune(p[len(p)-n:]) {
			return 0
		}
		return n
	}
	return 0
}
