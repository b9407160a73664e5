package loop_test

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"millrace/loop"
	"millrace/loop/looptest"
	"millrace/server/cert/certtest"
)

// authority is one for "localhost".
type authority struct{ *certtest.Authority }

func newAuthority(t *testing.T) authority { return authority{certtest.New(t)} }

// server is a configuration with a certificate for "localhost".
func (a authority) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.Issue("server", "localhost")}}
}

// client is one that trusts the authority, for one version of TLS.
func (a authority) client(version uint16, certs ...tls.Certificate) *tls.Config {
	cfg := a.Client("localhost", certs...)
	cfg.MinVersion, cfg.MaxVersion = version, version
	return cfg
}

// secureClient speaks TLS to a server.
func secureClient(t *testing.T, addr string, cfg *tls.Config) *client {
	t.Helper()
	c := dial(t, addr)
	return &client{t: t, Conn: tls.Client(c.Conn, cfg), tcp: c.tcp}
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// eachVersion runs f for every version of TLS that is served.
func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	for name, v := range tlsVersions {
		t.Run("TLS "+name, func(t *testing.T) { f(t, v) })
	}
}

// wire is a connection in memory between a client, which blocks, and a loop, which
// the test drives.
type wire struct {
	mu       sync.Mutex
	cond     sync.Cond
	toClient []byte
	toServer []byte
	end      bool
}

func newWire() *wire {
	w := &wire{}
	w.cond.L = &w.mu
	return w
}

func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.toClient) == 0 {
		if w.end {
			return 0, io.EOF
		}
		w.cond.Wait()
	}
	n := copy(p, w.toClient)
	w.toClient = w.toClient[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toServer = append(w.toServer, p...)
	return len(p), nil
}

// deliver gives the client what the server has said.
func (w *wire) deliver(b []byte, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toClient = append(w.toClient, b...)
	w.end = w.end || end
	w.cond.Broadcast()
}

// sent takes what the client has written.
func (w *wire) sent() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.toServer
	w.toServer = nil
	return b
}

func (w *wire) Close() error                     { w.deliver(nil, true); return nil }
func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// secureMemory is a loop in memory with TLS, and a pipe to it.
func secureMemory(t *testing.T, cfg loop.Config, h loop.Handler, tlsCfg *tls.Config) (*loop.Memory, *loop.Pipe) {
	t.Helper()
	cfg.Listeners = []loop.Listener{{Addr: "memory", TLS: tlsCfg}}
	cfg.Logger = quiet
	if h == nil {
		h = &looptest.Handler{}
	}
	m := loop.NewMemory(cfg, h)
	return m, m.Open("192.0.2.1:1234", 0)
}

// converse runs client on a goroutine and carries bytes to and fro until it is done:
// size at a time to the server.
func converse(t *testing.T, m *loop.Memory, p *loop.Pipe, size int, client func(w *wire) error) {
	t.Helper()
	w := newWire()
	done := make(chan error, 1)
	go func() { done <- client(w) }()
	for deadline := time.Now().Add(patience); ; {
		for b := w.sent(); len(b) > 0; {
			n := min(size, len(b))
			p.Feed(b[:n])
			b = b[n:]
		}
		m.Wait(time.Millisecond)
		w.deliver(p.Output(), p.Closed || p.FIN)
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			for b := w.sent(); len(b) > 0; b = w.sent() {
				p.Feed(b)
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			w.Close()
			t.Fatalf("the client is not done: %v", <-done)
		}
	}
}
