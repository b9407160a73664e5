package transport

import (
	"bytes"
	"strings"
	"testing"

	"millrace/loop"
	"millrace/loop/looptest"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

// dial opens a WebSocket, accepted on the loop or by a worker.
func (g *rig) dial(t *testing.T, fields ...string) *loop.Pipe {
	t.Helper()
	p := g.open()
	p.Feed(looptest.Upgrade("/mcp", fields...))
	if g.stream != nil {
		g.worker(func(s Stream) { s.Respond(Response{Status: 101}) })
	}
	if got := string(p.Output()); !strings.HasPrefix(got, switching) {
		t.Fatalf("upgrade got %q", got)
	}
	return p
}

func wantFrames(t *testing.T, p *loop.Pipe, want ...looptest.Frame) {
	t.Helper()
	got, err := looptest.Frames(p.Output())
	if err != nil {
		t.Errorf("frames: %v", err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames %v, want %d", len(got), got, len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("frame %d = %v, want %v", i, got[i], want[i])
		}
	}
}

func text(s string) looptest.Frame { return looptest.Frame{Op: looptest.OpText, Payload: s} }

// The credential of an upgrade is not kept for the life of the connection.
func TestUpgradeIsForgotten(t *testing.T) {
	g := newRig(Config{}, &script{})
	p := g.dial(t, "Authorization: Bearer secret")
	if peer := peerOf(p.Conn); peer.header.Authorization != nil || peer.request.Header != nil {
		t.Errorf("kept %+v, %+v", peer.header, peer.request)
	}
}

// Nor when it was judged on a worker, nor by an exchange over HTTP that is over.
func TestDetachedHeaderIsForgotten(t *testing.T) {
	var detached *Request
	d := &script{}
	g := newRig(Config{}, d)
	d.dispatch = func(r *Request, _ Stream) { detached, g.stream = r.Detach(r.Kind == Upgrade || r.Kind == Message) }
	answer := func(status int) {
		t.Helper()
		if string(detached.Header.Authorization) != "Bearer secret" {
			t.Fatalf("header %+v", detached.Header)
		}
		stream := g.stream
		g.stream = nil
		stream.Respond(Response{Status: status})
		detached.Release()
		g.Deliver()
	}
	for _, request := range [][]byte{
		[]byte(post(jsonType, acceptBoth, "Mcp-Method: ping", "Authorization: Bearer secret")),
		looptest.Upgrade("/mcp", "Authorization: Bearer secret"),
	} {
		p := g.open()
		p.Feed(request)
		answer(map[Kind]int{Message: 202, Upgrade: 101}[detached.Kind])
		if open := peerOf(p.Conn).open; open == nil || open.request.Header != nil {
			t.Errorf("the answered exchange keeps %+v", open)
		}
		if detached.Kind == Upgrade {
			d.dispatch = nil
			p.Feed(looptest.Text(ping))
			if peer := peerOf(p.Conn); peer.open != nil || peer.http != nil || peer.header != nil {
				t.Errorf("a WebSocket keeps %+v of HTTP", peer)
			}
		}
	}
}

func TestSubprotocol(t *testing.T) {
	tests := []struct {
		name     string
		lines    []string
		protocol string // echoed
		auth     string // seen above
	}{
		{"none offered", nil, "", ""},
		{"mcp", []string{"mcp"}, "mcp", ""},
		{"other", []string{"graphql-ws, MCP, mcpx"}, "", ""},
		{"token", []string{"mcp, mcp.auth.secret"}, "mcp", "Bearer secret"},
		{"token first, two lines", []string{"mcp.auth.secret", "x,mcp"}, "mcp", "Bearer secret"},
		{"token alone", []string{"mcp.auth.secret"}, "", "Bearer secret"},
		{"empty token", []string{"mcp, mcp.auth."}, "mcp", ""},
		{"two tokens", []string{"mcp.auth.a, mcp.auth.b"}, "", "Bearer a"},
		{"wrong case", []string{"mcp, MCP.AUTH.secret"}, "mcp", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			auth := ""
			d := &script{dispatch: func(r *Request, s Stream) {
				auth = string(r.Header.Authorization)
				s.Respond(Response{Status: 101})
			}}
			var fields []string
			for _, l := range tt.lines {
				fields = append(fields, "Sec-WebSocket-Protocol: "+l)
			}
			want := switching
			if tt.protocol != "" {
				want += "Sec-WebSocket-Protocol: " + tt.protocol + "\r\n"
			}
			got := newRig(Config{}, d).exchange(string(looptest.Upgrade("/mcp", fields...)))
			if got != want+"\r\n" {
				t.Errorf("answer\n got %q\nwant %q", got, want+"\r\n")
			}
			if auth != tt.auth {
				t.Errorf("authorization %q, want %q", auth, tt.auth)
			}
		})
	}
}

