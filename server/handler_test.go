package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/mcp"
)

// protocols are what net/http serves a Handler over.
var protocols = []string{"HTTP/1.1", "HTTP/2.0"}

// serveHandler mounts srv in a server of net/http until the test ends.
func serveHandler(t *testing.T, srv *Server, protocol string) *runningServer {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = quiet
	}
	h, err := srv.Handler()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/tools", h)
	ts := httptest.NewUnstartedServer(mux)
	if ts.EnableHTTP2 = protocol == "HTTP/2.0"; ts.EnableHTTP2 {
		ts.StartTLS()
	} else {
		ts.Start()
	}
	r := &runningServer{Server: srv, t: t, http: ts.Client(), url: ts.URL + "/tools"}
	r.stop = sync.OnceValue(func() error {
		err := srv.Shutdown(context.Background())
		ts.Close()
		return err
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// onBoth runs f over HTTP/1.1 and over HTTP/2.
func onBoth(t *testing.T, f func(t *testing.T, protocol string)) {
	for _, p := range protocols {
		t.Run(p, func(t *testing.T) { f(t, p) })
	}
}

// Every revision gets inside of net/http what it gets from our own loops:
// answers, progress, errors, deadlines, and cancellation by disconnect on
// 2026-07-28.
func TestHandlerMatrix(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
			t.Run(version, func(t *testing.T) {
				tl := newTools()
				r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
				checkMatrix(t, httpWire(t, r, tl, version), tl)
				resp, err := r.open(t.Context(), "POST", listMessage, "MCP-Protocol-Version: 2026-07-28")
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.Proto != protocol {
					t.Errorf("it was %s", resp.Proto)
				}
			})
		}
	})
}

func TestHandlerOneLine(t *testing.T) {
	srv, h := mount(newTools().mcp)
	defer func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}()
	req := httptest.NewRequest("POST", "/", strings.NewReader(initializeMessage(mcp.Version20251125)))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder() // no socket at all
	h.ServeHTTP(w, req)
	if w.Code != 200 || w.Header().Get("Mcp-Session-Id") == "" {
		t.Errorf("initialize: %d %s", w.Code, w.Body)
	}
	defer func() {
		if v := recover(); v != "server.Handler: Server.MCP is not set" {
			t.Errorf("Handler(nil) panicked with %v", v)
		}
	}()
	Handler(nil)
}

// A legacy client: its session, its GET stream, what it is told there, DELETE.
func TestHandlerSession(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		session := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
		next, end := events(t, r, session)
		tl.add("another", 0, nothing)
		if got, err := next(); got != `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` {
			t.Errorf("GET stream: %s, %v", got, err)
		}
		end()
		if rep := r.do("DELETE", "", session); rep.status != 204 {
			t.Errorf("DELETE: %d", rep.status)
		}
		if rep := r.do("POST", listMessage, session); rep.status != 404 {
			t.Errorf("POST to a session that is gone: %d", rep.status)
		}
	})
}

// "disconnection SHOULD NOT be interpreted as the client cancelling its request"
// (25:basic/transports).
func TestHandlerLegacyDisconnect(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		session := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = r.try(ctx, "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`, session)
		}()
		<-tl.running
		cancel()
		<-gone
		waitFor(t, "the end of the request", func() bool { return r.Stats().Connections.Active == 0 })
		if n := len(tl.ended); n != 0 {
			t.Error("the call was cancelled by the disconnect")
		}
		r.do("POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, session)
		if err := <-tl.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context of the call: %v", err)
		}
	})
}

// sseEvents reads a response as an event stream: the ids and the data of events.
func sseEvents(t *testing.T, resp *http.Response) func() (id, data string) {
	t.Helper()
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type %q", got)
	}
	in := bufio.NewScanner(resp.Body)
	return func() (id, data string) {
		for in.Scan() && (in.Text() != "" || id == "" && data == "") { // a blank line behind a comment ends no event
			field, value, _ := strings.Cut(in.Text(), ": ")
			switch field {
			case "id":
				id = value
			case "data":
				data = value
			}
		}
		return id, data
	}
}

// A call goes on without its connection, and a GET with Last-Event-ID gets the
// rest of its stream.
func TestHandlerResume(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		tl.add("report", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{Progress: 1}); err != nil {
				return nil, err
			}
			<-tl.gate
			return nil, nil
		})
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		session := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := r.open(ctx, "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"report","_meta":{"progressToken":1}}}`, session)
		if err != nil {
			t.Fatal(err)
		}
		next := sseEvents(t, resp)
		if id, data := next(); id == "" || data != "" {
			t.Errorf("priming event: %q %q", id, data)
		}
		id, data := next()
		if id == "" || !strings.Contains(data, "notifications/progress") {
			t.Errorf("progress: %q %q", id, data)
		}
		cancel()
		close(tl.gate)
		resp, err = r.open(t.Context(), "GET", "", session, "Last-Event-ID: "+id)
		if err != nil {
			t.Fatal(err)
		}
		if _, data := sseEvents(t, resp)(); data != `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}` {
			t.Errorf("after coming back: %q", data)
		}
	})
}

