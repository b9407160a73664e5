package transport

import (
	"bytes"
	"sync"
	"sync/atomic"

	"millrace/codec/http1"
	"millrace/codec/sse"
	"millrace/loop"
	"millrace/pool/buffer"
)

// The HTTP+SSE transport of 2024-11-05: "The server MUST provide two endpoints:
// 1. An SSE endpoint, for clients to establish a connection and receive messages
// from the server 2. A regular HTTP POST endpoint for clients to send messages to
// the server" (24:basic/transports).
const (
	ssePath  = "/sse"
	postPath = "/messages"
)

// sseSession is one client of HTTP+SSE: its GET, which is the connection of the
// Link, and an id by which POSTs find it. Any goroutine.
type sseSession struct {
	host *Handler
	id   string
	link *Link
	get  *httpStream

	mu    sync.Mutex
	known bool // is in the host's table
	gone  bool // its connection has ended
}

// isLegacyPath reports whether path belongs to HTTP+SSE, and that is served.
func (h *Handler) isLegacyPath(path string) bool {
	return h.cfg.LegacySSE && (path == ssePath || path == postPath)
}

// legacy handles a request to a path of HTTP+SSE.
func (h *Handler) legacy(p *peer, s *httpStream, r *http1.Request) {
	get := string(r.Path()) == ssePath
	s.allow = "POST, OPTIONS"
	if get {
		s.allow = "GET, OPTIONS"
	}
	switch method := r.Method(); {
	case method == http1.MethodOptions:
		s.preflight(r)
	case get && method == http1.MethodGet:
		h.openSSE(p, s, r)
	case !get && method == http1.MethodPost:
		h.postSSE(p, s, r)
	default:
		s.refuse(405, "method not allowed: use GET /sse, and POST to the URI that its first event names")
	}
}

// openSSE asks the Dispatcher whether a client may open an event stream. As for a
// WebSocket the Link is a new one from here on, so a refusal ends the connection.
func (h *Handler) openSSE(p *peer, s *httpStream, r *http1.Request) {
	switch {
	case !s.accept.events:
		s.refuse(406, "Accept must include text/event-stream")
		return
	case p.conn.Draining():
		s.refuse(503, "server is shutting down")
		return
	}
	e := &sseSession{host: h, id: h.newID(), get: s}
	e.link = &Link{Protocol: SSE, Remote: p.client(r), Send: e.send, Close: func(uint16, string) { e.end(p) }}
	s.session, p.sse = e, e
	p.fillHeader(r)
	p.relink(e.link)
	p.handUp(Upgrade, nil, s, s)
}

// openSession begins the event stream of an accepted session: "When a client
// connects, the server MUST send an endpoint event containing a URI for the
// client to use for sending messages" (24:basic/transports). Under mu.
func (s *httpStream) openSession() {
	s.keep = false      // the end of the stream is the end of the Link, and so of the connection
	s.session.publish() // before the client learns the id: its first POST may come at once
	b := buffer.Get()
	b.B = s.appendStreamHead(b.B, "")
	b.B = s.appendEvent(b.B, sse.Event{Name: "endpoint", Data: []byte(postPath + "?sessionId=" + s.session.id)})
	s.send(b, 0)
	s.state, s.local = streamOpen, false // other goroutines send from here on
	s.conn.Post(func(c *loop.Conn) {
		s.peer.http, s.peer.open = nil, s // as detach does; an answer on the loop comes without
		c.SetAlarm(c.Now().Add(s.peer.host.cfg.CommentEvery))
	})
}

// publish lets POSTs find the session, unless its connection has ended.
func (e *sseSession) publish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.gone {
		e.known = true
		e.host.sse.Store(e.id, e)
	}
}

// close forgets the session when its connection has ended.
func (e *sseSession) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = true
	if e.known {
		e.host.sse.Delete(e.id)
	}
}

// send is Link.Send: "Server messages are sent as SSE message events"
// (24:basic/transports). It is false before the session is accepted and after
// its end.
func (e *sseSession) send(msg []byte, droppable bool) bool {
	s := e.get
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != streamOpen {
		return false
	}
	flags := loop.Flags(0)
	if droppable {
		flags = loop.Droppable
	}
	b := buffer.Get()
	b.B = s.appendEvent(b.B, sse.Event{Name: "message", Data: oneLine(msg)})
	return s.send(b, flags)
}

