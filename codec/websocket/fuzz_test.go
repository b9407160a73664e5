package websocket

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// peerEvents reads the stream with the reader of gobwas/ws and assembles
// messages in the plainest way. It stops where that reader, or a limit of
// ours, ends the stream.
func peerEvents(stream []byte) (events []seen, err error) {
	r := bytes.NewReader(stream)
	state := ws.StateServerSide
	var open seen
	for {
		h, err := ws.ReadHeader(r)
		if err != nil {
			return events, err
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return events, err
		}
		if h.Length > int64(r.Len()) {
			return events, io.ErrUnexpectedEOF
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(r, p); err != nil {
			return events, err
		}
		ws.Cipher(p, h.Mask, 0)
		switch h.OpCode {
		case ws.OpPing:
			events = append(events, seen{event: EventPing, payload: string(p)})
		case ws.OpPong:
			events = append(events, seen{event: EventPong, payload: string(p)})
		case ws.OpClose:
			s := seen{event: EventClose, payload: string(p), code: 1005}
			if len(p) >= 2 {
				s.code, s.reason = binary.BigEndian.Uint16(p), string(p[2:])
			}
			return append(events, s), nil
		default:
			if h.OpCode != ws.OpContinuation {
				open = seen{event: EventMessage, binary: h.OpCode == ws.OpBinary}
			}
			open.payload += string(p)
			state = state.Set(ws.StateFragmented)
			if h.Fin {
				events = append(events, open)
				state = state.Clear(ws.StateFragmented)
			}
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range sequences {
		if len(s.in) < 1000 {
			f.Add(s.in, uint8(3))
		}
	}
	for _, c := range utf8Cases {
		f.Add(byteFrames(c.in), uint8(5))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		limits := Limits{MessageBytes: 1 << 10, Fragments: 16}
		whole := Decoder{Limits: limits}
		events, err := feed(t, &whole, stream)

		cut := Decoder{Limits: limits}
		cutEvents, cutErr := feed(t, &cut, slices.Collect(slices.Chunk(stream, int(size)+1))...)
		if !slices.Equal(events, cutEvents) {
			t.Errorf("reads of %d: events %+v, in one read %+v", int(size)+1, cutEvents, events)
		}
		if closeCode(err) != closeCode(cutErr) {
			t.Errorf("reads of %d: error %v, in one read %v", int(size)+1, cutErr, err)
		}
		if whole.Partial() != cut.Partial() {
			t.Errorf("reads of %d: Partial %v, in one read %v", int(size)+1, cut.Partial(), whole.Partial())
		}
		if cut.Pinned() > limits.MessageBytes {
			t.Errorf("Pinned = %d", cut.Pinned())
		}

		peer, peerErr := peerEvents(stream)
		if len(events) > len(peer) || !slices.Equal(events, peer[:len(events)]) {
			t.Fatalf("events %+v, gobwas/ws reads %+v", events, peer)
		}
		if err == nil && len(events) < len(peer) {
			t.Errorf("events %+v without an error, gobwas/ws reads %+v", events, peer)
		}
		if _, protocol := peerErr.(ws.ProtocolError); protocol && err == nil {
			t.Errorf("no error where gobwas/ws says %v", peerErr)
		}
	})
}

// FuzzRoundTrip cuts a message into frames and finds it again.
func FuzzRoundTrip(f *testing.F) {
	f.Add("hello", uint8(2), uint8(3))
	f.Add("κόσμε", uint8(1), uint8(1))
	f.Add(long, uint8(100), uint8(150))
	f.Fuzz(func(t *testing.T, payload string, frameSize, readSize uint8) {
		var stream []byte
		op := ws.OpBinary
		for rest, fin := payload, false; !fin; op = ws.OpContinuation {
			n := min(len(rest), int(frameSize)+1)
			fin = n == len(rest)
			stream = append(stream, masked(op, fin, rest[:n])...)
			rest = rest[n:]
		}
		d := Decoder{Limits: Limits{Fragments: len(payload) + 1}}
		events, err := feed(t, &d, slices.Collect(slices.Chunk(stream, int(readSize)+1))...)
		want := []seen{{event: EventMessage, payload: payload, binary: true}}
		if err != nil || !slices.Equal(events, want) {
			t.Errorf("events = %+v, %v; want %+v", events, err, want)
		}
	})
}
