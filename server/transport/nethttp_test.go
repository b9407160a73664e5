package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

// netAddr is where a request came in.
type netAddr string

func (netAddr) Network() string  { return "tcp" }
func (a netAddr) String() string { return string(a) }

// toNet sends raw bytes of a request to an HTTPHandler.
func toNet(t *testing.T, h http.Handler, raw, local string) *http.Response {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if local != "" {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, netAddr(local))
	}
	req = req.WithContext(ctx)
	req.RemoteAddr = "192.0.2.1:4000"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

// shape is what is compared of an answer: not what belongs to the connection.
func shape(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Date", "Connection", "Transfer-Encoding", "Content-Length"} {
		r.Header.Del(name)
	}
	s := fmt.Sprintf("%d\n", r.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		s += fmt.Sprintf("%s: %q\n", name, r.Header[name])
	}
	return s + string(body)
}

// TestNetHTTPAnswersAlike: what a Handler on a loop answers is what an
// HTTPHandler answers.
func TestNetHTTPAnswersAlike(t *testing.T) {
	type respond = func(Stream)
	request := func(method, body string, fields ...string) string {
		return string(looptest.Request(method, "/mcp", body, fields...))
	}
	with := func(r Response) respond { return func(s Stream) { s.Respond(r) } }
	withBody := func(r Response) respond {
		return func(s Stream) {
			r.Body = buffer.Copy([]byte(pong))
			s.Respond(r)
		}
	}
	say := func(events ...Event) respond {
		return func(s Stream) {
			for _, e := range events {
				s.Send(e)
			}
		}
	}
	all := func(steps ...respond) respond {
		return func(s Stream) {
			for _, f := range steps {
				f(s)
			}
		}
	}
	plain := post(jsonType)
	for _, tt := range []struct {
		name, request string
		do            respond
	}{
		{"foreign host", "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n", nil},
		{"foreign origin", post(jsonType, "Origin: http://evil.example"), nil},
		{"empty origin", post(jsonType, "Origin:"), nil},
		{"listed origin", post(jsonType, "Origin: https://app.example"), nil},
		{"own origin", post(jsonType, "Origin: http://localhost"), nil},
		{"cross-site without origin", request("GET", "", "Sec-Fetch-Site: cross-site"), nil},
		{"method", request("PUT", "x"), nil},
		{"head", request("HEAD", ""), nil},
		{"no content type", post(), nil},
		{"text", post("Content-Type: text/plain"), nil},
		{"accepts nothing of ours", post(jsonType, "Accept: text/html"), nil},
		{"get of json", request("GET", "", "Accept: application/json"), nil},
		{"options", request("OPTIONS", ""), nil},
		{"preflight", request("OPTIONS", "", "Origin: https://app.example", "Access-Control-Request-Method: POST"), nil},
		{"delete", request("DELETE", ""), nil},
		{"ping", plain, nil},
		{"only events", post(jsonType, "Accept: text/event-stream"), nil},
		{"accepted", plain, with(Response{Status: 202})},
		{"no content", plain, with(Response{Status: 204})},
		{"session", plain, withBody(Response{Status: 200, SessionID: "s1"})},
		{"session on an event stream", post(jsonType, "Accept: text/event-stream"), withBody(Response{Status: 200, SessionID: "s1"})},
		{"error is no event stream", post(jsonType, "Accept: text/event-stream"), withBody(Response{Status: 400})},
		{"overloaded", plain, withBody(Response{Status: 503, RetryAfter: 2})},
		{"unauthorized", plain, withBody(Response{Status: 401, Challenge: "Bearer"})},
		{"not allowed", plain, withBody(Response{Status: 405, Allow: "POST"})},
		{"line ends", plain, func(s Stream) { s.Respond(ok("{\n}")) }},
		{"notify", plain, all(say(Event{Data: []byte(note)}), withBody(Response{Status: 200, EventID: "e1"}))},
		{"line ends of an event", plain, all(say(Event{Data: []byte("{\r\n}")}), with(Response{Status: 202}))},
		{"resumable", plain, all(say(Event{ID: "e0", Retry: time.Second}, Event{ID: "e1", Data: []byte(note), Keep: true}), Stream.End)},
		{"json only", post(jsonType, "Accept: application/json"), all(say(Event{ID: "e0"}), withBody(Response{Status: 200, EventID: "e1"}))},
		{"held", plain, all(Stream.Hold, say(Event{Data: []byte(note)}), withBody(Response{Status: 200}))},
		{"end of nothing", plain, Stream.End},
		{"end of nothing, json only", post(jsonType, "Accept: application/json"), Stream.End},
		{"get", request("GET", ""), all(func(s Stream) { s.Open("s1"); s.Open("s2") }, say(Event{Data: []byte(note)}), Stream.End)},
		{"twice", plain, all(withBody(Response{Status: 200}), withBody(Response{Status: 500}), Stream.End, say(Event{Data: []byte(note)}))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Listeners: []Listener{{Loopback: true, HTTP: true}}, AllowedOrigins: []string{"https://app.example"}}
			for _, away := range []bool{false, true} {
				answered := func(r *Request, s Stream) {
					if tt.do == nil {
						answer(r, s)
						return
					}
					tt.do(s)
				}
				loopUp, netUp := &script{}, &script{}
				g := newRig(cfg, loopUp)
				run := func(r *Request, s Stream) {
					if !away {
						answered(r, s)
						return
					}
					r, s = r.Detach(true)
					on(func() {
						answered(r, s)
						r.Release()
					})
				}
				loopUp.dispatch, netUp.dispatch = run, run
				p := g.open()
				p.Feed([]byte(tt.request))
				g.Deliver()
				method, _, _ := strings.Cut(tt.request, " ")
				resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(p.Output())), &http.Request{Method: method})
				if err != nil {
					t.Fatal(err)
				}
				want := shape(t, resp)
				got := shape(t, toNet(t, NewHTTPHandler(cfg, netUp), tt.request, ""))
				if method == "HEAD" {
					got, _, _ = strings.Cut(got, "{") // net/http's server drops it, a recorder does not
				}
				if got != want {
					t.Errorf("away %v:\n got %s\nwant %s", away, got, want)
				}
			}
		})
	}
}

