package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/benchmarks/client"
)

// The close code of a server that goes away: RFC 6455 section 7.4.1.
const goingAway = 1001

// webSocket keeps calls in flight, one of eight a sleep with progress, until the server sends its Close frame.
func (d *drainRun) webSocket(ctx context.Context, era client.Era, l *ledger) error {
	p, err := dialWS(ctx, d.server.Addr, d.opts.path, era)
	if err != nil {
		return err
	}
	defer p.Abort()
	if err := p.SetDeadline(d.deadline()); err != nil {
		return err
	}
	room := make(chan struct{}, drainInFlight)
	ended := make(chan struct{})
	sent := make(chan error, 1)
	for range drainInFlight {
		room <- struct{}{}
	}
	go func() { sent <- d.webSocketSend(p, l, room, ended) }()
	err = d.webSocketRead(p, l, room)
	close(ended)
	if err != nil {
		p.Abort() // the sender may be stuck in a write
	}
	if serr := <-sent; err == nil && serr != nil && !d.signalled() {
		err = fmt.Errorf("sending: %w", serr)
	}
	if err != nil {
		return err
	}
	return p.AwaitEOF()
}

const drainText = "a message under drain"

// webSocketSend sends one call for each token of room. It stops when the reader has seen the end.
func (d *drainRun) webSocketSend(p *wsPeer, l *ledger, room, ended <-chan struct{}) error {
	var q question
	for {
		select {
		case <-ended:
			return nil
		case <-room:
		}
		id := l.begin()
		if id%8 == 0 {
			q.askSleep(p.era, id, 1)
		} else {
			q.askEcho(p.era, id, drainText)
		}
		err := p.send(&q.Call)
		l.written(id, err)
		if err != nil {
			return err
		}
		if d.signalled() {
			// A server that refuses each late call at once must not be asked in a busy loop.
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// webSocketRead takes answers until the Close frame. It returns nil for the code 1001 after the signal.
func (d *drainRun) webSocketRead(p *wsPeer, l *ledger, room chan<- struct{}) error {
	for {
		_, err := p.receive()
		if err != nil {
			return d.closeError(err, l)
		}
		a := &p.answer
		if len(a.Method) > 0 {
			if string(a.Method) != "notifications/progress" || a.Token%8 != 0 {
				return fmt.Errorf("unexpected %s for token %d", a.Method, a.Token)
			}
			l.progress(a.Token)
			continue
		}
		if err := d.settle(a, l); err != nil {
			return err
		}
		room <- struct{}{}
	}
}

func (d *drainRun) settle(a *client.Answer, l *ledger) error {
	q := question{Call: client.Call{ID: a.ID, Tool: "echo"}, text: drainText}
	if a.ID%8 == 0 {
		q.Tool = "sleep"
	}
	err := q.check(a)
	var answer *refusal
	switch {
	case err == nil:
		return l.settle(a.ID, answered)
	case d.signalled() && errors.As(err, &answer):
		return l.settle(a.ID, refused)
	}
	return err
}

func (d *drainRun) closeError(err error, l *ledger) error {
	var c *client.CloseError
	switch {
	case !errors.As(err, &c):
		return fmt.Errorf("ended without a Close frame, %d calls open: %w", l.inFlight(), err)
	case c.Code != goingAway || !d.signalled():
		return fmt.Errorf("%w, want code %d after the signal", err, goingAway)
	}
	return nil
}

// idleWebSocket makes one call and then waits for the Close frame.
func (d *drainRun) idleWebSocket(ctx context.Context, era client.Era, l *ledger) error {
	p, err := dialWS(ctx, d.server.Addr, d.opts.path, era)
	if err != nil {
		return err
	}
	defer p.Abort()
	id := l.begin()
	var q question
	q.askEcho(era, id, drainText)
	if err := p.SetDeadline(d.deadline()); err != nil {
		return err
	}
	err = p.send(&q.Call)
	l.written(id, err)
	if err == nil {
		_, err = p.receive()
	}
	if err == nil {
		err = q.check(&p.answer)
	}
	if err != nil {
		return err
	}
	if err := l.settle(id, answered); err != nil {
		return err
	}
	if _, err := p.receive(); err == nil {
		return errors.New("unexpected message on an idle connection")
	} else if err := d.closeError(err, l); err != nil {
		return err
	}
	return p.AwaitEOF()
}
