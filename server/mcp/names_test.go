package mcp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

type (
	in  struct{ Name string }
	out struct{ Greeting string }

	customParams struct {
		mcp.ParamsBase
		Text string `json:"text"`
	}
	customResult struct {
		mcp.ResultBase
		Latin string `json:"latin"`
	}
)

var (
	ctx     context.Context
	raw     json.RawMessage
	session *mcp.ServerSession
)

// sdkNames are the names that the server examples and docs/server.md of go-sdk
// v1.8 take from its package mcp and that tool authors need here: the same kind,
// with the fields, signatures and methods that are used there. That they compile
// is the test. What of those sources is not here, and why, is pinned in
// server/interop.
var sdkNames = map[string]any{
	// Tools.
	"Tool": mcp.Tool{
		Name: "greet", Title: "", Description: "", InputSchema: &jsonschema.Schema{Type: "object"}, OutputSchema: raw,
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, DestructiveHint: new(bool), OpenWorldHint: new(bool)},
		Icons:       []mcp.Icon{}, Meta: mcp.Meta{},
	},
	"AddTool": func(s *mcp.Server, t *mcp.Tool, h mcp.ToolHandlerFor[in, out]) { mcp.AddTool(s, t, h) },
	"ToolHandlerFor": mcp.ToolHandlerFor[in, out](
		func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, out, error) {
			return nil, out{}, nil
		}),
	"CallToolRequest": func(req *mcp.CallToolRequest) (string, json.RawMessage, *mcp.ServerSession, *mcp.RequestExtra) {
		return req.Params.Name, req.Params.Arguments, req.Session, req.Extra
	},
	"CallToolParams":    mcp.CallToolParams{Name: "greet", Arguments: map[string]any{}, Meta: mcp.Meta{}},
	"CallToolParamsRaw": mcp.CallToolParamsRaw{Name: "greet", Arguments: raw, InputResponses: mcp.InputResponseMap{}, RequestState: ""},
	"CallToolResult": mcp.CallToolResult{
		Content: []mcp.Content{&mcp.TextContent{}}, StructuredContent: out{}, IsError: true, Meta: mcp.Meta{},
		InputRequests: mcp.InputRequestMap{}, RequestState: "",
	},
	"ListToolsResult": mcp.ListToolsResult{Tools: []*mcp.Tool{}, NextCursor: ""},

	// Contents.
	"Content":      []mcp.Content{&mcp.TextContent{}, &mcp.ImageContent{}, &mcp.AudioContent{}, &mcp.ResourceLink{}, &mcp.EmbeddedResource{}},
	"TextContent":  mcp.TextContent{Text: "", Meta: mcp.Meta{}, Annotations: &mcp.Annotations{}},
	"ResourceLink": mcp.ResourceLink{Name: "", Title: "", MIMEType: "", URI: "", Description: "", Size: new(int64), Icons: []mcp.Icon{}},
	"ImageContent": mcp.ImageContent{Data: []byte{}, MIMEType: "", Meta: mcp.Meta{}, Annotations: &mcp.Annotations{}},
	"AudioContent": mcp.AudioContent{Data: []byte{}, MIMEType: "", Meta: mcp.Meta{}, Annotations: &mcp.Annotations{}},
	"EmbeddedResource": mcp.EmbeddedResource{
		Resource: &mcp.ResourceContents{}, Meta: mcp.Meta{}, Annotations: &mcp.Annotations{},
	},
	"Icon": mcp.Icon{Source: "", MIMEType: "", Sizes: []string{"48x48"}, Theme: mcp.IconThemeLight},
	"IconThemeLight": []mcp.IconTheme{
		mcp.IconThemeLight, mcp.IconThemeDark,
	},

	// The server.
	"NewServer": func(i *mcp.Implementation, o *mcp.ServerOptions) *mcp.Server { return mcp.NewServer(i, o) },
	"Server": func(s *mcp.Server) []any {
		return []any{
			s.AddTool, s.AddPrompt, s.AddResource, s.AddResourceTemplate, s.RemoveTools, s.RemovePrompts, s.RemoveResources,
			s.RemoveResourceTemplates, s.AddReceivingMiddleware, s.AddSendingMiddleware, s.ResourceUpdated,
		}
	},
	"Implementation": mcp.Implementation{Name: "", Title: "", Version: "", WebsiteURL: "", Icons: []mcp.Icon{}},
	"ServerOptions": mcp.ServerOptions{
		Instructions: "", Logger: &slog.Logger{}, PageSize: 10, Capabilities: &mcp.ServerCapabilities{},
		InitializedHandler:      func(context.Context, *mcp.InitializedRequest) {},
		RootsListChangedHandler: func(context.Context, *mcp.RootsListChangedRequest) {},
		CompletionHandler:       func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) { return nil, nil },
		SubscribeHandler:        func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler:      func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
	},
	"ServerCapabilities": mcp.ServerCapabilities{
		Logging: &mcp.LoggingCapabilities{}, Tools: &mcp.ToolCapabilities{}, Prompts: &mcp.PromptCapabilities{},
		Resources: &mcp.ResourceCapabilities{}, Completions: &mcp.CompletionCapabilities{}, Experimental: map[string]any{},
	},
	"ToolCapabilities":    mcp.ToolCapabilities{ListChanged: true},
	"LoggingCapabilities": mcp.LoggingCapabilities{},
	"ServerSession": func(ss *mcp.ServerSession) []any {
		return []any{
			ss.ID, ss.Log, ss.NotifyProgress, ss.InitializeParams, ss.Elicit, ss.CreateMessage, ss.CreateMessageWithTools,
			ss.ListRoots, ss.Ping,
		}
	},

	// Middleware.
	"MethodHandler": mcp.MethodHandler(func(context.Context, string, mcp.Request) (mcp.Result, error) { return nil, nil }),
	"Middleware":    mcp.Middleware(func(next mcp.MethodHandler) mcp.MethodHandler { return next }),
	"Request": func(req mcp.Request) (mcp.Session, mcp.Params, *mcp.RequestExtra) {
		return req.GetSession(), req.GetParams(), req.GetExtra()
	},
	"Result": func(r mcp.Result) map[string]any { r.SetMeta(nil); return r.GetMeta() },
	"AddReceivingCustomMethod": func(s *mcp.Server) error {
		return mcp.AddReceivingCustomMethod(s, "latin/translate",
			func(context.Context, *mcp.ServerSession, *customParams) (*customResult, error) {
				return &customResult{}, nil
			})
	},
	"ParamsBase": mcp.ParamsBase{Meta: mcp.Meta{}},
	"ResultBase": mcp.ResultBase{Meta: mcp.Meta{}},

	// Prompts.
	"Prompt": mcp.Prompt{Name: "", Title: "", Description: "", Arguments: []*mcp.PromptArgument{}, Icons: []mcp.Icon{}},
	"PromptArgument": mcp.PromptArgument{
		Name: "", Title: "", Description: "", Required: true,
	},
	"PromptMessage":    mcp.PromptMessage{Role: "user", Content: &mcp.TextContent{}},
	"GetPromptRequest": func(req *mcp.GetPromptRequest) *mcp.GetPromptParams { return req.Params },
	"GetPromptParams":  mcp.GetPromptParams{Name: "", Arguments: map[string]string{}},
	"GetPromptResult":  mcp.GetPromptResult{Description: "", Messages: []*mcp.PromptMessage{}, InputRequests: mcp.InputRequestMap{}},

	// Resources.
	"Resource": mcp.Resource{Name: "", Title: "", Description: "", MIMEType: "", URI: "", Size: 1, Icons: []mcp.Icon{}},
	"ResourceTemplate": mcp.ResourceTemplate{
		Name: "", Title: "", Description: "", MIMEType: "", URITemplate: "", Icons: []mcp.Icon{},
	},
	"ResourceContents":    mcp.ResourceContents{URI: "", MIMEType: "", Text: "", Blob: []byte{}, Meta: mcp.Meta{}},
	"ReadResourceRequest": func(req *mcp.ReadResourceRequest) string { return req.Params.URI },
	"ReadResourceParams":  mcp.ReadResourceParams{URI: ""},
	"ReadResourceResult":  mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{}},
	"Cacheable":           mcp.Cacheable{TTLMs: 1, CacheScope: "public"},
	"SubscribeRequest":    func(req *mcp.SubscribeRequest) *mcp.SubscribeParams { return req.Params },
	"SubscribeParams":     mcp.SubscribeParams{URI: ""},
	"UnsubscribeRequest":  func(req *mcp.UnsubscribeRequest) *mcp.UnsubscribeParams { return req.Params },
	"UnsubscribeParams":   mcp.UnsubscribeParams{URI: ""},
	"ResourceUpdatedNotificationParams": mcp.ResourceUpdatedNotificationParams{
		URI: "", Meta: mcp.Meta{},
	},
	"ResourceNotFoundError": func(uri string) error { return mcp.ResourceNotFoundError(uri) },

	// Completion and logging.
	"CompleteRequest": func(req *mcp.CompleteRequest) []string {
		p := req.Params
		return []string{p.Ref.Type, p.Ref.Name, p.Ref.URI, p.Argument.Name, p.Argument.Value, p.Context.Arguments["a"]}
	},
	"CompleteResult":          mcp.CompleteResult{Completion: mcp.CompletionResultDetails{}},
	"CompletionResultDetails": mcp.CompletionResultDetails{HasMore: true, Total: 1, Values: []string{}},
	"LoggingMessageParams":    mcp.LoggingMessageParams{Logger: "", Level: "error", Data: any(1)},
	"SetLoggingLevelParams":   mcp.SetLoggingLevelParams{Level: mcp.LoggingLevel("info")},
	"NewLoggingHandler": func(ss *mcp.ServerSession) slog.Handler {
		return mcp.NewLoggingHandler(ss, &mcp.LoggingHandlerOptions{LoggerName: "", MinInterval: 1})
	},

	// Asking the client.
	"ElicitParams": mcp.ElicitParams{Mode: "", Message: "", RequestedSchema: &jsonschema.Schema{}, URL: "", ElicitationID: ""},
	"ElicitResult": mcp.ElicitResult{Action: "accept", Content: map[string]any{}},
	"CreateMessageParams": mcp.CreateMessageParams{
		Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{}}}, MaxTokens: 1, SystemPrompt: "",
		ModelPreferences: &mcp.ModelPreferences{Hints: []*mcp.ModelHint{{Name: ""}}},
	},
	"ListRootsParams": mcp.ListRootsParams{},
	"InputRequestMap": mcp.InputRequestMap{"a": &mcp.ElicitParams{}, "b": &mcp.CreateMessageParams{}, "c": &mcp.ListRootsParams{}},
}

