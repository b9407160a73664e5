package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/loop/looptest"
	"millrace/pool/buffer"
)

// post is a POST of ping with field lines instead of the usual ones.
func post(fields ...string) string {
	return string(looptest.Request("POST", "/mcp", ping, fields...))
}

const (
	jsonType   = "Content-Type: application/json"
	acceptBoth = "Accept: application/json, text/event-stream"
)

// complaint is a whole refusal: its status line, its body and the field lines
// behind Content-Length.
func complaint(status, message string, fields ...string) string {
	body := `{"jsonrpc":"2.0","error":{"code":-32600,"message":"` + message + `"}}`
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", status, len(body))
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n" + body
}

const (
	pongAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n" + pong
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\n" +
		"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
	pongEvent = "2c\r\ndata: " + pong + "\n\n\r\n"
	noteEvent = "3b\r\ndata: " + note + "\n\n\r\n"
	comment   = "4\r\n: \n\n\r\n"
	lastChunk = "0\r\n\r\n"
)

func event(msg string) string { return fmt.Sprintf("%x\r\ndata: %s\n\n\r\n", len(msg)+8, msg) }

func TestRefusals(t *testing.T) {
	const (
		hostReason   = "Host is not allowed here: name this server by its loopback name, or list the host in --allowed-hosts"
		originReason = "Origin is not allowed here: list it in --allowed-origins"
		methodReason = "method not allowed: use POST, GET, DELETE or OPTIONS"
		typeReason   = "Content-Type must be application/json"
		acceptReason = "Accept must include application/json or text/event-stream"
	)
	tests := []struct {
		name, request, want string
	}{
		{"foreign host", "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n", complaint("403 Forbidden", hostReason)},
		{"no host", "POST /mcp HTTP/1.0\r\n\r\n", complaint("403 Forbidden", hostReason, "Connection: close")},
		{"foreign origin", post(jsonType, "Origin: http://evil.example"), complaint("403 Forbidden", originReason)},
		{"empty origin", post(jsonType, "Origin:"), complaint("403 Forbidden", originReason)},
		{"null origin", post(jsonType, "Origin: null"), complaint("403 Forbidden", originReason)},
		{"foreign origin, preflight", string(looptest.Request("OPTIONS", "/mcp", "", "Origin: http://evil.example", "Access-Control-Request-Method: POST")), complaint("403 Forbidden", originReason)},
		{"foreign origin, upgrade", string(looptest.Upgrade("/mcp", "Origin: http://evil.example")), complaint("403 Forbidden", originReason)},
		{"cross-site without origin", string(looptest.Request("GET", "/mcp", "", "Sec-Fetch-Site: cross-site")), complaint("403 Forbidden", "requests from pages of other sites are not allowed")},
		{"other path", string(looptest.Request("POST", "/", ping, jsonType)), complaint("404 Not Found", "not found: the MCP endpoint is /mcp")},
		{"path with slash", string(looptest.Request("POST", "/mcp/", ping, jsonType)), complaint("404 Not Found", "not found: the MCP endpoint is /mcp")},
		{"asterisk", string(looptest.Request("OPTIONS", "*", "")), complaint("404 Not Found", "not found: the MCP endpoint is /mcp")},
		{"method", string(looptest.Request("PUT", "/mcp", "x")), complaint("405 Method Not Allowed", methodReason, "Allow: POST, GET, DELETE, OPTIONS")},
		{"unknown method", string(looptest.Request("post", "/mcp", "x")), complaint("405 Method Not Allowed", methodReason, "Allow: POST, GET, DELETE, OPTIONS")},
		{"no content type", post(), complaint("415 Unsupported Media Type", typeReason)},
		{"text", post("Content-Type: text/plain"), complaint("415 Unsupported Media Type", typeReason)},
		{"json lookalike", post("Content-Type: application/json-seq"), complaint("415 Unsupported Media Type", typeReason)},
		{"accept nothing of ours", post(jsonType, "Accept: text/html"), complaint("406 Not Acceptable", acceptReason)},
		{"accept with zero weights", post(jsonType, "Accept: */*, application/json;q=0, text/event-stream; q=0.000"), complaint("406 Not Acceptable", acceptReason)},
		{"get of json", string(looptest.Request("GET", "/mcp", "", "Accept: application/json")), complaint("406 Not Acceptable", "Accept must include text/event-stream")},
		{"close is kept", post("Connection: close"), complaint("415 Unsupported Media Type", typeReason, "Connection: close")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &script{}
			got := newRig(Config{Listeners: []Listener{{Loopback: true, HTTP: true, WebSocket: true}}}, d).exchange(tt.request)
			if got != tt.want {
				t.Errorf("answer\n got %q\nwant %q", got, tt.want)
			}
			wantEvents(t, d, "opened http 192.0.2.1:4000") // nothing reached the dispatcher
		})
	}
}

