package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"millrace/server/auth"
	"millrace/server/mcp"
)

// peers runs a test on a WebSocket and on stdio.
func peers(t *testing.T, test func(t *testing.T, tl *tools, p peer)) {
	t.Run("websocket", func(t *testing.T) {
		tl := newTools()
		test(t, tl, serve(t, &Server{MCP: tl.mcp}).dial())
	})
	t.Run("stdio", func(t *testing.T) {
		tl := newTools()
		test(t, tl, serveStdio(t, &Server{MCP: tl.mcp}))
	})
}

// "The request ID MUST NOT have been previously used by the requestor": of two
// requests in flight with one id on one connection, the first lives. Over HTTP
// every request has an exchange of its own.
func TestDuplicateIDs(t *testing.T) {
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		call := toolCall
		if version == mcp.Version20260728 {
			call = modernCall
		}
		t.Run(version, func(t *testing.T) {
			peers(t, func(t *testing.T, tl *tools, p peer) {
				if version != mcp.Version20260728 {
					handshake(t, p, version)
				}
				for _, id := range []string{"1", `"1"`} { // which are two
					p.send(call(id, "hold"))
					<-tl.running
				}
				for _, second := range []string{call("1", "echo"), call("1", "hold"), call("1", "now")} {
					p.send(second)
					want(t, p, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"`+errDuplicate.Error()+`"}}`)
				}
				close(tl.gate)
				both := mustRead(t, p) + mustRead(t, p)
				if !strings.Contains(both, `"id":1,"result"`) || !strings.Contains(both, `"id":"1","result"`) {
					t.Errorf("first requests: %s", both)
				}
			})
			tl := newTools()
			r := serve(t, &Server{MCP: tl.mcp})
			fields := modernFields("tools/call", "hold")
			if version != mcp.Version20260728 {
				fields = []string{"Mcp-Session-Id: " + r.initialize(version)}
			}
			got := make(chan reply, 3)
			for range cap(got) {
				go func() {
					rep, _ := r.try(t.Context(), "POST", call("1", "hold"), fields...)
					got <- rep
				}()
				<-tl.running
			}
			close(tl.gate)
			for range cap(got) {
				if rep := <-got; rep.status != 200 || !strings.Contains(rep.body(), `"id":1,"result"`) {
					t.Errorf("HTTP: %d %s", rep.status, rep.body())
				}
			}
		})
	}
}

// A second initialize is refused, and changes neither the revision nor what the
// client can do.
func TestSecondInitialize(t *testing.T) {
	const refused = `{"jsonrpc":"2.0","id":"i","error":{"code":-32600,"message":"the session is already initialized"}}`
	peers(t, func(t *testing.T, tl *tools, p peer) {
		tl.addAsk(0)
		handshake(t, p, mcp.Version20250618)
		p.send(initializeAs(mcp.Version20251125, asks))
		want(t, p, refused)
		p.send(toolCall("1", "ask"))
		if got := mustRead(t, p); !strings.Contains(got, "has not declared the capability") {
			t.Errorf("capabilities of the second: %s", got)
		}
		p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":1}}}`)
		if got := mustRead(t, p); !strings.Contains(got, `"code":-32602`) { // a result from 2025-11-25 on
			t.Errorf("revision of the second: %s", got)
		}
	})
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp})
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20250618)
	rep := r.do("POST", initializeAs(mcp.Version20251125, asks), id)
	if rep.status != 200 || rep.body() != refused || rep.header.Get("Mcp-Session-Id") != "" {
		t.Errorf("%d %v %s", rep.status, rep.header, rep.body())
	}
	if rep := r.do("POST", toolCall("1", "ask"), id); !strings.Contains(rep.body(), "has not declared the capability") {
		t.Errorf("capabilities of the second: %s", rep.body())
	}
	if n := r.Stats().Sessions.Open; n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// The session of another principal is as unknown as one that never was, in every
