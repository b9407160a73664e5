package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"

	"millrace/benchmarks/client"
)

// harmPause lies between two injected faults.
const harmPause = 50 * time.Millisecond

// A soakFault is what a bad client or network does. Its error says that the server did not meet it as it must.
type soakFault struct {
	name string
	do   func(*soakRun, context.Context, *rand.Rand) error
}

var soakFaults = []soakFault{
	{"event stream broken off", (*soakRun).breakStream},
	{"half a request", (*soakRun).halfRequest},
	{"bytes that are no HTTP", (*soakRun).garbage},
	{"message that is no JSON", (*soakRun).badMessage},
	{"frame that breaks the rules", (*soakRun).badFrame},
	{"client gone with a reset", (*soakRun).vanish},
	{"cancelled call", (*soakRun).cancelled},
	{"slow reader", (*soakRun).slowReader},
}

// harm injects one fault after the other until the clients go.
func (s *soakRun) harm(ctx context.Context, rng *rand.Rand) {
	for i := 0; !s.leaving(); i = (i + 1) % len(soakFaults) {
		f := soakFaults[i]
		if err := f.do(s, ctx, rng); err != nil && ctx.Err() == nil {
			s.faults.add("injected %s: %v", f.name, err)
		}
		s.injections[i].Add(1)
		s.injected.Add(1)
		s.pause(harmPause)
	}
}

// breakStream leaves in the middle of an answer that is an event stream.
func (s *soakRun) breakStream(ctx context.Context, _ *rand.Rand) error {
	p := s.http(client.Modern)
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	q.askSleep(p.era, 1, 1)
	if err := p.send(&q); err != nil {
		return err
	}
	head, err := p.conn.ReadHead()
	if err != nil {
		return err
	}
	if head.Status != 200 || !head.EventStream {
		return fmt.Errorf("status %d, event stream %v", head.Status, head.EventStream)
	}
	return nil
}

// halfRequest leaves in the middle of a request.
func (s *soakRun) halfRequest(ctx context.Context, rng *rand.Rand) error {
	p := s.http(client.Modern)
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	q.ask(rng, p.era, 1)
	whole := p.request("POST")
	out := whole.Append(nil, q.Append(nil))
	return p.conn.Write(out[:rng.IntN(len(out))])
}

// garbage must be answered by an error or by nothing, and must end the connection.
func (s *soakRun) garbage(ctx context.Context, rng *rand.Rand) error {
	texts := []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", // TLS to a server without it
		"HELO example.com\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"POST " + s.opts.path + " HTTP/1.1\r\nHost: " + s.server.Addr + "\r\nContent-Length: -1\r\n\r\n",
		"\x00\xff\xfe\r\n\r\n",
	}
	answer, err := sendRaw(ctx, s.server.Addr, texts[rng.IntN(len(texts))])
	if err != nil {
		return err
	}
	if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 505") {
		return fmt.Errorf("answered %.100q", answer)
	}
	return nil
}

// sendRaw sends bytes on a connection of their own and returns all that comes back until the server ends it.
func sendRaw(ctx context.Context, addr, text string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	if isEnd(err) {
		err = nil
	}
	return string(answer), err
}

// isEnd reports whether the peer has ended the connection, one way or another.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, client.ErrNoAnswer)
}

// webSocket opens a WebSocket, on which nothing may take longer than an answer.
func (s *soakRun) webSocket(ctx context.Context) (*wsPeer, error) {
	p, err := dialWS(ctx, s.server.Addr, s.opts.path, client.Modern)
	if err != nil {
		return nil, err
	}
	if err := p.SetDeadline(time.Now().Add(answerTime)); err != nil {
		p.Abort()
		return nil, err
	}
	return p, nil
}

// badMessage must be answered with a parse error, and the connection must serve on.
func (s *soakRun) badMessage(ctx context.Context, _ *rand.Rand) error {
	p, err := s.webSocket(ctx)
	if err != nil {
		return err
	}
	defer p.Abort()
	if err := p.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":`)); err != nil {
		return err
	}
	if _, err := p.receive(); err != nil {
		return err
	}
	if a := &p.answer; !a.Failed || a.Code != -32700 {
		return fmt.Errorf("answered %+v, want -32700", a)
	}
	var q question
	q.askEcho(p.era, 2, "after a bad message")
	if err := p.call(&q); err != nil {
		return err
	}
	return p.Close()
}

// badFrame sends a frame without a mask. RFC 6455 section 5.1: "The server MUST close the connection upon receiving a
// frame that is not masked."
func (s *soakRun) badFrame(ctx context.Context, _ *rand.Rand) error {
	p, err := s.webSocket(ctx)
	if err != nil {
		return err
	}
	defer p.Abort()
	if err := p.WriteRaw([]byte("\x81\x02{}")); err != nil {
		return err
	}
	msg, err := p.Read()
	var closed *client.CloseError
	switch {
	case err == nil:
		return fmt.Errorf("answered %.100q", msg)
	case errors.As(err, &closed) && closed.Code != 1002:
		return err
	case errors.As(err, &closed), isEnd(err):
		return nil
	}
	return err
}

// vanish ends connections of both kinds by a reset while calls run.
func (s *soakRun) vanish(ctx context.Context, _ *rand.Rand) error {
	var q question
	w, err := dialWS(ctx, s.server.Addr, s.opts.path, client.Modern)
	if err != nil {
		return err
	}
	defer w.Reset()
	for id := range int64(3) {
		q.askSleep(w.era, id, 1)
		if err := w.send(&q.Call); err != nil {
			return err
		}
	}
	h := s.http(client.Modern)
	if err := h.open(ctx); err != nil {
		return err
	}
	q.askSleep(h.era, 1, 1)
	return h.breakOff(&q)
}

// cancelled calls off a call, of which no more may come, and asks something else.
func (s *soakRun) cancelled(ctx context.Context, _ *rand.Rand) error {
	p, err := dialWS(ctx, s.server.Addr, s.opts.path, client.Modern)
	if err != nil {
		return err
	}
	defer p.Abort()
	var q question
	q.askSleep(p.era, 1, 10)
	if err := p.send(&q.Call); err != nil {
		return err
	}
	if err := p.Write([]byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"soak"}}`)); err != nil {
		return err
	}
	q.askEcho(p.era, 2, "after a cancelled call")
	if err := p.call(&q); err != nil {
		return err
	}
	return p.Close()
}

// slowReader asks for much more than a socket buffers, and reads only after a while. Every answer must come.
func (s *soakRun) slowReader(ctx context.Context, rng *rand.Rand) error {
	p, err := s.webSocket(ctx)
	if err != nil {
		return err
	}
	defer p.Abort()
	const calls = 40
	text := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, 100<<10)
	qs := make([]question, calls)
	sent := make(chan error, 1)
	for i := range qs {
		qs[i].askEcho(p.era, int64(i), string(text))
	}
	go func() { // the server may stop to read while nobody reads its answers
		for i := range qs {
			if err := p.Write(qs[i].Append(nil)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	s.pause(300 * time.Millisecond)
	seen := make([]bool, calls)
	for range qs {
		if _, err := p.receive(); err != nil {
			return err
		}
		id := p.answer.ID
		if id < 0 || id >= calls || seen[id] {
			return fmt.Errorf("answer for id %d, which is not open", id)
		}
		seen[id] = true
		if err := qs[id].check(&p.answer); err != nil {
			return err
		}
	}
	return <-sent
}
