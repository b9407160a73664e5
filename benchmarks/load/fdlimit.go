package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	steadyClients = 20 // half WebSocket, half HTTP; connected before the trouble begins
	steadyPause   = 20 * time.Millisecond
	steadySlowest = 2 * time.Second // generous: the flood and the server share the cores
	// recoverTime is how soon a server must accept again when descriptors are free.
	recoverTime = time.Second
	floodHold   = time.Second
)

func fdlimit(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	r.count("ulimit -n of the server", int64(o.maxFiles))
	p, err := b.serve(ctx, o.maxFiles)
	if err != nil {
		return err
	}
	if err := flood(ctx, o, p, r); err != nil {
		return fmt.Errorf("flood: %w", err)
	}
	b.stopAll()
	if p, err = b.serveHog(ctx, o.maxFiles); err != nil {
		return err
	}
	if err := hog(ctx, o, p, r); err != nil {
		return fmt.Errorf("hog: %w", err)
	}
	return nil
}

// steady is a group of clients that must not notice anything.
type steady struct {
	calls   atomic.Int64
	latency *stopwatch
	faults  faults
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// startSteady connects all clients before it returns; they call echo until stop.
func startSteady(ctx context.Context, addr, path string) (*steady, error) {
	return startSteadyAs(ctx, addr, path, "")
}

// startSteadyAs is startSteady with a bearer token, unless token is empty.
func startSteadyAs(ctx context.Context, addr, path, token string) (*steady, error) {
	s := &steady{latency: newStopwatch()}
	ctx, s.cancel = context.WithCancel(ctx)
	for i := range steadyClients {
		era := client.Era(i / 2 % 2)
		var call func(*question) error
		var leave func()
		if i%2 == 0 {
			p, err := dialWSAs(ctx, addr, path, token, era)
			if err != nil {
				s.stop()
				return nil, err
			}
			call, leave = p.call, p.Abort
		} else {
			p := &httpPeer{addr: addr, path: path, token: token, era: era}
			if err := p.connect(ctx); err != nil {
				s.stop()
				return nil, err
			}
			call, leave = p.call, p.disconnect
		}
		s.wg.Go(func() {
			defer leave()
			s.run(ctx, era, call)
		})
	}
	return s, nil
}

func (s *steady) run(ctx context.Context, era client.Era, call func(*question) error) {
	var q question
	for id := int64(1); ctx.Err() == nil; id++ {
		q.askEcho(era, id, "steady")
		start := time.Now()
		if err := call(&q); err != nil {
			s.faults.add("call %d: %v", id, err)
			return
		}
		s.latency.record(time.Since(start))
		s.calls.Add(1)
		_ = sleep(ctx, steadyPause)
	}
}

// stop lets the clients finish their calls and waits for them.
func (s *steady) stop() {
	s.cancel()
	s.wg.Wait()
}

func (s *steady) report(r *Report, when string) {
	l := s.latency.latency()
	r.count(when+": calls of established clients", s.calls.Load())
	r.figure(when+": their slowest answer", float64(l.Max)/1000, "ms")
	r.check(when+": established clients were served", s.calls.Load() > steadyClients, "%d calls", s.calls.Load())
	r.check(when+": without a long wait", micros(l.Max) <= steadySlowest, "slowest %v, allowed %v", micros(l.Max), steadySlowest)
	s.faults.check(r, when+": no established client saw an error")
}

// verdicts counts what became of connections that came in while there was no room for all.
type verdicts struct {
	served, refused, dialFailed atomic.Int64
	faults                      faults
}

// knock connects and calls echo. The connection, if it was served, stays open.
func (v *verdicts) knock(ctx context.Context, addr, path string, webSocket bool) (leave func()) {
	var q question
	q.askEcho(client.Modern, 1, "knock")
	var err error
	leave = func() {}
	if webSocket {
		var p *wsPeer
		if p, err = dialWS(ctx, addr, path, client.Modern); err == nil {
			leave = p.Abort
			err = p.call(&q)
		}
	} else {
		p := &httpPeer{addr: addr, path: path, era: client.Modern}
		if err = p.connect(ctx); err == nil {
			leave = p.disconnect
			err = p.call(&q)
		}
	}
	v.judge(ctx, err)
	return leave
}

func (v *verdicts) judge(ctx context.Context, err error) {
	var status *client.StatusError
	switch {
	case err == nil:
		v.served.Add(1)
	// A server that answers 503 and closes before it has read the request resets the connection: also a refusal.
	case errors.Is(err, client.ErrNoAnswer), errors.Is(err, syscall.ECONNRESET), errors.As(err, &status) && status.Status == 503:
		v.refused.Add(1)
	case isDialError(err):
		v.dialFailed.Add(1)
	case ctx.Err() == nil:
		v.faults.add("%v", err)
	}
}

// flood opens many more connections at once than the server has descriptors for.
func flood(ctx context.Context, o *options, p *daemon.Process, r *Report) error {
	s, err := startSteady(ctx, p.Addr, o.path)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := sleep(ctx, 200*time.Millisecond); err != nil {
		return err
	}
	var v verdicts
	var wg sync.WaitGroup
	leaves := make([]func(), o.flood)
	start := time.Now()
	for i := range leaves {
		wg.Go(func() { leaves[i] = v.knock(ctx, p.Addr, o.path, i%2 == 0) })
	}
	wg.Wait()
	took := time.Since(start)
	if err := sleep(ctx, floodHold); err != nil {
		return err
	}
	for _, leave := range leaves {
		leave()
	}
	back, err := untilServed(ctx, p.Addr, o.path)
	alive := p.Alive()
	s.stop()

	r.count("flood: connections", int64(o.flood))
	r.count("flood: served", v.served.Load())
	r.count("flood: refused", v.refused.Load())
	r.count("flood: dial failed", v.dialFailed.Load())
	r.figure("flood: until all were served or refused", took.Seconds(), "s")
	s.report(r, "flood")
	r.check("flood: some were served", v.served.Load() > 0 && v.served.Load() < int64(o.maxFiles), "%d", v.served.Load())
	r.check("flood: the excess was refused", v.served.Load()+v.refused.Load()+v.dialFailed.Load() == int64(o.flood) &&
		v.refused.Load() > 0, "%d", v.refused.Load())
	v.faults.check(r, "flood: no connection was left hanging")
	r.check("flood: accepts again", err == nil && back <= recoverTime, "after %v, %v", back.Round(time.Millisecond), errText(err))
	r.check("flood: the server lives", alive, "pid %d", p.PID)
	return ctx.Err()
}

// hog has a tool open files until none is left.
func hog(ctx context.Context, o *options, p *daemon.Process, r *Report) error {
	s, err := startSteady(ctx, p.Addr, o.path)
	if err != nil {
		return err
	}
	defer s.stop()
	caller, err := dialWS(ctx, p.Addr, o.path, client.Modern)
	if err != nil {
		return err
	}
	defer caller.Abort()
	var v verdicts
	var during sync.WaitGroup
	eating, done := context.WithCancel(ctx)
	during.Go(func() {
		for eating.Err() == nil {
			during.Go(func() { v.knock(ctx, p.Addr, o.path, false)() })
			_ = sleep(eating, 50*time.Millisecond)
		}
	})
	q := question{Call: client.Call{Era: client.Modern, ID: 1, Tool: "hog", Args: []byte("{}")}}
	hogErr := caller.call(&q)
	done()
	opened := string(caller.answer.Text)
	back, backErr := untilServed(ctx, p.Addr, o.path)
	during.Wait()
	alive := p.Alive()
	s.stop()

	r.count("hog: new connections served meanwhile", v.served.Load())
	r.count("hog: refused or failed meanwhile", v.refused.Load()+v.dialFailed.Load())
	s.report(r, "hog")
	var n int
	_, scanErr := fmt.Sscan(opened, &n)
	r.check("hog: the tool answered", hogErr == nil, "opened %.100q files, %v", opened, errText(hogErr))
	r.check("hog: it used up the descriptors", scanErr == nil && n > o.maxFiles/2, "%d files", n)
	r.check("hog: accepts again", backErr == nil && back <= recoverTime, "after %v, %v", back.Round(time.Millisecond), errText(backErr))
	r.check("hog: the server lives", alive, "pid %d", p.PID)
	return ctx.Err()
}

// untilServed tries new connections until one is served, and returns how long that took.
func untilServed(ctx context.Context, addr, path string) (time.Duration, error) {
	start := time.Now()
	for {
		var v verdicts
		v.knock(ctx, addr, path, false)()
		took := time.Since(start)
		if v.served.Load() == 1 {
			return took, nil
		}
		if took > 10*recoverTime {
			return took, errors.New("no new connection is served")
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return took, err
		}
	}
}

func errText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// isDialError reports whether there was no connection at all.
func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
