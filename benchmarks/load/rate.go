package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"millrace/benchmarks/client"
)

// lastAnswer is how long after the last call an answer is waited for.
const lastAnswer = 10 * time.Second

// tick is how often calls are sent. Waking once per message costs more CPU time than sending it, and the server has
// to share the cores with the load; a burst of a few calls on as many connections is no easier to serve.
const tick = time.Millisecond

// schedule tells when each call is meant to be sent: call i at the tick before start + i/rate, on connection i % conns.
// Latency counts from there, so time that the load program or a full socket lost is not hidden.
type schedule struct {
	start time.Time
	rate  int // calls per second
	total int
	conns int
}

func (s *schedule) at(i int) time.Time {
	return s.start.Add((time.Duration(i) * time.Second / time.Duration(s.rate)).Truncate(tick))
}

// share returns how many of the calls go to connection c.
func (s *schedule) share(c int) int { return (s.total - c + s.conns - 1) / s.conns }

func rate(ctx context.Context, o *options, b *bench, r *Report) error {
	if o.rate < 1 || o.conns < 1 {
		return fmt.Errorf("--rate %d and --conns %d must be positive", o.rate, o.conns)
	}
	p, err := b.serve(ctx, 0)
	if err != nil {
		return err
	}
	peers := make([]*wsPeer, o.conns)
	for i := range peers {
		if peers[i], err = dialWS(ctx, p.Addr, o.path, client.Era(i%2)); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		defer peers[i].Abort()
	}
	used, err := startMeter(p)
	if err != nil {
		return err
	}
	d := o.span(time.Minute, 5*time.Second)
	s := &schedule{rate: o.rate, total: int(float64(o.rate) * d.Seconds()), conns: o.conns}
	run := &rateRun{schedule: s, latency: newStopwatch()}
	answered := run.run(ctx, peers)
	if err := ctx.Err(); err != nil {
		return err
	}

	r.figure("rate wanted", float64(o.rate), "messages/s")
	r.figure("rate sent", float64(s.total)/run.sending.Seconds(), "messages/s")
	r.count("connections", int64(o.conns))
	r.count("calls sent", int64(s.total))
	r.count("answers right", answered)
	r.Latency = run.latency.latency()
	if err := used.report(r, int64(s.total)); err != nil {
		return err
	}
	run.faults.check(r, "every answer right")
	r.check("no answer missing", answered == int64(s.total), "%d of %d", answered, s.total)
	// A second of slack per minute: the schedule is open loop, so a sender that lags shows in the latencies as well.
	r.check("rate held", run.sending <= d+d/60+100*time.Millisecond, "%.2f s for %v", run.sending.Seconds(), d)
	if !o.noGate {
		slowest := micros(r.Latency.Max)
		r.check("slowest answer", slowest <= o.maxLatency, "%v, allowed %v", slowest, o.maxLatency)
	}
	return nil
}

type rateRun struct {
	*schedule
	latency *stopwatch
	faults  faults
	sending time.Duration
}

// run sends all calls and returns the number of right answers.
func (r *rateRun) run(ctx context.Context, peers []*wsPeer) int64 {
	counts := make([]int64, len(peers))
	var readers sync.WaitGroup
	r.start = time.Now().Add(50 * time.Millisecond)
	end := r.at(r.total).Add(lastAnswer)
	for c, p := range peers {
		_ = p.SetDeadline(end) // fails only on a closed socket, which the reader will report
		readers.Go(func() { counts[c] = r.read(p, c) })
	}
	stop := context.AfterFunc(ctx, func() {
		for _, p := range peers {
			p.Abort()
		}
	})
	defer stop()
	r.send(ctx, peers)
	r.sending = time.Since(r.start)
	readers.Wait()
	var sum int64
	for _, n := range counts {
		sum += n
	}
	return sum
}

// send keeps to the schedule on one thread that sleeps in the kernel: a Go timer may fire a millisecond late.
func (r *rateRun) send(ctx context.Context, peers []*wsPeer) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // a refusal only makes the sleeps less exact
	var args []byte
	for i := range r.total {
		if wait := time.Until(r.at(i)); wait > 0 {
			ts := unix.NsecToTimespec(wait.Nanoseconds())
			_ = unix.Nanosleep(&ts, nil) // woken early by a signal: the calls go out early, by less than a tick
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return
		}
		p := peers[i%len(peers)]
		args = appendEcho(args[:0], i)
		if err := p.send(&client.Call{Era: p.era, ID: int64(i), Tool: "echo", Args: args}); err != nil {
			r.faults.add("sending call %d: %v", i, err)
		}
	}
}

const filler = " of a message of usual length, as an agent would send it to a tool that answers at once"

func appendEcho(dst []byte, i int) []byte {
	dst = strconv.AppendInt(append(dst, `{"text":"call `...), int64(i), 10)
	return append(dst, filler+`"}`...)
}

// read takes the answers of connection c until it has all, and returns how many were right.
func (r *rateRun) read(p *wsPeer, c int) (right int64) {
	seen := make([]bool, r.share(c))
	var want []byte
	for range seen {
		msg, err := p.Read()
		now := time.Now()
		if err == nil {
			err = p.answer.Parse(msg)
		}
		if err != nil {
			r.faults.add("connection %d: after %d answers: %v", c, right, err)
			return right
		}
		a := &p.answer
		i := int(a.ID)
		if !a.HasID || i < 0 || i >= r.total || i%r.conns != c || seen[i/r.conns] {
			r.faults.add("connection %d: unexpected message: %.200s", c, msg)
			continue
		}
		seen[i/r.conns] = true
		want = append(strconv.AppendInt(append(want[:0], "call "...), int64(i), 10), filler...)
		if a.Failed || a.ToolError || string(a.Text) != string(want) {
			r.faults.add("call %d: wrong answer: %.200s", i, msg)
			continue
		}
		right++
		r.latency.record(now.Sub(r.at(i)))
	}
	return right
}
