package loop

import "time"

// tick is the grain of all timers: deadlines are met up to one tick late.
const tick = 100 * time.Millisecond

// wheelSlots times tick is the horizon of the wheel; a later deadline waits in
// the last slot and is looked at again from there.
const wheelSlots = 512

var zeroTime time.Time

// timerNode files a connection in a wheel. It is part of the Conn, so a timer
// costs no memory of its own.
type timerNode struct {
	prev, next *timerNode
	conn       *Conn
	due        int64 // tick number it is filed under; 0 when it is not filed
}

// wheel is a hashed timing wheel with lazy deadlines: when a slot comes up,
// each connection in it is asked for its real deadline and filed again if that
// has moved. A message therefore costs one store, not a move in the wheel.
type wheel struct {
	slots [wheelSlots]timerNode // list heads
	now   int64                 // last tick processed
	epoch time.Time
}

func (w *wheel) init(now time.Time) {
	w.epoch = now
	for i := range w.slots {
		s := &w.slots[i]
		s.prev, s.next = s, s
	}
}

func (w *wheel) tickOf(t time.Time) int64 {
	return int64((t.Sub(w.epoch) + tick - 1) / tick)
}

// schedule files n for t, unless it is filed earlier already.
func (w *wheel) schedule(n *timerNode, t time.Time) {
	due := min(max(w.tickOf(t), w.now+1), w.now+wheelSlots-1)
	if n.due != 0 {
		if n.due <= due {
			return
		}
		w.remove(n)
	}
	n.due = due
	head := &w.slots[due%wheelSlots]
	n.prev, n.next = head.prev, head
	head.prev.next = n
	head.prev = n
}

func (w *wheel) remove(n *timerNode) {
	if n.due == 0 {
		return
	}
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next, n.due = nil, nil, 0
}

// advance calls expire for every connection whose slot has come by now.
func (w *wheel) advance(now time.Time, expire func(*Conn)) {
	last := int64(now.Sub(w.epoch) / tick)
	for w.now < last {
		w.now++
		head := &w.slots[w.now%wheelSlots]
		for n := head.next; n != head; n = head.next {
			w.remove(n)
			expire(n.conn)
		}
	}
}

// rearm files the connection for its next deadline.
func (c *Conn) rearm() {
	if c.mode != modeClosed {
		c.loop.wheel.schedule(&c.timer, c.nextDeadline())
	}
}

// expire acts on deadlines that have passed and files the connection again.
func (c *Conn) expire() {
	now := c.loop.now
	if a := c.times.alarm; !a.IsZero() && !now.Before(a) {
		c.times.alarm = zeroTime
		c.loop.handler.Alarm(c)
	}
	if d, _ := c.limit(); !d.IsZero() && !now.Before(d) {
		c.timeUp()
	}
	c.rearm()
	c.loop.markDirty(c)
}

// nextDeadline is when expire has to look at the connection again.
func (c *Conn) nextDeadline() time.Time {
	d, _ := c.limit()
	if a := c.times.alarm; !a.IsZero() && (d.IsZero() || a.Before(d)) {
		return a
	}
	if d.IsZero() {
		return c.loop.now.Add(wheelSlots * tick)
	}
	return d
}

// what a limit is about.
type limitKind uint8

const (
	limitNone limitKind = iota
	limitHead
	limitBody
	limitIdle
	limitMessage
	limitPing
	limitPong
	limitLinger
)

// drainQuiet is how long an idle HTTP connection lives on while the engine
// drains: a request that is on its way is still answered, with
// "Connection: close", instead of being lost.
const drainQuiet = time.Second

// limit is the deadline that the connection's state puts on the peer.
func (c *Conn) limit() (time.Time, limitKind) {
	cfg, t := &c.loop.cfg, &c.times
	switch {
	case c.mode == modeLinger && c.wsSwitched && !c.Draining():
		return t.linger.Add(5 * time.Second), limitLinger // RFC 6455 7.1.1: a reasonable time for the peer's close
	case c.mode == modeLinger:
		return t.linger.Add(time.Second), limitLinger
	case c.closing || c.paused || !c.backlog.empty():
		return zeroTime, limitNone // the peer has to read first: see checkStall
	case c.mode == modeWebSocket:
		return c.limitWebSocket()
	case c.mode == modeHTTP && !c.busy:
		switch {
		case c.Draining():
			return t.active.Add(drainQuiet), limitIdle // half a request is not in flight
		case !t.body.IsZero():
			// The rate is an average: without the second bound a peer could pay in
			// advance, and then hold the memory in silence.
			earned := time.Duration(len(c.body.B)) * time.Second / time.Duration(cfg.BodyRate)
			return earlier(t.body.Add(cfg.BodyGrace+earned), t.active.Add(cfg.BodyGrace)), limitBody
		case !t.head.IsZero():
			return t.head.Add(cfg.HeadTimeout), limitHead
		}
		return t.active.Add(cfg.IdleTimeout), limitIdle
	}
	return zeroTime, limitNone
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (c *Conn) limitWebSocket() (d time.Time, kind limitKind) {
	cfg, t := &c.loop.cfg, &c.times
	switch {
	case !t.ping.IsZero():
		d, kind = t.ping.Add(cfg.PongTimeout), limitPong
	case cfg.PingInterval < 0:
		d, kind = t.active.Add(cfg.WebSocketIdle), limitIdle
	default:
		d, kind = t.active.Add(cfg.PingInterval), limitPing
	}
	if !t.message.IsZero() {
		if m := t.message.Add(cfg.MessageTimeout); !m.After(d) {
			return m, limitMessage
		}
	}
	return d, kind
}

// restart begins the peer's deadlines anew: while the loop did not read, or the
// peer had much to read first, it could not keep them.
func (t *times) restart(now time.Time) {
	t.active = now
	for _, since := range [...]*time.Time{&t.head, &t.body, &t.message, &t.ping} {
		if !since.IsZero() {
			*since = now
		}
	}
}