func TestRefusedHeadHasNoBody(t *testing.T) {
	got := newRig(Config{}, &script{}).exchange(string(looptest.Request("HEAD", "/mcp", "")))
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 405 ") || body != "" {
		t.Errorf("HEAD got %q, want a 405 without body", got)
	}
}

func TestAccepted(t *testing.T) {
	tests := []struct {
		name, request, want, event string
	}{
		{"post", post(jsonType, acceptBoth), pongAnswer, "message " + ping},
		{"no accept", post(jsonType), pongAnswer, "message " + ping},
		{"content type with parameter", post("Content-Type: Application/JSON ; charset=utf-8"), pongAnswer, "message " + ping},
		{"only json", post(jsonType, "Accept: application/json"), pongAnswer, "message " + ping},
		{"only events", post(jsonType, "Accept: text/event-stream"), streamHead + pongEvent + lastChunk, "message " + ping},
		{"query is ignored", string(looptest.Request("POST", "/mcp?a=b", ping, jsonType)), pongAnswer, "message " + ping},
		{"same origin", post(jsonType, "Origin: http://localhost"), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n" +
			"Access-Control-Allow-Origin: http://localhost\r\nAccess-Control-Expose-Headers: Mcp-Session-Id, Retry-After, WWW-Authenticate\r\nVary: Origin\r\nX-Content-Type-Options: nosniff\r\n\r\n" + pong, "message " + ping},
		{"same-site fetch", post(jsonType, "Sec-Fetch-Site: same-origin"), pongAnswer, "message " + ping},
		{"delete", string(looptest.Request("DELETE", "/mcp", "")), pongAnswer, "delete "},
		{"close", post(jsonType, "Connection: close"), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\nConnection: close\r\n\r\n" + pong, "message " + ping},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &script{}
			if got := newRig(Config{}, d).exchange(tt.request); got != tt.want {
				t.Errorf("answer\n got %q\nwant %q", got, tt.want)
			}
			wantEvents(t, d, "opened http 192.0.2.1:4000", tt.event)
		})
	}
}

