package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	overloadFactor = 4
	// overloadConns times the 64 calls that a connection may have open are more than the queue holds.
	overloadConns = 100
	busyCallers   = 32 // who find out how much the server can do
	burnMS        = "1"
	leastGoodput  = 0.8
	overloadGrows = 128 << 20 // bytes of resident memory, for some 6,000 calls that wait
	calmTime      = 5 * time.Second
	calmAnswers   = 10 // in a row, as fast as before
)

// overload asks four times as much of a tool that computes as the server can do.
func overload(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	serverCores, unpin, err := shareCores()
	if err != nil {
		return err
	}
	defer unpin()
	p, err := b.serveStress(ctx, serverCores...)
	if err != nil {
		return err
	}
	run := &overloadRun{addr: p.Addr, path: o.path}
	probe, d := pick(o, 5*time.Second, 1500*time.Millisecond), pick(o, 15*time.Second, 4*time.Second)
	before, normal, err := run.most(ctx, probe)
	if err != nil {
		return err
	}
	use, err := p.Usage()
	if err != nil {
		return err
	}
	good, rss, err := run.exceed(ctx, p, int(overloadFactor*before), d)
	if err != nil {
		return err
	}
	calm, calmErr := run.calm(ctx, normal)
	if err := run.collect(ctx); err != nil {
		return err
	}
	after, _, err := run.most(ctx, probe)
	if err != nil {
		return err
	}

	most := (before + after) / 2
	r.figure("most calls per second, before and after", most, "/s")
	r.count("calls offered", run.sent.Load())
	r.count("calls served", run.served.Load())
	r.count("calls refused", run.refused.Load())
	r.count("HTTP calls served", run.httpServed.Load())
	r.count("HTTP calls refused", run.httpRefused.Load())
	r.promise("R14", "goodput", !o.noGate, good >= leastGoodput*most, ">= 80 % of the most", "%.0f/s, %.0f %%", good, 100*good/most)
	r.promise("R14", "the excess", true, run.refused.Load() > 0 && run.httpRefused.Load() > 0 && run.faults.count() == 0,
		"is refused by the overload error, over HTTP with 503 and Retry-After", "%d and %d over HTTP", run.refused.Load(), run.httpRefused.Load())
	run.faults.check(r, "every answer right, every refusal in form")
	answered := run.served.Load() + run.refused.Load()
	r.check("no call without an answer", answered == run.sent.Load(), "%d of %d", answered, run.sent.Load())
	r.promise("R14", "memory", true, rss-use.RSS <= overloadGrows, fmt.Sprintf("bounded: <= %d MiB more", overloadGrows>>20),
		"%+.1f MiB, %.1f MiB before", mebi(rss-use.RSS), mebi(use.RSS))
	r.promise("R14", "afterwards", !o.noGate, calmErr == nil && calm <= calmTime, "latency as before within 5 s", "%.2f s, %s", calm.Seconds(), errText(calmErr))
	return ctx.Err()
}

// overloadRun is the calls of an overload run.
type overloadRun struct {
	addr, path              string
	peers                   []*wsPeer
	readers                 sync.WaitGroup
	over                    atomic.Bool // all has been sent
	sent, served, refused   atomic.Int64
	httpServed, httpRefused atomic.Int64
	faults                  faults
}

func askBurn(q *question, era client.Era, id int64) {
	q.reset(era, id, "burn")
	q.Args = append(q.Args, `{"ms":`+burnMS+`}`...)
}

