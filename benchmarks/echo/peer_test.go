package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"millrace/benchmarks/client"
	"millrace/loop"
)

// patience bounds every wait of these tests; none is expected to take so long.
const patience = 20 * time.Second

// serveEnv makes the test binary be the command: its arguments are what follows in the variable.
const serveEnv = "ECHO_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(serveEnv); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
	}
	os.Exit(m.Run())
}

// start runs the server in this process and returns its address.
func start(t *testing.T) (addr string, e *loop.Engine) {
	t.Helper()
	cfg := config("127.0.0.1:0", 2)
	cfg.Logger = slog.New(slog.DiscardHandler)
	e, err := loop.Start(cfg, handler{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e.Addrs()[0], e
}

// frame is what the server says. Of a Close frame the payload is the code alone: the reason is free text.
type frame struct {
	op      byte
	payload string
}

func (f frame) String() string {
	name := map[byte]string{
		client.OpText: "text", client.OpBinary: "binary", client.OpPing: "ping", client.OpPong: "pong", client.OpClose: "close",
	}[f.op]
	if name == "" {
		name = fmt.Sprintf("opcode %#x", f.op)
	}
	if f.op == client.OpClose && len(f.payload) == 2 {
		return fmt.Sprintf("%s %d", name, binary.BigEndian.Uint16([]byte(f.payload)))
	}
	return fmt.Sprintf("%s of %d %.32q", name, len(f.payload), f.payload)
}

// peer is a client over TCP that says whatever it is told to say, and checks the server's framing by the code of the load
// program, which shares none with the server: FIN, no mask, no reserved bit, the shortest length.
type peer struct {
	t    *testing.T
	conn *net.TCPConn
	in   *bufio.Reader
	buf  []byte // received and not parsed
}

// connect opens a TCP connection.
func connect(t *testing.T, addr string) *peer {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: c.(*net.TCPConn), in: bufio.NewReaderSize(c, 64<<10)}
}

// dial opens a WebSocket.
func dial(t *testing.T, addr string) *peer {
	t.Helper()
	p := connect(t, addr)
	p.say(upgrade())
	p.switched()
	return p
}

// nonce is the Sec-WebSocket-Key of RFC 6455 section 1.3.
const nonce = "dGhlIHNhbXBsZSBub25jZQ=="

// upgrade is an opening handshake with further field lines.
func upgrade(fields ...string) string {
	return request("GET", path, append(fields, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+nonce)...)
}

func request(method, target string, fields ...string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(fields, "\r\n"), "\r\n")
}

// say writes s, which may come back as an error when the server has ended the connection: what it said tells.
func (p *peer) say(s string) { _, _ = io.WriteString(p.conn, s) }

// chop writes s in pieces of n bytes, each a write of its own.
func (p *peer) chop(s string, n int) {
	for ; len(s) > n; s = s[n:] {
		p.say(s[:n])
	}
	p.say(s)
}

// response reads an HTTP response and its body.
func (p *peer) response(method string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.ReadResponse(p.in, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("reading the response: %v", err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatalf("reading the body: %v", err)
	}
	return r, string(body)
}

// switched reads the answer to an opening handshake.
func (p *peer) switched() *http.Response {
	p.t.Helper()
	r, err := http.ReadResponse(p.in, &http.Request{Method: http.MethodGet})
	if err != nil || r.StatusCode != 101 {
		p.t.Fatalf("opening handshake: %v, %v", r, err)
	}
	if got, want := r.Header.Get("Sec-WebSocket-Accept"), client.AcceptKey(nonce); got != want {
		p.t.Fatalf("Sec-WebSocket-Accept %q, want %q", got, want)
	}
	return r
}

// frame reads the next frame. The error is io.EOF at an orderly end of the connection.
func (p *peer) frame() (frame, error) {
	for {
		f, n, err := client.ParseFrame(p.buf)
		if err == nil {
			p.buf = p.buf[n:]
			return told(f)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return frame{}, err
		}
		var piece [64 << 10]byte
		n, err = p.in.Read(piece[:])
		p.buf = append(p.buf, piece[:n]...)
		if n == 0 {
			if errors.Is(err, io.EOF) && len(p.buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return frame{}, err
		}
	}
}

func told(f client.Frame) (frame, error) {
	if !f.Fin {
		return frame{}, errors.New("a fragmented message: the server sends none")
	}
	if f.Opcode == client.OpClose && len(f.Payload) >= 2 {
		f.Payload = f.Payload[:2]
	}
	return frame{f.Opcode, string(f.Payload)}, nil
}

// expect reads the frames of want.
func (p *peer) expect(want ...frame) {
	p.t.Helper()
	for i, w := range want {
		if f, err := p.frame(); err != nil || f != w {
			p.t.Fatalf("frame %d is %v, %v; want %v", i, f, err, w)
		}
	}
}

// toEnd reads until the server ends the connection.
func (p *peer) toEnd() (all []frame, err error) {
	for {
		f, err := p.frame()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, f)
	}
}

// ended checks that the server ends the connection, in order and without another byte.
func (p *peer) ended() {
	p.t.Helper()
	if all, err := p.toEnd(); len(all) > 0 || err != nil {
		p.t.Errorf("behind the end: %v, %v", all, err)
	}
}

// bye closes in order.
func (p *peer) bye() {
	p.t.Helper()
	p.say(closing(1000, ""))
	p.expect(closed(1000))
	p.ended()
}

// First bytes of frames: FIN and the opcode.
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// key is the masking key of the frames made here: no zero byte, so that a missing or misplaced mask shows.
const key = 0x3d21fa37

// raw is a masked frame that begins with the byte first.
func raw(first byte, payload string) string {
	b := client.AppendFrame(nil, 0, key, []byte(payload))
	b[0] = first
	return string(b)
}

func text(s string) string { return raw(fin|client.OpText, s) }
func bin(s string) string  { return raw(fin|client.OpBinary, s) }
func ping(s string) string { return raw(fin|client.OpPing, s) }
func pong(s string) string { return raw(fin|client.OpPong, s) }

// first, more and last are the frames of a fragmented text message.
func first(s string) string { return raw(client.OpText, s) }
func more(s string) string  { return raw(client.OpContinuation, s) }
func last(s string) string  { return raw(fin|client.OpContinuation, s) }

// closing is the Close frame of the client.
func closing(code uint16, reason string) string { return raw(fin|client.OpClose, status(code)+reason) }

func status(code uint16) string { return string(binary.BigEndian.AppendUint16(nil, code)) }

// fragments is a message in frames of n bytes.
func fragments(op byte, s string, n int) string {
	var b strings.Builder
	for ; len(s) > n; s, op = s[n:], client.OpContinuation {
		b.WriteString(raw(op, s[:n]))
	}
	b.WriteString(raw(fin|op, s))
	return b.String()
}

// What the server says.

func txt(s string) frame       { return frame{client.OpText, s} }
func blob(s string) frame      { return frame{client.OpBinary, s} }
func ponged(s string) frame    { return frame{client.OpPong, s} }
func closed(code uint16) frame { return frame{client.OpClose, status(code)} }
