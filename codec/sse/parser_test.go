package sse

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// parse gives the chunks to p and collects events, with copies of their data,
// until the chunks are used or p fails.
func parse(t testing.TB, p *Parser, chunks ...[]byte) (events []Event, err error) {
	t.Helper()
	for _, chunk := range chunks {
		b := bytes.Clone(chunk)
		for {
			ok, n, err := p.Next(b)
			if n < 0 || n > len(b) || !ok && n != len(b) {
				t.Fatalf("Next = %v with %d of %d bytes used", ok, n, len(b))
			}
			if err != nil {
				if ok {
					t.Fatalf("Next = an event with error %v", err)
				}
				return events, err
			}
			if !ok {
				break
			}
			e := p.Event()
			e.Data = bytes.Clone(e.Data)
			events = append(events, e)
			b = b[n:]
		}
		if !bytes.HasSuffix(chunk, b) {
			t.Fatal("Next changed its input")
		}
	}
	return events, nil
}

func data(s string) Event { return Event{Data: []byte(s)} }

var streams = []struct {
	name string
	in   string
	want []Event
}{
	{"nothing", "", nil},
	{"one", "data: x\n\n", []Event{data("x")}},
	{"no space", "data:x\n\n", []Event{data("x")}},
	{"one space is cut", "data:  x \n\n", []Event{data(" x ")}},
	{"a tab is not", "data:\tx\n\n", []Event{data("\tx")}},
	{"CR", "data: x\r\rdata: y\r\r", []Event{data("x"), data("y")}},
	{"CRLF", "data: x\r\n\r\ndata: y\r\n\r\n", []Event{data("x"), data("y")}},
	{"mixed line ends", "data: x\rdata: y\ndata: z\r\n\n", []Event{data("x\ny\nz")}},
	{"CR then blank LF line", "data: x\r\n\n", []Event{data("x")}},
	{"several lines", "data: YHOO\ndata: +2\ndata: 10\n\n", []Event{data("YHOO\n+2\n10")}},
	{"empty data", "data\n\ndata\ndata\n\ndata:", []Event{data(""), data("\n")}},
	{"no data is no event", "event: a\nid: 1\n\ndata: x\n\n", []Event{{ID: "1", Data: []byte("x")}}},
	{"name does not last", "event: a\ndata: x\n\ndata: y\n\n", []Event{{Name: "a", Data: []byte("x")}, data("y")}},
	{"last name wins", "event: a\nevent: b\ndata: x\n\n", []Event{{Name: "b", Data: []byte("x")}}},
	{"empty name", "event: a\nevent\ndata: x\n\n", []Event{data("x")}},
	{"id lasts", "id: 1\ndata: x\n\ndata: y\n\n", []Event{{ID: "1", Data: []byte("x")}, {ID: "1", Data: []byte("y")}}},
	{"id is reset", "id: 1\ndata: x\n\nid\ndata: y\n\n", []Event{{ID: "1", Data: []byte("x")}, data("y")}},
	{"id with NUL", "id: 1\nid: 2\x003\ndata: x\n\n", []Event{{ID: "1", Data: []byte("x")}}},
	{"retry", "retry: 1500\ndata: x\n\ndata: y\n\n", []Event{{Retry: 1500 * time.Millisecond, Data: []byte("x")}, data("y")}},
	{"retry not digits", "retry: 1s\nretry: -1\nretry: +1\nretry: 1.5\nretry:\nretry:  1\ndata: x\n\n", []Event{data("x")}},
	{"retry too large", "retry: 99999999999999999999\ndata: x\n\n", []Event{data("x")}},
	{"comments", ": c\n:\n:data: y\ndata: x\n: c\n\n: end\n\n", []Event{data("x")}},
	{"colon in value", "data: a:b: c\n\n", []Event{data("a:b: c")}},
	{"unknown fields", "foo: bar\nDATA: y\ndatax: y\n data: y\ndata : y\ndata: x\n\n", []Event{data("x")}},
	{"BOM", "\xef\xbb\xbfdata: x\n\n", []Event{data("x")}},
	{"BOM twice", "\xef\xbb\xbf\xef\xbb\xbfdata: x\n\ndata: y\n\n", []Event{data("y")}},
	{"BOM later", "data: x\n\n\xef\xbb\xbfdata: y\n\n", []Event{data("x")}},
	{"BOM and blank line", "\xef\xbb\xbf\ndata: x\n\n", []Event{data("x")}},
	{"blank lines", "\n\r\n\rdata: x\n\n\n\n", []Event{data("x")}},
	{"no blank line at the end", "data: x\n\ndata: y\n", []Event{data("x")}},
	{"no line end at the end", "data: x\n\ndata: y", []Event{data("x")}},
	{"standard's example", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", []Event{{ID: "1", Data: []byte("first event")}, data("second event"), data(" third event")}},
}

func TestParser(t *testing.T) {
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			check := func(chunks ...[]byte) {
				t.Helper()
				got, err := parse(t, &Parser{}, chunks...)
				if err != nil || !reflect.DeepEqual(got, s.want) {
					t.Fatalf("events = %+v, %v; want %+v", got, err, s.want)
				}
			}
			in := []byte(s.in)
			check(in)
			for cut := range in {
				check(in[:cut], in[cut:])
			}
			check(slices.Collect(slices.Chunk(in, 1))...)
		})
	}
}

