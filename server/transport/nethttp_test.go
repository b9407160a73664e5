package transport

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
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
