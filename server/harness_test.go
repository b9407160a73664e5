package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/mcp"
)

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

var legacyVersions = []string{mcp.Version20251125, mcp.Version20250618, mcp.Version20250326, mcp.Version20241105}

// tools are the fixtures of a test server. running gets a value when "wait"
// runs and ended one when its context is done; gate holds "hold" until closed.
type tools struct {
	mcp     *mcp.Server
	running chan struct{}
	ended   chan error
	gate    chan struct{}
}

type echoArgs struct {
	Text string `json:"text"`
}

func newTools() *tools {
	tl := &tools{
		mcp:     mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ServerOptions{Logger: quiet}),
		running: make(chan struct{}, 1024), ended: make(chan error, 1024), gate: make(chan struct{}),
	}
	echo := func(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
	}
	mcp.AddTool(tl.mcp, &mcp.Tool{Name: "echo"}, echo)
	mcp.AddTool(tl.mcp, &mcp.Tool{Name: "now", Class: mcp.ClassInline}, echo)
	mcp.AddTool(tl.mcp, &mcp.Tool{Name: "compute", Class: mcp.ClassCPU}, echo)
	mcp.AddTool(tl.mcp, &mcp.Tool{Name: "fail"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New("no such file")
	})
	tl.add("panic", 0, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { panic("boom") })
	tl.add("slow", 30*time.Millisecond, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		tl.ended <- ctx.Err()
		return nil, nil
	})
	tl.add("wait", 0, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tl.running <- struct{}{}
		<-ctx.Done()
		tl.ended <- ctx.Err()
		return nil, nil
	})
	for name, timeout := range map[string]time.Duration{"hold": 0, "hold_for_ever": -1} {
		tl.add(name, timeout, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			tl.running <- struct{}{}
			<-tl.gate
			return nil, nil
		})
	}
	tl.add("steps", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for i := range 3 {
			if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{Progress: float64(i + 1), Total: 3}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	tl.mcp.AddTool(&mcp.Tool{Name: "headers", InputSchema: json.RawMessage(`{"type":"object","properties":{` +
		`"region":{"type":"string","x-mcp-header":"Region"},"level":{"type":"integer","x-mcp-header":"Level"},` +
		`"dry":{"type":"boolean","x-mcp-header":"Dry"}}}`)}, nothing)
	return tl
}

func nothing(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return nil, nil }

func (tl *tools) add(name string, timeout time.Duration, h mcp.ToolHandler) {
	tl.mcp.AddTool(&mcp.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`), Timeout: timeout}, h)
}

var quiet = slog.New(slog.DiscardHandler)

// running is a Server under test.
type runningServer struct {
	*Server
	t    *testing.T
	stop func() error // ends Run and returns what it returned
	url  string       // of the endpoint; "" stands for the first of Endpoints
	http *http.Client
	tls  *tls.Config // of its clients, on TLS
}

// serve runs srv on a free port until the test ends.
func serve(t *testing.T, srv *Server) *runningServer {
	t.Helper()
	if srv.Addr == "" && len(srv.Listeners) == 0 {
		srv.Addr = "127.0.0.1:0"
	}
	if srv.Logger == nil {
		srv.Logger = quiet
	}
	if srv.Loops == 0 {
		srv.Loops = 1
	}
	started, result := make(chan struct{}), make(chan error, 1)
	hook := srv.Hooks.Started
	srv.Hooks.Started = func(i Info) {
		if hook != nil {
			hook(i)
		}
		close(started)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { result <- srv.Run(ctx) }()
	select {
	case <-started:
	case err := <-result:
		cancel()
		t.Fatalf("Run: %v", err)
	}
	transport := &http.Transport{}
	r := &runningServer{Server: srv, t: t, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
	r.stop = sync.OnceValue(func() error {
		transport.CloseIdleConnections()
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// reply is an HTTP answer; messages are the JSON-RPC messages in it.
type reply struct {
	status   int
	header   http.Header
	messages []string
	stream   bool
}

func (r reply) body() string { return strings.Join(r.messages, "\n") }

// do sends a request with header fields given as "Name: value".
func (r *runningServer) do(method, body string, fields ...string) reply {
	r.t.Helper()
	rep, err := r.try(context.Background(), method, body, fields...)
	if err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
	return rep
}

func (r *runningServer) try(ctx context.Context, method, body string, fields ...string) (reply, error) {
	resp, err := r.open(ctx, method, body, fields...)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	rep := reply{status: resp.StatusCode, header: resp.Header}
	raw, err := io.ReadAll(resp.Body)
	if rep.stream = resp.Header.Get("Content-Type") == "text/event-stream"; rep.stream {
		for line := range strings.Lines(string(raw)) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && strings.TrimSpace(data) != "" { // else it primes
				rep.messages = append(rep.messages, strings.TrimSpace(data))
			}
		}
	} else if len(raw) > 0 {
		rep.messages = []string{string(raw)}
	}
	return rep, err
}

// open sends a request and returns when the head of the answer is there.
func (r *runningServer) open(ctx context.Context, method, body string, fields ...string) (*http.Response, error) {
	url := r.url
	if url == "" {
		url = r.Endpoints()[0]
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header[name] = []string{value} // not Set: the case of the name is part of some tests
	}
	return r.http.Do(req)
}

// modernFields are the header fields of a 2026-07-28 request.
func modernFields(method, name string) []string {
	f := []string{"MCP-Protocol-Version: 2026-07-28", "Mcp-Method: " + method}
	if name != "" {
		f = append(f, "Mcp-Name: "+name)
	}
	return f
}

// initialize opens a legacy session over HTTP and returns its id.
func (r *runningServer) initialize(version string, fields ...string) string {
	r.t.Helper()
	rep := r.do("POST", initializeMessage(version), fields...)
	id := rep.header.Get("Mcp-Session-Id")
	if rep.status != 200 || id == "" {
		r.t.Fatalf("initialize: status %d, session %q: %s", rep.status, id, rep.body())
	}
	rep = r.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, append(fields, "Mcp-Session-Id: "+id)...)
	if rep.status != 202 || rep.body() != "" {
		r.t.Fatalf("initialized: status %d: %s", rep.status, rep.body())
	}
	return id
}

func initializeMessage(version string) string {
	return `{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
}

// peer is a connection that carries messages both ways: WebSocket or stdio.
type peer interface {
	send(msg string)
	// read returns the next message; an error at the end.
	read() (string, error)
	close()
}

func mustRead(t *testing.T, p peer) string {
	t.Helper()
	msg, err := p.read()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return msg
}

func want(t *testing.T, p peer, msg string) {
	t.Helper()
	if got := mustRead(t, p); got != msg {
		t.Fatalf("got  %s\nwant %s", got, msg)
	}
}

// open sends initialize and notifications/initialized.
func handshake(t *testing.T, p peer, version string) {
	t.Helper()
	p.send(initializeMessage(version))
	if got := mustRead(t, p); !strings.Contains(got, `"protocolVersion":"`+version+`"`) {
		t.Fatalf("initialize: %s", got)
	}
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// wsPeer is a WebSocket client that knows just enough of RFC 6455.
type wsPeer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

var errUpgrade = errors.New("upgrade refused")

// closeError is the close frame that ended a WebSocket.
type closeError uint16

func (e closeError) Error() string { return fmt.Sprintf("closed with %d", uint16(e)) }

func (r *runningServer) dial(fields ...string) *wsPeer {
	r.t.Helper()
	p, resp, err := r.upgrade(fields...)
	if err != nil {
		r.t.Fatalf("upgrade: %v %v", resp, err)
	}
	return p
}

func (r *runningServer) upgrade(fields ...string) (*wsPeer, *http.Response, error) {
	conn, err := net.Dial("tcp", r.Addrs()[0])
	if err != nil {
		return nil, nil, err
	}
	if r.tls != nil {
		conn = tls.Client(conn, r.tls)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /mcp HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: wstest\r\n", r.Addrs()[0])
	for _, f := range fields {
		fmt.Fprintf(conn, "%s\r\n", f)
	}
	fmt.Fprint(conn, "\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	resp.Body.Close()
	if resp.StatusCode != 101 {
		conn.Close()
		return nil, resp, errUpgrade
	}
	p := &wsPeer{t: r.t, conn: conn, in: in}
	r.t.Cleanup(p.close)
	return p, resp, nil
}

func (p *wsPeer) send(msg string) { p.sendFrame(0x81, []byte(msg)) }

func (p *wsPeer) sendFrame(first byte, payload []byte) {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(frame, 0, 0, 0, 0) // a mask of zeros leaves the payload as it is
	_, _ = p.conn.Write(append(frame, payload...))
}

func (p *wsPeer) read() (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return "", err
	}
	n := uint64(head[1])
	var ext [8]byte
	switch n {
	case 126:
		_, _ = io.ReadFull(p.in, ext[6:])
		n = binary.BigEndian.Uint64(ext[:])
	case 127:
		_, _ = io.ReadFull(p.in, ext[:])
		n = binary.BigEndian.Uint64(ext[:])
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(p.in, payload); err != nil {
		return "", err
	}
	if head[0] == 0x88 {
		p.sendFrame(0x88, payload)
		return "", closeError(binary.BigEndian.Uint16(payload))
	}
	return string(payload), nil
}

func (p *wsPeer) close() { p.conn.Close() }

// stdioPeer is the client at the other end of RunStdio.
type stdioPeer struct {
	in     *io.PipeWriter
	out    *bufio.Scanner
	result chan error
	once   sync.Once
	err    error
}

func serveStdio(t *testing.T, srv *Server) *stdioPeer {
	t.Helper()
	srv.Logger = quiet
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p := &stdioPeer{in: inW, out: bufio.NewScanner(outR), result: make(chan error, 1)}
	p.out.Buffer(nil, 8<<20)
	go func() {
		err := srv.RunStdio(context.Background(), inR, outW)
		outW.Close()
		p.result <- err
	}()
	t.Cleanup(func() { // what is still written must not block
		go func() { _, _ = io.Copy(io.Discard, outR) }()
		p.close()
	})
	return p
}

func (p *stdioPeer) send(msg string) { _, _ = io.WriteString(p.in, msg+"\n") }

func (p *stdioPeer) read() (string, error) {
	if !p.out.Scan() {
		return "", io.EOF
	}
	return string(bytes.Clone(p.out.Bytes())), nil
}

// close ends the input and waits for the end of RunStdio.
func (p *stdioPeer) close() {
	p.once.Do(func() {
		p.in.Close()
		p.err = <-p.result
	})
}
