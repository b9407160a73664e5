package loop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
)

// patience bounds every wait of these tests; none is expected to take so long.
const patience = 20 * time.Second

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func start(t *testing.T, cfg loop.Config, h loop.Handler) *loop.Engine {
	t.Helper()
	if cfg.Listeners == nil {
		cfg.Listeners = []loop.Listener{{Addr: "127.0.0.1:0"}}
	}
	cfg.Logger = quiet
	if h == nil {
		h = &looptest.Handler{}
	}
	e, err := loop.Start(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// client is a TCP client that reads what the server says.
type client struct {
	t *testing.T
	net.Conn
	tcp *net.TCPConn // what it runs on
	buf []byte       // received, not yet looked at
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{t: t, Conn: c, tcp: c.(*net.TCPConn)}
}

func (c *client) say(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// more reads once.
func (c *client) more() error {
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	c.buf = append(c.buf, b[:n]...)
	return err
}

// response reads one response.
func (c *client) response() looptest.Response {
	c.t.Helper()
	for {
		head, _, ok := bytes.Cut(c.buf, []byte("\r\n\r\n"))
		if ok {
			n := 0
			if _, after, ok := strings.Cut(string(head), "Content-Length: "); ok {
				fmt.Sscan(after, &n)
			}
			if end := len(head) + 4 + n; len(c.buf) >= end {
				all, _, err := looptest.Responses(c.buf[:end])
				if err != nil || len(all) != 1 {
					c.t.Fatalf("response %+v, %v", all, err)
				}
				c.buf = c.buf[end:]
				return all[0]
			}
		}
		if err := c.more(); err != nil {
			c.t.Fatalf("reading a response: %v, after %q", err, c.buf)
		}
	}
}

// echoes checks that the server serves the connection.
func (c *client) echoes(body string) {
	c.t.Helper()
	c.say(looptest.Request("POST", "/", body))
	if r := c.response(); r.Status != 200 || r.Body != body {
		c.t.Fatalf("answered with %+v, want %q", r, body)
	}
}

// end reads until the server ends the connection and returns the error of the
// last read, nil for an orderly end.
func (c *client) end() error {
	c.t.Helper()
	for {
		switch err := c.more(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(dir)
}
