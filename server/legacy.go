package server

import (
	"context"
	"errors"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/pool"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// refusal is an answer to a request that has no usable session.
type refusal struct {
	status int
	err    *jsonrpc.Error
}

// legacy serves a request of a revision with sessions.
func (in *inbound) legacy(c *call) {
	sess, fail := in.session(c)
	switch {
	case fail != nil:
		c.reject(in, transport.Response{Status: fail.status}, fail.err)
		return
	case sess != nil:
		c.session, c.mcp.Session = sess, sess.mcp
		c.mcp.Version = sess.mcp.Version()
	case c.mcp.Method == "initialize":
		c.fresh = in.newSession()
		c.mcp.Session = c.fresh.mcp
	}
	in.start(c)
}

// session finds the session of a legacy request. It is nil, without a refusal,
// where the request may open one, and on a shared connection that has none yet:
// there the protocol says that initialize must come first.
func (in *inbound) session(c *call) (*legacySession, *refusal) {
	if in.conn.shared() {
		s := in.boundSession()
		if s != nil {
			s.reg.Touch(c.started)
		}
		return s, nil
	}
	h := in.req.Header
	if c.mcp.Method == "initialize" && h.SessionID == nil {
		return nil, nil
	}
	return in.find(h)
}

// newSession is what initialize may make a session of.
func (in *inbound) newSession() *legacySession {
	s := &legacySession{replay: session.Replay{Budget: &in.gate.logs}}
	if in.conn.shared() {
		s.link = in.conn.link
	}
	s.mcp = in.gate.mcp.NewSession("", s)
	return s
}

// find looks up the session that an HTTP request names. A session of another
// principal is as unknown as one that never was.
func (in *inbound) find(h *transport.Header) (*legacySession, *refusal) {
	if h == nil || len(h.SessionID) == 0 {
		return nil, &refusal{400, invalidRequest("Mcp-Session-Id header is required: send initialize first, and the id it returned with every request")}
	}
	reg, err := in.gate.sessions.Get(time.Now(), string(h.SessionID), in.who.ID)
	if err != nil {
		return nil, &refusal{404, invalidRequest(err.Error() + ": send initialize to start a new one")}
	}
	if s, ok := reg.Attachment().(*legacySession); ok {
		return s, nil
	}
	return in.revive(reg)
}

// revive gives a session that was sealed before a restart its state back.
func (in *inbound) revive(reg *session.Session) (*legacySession, *refusal) {
	s := &legacySession{reg: reg, replay: session.Replay{Budget: &in.gate.logs}}
	s.mcp = in.gate.mcp.RestoreSession(reg.ID(), reg.Version(), []byte(reg.Capabilities().JSON()), s)
	s.asked.last = uint64(time.Now().UnixMicro()) // what another process has asked counts from 1
	if s.mcp == nil {
		return nil, &refusal{404, invalidRequest("session uses a revision that is not served any more")}
	}
	if first := reg.AttachOnce(s).(*legacySession); first != s {
		return first, nil
	}
	in.gate.attach(s)
	return s, nil
}

// attach lets a session hear of changes. One that another goroutine has ended
// meanwhile, on DELETE or at the end of the server, must not stay.
func (g *gate) attach(s *legacySession) {
	g.mcp.Attach(s.mcp)
	if _, over := s.reg.Ended(); over {
		g.mcp.Detach(s.mcp)
	}
}

// initialized completes the answer to initialize. Only now, when it has
// succeeded, a session comes into being: a request that is refused leaves
// nothing behind.
func (c *call) initialized(r *transport.Response) {
	s := c.fresh
	if s.mcp.InitializeParams() == nil {
		return
	}
	reg, err := c.gate.sessions.Create(time.Now(), session.Params{
		Type: sessionType(c.conn.link.Protocol), Principal: c.mcp.Principal.ID, Version: s.mcp.Version(),
		Capabilities: jsonrpc.Member(c.mcp.Params, "capabilities"), Client: c.clientInfo(),
	})
	if err != nil {
		c.gate.hooks.sessionError(err)
		c.refuseSession(r, err)
		return
	}
	s.reg = reg
	s.mcp.SetID(reg.ID())
	reg.SetAttachment(s)
	c.gate.attach(s)
	switch {
	case !c.conn.shared():
		r.SessionID = reg.ID()
	case !c.conn.bind(s):
		c.gate.endSession(s, session.Disconnected)
		c.replace(r, 400, invalidRequest("the session is already initialized"))
	}
}

// refuseSession says why there is no session.
func (c *call) refuseSession(r *transport.Response, err error) {
	if errors.Is(err, session.ErrParams) {
		c.replace(r, 400, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()})
		return
	}
	c.gate.counters.overloaded.Inc()
	c.replace(r, 503, overloadError(false, err))
	r.RetryAfter = sessionRetry
}

// sessionRetry is the Retry-After, in seconds, of an initialize that finds all
// sessions taken: they come free more slowly than workers.
const sessionRetry = 5