func TestParserState(t *testing.T) {
	var p Parser
	if _, ok := p.Retry(); ok || p.LastEventID() != "" {
		t.Error("a new parser has a state")
	}
	// The id counts from the blank line on, the reconnection time at once.
	if _, err := parse(t, &p, []byte("id: 1\nretry: 0\n")); err != nil {
		t.Fatal(err)
	}
	if wait, ok := p.Retry(); wait != 0 || !ok {
		t.Errorf("Retry = %v, %v; want 0, true", wait, ok)
	}
	if got := p.LastEventID(); got != "" {
		t.Errorf("LastEventID = %q before the blank line", got)
	}
	events, err := parse(t, &p, []byte("retry: 250\n\n"))
	if err != nil || len(events) != 0 {
		t.Errorf("events = %v, %v; want none", events, err)
	}
	if got := p.LastEventID(); got != "1" {
		t.Errorf("LastEventID = %q, want 1", got)
	}
	if wait, ok := p.Retry(); wait != 250*time.Millisecond || !ok {
		t.Errorf("Retry = %v, %v; want 250ms, true", wait, ok)
	}
}

func TestParseRetry(t *testing.T) {
	most := math.MaxInt64 / int64(time.Millisecond)
	for ms, want := range map[int64]bool{0: true, most - 1: true, most: true, most + 1: false, math.MaxInt64: false} {
		wait, ok := parseRetry(strconv.AppendInt(nil, ms, 10))
		if ok != want || ok && wait != time.Duration(ms)*time.Millisecond {
			t.Errorf("parseRetry(%d) = %v, %v; want ok = %v", ms, wait, ok, want)
		}
	}
}

func TestParserLimit(t *testing.T) {
	const limit = 100
	tests := []struct {
		name string
		in   func(n int) string // a stream whose largest event has n bytes
	}{
		{"one line", func(n int) string { return "data: " + strings.Repeat("x", n-6) + "\n\n" }},
		{"several lines", func(n int) string {
			return "data: " + strings.Repeat("x", 39) + "\ndata: " + strings.Repeat("y", n-46) + "\n\n"
		}},
		{"comment", func(n int) string { return ":" + strings.Repeat("x", n-1) + "\n" }},
		{"no line end", func(n int) string { return strings.Repeat("x", n) }},
		{"blank data lines", func(n int) string { return strings.Repeat("data\n", n-3) + "\n" }},
	}
	for _, test := range tests {
		for n, want := range map[int]error{limit - 1: nil, limit: nil, limit + 1: ErrTooLong} {
			for _, size := range []int{1000, 1, 7} {
				in := []byte("data: ok\n\n" + test.in(n))
				p := Parser{MaxBytes: limit}
				_, err := parse(t, &p, slices.Collect(slices.Chunk(in, size))...)
				if !errors.Is(err, want) {
					t.Errorf("%s: %d bytes in reads of %d: error = %v, want %v", test.name, n, size, err, want)
				}
				if _, again := parse(t, &p, []byte("\n\ndata: x\n\n")); !errors.Is(again, want) {
					t.Errorf("%s: %d bytes: error later = %v, want %v", test.name, n, again, want)
				}
			}
		}
	}
}

