package docs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"millrace/server"
	"millrace/server/mcp"
)

// faultyServer has a way into most errors.
func faultyServer() *mcp.Server {
	s := bindingServer()
	addNotes(s, nil)
	addReview(s)
	mcp.AddTool(s, &mcp.Tool{Name: "task", Task: mcp.TaskRequired},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return nil, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "exit"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			runtime.Goexit()
			return nil, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "panic"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			panic("secret")
		})
	s.AddPrompt(&mcp.Prompt{Name: "fail"},
		func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return nil, errors.New("no luck")
		})
	return s
}

// post sends a message, with the headers that it needs, and others.
func post(t *testing.T, addr, body string, fields ...string) (status int, answer string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] == "" {
			req.Header.Del(fields[i])
			continue
		}
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw), resp.Header
}

// TestErrorsOverHTTP is the first table of errors.md.
func TestErrorsOverHTTP(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: faultyServer(), MaxSessions: 1})
	_, _, header := post(t, addr, session[0])
	id := header.Get("Mcp-Session-Id")
	now := func(method, name string) []string {
		return []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", method, "Mcp-Name", name}
	}
	in := []string{"Mcp-Session-Id", id}
	tests := []struct {
		name, body string
		fields     []string
		status     int
		code       int
	}{
		{"parse error", `{`, in, 400, -32700},
		{"no message", `{"jsonrpc":"2.0"}`, in, 400, -32600},
		{"batch", `[` + legacy(1, "ping", "") + `]`, in, 400, -32600},
		{"response", `{"jsonrpc":"2.0","id":1,"result":{}}`, now("x", ""), 400, -32600},
		{"no session", legacy(1, "ping", ""), nil, 400, -32600},
		{"unknown session", legacy(1, "ping", ""), []string{"Mcp-Session-Id", "x"}, 404, -32600},
		{"second initialize", session[0], in, 200, -32600},
		{"listen without events", modern(1, "subscriptions/listen", `"notifications":{}`),
			append(now("subscriptions/listen", ""), "Accept", "application/json"), 200, -32600},
		{"method", modern(1, "no/such", ""), now("no/such", ""), 404, -32601},
		{"method, legacy", legacy(1, "no/such", ""), in, 200, -32601},
		{"method of the other era", legacy(1, "server/discover", ""), in, 400, -32020}, // it is modern by its name
		{"ping, modern", modern(1, "ping", ""), now("ping", ""), 404, -32601},
		{"params", modern(1, "tools/call", ""), now("tools/call", ""), 400, -32602},
		{"params, legacy", legacy(1, "tools/call", ""), in, 200, -32602},
		{"params are no object, legacy", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, in, 400, -32602},
		{"unknown tool", modern(1, "tools/call", `"name":"x"`), now("tools/call", "x"), 200, -32602},
		{"unknown tool, legacy", legacy(1, "tools/call", `"name":"x"`), in, 200, -32602},
		{"cursor", modern(1, "tools/list", `"cursor":"x"`), now("tools/list", ""), 200, -32602},
		{"resource", modern(1, "resources/read", `"uri":"a:b"`), now("resources/read", "a:b"), 200, -32602},
		{"resource, legacy", legacy(1, "resources/read", `"uri":"a:b"`), in, 200, -32002},
		{"handler", modern(1, "prompts/get", `"name":"fail"`), now("prompts/get", "fail"), 200, -32603},
		{"goexit", modern(1, "tools/call", `"name":"exit"`), now("tools/call", "exit"), 500, -32603},
		{"panic", modern(1, "tools/call", `"name":"panic"`), now("tools/call", "panic"), 200, 0},
		{"header", modern(1, "tools/call", `"name":"x"`), now("tools/call", "y"), 400, -32020},
		{"no header", modern(1, "tools/list", ""), nil, 400, -32020},
		{"capability", modernWith(1, "tools/call", `"name":"book","arguments":{"city":"Oslo"}`, `{}}`), now("tools/call", "book"), 400, -32021},
		{"task", modern(1, "tools/call", `"name":"task"`), now("tools/call", "task"), 400, -32021},
		{"task, legacy", legacy(1, "tools/call", `"name":"task"`), in, 200, -32603},
		{"tasks/get", modern(1, "tasks/get", `"taskId":"x"`), now("tasks/get", "x"), 400, -32021},
		{"version", strings.ReplaceAll(modern(1, "tools/list", ""), "2026-07-28", "2030-01-01"),
			[]string{"MCP-Protocol-Version", "2030-01-01", "Mcp-Method", "tools/list"}, 400, -32022},
		{"old version in the new form", strings.ReplaceAll(modern(1, "tools/list", ""), "2026-07-28", "2025-11-25"),
			[]string{"MCP-Protocol-Version", "2025-11-25", "Mcp-Method", "tools/list"}, 400, -32022},
		{"no room for a session", session[0], nil, 503, -32000},
		{"media type", `{}`, []string{"Content-Type", "text/plain"}, 415, -32600},
		{"accept", `{}`, []string{"Accept", "text/html"}, 406, -32600},
		{"host", `{}`, []string{"Origin", "https://example.com"}, 403, -32600},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, answer, header := post(t, addr, tt.body, tt.fields...)
			code := fmt.Sprintf(`"code":%d,`, tt.code)
			if status != tt.status || tt.code != 0 && !strings.Contains(answer, code) || strings.Contains(answer, "secret") {
				t.Errorf("%d %s, want %d and %s", status, answer, tt.status, code)
			}
			if status == 503 && header.Get("Retry-After") != "5" {
				t.Errorf("Retry-After %q", header.Get("Retry-After"))
			}
		})
	}
}

// TestStatusesOfHTTP is the second table of errors.md, as far as it is not in the
// first.
func TestStatusesOfHTTP(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer(), MaxBody: 1000})
	const json = "Host: localhost\r\nContent-Type: application/json\r\n"
	tests := []struct {
		name, request string
		status        int
	}{
		{"preflight", "OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
		{"malformed", "POST /mcp\r\n\r\n", 400},
		{"no host", "POST /mcp HTTP/1.1\r\n\r\n", 400},
		{"path", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		{"method", "PUT /mcp HTTP/1.1\r\n" + json + "\r\n", 405},
		{"GET, modern", "GET /mcp HTTP/1.1\r\nHost: localhost\r\nMCP-Protocol-Version: 2026-07-28\r\n\r\n", 405},
		{"GET, accept", "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n", 406},
		{"body", "POST /mcp HTTP/1.1\r\n" + json + "Content-Length: 1001\r\n\r\n", 413},
		{"target", "GET /" + strings.Repeat("x", 4<<10) + " HTTP/1.1\r\n\r\n", 414},
		{"expect", "POST /mcp HTTP/1.1\r\n" + json + "Expect: x\r\n\r\n", 417},
		{"head", "GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", 431},
		{"fields", "GET /mcp HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: x\r\n", 64) + "\r\n", 431},
		{"coding", "POST /mcp HTTP/1.1\r\n" + json + "Transfer-Encoding: gzip\r\n\r\n", 501},
		{"protocol", "GET /mcp HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, tt.request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
		})
	}
}
