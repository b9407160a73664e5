package http1

import (
	"io"
	"strings"
	"testing"
)

func newBody(t *testing.T, fields string) *Body {
	t.Helper()
	var d Body
	d.Reset(parse(t, line+host+fields+"\r\n"), nil)
	return &d
}

func TestBodyAppends(t *testing.T) {
	for _, tt := range []struct{ fields, src string }{
		{"Content-Length: 5\r\n", "hello"},
		{te, "5\r\nhello\r\n0\r\n\r\n"},
	} {
		d := newBody(t, tt.fields)
		dst := append(make([]byte, 0, 100), "kept "...)
		out, n, err := d.Decode(dst, []byte(tt.src+"GET /next"))
		if string(out) != "kept hello" || n != len(tt.src) || err != nil || &out[0] != &dst[0] {
			t.Errorf("%q: got %q, %d, %v, want \"kept hello\" in place, %d, nil", tt.src, out, n, err, len(tt.src))
		}
		if out, n, err = d.Decode(out, []byte("GET /next")); string(out) != "kept hello" || n != 0 || err != nil {
			t.Errorf("%q: after the end: got %q, %d, %v, want nothing used, nil", tt.src, out, n, err)
		}
	}
}

func TestBodyEmpty(t *testing.T) {
	for _, fields := range []string{"", "Content-Length: 0\r\n"} {
		if out, n, err := newBody(t, fields).Decode(nil, nil); out != nil || n != 0 || err != nil {
			t.Errorf("%q: got %q, %d, %v, want nil, 0, nil", fields, out, n, err)
		}
	}
	var zero Body
	if out, n, err := zero.Decode(nil, []byte("x")); out != nil || n != 0 || err != nil {
		t.Errorf("zero Body: got %q, %d, %v, want nil, 0, nil", out, n, err)
	}
	for _, fields := range []string{"Content-Length: 1\r\n", te} {
		if out, n, err := newBody(t, fields).Decode(nil, nil); out != nil || n != 0 || err != io.ErrUnexpectedEOF {
			t.Errorf("%q: got %q, %d, %v, want nil, 0, io.ErrUnexpectedEOF", fields, out, n, err)
		}
	}
}

// TestBodyTrustsNoLength announces megabytes, sends ten bytes and looks at what
// was allocated.
func TestBodyTrustsNoLength(t *testing.T) {
	for _, tt := range []struct{ fields, src string }{
		{"Content-Length: 4194304\r\n", "0123456789"},
		{te, "400000\r\n0123456789"},
	} {
		out, n, err := newBody(t, tt.fields).Decode(nil, []byte(tt.src))
		if len(out) != 10 || cap(out) > 64 || n != len(tt.src) || err != io.ErrUnexpectedEOF {
			t.Errorf("%q: got %d bytes, capacity %d, used %d, %v, want 10 bytes of little capacity", tt.fields, len(out), cap(out), n, err)
		}
	}
}

func TestBodyTrailerNames(t *testing.T) {
	for h := headerNone + 1; h < headerCount; h++ {
		_, _, err := newBody(t, te).Decode(nil, []byte("0\r\n"+strings.ToUpper(h.String())+": x\r\n\r\n"))
		if err != errTrailerField {
			t.Errorf("trailer %v: got %v, want %v", h, err, errTrailerField)
		}
	}
	for _, name := range []string{"X", "Server-Timing", strings.Repeat("n", 32), strings.Repeat("n", 33), "content-lengthcontent-lengthcontent-length"} {
		src := "0\r\n" + name + ": x\r\n" + name + ":\r\n\r\n"
		if _, n, err := newBody(t, te).Decode(nil, []byte(src)); n != len(src) || err != nil {
			t.Errorf("trailer %s: got %d, %v, want %d, nil", name, n, err, len(src))
		}
	}
}

func TestHexValue(t *testing.T) {
	for i, c := range "0123456789abcdef" {
		if got := hexValue(byte(c)); int(got) != i {
			t.Errorf("hexValue(%q) = %d, want %d", c, got, i)
		}
	}
	for i, c := range "ABCDEF" {
		if got := hexValue(byte(c)); int(got) != i+10 {
			t.Errorf("hexValue(%q) = %d, want %d", c, got, i+10)
		}
	}
}
