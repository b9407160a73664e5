// Package servers_test checks that the peers of the bench suite are what they claim to be: each is built, started as
// the suite does it, and asked in every revision that it can.
package servers_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	path     = "/mcp"
	patience = 10 * time.Second
)

var (
	both   = []client.Era{client.Modern, client.Legacy}
	legacy = []client.Era{client.Legacy}
)

func TestPeers(t *testing.T) {
	for _, tt := range []struct {
		name, pkg string
		args      []string
		eras      []client.Era
		dial      func(*testing.T, *daemon.Process, client.Era) peer
	}{
		{"gosdk", "gosdk", nil, both, dialHTTP},
		{"gosdk stateful", "gosdk", []string{"--stateful"}, legacy, dialSession},
		{"mcpgo", "mcpgo", nil, both, dialHTTP},
		{"gosdkws", "gosdkws", nil, both, dialWebSocket},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, tt.pkg, tt.args...)
			for _, era := range tt.eras {
				t.Run(era.String(), func(t *testing.T) {
					at := tt.dial(t, p, era)
					checkEcho(t, at, era)
					checkDone(t, at, era, "sleep")
					checkDone(t, at, era, "burn")
				})
			}
			checkProbe(t, p)
		})
	}
}

func TestTypeScript(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("typescript/node_modules"); err != nil {
		t.Skip("npm ci --prefix benchmarks/servers/typescript has not run: ", err)
	}
	script, err := filepath.Abs("typescript/server.mjs")
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddrs(t, 1)[0]
	p := launch(t, daemon.Command{Bin: node, Args: []string{script, "--listen", addr}, Addr: addr})
	for _, era := range both {
		t.Run(era.String(), func(t *testing.T) {
			at := dialHTTP(t, p, era)
			checkEcho(t, at, era)
			checkDone(t, at, era, "sleep")
		})
	}
}

// TestFloor asks the server that is no MCP server: it gives the same answer whatever it reads.
func TestFloor(t *testing.T) {
	t.Parallel()
	p := start(t, "nethttp")
	at := dialHTTP(t, p, client.Modern)
	for range 2 {
		a := at.call(t, &client.Call{Era: client.Modern, ID: 5, Tool: "echo", Args: []byte(`{"text":"hi"}`)})
		if a.ID != 1_000_000_000 || a.Failed || !strings.HasPrefix(string(a.Text), "m0000000 ") {
			t.Errorf("answer = %+v", a)
		}
	}
	checkProbe(t, p)
}

func checkEcho(t *testing.T, at peer, era client.Era) {
	t.Helper()
	const text = "a <b> & \"c\" \u00e9\u6c34\n"
	args := append(client.AppendString([]byte(`{"text":`), text), '}')
	a := at.call(t, &client.Call{Era: era, ID: 11, Tool: "echo", Args: args})
	if a.ID != 11 || a.Failed || a.ToolError || string(a.Text) != text {
		t.Errorf("echo = %+v, want the text %q", a, text)
	}
	for _, args := range []string{`{}`, `{"text":5}`} {
		a := at.call(t, &client.Call{Era: era, ID: 12, Tool: "echo", Args: []byte(args)})
		if a.ID != 12 || !a.Failed && !a.ToolError {
			t.Errorf("echo of %s = %+v, want an error", args, a)
		}
	}
}

// checkDone calls a tool that takes its time, and takes half of it as proof: burn counts work, not time.
func checkDone(t *testing.T, at peer, era client.Era, tool string) {
	t.Helper()
	begun := time.Now()
	a := at.call(t, &client.Call{Era: era, ID: 13, Tool: tool, Args: []byte(`{"ms":20}`)})
	if a.ID != 13 || a.Failed || a.ToolError || string(a.Text) != "done" {
		t.Errorf("%s = %+v, want done", tool, a)
	}
	if took := time.Since(begun); took < 10*time.Millisecond {
		t.Errorf("%s of 20 ms took %v", tool, took)
	}
}

// checkProbe reads what the suite reads of a server written in Go.
func checkProbe(t *testing.T, p *daemon.Process) {
	t.Helper()
	if g, err := p.Gauges(t.Context()); err != nil || g.Goroutines <= 0 {
		t.Errorf("gauges = %+v, %v", g, err)
	}
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/profile?mutex=5&block=0", 204},
		{"POST", "/profile?mutex=-1", 400},
		{"POST", "/profile?cpu=1", 400},
		{"GET", "/profile", 405},
		{"GET", "/debug/pprof/", 200},
		{"GET", "/debug/pprof/mutex", 200},
		{"GET", "/debug/pprof/trace?seconds=0.01", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+p.Admin+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.want {
			t.Errorf("%s %s = %s, want %d", tt.method, tt.path, res.Status, tt.want)
		}
	}
}

