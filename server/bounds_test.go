package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"millrace/pool"
	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// Who waits for people is bounded for each client and in bytes for all.
func TestWaits(t *testing.T) {
	var w waits
	for i := range maxWaiting + 1 {
		if ok := w.enter("a", 1); ok != (i < maxWaiting) {
			t.Fatalf("entry %d: %v", i, ok)
		}
	}
	if !w.enter("b", 1) {
		t.Error("another client has to wait for the first")
	}
	for range 2 * maxWaiting {
		if !w.enter("", 0) {
			t.Fatal("callers whom nothing tells apart are bounded together")
		}
	}
	rest := maxWaitingBytes - w.bytes
	for size, want := range map[int]bool{rest - 1: true, rest: true, rest + 1: false} {
		if got := w.enter("c", size); got != want {
			t.Errorf("%d of %d bytes: %v", size, rest, got)
		} else if got {
			w.leave("c", size)
		}
	}
	for range maxWaiting {
		w.leave("a", 1)
	}
	w.leave("b", 1)
	for range 2 * maxWaiting {
		w.leave("", 0)
	}
	if len(w.n) != 0 || w.bytes != 0 {
		t.Errorf("%v and %d bytes are left", w.n, w.bytes)
	}
}

func TestWaitingClient(t *testing.T) {
	for _, tt := range []struct{ principal, remote, want string }{
		{"ada", "192.0.2.1:5", "principal ada"},
		{"", "192.0.2.1:5", "address 192.0.2.1"},
		{"", "192.0.2.1", "address 192.0.2.1"},
		{"", "[2001:db8::1]:5", "address 2001:db8::1"},
		{"", "127.0.0.1:5", ""},
		{"", "[::1]:5", ""},
		{"", "", ""},
	} {
		c := &call{
			conn: &connection{link: &transport.Link{Remote: tt.remote}},
			who:  &auth.Principal{ID: tt.principal},
		}
		if got := c.client(); got != tt.want {
			t.Errorf("%q at %q is %q, want %q", tt.principal, tt.remote, got, tt.want)
		}
	}
}

// A notification of a revision that nobody knows is refused, not lost.
func TestNotificationVersion(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp})
	id := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125)
	const msg = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	for version, want := range map[string]int{"2025-11-25": 202, "2026-07-28": 202, "1999-01-01": 400, "2099-01-01": 400} {
		if rep := r.do("POST", msg, id, "MCP-Protocol-Version: "+version); rep.status != want {
			t.Errorf("%s: %d %s", version, rep.status, rep.body())
		}
	}
}

// An id is what it means, however it is spelled.
func TestIDSpelling(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	handshake(t, p, mcp.Version20251125)
	p.send(`{"jsonrpc":"2.0","id":"l\u00e9","method":"tools/call","params":{"name":"wait"}}`)
	<-tl.running
	p.send(`{"jsonrpc":"2.0","id":"lé","method":"ping"}`)
	if got := mustRead(t, p); !strings.Contains(got, errDuplicate.Error()) {
		t.Errorf("the same id again: %s", got)
	}
	p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"lé"}}`)
	<-tl.ended
}

// A session that the operator ends takes its connection along: else its client
// would be served on.
func TestRevokedConnection(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	handshake(t, p, mcp.Version20251125)
	await(t, "the session", func() bool { return r.Sessions().Len() == 1 })
	r.Sessions().List()[0].End(time.Now(), session.Revoked)
	if _, err := p.read(); err != closeError(1008) {
		t.Errorf("WebSocket: %v, want close code 1008", err)
	}
}

// The handler of a notification that asks a client which never answers ends like a
// call, and one session cannot have all workers for it, on however many
// connections.
func TestNotificationsHoldNoWorkers(t *testing.T) {
	asking, ended := make(chan struct{}, 10), make(chan error, 10)
	m := mcp.NewServer(&mcp.Implementation{Name: "test"}, &mcp.ServerOptions{
		Logger: quiet, ToolTimeout: 200 * time.Millisecond,
		RootsListChangedHandler: func(ctx context.Context, req *mcp.RootsListChangedRequest) {
			asking <- struct{}{}
			_, err := req.Session.ListRoots(ctx, nil)
			ended <- err
		},
	})
	r := serve(t, &Server{MCP: m, Workers: 8, Queue: 4}) // a share is 3
	id := r.initializeAs(mcp.Version20251125, asks)
	r.stream("GET", "", id).prime()
	for range 6 {
		if rep := r.do("POST", `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`, id, "Connection: close"); rep.status != 202 {
			t.Fatalf("notification: %d", rep.status)
		}
	}
	for range 3 {
		<-asking
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler got %v", err)
		}
	}
	await(t, "no worker is held", func() bool { return r.only().owner.Held(pool.Blocking) == 0 })
	if n := len(asking); n != 0 {
		t.Errorf("%d more than a share ran", n)
	}
}

// What a client has answered counts while its call waits for the next answer.
func TestWaitingAnswersBound(t *testing.T) {
	tl := newTools()
	tl.add("twice", time.Minute, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, key := range []string{"a", "b"} {
			if _, err := req.ListRoots(ctx, key); err != nil {
				return said(err.Error()), nil
			}
		}
		return said("done"), nil
	})
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	w := &r.running.Load().gate.waits
	const answer = `{"roots":[]}`
	for _, over := range []int{0, 1} {
		msg := toolCall("1", "twice")
		w.mu.Lock()
		w.bytes = maxWaitingBytes - len(msg) - len(answer) + over
		w.mu.Unlock()
		p.send(msg)
		p.send(`{"jsonrpc":"2.0","id":` + questionID(t, mustRead(t, p)) + `,"result":` + answer + `}`)
		if over > 0 {
			want(t, p, textResult("1", errManyWait.Error()))
			continue
		}
		p.send(`{"jsonrpc":"2.0","id":` + questionID(t, mustRead(t, p)) + `,"result":` + answer + `}`)
		want(t, p, textResult("1", "done"))
	}
}
