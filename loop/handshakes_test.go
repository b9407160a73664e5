package loop

import (
	"crypto/tls"
	"testing"
	"time"

	"millrace/server/cert/certtest"
)

// TestTLSWaitingIsBounded: connections that have ended do not stay in the line, and
// who has just come is served before those that have waited for long.
func TestTLSWaitingIsBounded(t *testing.T) {
	cfg := &tls.Config{Certificates: []tls.Certificate{certtest.New(t).Issue("server", "localhost")}}
	m := NewMemory(Config{MaxHandshakes: 1, Listeners: []Listener{{TLS: cfg}}}, silent{})
	hello := realHello("localhost")
	open := func() *Pipe {
		p := m.Open("192.0.2.1:1", 0)
		p.Feed(hello)
		return p
	}
	first, old := open(), open()
	for range 1000 {
		open().Hangup()
	}
	if n := len(m.loop.handshakes.waiting); n > 200 {
		t.Errorf("%d connections are in the line, one of them alive", n)
	}
	// The wait of the first begins at half a second, so that it ends when the old one
	// has waited for longer.
	waits := func() int64 { return first.Conn.tls.wire.waits.Load() }
	until := func(what string, cond func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !cond(); m.Wait(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	until("the first does not wait for its client", func() bool { return waits() == 1 })
	m.Advance(500 * time.Millisecond)
	first.Feed([]byte{20})
	until("the first does not wait again", func() bool { return waits() == 3 })
	m.Advance(900 * time.Millisecond)
	fresh := open()
	if first.Closed {
		t.Fatal("the first gives way too early")
	}
	m.Advance(200 * time.Millisecond)
	if !first.Closed {
		t.Fatal("the first does not give way")
	}
	until("nobody is served", func() bool { return len(fresh.Output()) > 0 })
	if len(old.Output()) > 0 {
		t.Error("who has waited for long is served first")
	}
	old.Hangup()
	fresh.Hangup()
}
