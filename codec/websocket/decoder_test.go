package websocket

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// epoch is the time at which tests happen.
var epoch = time.Unix(1_000_000, 0)

var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// masked returns a frame as a client sends it.
func masked(op ws.OpCode, fin bool, payload string) []byte {
	b := AppendHeader(nil, op, fin, len(payload))
	b[1] |= bitMask
	b = append(b, testMask[:]...)
	p := []byte(payload)
	ws.Cipher(p, testMask, 0)
	return append(b, p...)
}

func text(payload string) []byte { return masked(ws.OpText, true, payload) }

func concat(frames ...[]byte) []byte { return slices.Concat(frames...) }

// seen is one event with copies of what belongs to it.
type seen struct {
	event   Event
	payload string
	binary  bool
	code    uint16
	reason  string
}

func saying(payload string) seen { return seen{event: EventMessage, payload: payload} }

// feed gives the chunks to d and collects events until the chunks are used or
// d fails. It checks what must hold after every call of Next.
func feed(t testing.TB, d *Decoder, chunks ...[]byte) (events []seen, err error) {
	t.Helper()
	for _, chunk := range chunks {
		b := bytes.Clone(chunk)
		for {
			ev, n, err := d.Next(b, epoch)
			if n < 0 || n > len(b) {
				t.Fatalf("Next used %d of %d bytes", n, len(b))
			}
			if err != nil {
				if ev != EventNone {
					t.Fatalf("Next = event %d with error %v", ev, err)
				}
				return events, err
			}
			b = b[n:]
			if ev == EventNone {
				if len(b) != 0 {
					t.Fatalf("Next = EventNone with %d bytes left", len(b))
				}
				break
			}
			s := seen{event: ev, payload: string(d.Payload())}
			switch ev {
			case EventMessage:
				s.binary = d.Binary()
			case EventClose:
				code, reason := d.CloseCode()
				s.code, s.reason = code, string(reason)
			}
			events = append(events, s)
		}
	}
	return events, nil
}

func closeCode(err error) uint16 {
	var c *CloseError
	if errors.As(err, &c) {
		return c.Code
	}
	return 0
}

// sequence is a stream of a client and what must come of it.
type sequence struct {
	name   string
	in     []byte
	want   []seen
	code   uint16 // of the violation that ends the stream, 0 for none
	limits Limits
}

var (
	ping = seen{event: EventPing}
	long = strings.Repeat("0123456789abcdef", 20)
)

