package docs_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server"
	"millrace/server/auth"
	"millrace/server/mcp"
	sessions "millrace/server/session"
)

// Opcodes of frames.
const (
	opContinue = 0
	opText     = 1
	opBinary   = 2
	opClose    = 8
	opPing     = 9
)

// socket is the client's side of a WebSocket, by hand: it can break every rule.
type socket struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// start runs srv until the test ends, and returns its address.
func start(t *testing.T, srv *server.Server) (addr string, stop func()) {
	t.Helper()
	srv.Addr, srv.Loops, srv.Logger = "127.0.0.1:0", 1, slog.New(slog.DiscardHandler)
	up, done := make(chan struct{}), make(chan error, 1)
	srv.Hooks.Started = func(server.Info) { close(up) }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- srv.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	select {
	case <-up:
	case err := <-done:
		t.Fatal(err)
	}
	return srv.Addrs()[0], stop
}

// handshake sends an opening handshake. Fields without a value are left out.
func handshake(t *testing.T, addr, path string, fields map[string]string) (*socket, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	all := map[string]string{
		"Host": addr, "Upgrade": "websocket", "Connection": "Upgrade",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	}
	for name, value := range fields {
		all[name] = value
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\n", path)
	for name, value := range all {
		if value != "" {
			fmt.Fprintf(conn, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprint(conn, "\r\n")
	s := &socket{t: t, conn: conn, in: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(s.in, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	return s, resp
}

func open(t *testing.T, addr string) *socket {
	t.Helper()
	s, resp := handshake(t, addr, "/mcp", map[string]string{"Sec-WebSocket-Protocol": "mcp"})
	if resp.StatusCode != 101 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return s
}

// frame writes a frame, masked with zeros.
func (s *socket) frame(op byte, fin bool, payload string) {
	first := op
	if fin {
		first |= 0x80
	}
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	_, _ = s.conn.Write(append(append(head, 0, 0, 0, 0), payload...))
}

func (s *socket) send(message string) { s.frame(opText, true, message) }

// next reads a frame of the server.
func (s *socket) next() (op byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return 0, "", err
	}
	n := int(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, _ = io.ReadFull(s.in, b[:])
		n = int(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, _ = io.ReadFull(s.in, b[:])
		n = int(binary.BigEndian.Uint64(b[:]))
	}
	p := make([]byte, n)
	_, err = io.ReadFull(s.in, p)
	return head[0] & 15, string(p), err
}

// read reads a message and looks for parts of it.
func (s *socket) read(want ...string) string {
	s.t.Helper()
	op, p, err := s.next()
	if err != nil || op != opText {
		s.t.Fatalf("frame of opcode %d %q, %v, want a message with %q", op, p, err, want)
	}
	for _, w := range want {
		if !strings.Contains(p, w) {
			s.t.Errorf("message %s, want %q in it", p, w)
		}
	}
	return p
}

// closed reads a close frame.
func (s *socket) closed(code uint16) {
	s.t.Helper()
	op, p, err := s.next()
	if err != nil || op != opClose || len(p) < 2 {
		s.t.Fatalf("frame of opcode %d %q, %v, want a close frame of %d", op, p, err, code)
	}
	if got := binary.BigEndian.Uint16([]byte(p)); got != code {
		s.t.Errorf("close code %d %q, want %d", got, p[2:], code)
	}
}

// bindingServer has the tools that the tests of the binding need.
func bindingServer() *mcp.Server {
	s := newServer()
	addConvert(s)
	mcp.AddTool(s, &mcp.Tool{Name: "book"}, book)
	mcp.AddTool(s, &mcp.Tool{Name: "wait"},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		})
	return s
}

const convert100 = `"name":"convert","arguments":{"celsius":100}`

// verifier knows one token, and remembers what it was shown.
type verifier struct{ seen chan string }

func (v verifier) Authenticate(_ context.Context, c auth.Credentials) (*auth.Principal, error) {
	v.seen <- c.Authorization
	if c.Authorization != "Bearer good" {
		return nil, auth.ErrUnauthenticated
	}
	return &auth.Principal{ID: "ada"}, nil
}

// TestWebSocketEstablishment is section 2 of websocket.md.
func TestWebSocketEstablishment(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer()})
	tests := []struct {
		name, path string
		fields     map[string]string
		status     int
		protocol   string
	}{
		{"E3", "/mcp", map[string]string{"Sec-WebSocket-Protocol": "x, mcp.auth.secret, mcp"}, 101, "mcp"},
		{"E4", "/mcp", map[string]string{"Sec-WebSocket-Protocol": "MCP, mcp.auth.secret"}, 101, ""},
		{"no offer", "/mcp", nil, 101, ""},
		{"E8 origin", "/mcp", map[string]string{"Origin": "https://example.com"}, 403, ""},
		{"E8 own origin", "/mcp", map[string]string{"Origin": "http://" + addr}, 101, ""},
		{"E8 host", "/mcp", map[string]string{"Host": "example.com"}, 403, ""},
		{"E8 other site", "/mcp", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, ""},
		{"E9", "/mcp", map[string]string{"Sec-WebSocket-Extensions": "permessage-deflate"}, 101, ""},
		{"E10", "/mcp", map[string]string{"MCP-Protocol-Version": "1999-01-01", "Mcp-Session-Id": "x"}, 101, ""},
		{"path", "/other", nil, 404, ""},
		{"version", "/mcp", map[string]string{"Sec-WebSocket-Version": "8"}, 426, ""},
		{"key", "/mcp", map[string]string{"Sec-WebSocket-Key": "short"}, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, resp := handshake(t, addr, tt.path, tt.fields)
			if resp.StatusCode != tt.status || resp.Header.Get("Sec-WebSocket-Protocol") != tt.protocol {
				t.Errorf("status %d, subprotocol %q", resp.StatusCode, resp.Header.Get("Sec-WebSocket-Protocol"))
			}
			if ext := resp.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
				t.Errorf("extension %q", ext)
			}
		})
	}
}

// TestWebSocketAuthentication is section 11, and E6.
func TestWebSocketAuthentication(t *testing.T) {
	v := verifier{make(chan string, 1)}
	addr, _ := start(t, &server.Server{MCP: bindingServer(), Auth: v, Policy: auth.AllowAll()})
	tests := []struct {
		name, protocol, header string
		status                 int
		shown                  string
	}{
		{"none", "mcp", "", 401, ""},
		{"token", "mcp, mcp.auth.good", "", 101, "Bearer good"},
		{"header wins", "mcp, mcp.auth.bad", "Bearer good", 101, "Bearer good"},
		{"wrong", "mcp", "Bearer bad", 401, "Bearer bad"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, resp := handshake(t, addr, "/mcp", map[string]string{"Sec-WebSocket-Protocol": tt.protocol, "Authorization": tt.header})
			if shown := <-v.seen; resp.StatusCode != tt.status || shown != tt.shown {
				t.Errorf("status %d, shown %q", resp.StatusCode, shown)
			}
			if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate %q", resp.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

// TestWebSocketEras is section 3.
func TestWebSocketEras(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer()})
	s := open(t, addr)
	s.send(legacy(1, "tools/call", convert100))
	s.read(`"code":-32600,"message":"initialize must be the first request of a session"`)
	s.send(modern(2, "tools/call", convert100))
	s.read(`"id":2,"result":{"resultType":"complete"`)
	s.send(`{"jsonrpc":"2.0","id":3,"method":"server/discover","params":{}}`)
	s.read(`"code":-32602`, "io.modelcontextprotocol/protocolVersion") // modern, but incomplete (M2)
	s.send(session[0])
	s.read(`"protocolVersion":"2025-11-25"`)
	s.send(session[0])
	s.read(`"code":-32600,"message":"the session is already initialized"`)
	s.send(session[1])
	s.send(legacy(4, "tools/call", convert100))
	s.read(`"id":4,"result":{"content"`)
	s.send(modern(5, "tools/call", convert100))
	s.read(`"id":5,"result":{"resultType":"complete"`)
	s.send(legacy(6, "tools/call", `"name":"book","arguments":{"city":"Oslo"}`))
	s.read(`"id":1,"method":"elicitation/create"`) // R2
	s.send(`{"jsonrpc":"2.0","id":77,"result":{"action":"accept","content":{"date":"2026-01-01"}}}`)
	s.send(`{"jsonrpc":"2.0","id":1,"result":{"action":"decline"}}`)
	s.read(`"id":6`, "Nothing was booked.") // R3: what answers nothing is ignored
}

// TestWebSocketFraming is section 4, with the table of close codes.
func TestWebSocketFraming(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer(), MaxBody: 4096})
	call := modern(1, "tools/call", convert100)
	tests := []struct {
		name string
		send func(*socket)
		code uint16 // 0: the call is answered
	}{
		{"F2", func(s *socket) {
			s.frame(opText, false, call[:10])
			s.frame(opPing, true, "")
			s.frame(opContinue, false, "")
			s.frame(opContinue, true, call[10:])
		}, 0},
		{"F3", func(s *socket) { s.frame(opBinary, true, call) }, 1003},
		{"UTF-8", func(s *socket) { s.send("\"\xff\"") }, 1007},
		{"too long", func(s *socket) { s.send(strings.Repeat(" ", 4097)) }, 1009},
		{"fragments", func(s *socket) {
			s.frame(opText, false, "")
			for range 1024 {
				s.frame(opContinue, false, "")
			}
		}, 1008},
		{"control frames", func(s *socket) {
			for range 11 {
				s.frame(opPing, true, "")
			}
		}, 1008},
		{"not masked", func(s *socket) { _, _ = s.conn.Write([]byte{0x81, 2, '{', '}'}) }, 1002},
		{"opcode", func(s *socket) { s.frame(3, true, "") }, 1002},
		{"close", func(s *socket) { s.frame(opClose, true, "\x03\xe8bye") }, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, addr)
			tt.send(s)
			for {
				op, p, err := s.next()
				switch {
				case err != nil:
					t.Fatal(err)
				case op == opPing+1:
					continue // K2
				case op == opClose && len(p) >= 2:
					if got := binary.BigEndian.Uint16([]byte(p)); got != tt.code {
						t.Errorf("close code %d %q, want %d", got, p[2:], tt.code)
					}
				case op != opText || tt.code != 0:
					t.Errorf("frame of opcode %d %q, want code %d", op, p, tt.code)
				}
				return
			}
		})
	}
}

