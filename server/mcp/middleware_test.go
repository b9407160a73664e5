package mcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/codec/jsonrpc"
)

func TestMiddlewareOrder(t *testing.T) {
	o := quiet()
	initialized := 0
	o.InitializedHandler = func(_ context.Context, req *InitializedRequest) { initialized++ }
	s := fixture(o)
	AddTool(s, &Tool{Name: "work"}, func(ctx context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		return nil, nil, req.Session.NotifyProgress(ctx, &ProgressNotificationParams{Progress: 1})
	})
	var trace []string
	note := func(name string) Middleware {
		return func(h MethodHandler) MethodHandler {
			return func(ctx context.Context, method string, req Request) (Result, error) {
				trace = append(trace, name+" "+method)
				res, err := h(ctx, method, req)
				trace = append(trace, name+" end")
				return res, err
			}
		}
	}
	s.AddReceivingMiddleware()
	if s.receiving.Load() != nil {
		t.Error("no middleware counts as some")
	}
	s.AddReceivingMiddleware(note("c"))
	s.AddReceivingMiddleware(note("a"), note("b"))
	s.AddSendingMiddleware(note("send"))
	c := dial(t, s, Version20251125)
	want := []string{
		"a initialize", "b initialize", "c initialize", "c end", "b end", "a end",
		"a notifications/initialized", "b notifications/initialized", "c notifications/initialized", "c end", "b end", "a end",
	}
	if !slices.Equal(trace, want) || initialized != 1 {
		t.Errorf("trace %q, initialized %d", trace, initialized)
	}
	trace = nil
	c.ask("tools/call", `"name":"work","_meta":{"progressToken":1}`)
	want = []string{"a tools/call", "b tools/call", "c tools/call", "send notifications/progress", "send end", "c end", "b end", "a end"}
	if !slices.Equal(trace, want) || len(c.notifier.take()) != 1 {
		t.Errorf("trace %q", trace)
	}
	trace = nil
	c.ask("no/such", "")
	c.ask("tools/call", `"name":5`)
	c.ask("tools/list", `"cursor":5`)
	if trace != nil {
		t.Errorf("middleware sees malformed requests: %q", trace)
	}
}

// TestMiddlewareAllMethods serves every method through middleware and expects
// what is served without, but for the cache scope.
func TestMiddlewareAllMethods(t *testing.T) {
	plain, wrapped := fixture(nil), fixture(nil)
	wrapped.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			if req.GetSession() == nil || req.GetParams() == nil || req.GetExtra().Principal == nil {
				t.Errorf("%s: an incomplete request", method)
			}
			return h(ctx, method, req)
		}
	})
	for _, version := range SupportedVersions() {
		a, b := dial(t, plain, version), dial(t, wrapped, version)
		for _, q := range [][2]string{
			{"ping", ""}, {"tools/list", ""}, {"server/discover", ""}, {"tools/list", `"cursor":"x"`},
			{"tools/call", `"name":"echo","arguments":{"text":"x"}`}, {"tools/call", `"name":"contents"`},
			{"tools/call", `"name":"nope"`}, {"tools/call", `"name":"protocol"`}, {"tools/call", `"name":"panic"`},
		} {
			want := strings.Replace(a.ask(q[0], q[1]), `"public"`, `"private"`, 1)
			if got := b.ask(q[0], q[1]); got != want {
				t.Errorf("%s %v:\n got %s\nwant %s", version, q, got, want)
			}
		}
	}
}

