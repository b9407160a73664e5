package loop_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
)

// behindProxy is a loop in memory that trusts a proxy at 10.0.0.1, and whose answers
// say whom it takes the client for.
func behindProxy(cfg *tls.Config, opened func(*loop.Conn) bool) (*loop.Memory, *looptest.Handler) {
	h := &looptest.Handler{OnOpened: opened, OnRequest: func(c *loop.Conn, r *http1.Request) {
		c.Write(c.Exchange(), looptest.Answer(c, c.RemoteAddr()), loop.Last)
	}}
	trusted := func(remote string) bool { return strings.HasPrefix(remote, "10.0.0.1:") || remote == "unix" }
	return loop.NewMemory(loop.Config{Listeners: []loop.Listener{{TLS: cfg, Proxy: trusted}}, Logger: quiet}, h), h
}

const (
	proxyText    = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
	proxyUnknown = "PROXY UNKNOWN\r\n"
)

// proxyBinary is a header of version 2.
func proxyBinary(command byte, block string) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, 0x11)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(block)))) + block
}

const proxyBlock = "\xc0\x00\x02\x08\xc6\x33\x64\x01\x12\x68\x01\xbb" // 192.0.2.8:4712

func TestProxyHeader(t *testing.T) {
	for name, tt := range map[string]struct{ remote, header, want string }{
		"version 1":           {"10.0.0.1:9", proxyText, "192.0.2.7:4711"},
		"version 1, unknown":  {"10.0.0.1:9", proxyUnknown, "10.0.0.1:9"},
		"version 1, IPv6":     {"10.0.0.1:9", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "[2001:db8::7]:4711"},
		"version 2":           {"10.0.0.1:9", proxyBinary(1, proxyBlock), "192.0.2.8:4712"},
		"version 2, local":    {"10.0.0.1:9", proxyBinary(0, proxyBlock), "10.0.0.1:9"},
		"on a unix socket":    {"unix", proxyText, "192.0.2.7:4711"},
		"of somebody else":    {"10.0.0.2:9", "", "10.0.0.2:9"},
		"a long one, in full": {"10.0.0.1:9", proxyBinary(1, proxyBlock+"\x04\x0f\xf1"+strings.Repeat("x", 4081)), "192.0.2.8:4712"},
	} {
		all := tt.header + string(looptest.Request("GET", "/", ""))
		for _, size := range []int{1, 2, 13, len(tt.header) + 1, len(all)} {
			m, h := behindProxy(nil, nil)
			p := m.Open(tt.remote, 0)
			if got := h.Events(); len(got) > 0 != (tt.header == "") {
				t.Errorf("%s: events %q before the header", name, got)
			}
			for b := []byte(all); len(b) > 0; {
				n := min(size, len(b))
				p.Feed(b[:n])
				b = b[n:]
			}
			if got := string(p.Output()); !strings.HasSuffix(got, "\r\n\r\n"+tt.want) {
				t.Errorf("%s, in pieces of %d: answered with %q, want %q", name, size, got, tt.want)
			}
			p.Hangup()
			if got := strings.Join(h.Events(), "|"); !strings.HasSuffix(got, "request GET / |closed <nil>") {
				t.Errorf("%s: events %q", name, got)
			}
			if n := m.Stats().PinnedBytes; n != 0 {
				t.Errorf("%s: %d bytes are still counted", name, n)
			}
		}
	}
}

func TestProxyHeaderRefused(t *testing.T) {
	for name, header := range map[string]string{
		"missing":                "G",
		"missing, TLS":           "\x16",
		"malformed":              "PROXY TCP4 1.2.3.4\r",
		"version 2, version 3":   strings.Replace(proxyBinary(1, proxyBlock), "\x21", "\x31", 1),
		"version 2, too long":    "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x10\x01",
		"version 2, short block": proxyBinary(1, "\xc0\x00"),
	} {
		m, h := behindProxy(nil, nil)
		p := m.Open("10.0.0.1:9", 0)
		p.Feed([]byte(header))
		if !p.Closed || len(p.Output()) > 0 {
			t.Errorf("%s: the connection is not closed in silence", name)
		}
		if got := h.Events(); len(got) > 0 {
			t.Errorf("%s: events %q", name, got)
		}
		if s := m.Stats(); s.PinnedBytes != 0 || s.Active != 0 {
			t.Errorf("%s: stats %+v", name, s)
		}
	}
	// From others it is no header.
	m, _ := behindProxy(nil, nil)
	for _, header := range []string{proxyText, proxyBinary(1, proxyBlock)} {
		p := m.Open("10.0.0.2:9", 0)
		p.Feed([]byte(header))
		if got := string(p.Output()); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !p.FIN {
			t.Errorf("%q of somebody else is answered with %q", header, got)
		}
	}
}

func TestProxyHeaderTimeout(t *testing.T) {
	m, h := behindProxy(nil, nil)
	p := m.Open("10.0.0.1:9", 0)
	for i := range 29 {
		p.Feed([]byte(proxyText[i : i+1]))
		m.Advance(100 * time.Millisecond)
	}
	if p.Closed {
		t.Fatal("closed too early")
	}
	m.Advance(200 * time.Millisecond)
	if !p.Closed || len(h.Events()) > 0 {
		t.Error("open after 3 s without a header")
	}
	silent := m.Open("10.0.0.1:9", 0)
	m.Drain()
	m.Advance(3100 * time.Millisecond)
	if !silent.Closed {
		t.Error("a connection without a header outlives the drain")
	}
}

// TestProxyHeaderTurnedAway: the handler counts by client, and learns who that is
// from the header.
func TestProxyHeaderTurnedAway(t *testing.T) {
	refuse := func(c *loop.Conn) bool { return !strings.HasPrefix(c.RemoteAddr(), "192.0.2.7:") }
	m, h := behindProxy(nil, refuse)
	p := m.Open("10.0.0.1:9", 0)
	p.Feed([]byte(proxyText + "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	if got := string(p.Output()); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !p.FIN {
		t.Errorf("told %q", got)
	}
	p.Hangup()
	if got := strings.Join(h.Events(), "|"); got != "opened" {
		t.Errorf("events %q", got)
	}
	if s := m.Stats(); s.TurnedAway != 1 || s.Active != 0 {
		t.Errorf("stats %+v", s)
	}
	m, _ = behindProxy(newAuthority(t).server(), refuse)
	p = m.Open("10.0.0.1:9", 0)
	p.Feed([]byte(proxyText))
	if got := p.Output(); len(got) > 0 || !p.Closed {
		t.Errorf("on TLS: told %q", got)
	}
}

// TestProxyHeaderBeforeTLS: the header is in plain text, and whatever follows is not.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	a := newAuthority(t)
	for _, size := range []int{1, 1 << 20} {
		m, _ := behindProxy(a.server(), nil)
		p := m.Open("10.0.0.1:9", 0)
		converse(t, m, p, size, func(w *wire) error {
			if _, err := w.Write([]byte(proxyBinary(1, proxyBlock))); err != nil {
				return err
			}
			c := tls.Client(w, a.client(tls.VersionTLS13))
			if _, err := c.Write(looptest.Request("GET", "/", "")); err != nil {
				return err
			}
			want := "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n192.0.2.8:4712"
			b := make([]byte, len(want))
			_, err := io.ReadFull(c, b)
			if string(b) != want {
				t.Errorf("answered with %q", b)
			}
			return err
		})
		p.Hangup()
	}
}