func TestNetHTTPRefusals(t *testing.T) {
	request := func(method, body string, fields ...string) string {
		return string(looptest.Request(method, "/mcp", body, fields...))
	}
	long := `"` + strings.Repeat("x", 100) + `"`
	for _, tt := range []struct {
		name, request string
		status        int
		want          string
	}{
		{"long body", request("POST", long, jsonType), 413, "body is longer than this server accepts"},
		{"long body in chunks", strings.Replace(string(looptest.Chunked("/mcp", long[:50], long[50:])), "\r\n\r\n", "\r\n"+jsonType+"\r\n\r\n", 1), 413, "body is longer than this server accepts"},
		{"body that breaks off", strings.TrimSuffix(request("POST", ping, jsonType), "}"), 400, "the body could not be read"},
		{"two sessions", post(jsonType, "Mcp-Session-Id: a", "mcp-session-id: b"), 400, "header field Mcp-Session-Id is repeated"},
		{"two parameters", post(jsonType, "Mcp-Param-A: a", "Mcp-Param-A: a"), 400, "header field Mcp-Param-A is repeated"},
		{"two credentials", post(jsonType, "Authorization: a", "Authorization: b"), 400, "header field Authorization is repeated"},
		{"websocket", string(looptest.Upgrade("/mcp")), 501, "this endpoint speaks HTTP only, not WebSocket: use POST"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &script{}
			resp := toNet(t, NewHTTPHandler(Config{MaxBody: 100}, d), tt.request, "127.0.0.1:80")
			want := `{"jsonrpc":"2.0","error":{"code":-32600,"message":"` + tt.want + `"}}`
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || string(body) != want {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, tt.status, want)
			}
			if e := d.take(); len(e) != 0 && !slices.Equal(e, []string{"opened http 192.0.2.1:4000", "closed http"}) {
				t.Errorf("events %q", e)
			}
		})
	}
}

// Without Listeners the address that a request came in on decides whether Host
// must be a loopback name.
func TestNetHTTPLoopback(t *testing.T) {
	foreign := strings.Replace(post(jsonType), "Host: localhost", "Host: example.com", 1)
	for local, want := range map[string]int{
		"127.0.0.1:80": 403, "[::1]:80": 403, "[::ffff:127.0.0.1]:80": 403,
		"192.0.2.9:80": 200, "[2001:db8::1]:80": 200, "/run/mcp.sock": 200, "": 200,
	} {
		if got := toNet(t, NewHTTPHandler(Config{}, &script{}), foreign, local).StatusCode; got != want {
			t.Errorf("on %q: %d, want %d", local, got, want)
		}
		if got := toNet(t, NewHTTPHandler(Config{}, &script{}), post(jsonType), local).StatusCode; got != 200 {
			t.Errorf("localhost on %q: %d, want 200", local, got)
		}
	}
	allowed := NewHTTPHandler(Config{AllowedHosts: []string{"example.com"}}, &script{})
	if got := toNet(t, allowed, foreign, "127.0.0.1:80").StatusCode; got != 200 {
		t.Errorf("an allowed host: %d, want 200", got)
	}
}

