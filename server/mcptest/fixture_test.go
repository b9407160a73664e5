package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eachVersion runs a test for every revision.
func eachVersion(t *testing.T, test func(t *testing.T, version string)) {
	for _, version := range mcp.SupportedVersions() {
		t.Run(version, func(t *testing.T) { test(t, version) })
	}
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

func form(property string) json.RawMessage {
	return json.RawMessage(`{"type":"object","properties":{"` + property + `":{"type":"string"}}}`)
}

type addArgs struct {
	A int `json:"a"`
	B int `json:"b"`
}

type sum struct {
	Sum int `json:"sum"`
}

// fixture is a server with something of everything.
func fixture() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "fixture", Version: "1.0.0"}, &mcp.ServerOptions{
		Instructions: "try it",
		Logger:       slog.New(slog.DiscardHandler),
		PageSize:     4,
		CompletionHandler: func(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{req.Params.Argument.Value + "!"}}}, nil
		},
	})
	addTools(s)
	addAsking(s)
	addTasks(s)
	s.AddPrompt(&mcp.Prompt{Name: "hello", Arguments: []*mcp.PromptArgument{{Name: "name", Required: true}}},
		func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Description: "a greeting", Messages: []*mcp.PromptMessage{
				{Role: mcp.RoleUser, Content: &mcp.TextContent{Text: "Say hello to " + req.Params.Arguments["name"]}},
			}}, nil
		})
	s.AddPrompt(&mcp.Prompt{Name: "ask"}, func(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		r, err := req.Elicit(ctx, "who", &mcp.ElicitParams{Message: "who?", RequestedSchema: form("who")})
		if err != nil {
			return nil, err
		}
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: mcp.RoleUser, Content: &mcp.TextContent{Text: fmt.Sprint(r.Content["who"])}}}}, nil
	})
	s.AddResource(&mcp.Resource{Name: "note", URI: "file:///note", MIMEType: "text/plain"},
		func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{Text: "a note"}}}, nil
		})
	s.AddResourceTemplate(&mcp.ResourceTemplate{Name: "page", URITemplate: "page:///{n}"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{Blob: []byte(req.Params.Variables["n"])}}}, nil
		})
	s.AddMethod("example.com/echo", func(_ context.Context, req *mcp.CustomRequest) (any, error) { return req.Params.Raw, nil })
	return s
}

func addTools(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "sends back", Class: mcp.ClassInline},
		func(_ context.Context, _ *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, any, error) {
			return text(fmt.Sprint(in["text"])), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "add", Description: "adds", Class: mcp.ClassCPU},
		func(_ context.Context, _ *mcp.CallToolRequest, in addArgs) (*mcp.CallToolResult, sum, error) {
			return nil, sum{in.A + in.B}, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "fail", Description: "fails"},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			return nil, nil, errors.New("no luck")
		})
	mcp.AddTool(s, &mcp.Tool{Name: "protocol", Description: "fails otherwise"},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			return nil, nil, &jsonrpc.Error{Code: 7, Message: "gone", Data: map[string]int{"n": 1}}
		})
	mcp.AddTool(s, &mcp.Tool{Name: "exit", Description: "ends its goroutine"},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			runtime.Goexit()
			return nil, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "report", Description: "reports and logs"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			for i := range 3 {
				err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{Progress: float64(i + 1), Total: 3})
				if err != nil {
					return nil, nil, err
				}
			}
			for _, level := range []mcp.LoggingLevel{"debug", "warning"} {
				if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: level, Data: "at " + string(level)}); err != nil {
					return nil, nil, err
				}
			}
			return text("done"), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "hang", Description: "waits for its context", Timeout: time.Minute},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		})
	mcp.AddTool(s, &mcp.Tool{Name: "who", Description: "tells who calls"},
		func(_ context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			return text(fmt.Sprint(req.Extra.Principal.ID, " ", req.ClientInfo().Name, " ", req.ProtocolVersion(), " ", req.Params.Meta["example.com/k"])), nil, nil
		})
}