// most has some clients call as fast as they are answered, and returns the calls per second and the p99 of one alone.
func (v *overloadRun) most(ctx context.Context, d time.Duration) (rate float64, alone time.Duration, err error) {
	first, err := dialWS(ctx, v.addr, v.path, client.Modern)
	if err != nil {
		return 0, 0, err
	}
	defer first.Abort()
	watch := newStopwatch()
	var q question
	for id := range int64(100) {
		askBurn(&q, client.Modern, id)
		start := time.Now()
		if err := first.call(&q); err != nil {
			return 0, 0, err
		}
		watch.record(time.Since(start))
	}
	var calls atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range busyCallers {
		p, err := dialWS(ctx, v.addr, v.path, client.Modern)
		if err != nil {
			return 0, 0, err
		}
		wg.Go(func() {
			defer p.Abort()
			var q question
			for id := int64(1); time.Now().Before(end) && ctx.Err() == nil; id++ {
				askBurn(&q, client.Modern, id)
				if err := p.call(&q); err != nil {
					v.faults.add("below the limit: %v", err)
					return
				}
				calls.Add(1)
			}
		})
	}
	start := time.Now()
	wg.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds(), micros(watch.latency().P99), ctx.Err()
}

// exceed offers the rate for d, and returns what was served a second in the second half, when every queue is full, and
// the most memory that was used.
func (v *overloadRun) exceed(ctx context.Context, p *daemon.Process, rate int, d time.Duration) (good float64, rss int64, err error) {
	for i := range overloadConns {
		peer, err := dialWS(ctx, v.addr, v.path, eraOf(i))
		if err != nil {
			return 0, 0, err
		}
		v.peers = append(v.peers, peer)
		v.readers.Go(func() { v.read(ctx, peer, i) })
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	var prober sync.WaitGroup
	prober.Go(func() { v.probe(probing) })
	var half, last int64
	sender := make(chan error, 1)
	go func() { sender <- v.send(ctx, rate, d) }()
	start := time.Now()
	var halfAt time.Duration
	for sending := true; sending; {
		select {
		case err = <-sender:
			sending = false
		case <-time.After(100 * time.Millisecond):
		}
		last = v.served.Load()
		if at := time.Since(start); half == 0 && at >= d/2 {
			half, halfAt = last, at
		}
		use, uerr := p.Usage()
		if uerr != nil {
			return 0, 0, uerr
		}
		rss = max(rss, use.RSS)
	}
	good = float64(last-half) / (time.Since(start) - halfAt).Seconds()
	stop()
	prober.Wait()
	return good, rss, err
}

// send keeps to the rate, whatever comes back: call i goes out at start + i/rate, at the next millisecond.
func (v *overloadRun) send(ctx context.Context, rate int, d time.Duration) error {
	defer v.over.Store(true)
	start := time.Now()
	var q question
	for i := 0; time.Since(start) < d; {
		for due := int(time.Since(start).Seconds() * float64(rate)); i < due; i++ {
			p := v.peers[i%len(v.peers)]
			askBurn(&q, p.era, int64(i/len(v.peers)))
			v.sent.Add(1)
			if err := p.send(&q.Call); err != nil {
				return fmt.Errorf("sending call %d: %w", i, err)
			}
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// read takes the answers of connection c until collect ends it.
func (v *overloadRun) read(ctx context.Context, p *wsPeer, c int) {
	seen := make(map[int64]bool)
	for {
		msg, err := p.receive()
		if err != nil {
			if !v.over.Load() && ctx.Err() == nil {
				v.faults.add("connection %d: %v", c, err)
			}
			return
		}
		a := &p.answer
		switch {
		case !a.HasID || seen[a.ID]:
			v.faults.add("connection %d: unexpected message: %.200s", c, msg)
		case a.Failed:
			if err := checkOverloaded(p.era, msg); err != nil {
				v.faults.add("connection %d: %v", c, err)
			}
			v.refused.Add(1)
		case a.ToolError || string(a.Text) != "done":
			v.faults.add("connection %d: wrong answer: %.200s", c, msg)
		default:
			v.served.Add(1)
		}
		seen[a.ID] = true
	}
}

// collect waits until every call has its answer, and ends the connections.
func (v *overloadRun) collect(ctx context.Context) error {
	for end := time.Now().Add(lastAnswer); v.served.Load()+v.refused.Load() < v.sent.Load() && time.Now().Before(end); {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	for _, p := range v.peers {
		p.Abort()
	}
	v.readers.Wait()
	return nil
}
