package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

// After the last client has left, the counts of the server must be back within these times. Pool workers end after
// they have been idle for 10 s, so goroutines get longer.
const (
	settleTime           = 10 * time.Second
	settleTimeGoroutines = 15 * time.Second
	// toleranceGoroutines allows for goroutines of the Go runtime that start once and stay.
	toleranceGoroutines = 2
)

// crowd is what all clients of a churn run share.
type crowd struct {
	opts   *options
	server *daemon.Process
	// leave ends when the clients shall go; what they have begun they finish under the outer context.
	leave context.Context

	calls, connects, aborts, streams atomic.Int64
	latency                          *stopwatch
	faults                           faults
}

func churn(ctx context.Context, o *options, b *bench, r *Report) error {
	p, err := b.serve(ctx, 0)
	if err != nil {
		return err
	}
	before, err := restingGauges(ctx, p)
	if err != nil {
		return err
	}
	used, err := startMeter(p)
	if err != nil {
		return err
	}
	d := o.span(time.Minute, 10*time.Second)
	leave, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	c := &crowd{opts: o, server: p, leave: leave, latency: newStopwatch()}
	c.run(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}

	r.figure("clients", float64(2*o.clients), "")
	r.count("calls verified", c.calls.Load())
	r.figure("calls per second", float64(c.calls.Load())/d.Seconds(), "/s")
	r.count("connections made", c.connects.Load())
	r.count("connections broken off", c.aborts.Load())
	r.count("legacy GET streams", c.streams.Load())
	r.Latency = c.latency.latency()
	if err := used.report(r, c.calls.Load()); err != nil {
		return err
	}
	r.check("calls were made", c.calls.Load() > int64(2*o.clients), "%d", c.calls.Load())
	c.faults.check(r, "every answer right, every connection served")
	return settle(ctx, p, before, r)
}

// run sends the clients and returns when all have left.
func (c *crowd) run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range 2 * c.opts.clients {
		rng := rand.New(rand.NewPCG(c.opts.seed, uint64(i)))
		era := client.Era(i / 2 % 2)
		wg.Go(func() {
			c.pause(rng, time.Second) // do not all arrive in the same millisecond
			if i%2 == 0 {
				c.webSocketClient(ctx, rng, era)
			} else {
				c.httpClient(ctx, rng, era)
			}
		})
	}
	wg.Wait()
}

func (c *crowd) leaving() bool { return c.leave.Err() != nil }

// pause waits between 0 and twice the mean, or until the end.
func (c *crowd) pause(rng *rand.Rand, mean time.Duration) {
	if mean <= 0 {
		return
	}
	select {
	case <-c.leave.Done():
	case <-time.After(time.Duration(rng.Int64N(int64(2 * mean)))):
	}
}

// fault notes what went wrong, unless the whole run is being given up. The pause keeps a dead server from being
// asked in a busy loop.
func (c *crowd) fault(ctx context.Context, rng *rand.Rand, who string, era client.Era, err error) {
	if ctx.Err() == nil {
		c.faults.add("%s %s: %v", who, era, err)
		c.pause(rng, 500*time.Millisecond)
	}
}

func (c *crowd) webSocketClient(ctx context.Context, rng *rand.Rand, era client.Era) {
	for !c.leaving() {
		p, err := dialWS(ctx, c.server.Addr, c.opts.path, era)
		if err == nil {
			c.connects.Add(1)
			err = c.webSocketConnection(rng, p)
		}
		if err != nil {
			c.fault(ctx, rng, "WebSocket", era, err)
		}
	}
}

// webSocketConnection makes a random number of calls, up to three of them in flight, and leaves in one of four ways.
func (c *crowd) webSocketConnection(rng *rand.Rand, p *wsPeer) error {
	defer p.Abort()
	var id int64
	next := func(qs []question) []question {
		qs = qs[:1+rng.IntN(3)]
		for i := range qs {
			id++
			qs[i].ask(rng, p.era, id)
		}
		return qs
	}
	qs := make([]question, 3)
	for calls := 1 + rng.IntN(200); calls > 0 && !c.leaving(); {
		batch := next(qs)
		start := time.Now()
		if err := p.callAll(batch); err != nil {
			return err
		}
		c.latency.record(time.Since(start))
		c.calls.Add(int64(len(batch)))
		calls -= len(batch)
		c.pause(rng, c.opts.think)
	}
	switch n := rng.IntN(100); {
	case n < 70:
		return p.Close()
	case n < 85: // dies with calls in flight
		for _, q := range next(qs) {
			if err := p.send(&q.Call); err != nil {
				return err
			}
		}
		if n%2 == 0 {
			p.Reset()
		}
	case n < 95: // dies in the middle of a frame
		if err := p.WritePart(next(qs)[0].Append(nil)); err != nil {
			return err
		}
	}
	c.aborts.Add(1)
	return nil
}

