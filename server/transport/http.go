package transport

import (
	"strconv"
	"sync"

	"millrace/codec/http1"
	"millrace/codec/jsonrpc"
	"millrace/codec/sse"
	"millrace/codec/websocket"
	"millrace/loop"
	"millrace/pool/buffer"
)

// httpStream is the Stream of one HTTP exchange. An answer that comes before
// any notification is plain JSON with a length; the first notification makes
// it an event stream instead.
//
// Until detach it belongs to the loop. Then the goroutines that notify and
// respond, and the loop's alarm, share it under mu.
type httpStream struct {
	peer     *peer
	conn     *loop.Conn
	exchange uint64
	local    bool // still on the loop
	chunked  bool // HTTP/1.1; before, the end of the connection ends the stream
	head     bool // the request is HEAD: no body is sent
	keep     bool // another request may follow
	accept   accepts
	cors     []byte      // the Origin to answer, empty for none
	key      []byte      // Sec-WebSocket-Key of an upgrade
	protocol string      // subprotocol to answer an upgrade with
	allow    string      // the methods of the path
	session  *sseSession // that an accepted Upgrade opens, if it is one of HTTP+SSE
	request  Request     // the detached request

	mu    sync.Mutex
	state streamState
	held  bool   // no event stream, see Hold
	quiet func() // see OnSilence
}

type streamState uint8

const (
	streamSilent streamState = iota // nothing sent yet
	streamOpen                      // an event stream is open
	streamDone                      // answered
)

func (s *httpStream) reset(p *peer, r *http1.Request) {
	s.peer, s.conn, s.exchange = p, p.conn, p.conn.Exchange()
	s.local, s.state, s.held, s.quiet = true, streamSilent, false, nil
	s.chunked = r.Minor() > 0
	s.head = r.Method() == http1.MethodHead
	s.keep = p.conn.KeepAlive()
	s.accept = parseAccept(r)
	s.cors, s.key, s.protocol = s.cors[:0], nil, ""
	s.allow, s.session = allowed, nil
}

// detach implements origin: the next exchange will get a stream of its own. The
// request lives in its stream; both are for one exchange.
func (s *httpStream) detach(r *Request) (*Request, Stream) {
	p := s.peer
	p.http, p.open = nil, s
	s.local = false
	if s.accept.events && r.Kind == Message {
		s.conn.SetAlarm(s.conn.Now().Add(p.host.cfg.SilentFor))
	}
	if r.Kind == Upgrade {
		s.key = append([]byte(nil), s.key...)
	}
	if r.Kind != Message {
		return s.request.own(r, nil), s
	}
	return s.request.own(r, s.conn.TakeBody()), s
}

func (s *httpStream) send(b *buffer.Buffer, flags loop.Flags) bool {
	if s.local {
		return s.conn.Write(s.exchange, b, flags)
	}
	return s.conn.Send(s.exchange, b, flags)
}

// Send implements Stream.
func (s *httpStream) Send(e Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == streamDone || !s.accept.events || s.held {
		return false
	}
	b := buffer.Get()
	flags := loop.Droppable
	if e.Keep {
		flags = 0
	}
	if s.state == streamSilent {
		b.B = s.appendStreamHead(b.B, "")
		s.state = streamOpen
		flags = 0 // the head must not be lost
	}
	b.B = s.appendEvent(b.B, e.wire())
	return s.send(b, flags)
}

// Respond implements Stream.
func (s *httpStream) Respond(r Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer buffer.Put(r.Body)
	if s.state == streamDone || s.session != nil && s.state == streamOpen {
		return
	}
	if s.session != nil && r.Status == 101 {
		s.openSession()
		return
	}
	b := buffer.Get()
	flags := loop.Last
	switch {
	case s.key != nil && r.Status == 101:
		b.B = s.appendSwitching(b.B)
		flags = loop.Switch
	case s.state == streamOpen:
		b.B, flags = s.appendLastEvent(b.B, &r)
	case r.Body != nil && r.Status == 200 && !s.accept.json:
		b.B = s.appendStreamHead(b.B, r.SessionID)
		b.B, flags = s.appendLastEvent(b.B, &r)
	case s.key != nil || s.session != nil:
		s.keep = false // the Link is a WebSocket's, or a session's: it has no next request
		b.B = s.appendAnswer(b.B, &r)
		flags |= loop.Close
	default:
		b.B = s.appendAnswer(b.B, &r)
	}
	s.state = streamDone
	s.send(b, flags)
}

