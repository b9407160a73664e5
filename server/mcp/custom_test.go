package mcp

import (
	"context"
	"errors"
	"strings"
	"testing"

	"millrace/codec/jsonrpc"
)

func TestCustomMethods(t *testing.T) {
	s := empty(quiet())
	var value any
	var failure error
	var raw string
	s.AddMethod("example.com/m", func(context.Context, *CustomRequest) (any, error) { return 1, nil })
	s.AddMethod("example.com/m", func(_ context.Context, req *CustomRequest) (any, error) { // replaces
		raw = string(req.Params.Raw)
		return value, failure
	})
	tests := []struct {
		name  string
		value any
		err   error
		want  string
	}{
		{"nil", nil, nil, `{}`},
		{"struct", struct{}{}, nil, `{}`},
		{"map", map[string]any{"b": 1, "a": "x\n"}, nil, `{"a":"x\n","b":1}`},
		{"raw", rawJSON("{\n \"a\" : 1}"), nil, `{"a":1}`},
		{"array", []int{1}, nil, "cannot be encoded"},
		{"text", "x", nil, "cannot be encoded"},
		{"number", 1, nil, "cannot be encoded"},
		{"channel", make(chan int), nil, "cannot be encoded"},
		{"panic", panicking{}, nil, "internal error"},
		{"error", nil, errors.New("boom"), `"code":-32603,"message":"boom"`},
		{"own error", nil, &jsonrpc.Error{Code: -31000, Message: "x"}, `"code":-31000,"message":"x"`},
	}
	for _, version := range SupportedVersions() {
		c := dial(t, s, version)
		for _, tt := range tests {
			value, failure = tt.value, tt.err
			want := tt.want
			if want[0] == '{' && IsModern(version) {
				want = strings.TrimPrefix(want, "{")
			}
			if out := c.ask("example.com/m", `"k":1`); !strings.Contains(out, want) {
				t.Errorf("%s, %s: %s", version, tt.name, out)
			}
			if !strings.Contains(raw, `"k":1`) {
				t.Errorf("params %s", raw)
			}
		}
		call, _ := c.parse(c.message("example.com/m", ""))
		if got := s.Plan(call); got.Class != ClassBlocking || got.Timeout != DefaultToolTimeout {
			t.Errorf("Plan = %+v", got)
		}
	}
	value, failure = nil, nil
	legacy := dial(t, s, Version20251125)
	if legacy.raw(`{"id":1,"method":"example.com/m"}`); raw != "{}" {
		t.Errorf("no params are %s", raw)
	}
	if out, _ := legacy.raw(`{"id":1,"method":"example.com/m","params":[]}`); !strings.Contains(out, "params must be an object") {
		t.Errorf("an array: %s", out)
	}
}

func TestAddMethodPanics(t *testing.T) {
	s := empty(quiet())
	h := func(context.Context, *CustomRequest) (any, error) { return nil, nil }
	for _, name := range []string{"", "tools/call", "initialize", MethodListen, "notifications/x", "tasks/get"} {
		if msg := panics(func() { s.AddMethod(name, h) }); !strings.HasPrefix(msg, "mcp: AddMethod") {
			t.Errorf("%q: panic %q", name, msg)
		}
	}
	if msg := panics(func() { s.AddMethod("x", nil) }); msg == "" {
		t.Error("a nil handler is added")
	}
}

// Middleware sees custom methods, and may answer what the server does not.
func TestCustomMiddleware(t *testing.T) {
	s := empty(quiet())
	s.AddMethod("example.com/m", func(context.Context, *CustomRequest) (any, error) { return struct{ A int }{1}, nil })
	s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			res, err := h(ctx, method, req)
			if r, ok := res.(*CustomResult); ok {
				r.SetMeta(map[string]any{"example.com/seen": req.GetParams().GetMeta()["example.com/x"]})
			}
			return res, err
		}
	})
	for _, version := range []string{Version20251125, Version20260728} {
		out := dial(t, s, version).ask("example.com/m", `"_meta":{"example.com/x":5}`)
		if !strings.Contains(out, `"example.com/seen":5}`) || !strings.Contains(out, `"A":1}`) {
			t.Errorf("%s: %s", version, out)
		}
	}
}
