package loop_test

import (
	"strings"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
)

// grain is the tick of the timers.
const grain = 100 * time.Millisecond

// ends advances to one tick before d, where done must be false, and on to d,
// where it must be true.
func (r *rig) ends(d time.Duration, done func() bool) {
	r.Helper()
	r.Advance(d - grain)
	if done() {
		r.Fatalf("the end came before %v", d)
	}
	r.Advance(grain)
	if !done() {
		r.Fatalf("no end after %v", d)
	}
}

func (r *rig) finSent() bool { return r.FIN }
func (r *rig) isGone() bool  { return r.Closed }

func TestHeadTimeout(t *testing.T) {
	head := string(looptest.Request("GET", "/", ""))
	t.Run("at once", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Advance(20 * time.Second) // the clock runs from the first byte
		r.Feed([]byte(head[:5]))
		r.ends(10*time.Second, r.finSent)
		r.wantStatuses(408)
		r.ends(time.Second, r.isGone) // the reason outlives the linger
		r.wantEvents("opened", "closed "+loop.ErrTimeout.Error())
	})
	t.Run("dribbled", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		for i := range 9 {
			r.Feed([]byte(head[i : i+1]))
			r.Advance(time.Second)
		}
		r.Feed([]byte(head[9:10]))
		r.ends(time.Second, r.finSent)
		r.wantStatuses(408)
	})
	t.Run("of a following request", func(t *testing.T) {
		r := newRig(t, loop.Config{HeadTimeout: 2 * time.Second}, &looptest.Handler{OnRequest: hold})
		r.Feed([]byte(head + head[:5]))
		r.Advance(time.Minute) // does not count while the first one is served
		r.wantState(false, false)
		r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, "ok"), loop.Last)
		r.Deliver()
		r.ends(2*time.Second, r.finSent)
		r.wantStatuses(200, 408)
	})
	t.Run("in time", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed([]byte(head[:5]))
		r.Advance(10*time.Second - grain)
		r.Feed([]byte(head[5:]))
		r.wantStatuses(200)
		r.Advance(70 * time.Second)
		r.wantState(false, false)
	})
}

func TestBodyRate(t *testing.T) {
	in := looptest.Request("POST", "/", strings.Repeat("x", 1<<20))
	head := len(in) - 1<<20
	t.Run("nothing comes", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in[:head])
		r.ends(10*time.Second, r.finSent)
		r.wantStatuses(408)
	})
	t.Run("what came buys time", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in[:head+2047])
		r.Advance(9 * time.Second)
		r.Feed(in[:1])
		r.ends(3*time.Second, r.finSent)
		r.wantStatuses(408)
	})
	t.Run("but no time to be silent in", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in[:len(in)-1]) // 1,024 s worth of it
		r.ends(10*time.Second, r.finSent)
		r.wantStatuses(408)
	})
	t.Run("draining", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in[:head+2048]) // half a request is not in flight
		r.Drain()
		r.ends(time.Second, r.finSent)
	})
	t.Run("at the rate", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(in[:head])
		for range 60 {
			r.Advance(time.Second)
			r.Feed(make([]byte, 1024))
		}
		r.wantState(false, false)
	})
	t.Run("half the rate", func(t *testing.T) {
		r := newRig(t, loop.Config{BodyGrace: 2 * time.Second, BodyRate: 100}, nil)
		r.Feed(in[:head])
		for range 2 {
			r.Advance(time.Second)
			r.Feed(make([]byte, 50))
		}
		r.ends(time.Second, r.finSent) // at 2 s + 100/100 s
		if n := r.Stats().PinnedBytes; n != 0 {
			t.Errorf("%d bytes stay pinned", n)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	t.Run("never used", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.ends(75*time.Second, r.finSent)
		if out := r.Output(); len(out) > 0 {
			t.Errorf("said %q", out)
		}
		r.ends(time.Second, r.isGone) // the peer sends no FIN: linger
		r.wantEvents("opened", "closed <nil>")
	})
	t.Run("after a request", func(t *testing.T) {
		r := newRig(t, loop.Config{}, nil)
		r.Advance(74 * time.Second)
		r.Feed(looptest.Request("GET", "/", ""))
		r.ends(75*time.Second, r.finSent)
	})
	t.Run("after a long request", func(t *testing.T) {
		r := newRig(t, loop.Config{IdleTimeout: 3 * time.Second}, &looptest.Handler{OnRequest: hold})
		r.Feed(looptest.Request("GET", "/", ""))
		r.Advance(10 * time.Minute)
		r.wantState(false, false)
		r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, "ok"), loop.Last)
		r.Deliver()
		r.ends(3*time.Second, r.finSent)
	})
}

