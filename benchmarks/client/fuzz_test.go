package client

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzParsers checks that what the parsers of frames, heads and events take does not depend on what follows, and that
// they ask for more exactly when there is less.
func FuzzParsers(f *testing.F) {
	f.Add([]byte("\x81\x05hello"))
	f.Add([]byte("\x88\x02\x03\xe9"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	f.Add([]byte("event: message\r\nid: 1\r\ndata: {}\r\n\r\n"))
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"))
	parsers := map[string]func([]byte) (int, error){
		"frame": func(b []byte) (int, error) { _, n, err := ParseFrame(b); return n, err },
		"head":  func(b []byte) (int, error) { _, n, err := ParseHead(b); return n, err },
		"event": func(b []byte) (int, error) { _, n, err := ParseEvent(b); return n, err },
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range parsers {
			n, err := parse(b)
			if err != nil {
				continue
			}
			if m, err := parse(append(bytes.Clone(b[:n]), "tail"...)); m != n || err != nil {
				t.Errorf("%s: %d bytes alone, then %d, %v", name, n, m, err)
			}
			if n > 0 {
				if _, err := parse(b[: n-1 : n-1]); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: one byte short: %v", name, err)
				}
			}
		}
		if body, rest, err := decode(string(b), 1); err == nil {
			body2, rest2, err := decode(string(b), max(len(b), 1))
			if body != body2 || rest != rest2 || err != nil {
				t.Errorf("chunks: bytewise %q %q, at once %q %q, %v", body, rest, body2, rest2, err)
			}
		}
	})
}