func TestNetHTTPHeader(t *testing.T) {
	raw := post(jsonType, "Authorization: Bearer t", "User-Agent: ua", "Accept-Language: de", "mcp-session-id: s",
		"Last-Event-ID: e", "MCP-Protocol-Version: v", "MCP-METHOD: m", "Mcp-Name: n", "Mcp-Param-Region: eu", "mcp-param-EMPTY:",
		"X-Forwarded-For: 203.0.113.7")
	d := &script{dispatch: func(r *Request, _ Stream) {
		detached, s := r.Detach(true)
		defer detached.Release()
		for _, h := range []*Header{r.Header, detached.Header} {
			got := fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%s", h.Authorization, h.UserAgent, h.AcceptLanguage, h.SessionID,
				h.ProtocolVersion, h.Method, h.Name, h.LastEventID)
			if want := "Bearer t|ua|de|s|v|m|n|e"; got != want || h.Origin != nil {
				t.Errorf("header %q, want %q", got, want)
			}
			for name, want := range map[string]string{"region": "eu", "REGION": "eu", "Empty": ""} {
				if v, ok := h.Params.Param(name); !ok || string(v) != want {
					t.Errorf("Param(%q) = %q, %v, want %q", name, v, ok, want)
				}
			}
			if v, ok := h.Params.Param("other"); ok {
				t.Errorf("Param(other) = %q, want none", v)
			}
		}
		if r.Link.Remote != "203.0.113.7" || string(detached.Body) != ping {
			t.Errorf("from %s: %s", r.Link.Remote, detached.Body)
		}
		s.Respond(ok(pong))
	}}
	cfg := Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	if got := toNet(t, NewHTTPHandler(cfg, d), raw, "").StatusCode; got != 200 {
		t.Errorf("status %d", got)
	}
	wantEvents(t, d, "opened http 203.0.113.7", "message "+ping, "closed http")
}

// netScript is a Dispatcher for requests that come at once.
type netScript struct {
	arrived chan Stream   // of every request, detached
	links   chan *Link    // of every request, before arrived
	closed  chan struct{} // gets a value for every Closed
	drained chan *Link
}

func newNetScript() *netScript {
	return &netScript{make(chan Stream, 16), make(chan *Link, 16), make(chan struct{}, 16), make(chan *Link, 16)}
}

func (d *netScript) Opened(*Link)        {}
func (d *netScript) Drain(l *Link)       { d.drained <- l }
func (d *netScript) Closed(*Link, error) { d.closed <- struct{}{} }

func (d *netScript) Dispatch(r *Request, _ Stream) {
	r, s := r.Detach(false)
	r.Release()
	d.links <- r.Link
	d.arrived <- s
}

// serveNet serves an HTTPHandler over sockets: HTTP/1.1 and HTTP/2.
func serveNet(t *testing.T, cfg Config, f func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript)) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			d := newNetScript()
			h := NewHTTPHandler(cfg, d)
			srv := httptest.NewUnstartedServer(h)
			if srv.EnableHTTP2 = version == "HTTP/2.0"; srv.EnableHTTP2 {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			f(t, srv, h, d)
		})
	}
}

// postNet sends a POST and returns when the head of the answer is there.
func postNet(ctx context.Context, srv *httptest.Server) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", srv.URL, strings.NewReader(ping))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return srv.Client().Do(req)
}

func TestNetHTTPStream(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, _ *HTTPHandler, d *netScript) {
		go func() { (<-d.arrived).Send(Event{ID: "e1", Data: []byte(note)}) }()
		resp, err := postNet(t.Context(), srv)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		in := bufio.NewScanner(resp.Body)
		for _, want := range []string{"id: e1", "data: " + note, ""} { // they are here before there is an answer
			if in.Scan(); in.Text() != want {
				t.Errorf("line %q, want %q", in.Text(), want)
			}
		}
		if resp.Proto != t.Name()[strings.Index(t.Name(), "/")+1:] {
			t.Errorf("over %s", resp.Proto)
		}
	})
}

// The client that closes its response stream is told of as a closed Link, and
// what is said to it afterwards is lost.
func TestNetHTTPDisconnect(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			resp, err := postNet(ctx, srv)
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		s := <-d.arrived
		cancel()
		<-d.closed
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("client: %v", err)
		}
		if s.Notify([]byte(note)) {
			t.Error("Notify after a disconnect = true, want false")
		}
		s.Respond(ok(pong))
		s.End()
		h.Drain()
		if err := h.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

