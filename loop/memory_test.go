package loop_test

import (
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

// quiet is for engines and loops whose diagnostics a test provokes.
var quiet = slog.New(slog.DiscardHandler)

// rig is a loop in memory with one connection.
type rig struct {
	*testing.T
	*loop.Memory
	*loop.Pipe
	h *looptest.Handler
}

func newRig(t *testing.T, cfg loop.Config, h *looptest.Handler) *rig {
	t.Helper()
	if h == nil {
		h = &looptest.Handler{}
	}
	cfg.Logger = quiet
	m := loop.NewMemory(cfg, h)
	return &rig{t, m, m.Open("192.0.2.1:1000", 0), h}
}

// newWebSocket is newRig with the connection switched and the handshake read.
func newWebSocket(t *testing.T, cfg loop.Config, h *looptest.Handler) *rig {
	t.Helper()
	r := newRig(t, cfg, h)
	r.Feed(looptest.Upgrade("/"))
	if got := r.responses(); len(got) != 1 || got[0].Status != 101 {
		t.Fatalf("upgrade answered with %+v", got)
	}
	r.h.Events()
	r.Writes = 0
	return r
}

func (r *rig) responses() []looptest.Response {
	r.Helper()
	all, rest, err := looptest.Responses(r.Output())
	if err != nil || len(rest) > 0 {
		r.Fatalf("output: %v, rest %q", err, rest)
	}
	return all
}

func (r *rig) statuses() (s []int) {
	r.Helper()
	for _, a := range r.responses() {
		s = append(s, a.Status)
	}
	return s
}

func (r *rig) frames() []looptest.Frame {
	r.Helper()
	f, err := looptest.Frames(r.Output())
	if err != nil {
		r.Fatal(err)
	}
	return f
}

func (r *rig) wantEvents(want ...string) {
	r.Helper()
	if got := r.h.Events(); !slices.Equal(got, want) {
		r.Errorf("events %q, want %q", got, want)
	}
}

func (r *rig) wantStatuses(want ...int) {
	r.Helper()
	if got := r.statuses(); !slices.Equal(got, want) {
		r.Errorf("statuses %v, want %v", got, want)
	}
}

func (r *rig) wantFrames(want ...looptest.Frame) {
	r.Helper()
	if got := r.frames(); !reflect.DeepEqual(got, want) {
		r.Errorf("frames %+v, want %+v", got, want)
	}
}

// wantOpen checks whether the connection still is what it was.
func (r *rig) wantState(fin, closed bool) {
	r.Helper()
	if r.FIN != fin || r.Closed != closed {
		r.Errorf("FIN %v, closed %v; want %v, %v", r.FIN, r.Closed, fin, closed)
	}
}

// hold is a handler function that leaves the exchange open.
func hold(*loop.Conn, *http1.Request) {}

func bytesOf(n int) *buffer.Buffer { return &buffer.Buffer{B: make([]byte, n)} }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// TestSplitAtEveryByte feeds the same bytes cut in two at every place, and one
// byte at a time: events and output must not differ.
func TestSplitAtEveryByte(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
	}{
		{"pipelined", cat(
			looptest.Request("POST", "/one", "first body"),
			looptest.Chunked("/two", "sec", "ond ", "body"),
			looptest.Request("GET", "/three", ""),
			looptest.Request("DELETE", "/four", "short"),
			looptest.Request("POST", "/five", "last", "Connection: close"),
			looptest.Request("GET", "/ignored", ""))},
		{"websocket", cat(
			looptest.Request("POST", "/one", "first"),
			looptest.Upgrade("/ws"),
			looptest.Text("whole"),
			looptest.ClientFrame(looptest.OpText, false, []byte("in ")),
			looptest.ClientFrame(looptest.OpPing, true, []byte("between")),
			looptest.ClientFrame(looptest.OpContinuation, true, []byte("pieces: \u00e4\u20ac")),
			looptest.Text(strings.Repeat("long", 40)),
			looptest.ClientClose(1000, "done"),
			looptest.Text("ignored"))},
		{"malformed", cat(looptest.Request("POST", "/one", "first"), []byte("GET / HTTP/1.1\nHost: a\r\n\r\n"), looptest.Request("GET", "/ignored", ""))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			whole := newRig(t, loop.Config{}, nil)
			whole.Feed(tt.in)
			wantOut, wantEvents := whole.Output(), whole.h.Events()
			if len(wantOut) == 0 || len(wantEvents) < 2 {
				t.Fatalf("nothing happened: %q", wantEvents)
			}
			check := func(name any, r *rig) {
				t.Helper()
				if out := r.Output(); string(out) != string(wantOut) {
					t.Fatalf("cut %v: output %q, want %q", name, out, wantOut)
				}
				if ev := r.h.Events(); !slices.Equal(ev, wantEvents) {
					t.Fatalf("cut %v: events %q, want %q", name, ev, wantEvents)
				}
				r.Hangup()
				if n := r.Stats().PinnedBytes; n != 0 {
					t.Fatalf("cut %v: %d bytes are pinned after the end", name, n)
				}
			}
			for cut := range tt.in {
				r := newRig(t, loop.Config{}, nil)
				r.Feed(tt.in[:cut])
				r.Feed(tt.in[cut:])
				check(cut, r)
			}
			r := newRig(t, loop.Config{}, nil)
			for i := range tt.in {
				r.Feed(tt.in[i : i+1])
			}
			check("each byte", r)
		})
	}
}

