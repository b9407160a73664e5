package websocket

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// Bits of the two bytes that start a frame (RFC 6455 section 5.2).
const (
	bitFIN  = 0x80
	bitMask = 0x80

	maskLength  = 0x7f
	maskOpCode  = 0x0f
	shiftRSV    = 4
	maskRSV     = 0x07
	length16    = 126 // the length is in the next 2 bytes
	length64    = 127 // the length is in the next 8 bytes
	maxLength7  = length16 - 1
	maxLength16 = 1<<16 - 1

	maskSize      = 4
	maxHeaderSize = ws.MaxHeaderSize // 2 + 8 + 4
)

// headerSize returns the size of a masked frame's header, mask included, from
// the second byte of it.
func headerSize(second byte) int {
	switch second & maskLength {
	case length16:
		return 2 + 2 + maskSize
	case length64:
		return 2 + 8 + maskSize
	default:
		return 2 + maskSize
	}
}

// checkStart applies the rules that the first two bytes of a frame can break.
// A length of 126 or 127 is only a marker here, but both are over the 125 that
// a control frame may have, so the check of control frames is complete.
func checkStart(first, second byte, state ws.State) *CloseError {
	err := ws.CheckHeader(ws.Header{
		Fin:    first&bitFIN != 0,
		Rsv:    first >> shiftRSV & maskRSV,
		OpCode: ws.OpCode(first & maskOpCode),
		Masked: second&bitMask != 0,
		Length: int64(second & maskLength),
	}, state|ws.StateServerSide)
	if err != nil {
		return &CloseError{CloseProtocol, err.Error()}
	}
	return nil
}

// declaredLength reads the payload length from a whole header.
func declaredLength(h []byte) (uint64, *CloseError) {
	var n, least uint64
	switch h[1] & maskLength {
	case length16:
		n, least = uint64(binary.BigEndian.Uint16(h[2:])), maxLength7+1
	case length64:
		n, least = binary.BigEndian.Uint64(h[2:]), maxLength16+1
		// RFC 6455 section 5.2: "the most significant bit MUST be 0".
		if n>>63 != 0 {
			return 0, &CloseError{CloseProtocol, "length with the most significant bit set"}
		}
	default:
		return uint64(h[1] & maskLength), nil
	}
	// "in all cases, the minimal number of bytes MUST be used to encode the
	// length".
	if n < least {
		return 0, &CloseError{CloseProtocol, "length not in its shortest form"}
	}
	return n, nil
}

// AppendHeader appends the header of a server's frame to dst: not masked, no
// RSV bit, the shortest form of length. The length bytes of payload must
// follow; a negative length counts as 0.
func AppendHeader(dst []byte, op ws.OpCode, fin bool, length int) []byte {
	first := byte(op) & maskOpCode
	if fin {
		first |= bitFIN
	}
	switch {
	case length <= 0:
		return append(dst, first, 0)
	case length <= maxLength7:
		return append(dst, first, byte(length))
	case length <= maxLength16:
		return binary.BigEndian.AppendUint16(append(dst, first, length16), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, length64), uint64(length))
	}
}

// AppendText appends payload to dst as one text frame. The payload must be
// valid UTF-8; it is not checked.
func AppendText(dst, payload []byte) []byte {
	dst = AppendHeader(dst, ws.OpText, true, len(payload))
	return append(dst, payload...)
}

// AppendBinary appends payload to dst as one binary frame.
func AppendBinary(dst, payload []byte) []byte {
	dst = AppendHeader(dst, ws.OpBinary, true, len(payload))
	return append(dst, payload...)
}

// AppendPing appends a Ping frame to dst. A control frame holds 125 bytes;
// what is longer is cut.
func AppendPing(dst, payload []byte) []byte {
	return appendControl(dst, ws.OpPing, payload)
}

// AppendPong appends a Pong frame to dst. RFC 6455 section 5.5.3: a Pong that
// answers a Ping "must have identical "Application data" as found in the message
// body of the Ping frame being replied to". What is longer than 125 bytes is cut.
func AppendPong(dst, payload []byte) []byte {
	return appendControl(dst, ws.OpPong, payload)
}

func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	dst = AppendHeader(dst, op, true, len(payload))
	return append(dst, payload...)
}
