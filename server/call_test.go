package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// script is a Stream that keeps what it is given.
type script struct {
	mu        sync.Mutex
	notified  []string
	responses []string
	statuses  []int
	ended     bool
	answered  chan struct{} // gets a value for every response, if not nil
}

func (s *script) Send(e transport.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notified = append(s.notified, string(e.Data))
	return true
}

func (s *script) Respond(r transport.Response) {
	s.mu.Lock()
	body := ""
	if r.Body != nil {
		body = string(r.Body.B)
	}
	s.responses, s.statuses = append(s.responses, body), append(s.statuses, r.Status)
	s.mu.Unlock()
	buffer.Put(r.Body)
	if s.answered != nil {
		s.answered <- struct{}{}
	}
}

func (*script) Hold()            {}
func (*script) OnSilence(func()) {}
func (s *script) Open(string)    {}

func (s *script) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// newGate is a gate without a transport.
func newGate(t testing.TB, srv *Server) *gate {
	t.Helper()
	srv.Logger = quiet
	r, err := srv.newRunState()
	if err != nil {
		t.Fatal(err)
	}
	r.serve()
	t.Cleanup(r.release)
	return r.gate
}

// link is a WebSocket connection that records how it is closed.
func (g *gate) link(closed chan uint16) *transport.Link {
	l := &transport.Link{ID: 1, Protocol: transport.WebSocket, Close: func(code uint16, _ string) { closed <- code }}
	l.Send = func([]byte, bool) bool { return true }
	g.Opened(l)
	stateOf(l).upgrade(&session.ClientInfo{})
	return l
}

// deliver dispatches a message that has left its loop already.
func (g *gate) deliver(l *transport.Link, msg string, s transport.Stream) {
	body := append([]byte(nil), msg...)
	in := &inbound{
		gate: g, conn: stateOf(l), stream: s, who: stateOf(l).who.Load(), detached: true,
		req: &transport.Request{Kind: transport.Message, Link: l, Body: body},
	}
	in.serve()
}

func modernCall(id, tool string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `",` + modernMeta + `}}`
}

// TestOneEnd runs the four ends of a call against each other: there is one
// answer, or none when the client has given up.
func TestOneEnd(t *testing.T) {
	tl := newTools()
	hooks := make(chan RequestEvent, 1000)
	tell := func(e RequestEvent) { hooks <- e }
	g := newGate(t, &Server{MCP: tl.mcp, Hooks: Hooks{RequestProcessed: tell, RequestError: tell}})
	for i := range 300 {
		l := g.link(make(chan uint16, 1))
		s := &script{}
		body := buffer.Copy([]byte(modernCall(fmt.Sprintf(`"call-%d"`, i), "fail")))
		in := &inbound{
			gate: g, conn: stateOf(l), stream: s, who: stateOf(l).who.Load(), detached: true,
			req: &transport.Request{Link: l, Body: body.B},
		}
		msg, perr := jsonrpc.Parse(body.B, nil)
		if perr != nil {
			t.Fatal(perr)
		}
		meta, _ := mcp.ParseMeta(msg.Params)
		c := newCall(in, &msg, &meta)
		c.mcp.Modern, c.timeout = true, time.Second
		g.mcp.Plan(c.mcp)
		in.leave(c)
		if err := in.conn.enter(c, 64); err != nil {
			t.Fatal(err)
		}
		g.calls.add(c)
		var done sync.WaitGroup
		for _, end := range []func(){c.Run, c.expire, func() { c.cancel(errClientCancelled) }, func() { g.Closed(l, nil) }} {
			done.Go(end)
		}
		done.Wait()
		e := <-hooks
		answers := 1
		if e.Outcome == "canceled" {
			answers = 0
		}
		if len(s.responses) != answers {
			t.Fatalf("call %d ended as %s with %d answers, want %d", i, e.Outcome, len(s.responses), answers)
		}
		if answers == 1 && !strings.HasPrefix(s.responses[0], fmt.Sprintf(`{"jsonrpc":"2.0","id":"call-%d","result":{`, i)) {
			t.Fatalf("answer: %s", s.responses[0])
		}
		if n := len(stateOf(l).calls); n != 0 {
			t.Fatalf("%d calls left in the connection", n)
		}
		buffer.Put(body)
	}
	if len(hooks) != 0 || g.calls.count != 0 {
		t.Errorf("%d events too many, %d calls left in the deadline sweep", len(hooks), g.calls.count)
	}
}

