package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

func none(context.Context, *CallToolRequest) (*CallToolResult, error) { return nil, nil }

func TestAddToolPanics(t *testing.T) {
	s := fixture(nil)
	object := rawJSON(`{"type":"object"}`)
	var nilSchema *jsonschema.Schema
	tests := []struct {
		name string
		add  func()
		want string
	}{
		{"no schema", func() { s.AddTool(&Tool{Name: "a"}, none) }, `mcp: AddTool "a": InputSchema is nil; use the function mcp.AddTool`},
		{"nil schema", func() { s.AddTool(&Tool{Name: "a", InputSchema: nilSchema}, none) }, "InputSchema"},
		{"nil output", func() { s.AddTool(&Tool{Name: "a", InputSchema: object, OutputSchema: nilSchema}, none) }, "OutputSchema"},
		{"not JSON", func() { s.AddTool(&Tool{Name: "a", InputSchema: make(chan int)}, none) }, "InputSchema cannot be encoded"},
		{"bad meta", func() { s.AddTool(&Tool{Name: "a", InputSchema: object, Meta: Meta{"x": make(chan int)}}, none) }, "Meta cannot be encoded"},
		{"not an object", func() { s.AddTool(&Tool{Name: "a", InputSchema: rawJSON(`{"type":"string"}`)}, none) }, "make the arguments a struct or a map"},
		{"not a schema", func() {
			s.AddTool(&Tool{Name: "a", InputSchema: rawJSON(`{"type":"object","minProperties":"x"}`)}, none)
		}, "InputSchema"},
		{"bad output", func() {
			s.AddTool(&Tool{Name: "a", InputSchema: object, OutputSchema: rawJSON(`{"minItems":"x"}`)}, none)
		}, "chema"},
		{"bad header", func() {
			s.AddTool(&Tool{Name: "a", InputSchema: rawJSON(`{"type":"object","properties":{"x":{"type":"string","x-mcp-header":""}}}`)}, none)
		}, "header"},
		{"bad name", func() { s.AddTool(&Tool{Name: "a b", InputSchema: object}, none) }, "name"},
		{"no name", func() { s.AddTool(&Tool{InputSchema: object}, none) }, "name"},
		{"class", func() { s.AddTool(&Tool{Name: "a", InputSchema: object, Class: 9}, none) }, "class 9 is not a Class"},
		{"nil handler", func() { s.AddTool(&Tool{Name: "a", InputSchema: object}, nil) }, "the handler is nil"},
		{"nil typed handler", func() { AddTool[any, any](s, &Tool{Name: "a"}, nil) }, "the handler is nil"},
		{"slice arguments", func() {
			AddTool(s, &Tool{Name: "a"}, func(context.Context, *CallToolRequest, []int) (*CallToolResult, any, error) { return nil, nil, nil })
		}, "make the arguments a struct or a map"},
		{"chan arguments", func() {
			AddTool(s, &Tool{Name: "a"}, func(context.Context, *CallToolRequest, struct{ C chan int }) (*CallToolResult, any, error) {
				return nil, nil, nil
			})
		}, "set InputSchema"},
		{"chan output", func() {
			AddTool(s, &Tool{Name: "a"}, func(context.Context, *CallToolRequest, any) (*CallToolResult, chan int, error) { return nil, nil, nil })
		}, "set OutputSchema"},
	}
	for _, tt := range tests {
		if msg := panics(tt.add); !strings.HasPrefix(msg, "mcp: AddTool ") || !strings.Contains(msg, tt.want) {
			t.Errorf("%s: panic %q, want %q", tt.name, msg, tt.want)
		}
	}
}

func TestLintIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := NewServer(&Implementation{Name: "x"}, &ServerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	s.AddTool(&Tool{Name: "t", InputSchema: rawJSON(`{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}]}`)}, none)
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "tool=t") {
		t.Errorf("log: %q", log.String())
	}
}

type nested struct {
	When time.Time      `json:"when"`
	Pair [2]int         `json:"pair"`
	More map[string]any `json:"more,omitempty"`
}

type pointered struct {
	Next string `json:"next"`
}

type level int

func (l level) MarshalText() ([]byte, error) { return []byte{'L', byte('0' + l)}, nil }

