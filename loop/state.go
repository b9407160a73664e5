package loop

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"millrace/codec/http1"
	"millrace/pool/buffer"
)

// shared is what the loops of one engine have in common. Any goroutine.
type shared struct {
	open     atomic.Int64 // connections
	peak     atomic.Int64
	accepted atomic.Int64
	turned   atomic.Int64 // refused because of MaxConnections or Handler.Opened
	requests atomic.Int64 // HTTP requests
	messages atomic.Int64 // WebSocket messages
	refused  atomic.Int64 // malformed or oversized requests
	dropped  atomic.Int64 // droppable messages lost
	pinned   atomic.Int64 // bytes of incomplete input
	panics   atomic.Int64

	handshaken      atomic.Int64  // TLS handshakes done
	handshakeErrors atomic.Int64  // and those that failed
	turns           chan struct{} // of handshakes that compute
	draining        atomic.Bool
	date            date
	ids             atomic.Uint64
}

// enter counts a connection, unless there are most already. The count is taken
// before a loop sees the connection, so the limit is exact.
func (s *shared) enter(most int64) bool {
	n := s.open.Add(1)
	if n > most {
		s.open.Add(-1)
		return false
	}
	for p := s.peak.Load(); n > p && !s.peak.CompareAndSwap(p, n); p = s.peak.Load() {
	}
	return true
}

// leave undoes enter.
func (s *shared) leave() { s.open.Add(-1) }

// loopState is what one event loop owns. Only push and wake are for other
// goroutines.
type loopState struct {
	cfg     Config
	handler Handler
	shared  *shared

	box  atomic.Pointer[entry] // what other goroutines sent, newest first
	wake func() error          // runs drain on the loop soon

	now     time.Time
	at      moment // now
	clock   func() time.Time
	conns   map[*Conn]struct{}
	dirty   []*Conn
	slowSet map[*Conn]struct{}
	wheel   wheel
	scratch []byte
	plain   []byte // what a TLS record held; nil before the first
	sealed  []byte // records on their way to a socket
	epoll   int

	handshakes handshakes

	flushing bool // inside flushDirty
	batch    batch
}

func newLoopState(cfg Config, h Handler, s *shared, clock func() time.Time, wake func() error) *loopState {
	l := &loopState{
		cfg: cfg, handler: h, shared: s, wake: wake, clock: clock,
		conns: map[*Conn]struct{}{}, slowSet: map[*Conn]struct{}{}, epoll: -1,
	}
	l.handshakes.most = max(1, cfg.MaxHandshakes/cfg.Loops)
	l.look()
	s.date.set(l.now)
	l.wheel.init(l.at)
	return l
}

// look reads the clock, once for each batch of events.
func (l *loopState) look() {
	l.now = l.clock()
	l.at = momentOf(l.now)
}

// push hands e to the loop. Whoever finds the box empty wakes the loop, so a
// burst of answers costs one wake-up. A wake-up that fails is made good by the
// next tick. Any goroutine.
func (l *loopState) push(e *entry) {
	for {
		head := l.box.Load()
		e.next = head
		if l.box.CompareAndSwap(head, e) {
			if head == nil {
				_ = l.wake()
			}
			return
		}
	}
}

// takeAll empties the box and returns its entries oldest first.
func (l *loopState) takeAll() *entry {
	var first *entry
	for e := l.box.Swap(nil); e != nil; {
		next := e.next
		e.next = first
		first, e = e, next
	}
	return first
}

// drainBox delivers what other goroutines sent, then writes.
func (l *loopState) drainBox() {
	l.batch.end(len(l.dirty))
	for e := l.takeAll(); e != nil; {
		next := e.next
		c := e.conn
		if e.call == nil {
			c.accept(e.exchange, e.buf, e.flags)
		} else if c.mode != modeClosed {
			l.guard(c, func() { e.call(c) })
			l.markDirty(c)
		}
		*e = entry{}
		entries.Put(e)
		e = next
	}
	l.flushDirty()
}

// flushDirty lets every connection that has something new go on parsing, and
// writes once for each. Inside of itself, which is where a failed write ends a
// connection, it leaves the work to the outer call.
func (l *loopState) flushDirty() {
	if l.flushing {
		return
	}
	l.flushing = true
	defer func() { l.flushing = false }()
	for len(l.dirty) > 0 {
		batch := l.dirty
		l.dirty = nil
		for i, c := range batch {
			batch[i] = nil
			l.guard(c, c.proceed)
		}
		if l.dirty == nil {
			l.dirty = batch[:0]
		}
	}
}