// TestLingerIsNotExtended: bytes that arrive while lingering must not keep the
// connection.
func TestLingerIsNotExtended(t *testing.T) {
	r := newRig(t, loop.Config{}, nil)
	r.Feed([]byte("bad\r\n\r\n"))
	r.wantState(true, false)
	for range 9 {
		r.Advance(grain)
		r.Feed([]byte("x"))
	}
	r.ends(grain, r.isGone)

	w := newWebSocket(t, loop.Config{}, nil)
	w.Feed(looptest.ClientClose(1000, ""))
	w.ends(5*time.Second, w.isGone)
}

func TestMessageTimeout(t *testing.T) {
	part := looptest.ClientFrame(looptest.OpText, false, []byte("part"))
	more := looptest.ClientFrame(looptest.OpContinuation, false, []byte("part"))
	for name, cfg := range map[string]loop.Config{
		"default":         {},
		"without pings":   {PingInterval: -1},
		"after the pings": {PingInterval: 20 * time.Second},
		"before them":     {PingInterval: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWebSocket(t, cfg, nil)
			r.Feed(part)
			for range 29 {
				r.Advance(time.Second)
				r.Feed(more)
			}
			r.Output()
			r.ends(time.Second, r.finSent)
			r.wantFrames(closeFrame(1008, "message took too long"))
			r.Hangup()
			r.wantEvents("closed " + loop.ErrTimeout.Error())
		})
	}
}

// TestCutFramesAreNotOneMessage: reads that always end inside of a frame, as a
// busy peer's do, are no message that takes for ever.
func TestCutFramesAreNotOneMessage(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, nil)
	f := looptest.Text("message")
	r.Feed(f[:5])
	for range 100 {
		r.Advance(time.Second)
		r.Feed(cat(f[5:], f[:5]))
	}
	r.wantState(false, false)
	if n := r.Stats().Messages; n != 100 {
		t.Errorf("%d messages", n)
	}
	r.Output()
	r.ends(30*time.Second, r.finSent)
}

func TestPingAndPong(t *testing.T) {
	ping := looptest.Frame{Op: looptest.OpPing}
	t.Run("no answer", func(t *testing.T) {
		r := newWebSocket(t, loop.Config{}, nil)
		r.Advance(30*time.Second - grain)
		r.wantFrames()
		r.Advance(grain)
		r.wantFrames(ping)
		r.ends(10*time.Second, r.isGone)
		r.wantEvents("closed " + loop.ErrNoPong.Error())
	})
	for name, answer := range map[string][]byte{
		"pong":        looptest.ClientFrame(looptest.OpPong, true, nil),
		"a message":   looptest.Text("hi"),
		"half of one": looptest.Text("hi")[:3],
	} {
		t.Run(name, func(t *testing.T) {
			r := newWebSocket(t, loop.Config{MessageTimeout: time.Hour}, nil)
			r.Advance(30 * time.Second)
			r.Output()
			r.Advance(10*time.Second - grain)
			r.Feed(answer)
			r.Output()
			r.Advance(30*time.Second - grain)
			r.wantFrames()
			r.Advance(grain)
			r.wantFrames(ping)
		})
	}
	t.Run("off", func(t *testing.T) {
		r := newWebSocket(t, loop.Config{PingInterval: -1}, nil)
		r.ends(5*time.Minute, r.finSent)
		r.wantFrames(closeFrame(1001, "idle for too long"))
	})
	t.Run("of the peer", func(t *testing.T) {
		r := newWebSocket(t, loop.Config{}, nil)
		r.Feed(looptest.ClientFrame(looptest.OpPing, true, []byte("data")))
		r.wantFrames(looptest.Frame{Op: looptest.OpPong, Payload: "data"})
	})
}

