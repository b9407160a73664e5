package main

import (
	"context"
	"fmt"
	"time"

	"millrace/benchmarks/client"
)

// answerTime is how long a client waits for any answer before it calls it missing.
const answerTime = 10 * time.Second

// wsPeer is one MCP client on a WebSocket.
type wsPeer struct {
	*client.WebSocket
	era    client.Era
	out    []byte
	answer client.Answer
}

// dialWS connects and, for the legacy era, opens the session.
func dialWS(ctx context.Context, addr, path string, era client.Era) (*wsPeer, error) {
	return dialWSAs(ctx, addr, path, "", era)
}

// dialWSAs is dialWS with a bearer token, unless token is empty.
func dialWSAs(ctx context.Context, addr, path, token string, era client.Era) (*wsPeer, error) {
	c, err := client.DialWebSocketAs(ctx, addr, path, token)
	if err != nil {
		return nil, err
	}
	p := &wsPeer{WebSocket: c, era: era}
	if era == client.Legacy {
		if err := p.initialize(); err != nil {
			p.Abort()
			return nil, fmt.Errorf("initialize: %w", err)
		}
	}
	return p, nil
}

func (p *wsPeer) initialize() error {
	if err := p.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if err := p.Write(client.AppendInitialize(nil, 0)); err != nil {
		return err
	}
	if _, err := p.receive(); err != nil {
		return err
	}
	if err := checkInitialized(&p.answer); err != nil {
		return err
	}
	if err := p.Write(client.AppendInitialized(nil)); err != nil {
		return err
	}
	return p.SetDeadline(time.Time{})
}

func checkInitialized(a *client.Answer) error {
	if !a.HasID || a.ID != 0 || a.Failed {
		return fmt.Errorf("answer %+v", a)
	}
	return nil
}

func (p *wsPeer) send(c *client.Call) error {
	p.out = c.Append(p.out[:0])
	return p.Write(p.out)
}

// receive reads one message into p.answer and returns its bytes.
func (p *wsPeer) receive() ([]byte, error) {
	msg, err := p.Read()
	if err != nil {
		return nil, err
	}
	return msg, parseMessage(&p.answer, msg)
}

// call asks one question and waits for its answer.
func (p *wsPeer) call(q *question) error { return p.callAll([]question{*q}) }

// callAll asks all questions, then reads until each has its answer. Answers may come in any order.
func (p *wsPeer) callAll(qs []question) error {
	if err := p.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	for i := range qs {
		if err := p.send(&qs[i].Call); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
	}
	open := make(map[int64]*question, len(qs))
	for i := range qs {
		open[qs[i].ID] = &qs[i]
	}
	for len(open) > 0 {
		if _, err := p.receive(); err != nil {
			return fmt.Errorf("%d calls without answer: %w", len(open), err)
		}
		a := &p.answer
		if len(a.Method) > 0 {
			if err := progressOf(open, a); err != nil {
				return err
			}
			continue
		}
		q := open[a.ID]
		if !a.HasID || q == nil {
			return fmt.Errorf("answer for id %d, which is not open", a.ID)
		}
		if err := q.check(a); err != nil {
			return err
		}
		delete(open, a.ID)
	}
	return nil
}

func progressOf(open map[int64]*question, a *client.Answer) error {
	q := open[a.Token]
	if q == nil {
		return fmt.Errorf("%s for token %d, which is not open", a.Method, a.Token)
	}
	return q.progressed(a)
}
