package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"millrace/server/mcp"
)

// wire sends one request and returns everything that comes back for it, the
// answer last. status is 0 where there is no HTTP.
type wire struct {
	name    string
	version string
	call    func(id, method, params, meta, tool string) (status int, messages []string)
	// cancel calls the tool "wait", cancels it, and returns what came for it.
	cancel func(id string) []string
}

func (w *wire) modern() bool { return w.version == mcp.Version20260728 }

// message builds a request; params are the members of params.
func (w *wire) message(id, method, params, meta string) string {
	if w.modern() {
		all := strings.TrimSuffix(modernMeta, "}")
		if meta != "" {
			all += "," + meta
		}
		params = join(params, all+"}")
	} else if meta != "" {
		params = join(params, `"_meta":{`+meta+`}`)
	}
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + params + `}}`
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

func httpWire(t *testing.T, r *runningServer, tl *tools, version string) *wire {
	w := &wire{name: "http", version: version}
	var session []string
	if !w.modern() {
		session = []string{"Mcp-Session-Id: " + r.initialize(version), "MCP-Protocol-Version: " + version}
		if version < mcp.Version20250618 {
			session = session[:1] // the header is younger
		}
	}
	fields := func(method, tool string) []string {
		if w.modern() {
			return modernFields(method, tool)
		}
		return session
	}
	w.call = func(id, method, params, meta, tool string) (int, []string) {
		rep := r.do("POST", w.message(id, method, params, meta), fields(method, tool)...)
		return rep.status, rep.messages
	}
	w.cancel = func(id string) []string {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		got := make(chan reply, 1)
		go func() {
			rep, _ := r.try(ctx, "POST", w.message(id, "tools/call", `"name":"wait"`, ""), fields("tools/call", "wait")...)
			got <- rep
		}()
		<-tl.running
		if w.modern() {
			cancel()
		} else {
			rep := r.do("POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}`, session...)
			if rep.status != 202 || rep.body() != "" {
				t.Errorf("cancelled: %d %s", rep.status, rep.body())
			}
		}
		return (<-got).messages
	}
	return w
}

func peerWire(t *testing.T, name string, p peer, tl *tools, version string) *wire {
	w := &wire{name: name, version: version}
	if !w.modern() {
		handshake(t, p, version)
	}
	collect := func() (all []string) {
		for {
			msg := mustRead(t, p)
			all = append(all, msg)
			if !strings.Contains(msg, `"method"`) {
				return all
			}
		}
	}
	w.call = func(id, method, params, meta, _ string) (int, []string) {
		p.send(w.message(id, method, params, meta))
		return 0, collect()
	}
	w.cancel = func(id string) []string {
		p.send(w.message(id, "tools/call", `"name":"wait"`, ""))
		<-tl.running
		p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `}}`)
		p.send(w.message(`"after"`, "tools/call", `"name":"now","arguments":{"text":"x"}`, ""))
		all := collect()
		return all[:len(all)-1]
	}
	return w
}

// TestMatrix: every revision on every transport gets the same, exact messages.
func TestMatrix(t *testing.T) {
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		t.Run(version, func(t *testing.T) {
			t.Run("http", func(t *testing.T) {
				tl := newTools()
				checkMatrix(t, httpWire(t, serve(t, &Server{MCP: tl.mcp}), tl, version), tl)
			})
			t.Run("websocket", func(t *testing.T) {
				tl := newTools()
				checkMatrix(t, peerWire(t, "websocket", serve(t, &Server{MCP: tl.mcp}).dial("Sec-WebSocket-Protocol: mcp"), tl, version), tl)
			})
			t.Run("stdio", func(t *testing.T) {
				tl := newTools()
				checkMatrix(t, peerWire(t, "stdio", serveStdio(t, &Server{MCP: tl.mcp}), tl, version), tl)
			})
		})
	}
}

