package mcp

import (
	"bytes"
	"context"
	"reflect"
	"testing"
	"unsafe"

	"millrace/codec/jsonrpc"
)

// After Rebase nothing of a call may point into the old copy of its message:
// the event loop overwrites that with the next one. The test walks every byte
// slice that a Call holds, so a new field that Rebase forgets fails it.
func TestRebaseMovesEveryView(t *testing.T) {
	s := NewServer(&Implementation{Name: "t", Version: "1"}, nil)
	type in struct {
		Text string `json:"text"`
	}
	AddTool(s, &Tool{Name: "echo"}, func(_ context.Context, _ *CallToolRequest, in in) (*CallToolResult, any, error) {
		return &CallToolResult{Content: []Content{&TextContent{Text: in.Text}}}, nil, nil
	})
	from := []byte(`{"jsonrpc":"2.0","id":"abc","method":"tools/call","params":{"name":"echo","cursor":"c","inputResponses":{"q":{"action":"cancel"}},"requestState":"s","arguments":{"text":"hello"},` +
		`"_meta":{"progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"n","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"info","other":1}}}`)
	to := bytes.Clone(from)
	msg, jerr := jsonrpc.Parse(from, nil)
	if jerr != nil {
		t.Fatal(jerr)
	}
	meta, jerr := ParseMeta(msg.Params)
	if jerr != nil {
		t.Fatal(jerr)
	}
	c := &Call{Method: "tools/call", ID: msg.ID, Params: msg.Params, Meta: meta, Modern: true}
	s.Plan(c)
	c.Rebase(from, to)
	eachBytes(reflect.ValueOf(c).Elem(), "Call", func(name string, b []byte) {
		if within(b, from) {
			t.Errorf("%s = %q still points into the old message", name, b)
		}
	})
	for i := range from {
		from[i] = 'X'
	}
	c.Meta.beside.requestState = nil // it is not ours
	out, status := s.Serve(context.Background(), c, nil)
	if status != 200 || !bytes.Contains(out, []byte(`"text":"hello"`)) {
		t.Errorf("Serve = %d %s", status, out)
	}
}

// eachBytes visits the byte slices in v, not following pointers.
func eachBytes(v reflect.Value, name string, visit func(string, []byte)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			eachBytes(v.Field(i), name+"."+v.Type().Field(i).Name, visit)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		visit(name, v.Bytes())
	}
}

func within(b, whole []byte) bool {
	if len(b) == 0 {
		return false
	}
	base, at := uintptr(unsafe.Pointer(&whole[0])), uintptr(unsafe.Pointer(&b[0]))
	return at >= base && at < base+uintptr(len(whole))
}