func TestOpenedRefuses(t *testing.T) {
	h := &looptest.Handler{OnOpened: func(c *loop.Conn) bool {
		c.SetAlarm(c.Now().Add(time.Second))
		return false
	}}
	r := newRig(t, loop.Config{}, h)
	r.Advance(2 * time.Second)
	r.wantEvents("opened")
	if r.Conn != nil || !r.Closed {
		t.Errorf("Open returned %v, closed %v", r.Conn, r.Closed)
	}
	if s := r.Stats(); s.TurnedAway != 1 || s.Active != 0 || s.Accepted != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestAbortInOpened(t *testing.T) {
	why := errors.New("not you")
	r := newRig(t, loop.Config{}, &looptest.Handler{OnOpened: func(c *loop.Conn) bool {
		c.Abort(why)
		return true
	}})
	r.wantEvents("opened", "closed not you")
	r.wantState(false, true)
	if n := r.Stats().Active; n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

func TestMaxConnections(t *testing.T) {
	h := &looptest.Handler{}
	m := loop.NewMemory(loop.Config{MaxConnections: 2}, h)
	a, b, c := m.Open("a", 0), m.Open("b", 1), m.Open("c", 2)
	if a.Closed || b.Closed || !c.Closed {
		t.Errorf("closed: %v %v %v, want the third alone", a.Closed, b.Closed, c.Closed)
	}
	a.Hangup()
	if d := m.Open("d", 3); d.Closed {
		t.Error("a place that became free is not given away")
	} else if d.Conn.Tag() != 3 || d.Conn.RemoteAddr() != "d" || d.Conn.ID() == b.Conn.ID() {
		t.Errorf("tag %d, remote %q, id %d beside %d", d.Conn.Tag(), d.Conn.RemoteAddr(), d.Conn.ID(), b.Conn.ID())
	}
	if s := m.Stats(); s.Active != 2 || s.Peak != 2 || s.Accepted != 3 || s.TurnedAway != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestPanicClosesOnlyItsConnection(t *testing.T) {
	boom := func(c *loop.Conn) {
		if c.RemoteAddr() != "other" {
			panic("boom")
		}
	}
	tests := []struct {
		name    string
		h       looptest.Handler
		provoke func(r *rig)
	}{
		{"Request", looptest.Handler{OnRequest: func(c *loop.Conn, r *http1.Request) {
			boom(c)
			looptest.Serve(c, r)
		}}, func(r *rig) { r.Feed(looptest.Request("POST", "/", "body")) }},
		{"Request with a body in pieces", looptest.Handler{OnRequest: func(c *loop.Conn, r *http1.Request) {
			boom(c)
			looptest.Serve(c, r)
		}}, func(r *rig) {
			in := looptest.Request("POST", "/", "body")
			r.Feed(in[:len(in)-1])
			r.Feed(in[len(in)-1:])
		}},
		{"Message", looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) { boom(c) }}, func(r *rig) {
			r.Feed(cat(looptest.Upgrade("/"), looptest.Text("hi")))
		}},
		{"Message after a late switch", looptest.Handler{
			OnRequest: func(c *loop.Conn, r *http1.Request) {
				if c.RemoteAddr() == "other" {
					looptest.Serve(c, r)
				}
			},
			OnMessage: func(c *loop.Conn, _ []byte) { boom(c) },
		}, func(r *rig) {
			r.Feed(cat(looptest.Upgrade("/"), looptest.Text("hi")))
			r.Conn.Send(r.Conn.Exchange(), bytesOf(1), loop.Switch)
			r.Deliver()
		}},
		{"Alarm", looptest.Handler{
			OnOpened: func(c *loop.Conn) bool { c.SetAlarm(c.Now().Add(time.Second)); return true },
			OnAlarm:  boom,
		}, func(r *rig) { r.Advance(time.Second + 100*time.Millisecond) }},
		{"Drain", looptest.Handler{OnDrain: boom}, func(r *rig) { r.Drain() }},
		{"Closed", looptest.Handler{OnClosed: func(c *loop.Conn, _ error) { boom(c) }}, func(r *rig) { r.Hangup() }},
		{"Post", looptest.Handler{}, func(r *rig) {
			r.Conn.Post(boom)
			r.Deliver()
		}},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, loop.Config{}, &tt.h)
			other := r.Open("other", 0)
			tt.provoke(r)
			r.wantState(false, true)
			if n := r.Stats().Panics; n != 1 {
				t.Errorf("%d panics counted", n)
			}
			if n := r.Stats().Active; n != 1 {
				t.Errorf("%d connections are open, want the other one", n)
			}
			if ev := r.h.Events(); tt.name != "Closed" && !slices.Contains(ev, "closed handler panicked") {
				t.Errorf("events %q", ev)
			}
			other.Feed(looptest.Request("POST", "/", "still here"))
			if got, _, _ := looptest.Responses(other.Output()); len(got) != 1 || got[0].Body != "still here" {
				t.Errorf("the other connection answers %+v", got)
			}
		})
	}
}

