package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// These are holes that a review has found, each as it was found.

// allowing is a server with a policy, and tokens: "low" is ann with the scope read,
// "high" is ann with the scope admin.
func allowing(t *testing.T, tl *tools, allow ...string) *Server {
	return &Server{
		MCP: tl.mcp, Policy: &auth.Policy{Allow: parsedRules(t, allow...)},
		Auth: auth.NewBearer(tokens{"low": {ID: "ann", Scopes: []string{"read"}}, "high": {ID: "ann", Scopes: []string{"admin"}}}),
	}
}

func (r *runningServer) as(token, method, name, params string) reply {
	r.t.Helper()
	fields := append(modernFields(method, name), "Authorization: Bearer "+token)
	return r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+join(params, modernMeta)+`}}`, fields...)
}

// TestEscapedURI: a URI of a template reads as its handler will decode it.
func TestEscapedURI(t *testing.T) {
	tl := newTools()
	tl.mcp.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "db://{table}/row", Name: "rows"}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "row"}}}, nil
	})
	s := allowing(t, tl, "resource:db://*")
	s.Policy.Deny = parsedRules(t, "resource:db://secret/*")
	r := serve(t, s)
	for uri, open := range map[string]bool{"db://public/row": true, "db://p%75blic/row": true, "db://secret/row": false, "db://%73ecret/row": false, "db://%73%65cret/row": false} {
		rep := r.as("low", "resources/read", uri, `"uri":"`+uri+`"`)
		if got := strings.Contains(rep.body(), `"text":"row"`); got != open {
			t.Errorf("%s: open %v, want %v: %s", uri, got, open, rep.body())
		}
	}
}

// TestTaskOfAnotherScope: what a token could not start, it cannot read either.
func TestTaskOfAnotherScope(t *testing.T) {
	tl := newTools()
	tl.mcp.AddTool(&mcp.Tool{Name: "report", InputSchema: json.RawMessage(`{"type":"object"}`), Task: mcp.TaskOptional}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "secret"}}}, nil
	})
	r := serve(t, allowing(t, tl, "tool:report needs admin"))
	ask := func(token, method, name, params string) reply {
		fields := append(modernFields(method, name), "Authorization: Bearer "+token)
		return r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
			`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}`, fields...)
	}
	rep := ask("high", "tools/call", "report", `"name":"report"`)
	_, rest, ok := strings.Cut(rep.body(), `"taskId":"`)
	if !ok {
		t.Fatalf("no task: %s", rep.body())
	}
	id, _, _ := strings.Cut(rest, `"`)
	for _, method := range []string{"tasks/get", "tasks/cancel"} {
		if rep := ask("low", method, id, `"taskId":"`+id+`"`); strings.Contains(rep.body(), "secret") || !strings.Contains(rep.body(), "-32602") {
			t.Errorf("%s with fewer scopes: %s", method, rep.body())
		}
	}
	await(t, "the task is done", func() bool {
		return strings.Contains(ask("high", "tasks/get", id, `"taskId":"`+id+`"`).body(), "secret")
	})
	if rep := ask("low", "tasks/get", id, `"taskId":"`+id+`"`); strings.Contains(rep.body(), "secret") {
		t.Errorf("with fewer scopes: %s", rep.body())
	}
}

// stuckVerifier takes its time for tokens it does not know.
type stuckVerifier struct {
	tokens
	free chan struct{}
}

func (v stuckVerifier) Verify(ctx context.Context, token string) (*auth.Principal, error) {
	if v.tokens[token] == nil {
		select {
		case <-v.free:
		case <-ctx.Done():
		}
	}
	return v.tokens.Verify(ctx, token)
}

