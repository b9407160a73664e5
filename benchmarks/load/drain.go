package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

// What is connected when the signal comes. Each kind is half modern, half legacy.
const (
	drainWebSockets = 50
	drainHTTP       = 50
	drainSSE        = 24 // sleep with progress over HTTP, answered as an event stream
	drainGET        = 10 // streams of legacy sessions
	drainIdle       = 20 // half WebSocket, half HTTP, which ask nothing at the end
	drainInFlight   = 4  // calls open on each WebSocket
	drainWarm       = 3 * time.Second
)

// drainRun is what the clients of a drain run share.
type drainRun struct {
	opts   *options
	server *daemon.Process
	// signal is when SIGTERM was sent, in nanoseconds of the Unix epoch; 0 before.
	signal atomic.Int64

	mu      sync.Mutex
	ledgers map[string][]*ledger
	faults  faults // in the end of connections and streams, and wrong answers
	ends    atomic.Int64
}

func (d *drainRun) signalled() bool { return d.signal.Load() != 0 }

func (d *drainRun) ledger(kind string) *ledger {
	l := &ledger{}
	d.mu.Lock()
	d.ledgers[kind] = append(d.ledgers[kind], l)
	d.mu.Unlock()
	return l
}

func drain(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	p, err := b.serve(ctx, 0)
	if err != nil {
		return err
	}
	d := &drainRun{opts: o, server: p, ledgers: make(map[string][]*ledger)}
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	d.connect(runCtx, &wg)
	if err := sleep(ctx, drainWarm); err != nil {
		return err
	}

	signal := time.Now()
	d.signal.Store(signal.UnixNano())
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("SIGTERM: %w", err)
	}
	probes := make(chan *probeCounts, 1)
	go func() { probes <- d.probe(runCtx) }()
	exited := true
	select {
	case <-p.Done():
	case <-time.After(o.drainTimeout + 5*time.Second):
		exited = false
		_ = p.Signal(syscall.SIGKILL)
		<-p.Done()
	case <-ctx.Done():
		return ctx.Err()
	}
	took := time.Since(signal)
	wg.Wait()
	d.report(r, signal)
	d.reportProbes(r, <-probes)
	r.check("server ended by itself", exited, "%.2f s after SIGTERM", took.Seconds())
	r.check("within the drain time", took <= o.drainTimeout, "%.2f s of %v", took.Seconds(), o.drainTimeout)
	r.check("exit code 0", p.ExitCode() == 0, "%d", p.ExitCode())
	return nil
}

// connect sends all clients. They end when the server ends their connections.
func (d *drainRun) connect(ctx context.Context, wg *sync.WaitGroup) {
	for _, k := range []struct {
		name string
		n    int
		run  func(context.Context, client.Era, *ledger) error
	}{
		{"WebSocket", drainWebSockets, d.webSocket},
		{"HTTP", drainHTTP, d.http},
		{"SSE", drainSSE, d.sse},
		{"GET stream", drainGET, d.getStream},
		{"idle WebSocket", drainIdle / 2, d.idleWebSocket},
		{"idle HTTP", drainIdle / 2, d.idleHTTP},
	} {
		for i := range k.n {
			l := d.ledger(k.name)
			era := client.Era(i % 2)
			wg.Go(func() {
				if err := k.run(ctx, era, l); err != nil && ctx.Err() == nil {
					d.faults.add("%s %s: %v", k.name, era, err)
				} else {
					d.ends.Add(1)
				}
			})
		}
	}
}

func (d *drainRun) report(r *Report, signal time.Time) {
	var unanswered faults
	for _, kind := range []string{"WebSocket", "HTTP", "SSE", "idle WebSocket", "idle HTTP"} {
		var t tally
		for _, l := range d.ledgers[kind] {
			l.judge(signal, kind, &t, &unanswered)
		}
		r.count(kind+": requests accepted", t.accepted)
		if t.overtaken > 0 {
			r.count(kind+": sent just before the signal, refused by an answer", t.overtaken)
		}
		if t.late > 0 {
			r.count(kind+": late, answered", t.lateAnswered)
			r.count(kind+": late, refused by an answer", t.lateRefused)
			r.count(kind+": late, refused by the close", t.lateCut)
		}
		r.check(kind+": requests were made", t.accepted > 0, "%d accepted", t.accepted)
	}
	r.count("connections ended properly", d.ends.Load())
	unanswered.check(r, "every accepted request answered, none begun and dropped")
	d.faults.check(r, "every answer right, every connection and stream ended properly")
}

// deadline is when a client of a drain run gives up: well after the server must have ended.
func (d *drainRun) deadline() time.Time {
	return time.Now().Add(drainWarm + d.opts.drainTimeout + 10*time.Second)
}

