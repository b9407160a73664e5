package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	// soakShare of the rate that all clients together reach is what they then keep to: a server that has no time
	// left shows queues, not leaks.
	soakShare = 0.5
	// soakLife is the mean life of a connection, so that a twentieth of them ends every second.
	soakLife = 20 * time.Second
	// soakSettle is how soon nothing of the clients may be left. Goroutines have settleTimeGoroutines.
	soakSettle = 5 * time.Second
)

// soakRun is what the clients of a soak run share.
type soakRun struct {
	opts   *options
	server *daemon.Process
	leave  context.Context // ends when the clients shall go
	// pace is how often each client calls, in nanoseconds; 0 is as often as it can.
	pace atomic.Int64
	// window collects the latencies since the last row of the table.
	window                     atomic.Pointer[stopwatch]
	calls, connects, brokenOff atomic.Int64
	injected                   atomic.Int64
	injections                 []atomic.Int64 // by index of soakFaults
	faults                     faults
	latency                    *stopwatch
}

func soak(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	p, err := b.serve(ctx, 0)
	if err != nil {
		return err
	}
	before, err := restingGauges(ctx, p)
	if err != nil {
		return err
	}
	leave, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &soakRun{opts: o, server: p, leave: leave, latency: newStopwatch(), injections: make([]atomic.Int64, len(soakFaults))}
	s.window.Store(newStopwatch())
	clients := s.start(ctx)
	table, err := s.watch(ctx, b)
	cancel()
	clients.Wait()
	if err != nil {
		return err
	}
	s.report(r, table)
	if err := settleWithin(ctx, p, before, r, soakSettle); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return table.write(ctx, o.out, b, r)
}

// start sends the clients and those who do harm.
func (s *soakRun) start(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range s.opts.conns {
		rng := rand.New(rand.NewPCG(s.opts.seed, uint64(i)))
		wg.Go(func() { s.client(ctx, rng, i) })
	}
	wg.Go(func() { s.harm(ctx, rand.New(rand.NewPCG(s.opts.seed, 1<<32))) })
	return &wg
}

// watch lets the clients find out how fast they can be, slows them down to half of it, and notes a row of the table
// every interval until the time is over.
func (s *soakRun) watch(ctx context.Context, b *bench) (*soakTable, error) {
	d := s.opts.span(time.Hour, 15*time.Second)
	probe, interval := pick(s.opts, 10*time.Second, 3*time.Second), pick(s.opts, 30*time.Second, 5*time.Second)
	t := &soakTable{warmup: d / 5, interval: interval, started: time.Now()}
	if err := sleep(ctx, probe/3); err != nil { // until all are connected
		return nil, err
	}
	from, calls := time.Now(), s.calls.Load()
	if err := sleep(ctx, probe-probe/3); err != nil {
		return nil, err
	}
	t.maximum = float64(s.calls.Load()-calls) / time.Since(from).Seconds()
	t.target = soakShare * t.maximum
	s.pace.Store(int64(float64(s.opts.conns) / max(t.target, 1) * float64(time.Second)))

	s.window.Swap(newStopwatch())
	last := s.counts()
	fmt.Fprint(b.stdout, t.head())
	t.started = time.Now()
	for end := t.started.Add(d); time.Until(end) > interval/2; {
		rss, err := s.sample(ctx, interval)
		if err != nil {
			return nil, err
		}
		now := s.counts()
		row, err := s.row(ctx, last, now)
		if err != nil {
			return nil, err
		}
		last, row.at, row.rss = now, now.at.Sub(t.started), rss
		t.rows = append(t.rows, row)
		fmt.Fprint(b.stdout, row.String())
	}
	return t, nil
}

// sample waits for d and returns the mean of the server's resident memory, read every second: one reading depends on
// how far the collector just is.
func (s *soakRun) sample(ctx context.Context, d time.Duration) (int64, error) {
	var sum, n int64
	for end := time.Now().Add(d); time.Until(end) > 0; n++ {
		if err := sleep(ctx, min(time.Second, time.Until(end))); err != nil {
			return 0, err
		}
		use, err := s.server.Usage()
		if err != nil {
			return 0, err
		}
		sum += use.RSS
	}
	return sum / max(n, 1), nil
}

// soakCounts are the counts of the load program at one moment.
type soakCounts struct {
	at              time.Time
	calls, injected int64
	errors          int
}

func (s *soakRun) counts() soakCounts {
	return soakCounts{time.Now(), s.calls.Load(), s.injected.Load(), s.faults.count()}
}

// row reads what the server is like now, and counts what has happened since the last row.
func (s *soakRun) row(ctx context.Context, last, now soakCounts) (soakRow, error) {
	latency := s.window.Swap(newStopwatch()).latency()
	g, err := s.server.Gauges(ctx)
	if err != nil {
		return soakRow{}, err
	}
	counts, err := s.server.Counts(ctx)
	if err != nil {
		return soakRow{}, err
	}
	return soakRow{
		calls: now.calls - last.calls, injected: now.injected - last.injected, errors: now.errors - last.errors,
		span: now.at.Sub(last.at), p50: micros(latency.P50), p99: micros(latency.P99),
		heap: int64(counts["memoryheapalloc"]), gauges: g,
	}, nil
}

// report judges the run.
func (s *soakRun) report(r *Report, t *soakTable) {
	r.figure("most calls per second", t.maximum, "/s")
	r.figure("calls per second meant", t.target, "/s")
	r.count("connections at once", int64(s.opts.conns))
	r.count("calls verified", s.calls.Load())
	r.count("connections made", s.connects.Load())
	r.count("connections broken off with a call in flight", s.brokenOff.Load())
	for i, f := range soakFaults {
		n := s.injections[i].Load()
		r.count("injected: "+f.name, n)
		r.check("injected: "+f.name, n > 0, "%d times", n)
	}
	r.Latency = s.latency.latency()
	r.check("calls were made", s.calls.Load() > int64(10*s.opts.conns), "%d", s.calls.Load())
	s.faults.check(r, "R11 every answer right, every injected fault met as it must be")
	t.judge(r, !s.opts.noGate)
}

func (s *soakRun) leaving() bool { return s.leave.Err() != nil }

func (s *soakRun) pause(d time.Duration) { _ = sleep(s.leave, d) }

// eraOf mixes the eras of those who do not say which.
func eraOf(i int) client.Era { return client.Era(i % 2) }

// commandLine is what was typed, as far as the program can know.
func commandLine() string {
	line := "load"
	for _, a := range os.Args[1:] {
		line += " " + a
	}
	return line
}
