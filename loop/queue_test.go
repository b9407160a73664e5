package loop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
)

const small = 1000 // MaxQueued of these tests

// text returns a text frame that is n bytes long in all.
func text(n int) string { return strings.Repeat("x", n-4) }

// newSlowReader is a WebSocket whose peer reads nothing. A message of 5000
// bytes, larger than MaxQueued, is being written.
func newSlowReader(t *testing.T, cfg loop.Config) *rig {
	t.Helper()
	cfg.MaxQueued = small
	r := newWebSocket(t, cfg, nil)
	r.Window = 0
	r.send(5000, 0)
	r.Deliver()
	return r
}

func (r *rig) send(n int, flags loop.Flags) bool {
	return r.Conn.Send(r.Conn.Exchange(), looptest.TextFrame(text(n)), flags)
}

// TestMessageBeingWrittenDoesNotCount and the bound at limit-1, limit, limit+1.
func TestMessageBeingWrittenDoesNotCount(t *testing.T) {
	for n := small - 1; n <= small+1; n++ {
		r := newSlowReader(t, loop.Config{})
		if !r.Reading {
			t.Fatal("reading has paused for the message being written")
		}
		if !r.send(500, loop.Droppable) {
			t.Fatal("a notification is lost to the message being written")
		}
		if got := r.send(n-500, loop.Droppable); got != (n <= small) {
			t.Errorf("%d bytes queued: accepted %v", n, got)
		}
		want := int64(0)
		if n > small {
			want = 1
		}
		if r.Conn.Dropped() != want || r.Stats().Dropped != want {
			t.Errorf("%d bytes queued: %d dropped, stats %d, want %d", n, r.Conn.Dropped(), r.Stats().Dropped, want)
		}
	}
}

func TestLargeNotificationToAnIdleReader(t *testing.T) {
	r := newWebSocket(t, loop.Config{MaxQueued: small}, nil)
	if !r.send(5*small, loop.Droppable) {
		t.Error("a notification above the bound is lost although nothing is queued")
	}
	r.Deliver()
	if n := len(r.frames()); n != 1 {
		t.Errorf("%d frames", n)
	}
}

func TestResponsesAreNeverLost(t *testing.T) {
	r := newSlowReader(t, loop.Config{})
	r.Drink(5000)
	r.Output()
	r.Window = 0
	want := []string{}
	for i := range 100 {
		p := fmt.Sprintf("%03d %s", i, text(500))
		want = append(want, p)
		if !r.Conn.Send(r.Conn.Exchange(), looptest.TextFrame(p), 0) {
			t.Fatalf("response %d is refused", i)
		}
		if i%10 == 0 {
			r.Deliver()
		}
	}
	r.Deliver()
	if r.Reading {
		t.Error("reading goes on although the peer does not read")
	}
	if r.send(100, loop.Droppable) {
		t.Error("a notification is accepted above the bound")
	}
	for r.OutboundBuffered() > 0 {
		r.Drink(700)
		r.Advance(grain)
	}
	r.Advance(grain)
	if !r.Reading {
		t.Error("reading has not resumed")
	}
	f := r.frames()
	if len(f) != len(want) {
		t.Fatalf("%d frames, want %d", len(f), len(want))
	}
	for i := range f {
		if f[i].Payload != want[i] {
			t.Fatalf("frame %d = %.10q", i, f[i].Payload)
		}
	}
}

// TestPauseAtTheBound is at MaxQueued-1, MaxQueued and MaxQueued+1.
func TestPauseAtTheBound(t *testing.T) {
	for n := small - 1; n <= small+1; n++ {
		r := newSlowReader(t, loop.Config{})
		r.send(n, 0)
		r.Deliver()
		if r.Reading != (n <= small) {
			t.Errorf("%d bytes queued: reading %v", n, r.Reading)
		}
	}
}

// TestDroppedAnswersEndAPause: bytes that are queued and then dropped, because
// their exchange is over, must not hold the peer back for ever.
func TestDroppedAnswersEndAPause(t *testing.T) {
	r := newRig(t, loop.Config{MaxQueued: small}, &looptest.Handler{OnRequest: hold})
	r.Feed(looptest.Request("GET", "/", ""))
	r.Conn.Send(r.Conn.Exchange()+1, bytesOf(5*small), 0)
	r.Feed([]byte("G"))
	if r.Reading {
		t.Fatal("reading goes on above the bound")
	}
	r.Deliver()
	if !r.Reading {
		t.Error("reading has not resumed")
	}
}

