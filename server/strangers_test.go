package server

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/transport"
)

// strangersList is a request of 2026-07-28.
const strangersList = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`

// slowTokens is a Verifier that takes its time, as an issuer that is asked.
type slowTokens struct{ d time.Duration }

func (v slowTokens) Verify(_ context.Context, token string) (*auth.Principal, error) {
	time.Sleep(v.d)
	return &auth.Principal{ID: token}, nil
}

// TestStrangersWait: after a restart all clients come at once, with tokens that nobody
// remembers. None is refused, although one address has but one place.
func TestStrangersWait(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, Workers: 8, Auth: auth.NewBearer(slowTokens{2 * time.Millisecond}), Policy: auth.AllowAll()})
	const clients = 200
	statuses := make(chan int, clients)
	for i := range clients {
		go func() {
			rep, err := r.try(context.Background(), "POST", strangersList, append(modernFields("tools/list", ""), fmt.Sprintf("Authorization: Bearer t%d", i))...)
			if err != nil {
				t.Error(err)
			}
			statuses <- rep.status
		}()
	}
	count := map[int]int{}
	for range clients {
		count[<-statuses]++
	}
	if count[200] != clients {
		t.Errorf("answered with %v", count)
	}
	g := r.running.Load().gate
	g.room.mu.Lock()
	if n := g.judging.Load(); n != 0 || g.room.n != 0 || len(g.room.line) != 0 || len(g.room.of) != 0 {
		t.Errorf("%d are being judged, the room holds %d, %d, %v", n, g.room.n, len(g.room.line), g.room.of)
	}
	g.room.mu.Unlock()
	// WebSockets too: their upgrade waits.
	for i := range 20 {
		go func() {
			p, res, err := r.upgrade(fmt.Sprintf("Authorization: Bearer w%d", i))
			if err != nil {
				t.Errorf("upgrade: %v %v", res, err)
			} else {
				p.close()
			}
			statuses <- 0
		}()
	}
	for range 20 {
		<-statuses
	}
}

// TestStrangersWaitInVain: an issuer that hangs makes nobody wait for long, and who
// sends much does not wait at all.
func TestStrangersWaitInVain(t *testing.T) {
	v := stuckVerifier{tokens{"known": {ID: "ann"}}, make(chan struct{})}
	r := serve(t, &Server{MCP: newTools().mcp, Workers: 8, Auth: auth.NewBearer(v), Policy: auth.AllowAll()})
	defer close(v.free)
	go func() {
		_, _ = r.try(context.Background(), "POST", strangersList, "Authorization: Bearer first") // ends with the server
	}()
	g := r.running.Load().gate
	await(t, "the first is being judged", func() bool { return g.judging.Load() == 1 })
	start := time.Now()
	rep := r.do("POST", strangersList, append(modernFields("tools/list", ""), "Authorization: Bearer second")...)
	if took := time.Since(start); rep.status != 503 || rep.header.Get("Retry-After") == "" || took < waitingTime || took > 2*waitingTime {
		t.Errorf("who waits is answered %d after %v: %s", rep.status, took, rep.body())
	}
	start = time.Now()
	big := strings.Replace(strangersList, "{", "{"+strings.Repeat(" ", largeBody), 1)
	if rep := r.do("POST", big, append(modernFields("tools/list", ""), "Authorization: Bearer third")...); rep.status != 503 || time.Since(start) > waitingTime/2 {
		t.Errorf("a large request is answered %d after %v", rep.status, time.Since(start))
	}
}

func TestWaitingRoom(t *testing.T) {
	w := newWaitingRoom()
	w.most, w.share = 5, 3
	from := func(addr string) *inbound {
		return &inbound{conn: &connection{link: &transport.Link{Protocol: transport.HTTP, Remote: addr}}, req: &transport.Request{}}
	}
	for i, want := range []bool{true, true, true, false} {
		if got := w.enter(from("192.0.2.1:1")); got != want {
			t.Errorf("request %d of one address: %v", i, got)
		}
	}
	for i, want := range []bool{true, true, false} {
		if got := w.enter(from("192.0.2.2:1")); got != want {
			t.Errorf("request %d of another: %v", i, got)
		}
	}
	w.leave(from("192.0.2.2:1"))
	if !w.enter(from("192.0.2.3:1")) {
		t.Error("a place that is free is not given")
	}
	if got := w.of[netip.MustParsePrefix("192.0.2.1/32")]; got != 3 || len(w.of) != 3 {
		t.Errorf("counted %v", w.of)
	}
	w = newWaitingRoom()
	shared := from("192.0.2.1:1")
	shared.conn.link.Protocol = transport.SSE
	if w.enter(shared) {
		t.Error("a message of a shared connection may be overtaken")
	}
	shared.req.Kind = transport.Upgrade
	if !w.enter(shared) {
		t.Error("an upgrade may not wait")
	}
	for size, want := range map[int]bool{largeBody - 1: true, largeBody: true, largeBody + 1: false} {
		in := from("192.0.2.9:1")
		in.req.Body = make([]byte, size)
		if got := w.enter(in); got != want {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
	now := time.Now()
	a, b := from("192.0.2.1:1"), from("192.0.2.1:2")
	w.add(a, now)
	w.add(b, now.Add(time.Second))
	if late := w.overdue(now.Add(waitingTime - 1)); late != nil {
		t.Errorf("%d are overdue too early", len(late))
	}
	if late := w.overdue(now.Add(waitingTime)); len(late) != 1 || late[0] != a || len(w.line) != 1 {
		t.Errorf("%d are overdue", len(late))
	}
}
