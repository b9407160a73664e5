package loop

import (
	"context"
	"math"
	"time"
)

// Memory is one loop without sockets, for tests of what stands above it. The
// test's goroutine is the loop: it feeds bytes, moves the clock, and calls
// Deliver to bring in what other goroutines have sent.
type Memory struct {
	loop *loopState
	now  time.Time
	woke chan struct{}
	shr  shared
}

// NewMemory returns a loop whose clock stands at a fixed time.
func NewMemory(cfg Config, h Handler) *Memory {
	m := &Memory{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), woke: make(chan struct{}, 1)}
	cfg = cfg.withDefaults()
	if err := cfg.prepareTLS(); err != nil {
		panic(err)
	}
	m.shr.turns = newTurns()
	m.loop = newLoopState(cfg, h, &m.shr, func() time.Time { return m.now }, func() error {
		select {
		case m.woke <- struct{}{}:
		default:
		}
		return nil
	})
	return m
}

// Pipe is the far end of a connection of a Memory.
type Pipe struct {
	// Conn is the connection; nil when it was refused.
	Conn *Conn
	// Window is how many bytes the kernel would still take before the peer
	// reads; negative means any number.
	Window int
	// Reading is false while the loop has paused reading.
	Reading bool
	// FIN is set when the loop has shut down its sending side, Closed when the
	// connection is gone.
	FIN, Closed bool
	// Discard forgets output instead of keeping it for Output.
	Discard bool
	// Fail makes the next write fail and end the connection from inside of the
	// call, as gnet does.
	Fail error
	// Writes counts the writes to the socket.
	Writes int

	mem     *Memory
	out     []byte
	pending []byte
}

// Open connects, or is refused.
func (m *Memory) Open(remote string, tag int) *Pipe {
	p := &Pipe{mem: m, Window: -1, Reading: true}
	m.loop.look()
	most := int64(math.MaxInt64)
	if n := m.loop.cfg.MaxConnections; n > 0 {
		most = int64(n)
	}
	if m.shr.enter(most) {
		p.Conn = m.loop.opened(p, remote, m.listener(tag))
	} else {
		m.shr.turned.Add(1)
	}
	p.Closed = p.Conn == nil
	m.loop.flushDirty()
	return p
}

// listener is the one of Config.Listeners with a tag, or one with nothing but that.
func (m *Memory) listener(tag int) *Listener {
	for i := range m.loop.cfg.Listeners {
		if l := &m.loop.cfg.Listeners[i]; l.Tag == tag {
			return l
		}
	}
	return &Listener{Tag: tag}
}

// Feed delivers b as one read. b is copied first, as a kernel would.
func (p *Pipe) Feed(b []byte) { p.FeedInPlace(append([]byte(nil), b...)) }

// FeedInPlace delivers b itself, which the loop may change while it reads.
func (p *Pipe) FeedInPlace(b []byte) {
	if p.Closed {
		return
	}
	p.mem.loop.look()
	p.mem.loop.feed(p.Conn, b)
	p.mem.loop.flushDirty() // a read is a batch of its own
}

// Hangup ends the connection from the peer's side.
func (p *Pipe) Hangup() { p.end(nil) }

// Output returns what the peer has received and forgets it.
func (p *Pipe) Output() []byte {
	out := p.out
	p.out = nil
	return out
}

// Drink lets the peer read n bytes more. As gnet does, it ends a pause when
// everything pending has been taken.
func (p *Pipe) Drink(n int) {
	p.Window += n
	pending := p.pending
	p.pending = nil
	p.take(pending)
	if len(pending) > 0 && len(p.pending) == 0 {
		p.Reading = true
	}
}

// Deliver brings in what other goroutines sent, if anything.
func (m *Memory) Deliver() {
	select {
	case <-m.woke:
		_ = m.loop.Run(context.Background())
	default:
	}
}

// Wait blocks until another goroutine has sent something, then delivers it. It
// returns false when that takes longer than d.
func (m *Memory) Wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-m.woke:
		_ = m.loop.Run(context.Background())
		return true
	case <-t.C:
		return false
	}
}

// Advance moves the clock in ticks, as the engine's ticker would.
func (m *Memory) Advance(d time.Duration) {
	for end := m.now.Add(d); m.now.Before(end); {
		m.now = m.now.Add(tick)
		m.loop.onTick()
	}
}

// Drain tells every connection that the engine drains.
func (m *Memory) Drain() {
	m.shr.draining.Store(true)
	m.loop.startDrain()
}

// Stats are the counters an Engine would report.
func (m *Memory) Stats() Stats { return m.shr.stats(1) }

// Now is the loop's time.
func (m *Memory) Now() time.Time { return m.now }

// The socket side of a Pipe.

func (p *Pipe) take(b []byte) {
	n := len(b)
	if p.Window >= 0 && n > p.Window {
		n = p.Window
	}
	if p.Window >= 0 {
		p.Window -= n
	}
	if !p.Discard {
		p.out = append(p.out, b[:n]...)
	}
	p.pending = append(p.pending, b[n:]...)
}

// Write implements the loop's socket.
func (p *Pipe) Write(b []byte) (int, error) {
	p.Writes++
	if p.Fail != nil {
		err := p.Fail
		p.end(err)
		return 0, err
	}
	if len(p.pending) > 0 {
		p.pending = append(p.pending, b...)
	} else {
		p.take(b)
	}
	return len(b), nil
}

// OutboundBuffered implements the loop's socket.
func (p *Pipe) OutboundBuffered() int { return len(p.pending) }

func (p *Pipe) close() { p.end(nil) }

func (p *Pipe) end(err error) {
	if !p.Closed {
		p.Closed = true
		p.mem.loop.closed(p.Conn, err)
	}
}

func (p *Pipe) shutdownWrite() { p.FIN = true }

func (p *Pipe) listen(read, _ bool) bool {
	p.Reading = read
	return true
}
