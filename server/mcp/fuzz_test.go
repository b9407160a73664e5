package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"millrace/codec/jsonrpc"
)

func FuzzParseMeta(f *testing.F) {
	f.Add([]byte(`{` + modernMeta + `}`))
	f.Add([]byte(`{"_meta":{"progressToken":1,"io.modelcontextprotocol/logLevel":"\u0069nfo"}}`))
	f.Add([]byte(`{"_meta":null}`))
	f.Add([]byte(` [1]`))
	f.Fuzz(func(t *testing.T, params []byte) {
		m, err := ParseMeta(params)
		if jsonrpc.Validate(params, nil) != nil {
			return // only must not panic
		}
		if err != nil {
			if err.Code != jsonrpc.CodeInvalidParams {
				t.Errorf("error %v", err)
			}
			return
		}
		for _, raw := range [][]byte{m.ClientInfo, m.ClientCapabilities, m.ProgressToken} {
			if raw != nil && !json.Valid(raw) {
				t.Errorf("%q is not JSON", raw)
			}
		}
		var want struct {
			Meta map[string]json.RawMessage `json:"_meta"`
		}
		if json.Unmarshal(params, &want) == nil && m.Present {
			var version string
			if raw, ok := want.Meta[MetaKeyProtocolVersion]; ok != (m.ProtocolVersion != nil) {
				t.Errorf("protocolVersion %q, want %s", m.ProtocolVersion, raw)
			} else if ok && json.Unmarshal(raw, &version) == nil && version != string(m.ProtocolVersion) {
				t.Errorf("protocolVersion %q, want %q", m.ProtocolVersion, version)
			}
		}
	})
}

// FuzzServe runs methods with arbitrary params in both eras. Every answer must
// be one line of JSON with the request's id.
func FuzzServe(f *testing.F) {
	s := fixture(nil)
	AddTool(s, &Tool{Name: "any"}, func(_ context.Context, _ *CallToolRequest, in any) (*CallToolResult, any, error) { return nil, in, nil })
	AddTool(s, &Tool{Name: "nested"}, func(_ context.Context, _ *CallToolRequest, in nested) (*CallToolResult, nested, error) {
		return nil, in, nil
	})
	legacy := dial(f, s, Version20250326).session
	names := []string{methodPing, methodListTools, methodCallTool, methodDiscover, methodInitialize, methodInitialized, "no/such"}
	f.Add(uint8(2), true, []byte(`{"name":"echo","arguments":{"text":"x"},`+modernMeta+`}`))
	f.Add(uint8(2), false, []byte(`{"name":"any","arguments":{"a":[1,2.5e3,null]},"_meta":{"progressToken":"x"}}`))
	f.Add(uint8(2), false, []byte(`{"name":"nested","arguments":{"when":"2026-01-02T03:04:05Z","pair":[1,2],"more":{"\u0000":"\ud83d\ude00"}}}`))
	f.Add(uint8(1), false, []byte(`{"cursor":"AAAA"}`))
	f.Add(uint8(4), false, []byte(`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}`))
	f.Add(uint8(2), true, []byte(`{"name":"add","arguments":{"a":1e999,"b":-0}}`))
	f.Fuzz(func(t *testing.T, method uint8, modern bool, params []byte) {
		meta, _ := ParseMeta(params)
		c := &Call{
			Method: names[int(method)%len(names)], ID: []byte(`"id"`), Params: params, Meta: meta,
			Session: legacy, Modern: modern, Notifier: &wire{},
		}
		if modern {
			c.Session = nil
		}
		if plan := s.Plan(c); plan.Class > ClassInline {
			t.Errorf("Plan = %+v", plan)
		}
		if c.method != nil && c.method.notification {
			s.Notified(t.Context(), c)
		}
		out, status := s.Serve(t.Context(), c, nil)
		if !bytes.HasPrefix(out, []byte(`{"jsonrpc":"2.0","id":"id",`)) || !json.Valid(out) || !jsonrpc.SingleLine(out) {
			t.Errorf("status %d: %q", status, out)
		}
		if status != 200 && (!modern || status != 400 && status != 404) {
			t.Errorf("status %d", status)
		}
	})
}
