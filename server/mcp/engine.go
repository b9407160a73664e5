package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
	"millrace/server/mcp/schema"
	"millrace/server/seal"
)

// Class is where a tool's handler runs.
type Class uint8

const (
	// ClassBlocking is for handlers that wait for other things: a goroutine
	// each. It is the default.
	ClassBlocking Class = iota
	// ClassCPU is for handlers that compute: as many at a time as there are
	// cores.
	ClassCPU
	// ClassInline is for handlers that take microseconds and never block: they
	// run on the event loop, and delay everyone on it. They report no progress.
	ClassInline
)

// String returns the name of c for logs.
func (c Class) String() string {
	switch c {
	case ClassBlocking:
		return "blocking"
	case ClassCPU:
		return "cpu"
	case ClassInline:
		return "inline"
	}
	return "class " + strconv.Itoa(int(c))
}

// HTTP statuses of answers; see Server.Serve.
const (
	statusOK         = 200
	statusBadRequest = 400
	statusNotFound   = 404
)

// Plan is how the host should run a call.
type Plan struct {
	Class Class
	// Timeout is how long the call may take; 0 means that there is no limit.
	Timeout time.Duration
}

// Notifier carries the notifications that belong to one call back on that
// call's stream.
type Notifier interface {
	// Notify sends msg, one whole encoded JSON-RPC message, which is copied or
	// sent before Notify returns. Any goroutine.
	Notify(msg []byte)
}

// Peer is the way back to a legacy client outside of any call.
type Peer interface {
	// Notify is as in Notifier.
	Notify(msg []byte)
	// Request sends a request to the client and waits for the raw result. It ends
	// with ctx; the client is told then. An error of the client is a
	// *jsonrpc.Error. Any goroutine.
	Request(ctx context.Context, method string, params []byte) (json.RawMessage, error)
}

// Host is what a call needs of its host beside an answer. Any goroutine.
type Host interface {
	Notifier
	// Send is Notify for what must not be lost to a slow reader. It is false when
	// the client cannot be sent anything ahead of the answer.
	Send(msg []byte) bool
	// Request is as in Peer, on the stream of the call. Calls of the stateless era
	// have none.
	Request(ctx context.Context, method string, params []byte) (json.RawMessage, error)
	// Wait calls wait, in which the handler waits for a person: meanwhile its time
	// limit does not run, and it counts for no worker. The error says that too many
	// wait already; then wait is not called.
	Wait(wait func()) error
	// Answer sends msg, a whole response, as the answer to the call while its
	// handler goes on; what Serve appends later is dropped. It is false when the
	// call is over.
	Answer(msg []byte) bool
	// CloseStream ends the response stream of a legacy call; its client comes back
	// for the rest after retry. It is false where that cannot be.
	CloseStream(retry time.Duration) bool
}

// Call is one request or notification of a client that has passed the host's
// checks. A Call is used for one call only, by one goroutine at a time.
type Call struct {
	Method string
	// ID is the raw id of a request. ID, Params and Meta belong to the call:
	// they must stay as they are until Serve returns. What a handler gets are
	// copies.
	ID     []byte
	Params []byte // raw JSON, nil when absent
	// Meta is what ParseMeta found in Params; left zero, the engine calls it.
	Meta CallMeta
	// Version is the revision of the call when there is no session that knows.
	Version string
	// Modern tells that the call is of the stateless era, 2026-07-28 and later.
	Modern bool
	// Session is the client's session in the legacy era, for initialize a fresh
	// one out of NewSession. It is nil for modern calls.
	Session   *ServerSession
	Principal *auth.Principal
	// Notifier may be nil: then the call reports no progress.
	Notifier Notifier
	// Host may be nil: then the call cannot ask its client or become a task.
	Host Host
	// Permitted tells that the host has asked its Guard about the tool of a
	// tools/call, which then need not be asked again.
	Permitted bool
	// Mismatch is the error of a tools/call whose HTTP headers do not mirror its
	// arguments, when the host has not answered it itself because the tool may not
	// exist for the caller: see HeaderParams. The answer has status 400.
	Mismatch *jsonrpc.Error

	// What Plan finds out.
	planned bool
	rev     revision
	method  *method
	failure *jsonrpc.Error // answered before any user code runs
	status  int            // of failure
	tool    *serverTool    // tools/call; nil: no such tool
	name    []byte         // tools/call
	args    []byte         // tools/call; never nil

	active    *activeCall   // what handlers see of the call, once there is one
	listening *Subscription // subscriptions/listen
}

