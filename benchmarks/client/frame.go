package client

import (
	"encoding/binary"
	"errors"
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

// maxMessage bounds one message, so that a broken server cannot fill the memory of the load program.
const maxMessage = 64 << 20

// Frame is one WebSocket frame that a server sent. Payload aliases the parsed bytes.
type Frame struct {
	Fin     bool
	Opcode  byte
	Payload []byte
}

// ParseFrame reads one server-to-client frame from the start of b and returns the bytes it took.
// The error is io.ErrUnexpectedEOF while b holds only a part of it; any other error is a protocol violation.
func ParseFrame(b []byte) (Frame, int, error) {
	if len(b) < 2 {
		return Frame{}, 0, io.ErrUnexpectedEOF
	}
	f := Frame{Fin: b[0]&0x80 != 0, Opcode: b[0] & 0x0f}
	if b[0]&0x70 != 0 {
		return Frame{}, 0, fmt.Errorf("websocket: reserved bits %#x without a negotiated extension", b[0]&0x70)
	}
	// RFC 6455 section 5.1: "A server MUST NOT mask any frames that it sends to the client."
	if b[1]&0x80 != 0 {
		return Frame{}, 0, errors.New("websocket: masked frame from the server")
	}
	if err := f.check(b[1] & 0x7f); err != nil {
		return Frame{}, 0, err
	}
	size, n, err := payloadLength(b)
	if err != nil {
		return Frame{}, 0, err
	}
	if uint64(len(b)-n) < size {
		return Frame{}, 0, io.ErrUnexpectedEOF
	}
	f.Payload = b[n : n+int(size)]
	return f, n + int(size), nil
}

func (f Frame) check(length byte) error {
	switch f.Opcode {
	case OpContinuation, OpText, OpBinary:
		return nil
	case OpClose, OpPing, OpPong:
		if !f.Fin || length > 125 {
			return errors.New("websocket: fragmented or oversized control frame")
		}
		return nil
	}
	return fmt.Errorf("websocket: reserved opcode %#x", f.Opcode)
}

// payloadLength returns the declared length and the size of the header. The shortest form is required:
// RFC 6455 section 5.2, "the minimal number of bytes MUST be used to encode the length".
func payloadLength(b []byte) (size uint64, header int, err error) {
	switch l := b[1] & 0x7f; l {
	case 126:
		if len(b) < 4 {
			return 0, 0, io.ErrUnexpectedEOF
		}
		size, header = uint64(binary.BigEndian.Uint16(b[2:])), 4
		if size < 126 {
			return 0, 0, errors.New("websocket: length not in its shortest form")
		}
	case 127:
		if len(b) < 10 {
			return 0, 0, io.ErrUnexpectedEOF
		}
		size, header = binary.BigEndian.Uint64(b[2:]), 10
		if size <= 0xffff {
			return 0, 0, errors.New("websocket: length not in its shortest form")
		}
		if size > maxMessage {
			return 0, 0, fmt.Errorf("websocket: frame of %d bytes", size)
		}
	default:
		size, header = uint64(l), 2
	}
	return size, header, nil
}

// AppendFrame appends one final client frame, masked with key as RFC 6455 section 5.3 demands of clients.
func AppendFrame(dst []byte, opcode byte, key uint32, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n <= 0xffff:
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, key)
	start := len(dst)
	dst = append(dst, payload...)
	mask(dst[start:], key)
	return dst
}

// mask applies key to b, eight bytes at a time. Byte i of the key is bits 8i to 8i+7.
func mask(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(wide >> (8 * i))
	}
}
