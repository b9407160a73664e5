package loop

import (
	"errors"
	"math"
	"testing"

	"millrace/codec/http1"
	"millrace/pool/buffer"
)

// silent is a Handler that does nothing.
type silent struct{}

func (silent) Opened(*Conn) bool             { return true }
func (silent) Request(*Conn, *http1.Request) {}
func (silent) Message(*Conn, []byte)         {}
func (silent) Alarm(*Conn)                   {}
func (silent) Drain(*Conn)                   {}
func (silent) Closed(*Conn, error)           {}

// Queued is what is counted against Config.MaxQueued, for tests from outside.
func Queued(c *Conn) int64 { return c.queued.Load() }

// TestLostWakeUp: when waking a loop fails, its next tick delivers.
func TestLostWakeUp(t *testing.T) {
	m := NewMemory(Config{}, silent{})
	m.loop.wake = func() error { return errors.New("no descriptor") }
	p := m.Open("peer", 0)
	p.Feed([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	p.Conn.Send(p.Conn.Exchange(), &buffer.Buffer{B: []byte("late")}, Last)
	m.Deliver()
	if out := p.Output(); len(out) > 0 {
		t.Fatalf("delivered %q without a wake-up", out)
	}
	m.Advance(tick)
	if out := string(p.Output()); out != "late" {
		t.Errorf("the tick delivers %q", out)
	}
}

// TestOneWakeUpPerBurst: only the push that finds the box empty wakes the loop.
func TestOneWakeUpPerBurst(t *testing.T) {
	m := NewMemory(Config{}, silent{})
	woken := 0
	m.loop.wake = func() error { woken++; return nil }
	p := m.Open("peer", 0)
	for range 2 {
		for range 10 {
			p.Conn.Post(func(*Conn) {})
		}
		m.loop.drainBox()
	}
	if woken != 2 {
		t.Errorf("woken %d times for 2 bursts", woken)
	}
}

// TestPauseWithoutEpoll: a peer that cannot be held back is cut.
func TestPauseWithoutEpoll(t *testing.T) {
	m := NewMemory(Config{MaxQueued: 10}, silent{})
	p := m.Open("peer", 0)
	p.Conn.sock = deaf{p}
	p.Feed([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	p.Window = 0
	for range 2 {
		p.Conn.Send(p.Conn.Exchange(), &buffer.Buffer{B: make([]byte, 100)}, 0)
	}
	m.Deliver()
	if !p.Closed {
		t.Error("the connection goes on")
	}
}

// deaf is a socket whose events cannot be changed.
type deaf struct{ *Pipe }

func (deaf) listen(read, write bool) bool { return false }

func TestConnectionsUnder(t *testing.T) {
	for _, tt := range []struct {
		files uint64
		want  int
	}{
		{0, 1}, {64, 1}, {65, 1}, {66, 2}, {128, 64}, {640, 576}, {1000, 900}, {20000, 18000},
		{math.MaxUint64, math.MaxInt32 - math.MaxInt32/10},
	} {
		if got := connectionsUnder(tt.files); got != tt.want {
			t.Errorf("connectionsUnder(%d) = %d, want %d", tt.files, got, tt.want)
		}
	}
}

func TestEpollTargets(t *testing.T) {
	info := "pos:\t0\nflags:\t02000002\ntfd:        4 events: 8000001f data: 1 pos:0\ntfd:       17 events:       19 data: 2\n"
	if got := epollTargets([]byte(info)); len(got) != 2 || got[0] != 4 || got[1] != 17 {
		t.Errorf("targets %v", got)
	}
	if got := epollTargets([]byte("pos:\t0\nflags:\t02\n")); got != nil {
		t.Errorf("targets %v of what is no epoll set", got)
	}
	if _, err := epollOf(1 << 20); err == nil {
		t.Error("an epoll set watches a descriptor that does not exist")
	}
}

func TestRestartBeginsNothing(t *testing.T) {
	var s times
	s.ping = 1
	now := moment(100)
	s.restart(now)
	if s.ping != now || s.active != now || !s.head.isZero() || !s.body.isZero() || !s.message.isZero() {
		t.Errorf("restart gives %+v: what has not begun must not begin", s)
	}
}