func checkMatrix(t *testing.T, w *wire, tl *tools) {
	head := ""
	if w.modern() {
		head = `"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1"}},`
	}
	text := func(s string) string { return `"content":[{"type":"text","text":"` + s + `"}]` }
	result := func(members string) string { return `"result":{` + head + members + `}` }
	// Wrong arguments became results that the model can read with 2025-11-25.
	badArguments := result(text(`invalid arguments for tool \"echo\": text: must be string, got number`) + `,"isError":true`)
	if w.version < mcp.Version20251125 {
		badArguments = `"error":{"code":-32602,"message":"invalid arguments for tool \"echo\": text: must be string, got number"}`
	}
	ping, pingStatus := `"result":{}`, 200
	unknownStatus, malformedStatus := 200, 200
	if w.modern() {
		ping, pingStatus = `"error":{"code":-32601,"message":"Method not found"}`, 404
		unknownStatus, malformedStatus = 404, 400
	}
	for _, tt := range []struct {
		name, method, params, tool, want string
		status                           int
	}{
		{"ok", "tools/call", `"name":"echo","arguments":{"text":"hi"}`, "echo", result(text("hi")), 200},
		{"inline", "tools/call", `"name":"now","arguments":{"text":"hi"}`, "now", result(text("hi")), 200},
		{"cpu", "tools/call", `"name":"compute","arguments":{"text":"hi"}`, "compute", result(text("hi")), 200},
		{"unknown tool", "tools/call", `"name":"none"`, "none", `"error":{"code":-32602,"message":"unknown tool \"none\""}`, 200},
		{"bad arguments", "tools/call", `"name":"echo","arguments":{"text":1}`, "echo", badArguments, 200},
		{"no name", "tools/call", `"arguments":{}`, "", `"error":{"code":-32602,"message":"tools/call needs params.name, a string"}`, malformedStatus},
		{"tool error", "tools/call", `"name":"fail"`, "fail", result(text("no such file") + `,"isError":true`), 200},
		{"panic", "tools/call", `"name":"panic"`, "panic", result(text(`tool \"panic\" failed because of an internal error`) + `,"isError":true`), 200},
		{"timeout", "tools/call", `"name":"slow"`, "slow", result(text(`tool \"slow\" did not finish within 30ms`) + `,"isError":true`), 200},
		{"unknown method", "no/such", "", "", `"error":{"code":-32601,"message":"Method not found"}`, unknownStatus},
		{"notification as request", "notifications/initialized", "", "", `"error":{"code":-32601,"message":"Method not found"}`, unknownStatus},
		{"ping", "ping", "", "", ping, pingStatus},
	} {
		status, got := w.call("7", tt.method, tt.params, "", tt.tool)
		if want := `{"jsonrpc":"2.0","id":7,` + tt.want + `}`; len(got) != 1 || got[0] != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, strings.Join(got, "\n     "), want)
		}
		if status != 0 && status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, status, tt.status)
		}
	}
	if err := <-tl.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context of a call that timed out: %v", err)
	}
	checkProgress(t, w, result(`"content":[]`))
	checkIntroduction(t, w)
	if got := w.cancel(`"c"`); len(got) != 0 {
		t.Errorf("cancelled call was answered: %q", got)
	}
	if err := <-tl.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("context of a cancelled call: %v", err)
	}
}

func checkProgress(t *testing.T, w *wire, result string) {
	t.Helper()
	_, got := w.call("8", "tools/call", `"name":"steps"`, `"progressToken":"p"`, "steps")
	step := func(n string) string {
		return `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":` + n + `,"total":3}}`
	}
	if len(got) < 3 || got[0] != step("1") || got[len(got)-2] != step("3") || got[len(got)-1] != `{"jsonrpc":"2.0","id":8,`+result+`}` {
		t.Errorf("progress:\n%s", strings.Join(got, "\n"))
	}
}

func checkIntroduction(t *testing.T, w *wire) {
	t.Helper()
	_, got := w.call("9", "tools/list", "", "", "")
	for _, name := range []string{"echo", "now", "compute", "fail", "panic", "slow", "wait", "hold", "steps", "headers"} {
		if !strings.Contains(got[0], `"name":"`+name+`"`) {
			t.Errorf("tools/list: no %s in %s", name, got)
		}
	}
	if w.modern() {
		status, got := w.call("9", "server/discover", "", "", "")
		const want = `{"jsonrpc":"2.0","id":9,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1"}},` +
			`"ttlMs":0,"cacheScope":"public","supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"logging":{},"tools":{"listChanged":true}}}}`
		if got[0] != want || status != 0 && status != 200 {
			t.Errorf("server/discover: %d\n%s\n%s", status, got[0], want)
		}
		return
	}
	status, got := w.call("9", "initialize", `"protocolVersion":"`+w.version+`","capabilities":{},"clientInfo":{"name":"c","version":"1"}`, "", "")
	const want = `{"jsonrpc":"2.0","id":9,"error":{"code":-32600,"message":"the session is already initialized"}}`
	if got[0] != want || status != 0 && status != 200 {
		t.Errorf("second initialize: %d\n%s\n%s", status, got[0], want)
	}
}