func TestStall(t *testing.T) {
	t.Run("above the bound", func(t *testing.T) {
		r := newSlowReader(t, loop.Config{})
		r.send(small+1, 0)
		r.Deliver()
		r.ends(10*time.Second, r.isGone)
		r.wantEvents("closed " + loop.ErrStalled.Error())
	})
	t.Run("below the bound", func(t *testing.T) {
		r := newSlowReader(t, loop.Config{})
		r.send(small, 0)
		r.Deliver()
		r.ends(time.Minute, r.isGone)
		r.wantEvents("closed " + loop.ErrStalled.Error())
	})
	t.Run("below the bound, with notifications lost", func(t *testing.T) {
		r := newSlowReader(t, loop.Config{})
		r.send(small, 0)
		if r.send(small, loop.Droppable) {
			t.Fatal("nothing is lost")
		}
		r.Deliver()
		r.ends(10*time.Second, r.isGone)
		r.wantEvents("closed " + loop.ErrStalled.Error())
	})
	t.Run("notifications lost before it read on", func(t *testing.T) {
		r := newSlowReader(t, loop.Config{})
		r.send(small, 0)
		r.send(small, loop.Droppable)
		r.Deliver()
		r.Advance(5 * time.Second)
		r.Drink(1)
		r.Advance(grain) // sees it
		r.ends(time.Minute, r.isGone)
	})
	t.Run("when closing", func(t *testing.T) {
		r := newSlowReader(t, loop.Config{})
		r.Conn.Post(func(c *loop.Conn) { c.CloseWebSocket(1001, "bye") })
		r.Deliver()
		r.ends(10*time.Second, r.isGone)
	})
	t.Run("a byte now and then", func(t *testing.T) {
		r := newSlowReader(t, loop.Config{})
		r.send(small+1, 0)
		r.Deliver()
		for range 20 {
			r.Advance(9 * time.Second)
			r.Drink(1)
		}
		r.wantState(false, false)
		r.Advance(grain) // sees the last byte
		r.ends(10*time.Second, r.isGone)
	})
	t.Run("after a long silence", func(t *testing.T) {
		r := newWebSocket(t, loop.Config{MaxQueued: small, PingInterval: time.Hour}, nil)
		r.send(100, 0)
		r.Deliver()
		r.Advance(30 * time.Minute)
		r.Window = 0
		r.send(100, 0)
		r.send(small+1, 0)
		r.Deliver()
		r.ends(10*time.Second, r.isGone)
	})
}

// TestSlowReaderIsNotPinged: a peer that still reads what it was sent can answer
// no ping, and cannot be silent while its reading is what we wait for.
func TestSlowReaderIsNotPinged(t *testing.T) {
	r := newSlowReader(t, loop.Config{})
	r.send(small+1, 0)
	r.Deliver()
	for range 60 {
		r.Advance(5 * time.Second)
		r.Drink(1)
	}
	r.wantState(false, false)
	r.Drink(10 * small)
	r.Advance(grain)
	if f := r.frames(); len(f) != 2 {
		t.Errorf("%d frames, want the two messages alone", len(f))
	}
	r.Advance(30*time.Second - grain)
	r.wantFrames()
	r.Advance(grain)
	r.wantFrames(looptest.Frame{Op: looptest.OpPing})
}

// TestSendFromElsewhere: Wait sees what another goroutine sends.
func TestSendFromElsewhere(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, nil)
	const each = 200
	for g := range 4 {
		go func() {
			for i := range each {
				r.Conn.Send(r.Conn.Exchange(), looptest.TextFrame(fmt.Sprintf("%d %d", g, i)), 0)
			}
		}()
	}
	var got []looptest.Frame
	for len(got) < 4*each {
		if !r.Wait(10 * time.Second) {
			t.Fatalf("only %d of %d messages have come", len(got), 4*each)
		}
		got = append(got, r.frames()...)
	}
	inOrder(t, got, 4, each)
	if r.Wait(0) {
		t.Error("Wait sees something where nothing is")
	}
}

// inOrder checks that every goroutine's messages "g i" are complete and in
// their order.
func inOrder(t *testing.T, frames []looptest.Frame, goroutines, each int) {
	t.Helper()
	next := make([]int, goroutines)
	for _, f := range frames {
		var g, i int
		if _, err := fmt.Sscanf(f.Payload, "%d %d", &g, &i); err != nil {
			t.Fatalf("frame %q", f.Payload)
		}
		if i != next[g] {
			t.Fatalf("goroutine %d: message %d where %d is next", g, i, next[g])
		}
		next[g]++
	}
	for g, n := range next {
		if n != each {
			t.Errorf("goroutine %d: %d of %d messages", g, n, each)
		}
	}
}

func TestFailedWrite(t *testing.T) {
	r := newWebSocket(t, loop.Config{}, nil)
	r.Fail = fmt.Errorf("broken pipe")
	r.send(100, 0)
	r.send(100, loop.Close)
	r.Deliver()
	r.wantState(false, true)
	r.wantEvents("closed broken pipe")
	if r.send(10, 0) {
		t.Error("Send succeeds after the end")
	}
}
