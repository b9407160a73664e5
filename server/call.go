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
	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// call is one request from the moment it has passed the checks of its era until
// it is answered. It is the task that a worker runs, the context that its
// handler gets, and the notifier of its progress, so that a call costs one
// allocation. What is needed only until the answer is in mcp, which is used
// again.
//
// Exactly one of these ends a call: its result, its deadline, its
// cancellation. state decides the race; the losers drop what they have.
type call struct {
	gate   *gate
	conn   *connection
	req    *transport.Request // detached, unless the call is served inline
	stream transport.Stream
	// mcp is there until the call is answered and its body released. Who may come
	// later than that looks at who and modern instead.
	mcp     *mcp.Call
	who     *auth.Principal
	modern  bool
	session *legacySession // the one it belongs to; nil in the stateless era
	fresh   *legacySession // initialize: the one it may open
	started time.Time
	timeout time.Duration
	size    int // of the message
	class   pool.Class
	seat    seat
	owner   *pool.Owner       // nil: the call runs inline
	sub     *mcp.Subscription // of a subscriptions/listen; under ending

	// waiting is how many goroutines of the handler wait for a person; paused how
	// long the clock of the call has stood still for that, in nanoseconds.
	waiting atomic.Int32
	paused  atomic.Int64
	asked   atomic.Bool  // the handler has asked its client
	given   atomic.Int64 // bytes of the answers, which the handler may ask for again

	state atomic.Uint32
	// ending keeps the end of a call, by anything but its result, apart from a
	// notification that is being sent, which must not follow it, and from the
	// release of the body that a timeout is still being encoded from.
	ending sync.Mutex

	mu      sync.Mutex
	done    chan struct{} // made when somebody asks
	err     error
	stopped time.Time    // when waiting became one
	events  *eventStream // legacy HTTP: made when there is something to send ahead
	sealed  bool         // none is made any more

	node deadlineNode
}

// States of a call. From callAnswered on it is over.
const (
	callPending uint32 = iota
	callRunning
	callAnswered
	callTimedOut
	callCanceled
	callHanded // the answer is out while the handler goes on, as a task
)

// spareCalls are calls that nobody can hold any more, see call.recycle, and
// spareViews what answered calls have left.
var (
	spareCalls = sync.Pool{New: func() any { return new(call) }}
	spareViews = sync.Pool{New: func() any { return new(mcp.Call) }}
)

// newCall builds the call for a request. Everything in it is a view of the
// request's body.
func newCall(in *inbound, msg *jsonrpc.Message, meta *mcp.CallMeta) *call {
	var c *call
	method := methodName(msg.Method)
	if method == methodCallTool { // never used again
		c = new(call)
	} else {
		c = spareCalls.Get().(*call)
	}
	m := spareViews.Get().(*mcp.Call)
	m.Method, m.ID, m.Params = method, msg.ID, msg.Params
	m.Meta, m.Principal = *meta, in.who
	c.gate, c.conn, c.req, c.stream, c.started = in.gate, in.conn, in.req, in.stream, time.Now()
	c.mcp, c.who = m, in.who
	return c
}

// forget gives back what an answered call does not need any more. Whoever may
// still hold the call does not look at it.
func (c *call) forget() {
	*c.mcp = mcp.Call{}
	spareViews.Put(c.mcp)
	c.mcp = nil
}

// recycle gives back the whole of a call that was served inline, unless a handler
// may have kept it: it is the context of handlers of tools.
func (c *call) recycle() {
	tool := c.mcp.Method == methodCallTool
	c.forget()
	if !tool {
		*c = call{}
		spareCalls.Put(c)
	}
}

// methodCallTool is the method whose calls are never used again.
const methodCallTool = "tools/call"

// methodName avoids a copy for the methods that are called a million times.
func methodName(b []byte) string {
	switch string(b) {
	case methodCallTool:
		return methodCallTool
	case "tools/list":
		return "tools/list"
	case "ping":
		return "ping"
	}
	return string(b)
}

// over reports whether the call has ended for its client.
func (c *call) over() bool { return c.state.Load() >= callAnswered }

// serveInline runs the call where it stands, usually on the event loop.
func (c *call) serveInline(in *inbound) {
	c.state.Store(callAnswered)
	body := buffer.Get()
	var status int
	body.B, status = c.gate.mcp.Serve(c, c.mcp, body.B)
	c.answer(body, status)
	in.done()
	if c.fresh == nil {
		c.recycle()
	}
}

// Run implements pool.Task.
func (c *call) Run() {
	defer c.finish()
	defer c.stand() // of a handler that has ended its goroutine
	if !c.state.CompareAndSwap(callPending, callRunning) {
		return // canceled, or its time ran out, while it was queued
	}
	if c.class == pool.CPU {
		procs.enter()
		defer func() { procs.leave(time.Now()) }()
	}
	body := buffer.Get()
	var status int
	body.B, status = c.gate.mcp.Serve(c, c.mcp, body.B)
	c.stand() // before the answer: its client may send the next call at once
	if !c.state.CompareAndSwap(callRunning, callAnswered) {
		if c.state.Load() != callHanded {
			c.gate.counters.late.Inc()
		}
		buffer.Put(body)
		return
	}
	c.answer(body, status)
}

// answer sends the one response of a call whose state says that it is answered.
func (c *call) answer(body *buffer.Buffer, status int) {
	c.withdraw() // of a goroutine that the handler has left behind
	c.end(context.Canceled)
	r := transport.Response{Status: status, Body: body}
	if c.fresh != nil {
		c.initialized(&r)
	}
	c.gate.finished(c, outcomeOf(body.B, c.mcp.ID))
	c.respond(r)
}

