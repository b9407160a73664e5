package server

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/server/auth"
	"millrace/server/limit"
	"millrace/server/transport"
)

// rig is a whole server without sockets: the bytes of a request go in at one
// end, those of its answer come out.
type rig struct {
	mem  *loop.Memory
	pipe *loop.Pipe
	buf  []byte
}

func newRig(tb testing.TB) *rig { return newRigOf(tb, &Server{}) }

// newRigOf serves the usual tools as s says.
func newRigOf(tb testing.TB, s *Server) *rig {
	s.MCP = newTools().mcp
	g := newGate(tb, s)
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

// echoPost is that call over HTTP; fields, if any, are whole lines.
func echoPost(tool string, fields ...string) []byte {
	body := echoCall(tool)
	return []byte("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:40123\r\nMCP-Protocol-Version: 2026-07-28\r\n" + strings.Join(fields, "") +
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

// BenchmarkGuards is what each guard adds to a call of an inline tool over HTTP: an
// Origin to be judged, a token that is remembered, a rate for the caller and one for
// the tool, and a policy with ten rules.
func BenchmarkGuards(b *testing.B) {
	rules := func() (list []auth.Rule) {
		for i := range 9 {
			list = append(list, auth.Rule{Kind: auth.Tool, Pattern: "db_" + strconv.Itoa(i) + "*", Scopes: []string{"db"}})
		}
		return append(list, auth.Rule{Kind: auth.Tool, Pattern: "n*", Scopes: []string{"read"}})
	}
	authenticator := func() auth.Authenticator {
		return auth.NewBearer(tokens{strings.Repeat("t", 800): {ID: "https://as.example.com#ann", Scopes: []string{"read"}}})
	}
	limits := Limits{
		Requests: limit.Rate{Events: 1e9, Per: time.Second}, Tools: []ToolLimit{{Pattern: "now", Rate: limit.Rate{Events: 1e9, Per: time.Second}}},
	}
	origin, token := "Origin: http://127.0.0.1:40123\r\n", "Authorization: Bearer "+strings.Repeat("t", 800)+"\r\n"
	for _, bb := range []struct {
		name   string
		server *Server
		fields []string
	}{
		{"none", &Server{}, nil},
		{"origin", &Server{}, []string{origin}},
		{"token", &Server{Auth: authenticator(), Policy: auth.AllowAll()}, []string{token}},
		{"rates", &Server{Limits: limits}, nil},
		{"policy", &Server{Auth: authenticator(), Policy: &auth.Policy{Allow: rules()}}, []string{token}},
		{"all", &Server{Auth: authenticator(), Policy: &auth.Policy{Allow: rules()}, Limits: limits}, []string{origin, token}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r, post := newRigOf(b, bb.server), echoPost("now", bb.fields...)
			r.exchange(b, post, 1) // which asks for the token
			b.ReportAllocs()
			for b.Loop() {
				r.exchange(b, post, 1)
			}
		})
	}
}
