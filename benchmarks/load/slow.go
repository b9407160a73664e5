package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"millrace/benchmarks/daemon"
)

// dribbleTime is how soon a request whose head does not end must be given up. The server allows 10 s for a head.
const dribbleTime = 12 * time.Second

// slow has clients that send a byte now and then, clients that read nothing, and those who behave.
func slow(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	p, err := b.serve(ctx, 0)
	if err != nil {
		return err
	}
	if err := slowRequests(ctx, o, p, r); err != nil {
		return fmt.Errorf("slow requests: %w", err)
	}
	if !o.short {
		if err := slowHTTPTest(ctx, o, b, p, r); err != nil {
			return fmt.Errorf("slowhttptest: %w", err)
		}
	}
	b.stopAll()
	if p, err = b.serveStress(ctx); err != nil {
		return err
	}
	if err := slowSubscribers(ctx, o, p, r); err != nil {
		return fmt.Errorf("slow subscribers: %w", err)
	}
	return nil
}

// dribblers are connections whose request head never ends.
type dribblers struct {
	every   time.Duration // between two bytes
	closed  atomic.Int64
	longest *stopwatch
	faults  faults
}

func slowRequests(ctx context.Context, o *options, p *daemon.Process, r *Report) error {
	n, err := idleCount(pick(o, 5000, 500))
	if err != nil {
		return err
	}
	base, err := watchSteady(ctx, p, o.path, "", func() error { return sleep(ctx, pick(o, 5*time.Second, 2*time.Second)) })
	if err != nil {
		return err
	}
	d := &dribblers{every: pick(o, 5*time.Second, time.Second), longest: newStopwatch()}
	during, err := watchSteady(ctx, p, o.path, "", func() error { return d.run(ctx, p.Addr, o.path, n) })
	if err != nil {
		return err
	}
	longest := micros(d.longest.latency().Max)
	base.report(r, "before")
	during.report(r, "slow requests")
	d.faults.check(r, "slow requests: nothing unexpected")
	r.promise("R6", "slow requests", true, d.closed.Load() == int64(n) && longest <= dribbleTime, "all given up within 12 s",
		"%d of %d given up, the last after %.2f s", d.closed.Load(), n, longest.Seconds())
	compareP99(r, "R6", "p99 of others meanwhile", !o.noGate, base, during)
	return nil
}

func (d *dribblers) run(ctx context.Context, addr, path string, n int) error {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := d.dribble(ctx, addr, path); err != nil && ctx.Err() == nil {
				d.faults.add("connection %d: %v", i, err)
			}
		})
		if i%10 == 9 { // slow requests are the subject, not a burst of connections
			_ = sleep(ctx, 10*time.Millisecond)
		}
	}
	wg.Wait()
	return ctx.Err()
}

// dribble sends the begin of a request and a byte of a field now and then, until the server ends the connection.
func (d *dribblers) dribble(ctx context.Context, addr, path string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	start := time.Now()
	next := []byte("POST " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nX-Slow: ")
	in := make([]byte, 512)
	for time.Since(start) < 2*dribbleTime {
		if _, err := conn.Write(next); err != nil {
			break // the server has ended it
		}
		next = []byte{'a'}
		if err := conn.SetReadDeadline(time.Now().Add(d.every)); err != nil {
			return err
		}
		for err == nil {
			_, err = conn.Read(in) // a 408, perhaps, before the end
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		err = nil
	}
	took := time.Since(start)
	d.longest.record(took)
	if err != nil && !isEnd(err) {
		return err
	}
	if took < 2*dribbleTime {
		d.closed.Add(1)
	}
	return nil
}