// TestStrangersTakeNoWorkers: credentials that are being verified leave the workers
// to those who are known.
func TestStrangersTakeNoWorkers(t *testing.T) {
	v := stuckVerifier{tokens{"known": {ID: "ann"}}, make(chan struct{})}
	r := serve(t, &Server{MCP: newTools().mcp, Workers: 8, Auth: auth.NewBearer(v), Policy: auth.AllowAll()})
	if rep := r.as("known", "tools/call", "echo", `"name":"echo","arguments":{"text":"hi"}`); rep.status != 200 {
		t.Fatalf("%d %s", rep.status, rep.body())
	}
	statuses := make(chan int, 20)
	for i := range cap(statuses) {
		go func() {
			rep, err := r.try(context.Background(), "POST", listMessage, fmt.Sprintf("Authorization: Bearer stranger%d", i))
			if err != nil {
				t.Error(err)
			}
			statuses <- rep.status
		}()
	}
	for range cap(statuses) - 1 { // one of eight workers may wait for them
		if status := <-statuses; status != 503 {
			t.Errorf("a stranger beside another is answered %d", status)
		}
	}
	start := time.Now()
	if rep := r.as("known", "tools/call", "echo", `"name":"echo","arguments":{"text":"hi"}`); rep.status != 200 {
		t.Errorf("%d %s", rep.status, rep.body())
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("a known caller waits %v for strangers", d)
	}
	if n := r.running.Load().gate.judgedFrom.Keys(); n != 1 {
		t.Errorf("%d addresses are being judged, want one", n)
	}
	close(v.free)
	if status := <-statuses; status != 401 {
		t.Errorf("the stranger that was judged is answered %d", status)
	}
}

// TestSlowListen: a subscription whose credential ends while it is opened ends too.
func TestSlowListen(t *testing.T) {
	tl := newTools()
	opts := &mcp.ServerOptions{Logger: quiet, Capabilities: &mcp.ServerCapabilities{Resources: &mcp.ResourceCapabilities{Subscribe: true}}}
	opened := make(chan struct{})
	opts.ResourceFilter = func(context.Context, *mcp.Caller, *mcp.Resource) bool { <-opened; return true }
	tl.mcp = mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, opts)
	tl.mcp.AddResource(&mcp.Resource{URI: "test://r", Name: "r"}, nothingRead)
	s := allowing(t, tl, "resource:*")
	s.Auth = auth.NewBearer(tokens{"tok": {ID: "ann", Expires: time.Now().Add(1200 * time.Millisecond)}})
	r := serve(t, s)
	resp := make(chan error, 1)
	go func() {
		res, err := r.open(t.Context(), "POST", `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["test://r"]},`+modernMeta+`}}`,
			append(modernFields("subscriptions/listen", ""), "Authorization: Bearer tok")...)
		if err == nil {
			defer res.Body.Close()
			_, err = io.Copy(io.Discard, res.Body)
		}
		resp <- err
	}()
	time.AfterFunc(2500*time.Millisecond, func() { close(opened) })
	select {
	case err := <-resp:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(8 * time.Second):
		t.Error("the subscription goes on")
	}
}

func nothingRead(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	return &mcp.ReadResourceResult{}, nil
}

// TestDeniedMethods: rules for methods hold for all of them.
func TestDeniedMethods(t *testing.T) {
	s := allowing(t, newTools(), "tool:*", "method:tools/list needs admin")
	s.Policy.Deny = parsedRules(t, "method:tools/call for ann", "method:logging/*")
	r := serve(t, s)
	if rep := r.as("low", "tools/call", "echo", `"name":"echo","arguments":{"text":"hi"}`); rep.status != 403 || !strings.Contains(rep.body(), `"type":"forbidden"`) {
		t.Errorf("a denied method: %d %s", rep.status, rep.body())
	}
	if rep := r.as("low", "tools/list", "", ""); rep.status != 403 || !strings.Contains(rep.body(), `"scopes":["admin"]`) {
		t.Errorf("a method that needs a scope: %d %s", rep.status, rep.body())
	}
	if rep := r.as("high", "tools/list", "", ""); rep.status != 200 {
		t.Errorf("with the scope: %d %s", rep.status, rep.body())
	}
}

