package loop

import (
	"slices"
	"time"
)

// handshakes bounds the TLS handshakes of one loop: each has a goroutine, and most of
// its time it waits for its client. Loop only.
type handshakes struct {
	most    int
	running []*Conn // oldest first
	waiting []*Conn // with a whole ClientHello
}

// patience is how long a handshake may run while others wait for its place: then it
// gives way. Without this, a few clients that never finish theirs would keep
// everybody out.
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
		c := h.waiting[0]
		gone := c.mode != modeHandshake || c.aborted
		if !gone && len(h.running) >= h.most && !l.giveWay() {
			return
		}
		h.waiting[0] = nil
		if h.waiting = h.waiting[1:]; len(h.waiting) == 0 {
			h.waiting = nil
		}
		if !gone {
			c.tls.began = l.at
			h.running = append(h.running, c)
			c.shake()
		}
	}
}

// giveWay ends the oldest handshake if it has had its time.
func (l *loopState) giveWay() bool {
	oldest := l.handshakes.running[0]
	if l.at.sub(oldest.tls.began) < patience {
		return false
	}
	l.shared.handshakeErrors.Add(1)
	l.handshakes.remove(oldest)
	oldest.Abort(ErrTimeout)
	return true
}

// remove makes room when the handshake of c is over, in whatever way.
func (h *handshakes) remove(c *Conn) {
	if i := slices.Index(h.running, c); i >= 0 {
		h.running = slices.Delete(h.running, i, i+1)
	}
}