// http calls echo without pause until the server ends the connection.
func (d *drainRun) http(ctx context.Context, era client.Era, l *ledger) error {
	return d.httpCalls(ctx, era, l, func(q *question, id int64) { q.askEcho(era, id, "a request under drain") })
}

// sse calls sleep with progress, so that the answers are event streams.
func (d *drainRun) sse(ctx context.Context, era client.Era, l *ledger) error {
	return d.httpCalls(ctx, era, l, func(q *question, id int64) { q.askSleep(era, id, 1+float64(id%5)/10) })
}

func (d *drainRun) httpCalls(ctx context.Context, era client.Era, l *ledger, ask func(*question, int64)) error {
	p := &httpPeer{addr: d.server.Addr, path: d.opts.path, era: era}
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	for !p.close {
		id := l.begin()
		ask(&q, id)
		err := p.send(&q)
		l.written(id, err)
		if err == nil {
			err = d.httpAnswer(p, l, &q, id)
		}
		if errors.Is(err, client.ErrNoAnswer) && d.signalled() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return p.awaitEnd()
}

// httpAnswer reads one answer and settles the request, except one whose connection ended before the answer began.
func (d *drainRun) httpAnswer(p *httpPeer, l *ledger, q *question, id int64) error {
	err := p.receive(q)
	if q.notified > 0 {
		l.progress(id)
	}
	if err == nil {
		if q.Progress && q.notified == 0 {
			return errors.New("sleep: answer without progress")
		}
		return l.settle(id, answered)
	}
	var status *client.StatusError
	var answer *refusal
	if d.signalled() && (errors.As(err, &status) && status.Status == 503 || errors.As(err, &answer)) {
		return l.settle(id, refused)
	}
	return err
}

// awaitEnd waits for the end of a connection that the server has announced.
func (p *httpPeer) awaitEnd() error {
	if err := p.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if err := p.conn.AwaitEOF(); err != nil {
		return fmt.Errorf("after Connection: close: %w", err)
	}
	return nil
}

// idleHTTP makes one call and then waits for the end of the connection.
func (d *drainRun) idleHTTP(ctx context.Context, era client.Era, l *ledger) error {
	p := &httpPeer{addr: d.server.Addr, path: d.opts.path, era: era}
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	id := l.begin()
	q.askEcho(era, id, "then nothing")
	err := p.send(&q)
	l.written(id, err)
	if err == nil {
		err = d.httpAnswer(p, l, &q, id)
	}
	if err != nil {
		return err
	}
	if err := p.conn.SetDeadline(d.deadline()); err != nil {
		return err
	}
	return p.conn.AwaitEOF()
}

// getStream opens the stream of a legacy session and expects its last chunk.
func (d *drainRun) getStream(ctx context.Context, _ client.Era, _ *ledger) error {
	p := &httpPeer{addr: d.server.Addr, path: d.opts.path, era: client.Legacy}
	if err := p.connect(ctx); err != nil {
		return err
	}
	p.disconnect()
	s, err := openStream(ctx, p)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetDeadline(d.deadline()); err != nil {
		return err
	}
	return s.ReadEvents(client.Head{Status: 200, Chunked: true}, func(client.Event) error { return nil })
}

// probeCounts is what became of connections that were tried after the signal.
type probeCounts struct {
	answered, refusedByAnswer, closed, refusedDial int64
	faults                                         faults
}

// probe connects anew every 20 ms from the signal to the end of the server.
func (d *drainRun) probe(ctx context.Context) *probeCounts {
	c := &probeCounts{}
	for ctx.Err() == nil && d.server.Alive() {
		d.probeOnce(ctx, c)
		_ = sleep(ctx, 20*time.Millisecond)
	}
	return c
}

func (d *drainRun) probeOnce(ctx context.Context, c *probeCounts) {
	p := &httpPeer{addr: d.server.Addr, path: d.opts.path, era: client.Modern}
	err := p.connect(ctx)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
			c.refusedDial++
		} else if ctx.Err() == nil {
			c.faults.add("dial: %v", err)
		}
		return
	}
	defer p.disconnect()
	var q question
	q.askEcho(p.era, 1, "probe")
	err = p.call(&q)
	var status *client.StatusError
	var answer *refusal
	switch {
	case err == nil:
		c.answered++
	case errors.As(err, &status) && status.Status == 503, errors.As(err, &answer):
		c.refusedByAnswer++
	case errors.Is(err, client.ErrNoAnswer):
		c.closed++
	default:
		c.faults.add("%v", err)
	}
}

func (d *drainRun) reportProbes(r *Report, c *probeCounts) {
	r.count("new connections: refused at dial", c.refusedDial)
	r.count("new connections: closed without answer", c.closed)
	r.count("new connections: refused by an answer", c.refusedByAnswer)
	r.count("new connections: answered", c.answered)
	c.faults.check(r, "new connections answered or refused, none left hanging")
}