// TestLongName: an answer does not echo what was asked at any length.
func TestLongName(t *testing.T) {
	r := serve(t, allowing(t, newTools(), "prompt:* needs admin"))
	for _, n := range []int{1000, 9000, 100_000} {
		name := strings.Repeat("n", n)
		rep := r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"`+name+`"}}`, "Authorization: Bearer low",
			"Mcp-Session-Id: "+r.initialize(mcp.Version20251125, "Authorization: Bearer low"))
		if len(rep.body()) > 1000 || strings.Contains(rep.body(), `"result"`) {
			t.Errorf("a name of %d bytes is answered with %d bytes, %d: %.100s", n, len(rep.body()), rep.status, rep.body())
		}
	}
}

// TestMalformedCredentialOnSSE is told to its sender, not to the session.
func TestMalformedCredentialOnSSE(t *testing.T) {
	s := allowing(t, newTools(), "tool:*")
	s.LegacySSE = true
	r := serve(t, s)
	p := r.sse("Authorization: Bearer low")
	rep := p.try(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Authorization: Bearer a b")
	if rep.status != 400 {
		t.Errorf("%d %s", rep.status, rep.body())
	}
}

// TestDeniedToolUsesUpNothing: calls of a tool that a caller may not use neither take
// its rate from those who may, nor show by it that the tool exists.
func TestDeniedToolUsesUpNothing(t *testing.T) {
	s := allowing(t, newTools(), "tool:hold needs admin", "tool:echo for key:nobody")
	s.Policy.Deny = parsedRules(t, "tool:now")
	s.Limits.Tools = []ToolLimit{{Pattern: "*", Rate: slow(1), Concurrent: 1}}
	r := serve(t, s)
	for range 3 {
		for _, tool := range []string{"echo", "now", "no_such_tool"} {
			rep := r.as("low", "tools/call", tool, `"name":"`+tool+`"`)
			if rep.status != 200 || !strings.Contains(rep.body(), "unknown tool") {
				t.Errorf("%s: %d %s", tool, rep.status, rep.body())
			}
		}
		if rep := r.as("low", "tools/call", "hold", `"name":"hold"`); rep.status != 403 {
			t.Errorf("a tool that needs a scope: %d %s", rep.status, rep.body())
		}
	}
	s.MCP.RemoveTools("hold")
	mcp.AddTool(s.MCP, &mcp.Tool{Name: "hold"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	for i, want := range []int{200, 429} {
		if rep := r.as("high", "tools/call", "hold", `"name":"hold","arguments":{}`); rep.status != want {
			t.Errorf("call %d of who may: %d %s", i+1, rep.status, rep.body())
		}
	}
}

// TestJudgedByAddress: a quarter of the places is for one address; all come back.
func TestJudgedByAddress(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp, Workers: 128, Auth: auth.NewBearer(tokens{}), Policy: auth.AllowAll()})
	stranger := func(remote string) *inbound {
		l := &transport.Link{ID: 1, Protocol: transport.HTTP, Remote: remote}
		g.Opened(l)
		return &inbound{gate: g, conn: stateOf(l)}
	}
	var waiting []*inbound
	for _, tt := range []struct {
		remote string
		most   int
	}{{"192.0.2.1:1", 4}, {"192.0.2.2:1", 4}, {"unix", 8}, {"192.0.2.3:1", 0}} { // of 16
		for n := range tt.most + 1 {
			in := stranger(tt.remote)
			if ok := in.judge(); ok != (n < tt.most) {
				t.Errorf("%s, credential %d: %v", tt.remote, n+1, ok)
			} else if ok {
				waiting = append(waiting, in)
			}
		}
	}
	for _, in := range waiting {
		in.judged()
	}
	if n := g.judging.Load(); n != 0 || g.judgedFrom.Keys() != 0 {
		t.Errorf("%d places are taken, by %d addresses", n, g.judgedFrom.Keys())
	}
}
