package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/session"
)

func TestFailedStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m := newTools().mcp
	odd := mcp.NewServer(&mcp.Implementation{}, &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{Experimental: map[string]any{"x": func() {}}}})
	procs, goroutines := runtime.GOMAXPROCS(0), runtime.NumGoroutine()
	for _, tt := range []struct {
		name, want string
		srv        *Server
	}{
		{"no MCP", "Server.MCP is not set", &Server{}},
		{"port in use", "is already in use", &Server{MCP: m, Addr: taken.Addr().String(), Admin: "127.0.0.1:0"}},
		{"admin port in use", "--admin", &Server{MCP: m, Addr: "127.0.0.1:0", Admin: taken.Addr().String()}},
		{"admin for everyone", "must stay on a loopback address", &Server{MCP: m, Addr: "127.0.0.1:0", Admin: "0.0.0.0:0"}},
		{"admin without a port", "want host:port", &Server{MCP: m, Addr: "127.0.0.1:0", Admin: "127.0.0.1"}},
		{"pprof without admin", "--admin", &Server{MCP: m, Addr: "127.0.0.1:0", Pprof: true}},
		{"admin token without admin", "--admin", &Server{MCP: m, Addr: "127.0.0.1:0", AdminToken: "0123456789abcdef"}},
		{"short admin token", "at least 16", &Server{MCP: m, Addr: "127.0.0.1:0", Admin: "127.0.0.1:0", AdminToken: "0123456789abcde"}},
		{"open without authentication", "--insecure", &Server{MCP: m, Addr: ":0"}},
		{"no port", "want host:port", &Server{MCP: m, Addr: "127.0.0.1"}},
		{"odd port", "is not a port", &Server{MCP: m, Listeners: []Listener{{Addr: "127.0.0.1:none"}}}},
		{"too many connections", "open files", &Server{MCP: m, Addr: "127.0.0.1:0", MaxConnections: 1 << 30}},
		{"greeting", "greeting: json", &Server{MCP: odd, Addr: "127.0.0.1:0", Greeting: true}},
	} {
		tt.srv.Logger = quiet
		tt.srv.Hooks.Stopped = func(error) { t.Errorf("%s: Stopped was called", tt.name) }
		tt.srv.Hooks.SessionError = func(error) {} // so that there is a goroutine to end
		if err := tt.srv.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if err := tt.srv.Shutdown(t.Context()); err != ErrNotRunning {
			t.Errorf("%s: Shutdown = %v, want ErrNotRunning", tt.name, err)
		}
	}
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("GOMAXPROCS %d, was %d", got, procs)
	}
	for range 1000 {
		runtime.Gosched()
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines, were %d", got, goroutines)
	}
	if err := (&Server{Logger: quiet}).RunStdio(t.Context(), nil, nil); err == nil {
		t.Error("RunStdio without MCP succeeded")
	}
}

func TestRunAgain(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	var events []string
	srv := &Server{MCP: newTools().mcp, Hooks: Hooks{Stopped: func(err error) { events = append(events, "stopped") }}}
	r := serve(t, srv)
	if err := r.Run(t.Context()); err != ErrRunning {
		t.Errorf("second Run = %v, want ErrRunning", err)
	}
	if err := r.RunStdio(t.Context(), nil, nil); err != ErrRunning {
		t.Errorf("RunStdio = %v, want ErrRunning", err)
	}
	for range 3 {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := srv.Shutdown(context.Background()); err != nil && err != ErrNotRunning {
					t.Errorf("Shutdown: %v", err)
				}
			})
		}
		all.Wait()
		_ = r.stop()
		srv.Hooks.Started = nil
		r = serve(t, srv) // as soon as Shutdown has returned
		if rep := r.do("POST", modernCall("1", "headers"), modernFields("tools/call", "headers")...); rep.status != 200 {
			t.Errorf("call: %d", rep.status)
		}
	}
	_ = r.stop()
	if got := runtime.GOMAXPROCS(0); got != before || len(events) != 4 {
		t.Errorf("GOMAXPROCS = %d, was %d; events %q", got, before, events)
	}
	t.Setenv("GOMAXPROCS", "2")
	srv.Hooks.Started = nil
	serve(t, srv)
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("GOMAXPROCS = %d although the environment sets it; was %d", got, before)
	}
}

