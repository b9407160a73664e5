package main

import (
	"bufio"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"millrace/benchmarks/client"
)

// TestHandshake is the HTTP side: what opens a WebSocket, and what each other request is told.
func TestHandshake(t *testing.T) {
	addr, _ := start(t)
	for _, tt := range []struct {
		name   string
		send   string
		status int
		header map[string]string // of the answer
	}{
		{"upgrade", upgrade(), 101, map[string]string{"Sec-WebSocket-Extensions": "", "Sec-WebSocket-Protocol": ""}},
		{"names in any case, tokens in a list", strings.NewReplacer("Connection: Upgrade", "connection: keep-alive, UPGRADE",
			"Upgrade: websocket", "UPGRADE: WebSocket").Replace(upgrade()), 101, nil},
		{"a query", strings.Replace(upgrade(), path, path+"?case=1&agent=x", 1), 101, nil},
		{"offers are not taken up", upgrade("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat"), 101,
			map[string]string{"Sec-WebSocket-Extensions": "", "Sec-WebSocket-Protocol": ""}},
		{"another path", strings.Replace(upgrade(), path, "/", 1), 404, nil},
		{"a longer path", request("GET", path+"/more"), 404, nil},
		{"POST", request("POST", path, "Content-Length: 2") + "hi", 405, map[string]string{"Allow": "GET"}},
		{"POST that upgrades", strings.Replace(upgrade(), "GET", "POST", 1), 405, map[string]string{"Allow": "GET"}},
		{"HEAD", request("HEAD", path), 405, map[string]string{"Allow": "GET"}},
		{"no upgrade", request("GET", path), 426, map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}},
		{"another protocol", strings.Replace(upgrade(), "Upgrade: websocket", "Upgrade: h2c", 1), 426, nil},
		{"another version", strings.Replace(upgrade(), "Version: 13", "Version: 8", 1), 426, map[string]string{"Sec-WebSocket-Version": "13"}},
		{"a short key", strings.Replace(upgrade(), nonce, "c2hvcnQ=", 1), 400, nil},
		{"no key", strings.Replace(upgrade(), "Sec-WebSocket-Key: "+nonce+"\r\n", "", 1), 400, nil},
		{"HTTP/1.0", strings.Replace(upgrade(), "HTTP/1.1", "HTTP/1.0", 1), 426, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := connect(t, addr)
			p.say(tt.send)
			if tt.status == 101 {
				r := p.switched()
				for name, want := range tt.header {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
				p.bye()
				return
			}
			method, _, _ := strings.Cut(tt.send, " ")
			r, body := p.response(method)
			if r.StatusCode != tt.status || (body == "") != (method == "HEAD") {
				t.Errorf("status %d, body %q; want %d", r.StatusCode, body, tt.status)
			}
			for name, want := range tt.header {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if r.Close {
				p.ended()
				return
			}
			p.say(upgrade()) // a refusal leaves the connection in step
			p.switched()
			p.bye()
		})
	}
}

// TestFramesWithHandshake: frames that come with the opening handshake are served behind its answer.
func TestFramesWithHandshake(t *testing.T) {
	addr, _ := start(t)
	p := connect(t, addr)
	p.say(upgrade() + text("early") + ping("p") + bin("\xff")[:3])
	p.switched()
	p.say(bin("\xff")[3:])
	p.expect(txt("early"), ponged("p"), blob("\xff"))
	p.bye()
}