func TestAuthorizationFieldBeatsSubprotocol(t *testing.T) {
	g := newAwayRig(Config{})
	g.open().Feed(looptest.Upgrade("/mcp", "Authorization: Bearer field", "Sec-WebSocket-Protocol: mcp.auth.offer"))
	if got := string(g.request.Header.Authorization); got != "Bearer field" {
		t.Errorf("authorization %q, want that of the field", got)
	}
}

func TestBadHandshakes(t *testing.T) {
	good := string(looptest.Upgrade("/mcp"))
	upgrade := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"}
	tests := []struct{ name, request, want string }{
		{"no key", strings.Replace(good, "Sec-WebSocket-Key", "X-Key", 1), complaint("400 Bad Request", "Sec-WebSocket-Key is not base64 of 16 bytes")},
		{"short key", strings.Replace(good, "dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 1), complaint("400 Bad Request", "Sec-WebSocket-Key is not base64 of 16 bytes")},
		{"version", strings.Replace(good, "Version: 13", "Version: 12", 1), complaint("426 Upgrade Required", "Sec-WebSocket-Version is not 13", upgrade...)},
		{"no upgrade field", strings.Replace(good, "Upgrade: websocket", "Upgrade: h2c", 1), ""},
		{"HTTP/1.0", strings.Replace(good, "HTTP/1.1", "HTTP/1.0", 1), ""},
	}
	for _, tt := range tests {
		d := &script{dispatch: func(r *Request, s Stream) { s.Respond(Response{Status: 400}) }}
		got := newRig(Config{}, d).exchange(tt.request)
		if tt.want == "" { // not a handshake at all: a GET
			if e := d.take(); len(e) != 2 || e[1] != "stream " {
				t.Errorf("%s: events %q, want a stream request", tt.name, e)
			}
		} else if got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestWebSocketMessages(t *testing.T) {
	for _, away := range []bool{false, true} {
		g := newRig(Config{}, &script{})
		if away {
			g = newAwayRig(Config{})
		}
		p := g.dial(t)
		if l := g.up.links[1]; l.Protocol != WebSocket || l.ID != p.Conn.ID() || l.Send == nil {
			t.Errorf("link %+v, want that of a WebSocket", l)
		}
		p.Feed(looptest.Text(ping))
		if away {
			g.worker(func(s Stream) {
				s.Open("")
				s.End()
				if !notify(s, []byte(note)) {
					t.Error("Notify = false, want true")
				}
				s.Respond(ok(pong))
				s.Respond(Response{Status: 202})
			})
			wantFrames(t, p, text(note), text(pong))
			if got := string(g.request.Body); got != ping {
				t.Errorf("body %q, want %q", got, ping)
			}
			g.request.Release()
		} else {
			wantFrames(t, p, text(pong))
		}
		on(func() {
			g.up.links[1].Send([]byte(note), true)
			g.up.links[1].Send([]byte(pong), false)
		})
		g.Deliver()
		wantFrames(t, p, text(note), text(pong))
		p.Hangup()
		on(func() {
			if g.up.links[1].Send([]byte(note), false) {
				t.Error("Send after the end = true, want false")
			}
		})
		wantEvents(t, g.up, "opened http 192.0.2.1:4000", "closed http", "opened websocket 192.0.2.1:4000",
			"upgrade ", "message "+ping, "closed websocket")
	}
}

// Header fields belong to the upgrade; messages have none.
func TestMessageHasNoHeader(t *testing.T) {
	g := newRig(Config{}, &script{})
	p := g.dial(t)
	g.up.dispatch = func(r *Request, s Stream) {
		if r.Header != nil {
			t.Errorf("header %v, want none", r.Header)
		}
		r, _ = r.Detach(true)
		if r.Header != nil {
			t.Errorf("detached header %v, want none", r.Header)
		}
	}
	p.Feed(looptest.Text(ping))
}

func TestCloseCodes(t *testing.T) {
	closed := func(code uint16, reason string) looptest.Frame {
		return looptest.Frame{Op: looptest.OpClose, Code: code, Payload: reason}
	}
	tests := []struct {
		name string
		in   []byte
		want looptest.Frame
	}{
		{"binary", looptest.ClientFrame(looptest.OpBinary, true, []byte("{}")), closed(1003, "text messages only")},
		{"peer closes", looptest.ClientClose(1000, "bye"), closed(1000, "")},
		{"too big", looptest.Text(strings.Repeat("x", 65<<10)), closed(1009, "")},
		{"invalid UTF-8", looptest.Text("\xff"), closed(1007, "")},
		{"unmasked", []byte{0x81, 0x01, 'x'}, closed(1002, "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lc := loop.Config{}
			lc.WebSocket.MessageBytes = 64 << 10
			d := &script{}
			g := &rig{Memory: loop.NewMemory(lc, NewHandler(Config{}, d)), up: d}
			p := g.dial(t)
			p.Feed(tt.in)
			frames, err := looptest.Frames(p.Output())
			if err != nil || len(frames) != 1 || frames[0].Op != looptest.OpClose || frames[0].Code != tt.want.Code {
				t.Fatalf("frames %v, %v; want close %d", frames, err, tt.want.Code)
			}
			if tt.want.Payload != "" && frames[0].Payload != tt.want.Payload {
				t.Errorf("reason %q, want %q", frames[0].Payload, tt.want.Payload)
			}
		})
	}
	t.Run("by the dispatcher", func(t *testing.T) {
		g := newRig(Config{}, &script{})
		p := g.dial(t)
		on(func() { g.up.links[1].Close(4401, "token expired") })
		g.Deliver()
		wantFrames(t, p, closed(4401, "token expired"))
	})
	t.Run("drain", func(t *testing.T) {
		g := newRig(Config{}, &script{drain: func(l *Link) {
			if l.Protocol == WebSocket {
				l.Close(1001, "server is shutting down")
			}
		}})
		p := g.dial(t)
		g.Drain()
		g.Deliver()
		wantFrames(t, p, closed(1001, "server is shutting down"))
	})
}

func TestUpgradeWhileDraining(t *testing.T) {
	g := newRig(Config{}, &script{})
	p := g.open()
	g.Drain()
	p.Feed(looptest.Upgrade("/mcp"))
	wantOutput(t, p, complaint("503 Service Unavailable", "server is shutting down", "Retry-After: 1", "Connection: close"))
}

func TestUpgradeRefusedInline(t *testing.T) {
	g := newRig(Config{}, &script{dispatch: func(_ *Request, s Stream) {
		s.Respond(Response{Status: 401, Challenge: "Bearer"})
		s.Respond(Response{Status: 101})
	}})
	p := g.open()
	p.Feed(append(looptest.Upgrade("/mcp"), looptest.Text(ping)...))
	wantOutput(t, p, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer\r\nConnection: close\r\n\r\n")
	if !p.FIN {
		t.Error("a refused upgrade must end the connection")
	}
	wantEvents(t, g.up, "opened http 192.0.2.1:4000", "closed http", "opened websocket 192.0.2.1:4000", "upgrade ")
}

func TestDisconnectDuringUpgrade(t *testing.T) {
	g := newAwayRig(Config{Greeting: func() []byte { return []byte(note) }})
	p := g.open()
	p.Feed(looptest.Upgrade("/mcp"))
	p.Hangup()
	g.worker(func(s Stream) { s.Respond(Response{Status: 101}) })
	wantOutput(t, p, "")
	wantEvents(t, g.up, "opened http 192.0.2.1:4000", "closed http", "opened websocket 192.0.2.1:4000", "upgrade ", "closed websocket")
}

func TestNoGreetingIsNoMessage(t *testing.T) {
	g := newRig(Config{Greeting: func() []byte { return nil }}, &script{})
	if got := g.exchange(string(looptest.Upgrade("/mcp"))); got != switching+"\r\n" {
		t.Errorf("got %q, want nothing behind the 101", got)
	}
}

// A client that sends frames right behind its handshake gets the greeting
// before any answer, wherever its bytes are cut.
func TestUpgradeAndFramesCutAnywhere(t *testing.T) {
	in := append(looptest.Upgrade("/mcp", "Sec-WebSocket-Protocol: mcp"), looptest.Text(ping)...)
	in = append(in, looptest.ClientFrame(looptest.OpText, false, []byte(ping[:9]))...)
	in = append(in, looptest.ClientFrame(looptest.OpContinuation, true, []byte(ping[9:]))...)
	in = append(in, looptest.ClientClose(1000, "")...)
	var want []byte
	for cut := range in {
		g := newRig(Config{Greeting: func() []byte { return []byte(`"hi"`) }}, &script{})
		p := g.open()
		p.Feed(in[:cut])
		p.Feed(in[cut:])
		g.Deliver()
		got := p.Output()
		if cut == 0 {
			want = got
			frames, err := looptest.Frames(bytes.TrimPrefix(got, []byte(switching+"Sec-WebSocket-Protocol: mcp\r\n\r\n")))
			if err != nil || len(frames) != 4 || frames[0] != text(`"hi"`) || frames[1] != text(pong) || frames[3].Code != 1000 {
				t.Fatalf("frames %v, %v", frames, err)
			}
		} else if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d\n got %q\nwant %q", cut, got, want)
		}
	}
}