// GOMAXPROCS is the quota, and one more for each loop while tools compute.
func TestProcs(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	check := func(when string, more int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0); got != before+more {
			t.Errorf("%s: GOMAXPROCS = %d, was %d", when, got, before)
		}
	}
	compute := func(r *runningServer) {
		t.Helper()
		if rep := r.do("POST", modernCall("1", "compute"), modernFields("tools/call", "compute")...); rep.status != 200 {
			t.Errorf("call: %d", rep.status)
		}
	}
	r := serve(t, &Server{MCP: newTools().mcp})
	check("one loop", 0)
	compute(r)
	check("one loop and a tool that computes", 1)
	other := serve(t, &Server{MCP: newTools().mcp, Loops: 2})
	check("three loops and a tool that computes", 3)
	now := time.Now()
	procs.sweep(now)
	check("just now", 3)
	procs.enter()
	procs.sweep(now.Add(procsRest + time.Minute))
	check("a tool still computes", 3)
	procs.leave(now)
	procs.sweep(now.Add(procsRest - 1))
	check("shortly before the rest is over", 3)
	procs.sweep(now.Add(procsRest))
	check("after the rest", 0)
	compute(other)
	check("a tool computes again", 3)
	_ = other.stop()
	check("one server less", 1)
	_ = r.stop()
	check("none", 0)
}