// sequences has every rule of the decoder at least once.
var sequences = []sequence{
	{name: "nothing"},
	{name: "text", in: text("hello"), want: []seen{saying("hello")}},
	{name: "empty text", in: text(""), want: []seen{saying("")}},
	{name: "length 125", in: text(long[:125]), want: []seen{saying(long[:125])}},
	{name: "length 126", in: text(long[:126]), want: []seen{saying(long[:126])}},
	{name: "length 65535", in: text(strings.Repeat("x", 65535)), want: []seen{saying(strings.Repeat("x", 65535))}},
	{name: "length 65536", in: text(strings.Repeat("x", 65536)), want: []seen{saying(strings.Repeat("x", 65536))}},
	{
		name: "binary is not text",
		in:   masked(ws.OpBinary, true, "\xff\x00"),
		want: []seen{{event: EventMessage, payload: "\xff\x00", binary: true}},
	},
	{
		name: "text after binary",
		in:   concat(masked(ws.OpBinary, true, "\xff"), text("t")),
		want: []seen{{event: EventMessage, payload: "\xff", binary: true}, saying("t")},
	},
	{
		name: "several messages",
		in:   concat(text("one"), text("two"), text(long), text("four")),
		want: []seen{saying("one"), saying("two"), saying(long), saying("four")},
	},
	{
		name: "fragments",
		in:   concat(masked(ws.OpText, false, "a"), masked(ws.OpContinuation, false, "b"), masked(ws.OpContinuation, true, "c"), text("d")),
		want: []seen{saying("abc"), saying("d")},
	},
	{
		name: "empty fragments",
		in:   concat(masked(ws.OpText, false, ""), masked(ws.OpContinuation, false, ""), masked(ws.OpContinuation, true, "")),
		want: []seen{saying("")},
	},
	{
		name: "fragmented binary",
		in:   concat(masked(ws.OpBinary, false, "\xc3"), masked(ws.OpContinuation, true, "\x28")),
		want: []seen{{event: EventMessage, payload: "\xc3\x28", binary: true}},
	},
	{
		name: "control frames between fragments",
		in: concat(masked(ws.OpText, false, "\xce"), masked(ws.OpPing, true, "are you there"),
			masked(ws.OpContinuation, false, "\xba"), masked(ws.OpPong, true, ""), masked(ws.OpContinuation, true, "!")),
		want: []seen{{event: EventPing, payload: "are you there"}, {event: EventPong}, saying("κ!")},
	},
	{name: "ping of 125 bytes", in: masked(ws.OpPing, true, long[:125]), want: []seen{{event: EventPing, payload: long[:125]}}},
	{name: "ping of 126 bytes", in: masked(ws.OpPing, true, long[:126]), code: CloseProtocol},
	{name: "pong in fragments", in: masked(ws.OpPong, false, ""), code: CloseProtocol},
	{name: "not masked", in: AppendText(nil, []byte("hello")), code: CloseProtocol},
	{name: "not masked and empty", in: AppendText(nil, nil), code: CloseProtocol},
	{name: "RSV1", in: []byte{0xc1, 0x80, 0, 0, 0, 0}, code: CloseProtocol},
	{name: "RSV2", in: []byte{0xa1, 0x80, 0, 0, 0, 0}, code: CloseProtocol},
	{name: "RSV3 on ping", in: []byte{0x99, 0x80, 0, 0, 0, 0}, code: CloseProtocol},
	{name: "reserved data opcode", in: masked(3, true, ""), code: CloseProtocol},
	{name: "reserved control opcode", in: masked(0xb, true, ""), code: CloseProtocol},
	{name: "violation after a message", in: concat(text("a"), masked(7, true, ""), text("b")), want: []seen{saying("a")}, code: CloseProtocol},
	{name: "continuation of nothing", in: masked(ws.OpContinuation, true, "a"), code: CloseProtocol},
	{name: "continuation after the end", in: concat(text("a"), masked(ws.OpContinuation, true, "b")), want: []seen{saying("a")}, code: CloseProtocol},
	{name: "text inside a message", in: concat(masked(ws.OpText, false, "a"), text("b")), code: CloseProtocol},
	{name: "binary inside a message", in: concat(masked(ws.OpText, false, "a"), masked(ws.OpBinary, false, "b")), code: CloseProtocol},
	{name: "125 in 16 bits", in: []byte{0x81, 0xfe, 0, 125, 1, 2, 3, 4}, code: CloseProtocol},
	{name: "65535 in 64 bits", in: []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}, code: CloseProtocol},
	{name: "64 bits with the top bit", in: []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, code: CloseProtocol},
	{name: "largest length", in: []byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, code: CloseTooBig},
	{name: "header cut", in: text("hello")[:5]},
	{name: "payload cut", in: text("hello")[:8]},
	{name: "invalid text", in: text("a\xffb"), code: CloseInvalidUTF8},
	{name: "text ends inside a rune", in: text("\xe2\x82"), code: CloseInvalidUTF8},
	{name: "rune over frames", in: concat(masked(ws.OpText, false, "\xf0\x9f"), masked(ws.OpContinuation, false, "\x98"), masked(ws.OpContinuation, true, "\x80")), want: []seen{saying("😀")}},
	{name: "invalid over frames", in: concat(masked(ws.OpText, false, "\xf0\x9f"), masked(ws.OpContinuation, false, "x")), code: CloseInvalidUTF8},
	{name: "fragments end inside a rune", in: concat(masked(ws.OpText, false, "a"), masked(ws.OpContinuation, true, "\xf0\x9f")), code: CloseInvalidUTF8},
	{name: "close", in: masked(ws.OpClose, true, ""), want: []seen{{event: EventClose, code: 1005}}},
	{
		name: "close with reason",
		in:   masked(ws.OpClose, true, "\x03\xe8bye"),
		want: []seen{{event: EventClose, payload: "\x03\xe8bye", code: 1000, reason: "bye"}},
	},
	{
		name: "close inside a message, data after it",
		in:   concat(masked(ws.OpText, false, "a"), masked(ws.OpClose, true, "\x03\xe9"), masked(ws.OpContinuation, true, "b"), []byte{0xff, 0xff}),
		want: []seen{{event: EventClose, payload: "\x03\xe9", code: 1001}},
	},
	{name: "close of one byte", in: masked(ws.OpClose, true, "\x03"), code: CloseProtocol},
	{name: "close with code 1005", in: masked(ws.OpClose, true, "\x03\xed"), code: CloseProtocol},
	{name: "close with invalid reason", in: masked(ws.OpClose, true, "\x03\xe8\xff"), code: CloseInvalidUTF8},
	{
		name: "message limit", limits: Limits{MessageBytes: 5},
		in:   concat(text("12345"), text("123456")),
		want: []seen{saying("12345")}, code: CloseTooBig,
	},
	{
		name: "message limit over fragments", limits: Limits{MessageBytes: 5},
		in:   concat(masked(ws.OpText, false, "123"), masked(ws.OpPing, true, ""), masked(ws.OpContinuation, true, "456")),
		want: []seen{ping}, code: CloseTooBig,
	},
	{
		name: "fragment limit", limits: Limits{Fragments: 2},
		in:   concat(masked(ws.OpText, false, "1"), masked(ws.OpContinuation, true, "2"), masked(ws.OpText, false, ""), masked(ws.OpContinuation, false, ""), masked(ws.OpContinuation, true, "")),
		want: []seen{saying("12")}, code: ClosePolicy,
	},
	{
		name: "control limit", limits: Limits{ControlPerSecond: 2},
		in:   concat(masked(ws.OpPing, true, ""), masked(ws.OpPong, true, ""), text("a"), masked(ws.OpClose, true, "")),
		want: []seen{ping, {event: EventPong}, saying("a")}, code: ClosePolicy,
	},
}

