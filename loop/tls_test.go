package loop_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/loop/looptest"
)

// startTLS is start with one listener of TLS.
func startTLS(t *testing.T, cfg loop.Config, h loop.Handler, tlsCfg *tls.Config) *loop.Engine {
	t.Helper()
	cfg.Listeners = []loop.Listener{{Addr: "127.0.0.1:0", TLS: tlsCfg}}
	return start(t, cfg, h)
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{}, nil, a.server())
	eachVersion(t, func(t *testing.T, version uint16) {
		c := secureClient(t, e.Addrs()[0], a.client(version))
		for _, size := range []int{1, 300, 16 << 10, 1<<20 + 7} {
			c.echoes(strings.Repeat("x", size))
		}
		c.say(cat(looptest.Request("POST", "/", "one"), looptest.Request("POST", "/", "two")))
		if one, two := c.response(), c.response(); one.Body != "one" || two.Body != "two" {
			t.Errorf("pipelined requests are answered with %+v, %+v", one, two)
		}
		c.say(looptest.Upgrade("/"))
		if r := c.response(); r.Status != 101 {
			t.Fatalf("upgrade: %+v", r)
		}
		c.say(looptest.Text("hello"))
		for !bytes.HasSuffix(c.buf, []byte("hello")) {
			if err := c.more(); err != nil {
				t.Fatal(err)
			}
		}
	})
	eventually(t, "its connections are gone", func() bool { return e.Stats().Active == 0 })
	if s := e.Stats(); s.Handshakes != 2 || s.HandshakeErrors != 0 || s.Panics != 0 || s.PinnedBytes != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTLSSplit feeds everything in pieces of every small size: handshake, requests
// and the end.
func TestTLSSplit(t *testing.T) {
	a := newAuthority(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		for _, size := range []int{1, 2, 3, 5, 7, 64, 511, 1 << 20} {
			h := &looptest.Handler{}
			m, p := secureMemory(t, loop.Config{}, h, a.server())
			converse(t, m, p, size, func(w *wire) error {
				c := tls.Client(w, a.client(version))
				defer c.Close()
				for _, body := range []string{"first", strings.Repeat("y", 3000), "last"} {
					if _, err := c.Write(looptest.Request("POST", "/", body)); err != nil {
						return err
					}
					b := make([]byte, len("HTTP/1.1 200 OK\r\nContent-Length: 0000\r\n\r\n")+len(body))
					n, err := io.ReadAtLeast(c, b, len(body)+len("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
					if err != nil || !strings.HasSuffix(string(b[:n]), "\r\n\r\n"+body) {
						return fmt.Errorf("in pieces of %d: %q, %w", size, b[:n], err)
					}
				}
				return c.CloseWrite()
			})
			m.Advance(2 * time.Second)
			if !p.FIN && !p.Closed {
				t.Errorf("in pieces of %d: close_notify does not end the connection", size)
			}
			p.Hangup()
			if got := strings.Join(h.Events(), "|"); !strings.HasPrefix(got, "opened|request POST / first|") || !strings.HasSuffix(got, "last|closed <nil>") {
				t.Errorf("in pieces of %d: %q", size, got)
			}
		}
	})
}

func TestTLSFarewell(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{}, nil, a.server())
	eachVersion(t, func(t *testing.T, version uint16) {
		for name, request := range map[string]string{
			"Connection: close": "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			"malformed":         "GET / HTTP/9.1\r\n\r\n",
		} {
			c := secureClient(t, e.Addrs()[0], a.client(version))
			c.say([]byte(request))
			if err := c.end(); err != nil { // without close_notify it would be an unexpected EOF
				t.Errorf("%s: %v", name, err)
			}
			if len(c.buf) == 0 {
				t.Errorf("%s: no answer", name)
			}
		}
		c := secureClient(t, e.Addrs()[0], a.client(version))
		c.echoes("x")
		if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := c.end(); err != nil {
			t.Errorf("close_notify is answered with %v", err)
		}
	})
}