// appendSwitching accepts an upgrade. The greeting stands in the same buffer,
// so that no answer to a message that came along with the upgrade overtakes it.
func (s *httpStream) appendSwitching(dst []byte) []byte {
	dst = websocket.AppendSwitching(dst, s.key, s.protocol)
	if greet := s.peer.host.cfg.Greeting; greet != nil {
		if msg := greet(); len(msg) > 0 {
			dst = websocket.AppendText(dst, msg)
		}
	}
	return dst
}

// OnSilence implements Stream.
func (s *httpStream) OnSilence(f func()) {
	s.mu.Lock()
	s.quiet = f
	s.mu.Unlock()
}

// breakSilence makes a silent exchange an event stream, or keeps one visibly
// alive. It returns false when the exchange is over. Loop only.
func (s *httpStream) breakSilence() bool {
	s.mu.Lock()
	quiet := s.quiet
	if s.state != streamSilent || s.held {
		quiet = nil
	}
	s.mu.Unlock()
	if quiet != nil {
		quiet()
	}
	return s.comment()
}

// Hold implements Stream.
func (s *httpStream) Hold() {
	s.mu.Lock()
	s.held = true
	s.mu.Unlock()
}

// Open implements Stream.
func (s *httpStream) Open(sessionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != streamSilent {
		return
	}
	s.state = streamOpen
	b := buffer.Get()
	b.B = s.appendStreamHead(b.B, sessionID)
	b.B = s.appendComment(b.B) // the first byte at once: some proxies hold the head until then
	s.send(b, 0)
	s.conn.Post(func(c *loop.Conn) { c.SetAlarm(c.Now().Add(s.peer.host.cfg.CommentEvery)) })
}

// End implements Stream.
func (s *httpStream) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == streamDone {
		return
	}
	b := buffer.Get()
	flags := loop.Last
	switch {
	case s.state == streamSilent && !s.accept.events:
		b.B = s.appendAnswer(b.B, &Response{Status: 202}) // the client takes no event stream, also no empty one
	case s.state == streamSilent:
		b.B = s.appendStreamHead(b.B, "")
		fallthrough
	default:
		b.B, flags = s.appendLastEvent(b.B, &Response{})
	}
	if s.session != nil {
		flags |= loop.Close // the Link has no next request
	}
	s.state = streamDone
	s.send(b, flags)
}

// comment keeps a silent exchange visibly alive. It returns false when the
// exchange is over. Loop only.
func (s *httpStream) comment() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == streamDone || s.held {
		return false
	}
	b := buffer.Get()
	flags := loop.Droppable
	if s.state == streamSilent {
		b.B = s.appendStreamHead(b.B, "")
		s.state = streamOpen
		flags = 0
	}
	b.B = s.appendComment(b.B)
	s.send(b, flags)
	return true
}

// refuse answers a request that never reaches the Dispatcher.
func (s *httpStream) refuse(status int, reason string) {
	r := Response{Status: status, Body: buffer.Get()}
	r.Body.B = jsonrpc.AppendError(r.Body.B, nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: reason})
	switch status {
	case 405:
		r.Allow = s.allow
	case 503:
		r.RetryAfter = 1
	}
	s.Respond(r)
}

// allowed are the methods of the endpoint.
const allowed = "POST, GET, DELETE, OPTIONS"

// preflight answers OPTIONS, also the question a browser asks before it lets a
// page of an allowed origin post.
func (s *httpStream) preflight(r *http1.Request) {
	b := buffer.Get()
	b.B = http1.AppendStatusLine(b.B, 204)
	b.B = http1.AppendField(b.B, "Allow", s.allow)
	if len(s.cors) > 0 && r.Known(http1.HeaderAccessControlRequestMethod) != nil {
		b.B = http1.AppendField(b.B, "Access-Control-Allow-Methods", s.allow)
		b.B = http1.AppendField(b.B, "Access-Control-Allow-Headers", "*, Authorization")
		b.B = http1.AppendField(b.B, "Access-Control-Max-Age", "600")
	}
	b.B = s.appendCommon(b.B)
	b.B = http1.AppendEnd(b.B)
	s.state = streamDone
	s.send(b, loop.Last)
}