// end is Link.Close. The event stream ends behind what was sent before; where
// there is none yet the connection is cut.
func (e *sseSession) end(p *peer) {
	s := e.get
	s.mu.Lock()
	open := s.state == streamOpen
	s.mu.Unlock()
	if !open {
		p.abort(0, "")
		return
	}
	s.End()
}

// postSSE delivers a message to the session that the URI names.
func (h *Handler) postSSE(p *peer, s *httpStream, r *http1.Request) {
	id := sessionParam(r.Query())
	if !isJSON(r.Known(http1.HeaderContentType)) {
		s.refuse(415, "Content-Type must be application/json")
		return
	}
	if len(id) == 0 {
		s.refuse(400, "sessionId is missing: POST to the URI of the endpoint event")
		return
	}
	found, ok := h.sse.Load(string(id))
	if !ok {
		s.refuse(404, "no such session: GET /sse opens one")
		return
	}
	e := found.(*sseSession)
	if e.get.conn.Congested() {
		s.refuse(503, "too much waits on the event stream: read it") // nobody else holds its POSTs back
		return
	}
	w := &ssePost{session: e, post: s}
	p.fillHeader(r)
	p.request = Request{Kind: Message, Link: e.link, Header: p.header, Body: r.Body, origin: w}
	h.up.Dispatch(&p.request, w)
	if !w.detached {
		w.accept()
	}
	p.request, *p.header = Request{}, Header{}
}

// sessionParam finds the value of sessionId in a query; nil when there is none.
// Our ids have no characters that are escaped.
func sessionParam(query []byte) []byte {
	for len(query) > 0 {
		var item []byte
		item, query, _ = bytes.Cut(query, []byte("&"))
		if v, ok := bytes.CutPrefix(item, []byte("sessionId=")); ok {
			return v
		}
	}
	return nil
}

// ssePost is the Stream of one message that was POSTed: what is said to the
// message goes out on the event stream of the session, and the POST learns
// whether the message was accepted. That a request is answered once is kept by
// the Dispatcher, as on a WebSocket.
//
// The exchange of the POST is answered once, by whoever settles it first: the
// loop at the end of Dispatch, or, detached, a worker.
type ssePost struct {
	session  *sseSession
	post     *httpStream
	detached bool // loop only
	settled  atomic.Bool
}

// detach implements origin.
func (w *ssePost) detach(r *Request) (*Request, Stream) {
	w.detached = true
	s := w.post
	s.peer.http, s.peer.open = nil, s
	s.local = false
	s.held = true // it will be a status; no comments meanwhile
	d := s.request.own(r, s.conn.TakeBody())
	d.stream = w
	return d, w
}

// accept answers the POST, unless it has been.
func (w *ssePost) accept() {
	if w.settled.CompareAndSwap(false, true) {
		w.post.Respond(Response{Status: 202})
	}
}

// isRefusal picks the answers that a POST of HTTP+SSE is told itself: its sender
// is not known, or the message was not taken.
func isRefusal(r *Response) bool {
	switch r.Status {
	case 401, 403, 404, 429, 503:
		return true
	}
	return r.Challenge != ""
}

// Respond implements Stream: a refusal goes to the POST, if that still waits, and
// everything else to the event stream.
func (w *ssePost) Respond(r Response) {
	if isRefusal(&r) && w.settled.CompareAndSwap(false, true) {
		w.post.Respond(r)
		return
	}
	w.accept()
	if r.Body != nil {
		w.session.send(r.Body.B, false)
		buffer.Put(r.Body)
	}
}

// Send implements Stream. The event stream outlives the request and cannot be
// resumed, so ids mean nothing.
func (w *ssePost) Send(e Event) bool {
	w.accept()
	return e.Data != nil && w.session.send(e.Data, !e.Keep)
}

// Hold implements Stream: the answer is not on this exchange.
func (w *ssePost) Hold() {}

// OnSilence implements Stream.
func (w *ssePost) OnSilence(func()) {}

// Open implements Stream: the message is accepted.
func (w *ssePost) Open(string) { w.accept() }

// End implements Stream: there will be no answer.
func (w *ssePost) End() { w.accept() }
