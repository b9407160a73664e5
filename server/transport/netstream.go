package transport

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/codec/sse"
	"millrace/pool/buffer"
)

const (
	// netQueue is how many bytes of events may wait for a client that does not
	// read. Above it those that may be lost are.
	netQueue = 1 << 20
	// netStall is how long one write may take.
	netStall = 30 * time.Second
)

// netStream is the Stream of one request that net/http serves. Any goroutine
// may speak to it; what is said is queued, and written by the goroutine of
// ServeHTTP alone.
type netStream struct {
	host   *HTTPHandler
	link   *Link
	w      http.ResponseWriter
	ctl    *http.ResponseController
	accept accepts
	cors   string         // the Origin to answer, empty for none
	body   *buffer.Buffer // of the request; nil once it was detached
	kind   Kind           // of the request, once it was detached

	wake chan struct{} // something was said
	cut  chan struct{} // closed by abort
	once sync.Once

	begun bool // the head of an event stream is written; ServeHTTP only

	mu        sync.Mutex
	state     streamState
	stream    bool   // an event stream was opened
	held      bool   // no event stream, see Hold
	quiet     func() // see OnSilence
	sessionID string // for the head of the event stream
	events    []byte // of the stream, not yet taken to be written
	writing   int    // bytes taken
	answer    *Response
}

func newNetStream(h *HTTPHandler, w http.ResponseWriter, r *http.Request) *netStream {
	return &netStream{
		host: h, w: w, ctl: http.NewResponseController(w), accept: netAccept(r.Header), body: buffer.Get(),
		wake: make(chan struct{}, 1), cut: make(chan struct{}),
	}
}

// detach implements origin.
func (s *netStream) detach(r *Request) (*Request, Stream) {
	body := s.body
	s.body, s.kind = nil, r.Kind
	if r.Kind != Message {
		buffer.Put(body)
		body = nil
	}
	return new(Request).own(r, body), s
}

// Send implements Stream.
func (s *netStream) Send(e Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == streamDone || !s.accept.events || s.held {
		return false
	}
	waiting := len(s.events) + s.writing
	if !e.Keep && waiting > 0 && waiting+len(e.Data) > netQueue {
		return false
	}
	s.begin("")
	s.say(e.wire())
	return true
}

// begin opens an event stream, unless there is one. Under mu.
func (s *netStream) begin(sessionID string) {
	if s.state == streamSilent {
		s.state, s.stream, s.sessionID = streamOpen, true, sessionID
	}
}

// say queues an event. Under mu.
func (s *netStream) say(e sse.Event) {
	s.events = sse.AppendEvent(s.events, e)
	signal(s.wake)
}

// Respond implements Stream.
func (s *netStream) Respond(r Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == streamDone:
		buffer.Put(r.Body)
		return
	case s.state == streamSilent && (r.Body == nil || r.Status != 200 || s.accept.json):
		s.answer = &r
	default:
		s.begin(r.SessionID)
		if r.Body != nil {
			s.say(sse.Event{ID: r.EventID, Data: oneLine(r.Body.B)})
			buffer.Put(r.Body)
		}
	}
	s.state = streamDone
	signal(s.wake)
}

// Hold implements Stream.
func (s *netStream) Hold() {
	s.mu.Lock()
	s.held = true
	s.mu.Unlock()
}

// OnSilence implements Stream.
func (s *netStream) OnSilence(f func()) {
	s.mu.Lock()
	s.quiet = f
	s.mu.Unlock()
}

// Open implements Stream.
func (s *netStream) Open(sessionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == streamSilent {
		s.begin(sessionID)
		s.comment() // the first byte at once, as httpStream does
	}
}

// comment queues a sign of life. Under mu.
func (s *netStream) comment() {
	s.events = sse.AppendComment(s.events, "")
	signal(s.wake)
}

// End implements Stream.
func (s *netStream) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == streamDone:
		return
	case s.state == streamSilent && !s.accept.events:
		s.answer = &Response{Status: 202}
	default:
		s.begin("")
	}
	s.state = streamDone
	signal(s.wake)
}

// abort cuts the exchange. Any goroutine.
func (s *netStream) abort() { s.once.Do(func() { close(s.cut) }) }

// close is the end of ServeHTTP: what is said from here on is lost. It may be
// called twice.
func (s *netStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = streamDone
	if s.answer != nil {
		buffer.Put(s.answer.Body)
		s.answer = nil
	}
	buffer.Put(s.body)
	s.body, s.events = nil, nil
}

