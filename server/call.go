package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/pool"
	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// call is one request from the moment it has passed the checks of its era until
// it is answered. It is the task that a worker runs, the context that its
// handler gets, and the notifier of its progress, so that a call costs one
// allocation.
//
// Exactly one of these ends a call: its result, its deadline, its
// cancellation. state decides the race; the losers drop what they have.
type call struct {
	gate    *gate
	conn    *connection
	req     *transport.Request // detached; nil while the call is served inline
	stream  transport.Stream
	mcp     mcp.Call
	session *legacySession // the one it belongs to; nil in the stateless era
	fresh   *legacySession // initialize: the one it may open
	started time.Time
	timeout time.Duration

	state atomic.Uint32

	mu   sync.Mutex
	done chan struct{} // made when somebody asks
	err  error

	node deadlineNode
}

// States of a call.
const (
	callPending uint32 = iota
	callRunning
	callAnswered
	callTimedOut
	callCanceled
)

// newCall builds the call for a request. Everything in it is a view of the
// request's body.
func newCall(in *inbound, msg *jsonrpc.Message, meta mcp.CallMeta) *call {
	c := &call{gate: in.gate, conn: in.conn, stream: in.stream, started: time.Now()}
	c.mcp = mcp.Call{
		Method: methodName(msg.Method), ID: msg.ID, Params: msg.Params, Meta: meta, Principal: in.who,
	}
	return c
}

// methodName avoids a copy for the methods that are called a million times.
func methodName(b []byte) string {
	switch string(b) {
	case "tools/call":
		return "tools/call"
	case "tools/list":
		return "tools/list"
	case "ping":
		return "ping"
	}
	return string(b)
}

// serveInline runs the call where it stands, usually on the event loop.
func (c *call) serveInline(in *inbound) {
	c.state.Store(callAnswered)
	body := buffer.Get()
	var status int
	body.B, status = c.gate.mcp.Serve(c, &c.mcp, body.B)
	c.end(nil)
	if c.fresh != nil {
		in.initialized(c, body, status)
	} else {
		in.stream.Respond(transport.Response{Status: status, Body: body})
	}
	c.gate.finished(c, outcomeOf(status))
	in.done()
}

// Run implements pool.Task.
func (c *call) Run() {
	defer c.req.Release()
	defer c.leave()
	if !c.state.CompareAndSwap(callPending, callRunning) {
		return // canceled, or its time ran out, while it was queued
	}
	body := buffer.Get()
	var status int
	body.B, status = c.gate.mcp.Serve(c, &c.mcp, body.B)
	if !c.state.CompareAndSwap(callRunning, callAnswered) {
		c.gate.counters.late.Inc()
		buffer.Put(body)
		return
	}
	c.end(context.Canceled)
	if c.fresh != nil {
		in := inbound{gate: c.gate, conn: c.conn, req: c.req, stream: c.stream, who: c.mcp.Principal, detached: true}
		in.initialized(c, body, status)
	} else {
		c.stream.Respond(transport.Response{Status: status, Body: body})
	}
	c.gate.finished(c, outcomeOf(status))
}

// Panicked implements the pool's last barrier: mcp.Serve has one of its own, so
// this is a bug in the engine, and the client still gets an answer.
func (c *call) Panicked(*pool.PanicError) {
	if c.settle(callAnswered) {
		c.end(context.Canceled)
		c.respondError(500, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "internal error"})
		c.gate.finished(c, outcomeError)
	}
}

// settle claims the right to end the call.
func (c *call) settle(state uint32) bool {
	return c.state.CompareAndSwap(callPending, state) || c.state.CompareAndSwap(callRunning, state)
}

// expire answers a call whose time is up. The handler may go on; what it
// returns is dropped. Called by the deadline sweep.
func (c *call) expire() {
	running := c.state.Load() == callRunning
	if !c.settle(callTimedOut) {
		return
	}
	if running {
		c.gate.pool.Abandon()
	}
	body := buffer.Get()
	body.B = c.gate.mcp.AppendTimeout(body.B, &c.mcp, c.timeout)
	c.end(context.DeadlineExceeded)
	c.stream.Respond(transport.Response{Status: 200, Body: body})
	c.leave()
	c.gate.finished(c, outcomeTimeout)
}