// Everything that is in flight when the server drains is answered.
func TestDrain(t *testing.T) {
	tl := newTools()
	tl.add("hold_steps", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{Progress: 1})
		tl.running <- struct{}{}
		<-tl.gate
		return nil, err
	})
	r := serve(t, &Server{MCP: tl.mcp, Admin: "127.0.0.1:0"})
	admin := "http://" + r.AdminAddr()
	answers := make(chan reply, 2)
	for _, meta := range []string{modernMeta, strings.Replace(modernMeta, `:{`, `:{"progressToken":1,`, 1)} {
		go func() {
			rep, err := r.try(context.Background(), "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hold_steps",`+meta+`}}`, modernFields("tools/call", "hold_steps")...)
			if err != nil {
				t.Error(err)
			}
			answers <- rep
		}()
		<-tl.running
	}
	ws, idle := r.dial(), r.dial()
	ws.send(modernCall("1", "hold"))
	<-tl.running
	next, _ := events(t, r, "Mcp-Session-Id: "+r.initialize(mcp.Version20251125))
	if status := get(t, admin+"/readyz"); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(context.Background()) }()
	if _, err := idle.read(); err != closeError(1001) {
		t.Errorf("idle WebSocket: %v, want close 1001", err)
	}
	if _, err := next(); err != io.EOF {
		t.Errorf("GET stream: %v, want its end", err)
	}
	if status := get(t, admin+"/readyz"); status != 503 {
		t.Errorf("readyz while draining: %d, want 503", status)
	}
	if status := get(t, admin+"/healthz"); status != 200 || !r.Info().Draining {
		t.Errorf("healthz while draining: %d, %+v", status, r.Info())
	}
	if _, err := net.DialTimeout("tcp", r.Addrs()[0], time.Second); err == nil {
		t.Error("a draining server accepts connections")
	}
	ws.send(modernCall("2", "echo"))
	want(t, ws, `{"jsonrpc":"2.0","id":2,"error":{"code":-31000,"message":"server is overloaded: try again soon (server is shutting down)","data":{"type":"overloaded","retryAfterMs":1000}}}`)
	close(tl.gate)
	streams := 0
	for range 2 {
		rep := <-answers
		if n := len(rep.messages); rep.status != 200 || n == 0 || !strings.Contains(rep.messages[n-1], `"result"`) {
			t.Errorf("call in flight: %d %s", rep.status, rep.body())
		}
		if rep.stream {
			streams++
		}
	}
	if streams != 1 {
		t.Errorf("%d answers were streams, want 1", streams)
	}
	if got := mustRead(t, ws); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("call in flight: %s", got)
	}
	if _, err := ws.read(); err != closeError(1001) {
		t.Errorf("busy WebSocket: %v, want close 1001", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := http.Get(admin + "/healthz"); err == nil {
		t.Error("the admin listener is still there")
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	status, _ := fetch(t, url)
	return status
}

func fetch(t *testing.T, url string, fields ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// What is not done in time is cut, and said.
func TestDrainTimeout(t *testing.T) {
	for name, stop := range map[string]func(r *runningServer) error{
		"DrainTimeout":     func(r *runningServer) error { return r.stop() },
		"no limit":         func(r *runningServer) error { return r.stop() },
		"Shutdown context": func(r *runningServer) error { return r.Shutdown(ended()) },
		"second Shutdown": func(r *runningServer) error {
			go func() { _ = r.Shutdown(context.Background()) }()
			for !r.Info().Draining {
				runtime.Gosched()
			}
			return r.Shutdown(ended())
		},
	} {
		t.Run(name, func(t *testing.T) {
			tl := newTools()
			limit, outcome, tool := time.Minute, "canceled", "hold"
			switch name {
			case "no limit":
				tool = "hold_for_ever" // the drain has one
				fallthrough
			case "DrainTimeout":
				limit, outcome = 500*time.Millisecond, "error" // answered, while there is time
			}
			late := make(chan RequestEvent, 10)
			r := serve(t, &Server{MCP: tl.mcp, DrainTimeout: limit, Hooks: Hooks{RequestError: func(e RequestEvent) { late <- e }}})
			p := r.dial()
			p.send(modernCall("1", tool))
			<-tl.running
			if err := stop(r); err == nil || !strings.Contains(err.Error(), "draining: ") {
				t.Errorf("end: %v, want an error of draining", err)
			}
			if outcome == "error" {
				if got := mustRead(t, p); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"error":{"code":-31000,`) || !strings.Contains(got, "shutting down") {
					t.Errorf("the call was answered %s", got)
				}
			}
			if _, err := p.read(); err == nil {
				t.Error("connection is still open")
			}
			if e := <-late; e.Outcome != outcome {
				t.Errorf("call ended as %s", e.Outcome)
			}
			close(tl.gate) // a tool that outlives its server harms nobody
		})
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestLateHooks(t *testing.T) {
	called := make(chan string, 10)
	r := newHookRunner(Hooks{
		SessionError:     func(error) { called <- "session error"; panic("hook") },
		RequestProcessed: func(e RequestEvent) { called <- e.Method },
	}, quiet)
	r.sessionError(nil)
	r.request(RequestEvent{Method: "m"}, false)
	r.request(RequestEvent{}, true) // no such hook
	r.sessionCreated(nil)
	r.close()
	if a, b := <-called, <-called; a != "session error" || b != "m" {
		t.Errorf("called %s, %s", a, b)
	}
	r.request(RequestEvent{}, false)
	if n := r.lost.Load(); n != 1 || len(called) != 0 {
		t.Errorf("after close: lost %d, %d called; want 1, 0", n, len(called))
	}
}

// A hook that is stuck costs events, and delays the end for hookGrace only.
func TestSlowHook(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, hookQueue+2)
	r := newHookRunner(Hooks{SessionError: func(error) { started <- struct{}{}; <-release }}, quiet)
	r.sessionError(nil)
	<-started
	for range hookQueue + 1 {
		r.sessionError(nil)
	}
	if n := r.lost.Load(); n != 1 {
		t.Errorf("lost %d, want 1", n)
	}
	r.close()
	close(release)
	<-r.over
}