// Signatures that the functions above do not pin.
var _ = []any{
	mcp.ToolHandler(func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return nil, nil }),
	mcp.PromptHandler(func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) { return nil, nil }),
	mcp.ResourceHandler(func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) { return nil, nil }),
	func() (func(*mcp.Tool, mcp.ToolHandler), func(*mcp.Prompt, mcp.PromptHandler), func(*mcp.Resource, mcp.ResourceHandler), func(*mcp.ResourceTemplate, mcp.ResourceHandler)) {
		var s *mcp.Server
		return s.AddTool, s.AddPrompt, s.AddResource, s.AddResourceTemplate
	},
	func() (int, int, int) {
		return mcp.CodeMissingRequiredClientCapabilities, mcp.CodeURLElicitationRequired, mcp.CodeUnsupportedProtocolVersion
	},
	func() (*mcp.ElicitResult, error) { return session.Elicit(ctx, &mcp.ElicitParams{}) },
	func() (*mcp.CreateMessageResult, error) {
		return session.CreateMessage(ctx, &mcp.CreateMessageParams{})
	},
	func() (*mcp.ListRootsResult, error) { return session.ListRoots(ctx, nil) },
	func() error { return session.Ping(ctx, nil) },
	func() error { return session.Log(ctx, &mcp.LoggingMessageParams{}) },
	func() error { return session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{}) },
	func() error { return mcp.URLElicitationRequiredError([]*mcp.ElicitParams{}) },
}