// cancel ends a call that nobody waits for any more; nothing is sent for it
// ("MUST NOT send any further messages for it", 26:basic/transports/stdio).
func (c *call) cancel(why error) {
	running := c.state.Load() == callRunning
	if !c.settle(callCanceled) {
		return
	}
	if running {
		c.gate.pool.Abandon()
	}
	c.end(why)
	if !c.conn.shared() && !errors.Is(why, errDisconnected) {
		// The client still holds an exchange open; an event stream that ends
		// without an answer is the quietest way out of it.
		c.stream.Open("")
		c.stream.End()
	}
	c.leave()
	c.gate.finished(c, outcomeCanceled)
}

// leave takes the call out of every table. It may run twice.
func (c *call) leave() {
	c.gate.calls.remove(c)
	c.conn.exit(c)
	if c.session != nil {
		c.session.exit(c)
	}
}

// overloaded answers a call that no worker will run.
func (c *call) overloaded(why error) {
	if !c.settle(callAnswered) {
		return
	}
	c.gate.counters.overloaded.Inc()
	c.end(context.Canceled)
	e := overloadError(c.mcp.Modern, why)
	body := buffer.Get()
	body.B = jsonrpc.AppendError(body.B, c.mcp.ID, e)
	c.stream.Respond(transport.Response{Status: 503, Body: body, RetryAfter: 1})
	c.leave()
	c.req.Release()
	c.gate.finished(c, outcomeError)
}

// refuse answers a call that may not enter its connection. It is in no table.
func (c *call) refuse(in *inbound, why error) {
	defer in.req.Release()
	switch {
	case errors.Is(why, errGone):
	case errors.Is(why, errDuplicate):
		in.fail(400, c.mcp.ID, invalidRequest(why.Error()))
	default:
		c.gate.counters.overloaded.Inc()
		in.failWith(transport.Response{Status: 503, RetryAfter: 1}, c.mcp.ID, overloadError(c.mcp.Modern, why))
	}
}

func (c *call) respondError(status int, e *jsonrpc.Error) {
	body := buffer.Get()
	body.B = jsonrpc.AppendError(body.B, c.mcp.ID, e)
	c.stream.Respond(transport.Response{Status: status, Body: body})
}

// Notify implements mcp.Notifier: nothing is sent for a call that has ended.
func (c *call) Notify(msg []byte) {
	if s := c.state.Load(); s == callRunning {
		c.stream.Notify(msg)
		c.gate.counters.sent.Inc()
	}
}

// The rest makes a call a context.Context, done when the call has ended for any
// reason.

// Deadline implements context.Context.
func (c *call) Deadline() (time.Time, bool) {
	return c.started.Add(c.timeout), c.timeout > 0
}

// Done implements context.Context.
func (c *call) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context.
func (c *call) Value(any) any { return nil }

// end makes the context done. The context contract knows two errors only.
func (c *call) end(why error) {
	err := context.Canceled
	if errors.Is(why, context.DeadlineExceeded) {
		err = context.DeadlineExceeded
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		if c.done != nil {
			close(c.done)
		}
	}
}

// legacySession is what the gate keeps for a session of the older eras. It is
// the session's attachment and the mcp.Peer of its notifications.
type legacySession struct {
	reg  *session.Session
	mcp  *mcp.ServerSession
	link *transport.Link // of a WebSocket or stdio; nil on HTTP

	mu      sync.Mutex
	calls   []*call // in flight, HTTP only: a cancellation comes on another connection
	streams []*openStream
}

// Notify implements mcp.Peer. On HTTP it goes out on the newest GET stream, and
// nowhere when there is none.
func (s *legacySession) Notify(msg []byte) {
	if s.link != nil {
		s.link.Send(msg, true)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.streams); n > 0 {
		s.streams[n-1].stream.Notify(msg)
	}
}

func (s *legacySession) enter(c *call) {
	s.reg.Hold()
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
}

func (s *legacySession) exit(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.calls {
		if other == c {
			last := len(s.calls) - 1
			s.calls[i], s.calls[last] = s.calls[last], nil
			s.calls = s.calls[:last]
			s.reg.Release(time.Now())
			return
		}
	}
}