func checkSequence(t *testing.T, s sequence, chunks ...[]byte) {
	t.Helper()
	d := Decoder{Limits: s.limits}
	events, err := feed(t, &d, chunks...)
	if !slices.Equal(events, s.want) {
		t.Errorf("events = %.200v, want %.200v", events, s.want)
	}
	if got := closeCode(err); got != s.code {
		t.Errorf("error = %v, want code %d", err, s.code)
	}
}

func TestDecoder(t *testing.T) {
	for _, s := range sequences {
		t.Run(s.name, func(t *testing.T) { checkSequence(t, s, s.in) })
	}
}

// The way a stream is cut into reads must not show: every cut in two, and
// every byte alone, gives the same events and the same error.
func TestDecoderEverySplit(t *testing.T) {
	for _, s := range sequences {
		t.Run(s.name, func(t *testing.T) {
			step := 1
			if len(s.in) > 1000 {
				step = len(s.in)/20 + 1 // long payloads: the borders are what matters
			}
			for cut := 0; cut <= len(s.in); cut++ {
				if cut > 20 && cut < len(s.in)-20 {
					cut = min(cut+step-1, len(s.in)-20)
				}
				checkSequence(t, s, s.in[:cut], s.in[cut:])
				if t.Failed() {
					t.Fatalf("cut at %d", cut)
				}
			}
			checkSequence(t, s, slices.Collect(slices.Chunk(s.in, 1))...)
			checkSequence(t, s, slices.Collect(slices.Chunk(s.in, 3))...)
		})
	}
}

// A dead decoder says why, over and over, and holds nothing.
func TestDecoderDead(t *testing.T) {
	var d Decoder
	_, first := feed(t, &d, masked(ws.OpText, false, long), text("x"))
	if closeCode(first) != CloseProtocol {
		t.Fatalf("error = %v, want code %d", first, CloseProtocol)
	}
	_, n, err := d.Next(text("hello"), epoch)
	if err != first || n != len(text("hello")) {
		t.Errorf("Next of a dead decoder = %d, %v; want all bytes used and %v", n, err, first)
	}
	if d.Pinned() != 0 || d.Partial() {
		t.Errorf("dead decoder: Pinned = %d, Partial = %v", d.Pinned(), d.Partial())
	}
}

func TestDecoderClosed(t *testing.T) {
	var d Decoder
	events, err := feed(t, &d, masked(ws.OpText, false, long), masked(ws.OpClose, true, ""), []byte{0xff, 0, 1}, text("x"))
	if err != nil || len(events) != 1 || events[0].event != EventClose {
		t.Fatalf("events = %v, %v; want one EventClose", events, err)
	}
	if d.Pinned() != 0 || d.Partial() {
		t.Errorf("closed decoder: Pinned = %d, Partial = %v", d.Pinned(), d.Partial())
	}
}

// Violations that the first two bytes show are reported then, not when the
// frame is complete.
func TestDecoderFailsEarly(t *testing.T) {
	tests := []struct {
		name   string
		in     []byte
		limits Limits
		code   uint16
	}{
		{"not masked", []byte{0x81, 0x05}, Limits{}, CloseProtocol},
		{"reserved opcode", []byte{0x83, 0x85}, Limits{}, CloseProtocol},
		{"too big", text("123456")[:6], Limits{MessageBytes: 5}, CloseTooBig},
		{"length not shortest", []byte{0x81, 0xfe, 0, 1, 0, 0, 0, 0}, Limits{}, CloseProtocol},
		{"control flood", concat(masked(ws.OpPing, true, ""), masked(ws.OpPing, true, "abc")[:6]), Limits{ControlPerSecond: 1}, ClosePolicy},
		{"text in mid-frame", text("ab\xffcdef")[:9], Limits{}, CloseInvalidUTF8},
	}
	for _, test := range tests {
		d := Decoder{Limits: test.limits}
		_, err := feed(t, &d, test.in)
		if closeCode(err) != test.code {
			t.Errorf("%s: error = %v, want code %d", test.name, err, test.code)
		}
		d = Decoder{Limits: test.limits}
		if _, err := feed(t, &d, test.in[:len(test.in)-1]); err != nil {
			t.Errorf("%s: a byte earlier: error = %v, want none", test.name, err)
		}
	}
}

func TestCloseErrorText(t *testing.T) {
	err := &CloseError{ClosePolicy, "too many fragments"}
	if got, want := err.Error(), "websocket: close 1008: too many fragments"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
