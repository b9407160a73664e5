package http1

import (
	"fmt"
	"strings"
	"testing"
)

// mcpBody and mcpPost are what an MCP client of 2025-06-18 sends for a tool
// call: ten fields, 350 bytes of body, 750 bytes in all.
var (
	mcpBody = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"search",` +
		`"arguments":{"query":"` + strings.Repeat("weather in Zurich ", 13) + `","limit":10}}}`
	mcpHead = "POST /mcp HTTP/1.1\r\n" +
		"Host: mcp.example.com:8080\r\n" +
		"User-Agent: python-httpx/0.28.1\r\n" +
		"Accept: application/json, text/event-stream\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Connection: keep-alive\r\n" +
		"Content-Type: application/json\r\n" +
		"Mcp-Session-Id: 1868a90c-7a4f-4e1c-8d9e-2f6b5c3a1d00\r\n" +
		"Mcp-Protocol-Version: 2025-06-18\r\n" +
		"Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(mcpBody))
	mcpPost = []byte(mcpHead + mcpBody)
)

func BenchmarkParsePost(b *testing.B) {
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(mcpPost)))
	for b.Loop() {
		r.Reset()
		if _, err := r.Parse(mcpPost, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseUpgrade(b *testing.B) {
	in := []byte("GET /mcp HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Origin: https://a.example\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: mcp\r\n\r\n")
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if _, err := r.Parse(in, nil); err != nil || !r.WantsUpgrade() {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeChunked(b *testing.B) {
	var r Request
	if _, err := r.Parse([]byte(line+host+te+end), nil); err != nil {
		b.Fatal(err)
	}
	src := AppendLastChunk(AppendChunk(nil, []byte(mcpBody)))
	dst := make([]byte, 0, len(src))
	var d Body
	b.ReportAllocs()
	b.SetBytes(int64(len(mcpBody)))
	for b.Loop() {
		d.Reset(&r, nil)
		if _, _, err := d.Decode(dst, src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		out := AppendStatusLine(dst, 200)
		out = AppendField(out, "Content-Type", "application/json")
		out = AppendField(out, "Mcp-Session-Id", "1868a90c-7a4f-4e1c-8d9e-2f6b5c3a1d00")
		out = AppendContentLength(out, len(mcpBody))
		AppendEnd(out)
	}
}

// TestAllocs pins the hot path: a request that is read, asked for everything
// and answered costs no memory.
func TestAllocs(t *testing.T) {
	chunked := []byte(chunkedPost)
	dst := make([]byte, 0, 4096)
	bad := []byte("GET / HTTP/1.1\nHost: a\n\n")
	var r Request
	var d Body
	serve := func(in []byte) {
		r.Reset()
		n, err := r.Parse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		d.Reset(&r, nil)
		if r.Body, _, err = d.Decode(dst, in[n:]); err != nil {
			t.Fatal(err)
		}
		seen := len(r.Path()) + len(r.Query()) + len(r.Known(HeaderAccept)) + len(r.Get("accept-encoding"))
		for name, value := range r.Fields() {
			seen += len(name) + len(value)
		}
		for value := range r.Values(HeaderAccept) {
			seen += len(value)
		}
		if seen == 0 || r.WantsUpgrade() || !r.KeepAlive() {
			t.Fatal("wrong request")
		}
		out := AppendStatusLine(dst, 200)
		out = AppendField(out, "Content-Type", "application/json")
		out = AppendEnd(AppendContentLength(out, 5))
		AppendLastChunk(AppendChunk(out, r.Body))
	}
	for name, run := range map[string]func(){
		"post":    func() { serve(mcpPost) },
		"chunked": func() { serve(chunked) },
		"refused": func() {
			r.Reset()
			if _, err := r.Parse(bad, nil); err == nil {
				t.Fatal("accepted")
			}
		},
	} {
		if got := testing.AllocsPerRun(100, run); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}