// The body must not be released while the timeout is encoded from it.
func TestReleaseWaitsForTimeout(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	c := &call{gate: g, conn: stateOf(g.link(nil)), req: &transport.Request{Body: []byte("body")}}
	c.ending.Lock()
	released := make(chan struct{})
	go func() { c.release(); close(released) }()
	for range 100 {
		runtime.Gosched()
	}
	if c.req.Body == nil {
		t.Error("released under the eyes of the timeout")
	}
	c.ending.Unlock()
	<-released
	if c.req.Body != nil {
		t.Error("not released")
	}
}

func TestNothingIsSentAfterTheEnd(t *testing.T) {
	tl := newTools()
	g := newGate(t, &Server{MCP: tl.mcp})
	l, s := g.link(nil), &script{}
	g.deliver(l, modernCall("1", "hold"), s)
	<-tl.running
	c := stateOf(l).lookup([]byte("1"))
	c.Notify([]byte("before"))
	g.deliver(l, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, &script{})
	c.Notify([]byte("after"))
	close(tl.gate)
	for g.counters.late.Load() == 0 {
		runtime.Gosched()
	}
	if got := strings.Join(s.notified, " "); got != "before" || len(s.responses) != 0 {
		t.Errorf("notified %q, answered %q", got, s.responses)
	}
	if n := g.pool.Stats().Abandoned; n != 1 {
		t.Errorf("%d abandoned, want 1", n)
	}
}

// A handler may end its goroutine, as testing.T.FailNow does: its client is
// answered all the same.
func TestGoexit(t *testing.T) {
	tl := newTools()
	tl.add("exit", 0, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		runtime.Goexit()
		return nil, nil
	})
	g := newGate(t, &Server{MCP: tl.mcp})
	s := &script{answered: make(chan struct{}, 1)}
	g.deliver(g.link(nil), modernCall("1", "exit"), s)
	<-s.answered
	if want := `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}`; s.responses[0] != want {
		t.Errorf("got %s, want %s", s.responses[0], want)
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		m := mcp.NewServer(&mcp.Implementation{Name: "test"}, &mcp.ServerOptions{Logger: quiet})
		tool := func(name string, timeout time.Duration) {
			m.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object"}, Timeout: timeout},
				func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
					if at, ok := ctx.Deadline(); ok != (timeout > 0) || ok && time.Until(at) != timeout {
						t.Errorf("%s: Deadline = %v, %v", name, at, ok)
					}
					select {
					case <-ctx.Done():
						ended <- ctx.Err()
					case <-time.After(time.Hour):
						ended <- nil
					}
					return nil, nil
				})
		}
		tool("second", time.Second)
		tool("never", -1)
		g := newGate(t, &Server{MCP: m})
		for range 2 { // the watch begins anew
			s, start := &script{answered: make(chan struct{}, 1)}, time.Now()
			g.deliver(g.link(nil), modernCall("1", "second"), s)
			<-s.answered
			if took := time.Since(start); took < time.Second || took > time.Second+2*deadlineGrain {
				t.Errorf("answered after %v, want 1s", took)
			}
			if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ctx.Err() = %v", err)
			}
			synctest.Wait()
		}
		s, start := &script{answered: make(chan struct{}, 1)}, time.Now()
		g.deliver(g.link(nil), modernCall("1", "never"), s)
		<-s.answered
		if err := <-ended; err != nil || time.Since(start) != time.Hour {
			t.Errorf("a call without a limit ended after %v with %v", time.Since(start), err)
		}
		if n := g.counters.timeouts.Load(); n != 2 {
			t.Errorf("%d timeouts counted, want 2", n)
		}
	})
}

