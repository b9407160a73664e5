package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func rawJSON(s string) json.RawMessage { return json.RawMessage(s) }

func jsonValid(b []byte) bool { return json.Valid(b) }

func TestParseMeta(t *testing.T) {
	tests := []struct {
		name, params, wrong string
		check               func(m CallMeta) bool
	}{
		{"none", ``, "", func(m CallMeta) bool { return !m.Present }},
		{"no meta", `{}`, "", func(m CallMeta) bool { return !m.Present }},
		{"empty", ` {"_meta":{}}`, "", func(m CallMeta) bool { return m.Present && m.ProtocolVersion == nil && !m.custom }},
		{"version", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026\u002d07-28"}}`, "", func(m CallMeta) bool { return string(m.ProtocolVersion) == Version20260728 }},
		{"empty version", `{"_meta":{"io.modelcontextprotocol/protocolVersion":""}}`, "", func(m CallMeta) bool { return m.ProtocolVersion != nil }},
		{"escaped key", `{"\u005fmeta":{"io.modelcontextprotocol\/logLevel":"info"}}`, "", func(m CallMeta) bool { return string(m.LogLevel) == "info" }},
		{"objects", `{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"x"},"io.modelcontextprotocol/clientCapabilities":{ }}}`, "", func(m CallMeta) bool {
			return string(m.ClientInfo) == `{"name":"x"}` && string(m.ClientCapabilities) == `{ }`
		}},
		{"token string", `{"_meta":{"progressToken":"a"}}`, "", func(m CallMeta) bool { return string(m.ProgressToken) == `"a"` && m.custom }},
		{"token int", `{"_meta":{"progressToken":-5}}`, "", func(m CallMeta) bool { return string(m.ProgressToken) == `-5` }},
		{"token float", `{"_meta":{"progressToken":1.5}}`, "", func(m CallMeta) bool { return m.ProgressToken == nil }},
		{"token exponent", `{"_meta":{"progressToken":1e5}}`, "", func(m CallMeta) bool { return m.ProgressToken == nil }},
		{"token bool", `{"_meta":{"progressToken":true}}`, "", func(m CallMeta) bool { return m.ProgressToken == nil }},
		{"token longest", `{"_meta":{"progressToken":"` + strings.Repeat("a", maxProgressToken-2) + `"}}`, "", func(m CallMeta) bool { return len(m.ProgressToken) == maxProgressToken }},
		{"token too long", `{"_meta":{"progressToken":"` + strings.Repeat("a", maxProgressToken-1) + `"}}`, "", func(m CallMeta) bool { return m.ProgressToken == nil }},
		{"array params", `[]`, "params must be an object", nil},
		{"null meta", `{"_meta":null}`, "params._meta must be an object", nil},
		{"wrong version", `{"_meta":{"io.modelcontextprotocol/protocolVersion":5}}`, MetaKeyProtocolVersion, nil},
		{"wrong info", `{"_meta":{"io.modelcontextprotocol/clientInfo":"x"}}`, MetaKeyClientInfo, nil},
		{"wrong capabilities", `{"_meta":{"io.modelcontextprotocol/clientCapabilities":[]}}`, MetaKeyClientCapabilities, nil},
		{"wrong level", `{"_meta":{"io.modelcontextprotocol/logLevel":null}}`, MetaKeyLogLevel, nil},
	}
	for _, tt := range tests {
		m, err := ParseMeta([]byte(tt.params))
		switch {
		case tt.wrong != "":
			if err == nil || err.Code != -32602 || !strings.Contains(err.Message, tt.wrong) {
				t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.wrong)
			}
		case err != nil || !tt.check(m):
			t.Errorf("%s: %+v, %v", tt.name, m, err)
		}
	}
}

func TestCheckModern(t *testing.T) {
	m := CallMeta{ProtocolVersion: []byte("x"), ClientCapabilities: []byte("{}")}
	if err := CheckModern(&m); err != nil {
		t.Error(err)
	}
	m.ClientCapabilities = nil
	if err := CheckModern(&m); err == nil || !strings.HasSuffix(err.Message, ": "+MetaKeyClientCapabilities) {
		t.Errorf("CheckModern = %v", err)
	}
}

func TestClientOfRequest(t *testing.T) {
	s := fixture(nil)
	var req *CallToolRequest
	var token any
	AddTool(s, &Tool{Name: "keep"}, func(_ context.Context, r *CallToolRequest, _ any) (*CallToolResult, any, error) {
		req, token = r, r.Params.GetProgressToken()
		return nil, nil, nil
	})
	c := dial(t, s, Version20260728)
	call, _ := c.parse(`{"id":1,"method":"tools/call","params":{"name":"keep","arguments":{"k":"v"},"_meta":{
		"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/logLevel":"info","progressToken":"tok","example.com/x":[1],
		"io.modelcontextprotocol/clientInfo":{"name":"me","version":"9"},
		"io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true},"elicitation":{"url":{}}}}}}`)
	s.Serve(t.Context(), call, nil)
	clear(call.Params) // the host may reuse its buffer
	if req.ProtocolVersion() != Version20260728 || req.ClientInfo().Name != "me" || req.ClientCapabilities().Elicitation.URL == nil || !req.ClientCapabilities().Roots.ListChanged {
		t.Errorf("client: %q %+v %+v", req.ProtocolVersion(), req.ClientInfo(), req.ClientCapabilities())
	}
	if string(req.Params.Arguments) != `{"k":"v"}` || token != "tok" || req.Session.ID() != "" {
		t.Errorf("params: %s %v", req.Params.Arguments, token)
	}
	if m := req.Params.GetMeta(); len(m) != 2 || m["example.com/x"] == nil {
		t.Errorf("Meta = %v", m)
	}
	req.Params.SetMeta(nil)
	if req.Params.Meta != nil {
		t.Error("SetMeta")
	}

	legacy := dial(t, s, Version20250326)
	legacy.ask("tools/call", `"name":"keep"`)
	if req.ProtocolVersion() != Version20250326 || req.ClientInfo().Name != "tester" || !req.ClientCapabilities().Roots.ListChanged || req.Session.ID() != "session-1" {
		t.Errorf("client: %q %+v %+v", req.ProtocolVersion(), req.ClientInfo(), req.ClientCapabilities())
	}
	if string(req.Params.Arguments) != "{}" {
		t.Errorf("absent arguments = %s", req.Params.Arguments)
	}
	bare := &CallToolRequest{Session: s.NewSession("", nil), Params: &CallToolParamsRaw{}}
	if bare.ClientInfo() != nil || bare.ClientCapabilities() != nil || bare.ProtocolVersion() != "" {
		t.Error("a session before initialize knows its client")
	}
	if (&CallToolParams{Meta: Meta{"progressToken": "x"}}).GetProgressToken() != "x" {
		t.Error("CallToolParams.GetProgressToken")
	}
}

