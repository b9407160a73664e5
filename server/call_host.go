package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"millrace/pool"
	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// This file makes a call the mcp.Host of its handler: the ways back to the client
// beside the answer. Any goroutine.

// Notify implements mcp.Notifier: nothing is sent for a call that has ended.
func (c *call) Notify(msg []byte) { c.sendAhead(msg, false) }

// Send implements mcp.Host.
func (c *call) Send(msg []byte) bool { return c.sendAhead(msg, true) }

// pose implements asker.
func (c *call) pose(k *question, msg []byte) bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	ok := c.sendLocked(msg, true)
	k.sent.Store(ok) // under ending: withdraw, which follows the end of the call, sees it
	return ok
}

func (c *call) sendAhead(msg []byte, keep bool) bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	return c.sendLocked(msg, keep)
}

func (c *call) sendLocked(msg []byte, keep bool) bool {
	if c.state.Load() != callRunning || !c.push(msg, keep) {
		return false
	}
	c.gate.counters.sent.Inc()
	return true
}

// push sends ahead of the answer: in a session over HTTP on a stream that the
// client can come back to.
func (c *call) push(msg []byte, keep bool) bool {
	if e := c.eventStream(true); e != nil {
		return e.send(msg, keep)
	}
	return c.stream.Send(transport.Event{Data: msg, Keep: keep})
}

// resumable reports whether the client can come back to the stream of the call.
// The requests of a batch share one stream, to which nobody comes back.
func (c *call) resumable() bool {
	if c.session == nil || c.conn.shared() || c.session.reg == nil {
		return false
	}
	_, batched := c.stream.(*batchItem)
	return !batched
}

// eventStream is the resumable stream of the call; nil where there is none, or
// not yet unless create is set.
func (c *call) eventStream(create bool) *eventStream {
	if !c.resumable() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.events == nil && create && !c.sealed {
		c.events = newEventStream(c.session, c.stream, false)
	}
	return c.events
}

// lastStream is eventStream for the last time: afterwards none comes into being,
// which nobody would end.
func (c *call) lastStream() *eventStream {
	if !c.resumable() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.events
}

// primeEvents makes a call that is silent for long one that its client can come
// back to.
func (c *call) primeEvents() {
	if e := c.eventStream(true); e != nil && !c.over() {
		e.prime()
	}
}

// respond sends the one answer.
func (c *call) respond(r transport.Response) {
	if e := c.lastStream(); e != nil {
		e.respond(r)
		return
	}
	c.stream.Respond(r)
}

// endStream ends the exchange without an answer.
func (c *call) endStream() {
	if e := c.lastStream(); e != nil {
		e.end()
		return
	}
	c.stream.End()
}

// leftAlone notes that the connection of a legacy call over HTTP is gone: the
// call goes on, and what it has to say waits for its client to come back.
func (c *call) leftAlone() {
	if e := c.eventStream(false); e != nil {
		e.away(c.stream)
	}
}

// Request implements mcp.Host.
func (c *call) Request(ctx context.Context, method string, params []byte) (json.RawMessage, error) {
	if c.session == nil {
		return nil, errNoStream
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c, cancel) // nobody needs the answer when the call is over
	defer stop()
	c.asked.Store(true)
	raw, err := c.session.asked.ask(ctx, c, method, params)
	c.given.Add(int64(len(raw)))
	return raw, err
}

// withdraw ends the questions of a call that is over but for what its client is
// told of that.
func (c *call) withdraw() {
	if c.asked.Load() {
		c.session.asked.withdraw(c)
	}
}

// tell implements asker.
func (c *call) tell(msg []byte) bool { return c.push(msg, true) }

// maxWaiting is how many calls of one connection or session, and of one client
// with all its connections, sessions and tasks, may wait for a person at once.
const maxWaiting = 256

var (
	errInlineWaits = errors.New("a tool of ClassInline cannot ask the client: it would hold up the event loop")
	errManyWait    = errors.New("too many requests of this client wait for its user already")
)

// Wait implements mcp.Host.
func (c *call) Wait(wait func()) error {
	switch {
	case c.owner == nil:
		return errInlineWaits
	case c.over() && c.state.Load() != callHanded:
		return context.Canceled // nobody is asked for it any more
	case !c.stopClock():
		return errManyWait
	}
	defer c.startClock()
	client, size := c.client(), c.size+int(c.given.Load())
	if !c.gate.waits.enter(client, size) {
		return errManyWait
	}
	defer c.gate.waits.leave(client, size)
	if err := c.gate.pool.Suspend(c.class, c.owner, wait); err != nil {
		return fmt.Errorf("too many requests wait for their users (of all clients together): %w", err)
	}
	return nil
}