// serve writes what is said until there is an end to it.
func (s *netStream) serve(ctx context.Context) {
	if s.flush() {
		return
	}
	// From here on it may take as long as it takes; each write has its own limit.
	_ = s.ctl.SetReadDeadline(time.Time{})
	_ = s.ctl.SetWriteDeadline(time.Time{})
	first := s.host.cfg.SilentFor
	if s.kind == OpenStream {
		first = s.host.cfg.CommentEvery
	}
	alarm := time.NewTimer(first)
	defer alarm.Stop()
	for {
		select {
		case <-s.wake:
		case <-alarm.C:
			s.alive()
			alarm.Reset(s.host.cfg.CommentEvery)
		case <-ctx.Done():
			return
		case <-s.cut:
			panic(http.ErrAbortHandler) // "to abort a handler so the client sees an interrupted response"
		}
		if s.flush() {
			return
		}
	}
}

// alive makes a silent POST an event stream, or keeps one visibly alive.
// ServeHTTP only.
func (s *netStream) alive() {
	if f := s.silent(); f != nil {
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mayComment() && len(s.events) == 0 {
		s.begin("")
		s.comment()
	}
}

// silent is what OnSilence was given, when its time has come.
func (s *netStream) silent() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != streamSilent || !s.mayComment() {
		return nil
	}
	return s.quiet
}

// mayComment reports whether there is an event stream, or may be one. Under mu.
func (s *netStream) mayComment() bool {
	switch s.state {
	case streamSilent:
		return s.accept.events && s.kind == Message && !s.held
	case streamOpen:
		return true
	}
	return false
}

// flush writes what was said, and reports whether that is the end: the request
// is answered, or nobody is there to read. ServeHTTP only.
func (s *netStream) flush() (end bool) {
	s.mu.Lock()
	events, stream, sessionID := s.events, s.stream, s.sessionID
	answer := s.answer
	done := s.state == streamDone
	s.events, s.writing, s.answer = nil, len(events), nil
	s.mu.Unlock()
	var err error
	switch {
	case answer != nil:
		err = s.writeAnswer(answer)
		buffer.Put(answer.Body)
	case stream:
		err = s.writeEvents(sessionID, events, done)
	}
	s.mu.Lock()
	s.writing = 0
	s.mu.Unlock()
	return done || err != nil
}

// writeEvents continues the event stream. Deadlines and flushes are not for
// every ResponseWriter: without them events still come, only late. The deadline of
// the last write stays: net/http has yet to write the end of the body.
func (s *netStream) writeEvents(sessionID string, events []byte, last bool) error {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(netStall))
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache, no-transform")
		h.Set("X-Accel-Buffering", "no")
		s.common(sessionID)
		s.w.WriteHeader(http.StatusOK)
	}
	if len(events) > 0 {
		if _, err := s.w.Write(events); err != nil {
			return err
		}
	}
	_ = s.ctl.Flush()
	if !last {
		_ = s.ctl.SetWriteDeadline(time.Time{})
	}
	return nil
}

// writeAnswer writes a response with a length.
func (s *netStream) writeAnswer(r *Response) error {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(netStall))
	h := s.w.Header()
	n := 0
	if r.Body != nil {
		n = len(r.Body.B)
		h.Set("Content-Type", "application/json")
	}
	if r.Status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(n))
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	if r.Challenge != "" {
		h.Set("WWW-Authenticate", r.Challenge)
	}
	if r.Allow != "" {
		h.Set("Allow", r.Allow)
	}
	s.common(r.SessionID)
	s.w.WriteHeader(r.Status)
	if n == 0 {
		return nil
	}
	_, err := s.w.Write(oneLine(r.Body.B))
	return err
}

// common adds what every response may carry.
func (s *netStream) common(sessionID string) {
	h := s.w.Header()
	if sessionID != "" {
		h.Set("Mcp-Session-Id", sessionID)
	}
	if s.cors != "" {
		h.Set("Access-Control-Allow-Origin", s.cors)
		h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, Retry-After, WWW-Authenticate")
		h.Add("Vary", "Origin")
		h.Set("X-Content-Type-Options", "nosniff")
	}
}

// refuse answers a request that never reaches the Dispatcher.
func (s *netStream) refuse(status int, reason string) {
	r := Response{Status: status, Body: buffer.Get()}
	r.Body.B = jsonrpc.AppendError(r.Body.B, nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: reason})
	switch status {
	case http.StatusMethodNotAllowed:
		r.Allow = allowed
	case http.StatusRequestEntityTooLarge:
		s.w.Header().Set("Connection", "close") // what is left of the body is not wanted
	case http.StatusServiceUnavailable:
		s.w.Header().Set("Connection", "close")
		r.RetryAfter = 1
	}
	s.Respond(r)
}

// preflight answers OPTIONS, as httpStream does.
func (s *netStream) preflight(r *http.Request) {
	if h := s.w.Header(); s.cors != "" && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", allowed)
		h.Set("Access-Control-Allow-Headers", "*, Authorization")
		h.Set("Access-Control-Max-Age", "600")
	}
	s.Respond(Response{Status: http.StatusNoContent, Allow: allowed})
}