func (l *loopState) markDirty(c *Conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// gatherBytes is how much is copied together for one write. Behind it a write
// more costs less than a copy.
const gatherBytes = 256 << 10

// gather returns what to write first of bufs, which is not empty, and how many
// of them that is. A single buffer is written as it is.
func (l *loopState) gather(bufs []*buffer.Buffer) (p []byte, n int) {
	if len(bufs) == 1 || len(bufs[0].B) > gatherBytes {
		return bufs[0].B, 1
	}
	p = l.scratch[:0]
	for n < len(bufs) && len(p)+len(bufs[n].B) <= gatherBytes {
		p = append(p, bufs[n].B...)
		n++
	}
	l.scratch = p
	return p, n
}

func (l *loopState) slow(c *Conn) { l.slowSet[c] = struct{}{} }

// unslow reports whether the connection was slow.
func (l *loopState) unslow(c *Conn) bool {
	_, was := l.slowSet[c]
	if was {
		delete(l.slowSet, c)
	}
	return was
}

// onTick looks at timers and slow readers and repairs a lost wake-up.
func (l *loopState) onTick() {
	l.look()
	l.shared.date.set(l.now)
	l.wheel.advance(l.at, func(c *Conn) { l.guard(c, c.expire) })
	for c := range l.slowSet {
		l.guard(c, func() {
			c.settle()
			c.checkStall(l.at)
		})
	}
	l.nextHandshakes()
	l.drainBox()
}

// startDrain tells every connection that the engine is going away.
func (l *loopState) startDrain() {
	l.look()
	for c := range l.conns {
		l.guard(c, func() {
			if c.introduced {
				l.handler.Drain(c)
			}
			if c.mode == modeHTTP {
				c.times.active = l.at // drainQuiet begins now, however long it has been idle
			}
			c.rearm()
			l.markDirty(c)
		})
	}
	l.flushDirty()
}

// abortAll closes every connection at once.
func (l *loopState) abortAll() {
	for c := range l.conns {
		c.Abort(ErrDraining)
	}
	l.flushDirty()
}

// guard runs f and turns a panic into the end of one connection.
func (l *loopState) guard(c *Conn, f func()) {
	defer func() {
		if v := recover(); v != nil {
			l.shared.panics.Add(1)
			l.cfg.Logger.Error("panic on the event loop; connection closed",
				"conn", c.id, "remote", c.remote, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			c.Abort(ErrPanic)
		}
	}()
	f()
}

// Run makes a loopState a gnet.Runnable: it is what a wake-up executes.
func (l *loopState) Run(context.Context) error {
	l.look()
	l.nextHandshakes() // one whose connection has gone may have ended
	l.drainBox()
	return nil
}

// opened makes a Conn for a new socket, which is counted in shared.open already;
// nil when the handler refuses it.
func (l *loopState) opened(s socket, remote string, ln *Listener) *Conn {
	c := &Conn{loop: l, sock: s, id: l.shared.ids.Add(1), remote: remote, listener: ln, req: new(http1.Request), decoder: new(http1.Body)}
	c.timer.conn = c
	c.times.active = l.at
	if ln.Proxy != nil && ln.Proxy(remote) {
		c.mode = modeProxy
		c.times.head = l.at
	} else if !c.introduce() {
		c.mode = modeClosed
		c.gone.Store(true)
		l.wheel.remove(&c.timer)
		l.turnAway()
		return nil
	}
	l.conns[c] = struct{}{}
	l.shared.accepted.Add(1)
	c.rearm()
	return c
}

// introduce tells the handler of the connection, which then begins with HTTP or with
// TLS. It is false when the handler refuses it.
func (c *Conn) introduce() bool {
	c.mode, c.times.head = modeHTTP, 0
	if c.listener.TLS != nil {
		c.mode, c.times.head = modeHandshake, c.loop.at
		c.tls = &secure{}
	}
	c.loop.guard(c, func() { c.introduced = c.loop.handler.Opened(c) })
	return c.introduced
}

// turnAway undoes the count of a connection that was not let in.
func (l *loopState) turnAway() {
	l.shared.leave()
	l.shared.turned.Add(1)
}

// traffic feeds bytes to a connection. What that produced is written now, or
// when the batch ends.
func (l *loopState) traffic(c *Conn, b []byte) {
	l.feed(c, b)
	if !l.postpone(c) {
		l.flushDirty()
	}
}

func (l *loopState) feed(c *Conn, b []byte) {
	l.guard(c, func() { c.feed(b) })
	l.markDirty(c)
}

// closed ends a connection; its socket is gone.
func (l *loopState) closed(c *Conn, err error) {
	if _, ok := l.conns[c]; !ok {
		return
	}
	delete(l.conns, c)
	l.shared.leave()
	l.guard(c, func() { c.ended(err) })
	l.flushDirty() // what the handler told other connections
}
