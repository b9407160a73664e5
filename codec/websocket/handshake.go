package websocket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"iter"
)

// keyGUID is appended to the client's key before it is hashed (RFC 6455
// section 1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	keySize    = 24 // base64 of the nonce
	nonceBytes = 16
)

var comma = []byte{','}

// Upgrade holds what the opening handshake is judged by: parts of an HTTP
// request, each field value without leading and trailing white space. When the
// request has several Upgrade or Connection lines, join their values with a
// comma. Nothing is kept.
type Upgrade struct {
	Method     []byte
	HTTP11     bool // the request is HTTP/1.1
	Host       []byte
	Upgrade    []byte
	Connection []byte
	Version    []byte // Sec-WebSocket-Version
	Key        []byte // Sec-WebSocket-Key
}

// HandshakeError is a handshake that must be answered with an HTTP error.
// Status 426 wants the fields "Upgrade: websocket", "Connection: Upgrade" and
// "Sec-WebSocket-Version: 13" in the answer; status 405 wants "Allow: GET".
type HandshakeError struct {
	Status int    // 400, 405 or 426
	Reason string // short, safe to send to the peer
}

// Error returns the status and the reason.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("websocket: handshake refused with %d: %s", e.Status, e.Reason)
}

// CheckUpgrade applies RFC 6455 section 4.2.1 to u and returns nil when the
// connection may be switched. Origin and authorization are not its business.
func CheckUpgrade(u *Upgrade) *HandshakeError {
	switch {
	case string(u.Method) != "GET":
		return &HandshakeError{405, "method is not GET"}
	case !u.HTTP11:
		return &HandshakeError{400, "not HTTP/1.1"}
	case len(u.Host) == 0:
		return &HandshakeError{400, "no Host"}
	case !hasToken(u.Upgrade, "websocket"):
		return &HandshakeError{400, "Upgrade is not websocket"}
	case !hasToken(u.Connection, "upgrade"):
		return &HandshakeError{400, "Connection has no upgrade token"}
	// Section 4.2.2, item 4: a server that does not speak the version answers
	// with "an appropriate HTTP error code (such as 426 Upgrade Required)" and
	// says in Sec-WebSocket-Version what it speaks.
	case string(u.Version) != "13":
		return &HandshakeError{426, "Sec-WebSocket-Version is not 13"}
	case !validKey(u.Key):
		return &HandshakeError{400, "Sec-WebSocket-Key is not base64 of 16 bytes"}
	}
	return nil
}

// hasToken reports whether the comma-separated list has the token, which is
// given in lower case; both fields it serves are case-insensitive.
func hasToken(list []byte, token string) bool {
	for t := range Protocols(list) {
		if len(t) == len(token) && equalFold(t, token) {
			return true
		}
	}
	return false
}

// equalFold compares b with the lower-case ASCII string s of the same length.
// bytes.EqualFold would let U+212A (Kelvin sign) pass for k.
func equalFold(b []byte, s string) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// validKey reports whether key is "a base64-encoded value that, when decoded,
// is 16 bytes in length" (RFC 6455 section 4.2.1, item 5).
func validKey(key []byte) bool {
	if len(key) != keySize {
		return false
	}
	var nonce [keySize / 4 * 3]byte
	n, err := base64.StdEncoding.Decode(nonce[:], key)
	return err == nil && n == nonceBytes
}

// AppendAccept appends the value of Sec-WebSocket-Accept that answers key:
// base64(sha1(key + GUID)), RFC 6455 section 4.2.2, item 5.4.
func AppendAccept(dst, key []byte) []byte {
	var buf [keySize + len(keyGUID)]byte
	sum := sha1.Sum(append(append(buf[:0], key...), keyGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendSwitching appends the whole 101 response to dst. The protocol must be
// one that the client offered: "The value chosen MUST be derived from the
// client's handshake" (RFC 6455 section 4.2.2). Empty, it leaves the field out.
// No extension is accepted.
func AppendSwitching(dst, key []byte, protocol string) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = AppendAccept(dst, key)
	if protocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, protocol...)
	}
	return append(dst, "\r\n\r\n"...)
}

// OffersProtocol reports whether header, the value of one
// Sec-WebSocket-Protocol line, offers the subprotocol name. The comparison is
// exact: subprotocols are case-sensitive. A client may send the field several
// times (RFC 6455 section 11.3.4); call it for each.
func OffersProtocol(header []byte, name string) bool {
	for t := range Protocols(header) {
		if string(t) == name {
			return true
		}
	}
	return false
}

// Protocols yields the elements of header, the value of one
// Sec-WebSocket-Protocol line, in order: separated by commas, without the white
// space around them, empty ones left out. They are views of header and are not
// checked to be tokens.
func Protocols(header []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest, more := header, true
		for more {
			var element []byte
			element, rest, more = bytes.Cut(rest, comma)
			element = bytes.Trim(element, " \t")
			if len(element) > 0 && !yield(element) {
				return
			}
		}
	}
}