// way to use it.
func TestSessionsOfOthers(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp, Auth: fakeAuth{make(chan auth.Credentials, 100)}, Policy: auth.AllowAll()})
	ann, bob := "Authorization: Bearer ann", "Authorization: Bearer bob"
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125, ann)
	for _, tt := range []struct{ method, body string }{
		{"POST", listMessage}, {"POST", initializeMessage(mcp.Version20251125)}, {"POST", cancelMessage("1")},
		{"POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`}, {"POST", accept("1", "x")}, {"POST", `[` + listMessage + `]`},
		{"GET", ""}, {"DELETE", ""},
	} {
		other, none := r.do(tt.method, tt.body, id, bob), r.do(tt.method, tt.body, "Mcp-Session-Id: none", bob)
		if other.status != 404 || other.body() != none.body() || none.status != 404 {
			t.Errorf("%s %s: %d %s, of no session %d %s", tt.method, tt.body, other.status, other.body(), none.status, none.body())
		}
	}
	if rep := r.do("POST", listMessage, id, ann); rep.status != 200 {
		t.Errorf("the owner: %d", rep.status)
	}
}

// What initialize answers, and what follows from it.
func TestNegotiation(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	for asked, got := range map[string]string{
		mcp.Version20241105: mcp.Version20241105, mcp.Version20250326: mcp.Version20250326,
		mcp.Version20250618: mcp.Version20250618, mcp.Version20251125: mcp.Version20251125,
		"2099-01-01": mcp.Version20251125, "1.0": mcp.Version20251125, mcp.Version20260728: mcp.Version20251125,
	} {
		rep := r.do("POST", initializeMessage(asked))
		if rep.status != 200 || !strings.Contains(rep.body(), `"protocolVersion":"`+got+`"`) {
			t.Errorf("initialize with %s: %d %s, want %s", asked, rep.status, rep.body(), got)
		}
		id := "Mcp-Session-Id: " + rep.header.Get("Mcp-Session-Id")
		batch := 400
		if got == mcp.Version20250326 {
			batch = 200
		}
		if rep := r.do("POST", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, id); rep.status != batch {
			t.Errorf("batch in %s: %d, want %d", got, rep.status, batch)
		}
		bad := r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":1}}}`, id)
		if isResult := strings.Contains(bad.body(), `"isError":true`); isResult != (got == mcp.Version20251125) {
			t.Errorf("wrong arguments in %s: %s", got, bad.body())
		}
		if rep := r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, id, "MCP-Protocol-Version: 1999-01-01"); rep.status != 400 {
			t.Errorf("unknown revision in the header: %d %s", rep.status, rep.body())
		}
	}
}

