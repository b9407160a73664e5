package websocket

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Close codes that a server sends. Codes up to 1011 are those of RFC 6455
// section 7.4.1, 1013 is in the IANA registry, 4401 is private.
const (
	CloseNormal       = uint16(ws.StatusNormalClosure)           // 1000
	CloseGoingAway    = uint16(ws.StatusGoingAway)               // 1001: the server shuts down
	CloseProtocol     = uint16(ws.StatusProtocolError)           // 1002
	CloseUnsupported  = uint16(ws.StatusUnsupportedData)         // 1003: a binary message
	CloseInvalidUTF8  = uint16(ws.StatusInvalidFramePayloadData) // 1007
	ClosePolicy       = uint16(ws.StatusPolicyViolation)         // 1008: a limit on behaviour
	CloseTooBig       = uint16(ws.StatusMessageTooBig)           // 1009
	CloseInternal     = uint16(ws.StatusInternalServerError)     // 1011
	CloseTryAgain     = uint16(1013)                             // overload, or a reader that is too slow
	CloseUnauthorized = uint16(4401)                             // not, or no longer, authorized
)

// closeNone stands for a Close frame without a code. RFC 6455 section 7.1.5:
// "If this Close control frame contains no status code, The WebSocket
// Connection Close Code is considered to be 1005."
const closeNone = uint16(ws.StatusNoStatusRcvd)

// lastRegistered is the highest code below 1015 in the IANA registry of close
// codes: 1012 (service restart), 1013 (try again later), 1014 (bad gateway)
// were registered after RFC 6455 and are in use.
const lastRegistered = 1014

// CloseError is a violation by the peer. Answer it with a Close frame that
// carries Code and Reason (AppendClose), then close the connection.
type CloseError struct {
	Code   uint16 // one of the Close constants
	Reason string // short, safe to send to the peer
}

// Error returns the code and the reason.
func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: close %d: %s", e.Code, e.Reason)
}

// sendable reports whether code may stand in a Close frame.
// RFC 6455 section 7.4.2: "Status codes in the range 0-999 are not used",
// 1000-2999 belong to the protocol and its registered extensions, 3000-3999
// and 4000-4999 to libraries and private use. Section 7.4.1 says of 1005, 1006
// and 1015 that they "MUST NOT be set as a status code in a Close control
// frame by an endpoint"; 1004 is reserved.
func sendable(code uint16) bool {
	c := ws.StatusCode(code)
	if c == ws.StatusNoMeaningYet || c.IsProtocolReserved() {
		return false
	}
	return c >= ws.StatusNormalClosure && c <= lastRegistered ||
		c.IsApplicationSpec() || c.IsPrivateSpec()
}

// parseClose checks the payload of a Close frame (RFC 6455 section 5.5.1).
// The reason is a view of p.
func parseClose(p []byte) (code uint16, reason []byte, err *CloseError) {
	if len(p) == 0 {
		return closeNone, nil, nil
	}
	// "If there is a body, the first two bytes of the body MUST be a 2-byte
	// unsigned integer".
	if len(p) < 2 {
		return 0, nil, &CloseError{CloseProtocol, "close frame of one byte"}
	}
	code, reason = binary.BigEndian.Uint16(p), p[2:]
	if !sendable(code) {
		return 0, nil, &CloseError{CloseProtocol, "invalid close code"}
	}
	if !utf8.Valid(reason) {
		return 0, nil, &CloseError{CloseInvalidUTF8, "invalid UTF-8 in close reason"}
	}
	return code, reason, nil
}

// AppendClose appends a Close frame to dst. The reason is cut to 123 bytes,
// the most that fits beside the code, at the border of a rune; invalid UTF-8
// in it becomes U+FFFD. A code that must not be on the wire (1005 and the like)
// gives a frame without payload.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	if !sendable(code) {
		return AppendHeader(dst, ws.OpClose, true, 0)
	}
	reason = cutReason(reason)
	dst = AppendHeader(dst, ws.OpClose, true, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, code)
	return append(dst, reason...)
}

// cutReason makes s valid UTF-8 of at most 123 bytes.
func cutReason(s string) string {
	const most = ws.MaxControlFramePayloadSize - 2
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
