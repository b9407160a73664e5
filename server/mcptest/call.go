package mcptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// call is one request while it runs: the mcp.Host of its handler. What package
// server does between a socket and the engine it does between two goroutines:
// the handler's, and the one that waits for the answer and plays the client.
type call struct {
	client *Client
	name   string
	mcp    *mcp.Call
	ctx    *handlerContext
	cancel context.CancelFunc

	answer    chan []byte   // of one
	questions chan question // to the client of a session
	returned  chan struct{} // closed when the handler has returned

	mu      sync.Mutex
	over    bool
	taskID  string
	waiting int // goroutines in Wait
	since   time.Time
	paused  time.Duration
}

// handlerContext is the context that a handler gets. As a host's, it knows the
// deadline without a timer of its own, and carries no values.
type handlerContext struct {
	context.Context // cancelled when the call is over
	deadline        time.Time
	expired         atomic.Bool
}

// Deadline implements context.Context.
func (h *handlerContext) Deadline() (time.Time, bool) { return h.deadline, !h.deadline.IsZero() }

// Err implements context.Context.
func (h *handlerContext) Err() error {
	if err := h.Context.Err(); err == nil || !h.expired.Load() {
		return err
	}
	return context.DeadlineExceeded
}

// Value implements context.Context.
func (*handlerContext) Value(any) any { return nil }

// question is a request to the client that waits for its answer.
type question struct {
	method string
	params []byte
	reply  chan reply // of one
}

type reply struct {
	result json.RawMessage
	err    error
}

// serve runs the call and plays the client until there is an answer.
func (c *call) serve(ctx context.Context) ([]byte, error) {
	plan := c.client.server.Plan(c.mcp)
	if plan.Class != mcp.ClassInline {
		c.mcp.Notifier, c.mcp.Host = c, c
	}
	if plan.Timeout > 0 {
		c.ctx.deadline = time.Now().Add(plan.Timeout)
	}
	if err := c.client.begin(c); err != nil {
		c.cancel()
		return nil, err
	}
	return c.await(ctx, plan.Timeout)
}

// begin starts the goroutine of the handler.
func (c *Client) begin(running *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.calls[running] = struct{}{}
	c.running.Go(running.run)
	return nil
}

func (c *call) run() {
	// A handler may end its goroutine, with t.FailNow: a host still answers.
	out := jsonrpc.AppendError(nil, c.mcp.ID, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "internal error"})
	defer func() {
		c.end(out)
		c.client.mu.Lock()
		delete(c.client.calls, c)
		c.client.mu.Unlock()
		close(c.returned)
	}()
	out, _ = c.client.server.Serve(c.ctx, c.mcp, nil)
}

// await waits for the answer. Questions of the server are answered here, where
// functions of the test may fail it.
func (c *call) await(ctx context.Context, timeout time.Duration) ([]byte, error) {
	var limit *time.Timer
	var expired <-chan time.Time
	begun := time.Now()
	if timeout > 0 {
		limit = time.NewTimer(timeout)
		defer limit.Stop()
		expired = limit.C
	}
	defer c.abandon(false) // also when a function of the test ends the goroutine
	for {
		select {
		case out := <-c.answer:
			return out, nil
		case q := <-c.questions:
			result, err := c.client.reply(q.method, q.params)
			q.reply <- reply{result, err}
		case <-expired:
			if left := timeout - c.spent(begun); left > 0 {
				limit.Reset(left)
			} else if c.abandon(true) {
				return c.client.server.AppendTimeout(nil, c.mcp, timeout), nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.client.ctx.Done():
			return nil, errClosed
		}
	}
}

// spent is how long the clock of the call has run.
func (c *call) spent(begun time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	paused := c.paused
	if c.waiting > 0 {
		paused += time.Since(c.since)
	}
	return time.Since(begun) - paused
}

// abandon ends the call without an answer; it is false when it is over.
func (c *call) abandon(expired bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.over = true
	c.ctx.expired.Store(expired)
	c.cancel()
	return true
}

// end answers the call; it is false when it is over.
func (c *call) end(out []byte) bool {
	if !c.abandon(false) {
		return false
	}
	c.answer <- out
	return true
}

// result is the result in a response, or its error.
func (c *call) result(out []byte) (json.RawMessage, error) {
	m, err := jsonrpc.Parse(out, &answerLimits)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer is not a JSON-RPC message: %w: %q", err, out)
	case !bytes.Equal(m.ID, c.mcp.ID) || !jsonrpc.SingleLine(out):
		return nil, fmt.Errorf("the answer is not one line that answers request %s: %q", c.mcp.ID, out)
	case m.Error != nil:
		return nil, parseError(m.Error)
	}
	return json.RawMessage(m.Result), nil
}

var answerLimits = jsonrpc.Limits{Depth: 10_000, Keys: math.MaxInt}

// parseError decodes the error object of a response.
func parseError(raw []byte) error {
	var e struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("the error is none: %w: %s", err, raw)
	}
	wrong := &jsonrpc.Error{Code: e.Code, Message: e.Message}
	if e.Data != nil {
		wrong.Data = e.Data
	}
	return wrong
}

// task is the id of the task that the call has become, "" when it is none.
func (c *call) task() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taskID
}

// Notify implements mcp.Notifier.
func (c *call) Notify(msg []byte) { c.Send(msg) }

// Send implements mcp.Host.
func (c *call) Send(msg []byte) bool {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over {
		return false
	}
	c.client.told(msg)
	return true
}

var errNoStream = errors.New("the client has no stream open on which it could be asked")

// Request implements mcp.Host.
func (c *call) Request(ctx context.Context, method string, params []byte) (json.RawMessage, error) {
	if c.mcp.Modern {
		return nil, errNoStream
	}
	q := question{method: method, params: bytes.Clone(params), reply: make(chan reply, 1)}
	select {
	case c.questions <- q:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
	select {
	case r := <-q.reply:
		return r.result, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
}

// Wait implements mcp.Host: the clock of the call stands still.
func (c *call) Wait(wait func()) error {
	c.mu.Lock()
	if c.waiting == 0 {
		c.since = time.Now()
	}
	c.waiting++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting--; c.waiting == 0 {
			c.paused += time.Since(c.since)
		}
	}()
	wait()
	return nil
}

// Answer implements mcp.Host.
func (c *call) Answer(msg []byte) bool {
	raw, err := c.result(msg)
	if err == nil {
		id, _ := jsonrpc.Unquote(jsonrpc.Member(raw, "taskId"))
		c.mu.Lock()
		c.taskID = id
		c.mu.Unlock()
	}
	return c.end(bytes.Clone(msg))
}

// CloseStream implements mcp.Host: there is no stream to come back to.
func (*call) CloseStream(time.Duration) bool { return false }

// peer is the mcp.Peer of a session.
type peer struct{ client *Client }

// Notify implements mcp.Notifier.
func (p peer) Notify(msg []byte) { p.client.told(msg) }

// Request implements mcp.Peer.
func (p peer) Request(ctx context.Context, method string, params []byte) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.client.reply(method, params)
}