// addAsking adds tools that ask their client.
func addAsking(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "inline", Description: "asks where it cannot", Class: mcp.ClassInline},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			_, err := req.ListRoots(ctx, "roots")
			return nil, nil, err
		})
	mcp.AddTool(s, &mcp.Tool{Name: "elicit", Description: "asks twice"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			var answers []string
			for _, key := range []string{"first", "last"} {
				r, err := req.Elicit(ctx, key, &mcp.ElicitParams{Message: key + "?", RequestedSchema: form(key)})
				if err != nil {
					return nil, nil, err
				}
				answers = append(answers, fmt.Sprint(r.Action, " ", r.Content[key]))
			}
			return text(strings.Join(answers, ", ")), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "all", Description: "asks everything at once"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			answers, err := req.Ask(ctx, mcp.InputRequestMap{
				"user": &mcp.ElicitParams{Message: "user?", RequestedSchema: form("user")},
				"model": &mcp.CreateMessageParams{MaxTokens: 10, Messages: []*mcp.SamplingMessage{
					{Role: mcp.RoleUser, Content: &mcp.TextContent{Text: "think"}},
				}},
				"roots": &mcp.ListRootsParams{},
			})
			if err != nil {
				return nil, nil, err
			}
			user, model, roots := answers["user"].(*mcp.ElicitResult), answers["model"].(*mcp.CreateMessageWithToolsResult), answers["roots"].(*mcp.ListRootsResult)
			return text(fmt.Sprint(user.Content["user"], " ", model.Content[0].(*mcp.TextContent).Text, " ", roots.Roots[0].URI)), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "sample", Description: "samples"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			r, err := req.Sample(ctx, "model", &mcp.CreateMessageParams{MaxTokens: 10, Messages: []*mcp.SamplingMessage{
				{Role: mcp.RoleUser, Content: &mcp.TextContent{Text: "think"}},
			}})
			if err != nil {
				return nil, nil, err
			}
			return text(r.Content.(*mcp.TextContent).Text), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "roots", Description: "lists roots, and pings"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			r, err := req.ListRoots(ctx, "roots")
			if err != nil {
				return nil, nil, err
			}
			var uris []string
			for _, root := range r.Roots {
				uris = append(uris, root.URI)
			}
			ping := req.Session.Ping(ctx, nil)
			return text(fmt.Sprint(uris, " ", ping)), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "endless", Description: "never has enough"},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{}, RequestState: "again"}, nil, nil
		})
}

// addTasks adds tools that become tasks.
func addTasks(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "task", Description: "works for an hour", Task: mcp.TaskRequired},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			select {
			case <-time.After(59 * time.Minute):
				return text("worked"), nil, nil
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			}
		})
	mcp.AddTool(s, &mcp.Tool{Name: "quick", Description: "works", Task: mcp.TaskOptional},
		func(_ context.Context, _ *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, any, error) {
			if in["fail"] != nil {
				return nil, nil, &jsonrpc.Error{Code: 7, Message: "gone"}
			}
			return text("worked"), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "asking", Description: "asks while it works", Task: mcp.TaskOptional},
		func(ctx context.Context, req *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, any, error) {
			times, _ := in["times"].(float64)
			var got any
			for i := range int(max(times, 1)) {
				r, err := req.Elicit(ctx, fmt.Sprint("more-", i), &mcp.ElicitParams{Message: "more?", RequestedSchema: form("more")})
				if err != nil {
					return nil, nil, err
				}
				got = r.Content["more"]
			}
			return text(fmt.Sprint("got ", got)), nil, nil
		})
	stubborn := make(chan struct{})
	mcp.AddTool(s, &mcp.Tool{Name: "stubborn", Description: "does not heed its context"},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			<-stubborn
			return nil, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "free", Description: "ends the stubborn", Class: mcp.ClassInline},
		func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
			close(stubborn)
			return nil, nil, nil
		})
}

// fakeT is a test that may fail.
type fakeT struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (*fakeT) Helper() {}

func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

func (f *fakeT) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// failing runs a test that should fail, and returns with what.
func failing(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	f := &fakeT{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	for _, fn := range f.cleanups {
		fn()
	}
	return strings.Join(f.failures, "\n")
}
