package loop

import (
	"sync"

	"millrace/pool/buffer"
)

// Flags say what a sent buffer means for its connection.
type Flags uint8

const (
	// Droppable marks a notification: it is lost, and counted, when more than
	// Config.MaxQueued bytes wait for a slow reader.
	Droppable Flags = 1 << iota
	// Last ends the HTTP exchange; the next request may be read.
	Last
	// Close closes the connection when everything sent so far has been taken by
	// the kernel, and lingers so that the peer receives it.
	Close
	// Switch ends HTTP on the connection: the buffer is a 101 response and what
	// follows are WebSocket frames.
	Switch
)

// entry is one buffer, or one function, on its way to a loop.
type entry struct {
	next     *entry
	conn     *Conn
	exchange uint64
	buf      *buffer.Buffer
	flags    Flags
	call     func(*Conn)
}

var entries = sync.Pool{New: func() any { return new(entry) }}

// Send queues b for the connection's loop and takes b in every case. exchange
// is the number of the exchange it belongs to: what belongs to an earlier one
// is dropped. It returns false when b was dropped at once: the connection is
// gone, or b is droppable and the peer too slow. Any goroutine; never blocks.
func (c *Conn) Send(exchange uint64, b *buffer.Buffer, flags Flags) bool {
	if !c.admit(b, flags) {
		return false
	}
	e := entries.Get().(*entry)
	*e = entry{conn: c, exchange: exchange, buf: b, flags: flags}
	c.loop.push(e)
	return true
}

// Post has f called on the connection's loop, unless the connection has ended
// by then. Any goroutine; never blocks.
func (c *Conn) Post(f func(*Conn)) {
	if c.gone.Load() {
		return
	}
	e := entries.Get().(*entry)
	*e = entry{conn: c, call: f}
	c.loop.push(e)
}

// Write is Send for the connection's own loop: what is written inside a
// callback goes out in one write when the callbacks for this batch are done.
func (c *Conn) Write(exchange uint64, b *buffer.Buffer, flags Flags) bool {
	if !c.admit(b, flags) {
		return false
	}
	c.accept(exchange, b, flags)
	return true
}

// admit counts b against the connection's queue, or drops it. A droppable
// message finds an empty queue open even when it is larger than the bound:
// refusing it would refuse it for ever.
func (c *Conn) admit(b *buffer.Buffer, flags Flags) bool {
	n := int64(len(b.B))
	if c.gone.Load() {
		buffer.Put(b)
		return false
	}
	if q := c.queued.Load(); flags&Droppable != 0 && q > 0 && q+n > c.loop.cfg.MaxQueued {
		c.dropped.Add(1)
		c.loop.shared.dropped.Add(1)
		buffer.Put(b)
		return false
	}
	c.queued.Add(n)
	return true
}

// Congested reports whether more than Config.MaxQueued bytes wait for the peer.
// Reading from the connection is held back then; who takes messages for it from
// elsewhere must do so as well. Any goroutine.
func (c *Conn) Congested() bool { return c.queued.Load() > c.loop.cfg.MaxQueued }

// accept puts b behind what the connection already has to write.
func (c *Conn) accept(exchange uint64, b *buffer.Buffer, flags Flags) {
	if c.mode == modeClosed || c.mode == modeLinger || c.closing || exchange != c.exchange ||
		(c.mode != modeWebSocket && !c.busy) {
		c.queued.Add(-int64(len(b.B)))
		buffer.Put(b)
		c.loop.markDirty(c) // its bytes may be what reading was paused for
		return
	}
	c.enqueue(b)
	if c.mode == modeHTTP {
		switch {
		case flags&Switch != 0:
			c.switchToWebSocket()
		case flags&Last != 0:
			c.endExchange()
		}
	}
	if flags&Close != 0 {
		c.closing = true
	}
}

// say queues b, which the loop itself has made.
func (c *Conn) say(b *buffer.Buffer) {
	c.queued.Add(int64(len(b.B)))
	c.enqueue(b)
}

func (c *Conn) enqueue(b *buffer.Buffer) {
	c.out = append(c.out, b)
	c.loop.markDirty(c)
}

// endExchange makes room for the next request.
func (c *Conn) endExchange() {
	c.busy = false
	c.resumable = c.in != nil
	c.times.active = c.loop.at
	c.times.alarm = 0
	if c.Draining() || !c.keepAlive {
		c.closing = true
	}
	c.rearm() // while the exchange was open no deadline was filed
}

// flush hands the accepted buffers to the socket in one write, then looks at
// what the connection wants next: to be closed, to pause, or to read on.
func (c *Conn) flush() {
	if len(c.out) > 0 && c.mode != modeClosed {
		c.writeOut()
	}
	if c.mode == modeClosed {
		return
	}
	c.settle()
}

// writeOut hands c.out to the socket, gathered into as few writes as it takes.
func (c *Conn) writeOut() {
	out := c.out
	c.out = nil // Write may close the connection, and ended must not free these too
	for _, b := range out {
		c.backlog.push(len(b.B), c.loop.at)
	}
	var err error
	for rest := out; len(rest) > 0 && err == nil && c.mode != modeClosed; {
		p, n := c.loop.gather(rest)
		rest = rest[n:]
		if len(p) > 0 {
			err = c.put(p)
		}
	}
	for i, b := range out {
		buffer.Put(b)
		out[i] = nil
	}
	if c.mode == modeClosed {
		return
	}
	if cap(out) <= keepEntries {
		c.out = out[:0]
	}
	if err != nil {
		c.Abort(err)
	}
}

// settle learns how much the kernel has taken, and acts on it.
func (c *Conn) settle() {
	taken := c.backlog.taken
	freed := c.backlog.settle(c.sock.OutboundBuffered(), c.loop.at)
	if c.backlog.taken > taken {
		c.forgiven = c.dropped.Load()
	}
	if freed > 0 {
		c.queued.Add(-freed)
	}
	c.applyPause()
	if !c.backlog.empty() {
		c.loop.slow(c)
		return
	}
	if c.loop.unslow(c) {
		c.times.restart(c.loop.at)
		c.rearm()
	}
	if c.closing && len(c.out) == 0 && c.mode != modeLinger && c.bidFarewell() {
		c.linger()
	}
}
