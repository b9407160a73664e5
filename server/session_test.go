package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/server/mcp"
	"millrace/server/seal"
	"millrace/server/session"
)

const listMessage = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

func TestSessions(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	id := r.initialize(mcp.Version20251125, "User-Agent: agent")
	sessionID := "Mcp-Session-Id: " + id
	all := r.running.Load().gate.sessions.List()
	if len(all) != 1 || all[0].Client().UserAgent != "agent" || all[0].Version() != mcp.Version20251125 || all[0].Type() != session.HTTP {
		t.Fatalf("sessions: %+v", all)
	}
	const result = `{"jsonrpc":"2.0","id":1,"result":{"tools":[`
	check := func(name string, rep reply, status int, body string) {
		t.Helper()
		if rep.status != status || !strings.HasPrefix(rep.body(), body) {
			t.Errorf("%s: %d %.200s, want %d %s", name, rep.status, rep.body(), status, body)
		}
	}
	const noID = `{"jsonrpc":"2.0","error":{"code":-32600,`
	check("list", r.do("POST", listMessage, sessionID), 200, result)
	check("without", r.do("POST", listMessage), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,`)
	check("unknown", r.do("POST", listMessage, "Mcp-Session-Id: none"), 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"session not found`)
	check("notification without", r.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`), 400, noID)
	check("notification, unknown", r.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id: none"), 404, noID)
	check("response", r.do("POST", `{"jsonrpc":"2.0","id":9,"result":{}}`, sessionID), 202, "")
	check("GET without", r.do("GET", ""), 400, noID)
	check("GET unknown", r.do("GET", "", "Mcp-Session-Id: none"), 404, noID)
	check("DELETE without", r.do("DELETE", ""), 400, noID)
	check("DELETE unknown", r.do("DELETE", "", "Mcp-Session-Id: none"), 404, noID)
	modern := "MCP-Protocol-Version: 2026-07-28"
	for _, method := range []string{"GET", "DELETE"} {
		rep := r.do(method, "", sessionID, modern)
		check(method+" of the stateless era", rep, 405, noID)
		if got := rep.header.Get("Allow"); got != "POST, OPTIONS" {
			t.Errorf("Allow: %q", got)
		}
		check(method+" of an unknown era", r.do(method, "", sessionID, "MCP-Protocol-Version: v9"), 400, `{"jsonrpc":"2.0","error":{"code":-32022,`)
	}
	check("initialize with an unknown id", r.do("POST", initializeMessage(mcp.Version20251125), "Mcp-Session-Id: none"), 404, `{"jsonrpc":"2.0","id":"i","error"`)
	check("initialize without a version", r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`), 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,`)
	check("initialize with wrong capabilities", r.do("POST", strings.Replace(initializeMessage("2025-11-25"), `"capabilities":{}`, `"capabilities":{"x":"`+strings.Repeat("x", session.MaxCapabilities)+`"}`, 1)),
		400, `{"jsonrpc":"2.0","id":"i","error":{"code":-32602,`)
	if st := r.Stats().Sessions; st.Open != 1 || st.Created != 1 {
		t.Errorf("refused requests left sessions behind: %+v", st)
	}
	check("DELETE", r.do("DELETE", "", sessionID), 204, "")
	check("after DELETE", r.do("POST", listMessage, sessionID), 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"session has ended`)
	check("DELETE again", r.do("DELETE", "", sessionID), 404, noID)
}

func TestSessionLimit(t *testing.T) {
	failed := make(chan error, 2)
	r := serve(t, &Server{MCP: newTools().mcp, MaxSessions: 2, Hooks: Hooks{SessionError: func(err error) { failed <- err }}})
	id := r.initialize(mcp.Version20251125)
	p := r.dial()
	handshake(t, p, mcp.Version20251125)
	rep := r.do("POST", initializeMessage(mcp.Version20251125))
	const full = `{"jsonrpc":"2.0","id":"i","error":{"code":-32000,"message":"server is overloaded: try again soon (session limit of 2 reached)","data":{"type":"overloaded","retryAfterMs":1000}}}`
	if rep.status != 503 || rep.header.Get("Retry-After") != "5" || rep.body() != full {
		t.Errorf("over the limit: %d %v %s", rep.status, rep.header, rep.body())
	}
	if err := <-failed; !errors.Is(err, session.ErrFull) {
		t.Errorf("hook: %v", err)
	}
	other := r.dial()
	other.send(initializeMessage(mcp.Version20251125))
	want(t, other, full)
	r.do("DELETE", "", "Mcp-Session-Id: "+id)
	other.send(initializeMessage(mcp.Version20251125))
	if got := mustRead(t, other); !strings.Contains(got, `"result"`) {
		t.Errorf("after a session has ended: %s", got)
	}
	p.close() // ends its session
	for r.Stats().Sessions.Open > 1 {
		runtime.Gosched()
	}
}

func TestSessionIdle(t *testing.T) {
	ended := make(chan session.Reason, 1)
	r := serve(t, &Server{MCP: newTools().mcp, SessionIdle: time.Millisecond, Hooks: Hooks{
		SessionDestroyed: func(_ *session.Session, why session.Reason) { ended <- why },
	}})
	rep := r.do("POST", initializeMessage(mcp.Version20251125))
	if why := <-ended; why != session.IdleTimeout { // the sweep, once a second
		t.Errorf("ended: %v", why)
	}
	if rep := r.do("POST", listMessage, "Mcp-Session-Id: "+rep.header.Get("Mcp-Session-Id")); rep.status != 404 {
		t.Errorf("after the end: %d", rep.status)
	}
}

// With keys that outlive the process its sessions do as well.
func TestRevivedSession(t *testing.T) {
	keys := seal.NewRandom()
	first := serve(t, &Server{MCP: newTools().mcp, Keys: keys})
	id := "Mcp-Session-Id: " + first.initialize(mcp.Version20250618)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	created := make(chan *session.Session, 1)
	r := serve(t, &Server{MCP: newTools().mcp, Keys: keys, Hooks: Hooks{SessionCreated: func(s *session.Session) { created <- s }}})
	for range 2 {
		if rep := r.do("POST", listMessage, id); rep.status != 200 {
			t.Errorf("list: %d %s", rep.status, rep.body())
		}
	}
	if s := <-created; !s.Revived() || s.Version() != mcp.Version20250618 {
		t.Errorf("session %+v", s)
	}
	other := serve(t, &Server{MCP: newTools().mcp})
	if rep := other.do("POST", listMessage, id); rep.status != 404 {
		t.Errorf("with other keys: %d", rep.status)
	}
}

// events opens a GET stream and returns a function that reads its next event.
func events(t *testing.T, r *runningServer, fields ...string) (next func() (string, error), end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := r.open(ctx, "GET", "", append(fields, "Accept: text/event-stream")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("GET: %d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (string, error) {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return "", err
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok && strings.TrimSpace(data) != "" {
				return strings.TrimSpace(data), nil
			}
		}
	}, cancel
}

func TestListChanged(t *testing.T) {
	const changed = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
	next, _ := events(t, r, id)
	piped := newTools() // of its own: a pipe blocks who writes until it is read
	ws, std := r.dial(), serveStdio(t, &Server{MCP: piped.mcp})
	for _, p := range []peer{ws, std} {
		handshake(t, p, mcp.Version20250326)
		p.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`) // when it is answered, what came before was read
		want(t, p, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
	for _, change := range []func(*tools){func(tl *tools) { tl.add("more", 0, nothing) }, func(tl *tools) { tl.mcp.RemoveTools("more") }} {
		change(tl)
		if got, err := next(); got != changed || err != nil {
			t.Errorf("GET stream: %s, %v", got, err)
		}
		want(t, ws, changed)
		change(piped)
		want(t, std, changed)
	}
	if rep := r.do("DELETE", "", id); rep.status != 204 {
		t.Errorf("DELETE: %d", rep.status)
	}
	if got, err := next(); err != io.EOF {
		t.Errorf("stream after DELETE: %s, %v, want its end", got, err)
	}
}

// A client that reconnects again and again keeps its newest streams.
func TestStreamLimit(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
	oldest, _ := events(t, r, id)
	var last func()
	for range maxStreams - 1 {
		_, last = events(t, r, id)
	}
	s := r.running.Load().gate.sessions.List()[0].Attachment().(*legacySession)
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := 0
		for _, e := range s.standby {
			if e.attached() {
				n++
			}
		}
		return n
	}
	if n := count(); n != maxStreams {
		t.Errorf("%d streams, want %d", n, maxStreams)
	}
	events(t, r, id)
	if _, err := oldest(); err != io.EOF {
		t.Errorf("oldest stream: %v, want its end", err)
	}
	if n := count(); n != maxStreams {
		t.Errorf("%d streams, want %d", n, maxStreams)
	}
	last()
	for count() != maxStreams-1 {
		runtime.Gosched()
	}
	if !s.reg.Busy() {
		t.Error("a session with a stream is not held")
	}
	r.do("DELETE", "", id)
	if s.open(newEventStream(s, nil, true)) {
		t.Error("opened a stream on a session that has ended")
	}
	if err := s.enter(&call{}, 64); err != errSessionOver || len(s.calls) != 0 {
		t.Errorf("entering a session that has ended: %v", err)
	}
}

// DELETE ends the calls of its session and no others; a disconnected legacy
// client's calls go on.
func TestCallsOfASession(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`
	got := make(chan reply, 1)
	go func() {
		rep, _ := r.try(t.Context(), "POST", call, id)
		got <- rep
	}()
	<-tl.running
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		_, _ = r.try(ctx, "POST", strings.Replace(call, `"id":1`, `"id":2`, 1), id)
		close(gone)
	}()
	<-tl.running
	before := r.Stats().Connections.Active
	cancel()
	<-gone
	for r.Stats().Connections.Active == before {
		runtime.Gosched()
	}
	if n := len(tl.ended); n != 0 {
		t.Errorf("%d calls ended with a disconnection", n)
	}
	r.do("DELETE", "", id)
	if rep := <-got; rep.status != 200 || !rep.stream || rep.body() != "" {
		t.Errorf("call of a deleted session: %d %s", rep.status, rep.body())
	}
	for range 2 {
		if err := <-tl.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context: %v", err)
		}
	}
}

// User code before initialize, and between two of them: a second session never
// replaces the first.
func TestInitializeRace(t *testing.T) {
	tl := newTools()
	both := make(chan struct{}, 2)
	proceed := make(chan struct{})
	tl.mcp.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method == "initialize" {
				both <- struct{}{}
				<-proceed
			}
			return next(ctx, method, req)
		}
	})
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial("Origin: http://" + r.Addrs()[0])
	for i := range 2 {
		p.send(strings.Replace(initializeMessage(mcp.Version20251125), `"id":"i"`, fmt.Sprintf(`"id":%d`, i), 1))
		<-both
	}
	close(proceed)
	answers := mustRead(t, p) + mustRead(t, p)
	if strings.Count(answers, `"result"`) != 1 || strings.Count(answers, `"error":{"code":-32600,"message":"the session is already initialized"}`) != 1 {
		t.Errorf("answers: %s", answers)
	}
	all := r.running.Load().gate.sessions.List()
	if len(all) != 1 || all[0].Client().UserAgent != "wstest" || all[0].Client().Origin == "" {
		t.Errorf("sessions: %+v", all)
	}
	// On a worker the header of an HTTP request is still known.
	r.initialize(mcp.Version20251125, "User-Agent: agent")
	for _, s := range r.running.Load().gate.sessions.List() {
		if s.Type() == session.HTTP && s.Client().UserAgent != "agent" {
			t.Errorf("client: %+v", s.Client())
		}
	}
}