// TestSDKNames counts what is pinned above, and that no entry has the name of
// another.
func TestSDKNames(t *testing.T) {
	if got := len(sdkNames); got < 60 {
		t.Errorf("%d names are pinned, want at least 60", got)
	}
	for name, v := range sdkNames {
		typ := reflect.TypeOf(v)
		if v == nil {
			t.Errorf("%s is pinned by nothing", name)
		} else if typ.Kind() == reflect.Struct && typ.Name() != name {
			t.Errorf("%s is pinned by %s", name, typ.Name())
		}
	}
}

func TestCustomMethodTyped(t *testing.T) {
	s := mcp.NewServer(&mcp.Implementation{Name: "latin"}, nil)
	translate := func(_ context.Context, ss *mcp.ServerSession, p *customParams) (*customResult, error) {
		switch p.Text {
		case "":
			return nil, nil
		case "gone":
			return nil, &jsonrpc.Error{Code: 7, Message: "gone"}
		}
		return &customResult{ResultBase: mcp.ResultBase{Meta: mcp.Meta{"in": p.Meta["k"]}}, Latin: p.Text + "us " + ss.Version()}, nil
	}
	if err := mcp.AddReceivingCustomMethod(s, "latin/translate", translate); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tools/call", "notifications/x", ""} {
		if mcp.AddReceivingCustomMethod(s, name, translate) == nil {
			t.Errorf("%q can be replaced", name)
		}
	}
	for _, tt := range []struct{ params, want string }{
		{`{"text":"domin","_meta":{"k":"v"}}`, `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"latin","version":""},"in":"v"},"latin":"dominus 2026-07-28"}`},
		{``, `"serverInfo":{"name":"latin","version":""}}}`},
		{`{"text":"gone"}`, `"error":{"code":7,"message":"gone"}`},
		{`{"text":1}`, `"error":{"code":-32602,"message":"invalid params of latin/translate: text must not be a JSON number"}`},
		{`{"TEXT":"exact case"}`, `"version":""}}}`},
	} {
		call := &mcp.Call{Method: "latin/translate", ID: []byte("1"), Params: []byte(tt.params), Modern: true}
		got, _ := s.Serve(t.Context(), call, nil)
		if m, err := jsonrpc.Parse(got, nil); err != nil {
			t.Errorf("%s: %s: %v", tt.params, got, err)
		} else if m.Error == nil && !strings.Contains(string(got), tt.want[1:]) || m.Error != nil && !strings.Contains(string(got), tt.want) {
			t.Errorf("%s: %s, want %s", tt.params, got, tt.want)
		}
	}
}

