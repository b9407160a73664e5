package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"millrace/benchmarks/client"
)

const (
	// One call of so many sleeps, for up to half a second: it is in flight when the signal comes, and its answer is an
	// event stream.
	rollingSleepEvery = 25
	rollingSocketPace = 50 * time.Millisecond
)

func (r *rollingRun) leaving() bool {
	select {
	case <-r.leave:
		return true
	default:
		return false
	}
}

// http calls at its share of the rate, on one connection to the proxy. A call that was kept waiting is sent late, and
// its latency counts from when it was meant to be sent, or from the end of a sleep that the client asked for itself.
func (r *rollingRun) http(ctx context.Context, i int) {
	p := &httpPeer{addr: r.proxy.Addr, path: r.opts.path, era: client.Modern}
	defer p.disconnect()
	rng := rand.New(rand.NewPCG(r.opts.seed, uint64(i)))
	pace := time.Second * rollingConns / time.Duration(r.rate)
	due := time.Now().Add(time.Duration(rng.Int64N(int64(pace))))
	var awake time.Time
	var q question
	for id := int64(1); ; id++ {
		select {
		case <-r.leave:
			return
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		if (id+int64(i))%rollingSleepEvery == 0 {
			q.askSleep(client.Modern, id, 0.1+0.4*rng.Float64())
		} else {
			q.askEcho(client.Modern, id, randomText(rng))
		}
		r.judge(p, p.callAnew(ctx, &q))
		if q.Tool == "sleep" {
			awake = time.Now()
		} else if awake.After(due) {
			r.latency.record(time.Since(awake))
		} else {
			r.latency.record(time.Since(due))
		}
		due = due.Add(pace)
	}
}

// judge counts a call.
func (r *rollingRun) judge(p *httpPeer, err error) {
	if err == nil {
		r.answered.Add(1)
		return
	}
	r.failed.Add(1)
	now := time.Now()
	r.faults.add("%s, %v after the last SIGTERM: %v", now.Format("15:04:05.000"), r.sinceSignal(now), err)
	p.disconnect()
}

// callAnew makes one call, on a new connection when the last has been announced to end.
func (p *httpPeer) callAnew(ctx context.Context, q *question) error {
	if p.close {
		p.disconnect()
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	return p.call(q)
}

func (r *rollingRun) sinceSignal(t time.Time) time.Duration {
	return t.Sub(time.Unix(0, r.signal.Load())).Round(time.Millisecond)
}

// webSocket calls on one WebSocket after the other: each ends with the restart of its server.
func (r *rollingRun) webSocket(ctx context.Context, i int64) {
	id := i << 32
	for !r.leaving() && ctx.Err() == nil {
		err := r.oneWebSocket(ctx, &id)
		if err != nil && ctx.Err() == nil {
			r.ends.add("WebSocket, %v after the last SIGTERM: %v", r.sinceSignal(time.Now()), err)
			_ = sleep(ctx, 100*time.Millisecond) // told; a proxy that refuses must not be asked in a busy loop
		}
	}
}

func (r *rollingRun) oneWebSocket(ctx context.Context, id *int64) error {
	p, err := dialWS(ctx, r.proxy.Addr, r.opts.path, client.Modern)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	defer p.Abort()
	for !r.leaving() {
		*id++
		written := time.Now()
		ended, err := r.wsCall(p, *id)
		if err != nil {
			return err
		}
		if ended {
			// A message that crosses the Close frame is not read: docs/websocket.md has the client ask again.
			r.wsCut.Add(1)
			if before := -r.sinceSignal(written); before > unreadTime {
				return fmt.Errorf("a call sent %v before the signal was not answered", before)
			}
		} else {
			r.wsAnswered.Add(1)
			ended, err = awaitClose(p, rollingSocketPace)
		}
		if ended || err != nil {
			return r.wsEnded(p, err)
		}
	}
	return p.Close()
}

// wsCall makes one call. The Close frame may come instead of its answer: then ended is true.
func (r *rollingRun) wsCall(p *wsPeer, id int64) (ended bool, err error) {
	var q question
	q.askEcho(client.Modern, id, "through a proxy")
	if err := p.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return false, err
	}
	if err := p.send(&q.Call); err != nil {
		return false, fmt.Errorf("sending: %w", err)
	}
	if _, err := p.receive(); err != nil {
		return isGoingAway(err), unlessGoingAway(err)
	}
	return false, q.check(&p.answer)
}

// awaitClose reads for a while: nothing is to come but the end.
func awaitClose(p *wsPeer, d time.Duration) (ended bool, err error) {
	if err := p.SetDeadline(time.Now().Add(d)); err != nil {
		return false, err
	}
	msg, err := p.receive()
	switch {
	case err == nil:
		return false, fmt.Errorf("unexpected message %.100s", msg)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	}
	return isGoingAway(err), unlessGoingAway(err)
}

// wsEnded judges the end of a WebSocket: after the Close frame the connection ends, through the proxy too.
func (r *rollingRun) wsEnded(p *wsPeer, err error) error {
	if err == nil {
		err = p.SetDeadline(time.Now().Add(answerTime))
	}
	if err == nil {
		err = p.AwaitEOF()
	}
	if err == nil {
		r.wsEnds.Add(1)
	}
	return err
}

func isGoingAway(err error) bool {
	var c *client.CloseError
	return errors.As(err, &c) && c.Code == goingAway
}

func unlessGoingAway(err error) error {
	if isGoingAway(err) {
		return nil
	}
	return err
}

// stream keeps a subscription open over HTTP. Each restart of its server ends it, with its answer and the last chunk.
func (r *rollingRun) stream(ctx context.Context) {
	for !r.leaving() && ctx.Err() == nil {
		err := r.oneStream(ctx)
		if r.leaving() || ctx.Err() != nil {
			return
		}
		if err != nil {
			r.ends.add("event stream, %v after the last SIGTERM: %v", r.sinceSignal(time.Now()), err)
			_ = sleep(ctx, 100*time.Millisecond)
			continue
		}
		r.streamEnds.Add(1)
	}
}

func (r *rollingRun) oneStream(ctx context.Context) error {
	s, err := listen(ctx, r.proxy.Addr, r.opts.path, `"toolsListChanged":true`)
	if s != nil {
		defer s.close()
	}
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	left := make(chan struct{})
	defer close(left)
	go func() {
		select {
		case <-r.leave:
			s.close() // the reader is waiting for an end that does not come
		case <-left:
		}
	}()
	return s.readToAnswer(time.Now().Add(time.Hour))
}
