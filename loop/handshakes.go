package loop

import (
	"slices"
	"sync/atomic"
	"time"
)

// handshakes bounds the TLS handshakes of one loop: each has a goroutine, and most of
// its time it waits for its client. Loop only, but for ended.
type handshakes struct {
	most    int
	running []*Conn // those whose connection is open
	waiting []*Conn // with a whole ClientHello, oldest first
	gone    int     // of waiting, those that have ended meanwhile

	begun int64        // goroutines, ever
	ended atomic.Int64 // those that have ended
}

// patience is how long a handshake may wait for its client while others wait for a
// place: then it gives way. Without this, a few clients that never finish theirs would
// keep everybody out.
const patience = time.Second

// handshake begins the handshake of c, or has it wait for its turn.
func (l *loopState) handshake(c *Conn) {
	c.tls.began = l.at
	l.handshakes.waiting = append(l.handshakes.waiting, c)
	l.nextHandshakes()
}

// nextHandshakes begins as many as there is room for.
func (l *loopState) nextHandshakes() {
	h := &l.handshakes
	for len(h.waiting) > 0 {
		if h.begun-h.ended.Load() >= int64(h.most) {
			l.giveWay()
			return
		}
		c := h.next(l.at)
		if c.mode != modeHandshake || c.aborted {
			h.gone--
			continue
		}
		h.running = append(h.running, c)
		h.begun++
		c.shake()
	}
}

// next takes the oldest of those that wait; when that has waited for long, the newest:
// who has just come will still be there, and would otherwise be served only when it
// has given up too.
func (h *handshakes) next(now moment) *Conn {
	at := 0
	if now.sub(h.waiting[0].tls.began) > patience {
		at = len(h.waiting) - 1
	}
	c := h.waiting[at]
	h.waiting = slices.Delete(h.waiting, at, at+1)
	return c
}

// giveWay ends handshakes that wait for their client for too long, as many as others
// wait for a place. Waiting for a processor is not their fault.
func (l *loopState) giveWay() {
	h := &l.handshakes
	ending := int(h.begun-h.ended.Load()) - len(h.running) // will make room at once
	need := len(h.waiting) - h.gone - ending
	for _, c := range h.running {
		s := c.tls
		if n := s.wire.waits.Load(); n != s.waits {
			s.waits, s.since = n, l.at
		}
		if waits := s.waits%2 == 1; waits && need > 0 && l.at.sub(s.since) >= patience {
			c.Abort(ErrTimeout)
			need--
		}
	}
}

// done forgets a handshake that is over, or whose connection has ended.
func (h *handshakes) done(c *Conn) {
	if i := slices.Index(h.running, c); i >= 0 {
		h.running = slices.Delete(h.running, i, i+1)
	}
}

// left takes note that a connection that waits has ended.
func (h *handshakes) left() {
	h.gone++
	if h.gone > 64 && h.gone > len(h.waiting)/2 {
		h.waiting = slices.DeleteFunc(h.waiting, func(c *Conn) bool { return c.gone.Load() })
		h.gone = 0
	}
}