func TestTLSResumption(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{}, nil, a.server())
	eachVersion(t, func(t *testing.T, version uint16) {
		cfg := a.client(version)
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i, want := range []bool{false, true, true} {
			c := secureClient(t, e.Addrs()[0], cfg)
			c.echoes("x") // reads the ticket, too
			if got := c.Conn.(*tls.Conn).ConnectionState(); got.DidResume != want || got.NegotiatedProtocol != "" {
				t.Errorf("connection %d: resumed %v, protocol %q", i, got.DidResume, got.NegotiatedProtocol)
			}
			c.Close()
		}
	})
}

func TestTLSProtocols(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{}, nil, a.server())
	cfg := a.client(tls.VersionTLS13)
	cfg.NextProtos = []string{"h2", "http/1.1"}
	c := secureClient(t, e.Addrs()[0], cfg)
	c.echoes("x")
	if p := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("protocol %q", p)
	}
	for name, change := range map[string]func(*tls.Config){
		"h2 alone": func(c *tls.Config) { c.NextProtos = []string{"h2"} },
		"TLS 1.1":  func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
	} {
		cfg := a.client(tls.VersionTLS13)
		change(cfg)
		err := secureClient(t, e.Addrs()[0], cfg).Conn.(*tls.Conn).Handshake()
		if err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
			t.Errorf("%s: %v, want the server's alert", name, err)
		}
	}
	eventually(t, "they are counted", func() bool { return e.Stats().HandshakeErrors == 2 })
}

func TestTLSClientCertificate(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	cfg := a.server()
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool
	h := &looptest.Handler{OnRequest: func(c *loop.Conn, r *http1.Request) {
		name := "nobody"
		if cert := c.PeerCertificate(); cert != nil && c.TLS() {
			name = cert.Subject.CommonName
		}
		c.Write(c.Exchange(), looptest.Answer(c, name), loop.Last)
	}}
	must := startTLS(t, loop.Config{}, h, cfg)
	cfg = cfg.Clone()
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	may := startTLS(t, loop.Config{}, h, cfg)
	cfg = cfg.Clone()
	cfg.ClientAuth = tls.RequestClientCert // and does not look at it
	asks := startTLS(t, loop.Config{}, h, cfg)
	eachVersion(t, func(t *testing.T, version uint16) {
		ask := func(e *loop.Engine, certs ...tls.Certificate) (string, error) {
			c := secureClient(t, e.Addrs()[0], a.client(version, certs...))
			if _, err := c.Write(looptest.Request("GET", "/", "")); err != nil {
				return "", err
			}
			err := c.more()
			_, name, _ := strings.Cut(string(c.buf), "\r\n\r\n")
			return name, err
		}
		mine, theirs := a.Issue("agent"), other.Issue("agent")
		for _, tt := range []struct {
			name  string
			e     *loop.Engine
			certs []tls.Certificate
			want  string // "": an alert
		}{
			{"required", must, []tls.Certificate{mine}, "agent"},
			{"required, of others", must, []tls.Certificate{theirs}, ""},
			{"required, none", must, nil, ""},
			{"optional", may, []tls.Certificate{mine}, "agent"},
			{"optional, none", may, nil, "nobody"},
			{"optional, of others", may, []tls.Certificate{theirs}, ""},
			{"not verified", asks, []tls.Certificate{theirs}, "nobody"},
		} {
			got, err := ask(tt.e, tt.certs...)
			if got != tt.want || (tt.want == "") != (err != nil) {
				t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), "remote error: tls: ") {
				t.Errorf("%s: %v, want the server's alert", tt.name, err)
			}
		}
	})
}

