package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// event is a server-sent event as a client sees it.
type event struct{ id, data, retry string }

// eventReader is an event stream that a test reads.
type eventReader struct {
	t     *testing.T
	resp  *http.Response
	in    *bufio.Reader
	leave func() // breaks the connection
}

// stream opens an event stream with GET or POST.
func (r *runningServer) stream(method, body string, fields ...string) *eventReader {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := r.open(ctx, method, body, fields...)
	if err != nil {
		cancel()
		r.t.Fatalf("%s: %v", method, err)
	}
	s := &eventReader{t: r.t, resp: resp, in: bufio.NewReader(resp.Body), leave: func() { cancel(); resp.Body.Close() }}
	r.t.Cleanup(s.leave)
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		raw, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("%s: %d %s: %s", method, resp.StatusCode, got, raw)
	}
	return s
}

// read returns the next event, also one without a message.
func (s *eventReader) read() (e event, err error) {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return event{}, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "retry":
			e.retry = value
		case "data:", "":
			if line == "\n" && e != (event{}) {
				return e, nil
			}
		}
	}
}

func (s *eventReader) next() event {
	s.t.Helper()
	e, err := s.read()
	if err != nil {
		s.t.Fatalf("event stream: %v", err)
	}
	return e
}

// prime reads the priming event and returns its id.
func (s *eventReader) prime() string {
	s.t.Helper()
	e := s.next()
	if e.id == "" || e.data != "" {
		s.t.Fatalf("got %+v, want a priming event", e)
	}
	return e.id
}

func (s *eventReader) want(data string) event {
	s.t.Helper()
	e := s.next()
	if e.data != data {
		s.t.Fatalf("got  %s\nwant %s", e.data, data)
	}
	return e
}

func (s *eventReader) wantEnd() {
	s.t.Helper()
	if e, err := s.read(); err != io.EOF {
		s.t.Fatalf("got %+v, %v, want the end of the stream", e, err)
	}
}

// only is the one session of a server.
func (r *runningServer) only() *legacySession {
	r.t.Helper()
	all := r.Sessions().List()
	if len(all) != 1 {
		r.t.Fatalf("%d sessions, want 1", len(all))
	}
	return all[0].Attachment().(*legacySession)
}

// await waits for something that another goroutine does.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// httpSession is a session without a server around it.
func httpSession(t *testing.T, g *gate, version string) *legacySession {
	t.Helper()
	l := &transport.Link{ID: 1, Protocol: transport.HTTP}
	g.Opened(l)
	s := &script{answered: make(chan struct{}, 1)}
	body := initializeAs(version, asks)
	in := &inbound{
		gate: g, conn: stateOf(l), stream: s, who: stateOf(l).who.Load(), detached: true,
		req: &transport.Request{Kind: transport.Message, Link: l, Header: &transport.Header{}, Body: []byte(body)},
	}
	in.serve()
	<-s.answered
	all := g.sessions.List()
	if len(all) != 1 {
		t.Fatalf("%d sessions: %s", len(all), s.responses)
	}
	return all[0].Attachment().(*legacySession)
}

func (s *script) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(append([]string{}, s.notified...), s.responses...), " ")
}

func (s *script) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// What is sent between the look into the log and the moment the new connection
// is there must arrive, an answer above all.
func TestNothingIsLostWhileResuming(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	first := &script{}
	e := newEventStream(s, first, false)
	e.send([]byte("one"), false)
	id := s.replay.Prime(e.number)
	found, r, known, err := s.lookBack(id)
	if found != e || !known || err != nil || len(r.Events) != 1 {
		t.Fatalf("lookBack = %v, %+v, %v, %v", found, r, known, err)
	}
	e.send([]byte("two"), false)
	second := &script{}
	e.resume(second, id)
	if got := second.all(); got != "one two" {
		t.Errorf("resumed with %q, want one two", got)
	}
	if !first.isEnded() {
		t.Error("the old connection goes on")
	}
	e.respond(transport.Response{Status: 200, Body: buffer.Copy([]byte("answer"))})
	if got := second.all(); got != "one two answer" {
		t.Errorf("resumed with %q, want the answer too", got)
	}
	third := &script{}
	e.resume(third, id)
	if got := third.all(); got != "one two answer" || !third.isEnded() {
		t.Errorf("resumed with %q, want everything and the end", got)
	}
	if s.reg.Busy() {
		t.Error("the session is held without a connection")
	}
}