// Limits at limit-1, limit and limit+1; an answered call does not count.
func TestInFlightLimit(t *testing.T) {
	const limit = 64
	tl := newTools()
	p := serve(t, &Server{MCP: tl.mcp}).dial()
	for i := range limit - 1 {
		p.send(modernCall(fmt.Sprint(i), "hold"))
		<-tl.running
	}
	p.send(modernCall("0", "hold"))
	want(t, p, `{"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"a request with this id is already in flight on this connection"}}`)
	p.send(modernCall("0", "now"))
	want(t, p, `{"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"a request with this id is already in flight on this connection"}}`)
	p.send(modernCall(fmt.Sprint(limit-1), "hold"))
	<-tl.running
	p.send(modernCall(`"x"`, "hold"))
	want(t, p, `{"jsonrpc":"2.0","id":"x","error":{"code":-31000,"message":"server is overloaded: try again soon (too many requests in flight on this connection)","data":{"type":"overloaded","retryAfterMs":1000}}}`)
	p.send(`{"jsonrpc":"2.0","id":"y","method":"tools/call","params":{"name":"now"}}`)
	want(t, p, `{"jsonrpc":"2.0","id":"y","error":{"code":-32600,"message":"initialize must be the first request of a session"}}`)
	close(tl.gate)
	for range limit {
		if got := mustRead(t, p); !strings.Contains(got, `"result"`) {
			t.Errorf("held call: %s", got)
		}
	}
	// The id of an answer is free from the moment the client has it.
	for range 200 {
		p.send(modernCall("0", "headers"))
		if got := mustRead(t, p); !strings.Contains(got, `"result"`) {
			t.Fatalf("id used again: %s", got)
		}
	}
}

func TestPoolOverload(t *testing.T) {
	tl := newTools()
	defer close(tl.gate)
	r := serve(t, &Server{MCP: tl.mcp, Workers: 1, Queue: 1})
	go func() {
		_, _ = r.try(t.Context(), "POST", modernCall("1", "hold"), modernFields("tools/call", "hold")...)
	}()
	<-tl.running
	go func() {
		_, _ = r.try(t.Context(), "POST", modernCall("2", "hold"), modernFields("tools/call", "hold")...)
	}()
	for r.Stats().Pool.Blocking.Depth == 0 {
		runtime.Gosched()
	}
	const full = `,"message":"server is overloaded: try again soon (pool: queue full)","data":{"type":"overloaded","retryAfterMs":1000}}}`
	rep := r.do("POST", modernCall("3", "echo"), modernFields("tools/call", "echo")...)
	if want := `{"jsonrpc":"2.0","id":3,"error":{"code":-31000` + full; rep.body() != want || rep.status != 503 || rep.header.Get("Retry-After") != "1" {
		t.Errorf("HTTP: %d %v\n%s", rep.status, rep.header, rep.body())
	}
	p := r.dial()
	handshake(t, p, mcp.Version20250618)
	p.send(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"echo"}}`)
	want(t, p, `{"jsonrpc":"2.0","id":4,"error":{"code":-32000`+full)
	// A long message cannot even be read; it is answered by its id.
	pad := strings.Repeat(" ", largeBody)
	p.send(pad + modernCall("5", "echo"))
	want(t, p, `{"jsonrpc":"2.0","id":5,"error":{"code":-31000`+full)
	p.send(pad + `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	p.send(pad + `{"jsonrpc":`)
	want(t, p, `{"jsonrpc":"2.0","error":{"code":-32000`+full)
	rep = r.do("POST", pad+modernCall("6", "echo"), modernFields("tools/call", "echo")...)
	if want := `{"jsonrpc":"2.0","id":6,"error":{"code":-31000` + full; rep.body() != want || rep.status != 503 {
		t.Errorf("HTTP, long: %d\n%s", rep.status, rep.body())
	}
	if n := r.Stats().Messages.Overloaded; n != 6 {
		t.Errorf("%d overloaded, want 6", n)
	}
}

func TestLongMessages(t *testing.T) {
	text := strings.Repeat("x", 2*largeBody)
	message := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"` + text + `"},` + modernMeta + `}}`
	wanted := `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1"}},"content":[{"type":"text","text":"` + text + `"}]}}`
	r := serve(t, &Server{MCP: newTools().mcp})
	if rep := r.do("POST", message, modernFields("tools/call", "echo")...); rep.body() != wanted {
		t.Errorf("HTTP: %d, %d bytes", rep.status, len(rep.body()))
	}
	p := r.dial()
	p.send(message)
	want(t, p, wanted)
	std := serveStdio(t, &Server{MCP: newTools().mcp})
	std.send(message)
	std.in.Close() // the end of the input does not overtake what was read
	want(t, std, wanted)
}