// TestTLSNotSpoken sends what is no ClientHello.
func TestTLSNotSpoken(t *testing.T) {
	a := newAuthority(t)
	h := &looptest.Handler{}
	e := startTLS(t, loop.Config{}, h, a.server())
	http := dial(t, e.Addrs()[0])
	http.say(looptest.Request("GET", "/", ""))
	if r := http.response(); r.Status != 400 || !strings.Contains(r.Body, "https://") {
		t.Errorf("plain HTTP is answered with %+v", r)
	}
	if err := http.end(); err != nil {
		t.Errorf("and ends with %v", err)
	}
	for _, hello := range []string{
		"\x80\x2e\x01\x03\x01",                                     // SSL 2
		"\x16\x03\x01\x00\x00",                                     // an empty record
		"\x16\x03\x01\x40\x01",                                     // a record that is too long
		"\x16\x02\x01\x00\x10",                                     // of another protocol
		"\x17\x03\x03\x00\x01\x00",                                 // data
		"\x16\x03\x01\x00\x04\x02\x00\x00",                         // a ServerHello
		"\x16\x03\x01\x00\x04\x01\x00\x40\x00",                     // a hello that is too long
		"\x16\x03\x01\x00\x01\x01\x17\x03\x01\x00\x01\x00",         // data inside of a hello
		"\x16\x03\x01\x00\x04\x01\x00\x00\x00",                     // empty: for crypto/tls to refuse
		"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00rest", // short: the same
	} {
		c := dial(t, e.Addrs()[0])
		c.say([]byte(hello))
		if err := c.end(); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", hello, err)
		}
		if len(c.buf) > 7 || len(c.buf) > 0 && c.buf[0] != 21 {
			t.Errorf("%q is answered with %q", hello, c.buf)
		}
		c.Close()
	}
	for _, ev := range h.Events() {
		if strings.HasPrefix(ev, "request") {
			t.Errorf("%q reached the handler", ev)
		}
	}
	http.Close()
	eventually(t, "they are gone", func() bool { return e.Stats().Active == 0 })
	if s := e.Stats(); s.HandshakeErrors != 11 || s.Handshakes != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTLSTampered changes one byte of a record; TestTLS 1.3 has no other way to end
// than bad_record_mac.
func TestTLSTampered(t *testing.T) {
	a := newAuthority(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		var ended error
		h := &looptest.Handler{OnClosed: func(_ *loop.Conn, err error) { ended = err }}
		m, p := secureMemory(t, loop.Config{}, h, a.server())
		var c *tls.Conn
		var w *wire
		converse(t, m, p, 1<<20, func(on *wire) error {
			w, c = on, tls.Client(on, a.client(version))
			return c.Handshake()
		})
		for m.Stats().Handshakes == 0 && m.Wait(patience) {
		}
		if _, err := c.Write(looptest.Request("POST", "/", "secret")); err != nil {
			t.Fatal(err)
		}
		b := w.sent()
		b[len(b)-1] ^= 1
		p.Feed(b)
		w.deliver(p.Output(), true)
		if _, err := io.ReadAll(c); err == nil || !strings.Contains(err.Error(), "remote error: tls: bad record MAC") {
			t.Errorf("the client is told %v", err)
		}
		p.Hangup()
		if ended == nil || !strings.Contains(ended.Error(), "bad record MAC") {
			t.Errorf("the handler is told %v", ended)
		}
		if got := strings.Join(h.Events(), "|"); strings.Contains(got, "request") {
			t.Errorf("events %q", got)
		}
	})
}

func TestTLSHandshakeTimeout(t *testing.T) {
	a := newAuthority(t)
	cfg := loop.Config{HandshakeTimeout: 3 * time.Second}
	for name, hello := range map[string]string{"silent": "", "half a hello": "\x16\x03\x01\x02\x00\x01"} {
		m, p := secureMemory(t, cfg, nil, a.server())
		p.Feed([]byte(hello))
		m.Advance(2900 * time.Millisecond)
		if p.Closed {
			t.Errorf("%s: closed too early", name)
		}
		m.Advance(200 * time.Millisecond)
		if !p.Closed {
			t.Errorf("%s: open after the time of a handshake", name)
		}
	}
	// One that begins, and is never finished.
	h := &looptest.Handler{}
	m, p := secureMemory(t, cfg, h, a.server())
	hello := helloOf(a.client(tls.VersionTLS13))
	p.Feed(hello)
	for len(p.Output()) == 0 {
		if !m.Wait(patience) {
			t.Fatal("no ServerHello")
		}
	}
	m.Advance(3100 * time.Millisecond)
	if !p.Closed || !strings.HasSuffix(strings.Join(h.Events(), "|"), "closed "+loop.ErrTimeout.Error()) {
		t.Errorf("open after the time of a handshake")
	}
	// While the engine drains nobody waits that long.
	m, p = secureMemory(t, cfg, nil, a.server())
	m.Drain()
	m.Advance(1500 * time.Millisecond)
	if !p.Closed {
		t.Errorf("a connection without a handshake outlives the drain")
	}
}