// A tool asks the client on the stream of its call, or of nobody's.
func TestHandlerAsk(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		tl.addRoots()
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		session := "Mcp-Session-Id: " + r.do("POST", rootsMessage(mcp.Version20250618)).header.Get("Mcp-Session-Id")
		r.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, session)
		resp, err := r.open(t.Context(), "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"roots"}}`, session)
		if err != nil {
			t.Fatal(err)
		}
		next := sseEvents(t, resp)
		if _, data := next(); data != `{"jsonrpc":"2.0","id":1,"method":"roots/list","params":{}}` {
			t.Errorf("asked %q", data)
		}
		if rep := r.do("POST", `{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///a"}]}}`, session); rep.status != 202 {
			t.Errorf("the client's answer: %d %s", rep.status, rep.body())
		}
		if _, data := next(); !strings.Contains(data, `"text":"file:///a"`) {
			t.Errorf("answer %q", data)
		}
	})
}

// A subscription lives on its response stream, until the client closes it or the
// server goes.
func TestHandlerSubscription(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		listen := func(ctx context.Context) func() (string, string) {
			t.Helper()
			resp, err := r.open(ctx, "POST", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`,
				modernFields("subscriptions/listen", "")...)
			if err != nil {
				t.Fatal(err)
			}
			next := sseEvents(t, resp)
			if _, data := next(); !strings.Contains(data, "notifications/subscriptions/acknowledged") {
				t.Errorf("acknowledgement: %s", data)
			}
			return next
		}
		ctx, cancel := context.WithCancel(t.Context())
		listen(ctx)
		next := listen(t.Context())
		cancel()
		waitFor(t, "the end of the subscription", func() bool { return r.Stats().Connections.Active == 1 })
		tl.add("another", 0, nothing)
		if _, data := next(); !strings.Contains(data, "notifications/tools/list_changed") {
			t.Errorf("notification: %s", data)
		}
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(context.Background()) }()
		if _, data := next(); !strings.Contains(data, `"id":1,"result":`) {
			t.Errorf("the end: %s", data)
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// waitFor polls for what no channel tells.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// Shutdown ends GET streams, waits for calls, refuses what comes later, and
// leaves a Server that can be used again.
func TestHandlerShutdown(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		if _, err := r.Server.Handler(); !errors.Is(err, ErrRunning) {
			t.Errorf("a second Handler: %v, want ErrRunning", err)
		}
		next, _ := events(t, r, "Mcp-Session-Id: "+r.initialize(mcp.Version20251125))
		call := make(chan reply, 1)
		go func() {
			rep, _ := r.try(t.Context(), "POST", modernCall("1", "hold"), modernFields("tools/call", "hold")...)
			call <- rep
		}()
		<-tl.running
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(context.Background()) }()
		if got, err := next(); !errors.Is(err, io.EOF) {
			t.Errorf("GET stream: %s, %v", got, err)
		}
		if rep := r.do("POST", listMessage, "MCP-Protocol-Version: 2026-07-28"); rep.status != 503 || rep.header.Get("Retry-After") != "1" {
			t.Errorf("a late request: %d %v", rep.status, rep.header)
		}
		close(tl.gate)
		if rep := <-call; rep.status != 200 || !strings.Contains(rep.body(), `"result"`) {
			t.Errorf("the call in flight: %d %s", rep.status, rep.body())
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := r.Shutdown(t.Context()); !errors.Is(err, ErrNotRunning) {
			t.Errorf("a second Shutdown: %v", err)
		}
		h, err := r.Server.Handler()
		if err != nil || h == nil {
			t.Fatalf("Handler after Shutdown: %v", err)
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown of it: %v", err)
		}
	})
}

// Whoever does not want to wait has the calls cut.
func TestHandlerShutdownCut(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		tl := newTools()
		r := serveHandler(t, &Server{MCP: tl.mcp}, protocol)
		failed := make(chan error, 1)
		go func() {
			_, err := r.try(t.Context(), "POST", modernCall("1", "wait"), modernFields("tools/call", "wait")...)
			failed <- err
		}()
		<-tl.running
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 requests were cut") {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-failed; err == nil {
			t.Error("a call that was cut got an answer")
		}
		if err := <-tl.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context of the call: %v", err)
		}
	})
}

func TestHandlerGuards(t *testing.T) {
	onBoth(t, func(t *testing.T, protocol string) {
		r := serveHandler(t, &Server{
			MCP: newTools().mcp, Auth: fakeAuth{make(chan auth.Credentials, 10)}, Policy: auth.AllowAll(), MaxBody: 1 << 10,
			AllowedOrigins: []string{"https://app.example"},
		}, protocol)
		modern := "MCP-Protocol-Version: 2026-07-28"
		for _, tt := range []struct {
			name, body, field string
			status            int
		}{
			{"no credential", listMessage, "X: y", 401},
			{"credential", listMessage, "Authorization: Bearer ann", 400}, // it has no Mcp-Method
			{"authenticator fails", listMessage, "Authorization: Bearer broken", 503},
			{"foreign origin", listMessage, "Origin: https://evil.example", 403},
			{"listed origin", listMessage, "Origin: https://app.example", 401},
			{"long body", strings.Repeat(" ", 1<<10) + "1", "X: y", 413},
			{"no JSON", listMessage, "Content-Type: text/plain", 415},
		} {
			rep := r.do("POST", tt.body, modern, tt.field)
			if rep.status != tt.status || !strings.HasPrefix(rep.body(), `{"jsonrpc":"2.0","error":`) && tt.status != 400 {
				t.Errorf("%s: %d %s, want %d", tt.name, rep.status, rep.body(), tt.status)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url, strings.NewReader(listMessage))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example" // whose owner has made it resolve to 127.0.0.1
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("a foreign Host: %d, want 403", resp.StatusCode)
		}
	})
}
