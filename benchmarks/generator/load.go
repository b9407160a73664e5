package generator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Load is load on one server. Open it, Start it, read Counts as often as you like, Close it, read Latency.
// Its methods are for one goroutine.
type Load struct {
	// Addr is the "ip:port" of the server, Path its endpoint.
	Addr, Path string
	Groups     []*Group
	// Workers is the number of threads; default 1.
	Workers int
	// Spin keeps the threads from sleeping between events. A server on the same machine pays for waking a client that
	// sleeps, several microseconds of its CPU on a virtual machine, which a client across a network does not cost; and
	// it pays the more often the slower it is. Spinning clients are never woken. They need cores of their own.
	Spin bool
	// Patience is how long Close waits for answers; default 10 s.
	Patience time.Duration

	to      unix.SockaddrInet4
	base    time.Time
	workers []*worker

	// Orders to the workers.
	started, recording, ending, stop atomic.Bool
	// News from them.
	ready, lost atomic.Int64
	err         atomic.Pointer[error]
}

// clock is the time since Open in nanoseconds.
func (l *Load) clock() int64 { return int64(time.Since(l.base)) }

func (l *Load) fail(err error) { l.err.CompareAndSwap(nil, &err) }

// Open connects all groups and waits until every connection is ready: upgraded, with its session, subscribed. When
// that fails, or ctx ends, nothing is left behind.
func (l *Load) Open(ctx context.Context) error {
	addr, err := netip.ParseAddrPort(l.Addr)
	if err != nil || !addr.Addr().Is4() {
		return fmt.Errorf("address %q is not IPv4:port", l.Addr)
	}
	l.to = unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	l.base = time.Now()
	l.Workers = max(1, l.Workers)
	want := int64(0)
	for _, g := range l.Groups {
		if err := g.prepare(); err != nil {
			return err
		}
		want += int64(g.Conns)
	}
	for i := range l.Workers {
		w, err := newWorker(l, i)
		if err != nil {
			return errors.Join(err, l.Close(ctx))
		}
		l.workers = append(l.workers, w)
		go w.run()
	}
	if err := l.awaitReady(ctx, want); err != nil {
		_ = l.Close(ctx) // what it would complain about follows from err
		return err
	}
	return nil
}

func (l *Load) awaitReady(ctx context.Context, want int64) error {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for l.ready.Load() < want {
		if err := l.err.Load(); err != nil {
			return *err
		}
		if l.lost.Load() > 0 {
			return fmt.Errorf("%d connections lost while opening: %w", l.lost.Load(), l.failures())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d connections ready: %w", l.ready.Load(), want, ctx.Err())
		case <-poll.C:
		}
	}
	return nil
}

func (l *Load) failures() error {
	var all []error
	for _, g := range l.Groups {
		for _, f := range g.Failures() {
			all = append(all, errors.New(g.Name+": "+f))
		}
	}
	return errors.Join(all...)
}

// Start lets the groups begin. Latencies are not yet recorded.
func (l *Load) Start() { l.started.Store(true) }

// Record turns the recording of latencies on, or ends it: what waits for its answer then, or for room to be sent, counts
// with the time that it has waited.
func (l *Load) Record(on bool) { l.recording.Store(on) }

// Counts returns what g has counted so far.
func (l *Load) Counts(g *Group) (c Counts) {
	for _, t := range l.tallies(g) {
		c.Messages += t.messages.Load()
		c.Errors += t.errors.Load()
		c.Refused += t.refused.Load()
		c.Dialled += t.dialled.Load()
		c.Sent += t.sent.Load()
	}
	return c
}

func (l *Load) tallies(g *Group) (all []*tally) {
	for _, w := range l.workers {
		for _, s := range w.shares {
			if s.group == g {
				all = append(all, s.tally)
			}
		}
	}
	return all
}

// Idle is the time that all threads together have waited in vain since Open.
func (l *Load) Idle() (d time.Duration) {
	for _, w := range l.workers {
		d += time.Duration(w.idle.Load())
	}
	return d
}

// Close asks nothing more, waits for what is open while ctx lasts, and closes all connections. What has not been
// answered by then, and notifications that have not come, count as errors. The error is that of a worker that could not
// go on.
func (l *Load) Close(ctx context.Context) error {
	l.ending.Store(true)
	if l.started.Load() {
		l.awaitSettled(ctx)
	}
	l.stop.Store(true)
	for _, w := range l.workers {
		<-w.done
	}
	for _, g := range l.Groups {
		if n := l.untold(g); n > 0 {
			l.tallies(g)[0].errors.Add(n)
			g.failed("%d notifications missing at the end", n)
		}
	}
	if err := l.err.Load(); err != nil {
		return *err
	}
	return nil
}

// untold is how many notifications have yet to come to the connections of g.
func (l *Load) untold(g *Group) int64 {
	if g.After == nil || !l.started.Load() {
		return 0
	}
	return l.Counts(g.After).Messages*int64(g.Conns) - l.Counts(g).Messages
}

// awaitSettled waits until nothing is open any more. The workers are threads that must not wait for anybody, so this
// one looks.
func (l *Load) awaitSettled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(l.Patience, 10*time.Second))
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for l.err.Load() == nil && l.open() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// open is how many answers and notifications have yet to come.
func (l *Load) open() (n int64) {
	for _, g := range l.Groups {
		n += max(0, l.untold(g))
		if g.Behaviour == Call {
			for _, t := range l.tallies(g) {
				n += t.open.Load()
			}
		}
	}
	return n
}

// Latency returns the recorded latencies of g in nanoseconds. Only after Close.
func (l *Load) Latency(g *Group) *hdrhistogram.Histogram {
	all := newTally().latency
	for _, t := range l.tallies(g) {
		all.Merge(t.latency)
	}
	return all
}
