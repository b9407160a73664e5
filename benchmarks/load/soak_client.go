package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"millrace/benchmarks/client"
)

// soakPeer is one client of a soak run, whatever it speaks. It is used by one goroutine.
type soakPeer interface {
	open(ctx context.Context) error
	call(q *question) error
	// breakOff sends a call and ends the connection by a TCP reset.
	breakOff(q *question) error
	// close ends the connection as it should be. What outlives connections goes when last is true.
	close(ctx context.Context, last bool) error
}

// soakHTTP is a client on HTTP. A legacy session goes on over several connections.
type soakHTTP struct{ httpPeer }

func (p *soakHTTP) open(ctx context.Context) error { return p.connect(ctx) }

func (p *soakHTTP) breakOff(q *question) error {
	defer p.disconnect()
	if err := p.send(q); err != nil {
		return err
	}
	p.conn.Reset()
	return nil
}

func (p *soakHTTP) close(ctx context.Context, last bool) error {
	if last {
		return p.end(ctx)
	}
	p.disconnect()
	return nil
}

// soakWS is a client on a WebSocket.
type soakWS struct {
	run *soakRun
	era client.Era
	*wsPeer
}

func (p *soakWS) open(ctx context.Context) (err error) {
	p.wsPeer, err = dialWS(ctx, p.run.server.Addr, p.run.opts.path, p.era)
	return err
}

func (p *soakWS) breakOff(q *question) error {
	defer p.Reset()
	return p.send(&q.Call)
}

func (p *soakWS) close(context.Context, bool) error {
	if p.wsPeer == nil {
		return nil
	}
	peer := p.wsPeer
	p.wsPeer = nil
	return peer.Close()
}

// peer makes client number i: a third each is modern HTTP, legacy HTTP and WebSocket.
func (s *soakRun) peer(i int) (soakPeer, client.Era, string) {
	switch i % 3 {
	case 0:
		return s.http(client.Modern), client.Modern, "HTTP"
	case 1:
		return s.http(client.Legacy), client.Legacy, "HTTP"
	default:
		era := eraOf(i / 3)
		return &soakWS{run: s, era: era}, era, "WebSocket"
	}
}

func (s *soakRun) http(era client.Era) *soakHTTP {
	return &soakHTTP{httpPeer{addr: s.server.Addr, path: s.opts.path, era: era}}
}

// client lives one connection after the other.
func (s *soakRun) client(ctx context.Context, rng *rand.Rand, i int) {
	p, era, kind := s.peer(i)
	var id int64
	for !s.leaving() {
		err := s.connection(ctx, rng, p, era, &id)
		if err != nil && ctx.Err() == nil {
			s.faults.add("%s %s: %v", kind, era, err)
			_ = p.close(ctx, true) // the fault is told; a session must not stay behind for it
			s.pause(500 * time.Millisecond)
		}
	}
	if err := p.close(ctx, true); err != nil && ctx.Err() == nil {
		s.faults.add("%s %s: leaving: %v", kind, era, err)
	}
}

// connection makes calls until the connection has lived its time.
func (s *soakRun) connection(ctx context.Context, rng *rand.Rand, p soakPeer, era client.Era, id *int64) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	s.connects.Add(1)
	end := time.Now().Add(time.Duration(rng.ExpFloat64() * float64(soakLife)))
	var q question
	due := time.Now()
	for time.Now().Before(end) && s.await(&due) {
		*id++
		q.ask(rng, era, *id)
		meant := due
		if err := p.call(&q); err != nil {
			return err
		}
		s.calls.Add(1)
		if q.Tool == "sleep" {
			due = time.Now() // it has slept on purpose: the calls that were due meanwhile are not late
			continue
		}
		took := time.Since(meant)
		s.latency.record(took)
		s.window.Load().record(took)
	}
	if s.leaving() || rng.IntN(5) > 0 {
		return p.close(ctx, rng.IntN(2) == 0)
	}
	*id++
	q.ask(rng, era, *id)
	s.brokenOff.Add(1)
	if err := p.breakOff(&q); err != nil {
		return fmt.Errorf("breaking off: %w", err)
	}
	return nil
}

// await waits until the next call is due and moves due to the moment its latency counts from: that at which it was
// meant to be sent, when the call before took too long, or else now, because a timer of Go may be late by a
// millisecond. It returns false when the clients shall go.
func (s *soakRun) await(due *time.Time) bool {
	if pace := time.Duration(s.pace.Load()); pace > 0 {
		*due = due.Add(pace)
		if d := time.Until(*due); d > 0 {
			s.pause(d)
			*due = time.Now()
		}
	} else {
		*due = time.Now()
	}
	return !s.leaving()
}