// helloOf is the ClientHello of a client.
func helloOf(cfg *tls.Config) []byte {
	w := newWire()
	w.end = true
	_ = tls.Client(w, cfg).Handshake()
	return w.sent()
}

// TestTLSHandshakesAreBounded: who does not go on gives way, a second after somebody
// has begun to wait for a place.
func TestTLSHandshakesAreBounded(t *testing.T) {
	a := newAuthority(t)
	m, first := secureMemory(t, loop.Config{MaxHandshakes: 2}, nil, a.server())
	hello := helloOf(a.client(tls.VersionTLS13))
	pipes := []*loop.Pipe{first, m.Open("192.0.2.2:1", 0), m.Open("192.0.2.3:1", 0), m.Open("192.0.2.4:1", 0)}
	answered := func(p *loop.Pipe) bool {
		for range 100 {
			if len(p.Output()) > 0 {
				return true
			}
			m.Wait(time.Millisecond)
		}
		return false
	}
	for _, p := range pipes {
		p.Feed(hello)
	}
	pipes[3].Hangup() // while it waits
	for i, want := range []bool{true, true, false} {
		if got := answered(pipes[i]); got != want {
			t.Errorf("connection %d has begun: %v", i, got)
		}
	}
	m.Advance(900 * time.Millisecond)
	if pipes[0].Closed || pipes[1].Closed {
		t.Error("one gives way too early")
	}
	m.Advance(300 * time.Millisecond)
	if pipes[0].Closed == pipes[1].Closed {
		t.Errorf("one of the two should have given way, and not the other: %+v", m.Stats())
	}
	if !answered(pipes[2]) {
		t.Error("the third does not get the place")
	}
	pipes[0].Hangup() // the other one, in the middle
	pipes[1].Hangup()
	last := m.Open("192.0.2.5:1", 0)
	last.Feed(hello)
	if !answered(last) {
		t.Error("an end makes no room")
	}
	pipes[2].Hangup()
	last.Hangup()
	if s := m.Stats(); s.HandshakeErrors != 5 || s.PinnedBytes != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTLSHandshakeFlood: reading pauses, and what is held is bounded.
func TestTLSHandshakeFlood(t *testing.T) {
	a := newAuthority(t)
	m, p := secureMemory(t, loop.Config{MaxHandshakes: 1}, nil, a.server())
	hello := helloOf(a.client(tls.VersionTLS13))
	p.Feed(hello)
	waiting := m.Open("192.0.2.2:1", 0)
	waiting.Feed(hello)
	junk := bytes.Repeat([]byte{22}, 64<<10)
	waiting.Feed(junk)
	if waiting.Reading || waiting.Closed {
		t.Errorf("64 KiB behind a ClientHello: reading %v, closed %v", waiting.Reading, waiting.Closed)
	}
	for range 8 {
		waiting.Feed(junk)
	}
	if !waiting.Closed {
		t.Error("512 KiB during the handshake are taken")
	}
	p.Hangup()
	p = m.Open("192.0.2.3:1", 0)
	p.Feed([]byte("\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x03\x00\x3f\x00"))
	for range 16<<10/6 + 1 {
		p.Feed([]byte("\x16\x03\x01\x00\x01\x00"))
	}
	if !p.Closed {
		t.Error("a ClientHello of 16 KiB and more is taken")
	}
	if n := m.Stats().PinnedBytes; n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// TestTLSBigFirstRequest: a client of TLS 1.3 sends its request right behind its last
// flight, before the server is done with the handshake.
func TestTLSBigFirstRequest(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{}, nil, a.server())
	each := 25
	if raceEnabled {
		each = 5 // a megabyte each, a hundred times slower
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range each {
				c := secureClient(t, e.Addrs()[0], a.client(tls.VersionTLS13))
				body := strings.Repeat("b", 1<<20)
				if _, err := c.Write(looptest.Request("POST", "/", body)); err != nil {
					t.Errorf("sending: %v", err)
					return
				}
				got := 0
				for b := make([]byte, 64<<10); got < len(body); {
					n, err := c.Read(b)
					if got += n; err != nil {
						t.Errorf("after %d bytes: %v", got, err)
						return
					}
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	if s := e.Stats(); s.HandshakeErrors != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestTLSPartialRecord: half a record does not keep a connection alive.
func TestTLSPartialRecord(t *testing.T) {
	a := newAuthority(t)
	for name, upgrade := range map[string]bool{"HTTP": false, "WebSocket": true} {
		m, p := secureMemory(t, loop.Config{}, nil, a.server())
		var c *tls.Conn
		var w *wire
		converse(t, m, p, 1<<20, func(on *wire) error {
			w, c = on, tls.Client(on, a.client(tls.VersionTLS13))
			if !upgrade {
				return c.Handshake()
			}
			_, err := c.Write(looptest.Upgrade("/"))
			if err == nil {
				_, err = c.Read(make([]byte, 4096))
			}
			return err
		})
		for m.Stats().Handshakes == 0 && m.Wait(patience) {
		}
		if _, err := c.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
			t.Fatal(err)
		}
		b := w.sent()
		took := time.Duration(0)
		for i := 0; i < 200 && !p.FIN && !p.Closed; i++ {
			p.Feed(b[i : i+1])
			m.Advance(time.Second)
			took += time.Second
		}
		if !p.FIN && !p.Closed || took > 45*time.Second {
			t.Errorf("%s: a byte of a record a second keeps the connection for %v", name, took)
		}
		p.Hangup()
	}
}

func TestTLSCallbackPanics(t *testing.T) {
	a := newAuthority(t)
	for name, f := range map[string]func(*tls.ClientHelloInfo) (*tls.Config, error){
		"panics": func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("no") },
		"fails":  func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") },
		"empty":  func(*tls.ClientHelloInfo) (*tls.Config, error) { return &tls.Config{}, nil },
	} {
		e := startTLS(t, loop.Config{}, nil, &tls.Config{GetConfigForClient: f})
		c := secureClient(t, e.Addrs()[0], a.client(tls.VersionTLS13))
		if err := c.Conn.(*tls.Conn).Handshake(); err == nil {
			t.Errorf("%s: a handshake without a certificate", name)
		}
		c.Close()
		eventually(t, "it is gone", func() bool { s := e.Stats(); return s.Active == 0 && s.HandshakeErrors == 1 })
	}
	e := startTLS(t, loop.Config{}, nil, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return a.server(), nil }})
	secureClient(t, e.Addrs()[0], a.client(tls.VersionTLS13)).echoes("x")
}

func TestTLSConfig(t *testing.T) {
	_, err := loop.Start(loop.Config{Listeners: []loop.Listener{{Addr: "127.0.0.1:0", TLS: &tls.Config{}}}}, &looptest.Handler{})
	if err == nil || err.Error() != "listen address 127.0.0.1:0: TLS needs a certificate" {
		t.Errorf("without a certificate: %v", err)
	}
}

// TestTLSOverLimit: what could not be read is not sent.
func TestTLSOverLimit(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{MaxConnections: 1}, nil, a.server())
	first := secureClient(t, e.Addrs()[0], a.client(tls.VersionTLS13))
	first.echoes("x")
	c := dial(t, e.Addrs()[0])
	_ = c.end()
	if len(c.buf) > 0 {
		t.Errorf("one too many is told %q", c.buf)
	}
	refusing := startTLS(t, loop.Config{}, &looptest.Handler{OnOpened: func(*loop.Conn) bool { return false }}, a.server())
	c = dial(t, refusing.Addrs()[0])
	_ = c.end()
	if len(c.buf) > 0 {
		t.Errorf("who is refused is told %q", c.buf)
	}
	first.echoes("y")
}

