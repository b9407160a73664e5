package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
)

// sseRig is a Handler that serves HTTP+SSE and names its sessions s1, s2, ...
func sseRig(cfg Config, d *script) *rig {
	cfg.LegacySSE = true
	h := NewHandler(cfg, d)
	n := 0
	h.newID = func() string { n++; return fmt.Sprintf("s%d", n) }
	return &rig{Memory: loop.NewMemory(loop.Config{}, h), up: d}
}

const sseHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\n" +
	"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

// accepted202 answers a POST whose message was taken.
const accepted202 = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

func sseEvent(name, data string) string {
	e := "event: " + name + "\ndata: " + data + "\n\n"
	return fmt.Sprintf("%x\r\n%s\r\n", len(e), e)
}

func getSSE(fields ...string) []byte { return looptest.Request("GET", "/sse", "", fields...) }

func postSSE(id, msg string) []byte {
	return looptest.Request("POST", "/messages?sessionId="+id, msg, jsonType)
}

// dialSSE opens a session.
func (g *rig) dialSSE(t *testing.T, id string) *loop.Pipe {
	t.Helper()
	p := g.open()
	p.Feed(getSSE())
	wantOutput(t, p, sseHead+sseEvent("endpoint", "/messages?sessionId="+id))
	return p
}

func TestSSEInline(t *testing.T) {
	g := sseRig(Config{}, &script{})
	get, post := g.dialSSE(t, "s1"), g.open()
	g.up.take()
	for range 2 { // a connection may carry many POSTs
		post.Feed(postSSE("s1", ping))
		g.Deliver()
		wantOutput(t, post, accepted202)
		wantOutput(t, get, sseEvent("message", pong))
	}
	wantEvents(t, g.up, "message "+ping, "message "+ping)
}

// Any connection may post, to any session, and each answer finds its own client.
func TestSSESessionsAreApart(t *testing.T) {
	d := &script{}
	g := sseRig(Config{}, d)
	one, two := g.dialSSE(t, "s1"), g.dialSSE(t, "s2")
	post := g.open()
	d.dispatch = func(r *Request, s Stream) { s.Respond(ok(string(r.Body))) }
	post.Feed(append(postSSE("s2", `"two"`), postSSE("s1", `"one"`)...))
	g.Deliver()
	wantOutput(t, one, sseEvent("message", `"one"`))
	wantOutput(t, two, sseEvent("message", `"two"`))
	wantOutput(t, post, accepted202+accepted202)
}

func TestSSERefusals(t *testing.T) {
	const reason = "method not allowed: use GET /sse, and POST to the URI that its first event names"
	tests := []struct {
		name    string
		request []byte
		want    string
	}{
		{"unknown session", postSSE("s9", ping), complaint("404 Not Found", "no such session: GET /sse opens one")},
		{"no session", looptest.Request("POST", "/messages", ping, jsonType), complaint("400 Bad Request", "sessionId is missing: POST to the URI of the endpoint event")},
		{"empty session", looptest.Request("POST", "/messages?x=1&sessionId=", ping, jsonType), complaint("400 Bad Request", "sessionId is missing: POST to the URI of the endpoint event")},
		{"not JSON", looptest.Request("POST", "/messages?sessionId=s1", ping, "Content-Type: text/plain"), complaint("415 Unsupported Media Type", "Content-Type must be application/json")},
		{"accepts no events", getSSE("Accept: application/json"), complaint("406 Not Acceptable", "Accept must include text/event-stream")},
		{"post to the stream", looptest.Request("POST", "/sse", ping, jsonType), complaint("405 Method Not Allowed", reason, "Allow: GET, OPTIONS")},
		{"get of messages", looptest.Request("GET", "/messages?sessionId=s1", ""), complaint("405 Method Not Allowed", reason, "Allow: POST, OPTIONS")},
		{"foreign origin", getSSE("Origin: http://evil.example"), complaint("403 Forbidden", "Origin is not allowed here: list it in --allowed-origins")},
		{"foreign origin of a post", looptest.Request("POST", "/messages?sessionId=s1", ping, jsonType, "Origin: http://evil.example"), complaint("403 Forbidden", "Origin is not allowed here: list it in --allowed-origins")},
		{"preflight", looptest.Request("OPTIONS", "/messages", ""), "HTTP/1.1 204 No Content\r\nAllow: POST, OPTIONS\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := sseRig(Config{}, &script{})
			get := g.dialSSE(t, "s1")
			g.up.take()
			if got := g.exchange(string(tt.request)); got != tt.want {
				t.Errorf("answer\n got %q\nwant %q", got, tt.want)
			}
			wantEvents(t, g.up, "opened http 192.0.2.1:4000")
			wantOutput(t, get, "")
		})
	}
}