// finish is the end of Run. When Run did not come to its own, because a handler
// has ended its goroutine (runtime.Goexit) or the engine has a bug, the client
// still gets an answer.
func (c *call) finish() {
	if c.state.CompareAndSwap(callRunning, callAnswered) {
		body := buffer.Get()
		body.B = jsonrpc.AppendError(body.B, c.mcp.ID, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "internal error"})
		c.answer(body, 500)
	}
	if c.state.Load() != callAnswered {
		c.release()
		return // who has ended the call makes it leave, behind the answer
	}
	c.leave()
	c.release()
	if c.fresh == nil {
		c.forget()
	}
}

// claim takes the right to end the call. Under ending.
func (c *call) claim(state uint32) bool {
	if c.state.CompareAndSwap(callPending, state) {
		return true
	}
	if !c.state.CompareAndSwap(callRunning, state) {
		return false
	}
	if c.mcp.Method != mcp.MethodListen { // no worker is left behind
		c.gate.pool.Abandon()
	}
	return true
}

// expire answers a call whose time is up. The handler may go on; what it
// returns is dropped. Called by the deadline sweep.
func (c *call) expire() {
	c.ending.Lock()
	if !c.claim(callTimedOut) {
		c.ending.Unlock()
		return
	}
	body := buffer.Get()
	body.B = c.gate.mcp.AppendTimeout(body.B, c.mcp, c.timeout)
	c.ending.Unlock()
	c.withdraw()
	c.end(context.DeadlineExceeded)
	c.gate.finished(c, outcomeTimeout)
	c.respond(transport.Response{Status: 200, Body: body})
	c.leave()
}

// cut answers a call that the end of the server does not wait for. It is false
// when the call is over.
func (c *call) cut() bool {
	c.ending.Lock()
	if !c.claim(callTimedOut) {
		c.ending.Unlock()
		return false
	}
	body := buffer.Get()
	body.B = jsonrpc.AppendError(body.B, c.mcp.ID, overloadError(c.mcp.Modern, errDraining))
	c.ending.Unlock()
	c.withdraw()
	c.end(context.Canceled)
	c.gate.finished(c, outcomeError)
	c.respond(transport.Response{Status: 503, Body: body, RetryAfter: 1})
	c.leave()
	return true
}

// cancel ends a call that nobody waits for any more; nothing is sent for it
// ("MUST NOT send any further messages for it", 26:basic/transports/stdio).
func (c *call) cancel(why error) {
	c.ending.Lock()
	ok, sub := c.claim(callCanceled), c.sub
	c.ending.Unlock()
	if !ok {
		return
	}
	if sub != nil {
		sub.Close()
	}
	c.withdraw()
	c.end(why)
	c.gate.finished(c, outcomeCanceled)
	if !errors.Is(why, errDisconnected) {
		// An HTTP client still holds an exchange open; an event stream that ends
		// without an answer is the quietest way out of it. A batch does without
		// this answer. Elsewhere this does nothing.
		c.endStream()
	}
	c.leave()
}

// leave takes the call out of every table. It may run twice.
func (c *call) leave() {
	c.gate.calls.remove(c)
	c.conn.exit(c)
	if c.session != nil {
		c.session.exit(c)
	}
}

// release gives the body back. The call is over: nobody looks at its id any more.
func (c *call) release() {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.req.Release()
}

// overloaded answers a call that no worker will run.
func (c *call) overloaded(why error) {
	if c.state.CompareAndSwap(callPending, callAnswered) {
		c.end(context.Canceled)
		c.gate.counters.overloaded.Inc()
		body := buffer.Get()
		body.B = jsonrpc.AppendError(body.B, c.mcp.ID, overloadError(c.mcp.Modern, why))
		c.gate.finished(c, outcomeError)
		c.stream.Respond(transport.Response{Status: 503, Body: body, RetryAfter: 1})
	}
	c.leave()
	c.release()
}

// refuse answers a call that may not enter its connection.
func (c *call) refuse(in *inbound, why error) {
	switch {
	case errors.Is(why, errGone):
		in.done()
	case errors.Is(why, errSessionOver):
		c.reject(in, transport.Response{Status: 404}, invalidRequest(why.Error()))
	case errors.Is(why, errDuplicate):
		c.reject(in, transport.Response{Status: 400}, invalidRequest(why.Error()))
	default:
		c.gate.counters.overloaded.Inc()
		c.reject(in, transport.Response{Status: 503, RetryAfter: 1}, overloadError(c.mcp.Modern, why))
	}
}

// reject answers a request that will not run. It is in no table.
func (c *call) reject(in *inbound, r transport.Response, e *jsonrpc.Error) {
	r.Body = buffer.Get()
	r.Body.B = jsonrpc.AppendError(r.Body.B, c.mcp.ID, e)
	c.gate.finished(c, outcomeError)
	in.stream.Respond(r)
	in.done()
}

// The rest makes a call a context.Context, done when the call has ended for any
// reason.

// late reports whether the time of the call is up, if it has a limit. It stands
// still while the handler waits for a person.
func (c *call) late(now time.Time) bool {
	return c.timeout > 0 && c.waiting.Load() == 0 && now.After(c.started.Add(c.timeout+time.Duration(c.paused.Load())))
}

// Deadline implements context.Context.
func (c *call) Deadline() (time.Time, bool) {
	return c.started.Add(c.timeout + time.Duration(c.paused.Load())), c.timeout > 0
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