// TestStatuses is what a wrong request is told, by revision: the JSON-RPC code is
// the same on all transports, the HTTP status is that of the era.
func TestStatuses(t *testing.T) {
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		tl := newTools()
		w := httpWire(t, serve(t, &Server{MCP: tl.mcp}), tl, version)
		sockets := peerWire(t, "websocket", serve(t, &Server{MCP: newTools().mcp}).dial(), tl, version)
		malformed, unknown := 200, 200
		if w.modern() {
			malformed, unknown = 400, 404
		}
		for _, tt := range []struct {
			name, method, params string
			status, code         int
		}{
			{"unknown method", "no/such", ``, unknown, -32601},
			{"method of the server", "elicitation/create", ``, unknown, -32601},
			{"prompts without any", "prompts/list", ``, unknown, -32601},
			{"resources without any", "resources/read", `"uri":"a:b"`, unknown, -32601},
			{"unknown tool", "tools/call", `"name":"none"`, 200, -32602},
			{"arguments that are no object", "tools/call", `"name":"echo","arguments":[1]`, malformed, -32602},
			{"name that is no string", "tools/call", `"name":7`, malformed, -32602},
			{"cursor that nobody gave out", "tools/list", `"cursor":"x"`, 200, -32602},
		} {
			name := ""
			if tt.method == "tools/call" && strings.Contains(tt.params, `"name":"`) {
				name = strings.Split(tt.params, `"`)[3]
			}
			if tt.method == "resources/read" {
				name = "a:b"
			}
			for _, w := range []*wire{w, sockets} {
				status, got := w.call("1", tt.method, tt.params, "", name)
				if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,`, tt.code); !strings.HasPrefix(got[0], want) {
					t.Errorf("%s, %s, %s: %s, want %s", version, w.name, tt.name, got[0], want)
				}
				if status != 0 && status != tt.status {
					t.Errorf("%s, %s: status %d, want %d", version, tt.name, status, tt.status)
				}
			}
		}
		for _, other := range []string{"ping", "initialize", "resources/subscribe", "logging/setLevel"} {
			if status, got := w.call("1", other, ``, "", ""); w.modern() && (status != 404 || !strings.Contains(got[0], `"code":-32601`)) {
				t.Errorf("%s in the stateless era: %d %s", other, status, got[0])
			}
		}
		for _, other := range []string{"server/discover", "subscriptions/listen", "tasks/get"} {
			if w.modern() {
				break
			}
			p := `{"jsonrpc":"2.0","id":1,"method":"` + other + `","params":{}}`
			rep := tlPost(t, tl, version, p)
			if rep.status != 200 || !strings.Contains(rep.body(), `"code":-32601`) {
				t.Errorf("%s in %s: %d %s", other, version, rep.status, rep.body())
			}
		}
	}
}

// tlPost sends one message in a session of its own, with the header of its
// revision.
func tlPost(t *testing.T, tl *tools, version, msg string) reply {
	t.Helper()
	r := serve(t, &Server{MCP: tl.mcp})
	return r.do("POST", msg, "Mcp-Session-Id: "+r.initialize(version), "MCP-Protocol-Version: "+version)
}

// addLogs adds a tool that logs a message of every level and reports progress,
// also some that goes back.
func (tl *tools) addLogs() {
	tl.add("logs", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, level := range []mcp.LoggingLevel{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"} {
			if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: level, Data: "x"}); err != nil {
				return nil, err
			}
		}
		for _, n := range []float64{1, 3, 2, 3, 1, 4} {
			if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{Progress: n}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// split sorts what came for a call of logs.
func split(t *testing.T, messages []string) (levels, progress []string) {
	t.Helper()
	for _, msg := range messages {
		if _, rest, ok := strings.Cut(msg, `"method":"notifications/message","params":{"level":"`); ok {
			levels = append(levels, rest[:strings.Index(rest, `"`)])
		} else if _, rest, ok := strings.Cut(msg, `"progress":`); ok {
			progress = append(progress, strings.TrimRight(rest, "}"))
		} else if !strings.Contains(msg, `"result"`) {
			t.Errorf("unexpected: %s", msg)
		}
	}
	return levels, progress
}

// Log messages come from the level on that the client has asked for, and not at
// all when it has not; progress only with a token, and only forward.
func TestLogLevels(t *testing.T) {
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		tl := newTools()
		tl.addLogs()
		for _, w := range []*wire{
			httpWire(t, serve(t, &Server{MCP: tl.mcp}), tl, version), peerWire(t, "websocket", serve(t, &Server{MCP: tl.mcp}).dial(), tl, version),
			peerWire(t, "stdio", serveStdio(t, &Server{MCP: tl.mcp}), tl, version),
		} {
			check := func(meta, levels string, progress bool) {
				t.Helper()
				_, got := w.call("1", "tools/call", `"name":"logs"`, meta, "logs")
				l, p := split(t, got)
				if strings.Join(l, " ") != levels {
					t.Errorf("%s, %s: levels %v, want %s", version, w.name, l, levels)
				}
				if len(p) > 0 != progress || progress && (p[0] != "1" || p[len(p)-1] != "4") {
					t.Errorf("%s, %s: progress %v", version, w.name, p)
				}
				for i := 1; i < len(p); i++ {
					if p[i] <= p[i-1] {
						t.Errorf("%s, %s: progress goes back: %v", version, w.name, p)
					}
				}
			}
			check(``, "", false)
			if w.modern() {
				const level = `"io.modelcontextprotocol/logLevel":"error"`
				check(level, "error critical alert emergency", false)
				check(`"progressToken":1`, "", true) // the level was that of the other request
				check(level+`,"progressToken":1`, "error critical alert emergency", true)
				check(``, "", false)
				continue
			}
			for level, want := range map[string]string{
				"debug": "debug info notice warning error critical alert emergency", "alert": "alert emergency",
				"warning": "warning error critical alert emergency",
			} {
				if _, got := w.call("2", "logging/setLevel", `"level":"`+level+`"`, "", ""); !strings.Contains(got[0], `"result":{}`) {
					t.Errorf("setLevel: %s", got[0])
				}
				check(`"progressToken":1`, want, true)
			}
			if _, got := w.call("2", "logging/setLevel", `"level":"loud"`, "", ""); !strings.Contains(got[0], `"code":-32602`) {
				t.Errorf("setLevel: %s", got[0])
			}
		}
	}
}