// Comments do not add up: a stream may be silent for ever.
func TestParserManyComments(t *testing.T) {
	p := Parser{MaxBytes: 20}
	events, err := parse(t, &p, []byte("data: x\n"+strings.Repeat(": keep-alive\n", 1000)+"\n"))
	if err != nil || len(events) != 1 {
		t.Errorf("events = %v, %v; want one", events, err)
	}
}

func TestParserDefaultLimit(t *testing.T) {
	e := Event{Data: bytes.Repeat([]byte("x"), 4<<20)}
	events, err := parse(t, &Parser{}, AppendEvent(nil, e))
	if err != nil || len(events) != 1 || len(events[0].Data) != 4<<20 {
		t.Errorf("%d events, %v; want the one of 4 MiB", len(events), err)
	}
	if _, err := parse(t, &Parser{}, make([]byte, 5<<20+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("error = %v, want %v", err, ErrTooLong)
	}
}

func FuzzParser(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s.in), uint8(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, cut := Parser{MaxBytes: 64}, Parser{MaxBytes: 64}
		want, wantErr := parse(t, &whole, stream)
		got, err := parse(t, &cut, slices.Collect(slices.Chunk(stream, int(size)+1))...)
		if !reflect.DeepEqual(got, want) || !errors.Is(err, wantErr) {
			t.Errorf("reads of %d: %+v, %v; in one read %+v, %v", int(size)+1, got, err, want, wantErr)
		}
		if whole.LastEventID() != cut.LastEventID() {
			t.Errorf("LastEventID = %q, in one read %q", cut.LastEventID(), whole.LastEventID())
		}
		for _, e := range want {
			if len(e.Data) > 64 || strings.ContainsAny(e.ID+e.Name, "\r\n") || strings.Contains(e.ID, "\x00") {
				t.Errorf("event %+v", e)
			}
		}
	})
}

// FuzzRoundTrip: what AppendEvent writes, Parser reads, whatever the fields
// hold, and an event after it is not touched.
func FuzzRoundTrip(f *testing.F) {
	f.Add("1", "message", []byte("hello"), int64(0))
	f.Add("a\nb", "\r", []byte("x\r\ny\rz\n"), int64(1500))
	f.Add("\x00", "data: y\n\n", []byte("\n\ndata: z"), int64(-1))
	f.Add("", "\xef\xbb\xbf", []byte{}, int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, id, name string, payload []byte, retry int64) {
		stream := AppendEvent(nil, Event{ID: id, Name: name, Data: payload, Retry: time.Duration(retry)})
		stream = AppendComment(stream, name)
		stream = AppendEvent(stream, data("next"))
		got, err := parse(t, &Parser{}, stream)

		clean := strings.NewReplacer("\r", "", "\n", "", "\x00", "")
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		want := []Event{
			{ID: clean.Replace(id), Name: clean.Replace(name), Data: []byte(lines.Replace(string(payload)))},
			{ID: clean.Replace(id), Data: []byte("next")},
		}
		if retry > 0 {
			want[0].Retry = time.Duration(retry).Truncate(time.Millisecond)
		}
		if payload == nil {
			want = want[1:]
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: events %+v, %v; want %+v", stream, got, err, want)
		}
	})
}