// Plan tells where and for how long c should run. It resolves the method and
// the tool, runs no user code, does not block and allocates nothing, so that
// an event loop can call it. It is also used for notifications.
func (s *Server) Plan(c *Call) Plan {
	s.resolve(c)
	if c.failure != nil {
		return Plan{Class: ClassInline}
	}
	hooked := s.receiving.Load() != nil
	if c.method.tool {
		return s.planTool(c.tool, hooked || s.opts.ToolFilter != nil)
	}
	if hooked || c.method.hook != nil && c.method.hook(s) {
		return Plan{Class: ClassBlocking, Timeout: s.timeout(0)}
	}
	return Plan{Class: ClassInline}
}

func (s *Server) planTool(t *serverTool, hooked bool) Plan {
	switch {
	case t == nil && hooked:
		return Plan{Class: ClassBlocking, Timeout: s.timeout(0)}
	case t == nil:
		return Plan{Class: ClassInline}
	case t.tool.Class != ClassInline:
		return Plan{Class: t.tool.Class, Timeout: s.timeout(t.tool.Timeout)}
	case hooked:
		return Plan{Class: ClassBlocking, Timeout: s.timeout(t.tool.Timeout)}
	}
	return Plan{Class: ClassInline}
}

// timeout resolves the time limit of a tool: negative means none, zero means
// the server's default.
func (s *Server) timeout(own time.Duration) time.Duration {
	if own == 0 {
		own = s.opts.ToolTimeout
	}
	return max(own, 0)
}

// resolve fills in what is private in c.
func (s *Server) resolve(c *Call) {
	if c.planned {
		return
	}
	c.planned = true
	c.rev = c.revision()
	if !c.Meta.parsed {
		meta, err := ParseMeta(c.Params)
		if err != nil {
			c.fail(statusBadRequest, err.Code, err.Message)
			return
		}
		c.Meta = meta
	}
	m := s.method(c.Method)
	if m == nil || !m.serves(c.Modern) || m.offered != nil && !m.offered(s) && !c.hasOwn(m) {
		c.fail(statusNotFound, jsonrpc.CodeMethodNotFound, "Method not found")
		return
	}
	c.method = m
	switch {
	case !c.Modern && !m.early && !c.Session.negotiated():
		c.fail(statusBadRequest, jsonrpc.CodeInvalidRequest, "initialize must be the first request of a session")
	case m.tool:
		s.resolveTool(c)
	}
}

// hasOwn reports whether c is about tools and its session has some of its own.
func (c *Call) hasOwn(m *method) bool {
	return c.Session != nil && len(c.Session.ownTools()) > 0 && (m.tool || c.Method == methodListTools)
}

func (c *Call) fail(status, code int, message string) {
	if !c.Modern {
		// Before 2026-07-28 every answer that is a JSON-RPC message is a 200.
		status = statusOK
	}
	c.status, c.failure = status, &jsonrpc.Error{Code: code, Message: message}
}

// revision returns the revision in whose form c is answered.
func (c *Call) revision() revision {
	if c.Modern {
		return newest
	}
	if v := c.Session.Version(); v != "" {
		c.Version = v
	}
	if r, ok := revisionOf(c.Version); ok && !r.modern() {
		return r
	}
	return newestLegacy
}

// Serve runs the request c to its end and appends exactly one whole response
// message, a single line, to dst. The status is what an HTTP answer carries:
// 200 for results and for errors of handlers, and in the stateless era 404 for
// an unknown method and 400 for a malformed request.
//
// Serve never panics: a handler that does becomes an isError result
// (tools/call) or error -32603, and a log line.
func (s *Server) Serve(ctx context.Context, c *Call, dst []byte) (out []byte, status int) {
	s.resolve(c)
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(ctx, c, r)
			if c.active != nil {
				c.active.end()
			}
			out, status = s.appendFailure(dst, c, "failed because of an internal error"), statusOK
		}
	}()
	if c.failure == nil && c.method.notification {
		c.fail(statusNotFound, jsonrpc.CodeMethodNotFound, "Method not found")
	}
	if c.failure != nil {
		return jsonrpc.AppendError(dst, c.ID, c.failure), c.status
	}
	chain := s.receiving.Load()
	if chain == nil && c.method.fast != nil && c.sameForAll(s) {
		out, err := c.method.fast(s, c, jsonrpc.AppendResultHead(dst, c.ID))
		if err != nil {
			return jsonrpc.AppendError(dst, c.ID, err), statusOK
		}
		return append(out, '}'), statusOK
	}
	req, err := c.method.decode(s, c)
	if err != nil {
		return jsonrpc.AppendError(dst, c.ID, err), c.malformed()
	}
	handle := c.method.handle
	if chain != nil {
		handle = *chain
	}
	res, failed := handle(ctx, c.Method, req)
	c.active.end()
	if c.listening != nil { // that is for Listen; here nobody would close it
		c.listening.Close()
	}
	return s.respond(ctx, c, dst, res, failed), failureStatus(c.rev, failed)
}