func TestInitializedHandler(t *testing.T) {
	heard := make(chan string, 1)
	m := mcp.NewServer(&mcp.Implementation{Name: "test"}, &mcp.ServerOptions{Logger: quiet,
		InitializedHandler: func(_ context.Context, req *mcp.InitializedRequest) { heard <- req.ProtocolVersion() }})
	r := serve(t, &Server{MCP: m})
	r.initialize(mcp.Version20250618)
	if got := <-heard; got != mcp.Version20250618 {
		t.Errorf("handler heard %s", got)
	}
	r.running.Load().gate.pool.Close()
	if rep := r.do("POST", initializeMessage(mcp.Version20250618)); rep.status != 200 {
		t.Errorf("initialize needs no worker: %d", rep.status)
	} else if rep := r.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id: "+rep.header.Get("Mcp-Session-Id")); rep.status != 202 {
		t.Errorf("notification without a worker: %d", rep.status)
	}
}

func TestBatch(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	session := func(version string) string { return "Mcp-Session-Id: " + r.initialize(version) }
	id := session(mcp.Version20250326)
	ping := func(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}` }
	pong := func(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"result":{}}` }
	notification := `{"jsonrpc":"2.0","method":"notifications/x"}`
	ws := r.dial()
	handshake(t, ws, mcp.Version20250326)
	for _, tt := range []struct {
		name, in, want string
		status         int
	}{
		{"two", `[` + ping("1") + `,` + ping("2") + `]`, `[` + pong("1") + `,` + pong("2") + `]`, 200},
		{"with a notification", `[` + ping("1") + `,` + notification + `]`, `[` + pong("1") + `]`, 200},
		{"with a response", `[{"jsonrpc":"2.0","id":5,"result":{}},` + ping("1") + `]`, `[` + pong("1") + `]`, 200},
		{"tool", `[{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}]`,
			`[{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"x"}]}}]`, 200},
		{"bad item", `[1,` + ping("2") + `]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: not an object"}},` + pong("2") + `]`, 200},
		{"initialize", `[` + initializeMessage("2025-03-26") + `]`, `[{"jsonrpc":"2.0","id":"i","error":{"code":-32600,"message":"initialize must not be part of a batch"}}]`, 200},
		{"empty", `[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`, 400},
		{"no JSON", `[`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`, 400},
	} {
		rep := r.do("POST", tt.in, id)
		if rep.status != tt.status || !strings.HasPrefix(rep.body(), tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.name, rep.status, rep.body(), tt.want)
		}
		ws.send(tt.in)
		if got := mustRead(t, ws); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s, WebSocket: %s, want %s", tt.name, got, tt.want)
		}
	}
	if rep := r.do("POST", `[`+notification+`]`, id); rep.status != 202 || rep.body() != "" {
		t.Errorf("notifications alone: %d %s", rep.status, rep.body())
	}
	for _, version := range legacyVersions {
		if version == mcp.Version20250326 {
			continue
		}
		if rep := r.do("POST", `[`+ping("1")+`]`, session(version)); rep.status != 400 || !strings.Contains(rep.body(), "2025-03-26 only") {
			t.Errorf("%s: %d %s", version, rep.status, rep.body())
		}
	}
	if rep := r.do("POST", `[`+ping("1")+`]`); rep.status != 400 {
		t.Errorf("without a session: %d", rep.status)
	}
	if rep := r.do("POST", `[`+ping("1")+`]`, "Mcp-Session-Id: none"); rep.status != 404 {
		t.Errorf("with an unknown session: %d", rep.status)
	}
	other := r.dial()
	other.send(`[` + ping("1") + `]`)
	if got := mustRead(t, other); !strings.HasPrefix(got, `{"jsonrpc":"2.0","error":{"code":-32600,`) {
		t.Errorf("WebSocket without a session: %s", got)
	}
}

// A request of a batch that is cancelled is left out of the answer.
func TestBatchCancel(t *testing.T) {
	tl := newTools()
	p := serve(t, &Server{MCP: tl.mcp}).dial()
	handshake(t, p, mcp.Version20250326)
	p.send(`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"steps","_meta":{"progressToken":9}}}]`)
	<-tl.running
	if got := mustRead(t, p); !strings.Contains(got, `"progressToken":9,"progress":1,`) {
		t.Errorf("progress of a batch: %s", got)
	}
	p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	for {
		got := mustRead(t, p)
		if strings.Contains(got, `"method"`) {
			continue
		}
		if want := `[{"jsonrpc":"2.0","id":2,"result":{"content":[]}}]`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		return
	}
}

func TestMethodsOfTheEndpoint(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	for method, status := range map[string]int{"PUT": 405, "OPTIONS": 204, http.MethodHead: 405} {
		if rep := r.do(method, ""); rep.status != status {
			t.Errorf("%s: %d, want %d", method, rep.status, status)
		}
	}
}

// A client that answers no pings loses its connection, and its session says why
// it ended.
func TestNoPong(t *testing.T) {
	ended := make(chan session.Reason, 1)
	r := serve(t, &Server{
		MCP: newTools().mcp, PingInterval: 100 * time.Millisecond, PongTimeout: 100 * time.Millisecond,
		Hooks: Hooks{SessionDestroyed: func(_ *session.Session, why session.Reason) { ended <- why }},
	})
	handshake(t, r.dial(), mcp.Version20251125) // and never reads again
	select {
	case why := <-ended:
		if why != session.NoPong {
			t.Errorf("session ended: %v, want %v", why, session.NoPong)
		}
	case <-time.After(10 * time.Second):
		t.Error("a client that answers no pings keeps its session")
	}
}

func TestSessionRegistry(t *testing.T) {
	srv := &Server{MCP: newTools().mcp}
	if got := srv.Sessions(); got != nil {
		t.Errorf("Sessions of a server that does not run = %v, want nil", got)
	}
	r := serve(t, srv)
	id := r.initialize(mcp.Version20250618, "User-Agent: probe/1", "Accept-Language: de")
	list := srv.Sessions().List()
	if len(list) != 1 || list[0].ID() != id || list[0].Version() != mcp.Version20250618 || list[0].Type() != session.HTTP {
		t.Fatalf("List = %v", list)
	}
	if c := list[0].Client(); c.UserAgent != "probe/1" || c.AcceptLanguage != "de" || !strings.HasPrefix(c.Address, "127.0.0.1:") {
		t.Errorf("Client = %+v", c)
	}
	if !list[0].End(time.Now(), session.Revoked) {
		t.Error("End = false")
	}
	if rep := r.do("POST", listMessage, "Mcp-Session-Id: "+id); rep.status != 404 {
		t.Errorf("a revoked session answers %d, want 404", rep.status)
	}
}

// A long message is read by a worker. What follows it on the same connection
// must not overtake it: a cancellation would find nothing to cancel, a second
// request with its id would be taken for the first, and the requests behind a
// long initialize would have no session.
func TestLongMessagesKeepTheirPlace(t *testing.T) {
	tl := newTools()
	tl.add("wait", time.Minute, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r := serve(t, &Server{MCP: tl.mcp})
	padding := strings.Repeat("x", largeBody)
	for range 20 {
		p := r.dial()
		p.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"` + padding + `","version":"1"}}}`)
		p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		both := mustRead(t, p) + mustRead(t, p) // answers may come in any order
		if !strings.Contains(both, `{"jsonrpc":"2.0","id":0,"result":{"`) || !strings.Contains(both, `{"jsonrpc":"2.0","id":1,"result":{"tools":`) {
			t.Fatalf("answers: %s", both)
		}
		p.close()
	}
	p := r.dial()
	handshake(t, p, mcp.Version20251125)
	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","arguments":{},"_meta":{"padding":"` + padding + `"}}}`)
	p.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := mustRead(t, p); !strings.Contains(got, errDuplicate.Error()) {
		t.Errorf("second request with id 1: %s", got)
	}
	p.send(`{"jsonrpc":"2.0","method":"notifications/foo","params":{"_meta":5}}`) // says nothing, and wants no answer
	p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	p.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, p, `{"jsonrpc":"2.0","id":2,"result":{}}`)
	// The call may have been cancelled before a worker took it up: it counts as
	// cancelled either way.
	if n := r.Stats().Messages.Canceled; n != 1 {
		t.Errorf("%d calls were cancelled: the cancellation overtook its request", n)
	}
}