// TestSizes is at the limit of a message and one byte above it, whole and in fragments, in pieces of several sizes.
func TestSizes(t *testing.T) {
	addr, _ := start(t)
	largest := strings.Repeat("0123456789abcdef", maxMessage/16)
	for _, tt := range []struct {
		name string
		op   byte
		size int
		in   int // bytes of a fragment
		chop int // bytes of a write
	}{
		{"256 KiB, chopped", client.OpText, 256 << 10, maxMessage, 64},
		{"1 MiB", client.OpText, 1 << 20, maxMessage, 4 << 10},
		{"1 MiB in fragments of 64", client.OpBinary, 1 << 20, 64, 16 << 10},
		{"4 MiB in fragments of 4 KiB", client.OpText, 4 << 20, 4 << 10, 1 << 20},
		{"16 MiB, text", client.OpText, maxMessage, maxMessage, 1 << 20},
		{"16 MiB, binary", client.OpBinary, maxMessage, maxMessage, maxMessage},
		{"16 MiB in fragments", client.OpBinary, maxMessage, 1<<20 + 1, 1 << 20},
		{"16 MiB in two fragments", client.OpText, maxMessage, maxMessage / 2, 1 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dial(t, addr)
			payload := largest[:tt.size]
			go p.chop(fragments(tt.op, payload, tt.in), tt.chop)
			f, err := p.frame()
			if err != nil || f.op != tt.op || f.payload != payload {
				t.Fatalf("answered with %v, %v", f, err)
			}
			p.say(text("still there"))
			p.expect(txt("still there"))
			p.bye()
		})
	}
	t.Run("an empty fragment behind 16 MiB", func(t *testing.T) {
		p := dial(t, addr)
		go p.say(first(largest) + more("") + last(""))
		p.expect(txt(largest))
		p.bye()
	})
	above := string(binary.BigEndian.AppendUint64([]byte{fin | client.OpBinary, 0xff}, maxMessage+1)) + "1234"
	for name, send := range map[string]string{
		"one byte above: the header is enough":                above,
		"one byte above, sent by a client that does not look": above + largest + "x",
		"one byte above in fragments":                         raw(client.OpText, largest) + last("x"),
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t, addr)
			p.chop(send, 1<<20) // the write fails where the server has ended the connection
			p.expect(closed(1009))
		})
	}
}

// TestFloods: a suite's floods are no violation here.
func TestFloods(t *testing.T) {
	addr, _ := start(t)
	const n = 20_000
	p := dial(t, addr)
	go p.say(strings.Repeat(ping("flood"), n))
	for range n {
		p.expect(ponged("flood"))
	}
	go p.say(strings.Repeat(text("x"), n))
	for range n {
		p.expect(txt("x"))
	}
	go p.say(first("") + strings.Repeat(more("x"), n) + last(""))
	p.expect(txt(strings.Repeat("x", n)))
	p.bye()
}

// TestSignal runs the command: SIGTERM closes every WebSocket with 1001, also one that is in the middle of a message and
// one that does not answer, refuses new connections, and ends the process with 0.
func TestSignal(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=--listen 127.0.0.1:0 --loops 2")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(log)
	line, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "echo: serving ws://"), path)
	idle, inside, mute, plain := dial(t, addr), dial(t, addr), dial(t, addr), connect(t, addr)
	for _, p := range []*peer{idle, inside, mute} {
		p.say(text("before"))
		p.expect(txt("before"))
	}
	inside.say(first("never finished") + ping("p"))
	inside.expect(ponged("p"))
	plain.say(request("GET", path))
	plain.response("GET")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{idle, inside} {
		p.expect(closed(1001))
		p.say(closing(1001, ""))
		p.ended()
		p.conn.Close()
	}
	mute.expect(closed(1001))
	plain.ended()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ends with %v, want 0", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the port still accepts")
	}
}

// TestRun is the command line.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		args string
		want int
		log  string
	}{
		{"-h", exitOK, "-listen"},
		{"--loops 0", exitUsage, "wrong arguments"},
		{"--loops many", exitUsage, "invalid value"},
		{"stray", exitUsage, "wrong arguments"},
		{"--listen 127.0.0.1:none", exitFailure, "none"},
	} {
		var log strings.Builder
		if got := run(t.Context(), strings.Fields(tt.args), &log); got != tt.want || !strings.Contains(log.String(), tt.log) {
			t.Errorf("run %s: %d, %q; want %d", tt.args, got, log.String(), tt.want)
		}
	}
}