func TestHooksInfoStats(t *testing.T) {
	ok, failed := make(chan RequestEvent, 10), make(chan RequestEvent, 10)
	created, destroyed := make(chan string, 10), make(chan string, 10)
	var info Info
	r := serve(t, &Server{
		MCP: newTools().mcp, Vendor: "v", Description: "d", Admin: "127.0.0.1:0", Pprof: true,
		Listeners: []Listener{{Addr: "127.0.0.1:0"}, {Addr: "localhost:0", HTTPOnly: true}, {Addr: "0.0.0.0:0", WebSocketOnly: true}}, Insecure: true,
		Hooks: Hooks{
			Started:          func(i Info) { info = i },
			RequestProcessed: func(e RequestEvent) { ok <- e },
			RequestError:     func(e RequestEvent) { failed <- e },
			SessionCreated:   func(s *session.Session) { created <- s.ID() },
			SessionDestroyed: func(s *session.Session, why session.Reason) { destroyed <- s.ID() + why.String() },
		},
	})
	if info.Name != "test" || !info.Running || info.Draining || len(info.Addrs) != 3 || info.Vendor != "v" || len(info.ProtocolVersions) != 5 || info.Capabilities.Tools == nil {
		t.Errorf("Info: %+v", info)
	}
	urls := r.Endpoints()
	if len(urls) != 4 || !strings.HasPrefix(urls[1], "http://127.0.0.1:") || !strings.HasPrefix(urls[3], "ws://127.0.0.1:") || !strings.HasSuffix(urls[0], "/mcp") {
		t.Errorf("Endpoints: %q", urls)
	}
	if r.ConnectionLimit() <= 0 {
		t.Errorf("ConnectionLimit = %d", r.ConnectionLimit())
	}
	id := r.initialize(mcp.Version20251125)
	if got := <-created; got != id {
		t.Errorf("created %s, want %s", got, id)
	}
	<-ok
	r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"no/such"}`, "Mcp-Session-Id: "+id)
	if e := <-failed; e.Method != "no/such" || e.Outcome != "error" || e.Version != mcp.Version20251125 || e.Remote == "" {
		t.Errorf("event: %+v", e)
	}
	r.do("POST", modernCall("1", "slow"), modernFields("tools/call", "slow")...)
	if e := <-failed; e.Outcome != "timeout" || e.Took < 30*time.Millisecond || e.Version != mcp.Version20260728 {
		t.Errorf("event: %+v", e)
	}
	r.do("POST", modernCall("1", "echo"), "Mcp-Session-Id: none")
	if e := <-failed; e.Outcome != "error" {
		t.Errorf("event: %+v", e)
	}
	st := r.Stats()
	if m := st.Messages; m.Processed != 4 || m.Errors != 2 || m.Timeouts != 1 || m.Notifications != 1 || m.Sent != 4 {
		t.Errorf("messages: %+v", m)
	}
	if st.Latency.Count != 4 || st.Connections.Active == 0 || st.Loops != 1 || st.Goroutines == 0 || st.Memory.Sys == 0 {
		t.Errorf("stats: %+v", st)
	}
	admin := "http://" + r.AdminAddr()
	for _, tt := range []struct {
		path   string
		fields []string
		status int
	}{
		{"/healthz", nil, 200}, {"/readyz", nil, 200}, {"/stats", nil, 200}, {"/debug/pprof/", nil, 200}, {"/none", nil, 404},
		{"/stats", []string{"Host: localhost:1"}, 200}, {"/stats", []string{"Host: [::1]"}, 200},
		{"/stats", []string{"Host: evil.example.com"}, 403}, {"/stats", []string{"Host: 127.0.0.1.evil.example.com"}, 403}, {"/stats", []string{"Host: 10.0.0.1"}, 403},
		{"/stats", []string{"Origin: " + admin}, 200}, {"/stats", []string{"Origin: http://evil.example.com"}, 403}, {"/stats", []string{"Origin: null"}, 403},
	} {
		if status, body := fetch(t, admin+tt.path, tt.fields...); status != tt.status {
			t.Errorf("%s %v: %d, want %d: %s", tt.path, tt.fields, status, tt.status, body)
		}
	}
	_, body := fetch(t, admin+"/stats")
	var decoded struct {
		Info     Info
		Messages MessageStats
	}
	if err := json.Unmarshal([]byte(body), &decoded); err != nil || decoded.Info.Name != "test" || decoded.Messages.Processed != 4 {
		t.Errorf("/stats: %v %s", err, body)
	}
	_ = r.stop()
	if got := <-destroyed; got != id+"shutdown" {
		t.Errorf("destroyed %s", got)
	}
	if i := r.Info(); i.Running || r.Stats().Uptime != 0 || r.Addrs() != nil || r.AdminAddr() != "" || r.ConnectionLimit() != 0 {
		t.Errorf("after the end: %+v", i)
	}
}

func TestGreeting(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, Greeting: true})
	p := r.dial()
	want(t, p, `{"jsonrpc":"2.0","id":"millrace-greeting","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{"listChanged":true}},"serverInfo":{"name":"test","version":"1"}}}`)
	p.send(`{"jsonrpc":"2.0","id":"millrace-greeting","error":{"code":-32601,"message":"no"}}`)
	handshake(t, p, mcp.Version20251125)
}