func (c *crowd) httpClient(ctx context.Context, rng *rand.Rand, era client.Era) {
	p := &httpPeer{addr: c.server.Addr, path: c.opts.path, era: era}
	var id int64
	for !c.leaving() {
		err := c.httpSession(ctx, rng, p, &id)
		p.disconnect()
		if err != nil {
			c.fault(ctx, rng, "HTTP", era, err)
			p.session = ""
		}
	}
}

// httpSession makes a few connections, in the legacy era all of one session, then ends the session.
func (c *crowd) httpSession(ctx context.Context, rng *rand.Rand, p *httpPeer, id *int64) error {
	var stream *client.HTTP
	for range 1 + rng.IntN(4) {
		fresh := p.conn == nil
		if err := p.connect(ctx); err != nil {
			return err
		}
		if fresh {
			c.connects.Add(1)
		}
		if p.era == client.Legacy && stream == nil && rng.IntN(10) == 0 {
			var err error
			if stream, err = c.openStream(ctx, p); err != nil {
				return fmt.Errorf("GET: %w", err)
			}
			defer stream.Close()
		}
		if err := c.httpConnection(rng, p, id); err != nil {
			return err
		}
		if c.leaving() {
			break
		}
	}
	session := p.session
	if err := p.end(ctx); err != nil {
		return err
	}
	if stream != nil && rng.IntN(2) == 0 {
		if err := awaitStreamEnd(stream); err != nil {
			return fmt.Errorf("GET stream after DELETE: %w", err)
		}
	}
	if session != "" && rng.IntN(4) == 0 {
		return endedSessionIsGone(ctx, p, session)
	}
	return nil
}

// httpConnection makes a random number of calls one after the other, and leaves in one of four ways.
func (c *crowd) httpConnection(rng *rand.Rand, p *httpPeer, id *int64) error {
	var q question
	for calls := 1 + rng.IntN(100); calls > 0 && !c.leaving() && !p.close; calls-- {
		*id++
		q.ask(rng, p.era, *id)
		start := time.Now()
		if err := p.call(&q); err != nil {
			return err
		}
		c.latency.record(time.Since(start))
		c.calls.Add(1)
		c.pause(rng, c.opts.think)
	}
	defer p.disconnect()
	if p.close {
		return nil
	}
	*id++
	q.ask(rng, p.era, *id)
	switch n := rng.IntN(100); {
	case n < 70:
		return nil
	case n < 90: // dies in the middle of a call
		if err := p.send(&q); err != nil {
			return err
		}
		if n%2 == 0 {
			p.conn.Reset()
		}
	default: // dies in the middle of a request
		whole := p.request("POST")
		p.out = whole.Append(p.out[:0], q.Append(nil))
		if err := p.conn.Write(p.out[:rng.IntN(len(p.out))]); err != nil {
			return err
		}
	}
	c.aborts.Add(1)
	return nil
}

// openStream opens the stream of messages from the server that a legacy session may have.
func (c *crowd) openStream(ctx context.Context, p *httpPeer) (*client.HTTP, error) {
	s, err := openStream(ctx, p)
	if err == nil {
		c.streams.Add(1)
	}
	return s, err
}

func openStream(ctx context.Context, p *httpPeer) (*client.HTTP, error) {
	h, err := client.DialHTTP(ctx, p.addr)
	if err != nil {
		return nil, err
	}
	err = h.SetDeadline(time.Now().Add(answerTime))
	if err == nil {
		r := p.request("GET")
		err = h.Write(r.Append(nil, nil))
	}
	var head client.Head
	if err == nil {
		head, err = h.ReadHead()
	}
	if err == nil && (head.Status != 200 || !head.EventStream || !head.Chunked) {
		err = fmt.Errorf("status %d, event stream %v, chunked %v", head.Status, head.EventStream, head.Chunked)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// awaitStreamEnd reads a GET stream to its last chunk.
func awaitStreamEnd(h *client.HTTP) error {
	if err := h.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	return h.ReadEvents(client.Head{Status: 200, Chunked: true}, func(client.Event) error { return nil })
}

// endedSessionIsGone checks MCP 2025-11-25, basic/transports: after the end of a session the server "MUST respond to
// requests containing that session ID with HTTP 404 Not Found".
func endedSessionIsGone(ctx context.Context, p *httpPeer, session string) error {
	p.session = session
	defer func() { p.session = "" }()
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	q.askEcho(p.era, 1, "gone")
	if _, _, err := p.exchange(p.request("POST"), q.Append(nil), 404); err != nil {
		return fmt.Errorf("call in an ended session: %w", err)
	}
	return nil
}
