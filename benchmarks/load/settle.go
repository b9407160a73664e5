package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"millrace/benchmarks/daemon"
)

// restingGauges reads the counts of a server without clients, once two readings agree.
func restingGauges(ctx context.Context, p *daemon.Process) (daemon.Gauges, error) {
	last, err := p.Gauges(ctx)
	for range 20 {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return last, err
		}
		now, err := p.Gauges(ctx)
		if err != nil {
			return last, err
		}
		if now == last {
			return now, nil
		}
		last = now
	}
	return last, errors.Join(err, fmt.Errorf("counts of an idle server do not rest: %+v", last))
}

// settle waits until the counts are back at before, as long as they may take, and adds a check for each.
func settle(ctx context.Context, p *daemon.Process, before daemon.Gauges, r *Report) error {
	return settleWithin(ctx, p, before, r, settleTime)
}

// settleWithin is settle with another time for what is not a goroutine.
func settleWithin(ctx context.Context, p *daemon.Process, before daemon.Gauges, r *Report, within time.Duration) error {
	type gauge struct {
		name      string
		of        func(daemon.Gauges) int
		tolerance int
		within    time.Duration
		took      time.Duration
	}
	gauges := []*gauge{
		{name: "connections", of: func(g daemon.Gauges) int { return g.Connections }, within: within},
		{name: "sessions", of: func(g daemon.Gauges) int { return g.Sessions }, within: within},
		{name: "descriptors", of: func(g daemon.Gauges) int { return g.Files }, within: within},
		{name: "goroutines", of: func(g daemon.Gauges) int { return g.Goroutines }, within: settleTimeGoroutines, tolerance: toleranceGoroutines},
	}
	start := time.Now()
	var now daemon.Gauges
	for open := len(gauges); open > 0 && time.Since(start) < settleTimeGoroutines; {
		var err error
		if now, err = p.Gauges(ctx); err != nil {
			return err
		}
		for _, g := range gauges {
			if g.took == 0 && g.of(now) <= g.of(before)+g.tolerance && time.Since(start) <= g.within {
				g.took = max(time.Since(start), 1)
				open--
			}
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	for _, g := range gauges {
		name := g.name + " back at the start value"
		switch b, n := g.of(before), g.of(now); {
		case b == daemon.Unknown && p.PID != 0:
			r.check(name, false, "the server does not tell this count")
		case b == daemon.Unknown:
			r.check(name, true, "not judged: the count of a server that runs elsewhere is not known")
		case g.took == 0:
			r.check(name, false, "%d at the start, %d after %v", b, n, g.within)
		default:
			r.check(name, true, "%d at the start, %d after %.1f s", b, n, g.took.Seconds())
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// meter measures what the server and the load program use during a run.
type meter struct {
	p            *daemon.Process
	server, self daemon.Usage
	start        time.Time
}

func startMeter(p *daemon.Process) (*meter, error) {
	u := &meter{p: p, start: time.Now()}
	var err error
	if u.self, err = daemon.ReadUsage(os.Getpid()); err != nil {
		return nil, err
	}
	if p.PID != 0 {
		u.server, err = p.Usage()
	}
	return u, err
}

// report adds the figures: server CPU per message is the one that means something on a shared machine.
func (u *meter) report(r *Report, messages int64) error {
	wall := time.Since(u.start).Seconds()
	self, err := daemon.ReadUsage(os.Getpid())
	if err != nil {
		return err
	}
	if u.p.PID != 0 {
		now, err := u.p.Usage()
		if err != nil {
			return err
		}
		cpu := now.CPU - u.server.CPU
		r.figure("server CPU per message", float64(cpu.Microseconds())/float64(max(messages, 1)), "µs")
		r.figure("server CPU", cpu.Seconds()/wall, "cores")
		r.figure("server memory before", float64(u.server.RSS>>10)/1024, "MiB")
		r.figure("server memory after", float64(now.RSS>>10)/1024, "MiB")
	}
	r.figure("load CPU", (self.CPU-u.self.CPU).Seconds()/wall, "cores")
	return nil
}
