package proxy

// Error is a header that is refused. There is no answer to it in the protocol;
// the caller closes the connection: "Any sequence which does not exactly match
// the protocol must be discarded and cause the receiver to abort the
// connection." The values returned by this package are shared and must not be
// changed.
type Error struct {
	Reason string // what was wrong; fixed text, never bytes of the peer
}

// Error returns the reason behind the name of the package.
func (e *Error) Error() string { return "proxy: " + e.Reason }

// The errors are values made once, so that refusing garbage costs no memory.
var (
	errSignature = &Error{"not a PROXY header"}

	errProtocol   = &Error{"protocol is not TCP4, TCP6 or UNKNOWN"}
	errAddress4   = &Error{"malformed IPv4 address"}
	errAddress6   = &Error{"malformed IPv6 address"}
	errPort       = &Error{"malformed port"}
	errLineEnd    = &Error{"line does not end with CRLF"}
	errLineLength = &Error{"line longer than 107 bytes"}

	errVersion          = &Error{"version is not 2"}
	errCommand          = &Error{"unknown command"}
	errFamily           = &Error{"unknown address family"}
	errTransport        = &Error{"unknown transport protocol"}
	errBlockLength      = &Error{"block longer than 4096 bytes"}
	errBlockShort       = &Error{"block shorter than its addresses"}
	errVector           = &Error{"vector does not fit the block"}
	errChecksumLength   = &Error{"checksum is not 4 bytes long"}
	errChecksumRepeated = &Error{"repeated checksum"}
	errChecksum         = &Error{"wrong checksum"}
)