// sameForAll reports whether the answer to c does not depend on who asks.
func (c *Call) sameForAll(s *Server) bool {
	if c.method.hook != nil && c.method.hook(s) {
		return false
	}
	return c.Session == nil || c.Method != methodListTools || len(c.Session.ownTools()) == 0
}

// failureStatus is the HTTP status of what a handler returned: 200, but for the
// errors for which the specification names another.
func failureStatus(rev revision, failed error) int {
	if failed == nil || !rev.modern() {
		return statusOK
	}
	e, ok := errors.AsType[*jsonrpc.Error](failed)
	if ok && e != nil && (e.Code == CodeMissingClientCapability || e.Code == CodeHeaderMismatch) {
		return statusBadRequest
	}
	return statusOK
}

// malformed is the status for params that are not what the schema asks for.
func (c *Call) malformed() int {
	if c.Modern {
		return statusBadRequest
	}
	return statusOK
}

// respond appends the response for what a handler returned.
func (s *Server) respond(ctx context.Context, c *Call, dst []byte, res Result, failed error) []byte {
	if failed == nil {
		out := jsonrpc.AppendResultHead(dst, c.ID)
		out, failed = s.appendResult(out, res, c.rev)
		if failed == nil {
			return append(out, '}')
		}
		s.log.LogAttrs(ctx, slog.LevelError, "mcp: the result cannot be encoded", c.attrs(failed)...)
		return s.appendFailure(dst, c, "returned a result that cannot be encoded as JSON")
	}
	return jsonrpc.AppendError(dst, c.ID, errorFor(failed, c.rev))
}

// AppendTimeout appends what c is answered with when it is not done after the
// given time. After Plan, it may run beside Serve.
func (s *Server) AppendTimeout(dst []byte, c *Call, after time.Duration) []byte {
	s.resolve(c)
	return s.appendFailure(dst, c, "did not finish within "+after.String())
}

// appendFailure appends the response to a call that has no result of its own:
// for tools/call one that the model can read.
func (s *Server) appendFailure(dst []byte, c *Call, what string) []byte {
	if c.method != nil && c.method.tool {
		res := &CallToolResult{
			Content: []Content{&TextContent{Text: "tool " + strconv.Quote(c.toolName()) + " " + what}},
			IsError: true,
		}
		out := jsonrpc.AppendResultHead(dst, c.ID)
		if out, err := s.appendResult(out, res, c.rev); err == nil {
			return append(out, '}')
		}
	}
	return jsonrpc.AppendError(dst, c.ID, &jsonrpc.Error{
		Code:    jsonrpc.CodeInternal,
		Message: c.Method + " " + what,
	})
}

// logPanic says where a handler panicked. The value of the panic is left out
// unless the runtime made it: it may hold arguments of the call.
func (s *Server) logPanic(ctx context.Context, c *Call, r any) {
	attrs := append(c.attrs(nil), slog.String("panic", panicText(r)), slog.String("stack", string(debug.Stack())))
	s.log.LogAttrs(ctx, slog.LevelError, "mcp: a handler panicked", attrs...)
}

// panicText is what may be logged of a panic.
func panicText(r any) string {
	if err, ok := r.(runtime.Error); ok {
		return err.Error()
	}
	return "a value that may hold arguments"
}

// Notified handles c, a client's notification other than
// notifications/cancelled, which is the host's. Unknown ones are ignored. It
// never panics. A notification has no stream of its own: what its handler has to
// say or ask goes to the Peer of the session.
func (s *Server) Notified(ctx context.Context, c *Call) {
	c.Notifier, c.Host = nil, nil
	s.resolve(c)
	if c.failure != nil || !c.method.notification {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(ctx, c, r)
		}
	}()
	req, err := c.method.decode(s, c)
	if err != nil {
		return
	}
	handle := c.method.handle
	if chain := s.receiving.Load(); chain != nil {
		handle = *chain
	}
	if _, err := handle(ctx, c.Method, req); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "mcp: a notification failed", c.attrs(err)...)
	}
}

// HeaderParams returns which arguments of a tool are mirrored in HTTP headers,
// nil when there are none or no such tool. The slice must not be changed. hidden
// tells that the tool may not exist for the caller: then an error about its
// headers would give it away, and belongs into Call.Mismatch.
func (s *Server) HeaderParams(tool []byte) (params []schema.HeaderParam, hidden bool) {
	if t := s.snapshot().tools.byKey[string(tool)]; t != nil {
		return t.headers, s.filtered(toolKind)
	}
	return nil, false
}

// SetKeys makes cursors and the state of conversations those of k, so that they
// hold across processes with the same keys. Until then they are sealed with a
// key of this process.
func (s *Server) SetKeys(k *seal.Keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors, s.states = k.Box(cursorPurpose), k.Box(statePurpose)
	s.current.Store(nil) // cached pages hold cursors
}
