package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/benchmarks/client"
)

// httpPeer is one MCP client on Streamable HTTP. A legacy session outlives its connections.
type httpPeer struct {
	addr, path string
	token      string // bearer token, if any
	era        client.Era
	session    string

	conn   *client.HTTP // nil between connections
	body   []byte
	out    []byte
	answer client.Answer
	close  bool // the server announced the end of the connection
}

// connect dials unless there is a connection, and opens the legacy session unless there is one.
func (p *httpPeer) connect(ctx context.Context) error {
	if p.conn == nil {
		c, err := client.DialHTTP(ctx, p.addr)
		if err != nil {
			return err
		}
		p.conn, p.close = c, false
	}
	if p.era == client.Modern || p.session != "" {
		return nil
	}
	if err := p.initialize(); err != nil {
		p.disconnect()
		return fmt.Errorf("initialize: %w", err)
	}
	return nil
}

// disconnect closes the connection; the session stays.
func (p *httpPeer) disconnect() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

func (p *httpPeer) request(verb string) client.Request {
	r := client.Request{Verb: verb, Path: p.path, Host: p.addr, Version: p.era.String(), Session: p.session}
	if p.token != "" {
		r.Fields = "Authorization: Bearer " + p.token + "\r\n"
	}
	return r
}

func (p *httpPeer) write(r client.Request, body []byte) error {
	if err := p.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	p.out = r.Append(p.out[:0], body)
	return p.conn.Write(p.out)
}

// exchange sends a request and reads the answer, which must have the status want.
func (p *httpPeer) exchange(r client.Request, body []byte, want int) (client.Head, []byte, error) {
	if err := p.write(r, body); err != nil {
		return client.Head{}, nil, err
	}
	head, err := p.conn.ReadHead()
	if err != nil {
		return head, nil, err
	}
	session := string(head.Get("mcp-session-id"))
	b, err := p.conn.ReadBody(head)
	if err != nil {
		return head, nil, err
	}
	p.close = head.Close
	if head.Status != want {
		return head, nil, fmt.Errorf("status %d, want %d: %.200s", head.Status, want, b)
	}
	if session != "" {
		p.session = session
	}
	return head, b, nil
}

func (p *httpPeer) initialize() error {
	r := p.request("POST")
	r.Version = "" // the revision is not negotiated yet
	head, body, err := p.exchange(r, client.AppendInitialize(nil, 0), 200)
	if err != nil {
		return err
	}
	if head.EventStream {
		e, _, err := client.ParseEvent(body)
		if err != nil {
			return err
		}
		body = e.Data
	}
	if err := parseMessage(&p.answer, body); err != nil {
		return err
	}
	if err := checkInitialized(&p.answer); err != nil {
		return err
	}
	if p.session == "" {
		return errors.New("no Mcp-Session-Id")
	}
	_, _, err = p.exchange(p.request("POST"), client.AppendInitialized(nil), 202)
	return err
}

// send writes the call and does not wait.
func (p *httpPeer) send(q *question) error {
	p.body = q.Append(p.body[:0])
	r := p.request("POST")
	if p.era == client.Modern {
		r.RPC, r.Name = "tools/call", q.Tool
	}
	return p.write(r, p.body)
}

// call asks one question and waits for its answer.
func (p *httpPeer) call(q *question) error {
	if err := p.send(q); err != nil {
		return fmt.Errorf("%s: sending: %w", q.Tool, err)
	}
	return p.receive(q)
}

// receive reads the answer to q, as one JSON body or as an event stream that ends with it. The error is a
// *client.StatusError when the status is not 200, and then the body was read.
func (p *httpPeer) receive(q *question) error {
	head, err := p.conn.ReadHead()
	if err != nil {
		return fmt.Errorf("%s: %w", q.Tool, err)
	}
	p.close = head.Close
	if head.Status == 200 && head.EventStream {
		return p.receiveEvents(head, q)
	}
	body, err := p.conn.ReadBody(head)
	if err != nil {
		return fmt.Errorf("%s: %w", q.Tool, err)
	}
	if head.Status != 200 {
		return fmt.Errorf("%s: %w", q.Tool, &client.StatusError{Status: head.Status, Body: string(body)})
	}
	if err := parseMessage(&p.answer, body); err != nil {
		return err
	}
	return q.check(&p.answer)
}

func (p *httpPeer) receiveEvents(head client.Head, q *question) error {
	answered := false
	err := p.conn.ReadEvents(head, func(e client.Event) error {
		if answered {
			return fmt.Errorf("%s: event after the answer: %.100q", q.Tool, e.Data)
		}
		if err := parseMessage(&p.answer, e.Data); err != nil {
			return err
		}
		if len(p.answer.Method) > 0 {
			return q.progressed(&p.answer)
		}
		answered = true
		return q.check(&p.answer)
	})
	if err == nil && !answered {
		err = fmt.Errorf("%s: event stream ended without the answer", q.Tool)
	}
	return err
}

// end deletes the legacy session and closes the connection. Nothing remains of the client.
func (p *httpPeer) end(ctx context.Context) error {
	defer p.disconnect()
	if p.session == "" {
		return nil
	}
	if p.close {
		p.disconnect()
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	// MCP 2025-11-25, basic/transports: "Clients that no longer need a particular session ... SHOULD send an HTTP
	// DELETE to the MCP endpoint with the Mcp-Session-Id header".
	if err := p.write(p.request("DELETE"), nil); err != nil {
		return fmt.Errorf("DELETE: %w", err)
	}
	head, err := p.conn.ReadHead()
	if err != nil {
		return fmt.Errorf("DELETE: %w", err)
	}
	body, err := p.conn.ReadBody(head)
	if err != nil {
		return fmt.Errorf("DELETE: %w", err)
	}
	if head.Status/100 != 2 {
		return fmt.Errorf("DELETE: status %d: %.200s", head.Status, body)
	}
	p.session = ""
	return nil
}