func TestDepartLimit(t *testing.T) {
	cn := &connection{link: &transport.Link{Protocol: transport.WebSocket}}
	for i := range 3 {
		if err := cn.depart(3); err != nil {
			t.Fatalf("message %d: %v", i+1, err)
		}
	}
	if err := cn.depart(3); err != errBusy {
		t.Errorf("message over the limit: %v, want errBusy", err)
	}
	cn.arrive()
	if err := cn.depart(3); err != nil {
		t.Errorf("after arrive: %v", err)
	}
}

// What one message costs between the transport and its Stream.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	tl := newTools()
	g := newGate(t, &Server{MCP: tl.mcp})
	l := g.link(nil)
	s := &sink{done: make(chan struct{}, 1)}
	in := inbound{gate: g, conn: stateOf(l), stream: s, who: stateOf(l).who.Load(), detached: true}
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"},` + modernMeta + `}}`)
	req := transport.Request{Link: l}
	echo := testing.AllocsPerRun(2000, func() {
		req.Body = body // Release takes it
		again := in
		again.req = &req
		again.serve()
		<-s.done
	})
	ping := []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	inline := testing.AllocsPerRun(2000, func() {
		req = transport.Request{Link: l, Body: ping}
		g.Dispatch(&req, s)
		<-s.done
	})
	t.Logf("allocations: typed tools/call %v, ping %v", echo, inline)
	if echo > 8 || inline > 0 {
		t.Errorf("typed tools/call allocates %v, want at most 8; ping %v, want 0", echo, inline)
	}
}

// sink is a Stream that drops answers and says so.
type sink struct{ done chan struct{} }

func (*sink) Send(transport.Event) bool { return true }
func (*sink) Hold()                     {}
func (*sink) OnSilence(func())          {}
func (*sink) Open(string)               {}
func (*sink) End()                      {}
func (s *sink) Respond(r transport.Response) {
	buffer.Put(r.Body)
	s.done <- struct{}{}
}

func BenchmarkToolCall(b *testing.B) {
	tl := newTools()
	g := newGate(b, &Server{MCP: tl.mcp})
	l := g.link(nil)
	s := &sink{done: make(chan struct{}, 1)}
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"},` + modernMeta + `}}`)
	in := inbound{gate: g, conn: stateOf(l), stream: s, who: stateOf(l).who.Load(), detached: true}
	req := transport.Request{Link: l}
	b.ReportAllocs()
	for b.Loop() {
		req.Body = body
		again := in
		again.req = &req
		again.serve()
		<-s.done
	}
}

func BenchmarkPing(b *testing.B) {
	g := newGate(b, &Server{MCP: newTools().mcp})
	l := g.link(nil)
	s := &sink{done: make(chan struct{}, 1)}
	req := transport.Request{Link: l}
	ping := []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	b.ReportAllocs()
	for b.Loop() {
		req.Body = ping
		g.Dispatch(&req, s)
		<-s.done
	}
}
