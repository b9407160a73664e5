package transport

import (
	"bytes"
	"strings"
	"testing"

	"millrace/loop/looptest"
)

// What must be kept is kept for a reader that does not read, as an answer is.
func TestKeptEvents(t *testing.T) {
	big := []byte(`"` + strings.Repeat("x", 600<<10) + `"`)
	for _, tt := range []struct {
		name, request string
		open          string // what opens the connection
	}{
		{"http", post(jsonType), ""},
		{"websocket", string(looptest.Text(ping)), string(looptest.Upgrade("/mcp"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(Config{}, &script{})
			p := g.open()
			p.Feed([]byte(tt.open))
			p.Output()
			g.up.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(false) }
			p.Window = 0
			p.Feed([]byte(tt.request))
			g.worker(func(s Stream) {
				for range 4 {
					notify(s, big)
				}
				if s.Send(Event{Data: big}) {
					t.Error("a droppable event behind four = true, want it lost")
				}
				if !s.Send(Event{Data: []byte(note), Keep: true}) {
					t.Error("an event to keep = false")
				}
				s.Respond(ok(pong))
			})
			p.Drink(8 << 20)
			if out := p.Output(); bytes.Count(out, []byte(note)) != 1 || bytes.Count(out, []byte(pong)) != 1 {
				t.Errorf("the event or the answer was lost: %d bytes", len(out))
			}
		})
	}
}

// Where there are no event streams an event is its message, and one without a
// message is nothing.
func TestEventsWithoutEventStream(t *testing.T) {
	send := func(t *testing.T, s Stream) {
		t.Helper()
		if !s.Send(Event{ID: "e1", Data: []byte(note), Retry: 1e9}) || !s.Send(Event{Data: []byte(note), Keep: true}) {
			t.Error("Send of a message = false")
		}
		if s.Send(Event{ID: "e0"}) || s.Send(Event{Retry: 1e9}) {
			t.Error("Send without a message = true, want it lost")
		}
	}
	t.Run("websocket", func(t *testing.T) {
		g := newAwayRig(Config{})
		p := g.open()
		p.Feed(looptest.Upgrade("/mcp"))
		g.worker(func(s Stream) { s.Respond(Response{Status: 101}) })
		p.Output()
		p.Feed(looptest.Text(ping))
		g.worker(func(s Stream) { send(t, s) })
		wantFrames(t, p, text(note), text(note))
	})
	t.Run("stdio", func(t *testing.T) {
		out, err := serveStdio(t, strings.NewReader(ping+"\n"), StdioConfig{}, &script{dispatch: func(_ *Request, s Stream) { send(t, s) }})
		if err != nil || out != note+"\n"+note+"\n" {
			t.Errorf("output %q, %v", out, err)
		}
	})
	t.Run("json only", func(t *testing.T) {
		g := newAwayRig(Config{})
		p := g.open()
		p.Feed([]byte(post(jsonType, "Accept: application/json")))
		g.worker(func(s Stream) {
			if s.Send(Event{ID: "e0"}) || s.Send(Event{Data: []byte(note), Keep: true}) {
				t.Error("Send to a client without event streams = true, want false")
			}
			r := ok(pong)
			r.EventID = "e1"
			s.Respond(r)
			if s.Send(Event{ID: "e2"}) {
				t.Error("Send after the answer = true, want false")
			}
		})
		wantOutput(t, p, pongAnswer)
	})
}

// One who takes event streams only gets the answer's id with it.
func TestAnswerAsOnlyEvent(t *testing.T) {
	d := &script{dispatch: func(_ *Request, s Stream) {
		r := ok(pong)
		r.EventID = "e1"
		s.Respond(r)
	}}
	want := streamHead + "33\r\nid: e1\ndata: " + pong + "\n\n\r\n" + lastChunk
	if got := newRig(Config{}, d).exchange(post(jsonType, "Accept: text/event-stream")); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
