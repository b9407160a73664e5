package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// helloConn takes a ClientHello and then fails.
type helloConn struct {
	net.Conn
	hello []byte
}

func (c *helloConn) Write(p []byte) (int, error)      { c.hello = append(c.hello, p...); return len(p), nil }
func (c *helloConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (c *helloConn) SetDeadline(time.Time) error      { return nil }
func (c *helloConn) SetWriteDeadline(time.Time) error { return nil }

func realHello(name string) []byte {
	c := &helloConn{}
	_ = tls.Client(c, &tls.Config{ServerName: name}).Handshake()
	return c.hello
}

// inRecords puts the message of a hello into records of n bytes.
func inRecords(hello []byte, n int) (out []byte) {
	for msg := hello[5:]; len(msg) > 0; {
		part := msg[:min(n, len(msg))]
		msg = msg[len(part):]
		out = append(out, 22, 3, 1, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

func TestClientHello(t *testing.T) {
	hello := realHello("a.example")
	if len(hello) < 500 {
		t.Fatalf("a hello of %d bytes", len(hello))
	}
	for _, n := range []int{1, 2, 3, 4, 5, 100, len(hello) - 6, len(hello)} {
		b := inRecords(hello, n)
		for i := range b {
			if err := clientHello(b[:i]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("records of %d: after %d of %d bytes: %v", n, i, len(b), err)
			}
		}
		if err := clientHello(b); err != nil {
			t.Errorf("records of %d: %v", n, err)
		}
		if err := clientHello(append(b, "more"...)); err != nil {
			t.Errorf("records of %d and more: %v", n, err)
		}
	}
	// The bounds of a record and of the message.
	for _, tt := range []struct {
		b    string
		want error
	}{
		{"\x16\x03\x01\x40\x00", io.ErrUnexpectedEOF}, {"\x16\x03\x01\x40\x01", errBadHello},
		{"\x16\x03\x01\x00\x01", io.ErrUnexpectedEOF}, {"\x16\x03\x01\x00\x00", errBadHello},
		{"\x16\x03\x01\x01\x00\x01\x00\x3f\xfc", io.ErrUnexpectedEOF}, {"\x16\x03\x01\x01\x00\x01\x00\x3f\xfd", errBadHello},
		{"G", errNotTLS}, {"\x16\x02", errNotTLS}, {"\x15\x03", errNotTLS},
		{"\x16\x03\x01\x00\x01\x01\x15", errBadHello}, {"\x16\x03\x01\x00\x01\x02", errBadHello},
	} {
		if err := clientHello([]byte(tt.b)); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.b, err, tt.want)
		}
	}
}

// FuzzClientHello: what is decided stays decided, whatever follows.
func FuzzClientHello(f *testing.F) {
	hello := realHello("b.example")
	f.Add(hello)
	f.Add(inRecords(hello, 7))
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		decided := false
		var was error
		for i := 0; i <= min(len(b), 256); i++ {
			err := clientHello(b[:i:i])
			if decided && !errors.Is(err, was) {
				t.Fatalf("%v after %d bytes, %v before", err, i, was)
			}
			decided, was = !errors.Is(err, io.ErrUnexpectedEOF), err
		}
	})
}
