package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"millrace/server/auth"
	"millrace/server/mcp"
)

// fakeAuth knows callers by their token; some tokens make it fail.
type fakeAuth struct{ asked chan auth.Credentials }

func (a fakeAuth) Authenticate(_ context.Context, c auth.Credentials) (*auth.Principal, error) {
	a.asked <- c
	switch token := strings.TrimPrefix(c.Authorization, "Bearer "); token {
	case "ann", "bob":
		return &auth.Principal{ID: token}, nil
	case "broken":
		return nil, errors.New("directory is down")
	case "nobody":
		return nil, nil
	case "panic":
		panic(token)
	case "exit":
		runtime.Goexit()
	}
	return nil, fmt.Errorf("%w: token %s", auth.ErrUnauthenticated, c.Authorization)
}

func TestAuth(t *testing.T) {
	tl := newTools()
	who := make(chan string, 1)
	tl.add("who", 0, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		who <- req.Extra.Principal.ID
		return nil, nil
	})
	a := fakeAuth{make(chan auth.Credentials, 100)}
	r := serve(t, &Server{MCP: tl.mcp, Auth: a, Policy: auth.AllowAll()})
	legacy := `{"jsonrpc":"2.0","error":{"code":-32001,"message":"authentication required","data":{"type":"unauthorized"}}}`
	modern := strings.Replace(legacy, "-32001", "-31001", 1)
	down := `{"jsonrpc":"2.0","error":{"code":-32000,"message":"server is overloaded: try again soon (cannot verify credentials)","data":{"type":"overloaded","retryAfterMs":1000}}}`
	isModern := "MCP-Protocol-Version: 2026-07-28"
	session := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125, "Authorization: Bearer ann")
	for _, tt := range []struct {
		name, method, body string
		fields             []string
		status             int
		want               string
	}{
		{"no credential", "POST", listMessage, nil, 401, legacy},
		{"no credential, stateless era", "POST", listMessage, []string{isModern}, 401, modern},
		{"wrong credential", "POST", listMessage, []string{"Authorization: Bearer eve"}, 401, legacy},
		{"notification", "POST", `{"jsonrpc":"2.0","method":"x"}`, nil, 401, legacy},
		{"cancellation", "POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, []string{session}, 401, legacy},
		{"no JSON", "POST", `{`, nil, 401, legacy},
		{"GET", "GET", "", []string{session}, 401, legacy},
		{"DELETE", "DELETE", "", []string{session}, 401, legacy},
		{"failure", "POST", listMessage, []string{"Authorization: Bearer broken"}, 503, down},
		{"no principal", "POST", listMessage, []string{"Authorization: Bearer nobody"}, 503, down},
		{"panic", "POST", listMessage, []string{"Authorization: Bearer panic"}, 503, down},
	} {
		rep := r.do(tt.method, tt.body, tt.fields...)
		if rep.status != tt.status || rep.body() != tt.want {
			t.Errorf("%s: %d %s, want %d %s", tt.name, rep.status, rep.body(), tt.status, tt.want)
		}
		challenge, retry := "Bearer", ""
		if tt.status == 503 {
			challenge, retry = "", "1"
		}
		if rep.header.Get("WWW-Authenticate") != challenge || rep.header.Get("Retry-After") != retry {
			t.Errorf("%s: header %v", tt.name, rep.header)
		}
	}
	// Another principal's session is as unknown as one that never was.
	bob := "Authorization: Bearer bob"
	for method, body := range map[string]string{"POST": listMessage, "GET": "", "DELETE": ""} {
		if rep := r.do(method, body, session, bob); rep.status != 404 || !strings.Contains(rep.body(), "session not found") {
			t.Errorf("%s on another principal's session: %d %s", method, rep.status, rep.body())
		}
	}
	if rep := r.do("POST", listMessage, session, "Authorization: Bearer ann"); rep.status != 200 {
		t.Errorf("own session: %d %s", rep.status, rep.body())
	}
	r.do("POST", modernCall("1", "who"), append(modernFields("tools/call", "who"), bob)...)
	if got := <-who; got != "bob" {
		t.Errorf("tool was called by %q, want bob", got)
	}
}

