package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/session"
)

// ssePeer is a client of HTTP+SSE.
type ssePeer struct {
	t      *testing.T
	r      *runningServer
	fields []string
	stream *http.Response
	in     *bufio.Scanner
	post   string // the URI of the endpoint event
	cancel context.CancelFunc
	once   sync.Once
}

// sse opens a session; fields go with the GET and with every POST.
func (r *runningServer) sse(fields ...string) *ssePeer {
	r.t.Helper()
	p, status := r.trySSE(fields...)
	if p == nil {
		r.t.Fatalf("GET /sse: status %d", status)
	}
	return p
}

func (r *runningServer) trySSE(fields ...string) (*ssePeer, int) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", strings.TrimSuffix(r.Endpoints()[0], "/mcp")+"/sse", http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("User-Agent", "ssetest")
	setFields(req, fields)
	resp, err := (&http.Client{Transport: r.http.Transport}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		resp.Body.Close()
		cancel()
		return nil, resp.StatusCode
	}
	p := &ssePeer{t: r.t, r: r, fields: fields, stream: resp, in: bufio.NewScanner(resp.Body), cancel: cancel}
	p.in.Buffer(nil, 8<<20)
	r.t.Cleanup(p.close)
	name, data, err := p.event()
	if err != nil || name != "endpoint" || !strings.HasPrefix(data, "/messages?sessionId=") || len(data) < len("/messages?sessionId=")+22 {
		r.t.Fatalf("first event %q %q, %v", name, data, err)
	}
	p.post = strings.TrimSuffix(r.Endpoints()[0], "/mcp") + data
	return p, 200
}

func setFields(req *http.Request, fields []string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
}

// event reads one event, not a comment.
func (p *ssePeer) event() (name, data string, err error) {
	for p.in.Scan() {
		field, value, _ := strings.Cut(p.in.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data":
			data = value
		case field == "" && name != "" && value == "":
			return name, data, nil
		}
	}
	return "", "", errors.Join(io.EOF, p.in.Err())
}

func (p *ssePeer) read() (string, error) {
	name, data, err := p.event()
	if err == nil && name != "message" {
		err = fmt.Errorf("event %q", name)
	}
	return data, err
}

func (p *ssePeer) send(msg string) {
	p.t.Helper()
	if rep := p.try(msg, p.fields...); rep.status != 202 || rep.body() != "" {
		p.t.Fatalf("POST: %d %s", rep.status, rep.body())
	}
}

// try posts a message and returns what the POST was answered.
func (p *ssePeer) try(msg string, fields ...string) reply {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.post, strings.NewReader(msg))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	setFields(req, fields)
	resp, err := p.r.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	rep := reply{status: resp.StatusCode, header: resp.Header}
	if len(body) > 0 {
		rep.messages = []string{string(body)}
	}
	return rep
}

func (p *ssePeer) close() {
	p.once.Do(func() {
		p.cancel()
		p.stream.Body.Close()
	})
}

// Every revision with sessions gets on HTTP+SSE what it gets elsewhere.
func TestSSEMatrix(t *testing.T) {
	for _, version := range legacyVersions {
		t.Run(version, func(t *testing.T) {
			tl := newTools()
			checkMatrix(t, peerWire(t, "sse", serve(t, &Server{MCP: tl.mcp, LegacySSE: true}).sse(), tl, version), tl)
		})
	}
}

func TestSSEOff(t *testing.T) {
	if _, status := serve(t, &Server{MCP: newTools().mcp}).trySSE(); status != 404 {
		t.Errorf("GET /sse without LegacySSE: %d, want 404", status)
	}
	for _, path := range []string{"/sse", "/messages"} {
		err := (&Server{MCP: newTools().mcp, Addr: "127.0.0.1:0", Path: path, LegacySSE: true, Logger: quiet}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "belongs to HTTP+SSE") {
			t.Errorf("Path %s: %v", path, err)
		}
	}
}

