package generator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/benchmarks/client"
	"millrace/server"
	"millrace/server/mcp"
)

// millrace serves the tools of the suite. queue is how many calls may run, and how
// many may wait; 0 means the default.
func millrace(t *testing.T, queue int) string {
	t.Helper()
	text := func(s string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}, Resources: &mcp.ResourceCapabilities{Subscribe: true}},
	})
	type echoArgs struct {
		Text string `json:"text"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
		return text(in.Text), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "lie"}, func(context.Context, *mcp.CallToolRequest, echoArgs) (*mcp.CallToolResult, any, error) {
		return text("something else"), nil, nil
	})
	type msArgs struct {
		MS float64 `json:"ms"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "sleep"}, func(_ context.Context, _ *mcp.CallToolRequest, in msArgs) (*mcp.CallToolResult, any, error) {
		time.Sleep(time.Duration(in.MS * float64(time.Millisecond)))
		return text("done"), nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "touch"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		return text("done"), nil, s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "bench://watched"})
	})
	s.AddResource(&mcp.Resource{URI: "bench://watched", Name: "watched"}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{}, nil
	})
	addr := make(chan string, 1)
	srv := &server.Server{Addr: "127.0.0.1:0", MCP: s, Queue: queue, Workers: queue, DrainTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
	srv.Hooks.Started = func(server.Info) { addr <- srv.Addrs()[0] }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-addr:
		return a
	case err := <-ended:
		t.Fatal(err)
		return ""
	}
}

