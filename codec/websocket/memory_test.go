package websocket

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"
)

// inside reports whether the memory of p lies in b.
func inside(p, b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return at >= from && at < from+uintptr(len(b))
}

func next(t *testing.T, d *Decoder, b []byte, want Event) (n int) {
	t.Helper()
	ev, n, err := d.Next(b, epoch)
	if ev != want || err != nil {
		t.Fatalf("Next = event %d, %v; want event %d", ev, err, want)
	}
	return n
}

func TestPayloadIsView(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		cut  int // bytes given in a first read
		ev   Event
		view bool
	}{
		{"message in one read", text(long), 0, EventMessage, true},
		{"header in the read before", text(long), 8, EventMessage, true},
		{"header cut", text(long), 3, EventMessage, true},
		{"payload cut", text(long), 9, EventMessage, false},
		{"ping in one read", masked(ws.OpPing, true, "ping"), 0, EventPing, true},
		{"ping cut", masked(ws.OpPing, true, "ping"), 8, EventPing, false},
		{"last fragment", concat(masked(ws.OpText, false, ""), masked(ws.OpContinuation, true, long)), 6, EventMessage, false},
	}
	for _, test := range tests {
		var d Decoder
		if test.cut > 0 {
			next(t, &d, bytes.Clone(test.in[:test.cut]), EventNone)
		}
		b := bytes.Clone(test.in[test.cut:])
		next(t, &d, b, test.ev)
		if got := inside(d.Payload(), b); got != test.view {
			t.Errorf("%s: payload is a view = %v, want %v", test.name, got, test.view)
		}
		taken := d.Take()
		if got, want := taken != nil, test.ev == EventMessage && !test.view; got != want {
			t.Errorf("%s: Take gave a buffer = %v, want %v", test.name, got, want)
		}
	}
}

// The payload must not be open to an append that runs into the bytes after it.
func TestPayloadCapacity(t *testing.T) {
	var d Decoder
	b := concat(text("first"), text("second"))
	n := next(t, &d, b, EventMessage)
	_ = append(d.Payload(), "overrun"...)
	next(t, &d, b[n:], EventMessage)
	if got := string(d.Payload()); got != "second" {
		t.Errorf("second payload = %q", got)
	}
}

func TestTake(t *testing.T) {
	var d Decoder
	split := func(payload string) {
		t.Helper()
		b := text(payload)
		next(t, &d, b[:8], EventNone)
		next(t, &d, b[8:], EventMessage)
	}
	split("taken message")
	taken := d.Take()
	if string(taken) != "taken message" {
		t.Fatalf("Take = %q", taken)
	}
	if again := d.Take(); again != nil {
		t.Errorf("second Take = %q, want nil", again)
	}
	if string(d.Payload()) != "taken message" {
		t.Errorf("Payload after Take = %q", d.Payload())
	}
	split("another one!!")
	if string(taken) != "taken message" {
		t.Errorf("the taken buffer became %q", taken)
	}
	if got := string(d.Payload()); got != "another one!!" {
		t.Errorf("Payload = %q", got)
	}

	next(t, &d, masked(ws.OpText, false, "begun"), EventNone)
	if got := d.Take(); got != nil {
		t.Errorf("Take of an incomplete message = %q, want nil", got)
	}
	next(t, &d, masked(ws.OpPing, true, "p"), EventPing)
	if got := d.Take(); got != nil {
		t.Errorf("Take after a ping = %q, want nil", got)
	}
	next(t, &d, masked(ws.OpContinuation, true, "."), EventMessage)
	if got := string(d.Take()); got != "begun." {
		t.Errorf("Take = %q, want %q", got, "begun.")
	}
}

// A buffer that is not taken is used again, but not a large one.
func TestBufferKept(t *testing.T) {
	for _, test := range []struct {
		size int
		kept bool
	}{{keepBuffer, true}, {keepBuffer + 1, false}} {
		var d Decoder
		b := text(strings.Repeat("x", test.size))
		next(t, &d, b[:20], EventNone)
		next(t, &d, b[20:], EventMessage)
		next(t, &d, nil, EventNone)
		if got := cap(d.message.buf) > 0; got != test.kept {
			t.Errorf("buffer of %d bytes kept = %v, want %v", test.size, got, test.kept)
		}
		if d.Pinned() != 0 {
			t.Errorf("Pinned = %d without a message", d.Pinned())
		}
	}
}

// A header that declares the most costs nothing before its data comes, and
// the buffer follows what was received.
func TestNothingFromDeclaredLength(t *testing.T) {
	for _, fin := range []bool{true, false} {
		var d Decoder
		h := AppendHeader(nil, ws.OpText, fin, 4<<20)
		h[1] |= bitMask
		next(t, &d, append(h, 0, 0, 0, 0), EventNone)
		if d.Pinned() != 0 {
			t.Errorf("Pinned = %d after a header", d.Pinned())
		}
		data := bytes.Repeat([]byte{'x'}, 1000)
		for received := 1000; received < 1<<20; received += 1000 {
			next(t, &d, data, EventNone)
			if d.Pinned() < received || d.Pinned() > 2*received {
				t.Fatalf("Pinned = %d after %d bytes", d.Pinned(), received)
			}
		}
	}
}