// The end of the stream is the end of everything that was in flight on it.
func TestSSEDisconnect(t *testing.T) {
	tl := newTools()
	reasons := make(chan session.Reason, 1)
	srv := &Server{MCP: tl.mcp, LegacySSE: true, Hooks: Hooks{SessionDestroyed: func(_ *session.Session, why session.Reason) { reasons <- why }}}
	r := serve(t, srv)
	p := r.sse()
	handshake(t, p, mcp.Version20241105)
	if st := r.Stats().Sessions; st.SSE != 1 || st.Open != 1 {
		t.Errorf("sessions %+v, want one of SSE", st)
	}
	for _, s := range r.Sessions().List() {
		if c := s.Client(); s.Type() != session.SSE || c.Address == "" {
			t.Errorf("session %v of %+v", s.Type(), c)
		}
	}
	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`)
	<-tl.running
	p.close()
	if err := <-tl.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("context of the call: %v", err)
	}
	if why := <-reasons; why != session.Disconnected {
		t.Errorf("session ended because of %v", why)
	}
	if rep := p.try(listMessage); rep.status != 404 {
		t.Errorf("POST to a session that is gone: %d %s", rep.status, rep.body())
	}
}

// Calls of one session run side by side, and sessions do not see each other.
func TestSSETwoClients(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp, LegacySSE: true})
	ann, bob := r.sse(), r.sse()
	handshake(t, ann, mcp.Version20241105)
	handshake(t, bob, mcp.Version20250326)
	hold := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hold"}}`
	ann.send(hold)
	bob.send(hold)
	<-tl.running
	<-tl.running
	ann.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, ann, `{"jsonrpc":"2.0","id":2,"result":{}}`)
	ann.send(hold)
	want(t, ann, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"a request with this id is already in flight on this connection"}}`)
	bob.send(`[{"jsonrpc":"2.0","id":3,"method":"ping"},{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"hold"}}]`)
	<-tl.running
	close(tl.gate)
	want(t, ann, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	got := mustRead(t, bob) + mustRead(t, bob)
	for _, part := range []string{`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`, `{"jsonrpc":"2.0","id":3,"result":{}}`, `{"jsonrpc":"2.0","id":4,"result":{"content":[]}}`} {
		if !strings.Contains(got, part) {
			t.Errorf("bob got %s, without %s", got, part)
		}
	}
}

// What is no request, and what is none of ours, is accepted and says nothing.
func TestSSESilence(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, LegacySSE: true})
	p := r.sse()
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	p.send(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	p.send(`{"jsonrpc":"2.0","method":1}`)
	p.send(`{"jsonrpc":"2.0","method":"x","params":"` + strings.Repeat("x", largeBody) + `"}`)
	p.send(`{`)
	want(t, p, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error: unexpected end at byte 1"}}`)
	big := strings.Repeat("x", largeBody)
	handshake(t, p, mcp.Version20241105)
	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"` + big + `"}}}`)
	if got := mustRead(t, p); !strings.Contains(got, big) {
		t.Errorf("echo of a large text: %d bytes", len(got))
	}
}

func TestSSEAuth(t *testing.T) {
	tl := newTools()
	who := make(chan string, 1)
	tl.add("who", 0, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		who <- req.Extra.Principal.ID
		return nil, nil
	})
	a := fakeAuth{make(chan auth.Credentials, 100)}
	r := serve(t, &Server{MCP: tl.mcp, Auth: a, Policy: auth.AllowAll(), LegacySSE: true})
	for field, status := range map[string]int{"X: y": 401, "Authorization: Bearer eve": 401, "Authorization: Bearer broken": 503} {
		if _, got := r.trySSE(field); got != status {
			t.Errorf("GET with %s: %d, want %d", field, got, status)
		}
	}
	p := r.sse("Authorization: Bearer ann")
	handshake(t, p, mcp.Version20241105)
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"who"}}`
	for _, tt := range []struct {
		name, field string
		status      int
		want        string
	}{
		{"no credential", "X: y", 401, "authentication required"},
		{"wrong credential", "Authorization: Bearer eve", 401, "authentication required"},
		{"another principal", "Authorization: Bearer bob", 404, "no such session"},
		{"failure", "Authorization: Bearer broken", 503, "cannot verify credentials"},
		{"panic", "Authorization: Bearer panic", 503, "cannot verify credentials"},
	} {
		rep := p.try(call, tt.field)
		if rep.status != tt.status || !strings.Contains(rep.body(), tt.want) {
			t.Errorf("%s: %d %s, want %d with %q", tt.name, rep.status, rep.body(), tt.status, tt.want)
		}
		if challenge := rep.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (tt.status == 401) {
			t.Errorf("%s: challenge %q", tt.name, challenge)
		}
	}
	p.send(call)
	if got := <-who; got != "ann" {
		t.Errorf("called by %q, want ann", got)
	}
	want(t, p, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`) // and nothing of the refused ones before
}

// rootsMessage is an initialize of a client that can be asked for its roots.
func rootsMessage(version string) string {
	return strings.Replace(initializeMessage(version), `"capabilities":{}`, `"capabilities":{"roots":{}}`, 1)
}

// addRoots adds a tool that asks the client for its roots.
func (tl *tools) addRoots() {
	tl.add("roots", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r, err := req.Session.ListRoots(ctx, nil)
		if err != nil {
			return nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Roots[0].URI}}}, nil
	})
}

// A tool asks the client, whose answer comes by a POST like any message.
func TestSSEAsk(t *testing.T) {
	for name, a := range map[string]auth.Authenticator{"anonymous": nil, "authenticated": fakeAuth{make(chan auth.Credentials, 10)}} {
		t.Run(name, func(t *testing.T) {
			tl := newTools()
			tl.addRoots()
			p := serve(t, &Server{MCP: tl.mcp, Auth: a, Policy: auth.AllowAll(), LegacySSE: true}).sse("Authorization: Bearer ann")
			p.send(rootsMessage(mcp.Version20241105))
			mustRead(t, p)
			p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"roots"}}`)
			want(t, p, `{"jsonrpc":"2.0","id":1,"method":"roots/list","params":{}}`)
			p.send(`{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///a"}]}}`)
			want(t, p, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"file:///a"}]}}`)
		})
	}
}

func TestSSEDrain(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp, LegacySSE: true, DrainTimeout: 10 * time.Second})
	idle, busy := r.sse(), r.sse()
	handshake(t, busy, mcp.Version20241105)
	busy.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hold"}}`)
	<-tl.running
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	if _, err := idle.read(); !errors.Is(err, io.EOF) {
		t.Errorf("idle stream: %v", err)
	}
	close(tl.gate)
	want(t, busy, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	if _, err := busy.read(); !errors.Is(err, io.EOF) {
		t.Errorf("busy stream: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}