func TestAnswerFields(t *testing.T) {
	tests := []struct {
		name string
		r    Response
		want string
	}{
		{"accepted", Response{Status: 202}, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"},
		{"no content", Response{Status: 204}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"session", Response{Status: 200, SessionID: "s1"}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nMcp-Session-Id: s1\r\n\r\n"},
		{"overloaded", Response{Status: 503, RetryAfter: 2}, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 2\r\n\r\n"},
		{"unauthorized", Response{Status: 401, Challenge: "Bearer"}, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer\r\n\r\n"},
		{"not allowed", Response{Status: 405, Allow: "POST"}, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nAllow: POST\r\n\r\n"},
		{"bad request", Response{Status: 400}, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"},
		{"no new line", Response{Status: 200, SessionID: "a\r\nb"}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nMcp-Session-Id: a  b\r\n\r\n"},
	}
	for _, tt := range tests {
		d := &script{dispatch: func(_ *Request, s Stream) { s.Respond(tt.r) }}
		if got := newRig(Config{}, d).exchange(post(jsonType)); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// An error for a client that takes event streams only keeps its status.
func TestErrorStatusIsNotAStream(t *testing.T) {
	d := &script{dispatch: func(_ *Request, s Stream) {
		r := ok(pong)
		r.Status = 400
		s.Respond(r)
	}}
	got := newRig(Config{}, d).exchange(post(jsonType, "Accept: text/event-stream"))
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("answer %q, want status 400", got)
	}
}

func TestRawLineEndsAreFlattened(t *testing.T) {
	const pretty = "{\n\t\"a\":\r\n1}"
	for accept, want := range map[string]string{
		"application/json":  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{ \t\"a\":  1}",
		"text/event-stream": streamHead + event("{ \t\"a\":  1}") + lastChunk,
	} {
		d := &script{dispatch: func(_ *Request, s Stream) { s.Respond(ok(pretty)) }}
		if got := newRig(Config{}, d).exchange(post(jsonType, "Accept: "+accept)); got != want {
			t.Errorf("%s:\n got %q\nwant %q", accept, got, want)
		}
	}
}

func TestRespondOnce(t *testing.T) {
	d := &script{dispatch: func(_ *Request, s Stream) {
		s.Respond(ok(pong))
		s.Respond(ok(`"late"`))
		s.End()
		s.Open("")
		if notify(s, []byte(note)) {
			t.Error("Notify after Respond = true, want false")
		}
	}}
	if got := newRig(Config{}, d).exchange(post(jsonType)); got != pongAnswer {
		t.Errorf("got %q, want one answer", got)
	}
}

func TestNotifyNeedsEventStream(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Feed([]byte(post(jsonType, "Accept: application/json")))
	g.Advance(time.Minute)
	wantOutput(t, p, "") // no comment either
	g.worker(func(s Stream) {
		if notify(s, []byte(note)) {
			t.Error("Notify to a client without event streams = true, want false")
		}
		s.Respond(ok(pong))
	})
	wantOutput(t, p, pongAnswer)
}

func TestNotifyInline(t *testing.T) {
	d := &script{dispatch: func(_ *Request, s Stream) {
		if !notify(s, []byte(note)) {
			t.Error("Notify = false, want true")
		}
		s.Respond(ok(pong))
	}}
	g := newRig(Config{}, d)
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	wantOutput(t, p, streamHead+noteEvent+pongEvent+lastChunk)
	if p.Writes != 1 {
		t.Errorf("%d writes, want 1", p.Writes)
	}
}

// The answer and the end of the stream leave in one buffer: some clients reset
// the connection between the two.
func TestLastEventAndEndAreOneBuffer(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	g.worker(func(s Stream) { notify(s, []byte(note)) })
	p.Output()
	p.Writes = 0
	g.worker(func(s Stream) { s.Respond(ok(pong)) })
	wantOutput(t, p, pongEvent+lastChunk)
	if p.Writes != 1 {
		t.Errorf("%d writes, want 1", p.Writes)
	}
}

func TestEndOfSilentStream(t *testing.T) {
	for _, open := range []bool{true, false} {
		g := newAwayRig(Config{})
		p := g.open()
		p.Feed([]byte(post(jsonType)))
		g.worker(func(s Stream) {
			s.End()
			if open {
				s.Open("late")
			}
			s.End()
		})
		wantOutput(t, p, streamHead+lastChunk)
		p.Feed([]byte(post("Content-Type: text/plain"))) // the connection is free again
		if got := output(p); !strings.HasPrefix(got, "HTTP/1.1 415 ") {
			t.Errorf("next request got %q, want 415", got)
		}
	}
}

// A slow reader loses notifications, never the answer or the head.
func TestSlowReaderLosesNotifications(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Window = 0
	p.Feed([]byte(post(jsonType)))
	big := []byte(`"` + strings.Repeat("x", 600<<10) + `"`)
	var sent []bool
	for range 4 {
		g.worker(func(s Stream) { sent = append(sent, notify(s, big)) })
	}
	g.worker(func(s Stream) { s.Respond(ok(pong)) })
	p.Drink(8 << 20)
	out := output(p)
	if !sent[0] || sent[3] {
		t.Errorf("Notify = %v, want the first to be sent and the last lost", sent)
	}
	if !strings.HasPrefix(out, streamHead) || !strings.HasSuffix(out, pongEvent+lastChunk) {
		t.Errorf("stream lost its head or its answer: %d bytes", len(out))
	}
	if got := p.Conn.Dropped(); got == 0 {
		t.Error("no lost notification was counted")
	}
}

// The head of a stream is sent even behind answers that the reader has not
// taken yet: without it nothing that follows could be read.
func TestHeadIsNeverLost(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Window = 0
	big := `"` + strings.Repeat("x", 800<<10) + `"`
	for range 3 {
		p.Feed([]byte(post(jsonType)))
		g.worker(func(s Stream) { s.Respond(ok(big)) })
	}
	p.Feed([]byte(post(jsonType)))
	g.worker(func(s Stream) {
		notify(s, []byte(note))
		if notify(s, []byte(note)) {
			t.Error("second Notify = true, want it lost")
		}
		s.Respond(ok(pong))
	})
	p.Drink(8 << 20)
	if out := output(p); !strings.HasSuffix(out, streamHead+noteEvent+pongEvent+lastChunk) {
		t.Errorf("the stream ends with %q", out[max(0, len(out)-300):])
	}
}

func TestDisconnectWhileWorkerAnswers(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	p.Hangup()
	g.worker(func(s Stream) {
		if notify(s, []byte(note)) {
			t.Error("Notify after a disconnect = true, want false")
		}
		s.Open("")
		s.Respond(ok(pong))
		g.request.Release()
	})
	g.Advance(30 * time.Second)
	wantOutput(t, p, "")
	wantEvents(t, g.up, "opened http 192.0.2.1:4000", "message "+ping, "closed http")
}

// An answer that comes after its exchange has ended must not reach the next one.
func TestLateAnswerIsDropped(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	first := g.stream
	g.worker(func(s Stream) { s.Respond(ok(pong)) })
	wantOutput(t, p, pongAnswer)
	p.Feed([]byte(post(jsonType)))
	on(func() {
		first.Respond(ok(`"late"`))
		notify(first, []byte(note))
	})
	g.Deliver()
	g.Advance(time.Second)
	wantOutput(t, p, "")
	g.worker(func(s Stream) { s.Respond(ok(pong)) })
	wantOutput(t, p, pongAnswer)
}

// Many goroutines share a Stream; what arrives is still a stream of whole
// events, comments among them.
func TestStreamIsShared(t *testing.T) {
	g := newAwayRig(Config{SilentFor: time.Millisecond, CommentEvery: time.Millisecond})
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	const workers, each = 4, 50
	done := make(chan struct{})
	for range workers {
		go func() {
			for range each {
				notify(g.stream, []byte(note))
			}
			done <- struct{}{}
		}()
	}
	for left := workers; left > 0; {
		select {
		case <-done:
			left--
		default:
			g.Advance(100 * time.Millisecond)
		}
	}
	g.worker(func(s Stream) { s.Respond(ok(pong)) })
	all, _, err := looptest.Responses(p.Output())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d answers, %v; want 1", len(all), err)
	}
	if n := strings.Count(all[0].Body, "data: "+note+"\n\n"); n != workers*each {
		t.Errorf("%d notifications, want %d", n, workers*each)
	}
	if !strings.HasSuffix(all[0].Body, "data: "+pong+"\n\n") {
		t.Error("the answer is not the last event")
	}
}

func TestDetachedHeader(t *testing.T) {
	fields := []string{
		jsonType, "Authorization: Bearer t", "Origin: http://localhost", "User-Agent: ua", "Accept-Language: de", "Mcp-Session-Id: s",
		"Last-Event-ID: e", "MCP-Protocol-Version: v", "MCP-METHOD: m", "Mcp-Name: n", "Mcp-Param-Region: eu", "mcp-param-EMPTY:",
		"Mcp-Param: x",
	}
	check := func(h *Header) {
		t.Helper()
		got := fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%s|%s", h.Authorization, h.Origin, h.UserAgent, h.AcceptLanguage,
			h.SessionID, h.ProtocolVersion, h.Method, h.Name, h.LastEventID)
		if want := "Bearer t|http://localhost|ua|de|s|v|m|n|e"; got != want {
			t.Errorf("header %q, want %q", got, want)
		}
		for name, want := range map[string]string{"region": "eu", "REGION": "eu", "Empty": ""} {
			if v, ok := h.Params.Param(name); !ok || string(v) != want {
				t.Errorf("Param(%q) = %q, %v, want %q", name, v, ok, want)
			}
		}
		for _, name := range []string{"other", ""} {
			if v, ok := h.Params.Param(name); ok {
				t.Errorf("Param(%q) = %q, want none", name, v)
			}
		}
	}
	d := &script{}
	g := newRig(Config{}, d)
	d.dispatch = func(r *Request, _ Stream) {
		check(r.Header)
		g.request, g.stream = r.Detach(true)
	}
	p := g.open()
	p.Feed([]byte(post(fields...)))
	p.Feed(make([]byte, 100)) // whatever comes next must not show through
	on(func() {
		check(g.request.Header)
		check(g.request.Header.clone())
		if got := string(g.request.Body); got != ping {
			t.Errorf("body %q, want %q", got, ping)
		}
		g.request.Release()
		if g.request.Body != nil {
			t.Error("a released request still has a body")
		}
	})
}

func TestDetachWithoutHeader(t *testing.T) {
	g := newRig(Config{}, &script{})
	g.up.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(false) }
	g.open().Feed([]byte(post(jsonType)))
	if g.request.Header != nil {
		t.Errorf("header %v, want none", g.request.Header)
	}
	g.up.dispatch = func(r *Request, _ Stream) {
		r.Detach(true)
		if _, ok := r.Header.clone().Params.Param("x"); ok {
			t.Error("a parameter where there is none")
		}
	}
	g.open().Feed([]byte(post(jsonType)))
}

// An answer that will carry a session id must stay a plain one, however long it
// takes and whatever is said before it.
func TestHold(t *testing.T) {
	d := &script{}
	g := newRig(Config{}, d)
	d.dispatch = func(r *Request, _ Stream) { _, g.stream = r.Detach(false) }
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	g.worker(func(s Stream) {
		s.Hold()
		if notify(s, []byte(`{"jsonrpc":"2.0","method":"notifications/progress"}`)) {
			t.Error("Notify was accepted ahead of a held answer")
		}
	})
	g.Advance(time.Minute)
	if got := p.Output(); len(got) > 0 {
		t.Errorf("a held answer began as %q", got)
	}
	g.worker(func(s Stream) { s.Respond(Response{Status: 200, SessionID: "s1", Body: buffer.Copy([]byte(`{}`))}) })
	if got := output(p); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n") || !strings.Contains(got, "\r\nMcp-Session-Id: s1\r\n") {
		t.Errorf("answer %q", got)
	}
}