func TestAuthWebSocket(t *testing.T) {
	tl := newTools()
	a := fakeAuth{make(chan auth.Credentials, 100)}
	r := serve(t, &Server{MCP: tl.mcp, Auth: a, Policy: auth.AllowAll()})
	for _, tt := range []struct {
		name   string
		fields []string
		status int
	}{
		{"no credential", nil, 401},
		{"wrong credential", []string{"Authorization: Bearer eve"}, 401},
		{"wrong subprotocol", []string{"Sec-WebSocket-Protocol: mcp, mcp.auth.eve"}, 401},
		{"failure", []string{"Authorization: Bearer broken"}, 503},
	} {
		_, resp, err := r.upgrade(tt.fields...)
		if err != errUpgrade || resp.StatusCode != tt.status || (resp.Header.Get("WWW-Authenticate") == "Bearer") != (tt.status == 401) {
			t.Errorf("%s: %v %v", tt.name, resp, err)
		}
		<-a.asked
	}
	for _, fields := range []string{"Authorization: Bearer ann", "Sec-WebSocket-Protocol: mcp.auth.ann, mcp"} {
		p, resp, err := r.upgrade(fields)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(got, "auth") {
			t.Errorf("credential was echoed: %s", got)
		}
		handshake(t, p, mcp.Version20251125)
		p.send(modernCall("1", "echo2"))
		if got := mustRead(t, p); !strings.Contains(got, "unknown tool") {
			t.Errorf("call: %s", got)
		}
		if c := <-a.asked; c.Authorization != "Bearer ann" || c.RemoteAddr == "" || len(a.asked) != 0 {
			t.Errorf("asked for %+v, and %d times more; want one question", c, len(a.asked))
		}
	}
	for _, s := range r.running.Load().gate.sessions.List() {
		if s.Principal() != "ann" {
			t.Errorf("session of %q", s.Principal())
		}
	}
}

// The user of a pipe is the one who started the process.
func TestAuthStdio(t *testing.T) {
	p := serveStdio(t, &Server{MCP: newTools().mcp, Auth: fakeAuth{make(chan auth.Credentials, 1)}, Policy: auth.AllowAll()})
	p.send(modernCall("1", "headers"))
	if got := mustRead(t, p); !strings.Contains(got, `"result"`) {
		t.Errorf("got %s", got)
	}
}

func TestAuthOverload(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, Auth: fakeAuth{make(chan auth.Credentials, 1)}, Policy: auth.AllowAll()})
	r.running.Load().gate.pool.Close()
	rep := r.do("POST", listMessage, "MCP-Protocol-Version: 2026-07-28")
	if rep.status != 503 || rep.header.Get("Retry-After") != "1" || !strings.HasPrefix(rep.body(), `{"jsonrpc":"2.0","error":{"code":-31000,`) {
		t.Errorf("POST: %d %s", rep.status, rep.body())
	}
	if rep := r.do("DELETE", ""); rep.status != 503 {
		t.Errorf("DELETE: %d", rep.status)
	}
	if _, resp, err := r.upgrade(); err != errUpgrade || resp.StatusCode != 503 {
		t.Errorf("upgrade: %v %v", resp, err)
	}
}

// An authenticator that ends its goroutine ends the connection, and takes no place
// with it.
func TestAuthGoexit(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, Auth: fakeAuth{make(chan auth.Credentials, 100)}, Policy: auth.AllowAll()})
	for range 3 {
		if rep, err := r.try(t.Context(), "POST", listMessage, "Authorization: Bearer exit"); err == nil {
			t.Errorf("answered %d %s", rep.status, rep.body())
		}
	}
	g := r.running.Load().gate
	await(t, "nobody is being judged", func() bool { return g.judging.Load() == 0 && g.judgedFrom.Keys() == 0 })
	if rep := r.do("POST", listMessage, "Authorization: Bearer eve"); rep.status != 401 {
		t.Errorf("after it: %d", rep.status)
	}
}