// client is whom c counts for together with calls on other connections: its
// principal, or the address of who is anonymous. It is empty for anonymous
// callers on this machine, whom nothing tells apart.
func (c *call) client() string {
	if p := c.who; !p.IsAnonymous() {
		return "principal " + p.ID
	}
	host, _, err := net.SplitHostPort(c.conn.link.Remote)
	if err != nil {
		host = c.conn.link.Remote // a proxy names no port
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsLoopback() {
		return ""
	}
	return "address " + host
}

// waits counts the goroutines that wait for a person, by client, and the bytes
// of the messages, and of earlier answers, that wait with them. Any goroutine.
type waits struct {
	mu    sync.Mutex
	n     map[string]int
	bytes int
}

// maxWaitingBytes bounds the messages of all calls that wait for a person.
const maxWaitingBytes = 256 << 20

// enter counts one more; it is false when the client has its share, or all have.
func (w *waits) enter(client string, size int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if client != "" && w.n[client] >= maxWaiting || w.bytes+size > maxWaitingBytes {
		return false
	}
	if w.n == nil {
		w.n = make(map[string]int)
	}
	w.n[client]++
	w.bytes += size
	return true
}

// leave undoes enter.
func (w *waits) leave(client string, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes -= size
	if w.n[client]--; w.n[client] <= 0 {
		delete(w.n, client)
	}
}

// stopClock lets the time of the call stand still for one more goroutine of the
// handler that waits. It is false when too many calls wait already.
func (c *call) stopClock() bool {
	mu, calls := c.siblings()
	mu.Lock()
	defer mu.Unlock()
	if c.waiting.Load() == 0 {
		if _, waiting := census(*calls); waiting >= maxWaiting {
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting.Add(1) == 1 {
		c.stopped = time.Now()
	}
	return true
}

// startClock undoes stopClock. Of goroutines that wait at the same time the time
// counts once.
func (c *call) startClock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting.Load() == 1 {
		c.paused.Add(int64(time.Since(c.stopped)))
	}
	c.waiting.Add(-1)
}

// siblings are the calls that count together with c, and their lock.
func (c *call) siblings() (*sync.Mutex, *[]*call) {
	if c.session != nil && !c.conn.shared() {
		return &c.session.mu, &c.session.calls
	}
	return &c.conn.mu, &c.conn.calls
}

// Answer implements mcp.Host: the call is over for its client, and its handler
// goes on.
func (c *call) Answer(msg []byte) bool {
	c.ending.Lock()
	ok := c.state.CompareAndSwap(callRunning, callHanded)
	c.ending.Unlock()
	if !ok {
		return false
	}
	body := buffer.Get()
	body.B = append(body.B, msg...)
	c.answer(body, 200)
	c.leave()
	return true
}

// CloseStream implements mcp.Host. "After the server has sent an SSE event with
// an event ID to the client, the server MAY close the connection" is new in
// 2025-11-25; before, "the server SHOULD NOT close the SSE stream before sending
// the JSON-RPC response", and an event that only brings an id would be taken for
// a message.
func (c *call) CloseStream(retry time.Duration) bool {
	e := c.eventStream(true)
	return e != nil && c.session.mcp.Version() >= mcp.Version20251125 && e.disconnect(retry)
}

// listen opens the subscription of a subscriptions/listen. It holds no worker:
// where user code has a say one opens it, else this goroutine.
func (in *inbound) listen(c *call, plan mcp.Plan) {
	in.leave(c)
	// What the subscription needs of the message it has copied: the body goes when
	// it is open, and the id is looked up for as long as it lives.
	c.mcp.ID = bytes.Clone(c.mcp.ID)
	if err := in.conn.enter(c, in.gate.maxInFlight); err != nil {
		c.refuse(in, err)
		return
	}
	if plan.Class == mcp.ClassInline {
		c.listen()
		return
	}
	if err := in.gate.pool.Submit(pool.Blocking, &in.conn.owner, listenTask{c}); err != nil {
		c.overloaded(err)
	}
}

// listenTask opens a subscription on a worker.
type listenTask struct{ call *call }

// Run implements pool.Task.
func (t listenTask) Run() { t.call.listen() }

// listen runs the opening; afterwards the call is in flight without a goroutine.
func (c *call) listen() {
	defer c.release()
	if !c.state.CompareAndSwap(callPending, callRunning) {
		return // cancelled while it was queued
	}
	body := buffer.Get()
	sub, out, status := c.gate.mcp.Listen(c, c.mcp, body.B)
	body.B = out
	if sub == nil {
		if c.state.CompareAndSwap(callRunning, callAnswered) {
			c.answer(body, status)
		} else {
			buffer.Put(body)
		}
		c.leave()
		return
	}
	buffer.Put(body)
	c.ending.Lock()
	c.sub = sub
	gone := c.over() // cancelled meanwhile, by who did not find the subscription
	c.ending.Unlock()
	if gone {
		sub.Close()
		return
	}
	if c.conn.endsListens() {
		c.endListen("server is shutting down")
	}
	if !c.conn.shared() { // only now: before, there was nothing to end
		c.conn.lease(c.gate, c.who, func() { c.endListen(authorizationOver) })
	}
}

// endListen ends a subscription on the server's initiative.
func (c *call) endListen(reason string) {
	c.ending.Lock()
	sub := c.sub
	ok := sub != nil && c.state.CompareAndSwap(callRunning, callAnswered)
	c.ending.Unlock()
	if !ok {
		return
	}
	sub.Close()
	if c.conn.shared() {
		c.stream.Send(transport.Event{Data: sub.AppendCancelled(nil, reason), Keep: true})
	}
	body := buffer.Get()
	body.B = sub.AppendEnd(body.B)
	c.answer(body, 200)
	c.leave()
}