// The buffer of a message whose end is in sight is not larger than it.
func TestBufferFits(t *testing.T) {
	var d Decoder
	b := text(long[:100])
	next(t, &d, b[:20], EventNone)
	if d.Pinned() != 100 {
		t.Errorf("Pinned = %d for a message of 100 bytes", d.Pinned())
	}
	d = Decoder{Limits: Limits{MessageBytes: 600}}
	next(t, &d, masked(ws.OpText, false, strings.Repeat("x", 520)), EventNone)
	next(t, &d, masked(ws.OpContinuation, false, "y"), EventNone)
	if d.Pinned() > 600 {
		t.Errorf("Pinned = %d over the limit of 600", d.Pinned())
	}
}

func TestPartial(t *testing.T) {
	stream := concat(masked(ws.OpText, false, "ab"), masked(ws.OpPing, true, "p"), masked(ws.OpContinuation, true, "cd"))
	var d Decoder
	if d.Partial() {
		t.Error("Partial of a new decoder")
	}
	for i := range stream {
		if _, _, err := d.Next(stream[i:i+1], epoch); err != nil {
			t.Fatal(err)
		}
		if got, want := d.Partial(), i < len(stream)-1; got != want {
			t.Errorf("Partial after %d of %d bytes = %v, want %v", i+1, len(stream), got, want)
		}
	}
}

func TestControlWindow(t *testing.T) {
	frame := masked(ws.OpPing, true, "")
	steps := []struct {
		at   time.Duration
		code uint16
	}{
		{0, 0}, {0, 0}, {999 * time.Millisecond, 0}, // three in the first second
		{time.Second, 0}, {time.Second, 0}, {1500 * time.Millisecond, 0},
		{0, 0}, // the clock was set back: a new second begins
		{time.Millisecond, 0}, {2 * time.Millisecond, 0},
		{3 * time.Millisecond, ClosePolicy},
	}
	d := Decoder{Limits: Limits{ControlPerSecond: 3}}
	for i, step := range steps {
		_, _, err := d.Next(bytes.Clone(frame), epoch.Add(step.at))
		if closeCode(err) != step.code {
			t.Fatalf("step %d: error = %v, want code %d", i, err, step.code)
		}
	}
}

// Every limit at one less, at and one over its default.
func TestDefaultLimits(t *testing.T) {
	fragments := func(n int) []byte {
		b := masked(ws.OpText, false, "")
		for range n - 2 {
			b = append(b, masked(ws.OpContinuation, false, "")...)
		}
		return append(b, masked(ws.OpContinuation, true, "")...)
	}
	tests := []struct {
		name  string
		limit int
		in    func(n int) []byte
		over  uint16
	}{
		{"MessageBytes", 4 << 20, func(n int) []byte { return text(strings.Repeat("x", n)) }, CloseTooBig},
		{"MessageBytes in two frames", 4 << 20, func(n int) []byte {
			return concat(masked(ws.OpBinary, false, strings.Repeat("x", 1<<20)), masked(ws.OpContinuation, true, strings.Repeat("x", n-1<<20)))
		}, CloseTooBig},
		{"Fragments", 1024, fragments, ClosePolicy},
		{"ControlPerSecond", 10, func(n int) []byte { return bytes.Repeat(masked(ws.OpPong, true, "x"), n) }, ClosePolicy},
	}
	for _, test := range tests {
		for n, want := range map[int]uint16{test.limit - 1: 0, test.limit: 0, test.limit + 1: test.over} {
			var d Decoder
			events, err := feed(t, &d, test.in(n))
			if closeCode(err) != want {
				t.Errorf("%s: %d: error = %v, want code %d", test.name, n, err, want)
			}
			if want == 0 && len(events) == 0 {
				t.Errorf("%s: %d: no event", test.name, n)
			}
		}
	}
}

func TestDecoderAllocations(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
	}{
		{"text of 300 bytes", text(long[:300])},
		{"ping", masked(ws.OpPing, true, "12345678")},
		{"close", masked(ws.OpClose, true, "\x03\xe8bye")},
	}
	for _, test := range tests {
		b := make([]byte, len(test.in))
		d := new(Decoder)
		got := testing.AllocsPerRun(100, func() {
			*d = Decoder{}
			copy(b, test.in)
			if ev, _, err := d.Next(b, epoch); ev == EventNone || err != nil {
				t.Fatalf("Next = event %d, %v", ev, err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations, want 0", test.name, got)
		}
	}
}

func BenchmarkDecode300(b *testing.B) {
	benchmarkDecode(b, text(long[:300]), 1)
}

func BenchmarkDecode16x300(b *testing.B) {
	benchmarkDecode(b, bytes.Repeat(text(long[:300]), 16), 16)
}

func BenchmarkDecodeInTwoReads(b *testing.B) {
	in := text(long[:300])
	buf := make([]byte, len(in))
	var d Decoder
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		copy(buf, in)
		if ev, _, err := d.Next(buf[:150], epoch); ev != EventNone || err != nil {
			b.Fatal(ev, err)
		}
		if ev, _, err := d.Next(buf[150:], epoch); ev != EventMessage || err != nil {
			b.Fatal(ev, err)
		}
	}
}

// benchmarkDecode includes a copy of the stream, which Next unmasks in place.
func benchmarkDecode(b *testing.B, in []byte, frames int) {
	buf := make([]byte, len(in))
	var d Decoder
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		copy(buf, in)
		rest := buf
		for range frames {
			ev, n, err := d.Next(rest, epoch)
			if ev != EventMessage || err != nil {
				b.Fatal(ev, err)
			}
			rest = rest[n:]
		}
	}
}
