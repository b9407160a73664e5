package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

func TestCallAppend(t *testing.T) {
	for _, tt := range []struct {
		name string
		call Call
		want string
	}{
		{"legacy", Call{ID: 1, Tool: "echo", Args: []byte(`{"text":"x"}`)},
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`},
		{"legacy progress", Call{ID: 2, Tool: "sleep", Args: []byte(`{}`), Progress: true},
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"sleep","arguments":{},"_meta":{"progressToken":2}}}`},
		{"modern progress", Call{Era: Modern, ID: 3, Tool: "sleep", Args: []byte(`{}`), Progress: true},
			`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"sleep","arguments":{},"_meta":{"progressToken":3,` +
				`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":` + clientInfo +
				`,"io.modelcontextprotocol/clientCapabilities":{}}}}`},
	} {
		got := tt.call.Append(nil)
		if string(got) != tt.want || !json.Valid(got) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, b := range [][]byte{AppendInitialize(nil, 1), AppendInitialized(nil)} {
		if !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
	}
}

func TestAppendString(t *testing.T) {
	in := "plain \"quoted\" back\\slash \x00\x1f\n é 😀 \u2028"
	var got string
	if err := json.Unmarshal(AppendString(nil, in), &got); err != nil || got != in {
		t.Errorf("round trip = %q, %v, want %q", got, err, in)
	}
	back, err := appendUnquoted(nil, AppendString(nil, in))
	if err != nil || string(back) != in {
		t.Errorf("own round trip = %q, %v, want %q", back, err, in)
	}
}

func TestRequestAppend(t *testing.T) {
	post := Request{Verb: "POST", Path: "/mcp", Host: "h:1", Version: VersionModern, RPC: "tools/call", Name: "echo"}
	b := post.Append(nil, []byte("{}"))
	del := Request{Verb: "DELETE", Path: "/mcp", Host: "h:1", Session: "s", Fields: "Authorization: Bearer t\r\n"}
	in := bufio.NewReader(bytes.NewReader(del.Append(b, nil)))

	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != "{}" || r.Host != "h:1" || r.URL.Path != "/mcp" {
		t.Errorf("request = %+v, body %q, %v", r, body, err)
	}
	for name, want := range map[string]string{"MCP-Protocol-Version": VersionModern, "Mcp-Method": "tools/call", "Mcp-Name": "echo",
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": "", "Authorization": ""} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if r, err = http.ReadRequest(in); err != nil || r.Method != "DELETE" || r.Header.Get("Mcp-Session-Id") != "s" ||
		r.Header.Get("Authorization") != "Bearer t" {
		t.Errorf("second request = %+v, %v", r, err)
	}
}
