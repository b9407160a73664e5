package mcp

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
)

func TestVersions(t *testing.T) {
	all := SupportedVersions()
	if len(all) != 5 || all[0] != Version20260728 || all[4] != Version20241105 {
		t.Errorf("SupportedVersions = %v", all)
	}
	all[0] = "changed"
	if SupportedVersions()[0] == "changed" {
		t.Error("SupportedVersions returns its own slice")
	}
	for _, v := range SupportedVersions() {
		r, ok := revisionOf(v)
		if !ok || r.version() != v || r.modern() != IsModern(v) {
			t.Errorf("%s: revision %v, %v", v, r, ok)
		}
	}
	for requested, want := range map[string]string{
		Version20241105: Version20241105, Version20251125: Version20251125,
		Version20260728: Version20251125, "2099-01-01": Version20251125, "": Version20251125,
	} {
		if got := negotiate(requested).version(); got != want {
			t.Errorf("negotiate(%q) = %s, want %s", requested, got, want)
		}
	}
}

func TestPlan(t *testing.T) {
	pass := func(h MethodHandler) MethodHandler { return h }
	hooked := quiet()
	hooked.InitializedHandler = func(context.Context, *InitializedRequest) {}
	hooked.ToolTimeout = -1
	wrapped := fixture(nil)
	wrapped.AddReceivingMiddleware(pass)
	endless := fixture(hooked)
	AddTool(endless, &Tool{Name: "endless", Timeout: -1}, echo)
	tests := []struct {
		name   string
		s      *Server
		method string
		params string
		want   Plan
	}{
		{"ping", fixture(nil), "ping", ``, Plan{Class: ClassInline}},
		{"list", fixture(nil), "tools/list", ``, Plan{Class: ClassInline}},
		{"unknown", fixture(nil), "no/such", ``, Plan{Class: ClassInline}},
		{"initialized", fixture(nil), "notifications/initialized", ``, Plan{Class: ClassInline}},
		{"initialized, handler", endless, "notifications/initialized", ``, Plan{Class: ClassBlocking}},
		{"inline", fixture(nil), "tools/call", `{"name":"echo"}`, Plan{Class: ClassInline}},
		{"cpu", fixture(nil), "tools/call", `{"name":"add"}`, Plan{Class: ClassCPU, Timeout: time.Second}},
		{"blocking", fixture(nil), "tools/call", `{"name":"f\u0061il"}`, Plan{Class: ClassBlocking, Timeout: 30 * time.Second}},
		{"no limit", endless, "tools/call", `{"name":"endless"}`, Plan{Class: ClassBlocking}},
		{"no such tool", fixture(nil), "tools/call", `{"name":"nope"}`, Plan{Class: ClassInline}},
		{"no name", wrapped, "tools/call", `{}`, Plan{Class: ClassInline}},
		{"middleware, ping", wrapped, "ping", ``, Plan{Class: ClassBlocking, Timeout: 30 * time.Second}},
		{"middleware, inline", wrapped, "tools/call", `{"name":"echo"}`, Plan{Class: ClassBlocking, Timeout: 30 * time.Second}},
		{"middleware, cpu", wrapped, "tools/call", `{"name":"add"}`, Plan{Class: ClassCPU, Timeout: time.Second}},
		{"middleware, no such tool", wrapped, "tools/call", `{"name":"nope"}`, Plan{Class: ClassBlocking, Timeout: 30 * time.Second}},
	}
	for _, tt := range tests {
		ss := dial(t, tt.s, Version20251125).session
		newCall := func() *Call {
			return &Call{Method: tt.method, ID: []byte("1"), Params: []byte(tt.params), Session: ss}
		}
		if got := tt.s.Plan(newCall()); got != tt.want {
			t.Errorf("%s: Plan = %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// A subscription names tasks whether there are any or not: a store is asked for
// them, which may block.
func TestPlanOfListen(t *testing.T) {
	stored := quiet()
	stored.TaskStore = newBrokenStore(nil)
	remembered := empty(quiet())
	remembered.tasks.note(&TaskRecord{ID: "T"})
	for name, tt := range map[string]struct {
		s    *Server
		want Class
	}{
		"nothing": {empty(quiet()), ClassInline}, "a store": {empty(stored), ClassBlocking}, "tasks of old": {remembered, ClassBlocking},
	} {
		c := &Call{Method: MethodListen, ID: []byte("1"), Params: []byte(`{"notifications":{},` + modernMeta + `}`), Modern: true}
		if got := tt.s.Plan(c).Class; got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestPlanAllocs(t *testing.T) {
	s := fixture(nil)
	params := []byte(`{"name":"echo","arguments":{"text":"x"},` + modernMeta + `}`)
	var c Call
	got := testing.AllocsPerRun(100, func() {
		c = Call{Method: methodCallTool, Params: params, Modern: true}
		s.Plan(&c)
	})
	if got != 0 || c.tool == nil {
		t.Errorf("Plan: %v allocations, tool %v", got, c.tool)
	}
}

func TestAppendTimeout(t *testing.T) {
	c := dial(t, fixture(nil), Version20250618)
	call, _ := c.parse(`{"id":7,"method":"tools/call","params":{"name":"echo"}}`)
	c.s.Plan(call)
	want := `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"tool \"echo\" did not finish within 30s"}],"isError":true}}`
	if got := string(c.s.AppendTimeout(nil, call, 30*time.Second)); got != want {
		t.Errorf("AppendTimeout = %s", got)
	}
	call, _ = c.parse(`{"id":7,"method":"tools/list"}`)
	want = `{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"tools/list did not finish within 1.5s"}}`
	if got := string(c.s.AppendTimeout(nil, call, 1500*time.Millisecond)); got != want {
		t.Errorf("AppendTimeout = %s", got)
	}
}

func TestPanicLog(t *testing.T) {
	var log bytes.Buffer
	s := fixture(&ServerOptions{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	AddTool(s, &Tool{Name: "index"}, func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
		var none []int
		return nil, none[math.MaxInt8], nil
	})
	c := dial(t, s, Version20260728)
	log.Reset()
	out := c.ask("tools/call", `"name":"panic","arguments":{"password":"hunter2"}`)
	if !strings.Contains(out, `"isError":true`) || strings.Contains(out, "secret") {
		t.Errorf("a panic is answered with %s", out)
	}
	line := log.String()
	for _, want := range []string{`"level":"ERROR"`, `"method":"tools/call"`, `"tool":"panic"`, "harness_test.go"} {
		if !strings.Contains(line, want) {
			t.Errorf("the log line lacks %s: %s", want, line)
		}
	}
	for _, bad := range []string{"hunter2", "a secret argument"} {
		if strings.Contains(line, bad) {
			t.Errorf("the log line holds %q", bad)
		}
	}
	log.Reset()
	c.ask("tools/call", `"name":"index"`)
	if !strings.Contains(log.String(), "index out of range") {
		t.Errorf("the log line lacks the runtime's text: %s", log.String())
	}
}

func TestPanicElsewhere(t *testing.T) {
	o := quiet()
	o.InitializedHandler = func(context.Context, *InitializedRequest) { panic("handler") }
	s := fixture(o)
	c := dial(t, s, Version20251125) // survives the handler's panic
	s.AddReceivingMiddleware(func(MethodHandler) MethodHandler {
		return func(context.Context, string, Request) (Result, error) { panic("middleware") }
	})
	if got, want := c.ask("tools/list", ""), `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"tools/list failed because of an internal error"}}`; got != want {
		t.Errorf("got %s", got)
	}
}

func TestBadResults(t *testing.T) {
	s := fixture(nil)
	add := func(name string, res *CallToolResult) {
		s.AddTool(&Tool{Name: name, InputSchema: rawJSON(`{"type":"object"}`)}, func(context.Context, *CallToolRequest) (*CallToolResult, error) { return res, nil })
	}
	add("nil", nil)
	add("chan", &CallToolResult{StructuredContent: make(chan int)})
	add("rawbad", &CallToolResult{StructuredContent: rawJSON(`{"a":`)})
	add("meta", &CallToolResult{Meta: Meta{"x": math.NaN()}})
	add("contentmeta", &CallToolResult{Content: []Content{&TextContent{Meta: Meta{"x": math.Inf(1)}}}})
	add("annotations", &CallToolResult{Content: []Content{&ImageContent{Annotations: &Annotations{Priority: math.NaN()}}}})
	add("resource", &CallToolResult{Content: []Content{&EmbeddedResource{}}})
	add("resourcemeta", &CallToolResult{Content: []Content{&EmbeddedResource{Resource: &ResourceContents{Meta: Meta{"x": math.NaN()}}}}})
	for _, version := range []string{Version20251125, Version20260728} {
		c := dial(t, s, version)
		if got := c.ask("tools/call", `"name":"nil"`); !strings.Contains(got, `"content":[]`) {
			t.Errorf("nil result: %s", got)
		}
		for _, name := range []string{"chan", "rawbad", "meta", "contentmeta", "annotations", "resource", "resourcemeta"} {
			want := `tool \"` + name + `\" returned a result that cannot be encoded as JSON"}],"isError":true}}`
			if got := c.ask("tools/call", `"name":"`+name+`"`); !strings.HasSuffix(got, want) {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
}

func TestLegacyGate(t *testing.T) {
	s := fixture(nil)
	c := &client{t: t, s: s, session: s.NewSession("x", nil)}
	if out, _ := c.raw(`{"id":1,"method":"tools/list"}`); !strings.Contains(out, "-32600") {
		t.Errorf("tools/list before initialize: %s", out)
	}
	c.raw(`{"method":"notifications/initialized"}`)
	if c.session.ready.Load() || c.session.Version() != "" || c.session.InitializeParams() != nil {
		t.Error("notifications/initialized counts before initialize")
	}
	// A host that has no session at all.
	call := &Call{Method: "initialize", ID: []byte("1"), Params: []byte(`{"protocolVersion":"2025-11-25"}`)}
	if out, _ := s.Serve(t.Context(), call, nil); !strings.Contains(string(out), "initialize needs a session") {
		t.Errorf("initialize without a session: %s", out)
	}
	call = &Call{Method: "ping", ID: []byte("1"), Version: Version20241105}
	if out, _ := s.Serve(t.Context(), call, nil); !strings.Contains(string(out), `"result":{}`) {
		t.Errorf("ping without a session: %s", out)
	}
}

func TestInfo(t *testing.T) {
	s := fixture(nil)
	if s.Implementation().Name != "fixture" {
		t.Error("Implementation")
	}
	if caps := s.Capabilities(); caps.Tools == nil || !caps.Tools.ListChanged {
		t.Errorf("Capabilities = %+v", caps)
	}
	if caps := NewServer(&Implementation{}, nil).Capabilities(); caps.Tools != nil {
		t.Errorf("Capabilities without tools = %+v", caps)
	}
	for c, want := range map[Class]string{ClassBlocking: "blocking", ClassCPU: "cpu", ClassInline: "inline", 9: "class 9"} {
		if c.String() != want {
			t.Errorf("Class.String = %s, want %s", c, want)
		}
	}
	AddTool(s, &Tool{Name: "sql", InputSchema: rawJSON(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`)},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) { return nil, nil, nil })
	if h, hidden := s.HeaderParams([]byte("sql")); len(h) != 1 || hidden {
		t.Errorf("HeaderParams = %v", h)
	}
	for _, tool := range []string{"echo", "nope"} {
		if h, _ := s.HeaderParams([]byte(tool)); h != nil {
			t.Errorf("HeaderParams of %s = %v", tool, h)
		}
	}
}

func TestNewServerPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"nil":      func() { NewServer(nil, nil) },
		"pagesize": func() { NewServer(&Implementation{}, &ServerOptions{PageSize: -1}) },
		"ttl":      func() { NewServer(&Implementation{}, &ServerOptions{ListTTL: -1}) },
	} {
		if msg := panics(f); !strings.HasPrefix(msg, "mcp: NewServer: ") {
			t.Errorf("%s: panic %q", name, msg)
		}
	}
}

func panics(f func()) (msg string) {
	defer func() { msg, _ = recover().(string) }()
	f()
	return ""
}

func TestPrincipal(t *testing.T) {
	s := fixture(nil)
	var got *auth.Principal
	AddTool(s, &Tool{Name: "who"}, func(_ context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		got = req.Extra.Principal
		return nil, nil, nil
	})
	alice := &auth.Principal{ID: "alice"}
	for _, p := range []*auth.Principal{alice, nil} {
		c := Call{Method: methodCallTool, ID: []byte("1"), Params: []byte(`{"name":"who"}`), Modern: true, Principal: p}
		s.Serve(t.Context(), &c, nil)
		if want := p; want == nil && got != auth.Anonymous || want != nil && got != want {
			t.Errorf("Principal = %v, want %v", got, want)
		}
	}
}

func TestModernChecks(t *testing.T) {
	s := fixture(nil)
	long := strings.Repeat("\xff9", 100)
	err := s.CheckVersion([]byte(long))
	if err == nil || err.Code != CodeUnsupportedProtocolVersion {
		t.Fatalf("CheckVersion = %v", err)
	}
	if out := jsonrpc.AppendError(nil, []byte("1"), err); len(out) > 300 || !jsonValid(out) {
		t.Errorf("CheckVersion echoes %s", out)
	}
	if err := s.CheckVersion([]byte(Version20251125)); err == nil {
		t.Error("a legacy revision passes CheckVersion")
	}
}

// TestMetaIsParsed serves calls whose Meta the host left to the engine.
func TestMetaIsParsed(t *testing.T) {
	s := fixture(nil)
	for params, want := range map[string]struct {
		text   string
		status int
	}{
		`{"name":"echo","arguments":{"text":"x"}}`: {`"text":"x"`, 200},
		`[]`: {"params must be an object", 400},
		`{"_meta":5,"name":"echo","arguments":{"text":"x"}}`: {"params._meta must be an object", 400},
		``: {"needs params.name", 400},
	} {
		call := &Call{Method: methodCallTool, ID: []byte("1"), Params: []byte(params), Modern: true}
		if out, status := s.Serve(t.Context(), call, nil); status != want.status || !strings.Contains(string(out), want.text) {
			t.Errorf("%s: %d %s", params, status, out)
		}
	}
}

// TestTimeoutBesideServe answers a call at its deadline while it still runs.
func TestTimeoutBesideServe(t *testing.T) {
	s := fixture(nil)
	running, release := make(chan bool), make(chan bool)
	AddTool(s, &Tool{Name: "slow"}, func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
		running <- true
		<-release
		return nil, nil, nil
	})
	call := &Call{Method: methodCallTool, ID: []byte("1"), Params: []byte(`{"name":"slow"}`), Modern: true}
	s.Plan(call)
	done := make(chan bool)
	go func() {
		s.Serve(context.Background(), call, nil)
		close(done)
	}()
	<-running
	if out := s.AppendTimeout(nil, call, time.Second); !bytes.Contains(out, []byte("did not finish within 1s")) {
		t.Errorf("AppendTimeout: %s", out)
	}
	release <- true
	<-done
}

func TestNotificationAsRequest(t *testing.T) {
	c := dial(t, fixture(nil), Version20251125)
	if got, want := c.ask("notifications/initialized", ""), `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`; got != want {
		t.Errorf("got %s", got)
	}
	c.raw(`{"method":"tools/call","params":{"name":"panic"}}`) // a request without an id is ignored
	c.raw(`{"method":"notifications/initialized","params":{"_meta":5}}`)
}
