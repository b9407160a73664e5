package loop

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
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
	draining atomic.Bool
	ids      atomic.Uint64
}

// loopState is what one event loop owns. Only push and wake are for other
// goroutines.
type loopState struct {
	cfg     Config
	handler Handler
	shared  *shared
	index   int

	box  atomic.Pointer[entry] // what other goroutines sent, newest first
	wake func() error          // runs drain on the loop soon

	now     time.Time
	clock   func() time.Time
	conns   map[*Conn]struct{}
	dirty   []*Conn
	slowSet map[*Conn]struct{}
	wheel   wheel
	scratch []byte
	epoll   int
}

func newLoopState(cfg Config, h Handler, s *shared, index int, clock func() time.Time, wake func() error) *loopState {
	l := &loopState{
		cfg: cfg, handler: h, shared: s, index: index, wake: wake, clock: clock, now: clock(),
		conns: map[*Conn]struct{}{}, slowSet: map[*Conn]struct{}{}, epoll: -1,
	}
	l.wheel.init(l.now)
	return l
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
// writes once for each.
func (l *loopState) flushDirty() {
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
		if len(l.dirty) == 0 {
			return
		}
	}
}

func (l *loopState) markDirty(c *Conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// keepScratch keeps the gather buffer for the next write unless one large
// batch made it big.
func (l *loopState) keepScratch(p []byte) {
	if cap(p) <= 256<<10 {
		l.scratch = p
	} else {
		l.scratch = nil
	}
}

func (l *loopState) slow(c *Conn) { l.slowSet[c] = struct{}{} }

func (l *loopState) unslow(c *Conn) {
	if len(l.slowSet) > 0 {
		delete(l.slowSet, c)
	}
}

// onTick looks at timers and slow readers and repairs a lost wake-up.
func (l *loopState) onTick() {
	l.now = l.clock()
	l.wheel.advance(l.now, func(c *Conn) { l.guard(c, c.expire) })
	for c := range l.slowSet {
		l.guard(c, func() {
			c.settle()
			c.checkStall(l.now)
		})
	}
	l.drainBox()
}

// startDrain tells every connection that the engine is going away.
func (l *loopState) startDrain() {
	l.now = l.clock()
	for c := range l.conns {
		l.guard(c, func() {
			l.handler.Drain(c)
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
			c.reading = false
			c.Abort(ErrPanic)
		}
	}()
	f()
}

// Run makes a loopState a gnet.Runnable: it is what a wake-up executes.
func (l *loopState) Run(context.Context) error {
	l.now = l.clock()
	l.drainBox()
	return nil
}

// opened makes a Conn for a new socket; nil when the handler refuses it.
func (l *loopState) opened(s socket, remote string, tag int) *Conn {
	c := &Conn{loop: l, sock: s, id: l.shared.ids.Add(1), remote: remote, tag: tag, opened: l.now}
	c.timer.conn = c
	c.times.active = l.now
	ok := false
	l.guard(c, func() { ok = l.handler.Opened(c) })
	if !ok || c.aborted {
		c.mode = modeClosed
		return nil
	}
	l.conns[c] = struct{}{}
	l.shared.accepted.Add(1)
	n := l.shared.open.Add(1)
	for p := l.shared.peak.Load(); n > p && !l.shared.peak.CompareAndSwap(p, n); p = l.shared.peak.Load() {
	}
	c.rearm()
	return c
}

// traffic feeds bytes to a connection and writes what that produced.
func (l *loopState) traffic(c *Conn, b []byte) {
	l.guard(c, func() { c.feed(b) })
	l.markDirty(c)
	l.flushDirty()
}

// closed ends a connection; its socket is gone.
func (l *loopState) closed(c *Conn, err error) {
	if _, ok := l.conns[c]; !ok {
		return
	}
	delete(l.conns, c)
	l.shared.open.Add(-1)
	l.guard(c, func() { c.ended(err) })
}
