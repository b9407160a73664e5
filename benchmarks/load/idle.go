package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	idleDialers = 32 // connect at once
	idleSample  = 100
	// What R2 and R3 promise.
	mostPerIdle        = 8 << 10
	mostIdleGoroutines = 200
)

// idleCrowd is connections that have made one call each and then say nothing.
type idleCrowd struct {
	server  *daemon.Process
	path    string
	sockets []*wsPeer
	https   []*httpPeer
	faults  faults
	sampled atomic.Int64
}

// idle holds many idle connections, half WebSockets and half HTTP, and measures what each costs.
func idle(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	n, err := idleCount(pick(o, 15_000, 2_000))
	if err != nil {
		return err
	}
	p, err := b.serve(ctx, 0, "--pprof")
	if err != nil {
		return err
	}
	c := &idleCrowd{server: p, path: o.path, sockets: make([]*wsPeer, n/2), https: make([]*httpPeer, n-n/2)}
	defer c.leave()
	if _, err := untilServed(ctx, p.Addr, o.path); err != nil { // what is made once is made now
		return err
	}
	start, err := readIdle(ctx, p)
	if err != nil {
		return err
	}
	c.connect(ctx, len(c.sockets), c.openSocket)
	sockets, err := readIdle(ctx, p)
	if err != nil {
		return err
	}
	c.connect(ctx, len(c.https), c.openHTTP)
	all, err := readIdle(ctx, p)
	if err != nil {
		return err
	}
	hold := pick(o, time.Minute, 3*time.Second)
	if err := c.hold(ctx, hold); err != nil {
		return err
	}
	end, err := readIdle(ctx, p)
	if err != nil {
		return err
	}
	c.sample()

	r.figure("held for", hold.Seconds(), "s")
	r.promise("R1", "idle connections", true, end.gauges.Connections == n && c.faults.count() == 0, "all stay, and are served when they call",
		"%d of %d open after %v, %d called", end.gauges.Connections, n, hold, c.sampled.Load())
	c.faults.check(r, "no connection refused, ended or wrong")
	perIdle(r, "WebSocket", !o.noGate, len(c.sockets), start, sockets)
	perIdle(r, "HTTP connection", !o.noGate, len(c.https), sockets, all)
	grown := end.gauges.Goroutines - start.gauges.Goroutines
	r.promise("R3", "goroutines", true, grown <= mostIdleGoroutines, "<= 200 more, however many connections",
		"%d, %d without connections", end.gauges.Goroutines, start.gauges.Goroutines)
	return ctx.Err()
}

// idleCount is want, or less where the limit of descriptors, which the server has too, does not allow it.
func idleCount(want int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	return int(min(uint64(want), limit.Cur/10*8)), nil
}

// idleReading is what the server uses after a collection.
type idleReading struct {
	rss, heap int64
	gauges    daemon.Gauges
}

func readIdle(ctx context.Context, p *daemon.Process) (v idleReading, err error) {
	if err = p.CollectGarbage(ctx); err != nil {
		return v, err
	}
	if v.gauges, err = p.Gauges(ctx); err != nil {
		return v, err
	}
	counts, err := p.Counts(ctx)
	if err != nil {
		return v, err
	}
	use, err := p.Usage()
	v.rss, v.heap = use.RSS, int64(counts["memoryheapalloc"])
	return v, err
}

// perIdle judges the memory of a connection. Of a short run the heap alone says something: a few thousand connections
// are less than the garbage that the heap may keep before it is collected.
func perIdle(r *Report, kind string, judged bool, n int, before, after idleReading) {
	heap, rss := (after.heap-before.heap)/int64(n), (after.rss-before.rss)/int64(n)
	r.promise("R2", "idle "+kind, true, heap <= mostPerIdle, "<= 8 KiB", "%.1f KiB of heap each", float64(heap)/1024)
	r.promise("R2", "idle "+kind, judged, rss <= mostPerIdle, "<= 8 KiB", "%.1f KiB of RSS each", float64(rss)/1024)
}

// connect calls open for each index, some at once.
func (c *idleCrowd) connect(ctx context.Context, n int, open func(context.Context, int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range idleDialers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := open(ctx, i); err != nil && ctx.Err() == nil {
					c.faults.add("connection %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// openSocket makes every other WebSocket one with a session.
func (c *idleCrowd) openSocket(ctx context.Context, i int) error {
	p, err := dialWS(ctx, c.server.Addr, c.path, eraOf(i))
	if err != nil {
		return err
	}
	c.sockets[i] = p
	var q question
	q.askEcho(p.era, 1, "then idle")
	return p.call(&q)
}

func (c *idleCrowd) openHTTP(ctx context.Context, i int) error {
	p := &httpPeer{addr: c.server.Addr, path: c.path, era: client.Modern}
	c.https[i] = p
	if err := p.connect(ctx); err != nil {
		return err
	}
	var q question
	q.askEcho(p.era, 1, "then idle")
	return p.call(&q)
}

// hold reads from all WebSockets for d, on which nothing may come but pings.
func (c *idleCrowd) hold(ctx context.Context, d time.Duration) error {
	var wg sync.WaitGroup
	until := time.Now().Add(d)
	for i, p := range c.sockets {
		if p == nil {
			continue
		}
		wg.Go(func() {
			_ = p.SetDeadline(until) // fails only on a closed socket, which Read will report
			if msg, err := p.Read(); !errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				c.faults.add("idle WebSocket %d: %.100q, %v", i, msg, err)
			}
		})
	}
	err := sleep(ctx, d)
	wg.Wait()
	return err
}

// sample has one in a hundred connections of each kind make a call.
func (c *idleCrowd) sample() {
	var q question
	try := func(i int, era client.Era, call func(*question) error) {
		q.askEcho(era, 2, "still here")
		if err := call(&q); err != nil {
			c.faults.add("connection %d after the idle time: %v", i, err)
			return
		}
		c.sampled.Add(1)
	}
	for i := 0; i < len(c.sockets); i += idleSample {
		if p := c.sockets[i]; p != nil {
			try(i, p.era, p.call)
		}
	}
	for i := 0; i < len(c.https); i += idleSample {
		if p := c.https[i]; p != nil && p.conn != nil {
			try(i, p.era, p.call)
		}
	}
}

func (c *idleCrowd) leave() {
	for _, p := range c.sockets {
		if p != nil {
			p.Abort()
		}
	}
	for _, p := range c.https {
		if p != nil {
			p.disconnect()
		}
	}
}
