package proxy

import "io"

// cursor reads b from the left. The first error stays and what is read after it
// is zero, so that a header can be read field by field and judged once. Because
// nothing looks ahead, a header is refused by the same byte however it arrives.
type cursor struct {
	err error
	b   []byte
	n   int // bytes read; it may be beyond b, then reading wants more
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *cursor) peek() byte {
	if c.n >= len(c.b) {
		c.fail(io.ErrUnexpectedEOF)
	}
	if c.err != nil {
		return 0
	}
	return c.b[c.n]
}

func (c *cursor) next() byte {
	v := c.peek()
	c.n++
	return v
}

// want reads text, or fails with bad.
func (c *cursor) want(text string, bad *Error) {
	for i := range len(text) {
		if c.next() != text[i] {
			c.fail(bad)
			return
		}
	}
}

// length reads 16 bits "in network endian order". More than most is refused,
// by the first byte if that says so already.
func (c *cursor) length(most int, bad *Error) int {
	v := int(c.next()) << 8
	if v <= most {
		v |= int(c.next())
	}
	if v > most {
		c.fail(bad)
	}
	if c.err != nil {
		return 0
	}
	return v
}