// TestTLSStop ends an engine in the middle of handshakes; the leak check of TestMain
// sees what is left.
func TestTLSStop(t *testing.T) {
	a := newAuthority(t)
	e := startTLS(t, loop.Config{}, nil, a.server())
	hello := helloOf(a.client(tls.VersionTLS13))
	for range 20 {
		dial(t, e.Addrs()[0]).say(hello)
	}
	eventually(t, "they have come", func() bool { return e.Stats().Active == 20 })
	e.Stop()
}

// TestTLSSlowReader: what TLS adds is counted, and given back.
func TestTLSSlowReader(t *testing.T) {
	a := newAuthority(t)
	var conn *loop.Conn
	h := &looptest.Handler{OnOpened: func(c *loop.Conn) bool { conn = c; return true }}
	m, p := secureMemory(t, loop.Config{MaxQueued: 64 << 10}, h, a.server())
	var c *tls.Conn
	var w *wire
	converse(t, m, p, 1<<20, func(on *wire) error {
		w, c = on, tls.Client(on, a.client(tls.VersionTLS13))
		_, err := c.Write(looptest.Upgrade("/"))
		if err == nil {
			_, err = c.Read(make([]byte, 4096))
		}
		return err
	})
	p.Window = 1000
	sent := 0
	for conn.Send(1, looptest.TextFrame(strings.Repeat("z", 100)), loop.Droppable) {
		m.Deliver()
		if sent++; sent > 10_000 {
			t.Fatal("nothing bounds what a slow reader is sent")
		}
	}
	if !conn.Congested() && sent < 500 {
		t.Errorf("%d messages of 102 bytes fit into 64 KiB", sent)
	}
	p.Drink(1 << 30)
	m.Advance(200 * time.Millisecond)
	if conn.Congested() || !conn.Send(1, looptest.TextFrame("end"), loop.Droppable) {
		t.Error("congested when everything is read")
	}
	m.Deliver()
	w.deliver(p.Output(), true)
	got := 0
	for b := make([]byte, 32<<10); ; {
		n, err := c.Read(b)
		got += n
		if err != nil {
			break
		}
	}
	if want := sent*102 + 5; got != want {
		t.Errorf("%d bytes of messages, want %d", got, want)
	}
	if loop.Queued(conn) != 0 {
		t.Errorf("%d bytes are counted as queued in the end", loop.Queued(conn))
	}
}

func TestTLSAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a := newAuthority(t)
	handler := &looptest.Handler{OnRequest: looptest.Serve}
	asker := func() (ask func() []byte, p *loop.Pipe) {
		m, p := secureMemory(t, loop.Config{}, handler, a.server())
		var c *tls.Conn
		var w *wire
		converse(t, m, p, 1<<20, func(on *wire) error {
			w, c = on, tls.Client(on, a.client(tls.VersionTLS13))
			return c.Handshake()
		})
		for m.Stats().Handshakes == 0 && m.Wait(patience) {
		}
		p.Discard = true
		return func() []byte {
			if _, err := c.Write(looptest.Request("POST", "/", "x")); err != nil {
				t.Fatal(err)
			}
			return w.sent()
		}, p
	}
	ask, _ := asker()
	client := testing.AllocsPerRun(200, func() { ask() })
	ask, p := asker()
	both := testing.AllocsPerRun(200, func() { p.FeedInPlace(ask()) })
	if p.Closed || p.FIN {
		t.Fatal("the connection has ended")
	}
	plain := func() float64 {
		m := loop.NewMemory(loop.Config{}, handler)
		p := m.Open("192.0.2.1:1", 0)
		p.Discard = true
		b := looptest.Request("POST", "/", "x")
		return testing.AllocsPerRun(200, func() { p.FeedInPlace(b) })
	}()
	t.Logf("client %.1f, both %.1f, without TLS %.1f", client, both, plain)
	if added := both - client - plain; added > 2 {
		t.Errorf("TLS adds %.1f allocations to a request, want at most the 2 of crypto/tls", added)
	}
}

var _ net.Conn = (*wire)(nil)
