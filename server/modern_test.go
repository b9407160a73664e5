package server

import (
	"fmt"
	"strings"
	"testing"

	"millrace/server/mcp"
)

// TestHeaders is the header rules of 2026-07-28: TR-6, TR-7 and TR-8.
func TestHeaders(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	version, method, name := "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: headers"
	fields := func(more ...string) []string { return append([]string{version, method, name}, more...) }
	call := func(tool, arguments string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + tool + `,"arguments":{` + arguments + `},` + modernMeta + `}}`
	}
	plain := call(`"headers"`, "")
	region := func(v string) string { return call(`"headers"`, `"region":`+v) }
	level := func(v string) string { return call(`"headers"`, `"level":`+v) }
	const mismatch, ok = -32020, 0
	for _, tt := range []struct {
		name   string
		body   string
		fields []string
		status int
		code   int
	}{
		{"all there", plain, fields(), 200, ok},
		{"no version", plain, []string{method, name}, 400, mismatch},
		{"no method", plain, []string{version, name}, 400, mismatch},
		{"no name", plain, []string{version, method}, 400, mismatch},
		{"other method", plain, []string{version, "Mcp-Method: prompts/list", name}, 400, mismatch},
		{"case of the method", plain, []string{version, "Mcp-Method: TOOLS/CALL", name}, 400, mismatch},
		{"other name", plain, []string{version, method, "Mcp-Name: echo"}, 400, mismatch},
		{"case of the name", plain, []string{version, method, "Mcp-Name: Headers"}, 400, mismatch},
		{"spaces around", plain, []string{version, method, "Mcp-Name:   headers  "}, 200, ok},
		{"lower-case fields", plain, []string{"mcp-protocol-version: 2026-07-28", "mcp-method: tools/call", "mcp-name: headers"}, 200, ok},
		{"upper-case fields", plain, []string{"MCP-PROTOCOL-VERSION: 2026-07-28", "MCP-METHOD: tools/call", "MCP-NAME: headers"}, 200, ok},
		{"encoded name", plain, []string{version, method, "Mcp-Name: =?base64?aGVhZGVycw==?="}, 200, ok},
		{"encoded other name", plain, []string{version, method, "Mcp-Name: =?base64?ZWNobw==?="}, 400, mismatch},
		{"broken encoding of the name", plain, []string{version, method, "Mcp-Name: =?base64?aGVhZGVycw?="}, 400, mismatch},
		{"escaped name in the body", call(`"head\u0065rs"`, ""), fields(), 200, ok},
		{"name of no tool", call(`"a b"`, ""), []string{version, method, "Mcp-Name: a b"}, 200, -32602},
		{"session id is ignored", plain, fields("Mcp-Session-Id: none"), 200, ok},

		{"parameter", region(`"eu"`), fields("Mcp-Param-Region: eu"), 200, ok},
		{"case of the field", region(`"eu"`), fields("mcp-param-REGION: eu"), 200, ok},
		{"case of the value", region(`"eu"`), fields("Mcp-Param-Region: EU"), 400, mismatch},
		{"parameter missing", region(`"eu"`), fields(), 400, mismatch},
		{"parameter not in the body", plain, fields("Mcp-Param-Region: eu"), 400, mismatch},
		{"parameter null", region(`null`), fields("Mcp-Param-Region: eu"), 400, mismatch},
		{"unknown parameter", plain, fields("Mcp-Param-Other: eu"), 200, ok},
		{"sentinel", region(`"Hello"`), fields("Mcp-Param-Region: =?base64?SGVsbG8=?="), 200, ok},
		{"sentinel without padding", region(`"Hello"`), fields("Mcp-Param-Region: =?base64?SGVsbG8?="), 400, mismatch},
		{"sentinel with other characters", region(`"Hello"`), fields("Mcp-Param-Region: =?base64?SGVs!!!bG8=?="), 400, mismatch},
		{"no sentinel", region(`"SGVsbG8="`), fields("Mcp-Param-Region: SGVsbG8="), 200, ok},
		{"prefix alone", region(`"=?base64?SGVsbG8="`), fields("Mcp-Param-Region: =?base64?SGVsbG8="), 200, ok},
		{"upper-case marker", region(`"=?BASE64?SGVsbG8=?="`), fields("Mcp-Param-Region: =?BASE64?SGVsbG8=?="), 200, ok},
		{"sentinel of a sentinel", region(`"=?base64?literal?="`), fields("Mcp-Param-Region: =?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="), 200, ok},
		{"sentinel of UTF-8", region(`"世界"`), fields("Mcp-Param-Region: =?base64?5LiW55WM?="), 200, ok},
		{"raw UTF-8", region(`"世界"`), fields("Mcp-Param-Region: 世界"), 400, mismatch},
		{"empty", region(`""`), fields("Mcp-Param-Region: =?base64??="), 200, ok},
		{"integer", level(`42`), fields("Mcp-Param-Level: 42"), 200, ok},
		{"integer as fraction", level(`42`), fields("Mcp-Param-Level: 42.0"), 200, ok},
		{"fraction as integer", level(`42.0`), fields("Mcp-Param-Level: 42"), 200, ok},
		{"other integer", level(`42`), fields("Mcp-Param-Level: 43"), 400, mismatch},
		{"negative", level(`-7`), fields("Mcp-Param-Level: -7"), 200, ok},
		{"hexadecimal", level(`42`), fields("Mcp-Param-Level: 0x2A"), 400, mismatch},
		{"plus sign", level(`42`), fields("Mcp-Param-Level: +42"), 400, mismatch},
		{"beyond 2^53", level(`9007199254740993`), fields("Mcp-Param-Level: 9007199254740993.0"), 200, ok},
		{"neighbour beyond 2^53", level(`9007199254740993`), fields("Mcp-Param-Level: 9007199254740992"), 400, mismatch},
		{"boolean", call(`"headers"`, `"dry":true`), fields("Mcp-Param-Dry: true"), 200, ok},
		{"case of a boolean", call(`"headers"`, `"dry":true`), fields("Mcp-Param-Dry: True"), 400, mismatch},

		{"unknown version", strings.ReplaceAll(plain, "2026-07-28", "v999"), []string{"MCP-Protocol-Version: v999", method, name}, 400, -32022},
		{"version not that of the body", strings.ReplaceAll(plain, "2026-07-28", "v999"), fields(), 400, mismatch},
		{"no _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"headers"}}`, fields(), 400, -32602},
		{"_meta without capabilities", strings.Replace(plain, `,"io.modelcontextprotocol/clientCapabilities":{}`, "", 1), fields(), 400, -32602},
		{"wrong type in _meta", strings.Replace(plain, `"io.modelcontextprotocol/clientCapabilities":{}`, `"io.modelcontextprotocol/clientCapabilities":[]`, 1), fields(), 400, -32602},
		{"unknown method", strings.Replace(plain, "tools/call", "no/such", 1), []string{version, "Mcp-Method: no/such"}, 404, -32601},
		{"initialize", strings.Replace(plain, "tools/call", "initialize", 1), []string{version, "Mcp-Method: initialize"}, 404, -32601},
		{"a method with a uri", strings.Replace(plain, "tools/call", "resources/read", 1), []string{version, "Mcp-Method: resources/read"}, 404, -32601},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rep := r.do("POST", tt.body, tt.fields...)
			want := `"result":{`
			if tt.code != ok {
				want = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,`, tt.code)
			}
			if rep.status != tt.status || !strings.Contains(rep.body(), want) {
				t.Errorf("status %d, want %d; want %s in\n%s", rep.status, tt.status, want, rep.body())
			}
			if !strings.HasPrefix(rep.header.Get("Content-Type"), "application/json") || rep.header.Get("Mcp-Session-Id") != "" {
				t.Errorf("header %v", rep.header)
			}
		})
	}
}

func TestHeaderMessages(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	rep := r.do("POST", modernCall("1", "echo"), modernFields("tools/call", strings.Repeat("x", 200))...)
	want := `Header mismatch: Mcp-Name header value \"` + strings.Repeat("x", 128) + `\"... does not match body value \"echo\"`
	if !strings.Contains(rep.body(), want) {
		t.Errorf("got %s", rep.body())
	}
}

func TestNameMember(t *testing.T) {
	for method, want := range map[string]string{
		"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId",
		"tasks/update": "taskId", "tasks/cancel": "taskId", "tools/list": "", "ping": "",
	} {
		if got := nameMember(method); got != want {
			t.Errorf("nameMember(%s) = %q, want %q", method, got, want)
		}
	}
}

// Messages that are no request, in both eras.
func TestMalformed(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	p := r.dial()
	for _, tt := range []struct {
		name, in, want string
		fields         []string
	}{
		{"no JSON", `{`, `{"jsonrpc":"2.0","error":{"code":-32700,`, []string{"MCP-Protocol-Version: 2025-11-25"}},
		{"no JSON, no revision", `{`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`, []string{"X-Nothing: 1"}},
		{"no JSON, old revision", `{`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`, []string{"MCP-Protocol-Version: 2025-06-18"}},
		{"no envelope", `{"id":3,"method":"ping"}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32600,`, nil},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"2.0","error":{"code":-32600,`, []string{"MCP-Protocol-Version: 2025-11-25"}},
		{"unknown revision", `{"jsonrpc":"2.0","id":3,"method":"tools/list"}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32022,`, []string{"MCP-Protocol-Version: 1999-01-01"}},
		{"array as params", `{"jsonrpc":"2.0","id":3,"method":"ping","params":[]}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32602,`, nil},
		{"array as params of a notification", `{"jsonrpc":"2.0","method":"x","params":[]}`, `{"jsonrpc":"2.0","error":{"code":-32602,`, []string{"MCP-Protocol-Version: 2026-07-28"}},
		{"response, stateless era", `{"jsonrpc":"2.0","id":3,"result":{}}`, `{"jsonrpc":"2.0","error":{"code":-32600,`, []string{"MCP-Protocol-Version: 2026-07-28"}},
		{"response without a session", `{"jsonrpc":"2.0","id":3,"result":{}}`, `{"jsonrpc":"2.0","error":{"code":-32600,`, nil},
		{"batch, stateless era", `[]`, `{"jsonrpc":"2.0","error":{"code":-32600,`, []string{"MCP-Protocol-Version: 2026-07-28"}},
	} {
		rep := r.do("POST", tt.in, tt.fields...)
		if rep.status != 400 || !strings.HasPrefix(rep.body(), tt.want) {
			t.Errorf("%s: %d %s, want %s", tt.name, rep.status, rep.body(), tt.want)
		}
		if tt.fields == nil && !strings.Contains(tt.in, "result") {
			p.send(tt.in)
			if got := mustRead(t, p); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s, WebSocket: %s, want %s", tt.name, got, tt.want)
			}
		}
	}
	// A WebSocket client may answer the greeting, and notify before initialize.
	p.send(`{"jsonrpc":"2.0","id":"millrace-greeting","result":{}}`)
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	p.send(modernCall("1", "now"))
	if got := mustRead(t, p); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,`) {
		t.Errorf("after answers and notifications: %s", got)
	}
	handshake(t, p, mcp.Version20250618)
	p.send(`{`)
	if got := mustRead(t, p); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`) {
		t.Errorf("no JSON in an old session: %s", got)
	}
	if rep := r.do("POST", `{"jsonrpc":"2.0","method":"notifications/x","params":{}}`, "MCP-Protocol-Version: 2026-07-28"); rep.status != 202 {
		t.Errorf("notification of the stateless era: %d", rep.status)
	}
}