func TestAlarm(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	at := func(d time.Duration) { r.Conn.SetAlarm(r.Memory.Now().Add(d)) }
	rings := 0
	rang := func() bool {
		for _, e := range r.h.Events() {
			if e == "alarm" {
				rings++
			}
		}
		return rings > 0
	}
	at(2 * time.Minute) // behind the horizon of the wheel
	r.Feed(looptest.Request("GET", "/", ""))
	r.ends(2*time.Minute, rang)
	r.Advance(time.Minute)
	rang()
	if rings != 1 {
		t.Errorf("rang %d times", rings)
	}

	rings = 0
	at(time.Minute)
	at(time.Second) // earlier
	r.ends(time.Second, rang)

	rings = 0
	at(time.Second)
	at(3 * time.Second) // later
	r.ends(3*time.Second, rang)

	rings = 0
	at(time.Second)
	r.Conn.SetAlarm(time.Time{})
	r.Advance(time.Minute)
	at(time.Second)
	r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, ""), loop.Last)
	r.Deliver()
	r.Advance(time.Minute)
	if rang() {
		t.Error("a cleared alarm rang")
	}
}

func TestDrainIdle(t *testing.T) {
	for _, idle := range []time.Duration{300 * time.Millisecond, 30 * time.Second} {
		r := newRig(t, loop.Config{}, nil)
		r.Feed(looptest.Request("GET", "/", ""))
		r.Output()
		r.Advance(idle)
		r.Drain()
		r.ends(time.Second, r.finSent)
		r.ends(time.Second, r.isGone)
		r.wantEvents("opened", "request GET / ", "drain", "closed <nil>")

		r = newRig(t, loop.Config{}, nil)
		r.Advance(idle)
		r.Drain()
		r.Advance(500 * time.Millisecond)
		r.Feed(looptest.Request("GET", "/", "")) // was on its way
		if got := r.responses(); len(got) != 1 || got[0].Header["connection"] != "close" {
			t.Errorf("idle for %v: answered with %+v", idle, got)
		}
		r.wantState(true, false)
	}
}

func TestDrainBusy(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: hold})
	r.Feed(cat(looptest.Request("GET", "/", ""), looptest.Request("GET", "/next", "")))
	r.Drain()
	r.Advance(time.Minute)
	r.wantState(false, false)
	r.Conn.Send(r.Conn.Exchange(), looptest.Answer(r.Conn, "ok"), loop.Last)
	r.Deliver()
	if got := r.responses(); len(got) != 1 || got[0].Header["connection"] != "close" {
		t.Errorf("answered with %+v", got)
	}
	r.wantState(true, false)
	r.wantEvents("opened", "request GET / ", "drain")
}

func TestDrainWebSocket(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, &looptest.Handler{OnDrain: func(c *loop.Conn) {
		c.CloseWebSocket(1001, "shutting down")
	}})
	r.Drain()
	r.wantFrames(closeFrame(1001, "shutting down"))
	r.wantState(true, false)
	r.Hangup()
	r.wantEvents("drain", "closed <nil>")
}

// TestDeadlinesWaitForABusyHandler: no limit on the peer runs while it is the
// handler that takes its time.
func TestDeadlinesWaitForABusyHandler(t *testing.T) {
	r := newRig(t, loop.Config{}, &looptest.Handler{OnRequest: func(*loop.Conn, *http1.Request) {}})
	r.Feed(looptest.Request("GET", "/", ""))
	r.Advance(time.Hour)
	r.wantState(false, false)
}
