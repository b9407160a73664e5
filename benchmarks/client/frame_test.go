package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	long := strings.Repeat("x", 126)
	huge := strings.Repeat("y", 1<<16)
	for _, tt := range []struct {
		name, in, payload string
		fin               bool
		opcode            byte
	}{
		{"empty text", "\x81\x00", "", true, OpText},
		{"short text", "\x81\x05hello", "hello", true, OpText},
		{"first fragment", "\x01\x02ab", "ab", false, OpText},
		{"16 bit length", "\x81\x7e\x00\x7e" + long, long, true, OpText},
		{"64 bit length", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + huge, huge, true, OpBinary},
		{"ping", "\x89\x01p", "p", true, OpPing},
		{"close", "\x88\x02\x03\xe9", "\x03\xe9", true, OpClose},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, n, err := ParseFrame([]byte(tt.in + "rest"))
			if err != nil || n != len(tt.in) {
				t.Fatalf("ParseFrame = %d, %v, want %d", n, err, len(tt.in))
			}
			if f.Fin != tt.fin || f.Opcode != tt.opcode || string(f.Payload) != tt.payload {
				t.Errorf("frame = %v %#x %.20q", f.Fin, f.Opcode, f.Payload)
			}
			for cut := range min(len(tt.in), 300) {
				if _, _, err := ParseFrame([]byte(tt.in[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("first %d bytes: %v, want %v", cut, err, io.ErrUnexpectedEOF)
				}
			}
		})
	}
}

func TestParseFrameRejects(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"reserved bit", "\xc1\x00"},
		{"masked", "\x81\x80\x00\x00\x00\x00"},
		{"reserved opcode", "\x83\x00"},
		{"reserved control opcode", "\x8b\x00"},
		{"fragmented ping", "\x09\x00"},
		{"long ping", "\x89\x7e\x00\x7e"},
		{"16 bit length not shortest", "\x81\x7e\x00\x7d"},
		{"64 bit length not shortest", "\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff"},
		{"too large", "\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00"},
		{"top bit of the length", "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if _, _, err := ParseFrame([]byte(tt.in)); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: error = %v, want a protocol error", tt.name, err)
		}
	}
}

func TestAppendFrame(t *testing.T) {
	// The example of RFC 6455 section 5.7: a single-frame masked text message that holds "Hello".
	key := binary.LittleEndian.Uint32([]byte{0x37, 0xfa, 0x21, 0x3d})
	want := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	if got := AppendFrame(nil, OpText, key, []byte("Hello")); !bytes.Equal(got, want) {
		t.Errorf("AppendFrame = %x, want %x", got, want)
	}
	for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536} {
		payload := bytes.Repeat([]byte{'a', 'b', 'c'}, n/3+1)[:n]
		b := AppendFrame(nil, OpText, key, payload)
		masked := b[len(b)-n:]
		for i := range masked {
			masked[i] ^= byte(key >> (8 * (i % 4)))
		}
		if !bytes.Equal(masked, payload) {
			t.Errorf("payload of %d bytes does not survive masking", n)
		}
		// Without mask bit and key it is a frame that a server may send.
		b[1] &^= 0x80
		f, _, err := ParseFrame(append(b[:len(b)-n-4:len(b)-n-4], masked...))
		if err != nil || !bytes.Equal(f.Payload, payload) {
			t.Errorf("frame of %d bytes: %v", n, err)
		}
	}
}

func TestAcceptKey(t *testing.T) {
	// The example of RFC 6455 section 1.3.
	if got, want := AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		t.Errorf("AcceptKey = %q, want %q", got, want)
	}
}