// The trace context of a request reaches its handler and the receiving middleware,
// as it is: "traceparent", "tracestate" and "baggage" are keys of _meta
// without a prefix (26:basic).
func TestTraceContext(t *testing.T) {
	const meta = `"_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=1","baggage":"k=v"}`
	trace := func(m map[string]any) string {
		return fmt.Sprint(m["traceparent"], " ", m["tracestate"], " ", m["baggage"])
	}
	const want = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 a=1 k=v"
	for _, version := range []string{Version20251125, Version20260728} {
		var seen []string
		s := empty(quiet())
		rawTool(s, &Tool{Name: "trace"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
			return said("%s", trace(req.Params.Meta)), nil
		})
		s.AddResource(&Resource{URI: "x://trace", Name: "trace"}, func(_ context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
			return &ReadResourceResult{Contents: []*ResourceContents{{Text: trace(req.Params.Meta)}}}, nil
		})
		s.AddReceivingMiddleware(func(next MethodHandler) MethodHandler {
			return func(ctx context.Context, method string, req Request) (Result, error) {
				if method != "initialize" && !strings.HasPrefix(method, "notifications/") {
					seen = append(seen, trace(req.GetParams().GetMeta()))
				}
				return next(ctx, method, req)
			}
		})
		c := dial(t, s, version)
		for method, params := range map[string]string{"tools/call": `"name":"trace"`, "resources/read": `"uri":"x://trace"`, "tools/list": ""} {
			out := c.ask(method, strings.Trim(params+","+meta, ","))
			if method != "tools/list" && !strings.Contains(out, want) {
				t.Errorf("%s %s: %s", version, method, out)
			}
		}
		if !slices.Equal(seen, []string{want, want, want}) {
			t.Errorf("%s: middleware saw %q", version, seen)
		}
	}
}

// What a known _meta says is what reading it says, and it is remembered only when
// it can come again.
func TestKnownMeta(t *testing.T) {
	parse := func(k *KnownMeta, params string) CallMeta {
		t.Helper()
		m, err := k.Parse([]byte(params))
		if err != nil {
			t.Fatalf("%s: %v", params, err)
		}
		return m
	}
	meta := `{"` + MetaKeyProtocolVersion + `":"2026-07-28","` + MetaKeyClientInfo + `":{"name":"c","version":"1"},"` + MetaKeyClientCapabilities + `":{}}`
	params := `{"name":"x","_meta":` + meta + `,"arguments":{"a":1}}`
	first := parse(nil, params)
	k := NewKnownMeta(&first)
	if k == nil || !first.Repeats() || first.Known() || string(first.Raw()) != meta {
		t.Fatal("not remembered")
	}
	second := parse(k, params)
	if !second.known || second.custom || string(second.ProtocolVersion) != "2026-07-28" ||
		string(second.ClientInfo) != `{"name":"c","version":"1"}` || string(second.ClientCapabilities) != "{}" ||
		!second.Present || string(second.raw) != meta || string(second.beside.arguments) != `{"a":1}` || string(second.Name()) != `"x"` {
		t.Errorf("known: %+v", second)
	}
	if second.Repeats() || !second.Known() {
		t.Error("a known _meta would be learned again")
	}
	// It outlives the message.
	body := []byte(params)
	third, _ := k.Parse(body)
	clear(body)
	if string(third.ProtocolVersion) != "2026-07-28" {
		t.Errorf("a view of the message: %q", third.ProtocolVersion)
	}
	for name, other := range map[string]string{
		"progress token": `{"_meta":{"progressToken":1}}`,
		"custom member":  `{"_meta":{"x":1}}`,
		"no _meta":       `{"name":"x"}`,
		"too long":       `{"_meta":{"` + MetaKeyClientInfo + `":{"name":"` + strings.Repeat("x", maxKnownMeta) + `"}}}`,
	} {
		m := parse(k, other)
		if m.known || m.Repeats() {
			t.Errorf("%s: known %v, repeats %v", name, m.known, m.Repeats())
		}
	}
	changed := parse(k, strings.Replace(params, `"c"`, `"d"`, 1))
	if changed.known || !changed.Repeats() || NewKnownMeta(&changed) == nil {
		t.Error("another client is not remembered")
	}
	if _, err := k.Parse([]byte(`{"_meta":{"` + MetaKeyClientInfo + `":1}}`)); err == nil {
		t.Error("clientInfo 1 accepted")
	}
}
