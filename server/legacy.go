package server

import (
	"bytes"
	"errors"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/pool"
	"millrace/pool/buffer"
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
	sess, fail := in.session(c.mcp.Method)
	if fail != nil {
		in.fail(fail.status, c.mcp.ID, fail.err)
		return
	}
	if sess == nil {
		c.fresh = &legacySession{}
		c.fresh.mcp = in.gate.mcp.NewSession("", c.fresh)
		c.mcp.Session = c.fresh.mcp
	} else {
		c.session, c.mcp.Session = sess, sess.mcp
		c.mcp.Version = sess.mcp.Version()
	}
	in.start(c)
}

// session finds the session of a legacy request. It is nil, without a refusal,
// where the request may open one.
func (in *inbound) session(method string) (*legacySession, *refusal) {
	if in.conn.shared() {
		return in.boundSession(), nil // without one, the protocol says that initialize must come first
	}
	h := in.req.Header
	if method == "initialize" && h.SessionID == nil {
		return nil, nil
	}
	return in.find(h)
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
	s := &legacySession{reg: reg}
	s.mcp = in.gate.mcp.RestoreSession(reg.ID(), reg.Version(), []byte(reg.Capabilities().JSON()), s)
	if s.mcp == nil {
		return nil, &refusal{404, invalidRequest("session uses a revision that is not served any more")}
	}
	if first := reg.AttachOnce(s).(*legacySession); first != s {
		return first, nil
	}
	in.gate.mcp.Attach(s.mcp)
	return s, nil
}

// initialized answers initialize. Only now, when it has succeeded, a session
// comes into being: a request that is refused leaves nothing behind.
func (in *inbound) initialized(c *call, body *buffer.Buffer, status int) {
	s := c.fresh
	if s.mcp.InitializeParams() == nil {
		in.stream.Respond(transport.Response{Status: status, Body: body})
		return
	}
	reg, err := in.gate.sessions.Create(time.Now(), session.Params{
		Type: sessionType(in.conn.link.Protocol), Principal: in.who.ID, Version: s.mcp.Version(),
		Capabilities: jsonrpc.Member(c.mcp.Params, "capabilities"), Client: in.clientInfo(),
	})
	if err != nil {
		in.gate.hooks.sessionError(err)
		in.refuseSession(c, body, err)
		return
	}
	s.reg = reg
	s.mcp.SetID(reg.ID())
	reg.SetAttachment(s)
	in.gate.mcp.Attach(s.mcp)
	r := transport.Response{Status: status, Body: body}
	if in.conn.shared() {
		if !in.conn.bind(s) {
			in.gate.endSession(s, session.Disconnected)
		}
	} else {
		r.SessionID = reg.ID()
	}
	in.stream.Respond(r)
}

// bind makes s the session of a WebSocket or stdio connection. Such a session
// lives as long as the connection, so it is held: it does not expire by itself.
func (cn *connection) bind(s *legacySession) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.closed || cn.session != nil {
		return false
	}
	s.link = cn.link
	s.reg.Hold()
	cn.session = s
	return true
}

func (in *inbound) refuseSession(c *call, body *buffer.Buffer, err error) {
	status := 503
	if errors.Is(err, session.ErrParams) {
		status = 400
	}
	body.B = jsonrpc.AppendError(body.B[:0], c.mcp.ID, overloadError(false, err))
	in.stream.Respond(transport.Response{Status: status, Body: body, RetryAfter: 5})
}

// clientInfo is what the session will remember of the connection.
func (in *inbound) clientInfo() session.ClientInfo {
	h := in.req.Header
	if h == nil {
		in.conn.mu.Lock()
		h = in.conn.header
		in.conn.mu.Unlock()
	}
	info := session.ClientInfo{Address: in.conn.link.Remote}
	if h != nil {
		info.UserAgent, info.Origin, info.AcceptLanguage = string(h.UserAgent), string(h.Origin), string(h.AcceptLanguage)
	}
	return info
}

// keepHeader copies what clientInfo will want of an upgrade request.
func keepHeader(h *transport.Header) *transport.Header {
	return &transport.Header{
		UserAgent: bytes.Clone(h.UserAgent), Origin: bytes.Clone(h.Origin), AcceptLanguage: bytes.Clone(h.AcceptLanguage),
	}
}