func TestSSEIsOff(t *testing.T) {
	for _, request := range [][]byte{getSSE(), postSSE("s1", ping)} {
		if got := newRig(Config{}, &script{}).exchange(string(request)); got != complaint("404 Not Found", "not found: the MCP endpoint is /mcp") {
			t.Errorf("got %q, want 404", got)
		}
	}
	p := sseRig(Config{Listeners: []Listener{{WebSocket: true}}}, &script{}).open()
	p.Feed(getSSE())
	if got := output(p); !strings.HasPrefix(got, "HTTP/1.1 426 ") {
		t.Errorf("on a WebSocket address: %q, want 426", got)
	}
}

// Whatever refuses a GET ends its connection: its Link is not one for requests.
func TestSSERefusedByDispatcher(t *testing.T) {
	for _, away := range []bool{false, true} {
		g := sseRig(Config{}, &script{})
		refuse := func(s Stream) {
			s.Respond(Response{Status: 401, Challenge: "Bearer"})
			s.Respond(Response{Status: 101})
		}
		g.up.dispatch = func(r *Request, s Stream) {
			if string(r.Header.Authorization) != "Bearer t" {
				t.Errorf("Authorization %q", r.Header.Authorization)
			}
			if away {
				_, g.stream = r.Detach(true)
				return
			}
			refuse(s)
		}
		p := g.open()
		p.Feed(getSSE("Authorization: Bearer t"))
		if away {
			g.worker(refuse)
		}
		wantOutput(t, p, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer\r\nConnection: close\r\n\r\n")
		if !p.FIN {
			t.Error("a refused GET left its connection open")
		}
		wantEvents(t, g.up, "opened http 192.0.2.1:4000", "closed http", "opened sse 192.0.2.1:4000", "upgrade ")
		if g.up.links[1].Send([]byte(note), false) {
			t.Error("Send on a refused Link = true")
		}
	}
}

// What a worker says to a detached POST, and what the POST and the stream get.
func TestSSEDetached(t *testing.T) {
	refusal := func(status int) func(*Request, Stream) {
		return func(_ *Request, s Stream) {
			r := ok(`{"e":1}`)
			r.Status = status
			s.Respond(r)
			s.Open("") // too late
		}
	}
	refused := func(status string) string {
		return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n" + `{"e":1}`
	}
	tests := []struct {
		name         string
		do           func(*Request, Stream)
		post, stream string
	}{
		{"nothing yet", func(*Request, Stream) {}, "", ""},
		{"accepted", func(_ *Request, s Stream) { s.Open("") }, accepted202, ""},
		{"accepted twice", func(_ *Request, s Stream) { s.Open(""); s.Open("") }, accepted202, ""},
		{"answered", func(_ *Request, s Stream) { s.Respond(ok(pong)) }, accepted202, sseEvent("message", pong)},
		{"notified", func(_ *Request, s Stream) { notify(s, []byte(note)); s.Respond(ok(pong)) }, accepted202, sseEvent("message", note) + sseEvent("message", pong)},
		{"event", func(_ *Request, s Stream) { s.Send(Event{ID: "e", Data: []byte(note), Keep: true}) }, accepted202, sseEvent("message", note)},
		{"nothing to say", func(_ *Request, s Stream) { s.Respond(Response{Status: 202}) }, accepted202, ""},
		{"cancelled", func(_ *Request, s Stream) { s.End() }, accepted202, ""},
		{"released", func(r *Request, _ Stream) { r.Release() }, accepted202, ""},
		{"held", func(_ *Request, s Stream) { s.Hold(); s.Respond(ok(pong)) }, accepted202, sseEvent("message", pong)},
		{"bad request", refusal(400), accepted202, sseEvent("message", `{"e":1}`)},
		{"401", refusal(401), refused("401 Unauthorized"), ""},
		{"403", refusal(403), refused("403 Forbidden"), ""},
		{"404", refusal(404), refused("404 Not Found"), ""},
		{"503", refusal(503), refused("503 Service Unavailable"), ""},
		{"overload once accepted", func(_ *Request, s Stream) {
			s.Open("")
			refusal(503)(nil, s)
		}, accepted202, sseEvent("message", `{"e":1}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := sseRig(Config{SilentFor: time.Second}, &script{})
			get, post := g.dialSSE(t, "s1"), g.open()
			g.up.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(true) }
			post.Feed(postSSE("s1", ping))
			g.Advance(2 * time.Second)
			wantOutput(t, post, "") // it waits, without comments
			if string(g.request.Body) != ping || g.request.Link != g.up.links[1] || g.request.Header == nil {
				t.Errorf("detached %+v", g.request)
			}
			g.worker(func(s Stream) { tt.do(g.request, s) })
			wantOutput(t, post, tt.post)
			wantOutput(t, get, tt.stream)
		})
	}
}

func TestSSEHeartbeat(t *testing.T) {
	g := sseRig(Config{CommentEvery: 5 * time.Second}, &script{})
	p := g.dialSSE(t, "s1")
	g.Deliver()
	g.Advance(11 * time.Second)
	g.Deliver()
	wantOutput(t, p, comment+comment)
}

func TestSSELink(t *testing.T) {
	g := sseRig(Config{}, &script{})
	p := g.dialSSE(t, "s1")
	l := g.up.links[1]
	on(func() {
		if !l.Send([]byte("{\n}"), true) {
			t.Error("Send = false")
		}
		l.Close(1001, "bye")
		if l.Send([]byte(note), false) {
			t.Error("Send after Close = true")
		}
	})
	g.Deliver()
	wantOutput(t, p, sseEvent("message", "{ }")+lastChunk)
	if !p.FIN {
		t.Error("Close left the connection open")
	}
	p.Hangup()
	wantEvents(t, g.up, "opened http 192.0.2.1:4000", "closed http", "opened sse 192.0.2.1:4000", "upgrade ", "closed sse")
	if got := g.exchange(string(postSSE("s1", ping))); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("POST to a closed session: %q, want 404", got)
	}
}

// A Link that is closed before its GET is accepted is cut.
func TestSSECloseBeforeAccept(t *testing.T) {
	g := sseRig(Config{}, &script{})
	g.up.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(true) }
	p := g.open()
	p.Feed(getSSE())
	on(func() { g.up.links[1].Close(1011, "") })
	g.Deliver()
	if !p.Closed || len(p.Output()) > 0 {
		t.Error("the connection is still open, or was told something")
	}
}

// A session whose connection ends while it is being accepted is not kept.
func TestSSEDisconnectWhileAccepted(t *testing.T) {
	g := sseRig(Config{}, &script{})
	g.up.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(true) }
	p := g.open()
	p.Feed(getSSE())
	p.Hangup()
	g.worker(func(s Stream) { s.Respond(Response{Status: 101}) })
	g.up.dispatch = nil
	if got := g.exchange(string(postSSE("s1", ping))); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("POST to a session that never was: %q, want 404", got)
	}
}

// The stream of a client that does not read is no place to pile up answers.
func TestSSECongestion(t *testing.T) {
	g := sseRig(Config{}, &script{})
	get := g.dialSSE(t, "s1")
	get.Window = 0
	big := `"` + strings.Repeat("x", 600<<10) + `"`
	g.up.dispatch = func(_ *Request, s Stream) { s.Respond(ok(big)) }
	var last string
	for range 5 {
		last = g.exchange(string(postSSE("s1", ping)))
		g.Deliver()
	}
	if want := complaint("503 Service Unavailable", "too much waits on the event stream: read it", "Retry-After: 1"); last != want {
		t.Errorf("got %q\nwant %q", last, want)
	}
	get.Drink(8 << 20)
	g.Advance(time.Second)
	if got := g.exchange(string(postSSE("s1", ping))); got != accepted202 {
		t.Errorf("after it was read: %q, want 202", got)
	}
}

func TestSSEWhileDraining(t *testing.T) {
	g := sseRig(Config{}, &script{drain: func(l *Link) {
		if l.Protocol == SSE {
			l.Close(1001, "server is shutting down")
		}
	}})
	open, late := g.dialSSE(t, "s1"), g.open()
	g.Drain()
	g.Deliver()
	wantOutput(t, open, lastChunk)
	late.Feed(getSSE())
	wantOutput(t, late, complaint("503 Service Unavailable", "server is shutting down", "Retry-After: 1", "Connection: close"))
}

func TestSSEOverHTTP10(t *testing.T) {
	g := sseRig(Config{}, &script{})
	p := g.open()
	p.Feed([]byte("GET /sse HTTP/1.0\r\nHost: localhost\r\n\r\n"))
	wantOutput(t, p, strings.Replace(sseHead, "Transfer-Encoding: chunked\r\n", "", 1)+"event: endpoint\ndata: /messages?sessionId=s1\n\n")
	post := g.open()
	post.Feed(postSSE("s1", ping))
	g.Deliver()
	wantOutput(t, p, "event: message\ndata: "+pong+"\n\n")
}