// drive puts a load on addr until the first group has counted enough.
func drive(t *testing.T, addr string, enough func(Counts) bool, groups ...*Group) *Load {
	t.Helper()
	l := &Load{Addr: addr, Path: "/mcp", Groups: groups, Workers: 2}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.Open(ctx); err != nil {
		t.Fatal(err)
	}
	l.Record(true)
	l.Start()
	for !enough(l.Counts(groups[0])) {
		if ctx.Err() != nil {
			t.Errorf("not enough: %+v", l.Counts(groups[0]))
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func messages(n int64) func(Counts) bool { return func(c Counts) bool { return c.Messages >= n } }

func TestCalls(t *testing.T) {
	addr := millrace(t, 0)
	for _, g := range []*Group{
		{Name: "http modern", Conns: 5, Era: client.Modern, Ask: Echo("echo", 50)},
		{Name: "http legacy", Conns: 5, Era: client.Legacy, Ask: Echo("echo", 50)},
		{Name: "websocket modern", Conns: 5, Protocol: WebSocket, Era: client.Modern, Ask: Echo("echo", 50), Depth: 1},
		{Name: "websocket legacy", Conns: 3, Protocol: WebSocket, Era: client.Legacy, Ask: Echo("echo", 50), Depth: 2},
		{Name: "ping", Conns: 3, Protocol: WebSocket, Era: client.Legacy, Ask: Ping(), Depth: 16},
		{Name: "list", Conns: 3, Era: client.Modern, Ask: ListTools()},
		{Name: "large", Conns: 2, Era: client.Modern, Ask: Echo("echo", 200<<10)},
		{Name: "large frames", Conns: 2, Protocol: WebSocket, Era: client.Modern, Ask: Echo("echo", 200<<10)},
		{Name: "churn", Conns: 3, Era: client.Modern, Ask: Echo("echo", 50), Reconnect: 2},
		{Name: "websocket churn", Conns: 3, Protocol: WebSocket, Era: client.Legacy, Ask: Ping(), Reconnect: 1},
		{Name: "rate", Conns: 4, Protocol: WebSocket, Era: client.Modern, Ask: Echo("echo", 50), Rate: 2000},
	} {
		t.Run(g.Name, func(t *testing.T) {
			l := drive(t, addr, messages(100), g)
			c := l.Counts(g)
			if c.Errors != 0 || c.Refused != 0 || c.Sent != c.Messages {
				t.Errorf("%+v: %q", c, g.Failures())
			}
			if n := l.Latency(g).TotalCount(); n == 0 || n > c.Messages {
				t.Errorf("%d latencies of %d messages", n, c.Messages)
			}
			if g.Reconnect > 0 && c.Dialled < c.Messages/int64(g.Reconnect) {
				t.Errorf("%d connections for %d messages", c.Dialled, c.Messages)
			}
		})
	}
}

func TestSubscribe(t *testing.T) {
	addr := millrace(t, 0)
	for _, p := range []Protocol{HTTP, WebSocket} {
		touch := &Group{Name: "touch", Conns: 1, Protocol: p, Era: client.Modern, Ask: Touch(), Rate: 20}
		g := &Group{Name: "listeners", Conns: 10, Protocol: p, Era: client.Modern, Ask: Listen(), Behaviour: Subscribe, After: touch}
		l := drive(t, addr, messages(50), g, touch)
		if c := l.Counts(g); c.Errors != 0 {
			t.Errorf("%+v: %q", c, g.Failures())
		}
		if c := l.Counts(touch); c.Errors != 0 || c.Messages == 0 {
			t.Errorf("touch: %+v: %q", c, touch.Failures())
		}
	}
}

// Idle connections and those that do not read are open, and end with the load.
func TestIdleAndDeaf(t *testing.T) {
	addr := millrace(t, 0)
	idle := &Group{Name: "idle", Conns: 5, Protocol: WebSocket, Era: client.Legacy, Behaviour: Idle}
	deaf := &Group{Name: "deaf", Conns: 2, Protocol: WebSocket, Era: client.Modern, Behaviour: Deaf, Ask: Echo("echo", 100), Depth: 2}
	g := &Group{Name: "calls", Conns: 1, Era: client.Modern, Ask: Echo("echo", 50)}
	l := drive(t, addr, messages(20), g, idle, deaf)
	for _, g := range []*Group{g, idle, deaf} {
		if c := l.Counts(g); c.Errors != 0 {
			t.Errorf("%s: %+v: %q", g.Name, c, g.Failures())
		}
	}
	if c := l.Counts(deaf); c.Sent != 4 || c.Messages != 0 {
		t.Errorf("deaf: %+v", c)
	}
}

// More than the server takes is refused properly, and is no error.
func TestRefused(t *testing.T) {
	addr := millrace(t, 4)
	for _, era := range []client.Era{client.Legacy, client.Modern} {
		g := &Group{Name: "busy", Conns: 4, Protocol: WebSocket, Era: era, Ask: Sleep(5), Depth: 16}
		l := drive(t, addr, func(c Counts) bool { return c.Refused > 10 && c.Messages > 10 }, g)
		if c := l.Counts(g); c.Errors != 0 {
			t.Errorf("%+v: %q", c, g.Failures())
		}
	}
	g := &Group{Name: "busy", Conns: 64, Era: client.Modern, Ask: Sleep(5)}
	l := drive(t, addr, func(c Counts) bool { return c.Refused > 10 && c.Messages > 10 }, g)
	if c := l.Counts(g); c.Errors != 0 {
		t.Errorf("http: %+v: %q", c, g.Failures())
	}
}

// A tool that answers something else is found out.
func TestWrongText(t *testing.T) {
	g := &Group{Name: "lie", Conns: 2, Era: client.Modern, Ask: Echo("lie", 50)}
	l := drive(t, millrace(t, 0), func(c Counts) bool { return c.Errors >= 10 }, g)
	if c := l.Counts(g); c.Messages != 0 || len(g.Failures()) != maxFailures || !strings.Contains(g.Failures()[0], "something else") {
		t.Errorf("%+v: %q", c, g.Failures())
	}
}

// faulty answers each POST by what is made of its id.
func faulty(t *testing.T, answer func(n int64, id string, w http.ResponseWriter)) string {
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var msg struct{ ID json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&msg); err != nil {
			t.Error(err)
		}
		answer(n.Add(1), string(msg.ID), w)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func result(id, text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%q}]}}`, id, text)
}

// Each fault of a server is counted and told, also when answers before were right
// and are only compared.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(id string, w http.ResponseWriter)
		want  string
	}{
		{"another text", func(id string, w http.ResponseWriter) { _, _ = io.WriteString(w, result(id, "dune")) }, `text "dune"`},
		{"another id", func(_ string, w http.ResponseWriter) { _, _ = io.WriteString(w, result("1999999999", "done")) }, "not open"},
		{"no id", func(_ string, w http.ResponseWriter) { _, _ = io.WriteString(w, `{"jsonrpc":"2.0","result":{}}`) }, "not open"},
		{"no JSON", func(_ string, w http.ResponseWriter) { _, _ = io.WriteString(w, `{"id":`) }, "malformed"},
		{"status", func(_ string, w http.ResponseWriter) { w.WriteHeader(500) }, "status 500"},
		{"503 without Retry-After", func(_ string, w http.ResponseWriter) { w.WriteHeader(503) }, "Retry-After"},
		{"error", func(id string, w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"error":{"code":-32603,"message":"no"}}`)
		}, "error answer"},
		{"tool error", func(id string, w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"isError":true,"content":[{"type":"text","text":"done"}]}}`)
		}, "tool error"},
		{"hang-up", func(_ string, w http.ResponseWriter) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
		}, "closed the connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := faulty(t, func(n int64, id string, w http.ResponseWriter) {
				if n == 5 {
					tt.fault(id, w)
					return
				}
				_, _ = io.WriteString(w, result(id, "done"))
			})
			g := &Group{Name: "calls", Conns: 1, Era: client.Modern, Ask: Touch()}
			l := drive(t, addr, func(c Counts) bool { return c.Errors > 0 }, g)
			c := l.Counts(g)
			if c.Errors != 1 || c.Messages < 4 || !strings.Contains(strings.Join(g.Failures(), "\n"), tt.want) {
				t.Errorf("%+v: %q, want %q", c, g.Failures(), tt.want)
			}
		})
	}
}

// An answer that never comes counts when the load is closed.
func TestMissing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	g := &Group{Name: "calls", Conns: 3, Era: client.Modern, Ask: Touch()}
	l := &Load{Addr: ln.Addr().String(), Path: "/", Groups: []*Group{g}, Patience: 50 * time.Millisecond}
	if err := l.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Start()
	for end := time.Now().Add(10 * time.Second); l.Counts(g).Sent < 3 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := l.Counts(g); c.Errors != 3 || !strings.Contains(g.Failures()[0], "missing") {
		t.Errorf("%+v: %q", c, g.Failures())
	}
}

func TestOpenFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	_ = ln.Close()
	refusing := faulty(t, func(_ int64, _ string, w http.ResponseWriter) { w.WriteHeader(404) })
	for _, tt := range []struct{ name, addr, want string }{
		{"nobody there", closed, "refused"},
		{"no address", "example", "not IPv4"},
		{"no endpoint", refusing, "status 404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &Load{Addr: tt.addr, Path: "/mcp", Groups: []*Group{{Name: "calls", Conns: 2, Era: client.Legacy, Ask: Ping()}}}
			if err := l.Open(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want %q", err, tt.want)
			}
		})
	}
}
