package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
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
	asked questions  // what the server has asked the client

	mu       sync.Mutex
	over     bool
	calls    []*call        // in flight, HTTP only: a cancellation comes on another connection
	standby  []*eventStream // opened with GET, oldest first
	replay   session.Replay
	numbered map[uint64]*eventStream // those in replay that have not ended
}

// Notify implements mcp.Peer. On HTTP it goes out on the newest GET stream, or
// waits for the client to come back to it, and nowhere when there was none.
func (s *legacySession) Notify(msg []byte) { s.send(msg, false) }

// Send is Notify for what must not be lost.
func (s *legacySession) Send(msg []byte) bool { return s.send(msg, true) }

func (s *legacySession) send(msg []byte, keep bool) bool {
	if s.link != nil {
		return s.link.Send(msg, !keep)
	}
	e := s.newestStandby()
	return e != nil && e.send(msg, keep)
}

// newestStandby is the stream for what belongs to no call: "The server MUST send
// each of its JSON-RPC messages on only one of the connected streams"
// (25:basic/transports).
func (s *legacySession) newestStandby() *eventStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Backward(s.standby) {
		if e.attached() {
			return e
		}
	}
	if n := len(s.standby); n > 0 {
		return s.standby[n-1]
	}
	return nil
}

// Request implements mcp.Peer: it asks the client outside of any call.
func (s *legacySession) Request(ctx context.Context, method string, params []byte) (json.RawMessage, error) {
	return s.asked.ask(ctx, s, method, params)
}

// pose implements asker.
func (s *legacySession) pose(_ *question, msg []byte) bool { return s.Send(msg) }

// tell implements asker.
func (s *legacySession) tell(msg []byte) bool { return s.Send(msg) }

// enter makes c a call of the session, which does not expire while it runs. The
// bound of a connection holds for a session too: its calls go on when their
// connections are gone.
func (s *legacySession) enter(c *call, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errSessionOver
	}
	if live, _ := census(s.calls); live >= limit {
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
	if id := in.req.Header.LastEventID; len(id) > 0 && in.replayed(sess, string(id)) {
		return
	}
	in.detach()
	// Open first: what ends the stream from here on finds one to end.
	in.stream.Open(sess.reg.ID())
	e := newEventStream(sess, nil, true)
	if !in.conn.opens(e, in.stream) || !sess.open(e) {
		in.stream.End()
		return
	}
	e.start(in.stream)
	in.attached(e)
}

// attached has e end with the authorization of who reads it, and lets go of a
// connection that was closed before e was attached to it: Closed has found nothing
// to let go.
func (in *inbound) attached(e *eventStream) {
	out := in.stream // alone: the request lives on the stack
	in.conn.lease(in.gate, in.who, func() {
		out.End()
		e.away(out)
	})
	if in.conn.isClosed() {
		e.away(out)
	}
}

// detach makes the request one for any goroutine.
func (in *inbound) detach() {
	if !in.detached {
		in.req, in.stream = in.req.Detach(false)
		in.detached = true
	}
}

// maxStreams bounds the GET streams of one session. When a new one comes the
// oldest that nobody reads goes, else the oldest of all, because clients
// reconnect without closing the old one first.
const maxStreams = 8

// open adds a GET stream; it is false when the session has ended.
func (s *legacySession) open(e *eventStream) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.standby = append(s.standby, e)
	var oldest *eventStream
	if len(s.standby) > maxStreams {
		i := max(0, slices.IndexFunc(s.standby, func(e *eventStream) bool { return !e.attached() }))
		if s.standby[i] == e { // it is attached in a moment
			i = 0
		}
		oldest = s.standby[i]
		s.standby = slices.Delete(s.standby, i, i+1)
	}
	s.mu.Unlock()
	if oldest != nil {
		oldest.end()
	}
	return true
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
	calls, streams := s.calls, s.standby
	for _, e := range s.numbered {
		if !e.standby {
			streams = append(streams, e)
		}
	}
	s.calls, s.standby, s.numbered = nil, nil, nil
	s.replay.Release()
	s.mu.Unlock()
	s.asked.close()
	for _, c := range calls {
		c.cancel(errSessionEnded)
	}
	for _, e := range streams {
		e.end()
	}
	if why, _ := reg.Ended(); s.link != nil && why == session.Revoked {
		s.link.Close(1008, "the session has been ended") // a connection is worth nothing without its session
	}
}

var errSessionEnded = errors.New("session ended")