func sessionType(p transport.Protocol) session.Type {
	switch p {
	case transport.WebSocket:
		return session.WebSocket
	case transport.Stdio:
		return session.Stdio
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
		sess = in.boundSession()
	case !in.headerIsModern():
		var fail *refusal
		if sess, fail = in.find(in.req.Header); fail != nil {
			in.fail(fail.status, nil, fail.err)
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
		in.conn.mu.Lock()
		c = in.conn.lookup(id)
		in.conn.mu.Unlock()
	} else if sess != nil {
		sess.mu.Lock()
		for _, other := range sess.calls {
			if bytes.Equal(other.mcp.ID, id) {
				c = other
			}
		}
		sess.mu.Unlock()
	}
	if c != nil {
		c.cancel(errClientCancelled)
	}
}

var errClientCancelled = errors.New("cancelled by the client")

// notified hands a notification to the protocol, on a worker where user code
// listens for it.
func (in *inbound) notified(sess *legacySession, msg *jsonrpc.Message) {
	meta, err := mcp.ParseMeta(msg.Params)
	if err != nil {
		in.fail(400, nil, err)
		return
	}
	c := newCall(in, msg, meta)
	c.mcp.Modern = in.isModern(msg, &meta)
	if sess != nil {
		c.mcp.Session, c.mcp.Version = sess.mcp, sess.mcp.Version()
	} else if !c.mcp.Modern {
		in.accepted() // before initialize there is nobody to notify
		return
	}
	plan := in.gate.mcp.Plan(&c.mcp)
	if plan.Class == mcp.ClassInline {
		in.gate.mcp.Notified(c, &c.mcp)
		in.accepted()
		return
	}
	in.leave(c)
	in.stream.Respond(transport.Response{Status: 202})
	if err := in.gate.pool.Submit(pool.Blocking, &in.conn.owner, notifyTask{c}); err != nil {
		in.gate.log.Warn("notification dropped", "method", c.mcp.Method, "err", err)
		in.req.Release()
	}
}

// notifyTask runs a notification on a worker.
type notifyTask struct{ *call }

// Run implements pool.Task.
func (t notifyTask) Run() {
	defer t.req.Release()
	t.gate.mcp.Notified(t.call, &t.mcp)
}

// openStream is a legacy GET: a stream for what the server has to say on its
// own account.
type openStream struct {
	stream  transport.Stream
	session *legacySession
}

func (in *inbound) openStream() {
	if in.headerIsModern() {
		in.notAllowed()
		return
	}
	sess, fail := in.find(in.req.Header)
	if fail != nil {
		in.fail(fail.status, nil, fail.err)
		return
	}
	if !in.detached {
		in.req, in.stream = in.req.Detach(false)
		in.detached = true
	}
	o := &openStream{stream: in.stream, session: sess}
	in.conn.mu.Lock()
	in.conn.get = o
	ending := in.conn.draining || in.conn.closed
	in.conn.mu.Unlock()
	sess.open(o)
	o.stream.Open(sess.reg.ID())
	if ending {
		o.stream.End()
		o.close()
	}
}

// maxStreams bounds the GET streams of one session; the oldest ends when a new
// one comes, because clients reconnect without closing the old one first.
const maxStreams = 8

func (s *legacySession) open(o *openStream) {
	s.reg.Hold()
	s.mu.Lock()
	s.streams = append(s.streams, o)
	var oldest *openStream
	if len(s.streams) > maxStreams {
		oldest = s.streams[0]
	}
	s.mu.Unlock()
	if oldest != nil {
		oldest.stream.End()
		oldest.close()
	}
}

// close takes the stream out of its session. It may be called twice.
func (o *openStream) close() {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.streams {
		if other == o {
			s.streams = append(s.streams[:i], s.streams[i+1:]...)
			s.reg.Release(time.Now())
			return
		}
	}
}

// endSession handles a legacy DELETE.
func (in *inbound) endSession() {
	if in.headerIsModern() {
		in.notAllowed()
		return
	}
	sess, fail := in.find(in.req.Header)
	if fail != nil {
		in.fail(fail.status, nil, fail.err)
		return
	}
	in.gate.endSession(sess, session.Deleted)
	in.stream.Respond(transport.Response{Status: 204})
	in.done()
}

// notAllowed answers GET and DELETE of the stateless era, which has neither.
func (in *inbound) notAllowed() {
	in.failWith(transport.Response{Status: 405, Allow: "POST, OPTIONS"}, nil,
		invalidRequest("this protocol revision has neither sessions nor a GET stream: use POST"))
}

// endSession ends a session; the registry then calls sessionEnded.
func (g *gate) endSession(s *legacySession, why session.Reason) {
	s.reg.End(time.Now(), why)
}

// sessionEnded cleans up after a session, whatever ended it.
func (g *gate) sessionEnded(reg *session.Session) {
	s, ok := reg.Attachment().(*legacySession)
	if !ok {
		return
	}
	g.mcp.Detach(s.mcp)
	s.mu.Lock()
	calls, streams := s.calls, s.streams
	s.calls, s.streams = nil, nil
	s.mu.Unlock()
	for _, c := range calls {
		c.cancel(errSessionEnded)
	}
	for _, o := range streams {
		o.stream.End()
	}
}

var errSessionEnded = errors.New("session ended")
