package transport

import (
	"net/netip"
	"strings"
	"testing"

	"millrace/loop/looptest"
)

func TestLinkClose(t *testing.T) {
	g := newAwayRig(Config{})
	p := g.open()
	p.Feed([]byte(post(jsonType)))
	on(func() { g.up.links[0].Close(1001, "bye") })
	g.Deliver()
	if !p.Closed {
		t.Error("Link.Close left the connection open")
	}
	wantEvents(t, g.up, "opened http 192.0.2.1:4000", "message "+ping, "closed http")
}

// Behind a trusted proxy one connection carries many clients. Each gets a Link
// of its own, because workers may still look at the last one.
func TestLinkPerForwardedClient(t *testing.T) {
	d := &script{}
	g := newRig(Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, d)
	p := g.open()
	for _, client := range []string{"203.0.113.1", "203.0.113.1", "203.0.113.2"} {
		p.Feed([]byte(post(jsonType, "X-Forwarded-For: "+client)))
	}
	g.Drain()
	p.Feed([]byte(post(jsonType, "X-Forwarded-For: 203.0.113.3")))
	p.Hangup()
	m := "message " + ping
	wantEvents(t, d, "opened http 192.0.2.1:4000", "closed http", "opened http 203.0.113.1", m, m,
		"closed http", "opened http 203.0.113.2", m, "drain http",
		"closed http", "opened http 203.0.113.3", "drain http", m, "closed http")
	if d.links[1].Remote != "203.0.113.1" {
		t.Errorf("an old Link has changed: %v", d.links[1].Remote)
	}
}

func TestListeners(t *testing.T) {
	cfg := Config{Path: "/x", Listeners: []Listener{{HTTP: true}, {WebSocket: true}}}
	request := string(looptest.Request("POST", "/x", ping, jsonType))
	for tag, want := range []string{"HTTP/1.1 200 ", "HTTP/1.1 426 ", "HTTP/1.1 200 "} {
		p := newRig(cfg, &script{}).Open("192.0.2.1:1", tag) // tag 2 is nobody's: the defaults
		p.Feed([]byte(request))
		if got := string(p.Output()); !strings.HasPrefix(got, want) {
			t.Errorf("POST on listener %d: %q, want %q", tag, got, want)
		}
	}
	for tag, want := range []string{"HTTP/1.1 404 ", "HTTP/1.1 101 "} {
		p := newRig(cfg, &script{}).Open("192.0.2.1:1", tag)
		p.Feed(looptest.Upgrade("/x"))
		if got := string(p.Output()); !strings.HasPrefix(got, want) {
			t.Errorf("upgrade on listener %d: %q, want %q", tag, got, want)
		}
	}
}