// TestTyped calls tools of many types, with what the handler sees and returns.
func TestTyped(t *testing.T) {
	type call struct{ args, want string }
	type defaults struct {
		N    int    `json:"n"`
		Name string `json:"name"`
	}
	s := fixture(nil)
	AddTool(s, &Tool{Name: "slow", Description: "decoded by encoding/json"},
		func(_ context.Context, _ *CallToolRequest, in nested) (*CallToolResult, nested, error) {
			return nil, in, nil
		})
	AddTool(s, &Tool{Name: "any"}, func(_ context.Context, _ *CallToolRequest, in any) (*CallToolResult, any, error) {
		return nil, in, nil
	})
	AddTool(s, &Tool{Name: "map"}, func(_ context.Context, _ *CallToolRequest, in map[string]int) (*CallToolResult, map[string]int, error) {
		return nil, in, nil
	})
	AddTool(s, &Tool{Name: "pointer"}, func(_ context.Context, _ *CallToolRequest, in *pointered) (*CallToolResult, *pointered, error) {
		if in.Next == "" {
			return nil, nil, nil
		}
		return nil, in, nil
	})
	AddTool(s, &Tool{Name: "defaults", InputSchema: &jsonschema.Schema{
		Type: "object",
		Properties: map[string]*jsonschema.Schema{
			"n":    {Type: "integer", Default: rawJSON(`5`)},
			"name": {Type: "string", Default: rawJSON(`"x"`)},
		},
	}}, func(_ context.Context, _ *CallToolRequest, in defaults) (*CallToolResult, defaults, error) {
		return nil, in, nil
	})
	AddTool(s, &Tool{Name: "text"}, func(context.Context, *CallToolRequest, any) (*CallToolResult, level, error) {
		return &CallToolResult{Content: []Content{&TextContent{Text: "own"}}}, 3, nil
	})
	AddTool(s, &Tool{Name: "wrongout", OutputSchema: rawJSON(`{"type":"object","required":["x"]}`)},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
			return nil, map[string]int{"y": 1}, nil
		})
	AddTool(s, &Tool{Name: "noout", OutputSchema: rawJSON(`{"type":"object"}`)},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) { return nil, nil, nil })
	AddTool(s, &Tool{Name: "badout"}, func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
		return nil, make(chan int), nil
	})
	s.AddTool(&Tool{Name: "rawout", InputSchema: rawJSON(`{"type":"object"}`), OutputSchema: rawJSON(`{"type":"object"}`)},
		func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			return &CallToolResult{StructuredContent: map[string]bool{"ok": true}}, nil
		})
	s.AddTool(&Tool{Name: "rawbad", InputSchema: rawJSON(`{"type":"object"}`), OutputSchema: rawJSON(`{"type":"object"}`)},
		func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			return &CallToolResult{StructuredContent: make(chan int)}, nil
		})
	s.AddTool(&Tool{Name: "rawerr", InputSchema: rawJSON(`{"type":"object"}`)},
		func(context.Context, *CallToolRequest) (*CallToolResult, error) { return nil, errors.New("down") })
	AddTool(s, &Tool{Name: "loose", InputSchema: rawJSON(`{"type":"object"}`)},
		func(_ context.Context, _ *CallToolRequest, in addArgs) (*CallToolResult, any, error) {
			return nil, in, nil
		})

	tests := map[string][]call{
		"slow": {
			{`{"when":"2026-01-02T03:04:05Z","pair":[1,2]}`, `"structuredContent":{"when":"2026-01-02T03:04:05Z","pair":[1,2]}}`},
			{`{"when":"never","pair":[1,2]}`, `"isError":true`},
		},
		"any":     {{`{"a":[1,"b"]}`, `"structuredContent":{"a":[1,"b"]}}`}},
		"map":     {{`{"b":1,"a":2}`, `"text":"{\"a\":2,\"b\":1}"}],"structuredContent":{"a":2,"b":1}}`}},
		"pointer": {{`{"next":"x"}`, `"structuredContent":{"next":"x"}}`}, {`{"next":""}`, `"structuredContent":{"next":""}}`}},
		"defaults": {
			{`{}`, `"structuredContent":{"n":5,"name":"x"}}`},
			{`{"n":1}`, `"structuredContent":{"n":1,"name":"x"}}`},
		},
		"text":     {{`{}`, `"isError":true`}}, // inferred as an integer, sent as a string
		"wrongout": {{`{}`, `tool \"wrongout\" returned an output that does not match its output schema: missing required property \"x\""}],"isError":true`}},
		"noout":    {{`{}`, `there is no structured content`}},
		"badout":   {{`{}`, `"code":-32603,"message":"the output cannot be encoded`}},
		"rawout":   {{`{}`, `"structuredContent":{"ok":true}}`}},
		"rawbad":   {{`{}`, `"isError":true`}},
		"rawerr":   {{`{}`, `"error":{"code":-32603,"message":"down"}`}},
		"loose": {
			{`{"a":"x"}`, `invalid arguments for tool \"loose\": a: JSON string does not fit int"}],"isError":true`},
			{`{"a":1.5}`, `a: JSON number 1.5 does not fit int`},
			{`{"a":1,"c":2}`, `"structuredContent":{"a":1,"b":0}}`},
		},
	}
	c := dial(t, s, Version20260728)
	for name, calls := range tests {
		for _, tt := range calls {
			if got := c.ask("tools/call", `"name":"`+name+`","arguments":`+tt.args); !strings.Contains(got, tt.want) {
				t.Errorf("%s(%s):\n got %s\nwant %s", name, tt.args, got, tt.want)
			}
		}
	}
}