// appendAnswer builds a response with a length.
func (s *httpStream) appendAnswer(dst []byte, r *Response) []byte {
	n := 0
	if r.Body != nil {
		n = len(r.Body.B)
	}
	dst = http1.AppendStatusLine(dst, r.Status)
	if n > 0 {
		dst = append(dst, "Content-Type: application/json\r\n"...)
	}
	if r.Status != 204 { // "MUST NOT send a Content-Length" (RFC 9110 section 8.6)
		dst = http1.AppendContentLength(dst, n)
	}
	if r.Status == 426 {
		// What the client has to speak instead (RFC 9110 section 15.5.22), in the
		// one version there is (RFC 6455 section 4.4).
		dst = append(dst, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"...)
	}
	if r.SessionID != "" {
		dst = http1.AppendField(dst, "Mcp-Session-Id", r.SessionID)
	}
	if r.RetryAfter > 0 {
		dst = http1.AppendField(dst, "Retry-After", strconv.Itoa(r.RetryAfter))
	}
	if r.Challenge != "" {
		dst = http1.AppendField(dst, "WWW-Authenticate", r.Challenge)
	}
	if r.Allow != "" {
		dst = http1.AppendField(dst, "Allow", r.Allow)
	}
	dst = s.appendCommon(dst)
	dst = http1.AppendEnd(dst)
	if n > 0 && !s.head {
		dst = append(dst, oneLine(r.Body.B)...)
	}
	return dst
}

// appendStreamHead begins an event stream.
func (s *httpStream) appendStreamHead(dst []byte, sessionID string) []byte {
	dst = http1.AppendStatusLine(dst, 200)
	dst = append(dst, "Content-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"...)
	if s.chunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	} else {
		s.keep = false // the end of the connection is the end of the stream
	}
	if sessionID != "" {
		dst = http1.AppendField(dst, "Mcp-Session-Id", sessionID)
	}
	dst = s.appendCommon(dst)
	return http1.AppendEnd(dst)
}

// appendCommon adds what every response may carry.
func (s *httpStream) appendCommon(dst []byte) []byte {
	dst = http1.AppendField(dst, "Date", s.conn.Date())
	if len(s.cors) > 0 {
		dst = http1.AppendField(dst, "Access-Control-Allow-Origin", string(s.cors))
		dst = append(dst, "Access-Control-Expose-Headers: Mcp-Session-Id, Retry-After, WWW-Authenticate\r\nVary: Origin\r\n"+
			// A browser must take the answer for what it says it is, whatever is in it.
			"X-Content-Type-Options: nosniff\r\n"...)
	}
	switch {
	case !s.keep || s.conn.Draining():
		dst = append(dst, "Connection: close\r\n"...)
	case !s.chunked:
		dst = append(dst, "Connection: keep-alive\r\n"...) // not the rule before HTTP/1.1
	}
	return dst
}

// wire is e as an event stream carries it.
func (e *Event) wire() sse.Event {
	data := oneLine(e.Data)
	if data == nil && e.ID != "" {
		data = []byte{} // nil would leave the data line out, and a client see no event
	}
	return sse.Event{ID: e.ID, Data: data, Retry: e.Retry}
}

func (s *httpStream) appendEvent(dst []byte, e sse.Event) []byte {
	if !s.chunked {
		return sse.AppendEvent(dst, e)
	}
	b := buffer.Get()
	defer buffer.Put(b)
	b.B = sse.AppendEvent(b.B, e)
	return http1.AppendChunk(dst, b.B)
}

func (s *httpStream) appendComment(dst []byte) []byte {
	if !s.chunked {
		return sse.AppendComment(dst, "")
	}
	var small [16]byte
	return http1.AppendChunk(dst, sse.AppendComment(small[:0], ""))
}

// appendLastEvent puts the answer and the end of the stream into one write:
// some clients reset the connection when the end comes in a second one.
func (s *httpStream) appendLastEvent(dst []byte, r *Response) ([]byte, loop.Flags) {
	if r.Body != nil {
		dst = s.appendEvent(dst, sse.Event{ID: r.EventID, Data: oneLine(r.Body.B)})
	}
	if s.chunked {
		return http1.AppendLastChunk(dst), loop.Last
	}
	return dst, loop.Last | loop.Close
}
