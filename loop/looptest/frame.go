package looptest

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Opcodes of RFC 6455 section 5.2.
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xA
)

// mask is the masking key of all frames built here.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// Text returns payload as one masked text frame.
func Text(payload string) []byte { return ClientFrame(OpText, true, []byte(payload)) }

// ClientFrame returns a masked frame, as only clients send them.
func ClientFrame(op byte, fin bool, payload []byte) []byte {
	first := op
	if fin {
		first |= 0x80
	}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i, p := range payload {
		b = append(b, p^mask[i%4])
	}
	return b
}

// ClientClose returns a masked Close frame.
func ClientClose(code uint16, reason string) []byte {
	return ClientFrame(OpClose, true, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}

// Frame is a frame from the server.
type Frame struct {
	Op      byte
	Payload string // of a Close frame: the reason
	Code    uint16 // of a Close frame; 0 when it has none
}

// Frames reads all of b as frames from the server.
func Frames(b []byte) (frames []Frame, err error) {
	for len(b) > 0 {
		f, n, err := readFrame(b)
		if err != nil {
			return frames, fmt.Errorf("frame %d: %w", len(frames), err)
		}
		frames = append(frames, f)
		b = b[n:]
	}
	return frames, nil
}

func readFrame(b []byte) (f Frame, n int, err error) {
	if len(b) < 2 {
		return f, 0, io.ErrUnexpectedEOF
	}
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		return f, 0, fmt.Errorf("header %x: want FIN, no RSV bit, no mask", b[:2])
	}
	n, size := 2, uint64(b[1])
	switch {
	case size == 126 && len(b) >= 4:
		n, size = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		n, size = 10, binary.BigEndian.Uint64(b[2:])
	case size > 125:
		return f, 0, io.ErrUnexpectedEOF
	}
	if uint64(len(b)-n) < size {
		return f, 0, io.ErrUnexpectedEOF
	}
	p := b[n : n+int(size)]
	f.Op = b[0] & 0x0f
	if f.Op == OpClose && len(p) >= 2 {
		f.Code, p = binary.BigEndian.Uint16(p), p[2:]
	}
	f.Payload = string(p)
	return f, n + int(size), nil
}