// TestArgumentsAreKept keeps what a handler got beyond its call.
func TestArgumentsAreKept(t *testing.T) {
	s := fixture(nil)
	var kept []echoArgs
	AddTool(s, &Tool{Name: "keep"}, func(_ context.Context, _ *CallToolRequest, in echoArgs) (*CallToolResult, any, error) {
		kept = append(kept, in)
		return nil, nil, nil
	})
	params := []byte(`{"name":"keep","arguments":{"text":"first"}}`)
	c := &Call{Method: methodCallTool, ID: []byte("1"), Params: params, Modern: true}
	s.Serve(t.Context(), c, nil)
	copy(params, bytes.Repeat([]byte("?"), len(params)))
	if len(kept) != 1 || kept[0].Text != "first" {
		t.Errorf("kept %q", kept)
	}
}

func TestSetError(t *testing.T) {
	err := errors.New("bad")
	var r CallToolResult
	if r.SetError(err); r.GetError() != err || !r.IsError || r.Content[0].(*TextContent).Text != "bad" {
		t.Errorf("SetError: %+v", r)
	}
	r = CallToolResult{Content: []Content{&TextContent{Text: "mine"}}}
	if r.SetError(err); len(r.Content) != 1 || r.Content[0].(*TextContent).Text != "mine" {
		t.Errorf("SetError replaces content: %+v", r)
	}
}

func TestContentMarshal(t *testing.T) {
	for i, c := range contents().Content {
		if c == nil {
			continue
		}
		got, err := json.Marshal(c)
		want, _ := c.appendContent(nil, newest)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("content %d: %s, %v, want %s", i, got, err, want)
		}
	}
	if _, err := json.Marshal(&EmbeddedResource{}); err == nil {
		t.Error("an EmbeddedResource without Resource is encoded")
	}
}

type withMethods interface{ M() }

type chain struct {
	Next *chain `json:"next"`
}

func TestCustom(t *testing.T) {
	tests := []struct {
		t    reflect.Type
		d    direction
		want bool
	}{
		{reflect.TypeFor[echoArgs](), unmarshaling, false},
		{reflect.TypeFor[map[string][]*chain](), unmarshaling, false},
		{reflect.TypeFor[any](), unmarshaling, false},
		{reflect.TypeFor[[3]int](), unmarshaling, true},
		{reflect.TypeFor[struct{ F func([3]int) }](), unmarshaling, false},
		{reflect.TypeFor[struct{ M withMethods }](), unmarshaling, true},
		{reflect.TypeFor[map[string]time.Time](), unmarshaling, true},
		{reflect.TypeFor[map[level]int](), marshaling, true},
		{reflect.TypeFor[map[level]int](), unmarshaling, false},
		{reflect.TypeFor[[]json.RawMessage](), unmarshaling, true},
	}
	for _, tt := range tests {
		if got := custom(tt.t, tt.d, nil); got != tt.want {
			t.Errorf("custom(%v) = %v, want %v", tt.t, got, tt.want)
		}
	}
}
