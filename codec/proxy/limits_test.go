package proxy

import (
	"io"
	"strings"
	"testing"
)

func TestLineLimit(t *testing.T) {
	const longest = to6 + "0000:0000:0000:0000:0000:ffff:192.168.100.100 "
	for _, tt := range []struct {
		bytes int
		dst   string // in a line of that length
		want  error
	}{
		{106, "000:0000:0000:0:0:0:192.168.100.100", nil},
		{107, "0000:0000:0000:0:0:0:192.168.100.100", nil},
		{108, "0000:0000:0000:00:0:0:192.168.100.100", errLineLength},
	} {
		for _, in := range []string{
			"PROXY UNKNOWN " + strings.Repeat("x", tt.bytes-16) + "\r\n",
			longest + tt.dst + " 65535 65535\r\n",
		} {
			if _, n, err := Parse([]byte(in)); len(in) != tt.bytes || err != tt.want || err == nil && n != tt.bytes {
				t.Errorf("%q of %d bytes: got %d, %v, want %v", in, len(in), n, err, tt.want)
			}
		}
	}
}

// TestLineLimitCR is the limit without an end: the last byte that leaves room
// for a CRLF, and the CR itself.
func TestLineLimitCR(t *testing.T) {
	for _, tt := range []struct {
		bytes int
		last  string
		want  error
	}{
		{105, "x", io.ErrUnexpectedEOF},
		{106, "x", errLineLength},
		{107, "x", errLineLength},
		{105, "\r", io.ErrUnexpectedEOF},
		{106, "\r", io.ErrUnexpectedEOF},
		{107, "\r", errLineLength},
	} {
		in := "PROXY UNKNOWN " + strings.Repeat("x", tt.bytes-15) + tt.last
		if _, _, err := Parse([]byte(in)); len(in) != tt.bytes || err != tt.want {
			t.Errorf("%d bytes that end with %q: got %v, want %v", len(in), tt.last, err, tt.want)
		}
	}
}

func TestBlockLimit(t *testing.T) {
	for _, command := range []byte{0x20, 0x21} {
		for _, tt := range []struct {
			bytes int
			want  error
		}{
			{4095, nil},
			{4096, nil},
			{4097, errBlockLength},
		} {
			in := v2(command, 0x11, block4+vector(4, strings.Repeat("x", tt.bytes-len(block4)-3)))
			h, n, err := Parse([]byte(in))
			if err != tt.want || err == nil && n != headBytes+tt.bytes || err == nil && n > MaxBytes {
				t.Errorf("command %#x, block of %d bytes: got %+v, %d, %v, want %v", command, tt.bytes, h, n, err, tt.want)
			}
			// The length alone decides.
			want := tt.want
			if want == nil {
				want = io.ErrUnexpectedEOF
			}
			if _, _, err := Parse([]byte(in[:headBytes])); err != want {
				t.Errorf("command %#x, head for %d bytes: got %v, want %v", command, tt.bytes, err, want)
			}
		}
	}
}

// TestAddressLimit has the shortest block of each kind.
func TestAddressLimit(t *testing.T) {
	for kind, bytes := range map[byte]int{0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216} {
		for _, tt := range []struct {
			bytes int
			want  error
		}{
			{bytes - 1, errBlockShort},
			{bytes, nil},
			{bytes + 1, errVector},
			{bytes + 2, errVector},
			{bytes + 3, nil},
		} {
			in := v2(0x21, kind, strings.Repeat("\x00", tt.bytes))
			if _, _, err := Parse([]byte(in)); err != tt.want {
				t.Errorf("kind %#x, block of %d bytes: got %v, want %v", kind, tt.bytes, err, tt.want)
			}
		}
	}
}