func TestStdioEnds(t *testing.T) {
	t.Run("input ends", func(t *testing.T) {
		tl := newTools()
		var stopped bool
		p := serveStdio(t, &Server{MCP: tl.mcp, Hooks: Hooks{Stopped: func(error) { stopped = true }}})
		p.send(modernCall("1", "hold"))
		<-tl.running
		p.in.Close()
		close(tl.gate)
		if got := mustRead(t, p); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
			t.Errorf("call in flight: %s", got)
		}
		if p.close(); p.err != nil || !stopped {
			t.Errorf("RunStdio: %v, stopped %v", p.err, stopped)
		}
	})
	t.Run("Shutdown", func(t *testing.T) {
		tl := newTools()
		srv := &Server{MCP: tl.mcp}
		p := serveStdio(t, srv)
		p.send(modernCall("1", "wait"))
		<-tl.running
		if i := srv.Info(); !i.Running || i.Addrs != nil || srv.Stats().Loops != 0 || srv.ConnectionLimit() != 0 {
			t.Errorf("Info: %+v", i)
		}
		if err := srv.Shutdown(ended()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-tl.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("context: %v", err)
		}
	})
	t.Run("input fails", func(t *testing.T) {
		broken := errors.New("broken")
		in, w := io.Pipe()
		w.CloseWithError(broken)
		if err := (&Server{MCP: newTools().mcp, Logger: quiet}).RunStdio(t.Context(), in, io.Discard); !errors.Is(err, broken) {
			t.Errorf("RunStdio: %v", err)
		}
	})
}

func TestBind(t *testing.T) {
	secured := &Server{Auth: fakeAuth{make(chan auth.Credentials, 1)}}
	for _, tt := range []struct {
		addr     string
		loopback bool
	}{
		{"127.0.0.1:80", true}, {"127.1.2.3:80", true}, {"[::1]:80", true}, {"localhost:80", true}, {"LOCALHOST:http", true},
		{"[::ffff:127.0.0.1]:80", true}, {":80", false}, {"0.0.0.0:80", false}, {"[::]:80", false}, {"10.0.0.1:80", false}, {"example.com:80", false},
	} {
		if got, err := isLoopback(tt.addr); got != tt.loopback || err != nil {
			t.Errorf("isLoopback(%s) = %v, %v, want %v", tt.addr, got, err, tt.loopback)
		}
		if _, err := (&Server{}).checkBind(tt.addr); (err == nil) != tt.loopback {
			t.Errorf("checkBind(%s) = %v", tt.addr, err)
		}
		if _, err := secured.checkBind(tt.addr); err != nil {
			t.Errorf("checkBind(%s) with authentication = %v", tt.addr, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	s := &Server{}
	if l := s.listeners(); len(l) != 1 || l[0].Addr != "127.0.0.1:8080" {
		t.Errorf("listeners: %+v", l)
	}
	if n := s.loops(); n != max(1, runtime.NumCPU()/2) {
		t.Errorf("loops: %d", n)
	}
	if err := ListenAndServe("127.0.0.1:none", newTools().mcp); err == nil {
		t.Error("ListenAndServe on no port succeeded")
	}
}

// A WebSocket that is asked for when the server is on its way out is refused.
func TestUpgradeWhileDraining(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	closed := make(chan uint16, 1)
	l := g.link(closed)
	stateOf(l).upgraded = false
	_ = stateOf(l).depart(64)
	g.Drain(l)
	if stateOf(l).upgrade(nil) {
		t.Error("upgraded")
	}
	stateOf(l).arrive()
	if len(closed) != 0 {
		t.Error("the connection was cut under its answer")
	}
}