// TestCustomResult: members that every result has are not sent twice.
func TestCustomResult(t *testing.T) {
	s := mcp.NewServer(&mcp.Implementation{Name: "s"}, nil)
	s.AddMethod("example.com/echo", func(_ context.Context, req *mcp.CustomRequest) (any, error) { return req.Params.Raw, nil })
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			res, err := next(ctx, method, req)
			if err == nil {
				res.SetMeta(map[string]any{"a": "middleware"})
			}
			return res, err
		}
	})
	params := `{"x":1,"resultType":"mine","_meta":{"a":1,"b":2}}`
	for _, tt := range []struct {
		modern bool
		want   string
	}{
		{true, `{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":""},"a":"middleware","b":2},"x":1}`},
		{false, `{"_meta":{"a":"middleware","b":2},"x":1,"resultType":"mine"}`},
	} {
		call := &mcp.Call{Method: "example.com/echo", ID: []byte("1"), Params: []byte(params), Modern: tt.modern}
		if !tt.modern {
			call.Session = s.NewSession("s", nil)
			open := &mcp.Call{Method: "initialize", ID: []byte("0"), Params: []byte(`{"protocolVersion":"2025-11-25","capabilities":{}}`), Session: call.Session}
			s.Serve(t.Context(), open, nil)
		}
		out, _ := s.Serve(t.Context(), call, nil)
		if m, err := jsonrpc.Parse(out, nil); err != nil || string(m.Result) != tt.want {
			t.Errorf("result %s, %v, want %s", out, err, tt.want)
		}
	}
}
