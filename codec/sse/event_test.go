package sse

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestAppendEvent(t *testing.T) {
	tests := []struct {
		name string
		in   Event
		want string
	}{
		{"nothing", Event{}, "\n"},
		{"data", Event{Data: []byte(`{"a":1}`)}, "data: {\"a\":1}\n\n"},
		{"empty data", Event{Data: []byte{}}, "data: \n\n"},
		{"id and empty data", Event{ID: "7", Data: []byte{}}, "id: 7\ndata: \n\n"},
		{"id without data", Event{ID: "7"}, "id: 7\n\n"},
		{"all fields", Event{ID: "7", Name: "message", Data: []byte("x"), Retry: 1500 * time.Millisecond}, "event: message\nid: 7\nretry: 1500\ndata: x\n\n"},
		{"retry under a millisecond", Event{Retry: time.Millisecond - 1}, "\n"},
		{"retry of a millisecond", Event{Retry: time.Millisecond}, "retry: 1\n\n"},
		{"negative retry", Event{Retry: -time.Second}, "\n"},
		{"LF", Event{Data: []byte("a\nb")}, "data: a\ndata: b\n\n"},
		{"CR", Event{Data: []byte("a\rb")}, "data: a\ndata: b\n\n"},
		{"CRLF", Event{Data: []byte("a\r\nb")}, "data: a\ndata: b\n\n"},
		{"LFCR", Event{Data: []byte("a\n\rb")}, "data: a\ndata: \ndata: b\n\n"},
		{"line end at the end", Event{Data: []byte("a\r\n")}, "data: a\ndata: \n\n"},
		{"line ends only", Event{Data: []byte("\n\n")}, "data: \ndata: \ndata: \n\n"},
		{"data that looks like a field", Event{Data: []byte("x\nid: 9\n\ndata: y")}, "data: x\ndata: id: 9\ndata: \ndata: data: y\n\n"},
		{"leading space", Event{ID: " 7", Data: []byte(" x")}, "id:  7\ndata:  x\n\n"},
		{"unclean id", Event{ID: "a\nid: b\x00\r\nc"}, "id: aid: bc\n\n"},
		{"unclean name", Event{Name: "\nping\r\ndata: x"}, "event: pingdata: x\n\n"},
		{"id of nothing usable", Event{ID: "\r\n\x00", Name: "\n"}, "\n"},
	}
	for _, test := range tests {
		if got := string(AppendEvent([]byte("dst"), test.in)); got != "dst"+test.want {
			t.Errorf("%s: %q, want %q", test.name, got, "dst"+test.want)
		}
	}
}

func TestAppendComment(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ": \n\n"},
		{"ping", ": ping\n\n"},
		{"a\nb\rc\r\nd", ": a\n: b\n: c\n: d\n\n"},
		{"\n\ndata: x", ": \n: \n: data: x\n\n"},
		{"end\n", ": end\n: \n\n"},
	}
	for _, test := range tests {
		got := string(AppendComment([]byte("dst"), test.in))
		if got != "dst"+test.want {
			t.Errorf("AppendComment(%q) = %q, want %q", test.in, got, "dst"+test.want)
		}
		events, err := parse(t, &Parser{}, []byte(got[3:]+"data: x\n\n"))
		if err != nil || len(events) != 1 || string(events[0].Data) != "x" {
			t.Errorf("AppendComment(%q) before an event: events %v, %v", test.in, events, err)
		}
	}
}

// Data with many line ends of one kind must not cost a search of the whole
// rest for each of them. Quadratic time would be minutes here.
func TestAppendEventLinear(t *testing.T) {
	for _, end := range []string{"\r", "\n", "\r\n"} {
		const lines = 1 << 20
		data := []byte(strings.Repeat(end, lines))
		got := AppendEvent(nil, Event{Data: data})
		if n := bytes.Count(got, []byte("data: \n")); n != lines+1 {
			t.Errorf("%q: %d lines, want %d", end, n, lines+1)
		}
	}
}

func TestAppendAllocations(t *testing.T) {
	dst := make([]byte, 0, 4096)
	e := Event{ID: "0123456789", Name: "message", Data: bytes.Repeat([]byte("x"), 300), Retry: time.Second}
	lines := Event{Data: bytes.Repeat([]byte("line\r\n"), 50)}
	for name, f := range map[string]func(){
		"event":   func() { AppendEvent(dst, e) },
		"lines":   func() { AppendEvent(dst, lines) },
		"comment": func() { AppendComment(dst, "ping") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkAppendEvent300(b *testing.B) {
	dst := make([]byte, 0, 512)
	e := Event{ID: "0123456789", Data: bytes.Repeat([]byte("x"), 300)}
	b.ReportAllocs()
	for b.Loop() {
		AppendEvent(dst, e)
	}
}
