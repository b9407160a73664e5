package server

import (
	"errors"
	"sync"
	"time"

	"millrace/pool"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// legacySession is what the gate keeps for a session of the older eras. It is
// the session's attachment and the mcp.Peer of its notifications. Any
// goroutine.
type legacySession struct {
	reg  *session.Session // nil until initialize has succeeded
	mcp  *mcp.ServerSession
	link *transport.Link // of a WebSocket or stdio; nil on HTTP

	owner pool.Owner // on HTTP, where calls outlive their connection

	mu      sync.Mutex
	over    bool
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

// enter makes c a call of the session, which does not expire while it runs. The
// bound of a connection holds for a session too: its calls go on when their
// connections are gone.
func (s *legacySession) enter(c *call, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errSessionOver
	}
	if len(s.calls) >= limit {
		return errSessionBusy
	}
	s.reg.Hold()
	s.calls = append(s.calls, c)
	return nil
}

var (
	errSessionOver = errors.New("session has ended: send initialize to start a new one")
	errSessionBusy = errors.New("too many requests in flight in this session")
)

// lookup finds a call in flight by its id, as raw JSON.
func (s *legacySession) lookup(id []byte) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return findCall(s.calls, id)
}

// exit undoes enter. It may be called twice.
func (s *legacySession) exit(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dropCall(&s.calls, c) {
		s.reg.Release(time.Now())
	}
}

// openStream is a legacy GET: a stream for what the server has to say on its
// own account.
type openStream struct {
	stream  transport.Stream
	session *legacySession
	closed  bool // under the session's mu
}

// named finds the session that a legacy GET or DELETE is about; nil when the
// request has been refused.
func (in *inbound) named() *legacySession {
	if in.headerIsModern() {
		in.notAllowed()
		return nil
	}
	sess, fail := in.find(in.req.Header)
	if fail != nil {
		in.fail(fail.status, nil, fail.err)
		return nil
	}
	return sess
}

// openStream handles a legacy GET.
func (in *inbound) openStream() {
	sess := in.named()
	if sess == nil {
		return
	}
	if !in.detached {
		in.req, in.stream = in.req.Detach(false)
		in.detached = true
	}
	// Open first: what ends the stream from here on finds one to end.
	in.stream.Open(sess.reg.ID())
	o := &openStream{stream: in.stream, session: sess}
	in.conn.mu.Lock()
	in.conn.get = o
	ending := in.conn.draining || in.conn.closed
	in.conn.mu.Unlock()
	if ending || !sess.open(o) {
		o.stream.End()
	}
}

// maxStreams bounds the GET streams of one session; the oldest ends when a new
// one comes, because clients reconnect without closing the old one first.
const maxStreams = 8

// open adds a stream; it is false when the session, or the stream's connection,
// has ended meanwhile.
func (s *legacySession) open(o *openStream) bool {
	s.mu.Lock()
	if s.over || o.closed {
		s.mu.Unlock()
		return false
	}
	s.reg.Hold()
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
	return true
}

// close takes the stream out of its session. It may be called twice.
func (o *openStream) close() {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	o.closed = true
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
	sess := in.named()
	if sess == nil {
		return
	}
	in.gate.endSession(sess, session.Deleted)
	in.stream.Respond(transport.Response{Status: 204})
	in.done()
}

// notAllowed answers GET and DELETE of the stateless era, which has neither, and
// of revisions that nobody knows: "If the server receives a request with an
// invalid or unsupported MCP-Protocol-Version, it MUST respond with 400 Bad
// Request" (25:basic/transports).
func (in *inbound) notAllowed() {
	if e := in.gate.mcp.CheckVersion(in.req.Header.ProtocolVersion); e != nil {
		in.fail(400, nil, e)
		return
	}
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
	s.over = true
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
