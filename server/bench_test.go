package server

import (
	"strconv"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/server/transport"
)

// rig is a whole server without sockets: the bytes of a request go in at one
// end, those of its answer come out.
type rig struct {
	mem  *loop.Memory
	pipe *loop.Pipe
	buf  []byte
}

func newRig(tb testing.TB) *rig {
	g := newGate(tb, &Server{MCP: newTools().mcp})
	mem := loop.NewMemory(loop.Config{}, transport.NewHandler(transport.Config{}, g))
	r := &rig{mem: mem, pipe: mem.Open("127.0.0.1:1", 0)}
	r.pipe.Discard = true
	return r
}

// exchange feeds one read and waits for n answers.
func (r *rig) exchange(tb testing.TB, b []byte, n int) {
	r.buf = append(r.buf[:0], b...)
	before := r.pipe.Writes
	r.pipe.FeedInPlace(r.buf)
	for r.pipe.Writes-before < n {
		if !r.mem.Wait(5 * time.Second) {
			tb.Fatal("no answer")
		}
	}
}

// echoCall is the call of the bench suite: 50 bytes of text, 2026-07-28.
func echoCall(tool string) string {
	return `{"jsonrpc":"2.0","id":1000000007,"method":"tools/call","params":{"name":"` + tool +
		`","arguments":{"text":"m0000007 fifty bytes of text, as an agent would s"},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"millrace-load","version":"1.0.0"},` +
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`
}

func echoPost(tool string) []byte {
	body := echoCall(tool)
	return []byte("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:40123\r\nMCP-Protocol-Version: 2026-07-28\r\n" +
		"Mcp-Method: tools/call\r\nMcp-Name: " + tool + "\r\nAccept: application/json, text/event-stream\r\n" +
		"Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// BenchmarkCall is a whole tools/call but for the kernel: "now" is of class
// inline, "echo" of the default class.
func BenchmarkCall(b *testing.B) {
	for _, tool := range []string{"now", "echo"} {
		b.Run("http/"+tool, func(b *testing.B) {
			r, post := newRig(b), echoPost(tool)
			b.ReportAllocs()
			for b.Loop() {
				r.exchange(b, post, 1)
			}
		})
		b.Run("websocket/"+tool, func(b *testing.B) {
			r := newRig(b)
			r.exchange(b, []byte("GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:40123\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mcp\r\n\r\n"), 1)
			frame := looptest.Text(echoCall(tool))
			b.ReportAllocs()
			for b.Loop() {
				r.exchange(b, frame, 1)
			}
		})
	}
}
