package proxy

import "net/netip"

// MaxBytes is the length of the longest header that Parse accepts. A buffer of
// that size always gets a decision.
const MaxBytes = headBytes + maxBlockBytes

// Header is what a proxy says of the connection it passes on.
type Header struct {
	// Source is the client, Destination what the client connected to. Both are
	// valid or both are zero. Zero stands for "use the real connection's
	// parameters": the proxy said UNKNOWN, UNSPEC or LOCAL, or the connection
	// is not TCP. An IPv4 address written as IPv6 (::ffff:192.0.2.1) comes out
	// as the IPv4 address: HAProxy sends it so when only one of the two
	// is IPv4, and one client must not have two addresses.
	Source, Destination netip.AddrPort
	// Local is a connection that the proxy made for itself, such as a health
	// check. Only version 2 can say so.
	Local bool
	// Version of the protocol, 1 or 2.
	Version int
}

// Parse reads a header from the beginning of b, which may be followed by
// anything. It returns the header and the n bytes that it takes; what follows
// belongs to the connection that is passed on. b is neither kept nor changed.
//
// The error is io.ErrUnexpectedEOF when b is the beginning of a header: call it
// again with all of b and more. Any other error is an *Error, and more bytes
// do not change that: "It is recommended to abort the connection as soon as
// possible". So it comes with the first byte that is wrong. With any error the
// header is zero and n is 0.
func Parse(b []byte) (h Header, n int, err error) {
	// The signature of version 2 begins with CR, that of version 1 with P.
	if len(b) > 0 && b[0] == signature[0] {
		return parseBinary(b)
	}
	return parseText(b)
}