// start builds a peer and starts it with a probe.
func start(t *testing.T, pkg string, args ...string) *daemon.Process {
	t.Helper()
	bin, err := daemon.Build(t.Context(), ".", "./"+pkg, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	addrs := freeAddrs(t, 2)
	addr, admin := addrs[0], addrs[1]
	args = append(args, "--listen", addr, "--probe", admin)
	return launch(t, daemon.Command{Bin: bin, Args: args, Addr: addr, Admin: admin})
}

// launch starts c and waits until it is ready. At the end of the test c must leave on SIGTERM with nothing said.
func launch(t *testing.T, c daemon.Command) *daemon.Process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Log = log
	p, err := daemon.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(10 * time.Second)
		log.Close()
		said, err := os.ReadFile(log.Name())
		if code := p.ExitCode(); code != 0 || len(said) > 0 || err != nil {
			t.Errorf("exit code %d, said %q, %v", code, said, err)
		}
	})
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	addrs, err := daemon.FreeAddrs(n)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

// peer is a client of a server under test, after the handshake that its revision needs. call fails the test when there
// is no answer.
type peer interface {
	call(t *testing.T, c *client.Call) client.Answer
}

// httpPeer is one connection, in a legacy session or without one.
type httpPeer struct {
	conn *client.HTTP
	head client.Request
}

func dialHTTP(t *testing.T, p *daemon.Process, era client.Era) peer {
	return newHTTPPeer(t, p, era)
}

func newHTTPPeer(t *testing.T, p *daemon.Process, era client.Era) *httpPeer {
	t.Helper()
	conn, err := client.DialHTTP(t.Context(), p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &httpPeer{conn, client.Request{Verb: "POST", Path: path, Host: p.Addr, Version: era.String()}}
}

// dialSession opens a session, as a legacy client does.
func dialSession(t *testing.T, p *daemon.Process, era client.Era) peer {
	t.Helper()
	h := newHTTPPeer(t, p, era)
	r := h.head
	r.Version = "" // not negotiated yet
	session, body := h.exchange(t, r, 200, client.AppendInitialize(nil, 1))
	if a := parse(t, body); a.Failed || session == "" {
		t.Fatalf("initialize = %s, session %q", body, session)
	}
	h.head.Session = session
	h.exchange(t, h.head, 202, client.AppendInitialized(nil))
	return h
}

func (h *httpPeer) call(t *testing.T, c *client.Call) client.Answer {
	t.Helper()
	r := h.head
	if c.Era == client.Modern {
		r.RPC, r.Name = "tools/call", c.Tool
	}
	_, body := h.exchange(t, r, 200, c.Append(nil))
	return parse(t, body)
}

// exchange sends a request and returns the session that the answer names, and its body, which must be JSON.
func (h *httpPeer) exchange(t *testing.T, r client.Request, want int, body []byte) (session string, answer []byte) {
	t.Helper()
	if err := h.conn.Write(r.Append(nil, body)); err != nil {
		t.Fatal(err)
	}
	head, err := h.conn.ReadHead()
	if err != nil {
		t.Fatal(err)
	}
	session = string(head.Get("mcp-session-id"))
	answer, err = h.conn.ReadBody(head)
	if err != nil {
		t.Fatal(err)
	}
	if head.Status != want || head.EventStream || head.Close {
		t.Fatalf("status %d, event stream %v, close %v, want %d and JSON: %s", head.Status, head.EventStream, head.Close, want, answer)
	}
	return session, answer
}

// wsPeer is one WebSocket.
type wsPeer struct{ ws *client.WebSocket }

func dialWebSocket(t *testing.T, p *daemon.Process, era client.Era) peer {
	t.Helper()
	ws, err := client.DialWebSocket(t.Context(), p.Addr, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ws.Close(); err != nil {
			t.Errorf("closing the WebSocket: %v", err)
		}
	})
	if err := ws.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	w := wsPeer{ws}
	if era == client.Legacy {
		if a := w.exchange(t, client.AppendInitialize(nil, 1)); a.Failed {
			t.Fatalf("initialize = %+v", a)
		}
		if err := ws.Write(client.AppendInitialized(nil)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w wsPeer) call(t *testing.T, c *client.Call) client.Answer {
	t.Helper()
	return w.exchange(t, c.Append(nil))
}

func (w wsPeer) exchange(t *testing.T, message []byte) client.Answer {
	t.Helper()
	if err := w.ws.Write(message); err != nil {
		t.Fatal(err)
	}
	answer, err := w.ws.Read()
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, answer)
}

func parse(t *testing.T, message []byte) (a client.Answer) {
	t.Helper()
	if err := a.Parse(message); err != nil {
		t.Fatal(err)
	}
	return a
}