func TestPanicInOpened(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnOpened: func(*loop.Conn) bool { panic("boom") }})
	r.wantEvents("opened")
	if s := r.Stats(); s.Active != 0 || s.Panics != 1 || !r.Closed {
		t.Errorf("stats %+v, closed %v", s, r.Closed)
	}
}

func TestAbortInCallback(t *testing.T) {
	why := errors.New("enough")
	t.Run("request", func(t *testing.T) {
		r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: func(c *loop.Conn, _ *http1.Request) {
			c.Write(c.Exchange(), looptest.Answer(c, "lost"), loop.Last)
			c.Abort(why)
			c.Abort(nil) // the first reason counts
		}})
		r.Feed(cat(looptest.Request("GET", "/a", ""), looptest.Request("GET", "/b", "")))
		r.wantEvents("opened", "request GET /a ", "closed enough")
		r.wantState(false, true)
		if out := r.Output(); len(out) > 0 {
			t.Errorf("output %q after Abort", out)
		}
	})
	t.Run("message", func(t *testing.T) {
		r := newWebSocket(t, loop.Config{}, &looptest.Handler{OnMessage: func(c *loop.Conn, _ []byte) { c.Abort(why) }})
		r.Feed(cat(looptest.Text("a"), looptest.Text("b")))
		r.wantEvents("message a", "closed enough")
	})
	t.Run("alarm", func(t *testing.T) {
		r := newRig(t, loop.Config{}, &looptest.Handler{OnAlarm: func(c *loop.Conn) { c.Abort(why) }})
		r.Conn.SetAlarm(r.Memory.Now().Add(time.Second))
		r.Advance(time.Second)
		r.wantEvents("opened", "alarm", "closed enough")
	})
}

func TestUser(t *testing.T) {
	r := newRig(t, loop.Config{}, nil)
	r.Conn.SetUser(42)
	if r.Conn.User() != 42 || r.Conn.Gone() || r.Conn.Dropped() != 0 {
		t.Errorf("user %v, gone %v, dropped %d", r.Conn.User(), r.Conn.Gone(), r.Conn.Dropped())
	}
	r.Hangup()
	if !r.Conn.Gone() {
		t.Error("Gone is false after the end")
	}
}

// TestClosedTellsOthers: what a handler says to other connections when one ends
// must not wait for the next event of theirs.
func TestClosedTellsOthers(t *testing.T) {
	var other *loop.Pipe
	h := &looptest.Handler{OnRequest: hold}
	h.OnClosed = func(c *loop.Conn, _ error) {
		if c != other.Conn {
			other.Conn.Write(other.Conn.Exchange(), looptest.Answer(other.Conn, "it left"), loop.Last)
		}
	}
	for _, how := range []string{"hangup", "failed write"} {
		r := newRig(t, loop.Config{}, h)
		other = r.Open("other", 0)
		other.Feed(looptest.Request("GET", "/", ""))
		if how == "hangup" {
			r.Hangup()
		} else {
			r.Feed(looptest.Request("GET", "/", ""))
			r.Fail = errors.New("broken pipe")
			r.Conn.Send(r.Conn.Exchange(), bytesOf(10), 0)
			r.Deliver()
			r.wantState(false, true)
		}
		if got, _, _ := looptest.Responses(other.Output()); len(got) != 1 || got[0].Body != "it left" {
			t.Errorf("%s: the other connection got %+v", how, got)
		}
	}
}
