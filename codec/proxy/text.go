package proxy

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/netip"
)

// maxLineBytes is what the longest line of version 1 takes: "If the CRLF
// sequence is not found in the first 107 characters, the receiver should
// declare the line invalid."
const maxLineBytes = 107

var crlf = []byte("\r\n")

// parseText reads a header of version 1, section 2.1 of the specification.
func parseText(b []byte) (h Header, n int, err error) {
	c := cursor{b: b[:min(len(b), maxLineBytes)]}
	h = c.line()
	switch {
	case errors.Is(c.err, io.ErrUnexpectedEOF) && !canEnd(c.b):
		return Header{}, 0, errLineLength
	case c.err != nil:
		return Header{}, 0, c.err
	}
	return h, c.n, nil
}

// canEnd reports whether a line that begins with b can still have its CRLF
// within the limit.
func canEnd(b []byte) bool {
	if bytes.HasSuffix(b, crlf[:1]) {
		return len(b) < maxLineBytes
	}
	return len(b) < maxLineBytes-1
}

// line reads the line with its CRLF. The specification wants the addresses
// decoded when the line is whole, "to ensure they are complete"; the byte
// behind each field ensures that here, and a wrong one is refused at once.
func (c *cursor) line() (h Header) {
	h.Version = 1
	c.want("PROXY ", errSignature)
	if c.peek() == 'U' {
		c.unknown()
		return h
	}
	c.want("TCP", errProtocol)
	family := c.next()
	if family != '4' && family != '6' {
		c.fail(errProtocol)
	}
	c.want(" ", errProtocol)
	source := c.address(family)
	destination := c.address(family)
	port := c.number(math.MaxUint16, errPort)
	c.want(" ", errPort)
	h.Source = netip.AddrPortFrom(source, uint16(port))
	port = c.number(math.MaxUint16, errPort)
	h.Destination = netip.AddrPortFrom(destination, uint16(port))
	// "The receiver must not tolerate a single CR or LF character to end the
	// line".
	c.want("\r\n", errLineEnd)
	return h
}

// unknown reads from UNKNOWN to the CRLF: "the rest of the line before the CRLF
// may be omitted by the sender, and the receiver must ignore anything presented
// before the CRLF is found". A CR or an LF alone is part of that anything. The
// rest begins with a space, or UNKNOWN would not be the word.
func (c *cursor) unknown() {
	c.want("UNKNOWN", errProtocol)
	switch c.peek() {
	case '\r':
		c.want("\r\n", errLineEnd)
	case ' ':
		end := bytes.Index(c.b[c.n:], crlf)
		if end < 0 {
			c.fail(io.ErrUnexpectedEOF)
			return
		}
		c.n += end + len(crlf)
	default:
		c.fail(errProtocol)
	}
}