// TestWebSocketMessages is what sections 4 and 5 say of messages.
func TestWebSocketMessages(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer()})
	s := open(t, addr)
	s.send("{")
	s.read(`{"jsonrpc":"2.0","error":{"code":-32700`) // F5: no id
	s.send(`{"jsonrpc":"2.0","id":{},"method":"ping"}`)
	s.read(`{"jsonrpc":"2.0","error":{"code":-32600`)
	s.send(`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`)
	s.read(`"code":-32600`, "duplicate member name")
	s.send(`[` + legacy(1, "ping", "") + `]`)
	s.read(`"code":-32600,"message":"batches exist in protocol version 2025-03-26 only`) // F4
	s.send(`{"method":"notifications/x"}`)                                               // F6: not answered
	s.send(`{"jsonrpc":"2.0","id":9,"result":{}}`)
	s.send(modern(2, "tools/call", `"name":"wait"`))
	s.send(modern(2, "tools/call", convert100))
	s.read(`"id":2,"error":{"code":-32600,"message":"a request with this id is already in flight on this connection"`) // P2
	s.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
	s.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`) // C3
	s.send(modern(2, "tools/call", convert100))
	s.read(`"id":2,"result"`, "212") // C2: nothing was sent for the other
	s.send(modern(3, "no/such", ""))
	s.read(`"id":3,"error":{"code":-32601`)
	named := func(id string) string {
		return strings.Replace(modern(0, "tools/call", `"name":"wait"`), `"id":0`, `"id":`+id, 1)
	}
	s.send(named(`"a"`))
	s.send(named(`"\u0061"`))
	s.read(`a request with this id is already in flight`)

	old := open(t, addr)
	old.send(strings.Replace(session[0], "2025-11-25", "2025-03-26", 1))
	old.read(`"protocolVersion":"2025-03-26"`)
	old.send("{")
	old.read(`"id":null`, "-32700")
	old.send(`[` + legacy(1, "ping", "") + `,` + legacy(2, "ping", "") + `]`)
	old.read(`[{"jsonrpc":"2.0","id":`, `"id":1,"result":{}`, `"id":2,"result":{}`)
}

// TestWebSocketSubscriptions is section 8, and what section 10 says of the end.
func TestWebSocketSubscriptions(t *testing.T) {
	m := bindingServer()
	addr, stop := start(t, &server.Server{MCP: m})
	s := open(t, addr)
	for _, id := range []int{1, 2} {
		s.send(modern(id, "subscriptions/listen", `"notifications":{"toolsListChanged":true}`))
		s.read("notifications/subscriptions/acknowledged", fmt.Sprintf(`"io.modelcontextprotocol/subscriptionId":%d`, id)) // S2
	}
	s.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	s.send(modern(3, "tools/call", convert100))
	s.read(`"id":3`) // S3: nothing for the subscription, and its end is certain now
	addRaw(m)
	s.read("notifications/tools/list_changed", `"io.modelcontextprotocol/subscriptionId":2`)
	go stop()
	s.read("notifications/cancelled", `"io.modelcontextprotocol/subscriptionId":2`, `"requestId":2`, "server is shutting down") // S4
	s.read(`"id":2,"result"`)
	s.closed(1001) // O5
}

// TestWebSocketSessionEnded is what section 3 says of the operator.
func TestWebSocketSessionEnded(t *testing.T) {
	srv := &server.Server{MCP: bindingServer()}
	addr, _ := start(t, srv)
	s := open(t, addr)
	s.send(session[0])
	s.read(`"protocolVersion":"2025-11-25"`)
	for _, ended := range srv.Sessions().List() {
		ended.End(time.Now(), sessions.Revoked)
	}
	s.closed(1008)
}

// TestWebSocketOverload is O1 and O2.
func TestWebSocketOverload(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer()})
	s := open(t, addr)
	for id := range 65 {
		s.send(modern(id, "tools/call", `"name":"wait"`))
	}
	s.read(`"id":64,"error":{"code":-31000`, `"data":{"type":"overloaded","retryAfterMs":1000}`)
	s.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
	s.send(modern(100, "tools/call", convert100))
	s.read(`"id":100,"result"`)
}

// TestWebSocketKeepAlive is K1.
func TestWebSocketKeepAlive(t *testing.T) {
	addr, _ := start(t, &server.Server{MCP: bindingServer(), PingInterval: 50 * time.Millisecond, PongTimeout: 50 * time.Millisecond})
	s := open(t, addr)
	if op, _, err := s.next(); err != nil || op != opPing {
		t.Fatalf("frame of opcode %d, %v, want a ping", op, err)
	}
	if op, p, err := s.next(); err == nil {
		t.Errorf("frame of opcode %d %q, want the end of the connection", op, p)
	}
}
