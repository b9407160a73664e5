package transport

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"millrace/loop"
	"millrace/pool/buffer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // gnet's own pool starts its goroutines in init
}

const (
	ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	pong = `{"jsonrpc":"2.0","id":1,"result":{}}`
	note = `{"jsonrpc":"2.0","method":"notifications/progress"}`
)

// script is a Dispatcher that does what its functions say and records what it
// is told. The functions are set before the first connection.
type script struct {
	dispatch func(r *Request, s Stream) // default: answers pong, 101 to an upgrade
	drain    func(l *Link)

	mu     sync.Mutex
	events []string
	links  []*Link
}

var _ Dispatcher = (*script)(nil)

func (d *script) record(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, fmt.Sprintf(format, args...))
}

// take returns the events since the last call.
func (d *script) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.events
	d.events = nil
	return e
}

func (d *script) Opened(l *Link) {
	l.State = d
	d.links = append(d.links, l)
	d.record("opened %v %s", l.Protocol, l.Remote)
}

func (d *script) Dispatch(r *Request, s Stream) {
	d.record("%v %s", r.Kind, r.Body)
	if d.dispatch != nil {
		d.dispatch(r, s)
		return
	}
	answer(r, s)
}

func answer(r *Request, s Stream) {
	if r.Kind == Upgrade {
		s.Respond(Response{Status: 101})
		return
	}
	s.Respond(ok(pong))
}

func ok(body string) Response {
	return Response{Status: 200, Body: buffer.Copy([]byte(body))}
}

func (d *script) Drain(l *Link) {
	d.record("drain %v", l.Protocol)
	if d.drain != nil {
		d.drain(l)
	}
}

func (d *script) Closed(l *Link, _ error) { d.record("closed %v", l.Protocol) }

func (k Kind) String() string {
	return [...]string{"message", "stream", "delete", "upgrade"}[k]
}

// on runs f on a goroutine of its own, as a worker would, and waits for it.
func on(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// rig is a Handler on a loop without sockets.
type rig struct {
	*loop.Memory
	up *script

	// What the last request that was detached left behind; see detach.
	request *Request
	stream  Stream
}

func newRig(cfg Config, d *script) *rig {
	return &rig{Memory: loop.NewMemory(loop.Config{}, NewHandler(cfg, d)), up: d}
}

// newAwayRig has every request detached.
func newAwayRig(cfg Config) *rig {
	d := &script{}
	g := newRig(cfg, d)
	d.dispatch = func(r *Request, _ Stream) { g.request, g.stream = r.Detach(true) }
	return g
}

// worker runs f with the detached Stream off the loop, then delivers.
func (g *rig) worker(f func(s Stream)) {
	on(func() { f(g.stream) })
	g.Deliver()
}

func (g *rig) open() *loop.Pipe { return g.Open("192.0.2.1:4000", 0) }

// exchange feeds one request to a new connection and returns what comes back.
func (g *rig) exchange(request string) string {
	p := g.open()
	p.Feed([]byte(request))
	return output(p)
}

func wantOutput(t *testing.T, p *loop.Pipe, want string) {
	t.Helper()
	if got := output(p); got != want {
		t.Errorf("output\n got %q\nwant %q", got, want)
	}
}

func wantEvents(t *testing.T, d *script, want ...string) {
	t.Helper()
	if got := d.take(); !slices.Equal(got, want) {
		t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// output is what the peer received, without the date: that is pinned by the
// transcripts, and the clock of these tests stands still.
func output(p *loop.Pipe) string {
	return strings.ReplaceAll(string(p.Output()), "Date: "+p.Conn.Date()+"\r\n", "")
}

// notify sends a notification ahead of the answer.
func notify(s Stream, msg []byte) bool { return s.Send(Event{Data: msg}) }