// "A server MUST NOT infer state from earlier requests on the connection": not
// those of a session on the same connection either.
func TestErasDoNotMix(t *testing.T) {
	peers(t, func(t *testing.T, tl *tools, p peer) {
		tl.addLogs()
		tl.addAsk(0)
		handshakeAs(t, p, mcp.Version20251125, asks)
		p.send(setLevel)
		want(t, p, `{"jsonrpc":"2.0","id":0,"result":{}}`)
		p.send(modernCall("1", "logs"))
		if got := mustRead(t, p); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete"`) {
			t.Errorf("the level of the session in the stateless era: %s", got)
		}
		p.send(modernCall("1", "ask"))
		if got := mustRead(t, p); !strings.Contains(got, `"code":-32021`) {
			t.Errorf("the capabilities of the session in the stateless era: %s", got)
		}
		p.send(listMessage)
		if got := mustRead(t, p); strings.Contains(got, "resultType") {
			t.Errorf("the session after requests of the stateless era: %s", got)
		}
	})
}

// A resource is told of from subscribe to unsubscribe, and to who subscribed.
func TestUnsubscribedIsSilent(t *testing.T) {
	tl := newTools()
	tl.mcp.AddResource(&mcp.Resource{Name: "a", URI: "test:a"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return nil, nil
	})
	r := serve(t, &Server{MCP: tl.mcp})
	const updated = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test:a"}}`
	about := func(id, method string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"resources/` + method + `","params":{"uri":"test:a"}}`
	}
	update := func() {
		if err := tl.mcp.ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: "test:a"}); err != nil {
			t.Error(err)
		}
	}
	p, other := r.dial(), r.dial()
	handshake(t, p, mcp.Version20251125)
	handshake(t, other, mcp.Version20251125)
	session := r.initializeAs(mcp.Version20251125, `{}`)
	get := r.stream("GET", "", session)
	get.prime()
	answer := func(p peer, id, method string) {
		t.Helper()
		p.send(about(id, method))
		want(t, p, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)
	}
	answer(p, "1", "subscribe")
	answer(p, "2", "subscribe") // twice is once
	r.do("POST", about("1", "subscribe"), session)
	update()
	want(t, p, updated)
	get.want(updated)
	answer(p, "3", "unsubscribe")
	update()
	answer(p, "4", "unsubscribe") // nothing comes before the answer
	get.want(updated)
	r.do("POST", about("2", "unsubscribe"), session)
	answer(other, "1", "subscribe")
	update()
	want(t, other, updated)
	r.do("DELETE", "", session)
	get.wantEnd()
	other.close()
	await(t, "nobody watches", tl.unwatched)
}

// A cancellation of what is not in flight does nothing, and neither does one of
// another connection.
func TestStrayCancellations(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	p, other := r.dial(), r.dial()
	handshake(t, p, mcp.Version20251125)
	handshake(t, other, mcp.Version20251125)
	p.send(toolCall("1", "hold"))
	<-tl.running
	for _, msg := range []string{
		cancelMessage("2"), cancelMessage(`"1"`), cancelMessage("null"), cancelMessage("{}"),
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}`,
	} {
		p.send(msg)
		other.send(msg)
		rep := r.do("POST", msg, "Mcp-Session-Id: "+r.initialize(mcp.Version20250618))
		if rep.status != 202 || rep.body() != "" {
			t.Errorf("%s: %d %s", msg, rep.status, rep.body())
		}
	}
	other.send(cancelMessage("1"))
	rep := r.do("POST", cancelMessage("1"), "Mcp-Session-Id: "+r.initialize(mcp.Version20251125))
	if rep.status != 202 {
		t.Errorf("of another session: %d", rep.status)
	}
	p.send(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	want(t, p, `{"jsonrpc":"2.0","id":3,"result":{}}`)
	close(tl.gate)
	want(t, p, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
}