// A GET stream that ends before its connection is attached ends it.
func TestStreamEndedBeforeItsStart(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	e := newEventStream(s, nil, true)
	if !s.open(e) {
		t.Fatal("not opened")
	}
	e.end() // as the end of the session does
	out := &script{}
	e.start(out)
	if !out.isEnded() || e.attached() || s.reg.Busy() {
		t.Error("the client waits on a stream that has ended")
	}
}

// A connection that is closed while its stream is resumed is let go: else the
// session would never expire.
func TestClosedWhileResuming(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	e := newEventStream(s, &script{}, false)
	e.send([]byte("one"), false)
	l := &transport.Link{ID: 2, Protocol: transport.HTTP}
	g.Opened(l)
	cn := stateOf(l)
	in := &inbound{gate: g, conn: cn, stream: &script{}, detached: true, req: &transport.Request{Link: l}}
	e.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !in.replayed(s, s.primeOf(e)) {
			t.Error("not resumed")
		}
	}()
	await(t, "the stream is the connection's", func() bool {
		cn.mu.Lock()
		defer cn.mu.Unlock()
		return cn.get == e
	})
	cn.mu.Lock()
	cn.closed = true
	cn.mu.Unlock()
	e.mu.Unlock()
	<-done
	if e.attached() || s.reg.Busy() {
		t.Error("a connection that is gone holds the session")
	}
}

func (s *legacySession) primeOf(e *eventStream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay.Prime(e.number)
}

// After the answer no event stream comes into being: nobody would end it.
func TestNoStreamAfterTheAnswer(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	l := &transport.Link{ID: 2, Protocol: transport.HTTP}
	g.Opened(l)
	out := &script{}
	c := &call{gate: g, conn: stateOf(l), stream: out, session: s}
	c.respond(transport.Response{Status: 200})
	c.push([]byte("late"), true)
	c.primeEvents()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.numbered) != 0 || s.replay.Bytes() != 0 {
		t.Errorf("%d streams and %d bytes stay behind", len(s.numbered), s.replay.Bytes())
	}
}

// A question that the client will never see is not waited for.
func TestUnseenQuestion(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp})
	id := r.initializeAs(mcp.Version20251125, asks)
	rep := r.do("POST", toolCall("1", "ask"), id, "Accept: application/json")
	if rep.status != 200 || !strings.Contains(rep.body(), errNoStream.Error()) {
		t.Errorf("a client that takes no events: %d %s", rep.status, rep.body())
	}
	// A client of an older revision that goes before its first event has no id.
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20250618)
	e := newEventStream(s, nil, true)
	s.open(e)
	out := &script{}
	e.start(out)
	e.away(out)
	if s.Send([]byte("question")) || s.replay.Bytes() != 0 {
		t.Error("a question waits for a client that cannot come back")
	}
}

// CloseStream leaves the connection to a client that could not come back.
func TestCloseStreamNeedsAnID(t *testing.T) {
	for _, version := range legacyVersions {
		tl := newTools()
		tl.add("leave", 0, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return said(fmt.Sprint(req.CloseStream(5 * time.Millisecond))), nil
		})
		tl.add("say", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			_ = req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "error", Data: "x"})
			return said(fmt.Sprint(req.CloseStream(5 * time.Millisecond))), nil
		})
		r := serve(t, &Server{MCP: tl.mcp})
		id := r.initializeAs(version, asks)
		r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}`, id)
		if version < mcp.Version20251125 {
			if rep := r.do("POST", toolCall("1", "leave"), id); rep.body() != textResult("1", "false") {
				t.Errorf("%s: %s", version, rep.body())
			}
			// "The server SHOULD NOT close the SSE stream before sending the JSON-RPC
			// response" (25-06-18:basic/transports).
			if rep := r.do("POST", toolCall("2", "say"), id); !strings.Contains(rep.body(), textResult("2", "false")) {
				t.Errorf("%s: %s", version, rep.body())
			}
			continue
		}
		s := r.stream("POST", toolCall("2", "say"), id)
		last := ""
		for {
			e, err := s.read()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.id != "" {
				last = e.id
			}
			if strings.Contains(e.data, `"result"`) {
				t.Errorf("%s: answered on the closed stream: %s", version, e.data)
			}
		}
		again := r.stream("GET", "", id, "Last-Event-ID: "+last)
		again.want(textResult("2", "true"))
		again.wantEnd()
	}
}