// The calls of a session go on without their connections, so their number is
// bounded for the session: else one client could fill the pool from behind
// connections that are long gone.
func TestSessionInFlight(t *testing.T) {
	const most = 3
	tl := newTools()
	tl.add("wait", time.Minute, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r := serve(t, &Server{MCP: tl.mcp, MaxInFlight: most})
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
	s := r.Sessions().List()[0].Attachment().(*legacySession)
	for n := range most {
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := r.try(ctx, "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`, id)
			gone <- err
		}()
		for s.inFlight() <= n {
			runtime.Gosched()
		}
		leave()
		if err := <-gone; err == nil {
			t.Fatal("the call was answered")
		}
	}
	rep := r.do("POST", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"wait"}}`, id)
	if rep.status != 503 || !strings.Contains(rep.body(), errSessionBusy.Error()) {
		t.Errorf("call over the limit: %d %s", rep.status, rep.body())
	}
	if rep := r.do("DELETE", "", id); rep.status != 204 {
		t.Errorf("DELETE: %d", rep.status)
	}
}

func (s *legacySession) inFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// A message that was meant as a response or a notification gets no error with
// an id: it would pass for the answer to the client's own request of that id.
func TestBadAnswersAreNotAnswered(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	p := r.dial()
	for _, msg := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"error":5}`,
		`{"jsonrpc":"2.0","method":"notifications/x","params":5}`,
	} {
		p.send(msg)
		p.send(`{"jsonrpc":"2.0","id":7,"method":"ping"}`)
		want(t, p, `{"jsonrpc":"2.0","id":7,"result":{}}`)
		rep := r.do("POST", msg, "MCP-Protocol-Version: 2026-07-28")
		if rep.status != 400 || strings.Contains(rep.body(), `"id"`) {
			t.Errorf("POST %s: %d %s", msg, rep.status, rep.body())
		}
	}
}
