package transport

import (
	"testing"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/pool/buffer"
)

// quiet is a Dispatcher that costs nothing.
type quiet struct {
	dispatch func(r *Request, s Stream)
}

func (*quiet) Opened(*Link)        {}
func (*quiet) Drain(*Link)         {}
func (*quiet) Closed(*Link, error) {}

func (d *quiet) Dispatch(r *Request, s Stream) {
	if d.dispatch != nil {
		d.dispatch(r, s)
		return
	}
	b := buffer.Get()
	b.B = append(b.B, pong...)
	s.Respond(Response{Status: 200, Body: b})
}

// floorAllocs is what the loop in memory itself allocates for a request and an
// answer of the usual size.
func floorAllocs(request []byte) float64 {
	f := &floor{}
	m := loop.NewMemory(loop.Config{}, f)
	p := m.Open("192.0.2.1:1", 0)
	p.Feed(request)
	p.Output()
	return testing.AllocsPerRun(200, func() {
		p.Feed(request)
		p.Output()
	})
}

// floor is a loop.Handler that answers fixed bytes.
type floor struct{}

func (floor) Opened(*loop.Conn) bool     { return true }
func (floor) Message(*loop.Conn, []byte) {}
func (floor) Alarm(*loop.Conn)           {}
func (floor) Drain(*loop.Conn)           {}
func (floor) Closed(*loop.Conn, error)   {}
func (floor) Request(c *loop.Conn, _ *http1.Request) {
	b := buffer.Get()
	b.B = append(b.B, pongAnswer...)
	c.Write(c.Exchange(), b, loop.Last)
}

func TestInlineAnswerAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("race builds poison buffers and drop pooled ones")
	}
	d := &quiet{}
	m := loop.NewMemory(loop.Config{}, NewHandler(Config{}, d))
	p := m.Open("192.0.2.1:1", 0)
	request := []byte(post(jsonType, acceptBoth, "Mcp-Method: ping", "User-Agent: test"))
	p.Feed(request)
	p.Output()
	// The loop in memory copies what is fed and keeps what is sent.
	n := testing.AllocsPerRun(200, func() {
		p.Feed(request)
		p.Output()
	})
	floor := floorAllocs(request)
	if n > floor {
		t.Errorf("%v allocations for an inline answer, want the %v of a handler that does nothing", n, floor)
	}
}

func BenchmarkInlineAnswer(b *testing.B) {
	m := loop.NewMemory(loop.Config{}, NewHandler(Config{}, &quiet{}))
	p := m.Open("192.0.2.1:1", 0)
	request := []byte(post(jsonType, acceptBoth, "Mcp-Method: ping", "User-Agent: test"))
	b.ReportAllocs()
	for b.Loop() {
		p.Feed(request)
		p.Output()
	}
}

func BenchmarkDetachedAnswer(b *testing.B) {
	var stream Stream
	var request *Request
	d := &quiet{dispatch: func(r *Request, _ Stream) { request, stream = r.Detach(false) }}
	m := loop.NewMemory(loop.Config{}, NewHandler(Config{}, d))
	p := m.Open("192.0.2.1:1", 0)
	in := []byte(post(jsonType, acceptBoth, "Mcp-Method: ping", "User-Agent: test"))
	b.ReportAllocs()
	for b.Loop() {
		p.Feed(in)
		stream.Respond(ok(pong))
		request.Release()
		m.Deliver()
		p.Output()
	}
}
