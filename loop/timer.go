package loop

import "time"

// tick is the grain of all timers: deadlines are met up to one tick late.
const tick = 100 * time.Millisecond

// wheelSlots times tick is the horizon of the wheel; a later deadline waits in
// the last slot and is looked at again from there.
const wheelSlots = 512

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
	epoch moment
}

func (w *wheel) init(now moment) {
	w.epoch = now
	for i := range w.slots {
		s := &w.slots[i]
		s.prev, s.next = s, s
	}
}

func (w *wheel) tickOf(t moment) int64 {
	return int64((t.sub(w.epoch) + tick - 1) / tick)
}

// schedule files n for t, unless it is filed earlier already.
func (w *wheel) schedule(n *timerNode, t moment) {
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
func (w *wheel) advance(now moment, expire func(*Conn)) {
	last := int64(now.sub(w.epoch) / tick)
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
	now := c.loop.at
	if a := c.times.alarm; !a.isZero() && now >= a {
		c.times.alarm = 0
		c.loop.handler.Alarm(c)
	}
	if d, _ := c.limit(); !d.isZero() && now >= d {
		c.timeUp()
	}
	c.rearm()
	c.loop.markDirty(c)
}

// nextDeadline is when expire has to look at the connection again.
func (c *Conn) nextDeadline() moment {
	d, _ := c.limit()
	if a := c.times.alarm; !a.isZero() && (d.isZero() || a < d) {
		return a
	}
	if d.isZero() {
		return c.loop.at.add(wheelSlots * tick)
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
	limitBegin
)

// drainQuiet is how long an idle HTTP connection lives on while the engine
// drains: a request that is on its way is still answered, with
// "Connection: close", instead of being lost. A proxy that keeps connections may
// send one on any of them until its health check tells it not to.
const drainQuiet = time.Second

// limit is the deadline that the connection's state puts on the peer.
func (c *Conn) limit() (moment, limitKind) {
	cfg, t := &c.loop.cfg, &c.times
	switch {
	case c.mode == modeLinger && c.wsSwitched && !c.Draining():
		return t.linger.add(5 * time.Second), limitLinger // RFC 6455 7.1.1: a reasonable time for the peer's close
	case c.mode == modeLinger:
		return t.linger.add(time.Second), limitLinger
	case c.mode == modeProxy:
		return t.head.add(cfg.ProxyTimeout), limitBegin
	case c.closing || c.paused && c.mode != modeHandshake || !c.backlog.empty():
		return 0, limitNone // the peer has to read first: see checkStall
	case c.mode == modeHandshake:
		if d := t.active.add(drainQuiet); c.Draining() && d < t.head.add(cfg.HandshakeTimeout) {
			return d, limitBegin
		}
		return t.head.add(cfg.HandshakeTimeout), limitBegin
	case c.mode == modeWebSocket:
		return c.limitWebSocket()
	case c.mode == modeHTTP && !c.busy:
		switch {
		case c.Draining():
			return t.active.add(drainQuiet), limitIdle // half a request is not in flight
		case !t.body.isZero():
			// The rate is an average: without the second bound a peer could pay in
			// advance, and then hold the memory in silence.
			earned := time.Duration(len(c.body.B)) * time.Second / time.Duration(cfg.BodyRate)
			return min(t.body.add(cfg.BodyGrace+earned), t.active.add(cfg.BodyGrace)), limitBody
		case !t.head.isZero():
			return t.head.add(cfg.HeadTimeout), limitHead
		}
		return t.active.add(cfg.IdleTimeout), limitIdle
	}
	return 0, limitNone
}

func (c *Conn) limitWebSocket() (d moment, kind limitKind) {
	cfg, t := &c.loop.cfg, &c.times
	switch {
	case !t.ping.isZero():
		d, kind = t.ping.add(cfg.PongTimeout), limitPong
	case cfg.PingInterval < 0:
		d, kind = t.active.add(cfg.WebSocketIdle), limitIdle
	default:
		d, kind = t.active.add(cfg.PingInterval), limitPing
	}
	if !t.message.isZero() {
		if m := t.message.add(cfg.MessageTimeout); m <= d {
			return m, limitMessage
		}
	}
	return d, kind
}

// restart begins the peer's deadlines anew: while the loop did not read, or the
// peer had much to read first, it could not keep them.
func (t *times) restart(now moment) {
	t.active = now
	for _, since := range [...]*moment{&t.head, &t.body, &t.message, &t.ping} {
		if !since.isZero() {
			*since = now
		}
	}
}
