package server

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"millrace/server/limit"
	"millrace/server/transport"
)

// errJudging is why a request with an unknown credential is refused: others are
// being looked at, which may wait for an issuer. They must not take the workers
// that tools run on.
var errJudging = errors.New("too many credentials to verify")

// judge takes a place among the credentials that are being verified, of which one
// address may have a quarter. It is false when there is none.
func (in *inbound) judge() bool {
	g := in.gate
	if host, ok := limit.Host(in.conn.link.Remote); ok {
		if !g.judgedFrom.Enter(host) {
			return false
		}
		in.from = host
	}
	if g.judging.Add(1) > g.judges {
		in.judged()
		return false
	}
	return true
}

// judged makes room for another credential, if in has waited for its own.
func (in *inbound) judged() {
	if in.who != nil {
		return
	}
	in.gate.judging.Add(-1)
	if in.from.IsValid() {
		in.gate.judgedFrom.Leave(in.from)
		in.from = netip.Prefix{}
	}
}

// waitingRoom is where requests wait for a place among the credentials that are being
// verified. After a restart all clients come back at once, with tokens that nobody
// remembers: they are verified one after the other, which takes milliseconds unless an
// issuer is slow. Any goroutine.
type waitingRoom struct {
	mu    sync.Mutex
	of    map[netip.Prefix]int // by address, those who have entered
	n     int                  // of all
	line  []waiting
	most  int // of all
	share int // of one address
}

type waiting struct {
	in    *inbound
	since time.Time
}

const (
	// waitingMost bounds those who wait, waitingShare those of one address. As each
	// holds largeBody at most, that bounds their memory.
	waitingMost, waitingShare = 1024, 256
	// waitingTime is how long they wait. With authTimeout it is less than the time
	// after which a silent answer becomes an event stream, which has no status.
	waitingTime = 2 * time.Second
)

func newWaitingRoom() *waitingRoom {
	return &waitingRoom{of: map[netip.Prefix]int{}, most: waitingMost, share: waitingShare}
}

// enter reports whether in may wait, and counts it if so. On a connection that all
// messages share what follows could overtake it; an upgrade has nothing behind it.
func (w *waitingRoom) enter(in *inbound) bool {
	if len(in.req.Body) > largeBody || in.conn.shared() && in.req.Kind != transport.Upgrade {
		return false
	}
	host := hostOf(in)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n >= w.most || w.of[host] >= w.share {
		return false
	}
	w.n++
	w.of[host]++
	return true
}

// leave undoes enter.
func (w *waitingRoom) leave(in *inbound) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left(in)
}

// left is leave under mu.
func (w *waitingRoom) left(in *inbound) {
	w.n--
	host := hostOf(in)
	if w.of[host]--; w.of[host] <= 0 {
		delete(w.of, host)
	}
}

// hostOf is whose share in takes; the zero Prefix for those without an address, who
// share one.
func hostOf(in *inbound) netip.Prefix {
	host, _ := limit.Host(in.conn.link.Remote)
	return host
}

// add has in, which has entered, wait.
func (w *waitingRoom) add(in *inbound, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, waiting{in, now})
}

// next takes the first for whom there is a place; nil when there is none.
func (w *waitingRoom) next() *inbound {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, one := range w.line {
		if one.in.gate.judging.Load() >= one.in.gate.judges {
			return nil
		}
		if one.in.judge() {
			w.line = slices.Delete(w.line, i, i+1)
			w.left(one.in)
			return one.in
		}
	}
	return nil
}

// overdue takes those who have waited for too long.
func (w *waitingRoom) overdue(now time.Time) (late []*inbound) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.line) && now.Sub(w.line[n].since) >= waitingTime {
		late = append(late, w.line[n].in)
		w.left(w.line[n].in)
		n++
	}
	w.line = slices.Delete(w.line, 0, n)
	return late
}

// nextStranger lets those who wait begin, as many as there is room for.
func (g *gate) nextStranger() {
	for in := g.room.next(); in != nil; in = g.room.next() {
		g.line(in)
	}
}

// sweepStrangers refuses those who have waited for too long.
func (g *gate) sweepStrangers(now time.Time) {
	for _, in := range g.room.overdue(now) {
		in.overloaded(errJudging)
		in.conn.arrive()
	}
	g.nextStranger()
}
