package loop

import (
	"errors"
	"io"
)

// maxHello is how many bytes a ClientHello may take. With post-quantum keys and a
// ticket that holds certificates it has a few thousand.
const maxHello = 16 << 10

var (
	errNotTLS   = errors.New("peer does not speak TLS")
	errBadHello = errors.New("malformed ClientHello")
)

// clientHello looks for a whole ClientHello at the beginning of b: nil when it is
// there, io.ErrUnexpectedEOF when more is needed. A connection that never sends one
// then costs no goroutine. What stands in it is for crypto/tls to judge.
func clientHello(b []byte) error {
	const recordHeader, handshake, hello, maxRecord = 5, 22, 1, 1 << 14
	want := -1 // bytes of the handshake message, once its length is known
	var length [4]byte
	for have := 0; ; {
		if len(b) > 0 && b[0] != handshake || len(b) > 1 && b[1] != 3 {
			if have == 0 {
				return errNotTLS
			}
			return errBadHello
		}
		if len(b) < recordHeader {
			return io.ErrUnexpectedEOF
		}
		n := int(b[3])<<8 | int(b[4])
		// "Implementations MUST NOT send zero-length fragments of Handshake types"
		// (RFC 8446, section 5.1).
		if n == 0 || n > maxRecord {
			return errBadHello
		}
		b = b[recordHeader:]
		fragment := b[:min(n, len(b))]
		b = b[len(fragment):]
		if have < len(length) {
			copy(length[have:], fragment)
		}
		have += len(fragment)
		if have > 0 && length[0] != hello {
			return errBadHello
		}
		if want < 0 && have >= len(length) {
			want = len(length) + int(length[1])<<16 + int(length[2])<<8 + int(length[3])
			if want > maxHello {
				return errBadHello
			}
		}
		switch {
		case want >= 0 && have >= want:
			return nil
		case len(fragment) < n:
			return io.ErrUnexpectedEOF
		}
	}
}