// A silent POST becomes an event stream, and shows life from then on.
func TestNetHTTPComments(t *testing.T) {
	cfg := Config{SilentFor: time.Millisecond, CommentEvery: time.Millisecond}
	serveNet(t, cfg, func(t *testing.T, srv *httptest.Server, _ *HTTPHandler, d *netScript) {
		resp, err := postNet(t.Context(), srv)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		in := bufio.NewReader(resp.Body)
		for range 3 {
			if line, err := in.ReadString('\n'); line != ": \n" || err != nil {
				t.Fatalf("line %q, %v, want a comment", line, err)
			}
			in.ReadString('\n')
		}
		(<-d.arrived).Respond(ok(pong))
		rest, err := io.ReadAll(in)
		if !strings.HasSuffix(string(rest), "data: "+pong+"\n\n") || err != nil {
			t.Errorf("the stream ends with %q, %v", rest, err)
		}
	})
}

// What is said when a POST has been silent for long comes first, and once.
func TestNetHTTPOnSilence(t *testing.T) {
	w := httptest.NewRecorder()
	s := newNetStream(NewHTTPHandler(Config{}, &script{}), w, httptest.NewRequest("POST", "/", http.NoBody))
	s.OnSilence(func() { s.Send(Event{ID: "e0", Keep: true}) })
	s.alive()
	s.flush()
	s.alive()
	s.flush()
	s.Respond(ok(pong))
	s.serve(t.Context())
	s.close()
	s.alive()
	if got, want := w.Body.String(), "id: e0\ndata: \n\n: \n\ndata: "+pong+"\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// No comment makes an event stream of an answer that will carry a session id, or
// of one for a client that takes none.
func TestNetHTTPStaysSilent(t *testing.T) {
	for name, field := range map[string]string{"held": "*/*", "json only": "application/json"} {
		r := httptest.NewRequest("POST", "/", http.NoBody)
		r.Header.Set("Accept", field)
		w := httptest.NewRecorder()
		s := newNetStream(NewHTTPHandler(Config{}, &script{}), w, r)
		if name == "held" {
			s.Hold()
		}
		s.alive()
		if s.flush() {
			t.Errorf("%s: flush reports the end", name)
		}
		answer := ok(pong)
		answer.SessionID = "s1"
		s.Respond(answer)
		s.serve(t.Context())
		s.close()
		if h := w.Result().Header; h.Get("Content-Type") != "application/json" || h.Get("Mcp-Session-Id") != "s1" || w.Body.String() != pong {
			t.Errorf("%s: %v %s", name, h, w.Body)
		}
	}
}

func TestNetHTTPDrain(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript) {
		var first sync.WaitGroup
		first.Go(func() {
			resp, err := postNet(t.Context(), srv)
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("the request in flight: %v, %v", resp, err)
				return
			}
			resp.Body.Close()
		})
		s, l := <-d.arrived, <-d.links
		if open, total := h.Stats(); open != 1 || total != 1 {
			t.Errorf("%d of %d open, want 1 of 1", open, total)
		}
		h.Drain()
		h.Drain()
		if got := <-d.drained; got != l || len(d.drained) != 0 {
			t.Errorf("drained %v and %d more, want %v once", got, len(d.drained), l)
		}
		resp, err := postNet(t.Context(), srv)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("a late request: %d, %v", resp.StatusCode, resp.Header)
		}
		s.Respond(ok(pong))
		if err := h.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		first.Wait()
	})
}

// What a drain does not wait for is cut: the client must not take it for an
// answer.
func TestNetHTTPCut(t *testing.T) {
	serveNet(t, Config{}, func(t *testing.T, srv *httptest.Server, h *HTTPHandler, d *netScript) {
		done := make(chan error, 1)
		go func() {
			resp, err := postNet(t.Context(), srv)
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		<-d.arrived
		h.Drain()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Wait(ctx); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "1 requests were cut") {
			t.Errorf("Wait: %v", err)
		}
		if err := <-done; err == nil {
			t.Error("a request that was cut got an answer")
		}
		<-d.closed
	})
}

// A client that does not read loses what may be lost, and nothing else.
func TestNetHTTPSlowReader(t *testing.T) {
	h := NewHTTPHandler(Config{}, &script{})
	w := httptest.NewRecorder()
	s := newNetStream(h, w, httptest.NewRequest("POST", "/", http.NoBody))
	big := []byte(`"` + strings.Repeat("x", netQueue) + `"`)
	if !s.Notify(big) {
		t.Error("the first event = false: an empty queue takes any")
	}
	if s.Notify([]byte(note)) {
		t.Error("an event behind a full queue = true, want it lost")
	}
	if !s.Send(Event{Data: []byte(note), Keep: true}) {
		t.Error("an event to keep = false")
	}
	s.Respond(ok(pong))
	s.serve(t.Context())
	s.close()
	if got := w.Body.String(); got != "data: "+string(big)+"\n\ndata: "+note+"\n\ndata: "+pong+"\n\n" {
		t.Errorf("%d bytes", len(got))
	}
}