// replace makes r an error.
func (c *call) replace(r *transport.Response, status int, e *jsonrpc.Error) {
	r.Status = status
	r.Body.B = jsonrpc.AppendError(r.Body.B[:0], c.mcp.ID, e)
}

// clientInfo is what the session will remember of the connection.
func (c *call) clientInfo() session.ClientInfo {
	if h := c.req.Header; h != nil {
		return *clientOf(c.conn.link, h)
	}
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if c.conn.client != nil {
		return *c.conn.client
	}
	return session.ClientInfo{Address: c.conn.link.Remote}
}

// clientOf copies what a session remembers of the request that opened it.
func clientOf(l *transport.Link, h *transport.Header) *session.ClientInfo {
	return &session.ClientInfo{
		Address: l.Remote, UserAgent: string(h.UserAgent), Origin: string(h.Origin), AcceptLanguage: string(h.AcceptLanguage),
	}
}

func sessionType(p transport.Protocol) session.Type {
	switch p {
	case transport.WebSocket:
		return session.WebSocket
	case transport.Stdio:
		return session.Stdio
	case transport.SSE:
		return session.SSE
	}
	return session.HTTP
}

// notification handles a message that wants no answer. On HTTP it is accepted
// with 202 once its session is known.
func (in *inbound) notification(msg *jsonrpc.Message) {
	in.gate.counters.notifications.Inc()
	var sess *legacySession
	switch {
	case in.conn.shared():
		if sess = in.boundSession(); sess != nil {
			sess.reg.Touch(time.Now())
		}
	case !in.headerIsModern():
		var fail *refusal
		if sess, fail = in.find(in.req.Header); fail != nil {
			in.fail(fail.status, nil, fail.err)
			return
		}
	default:
		// "If the server receives a request with an invalid or unsupported
		// MCP-Protocol-Version, it MUST respond with 400 Bad Request".
		if e := in.gate.mcp.CheckVersion(in.req.Header.ProtocolVersion); e != nil {
			in.fail(400, nil, e)
			return
		}
	}
	if string(msg.Method) == "notifications/cancelled" {
		in.cancelled(sess, jsonrpc.Member(msg.Params, "requestId"))
		in.accepted()
		return
	}
	in.notified(sess, msg)
}

// cancelled ends a call by the client's wish. It runs where it arrives, never
// behind a queue: a full pool must not delay the word that frees it. An unknown
// id is ignored, as the specification asks.
func (in *inbound) cancelled(sess *legacySession, id []byte) {
	var c *call
	if in.conn.shared() {
		c = in.conn.lookup(id)
	} else if sess != nil {
		c = sess.lookup(id)
	}
	if c != nil {
		c.cancel(errClientCancelled)
	}
}

var errClientCancelled = errors.New("cancelled by the client")

// dropped is the end of a notification that says nothing. "The receiver MUST NOT
// send a response": only HTTP has a status that can tell.
func (in *inbound) dropped(err *jsonrpc.Error) {
	if !in.conn.shared() {
		in.fail(400, nil, err)
		return
	}
	in.gate.counters.errors.Inc()
	in.gate.log.Debug("notification dropped", "conn", in.conn.link.ID, "err", err)
	in.done()
}

// notified hands a notification to the protocol, on a worker where user code
// listens for it.
func (in *inbound) notified(sess *legacySession, msg *jsonrpc.Message) {
	meta, err := mcp.ParseMeta(msg.Params)
	if err != nil {
		in.dropped(err)
		return
	}
	c := newCall(in, msg, &meta)
	c.modern = in.isModern(msg, &meta)
	c.mcp.Modern = c.modern
	if sess != nil {
		c.mcp.Session, c.mcp.Version = sess.mcp, sess.mcp.Version()
	} else if !c.mcp.Modern {
		in.accepted() // before initialize there is nobody to notify
		return
	}
	plan := in.gate.mcp.Plan(c.mcp)
	if plan.Class == mcp.ClassInline {
		in.gate.mcp.Notified(c, c.mcp)
		in.accepted()
		return
	}
	c.timeout = plan.Timeout
	in.leave(c)
	in.stream.Respond(transport.Response{Status: 202})
	if err := in.gate.pool.Submit(pool.Blocking, in.ownerFor(sess), notifyTask{c}); err != nil {
		in.gate.log.Warn("notification dropped", "method", c.mcp.Method, "err", err)
		in.req.Release()
	}
}

// notifyTask runs a notification on a worker.
type notifyTask struct{ call *call }

// Run implements pool.Task. The handler may ask the client, which may never
// answer: it has the time of a call, by a clock of its own, because nobody watches
// that of a notification.
func (t notifyTask) Run() {
	c := t.call
	defer c.req.Release()
	ctx, cancel := context.Background(), func() {}
	if c.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
	}
	defer cancel()
	c.gate.mcp.Notified(ctx, c.mcp)
}