func TestMiddlewareChanges(t *testing.T) {
	s := fixture(nil)
	var behave Middleware
	s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			return behave(h)(ctx, method, req)
		}
	})
	c := &client{t: t, s: s, notifier: &wire{}}
	tests := []struct {
		name   string
		behave func(h MethodHandler, req *CallToolRequest) (Result, error)
		want   string
	}{
		{"rename", func(h MethodHandler, req *CallToolRequest) (Result, error) {
			req.Params.Name = "add"
			req.Params.Arguments = rawJSON(`{"a":1,"b":2}`)
			return h(context.Background(), methodCallTool, req)
		}, `"structuredContent":{"sum":3}`},
		{"no arguments", func(h MethodHandler, req *CallToolRequest) (Result, error) {
			req.Params.Arguments = nil
			return h(context.Background(), methodCallTool, req)
		}, `missing required property`},
		{"rename to nothing", func(h MethodHandler, req *CallToolRequest) (Result, error) {
			req.Params.Name = strings.Repeat("x", 500)
			return h(context.Background(), methodCallTool, req)
		}, `"message":"unknown tool \"` + strings.Repeat("x", maxEchoedName) + `...\""`},
		{"unknown method", func(h MethodHandler, req *CallToolRequest) (Result, error) {
			return h(context.Background(), "no/such", req)
		}, `"code":-32601`},
		{"no result", func(MethodHandler, *CallToolRequest) (Result, error) { return nil, nil }, "cannot be encoded as JSON"},
		{"nil result", func(MethodHandler, *CallToolRequest) (Result, error) { return (*CallToolResult)(nil), nil }, "internal error"},
		{"error", func(MethodHandler, *CallToolRequest) (Result, error) { return nil, errors.New("denied") }, `"code":-32603,"message":"denied"`},
		{"own error", func(MethodHandler, *CallToolRequest) (Result, error) {
			return nil, fmt.Errorf("x: %w", &jsonrpc.Error{Code: -31003, Message: "slow down"})
		}, `"code":-31003,"message":"slow down"`},
		{"meta", func(h MethodHandler, req *CallToolRequest) (Result, error) {
			res, err := h(context.Background(), methodCallTool, req)
			res.SetMeta(map[string]any{"example.com/x": 1})
			return res, err
		}, `"example.com/x":1},"content":[{"type":"text","text":"hi"}]`},
	}
	for _, tt := range tests {
		behave = func(h MethodHandler) MethodHandler {
			return func(_ context.Context, _ string, req Request) (Result, error) {
				return tt.behave(h, req.(*CallToolRequest))
			}
		}
		if got := c.ask("tools/call", `"name":"echo","arguments":{"text":"hi"}`); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What sending middleware sees is as complete as what receiving middleware sees.
func TestSendingMiddlewareSees(t *testing.T) {
	s := logger(quiet())
	s.AddResource(&Resource{URI: "x:a", Name: "a"}, noResource)
	rawTool(s, &Tool{Name: "work"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		if err := req.Session.Log(ctx, &LoggingMessageParams{Level: "alert"}); err != nil {
			return nil, err
		}
		return nil, req.Session.NotifyProgress(ctx, &ProgressNotificationParams{Progress: 1})
	})
	var seen []string
	s.AddSendingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			if req.GetSession() == nil || req.GetParams() == nil || req.GetExtra() == nil || req.GetExtra().Principal == nil {
				t.Errorf("%s: an incomplete request", method)
				return h(ctx, method, req)
			}
			seen = append(seen, strings.TrimPrefix(method, "notifications/")+" to "+req.GetExtra().Principal.ID)
			return h(ctx, method, req)
		}
	})
	c := dial(t, s, Version20251125).as("alice")
	c.ask("logging/setLevel", `"level":"info"`)
	c.ask("tools/call", `"name":"work","_meta":{"progressToken":1}`)
	c.ask("resources/subscribe", `"uri":"x:a"`)
	updated(t, s, "x:a")
	if err := AddSessionTool(c.session, &Tool{Name: "mine"}, echo); err != nil {
		t.Error(err)
	}
	if got, want := fmt.Sprint(seen), "[message to alice progress to alice resources/updated to  tools/list_changed to ]"; got != want {
		t.Errorf("seen %s, want %s", got, want)
	}
}
