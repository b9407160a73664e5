package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"millrace/pool/buffer"
)

// HTTPHandler serves Streamable HTTP inside of net/http: the same checks, the
// same Dispatcher and the same Stream as a Handler on a loop.Engine, for who has
// an http.Server already. It does not look at the path: that is its user's. All
// methods are safe for any goroutine.
//
// With Config.Metadata it answers /.well-known/oauth-protected-resource and what is
// below it; a mux has to send these paths here.
//
// Every request has a Link of its own, opened and closed on the goroutine of its
// ServeHTTP, which also does all writing: nobody else waits for the client to
// read.
type HTTPHandler struct {
	cfg   Config
	up    Dispatcher
	guard originGuard
	ids   atomic.Uint64

	mu       sync.Mutex
	open     map[*Link]*netStream
	total    int64
	draining bool
	idle     chan struct{} // closed when draining and nothing is open
}

// NewHTTPHandler returns an HTTPHandler that hands requests up to d. Of cfg it
// reads AllowedHosts, AllowedOrigins, TrustedProxies, SilentFor, CommentEvery and
// MaxBody, and whether the first of Listeners, if there is one, is a loopback
// address; without, every request is judged by the address it came in on.
func NewHTTPHandler(cfg Config, d Dispatcher) *HTTPHandler {
	return &HTTPHandler{
		cfg: cfg.withDefaults(), up: d, guard: newOriginGuard(cfg.AllowedHosts, cfg.AllowedOrigins),
		open: map[*Link]*netStream{}, idle: make(chan struct{}),
	}
}

// ServeHTTP implements http.Handler. It returns when the request is answered,
// its event stream has ended, or its client has gone.
func (h *HTTPHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := newNetStream(h, w, r)
	defer s.close()
	kind, ok := h.judge(s, r)
	if !ok {
		s.flush()
		return
	}
	s.link = &Link{ID: h.ids.Add(1), Protocol: HTTP, Remote: h.client(r), Close: func(uint16, string) { s.abort() }}
	h.up.Opened(s.link)
	defer h.leave(s)
	if !h.enter(s) {
		s.refuse(503, "server is shutting down")
		s.flush()
		return
	}
	if kind == Message && !s.read(r, h.cfg.MaxBody) {
		s.flush()
		return
	}
	req := &Request{Kind: kind, Link: s.link, Header: netHeader(r), Body: s.body.B, origin: s}
	h.up.Dispatch(req, s)
	s.serve(r.Context())
}

// enter makes s one of the requests that a drain waits for. It is false when
// there is no time for them any more.
func (h *HTTPHandler) enter(s *netStream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return false
	}
	h.open[s.link] = s
	h.total++
	return true
}

// leave is the end of a request, however it came: also a panic of the Dispatcher.
func (h *HTTPHandler) leave(s *netStream) {
	s.close() // first: whoever hears that the Link is closed finds no way to speak to it
	h.up.Closed(s.link, nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.open[s.link]; ok {
		delete(h.open, s.link)
		h.rest()
	}
}

// rest wakes who waits for the end of the last request. Under mu.
func (h *HTTPHandler) rest() {
	if h.draining && len(h.open) == 0 {
		close(h.idle)
	}
}

// Drain tells the Dispatcher that the server shuts down, once for every open
// request. Requests that come later are answered 503. Only the first call counts.
func (h *HTTPHandler) Drain() {
	h.mu.Lock()
	if h.draining {
		h.mu.Unlock()
		return
	}
	h.draining = true
	links := slices.Collect(maps.Keys(h.open))
	h.rest()
	h.mu.Unlock()
	for _, l := range links {
		h.up.Drain(l)
	}
}

// Wait returns when Drain has been called and every request is answered. When
// ctx ends first, those that are left are cut, and it says how many.
func (h *HTTPHandler) Wait(ctx context.Context) error {
	select {
	case <-h.idle:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	left := slices.Collect(maps.Values(h.open))
	h.mu.Unlock()
	for _, s := range left {
		s.abort()
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("%d requests were cut: %w", len(left), context.Cause(ctx))
}

// Stats says how many requests are open, and how many there ever were.
func (h *HTTPHandler) Stats() (open int, total int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open), h.total
}

// judge applies what holds before the Dispatcher is asked, and finds out what it
// will be asked. When it is false the request has been answered.
func (h *HTTPHandler) judge(s *netStream, r *http.Request) (kind Kind, ok bool) {
	origin := field(r.Header, "Origin")
	if reason := h.guard.objection([]byte(r.Host), origin, field(r.Header, "Sec-Fetch-Site"), h.loopback(r)); reason != "" {
		s.refuse(403, reason)
		return 0, false
	}
	s.cors = string(origin)
	if name := repeated(r.Header); name != "" {
		s.refuse(400, "header field "+name+" is repeated")
		return 0, false
	}
	if h.cfg.Metadata != nil && isMetadataPath(r.URL.Path) {
		s.metadata(r, h.cfg.Metadata)
		return 0, false
	}
	switch r.Method {
	case http.MethodPost:
		return Message, s.mayPost(r)
	case http.MethodGet:
		return OpenStream, s.mayGet(r)
	case http.MethodDelete:
		return EndSession, true
	case http.MethodOptions:
		s.preflight(r)
	default:
		s.refuse(405, "method not allowed: use POST, GET, DELETE or OPTIONS")
	}
	return 0, false
}

// metadata answers who asks how to get a token.
func (s *netStream) metadata(r *http.Request, doc []byte) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		b := buffer.Get()
		b.B = append(b.B, doc...)
		s.Respond(Response{Status: 200, Body: b})
	case http.MethodOptions:
		s.preflight(r)
	default:
		s.refuse(405, "method not allowed: use GET")
	}
}

// mayPost checks the media types of a POST.
func (s *netStream) mayPost(r *http.Request) bool {
	switch {
	case !isJSON(field(r.Header, "Content-Type")):
		s.refuse(415, "Content-Type must be application/json")
	case !s.accept.json && !s.accept.events:
		s.refuse(406, "Accept must include application/json or text/event-stream")
	default:
		return true
	}
	return false
}

// mayGet checks whether a GET wants an event stream.
func (s *netStream) mayGet(r *http.Request) bool {
	switch {
	case equalFold(field(r.Header, "Upgrade"), "websocket"):
		s.refuse(501, "this endpoint speaks HTTP only, not WebSocket: use POST")
	case !s.accept.events:
		s.refuse(406, "Accept must include text/event-stream")
	default:
		return true
	}
	return false
}

// loopback reports whether a request came in on an address that this machine
// alone can reach. Where there is no address there is no socket that a browser
// could have been made to connect to.
func (h *HTTPHandler) loopback(r *http.Request) bool {
	if len(h.cfg.Listeners) > 0 {
		return h.cfg.Listeners[0].Loopback
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddrPort(local.String())
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// netCertificate is the certificate of the client, if somebody has verified it.
func netCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}

// client is the address of who sent r: the peer's, unless that is a trusted
// proxy.
func (h *HTTPHandler) client(r *http.Request) string {
	return clientAddr(r.RemoteAddr, func(yield func([]byte) bool) {
		for _, line := range r.Header["X-Forwarded-For"] {
			if !yield([]byte(line)) {
				return
			}
		}
	}, h.cfg.TrustedProxies, false)
}

// read takes the body of a POST in. When it is false the request has been
// answered, or there is nobody to answer.
func (s *netStream) read(r *http.Request, limit int) bool {
	if r.ContentLength > int64(limit) {
		s.tooLong()
		return false
	}
	err := appendAll(s.body, io.LimitReader(r.Body, int64(limit)+1))
	switch {
	case err == nil && len(s.body.B) <= limit:
		return true
	case err == nil:
		s.tooLong()
	case errors.As(err, new(*http.MaxBytesError)): // the user's own limit
		s.tooLong()
	default:
		s.refuse(400, "the body could not be read")
	}
	return false
}

func (s *netStream) tooLong() { s.refuse(413, "body is longer than this server accepts") }

// appendAll appends to b what comes from r until its end.
func appendAll(b *buffer.Buffer, r io.Reader) error {
	for {
		b.B = slices.Grow(b.B, 512)
		n, err := r.Read(b.B[len(b.B):cap(b.B)])
		b.B = b.B[:len(b.B)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// field is the value of a header field; nil when it is absent, and not nil when
// it is empty. name is in canonical form.
func field(h http.Header, name string) []byte {
	if v := h[name]; len(v) > 0 {
		return append([]byte{}, v[0]...)
	}
	return nil
}

// repeated finds a field that has more than one value and must not, as the parser
// in codec/http1 does: a proxy may have looked at the other one. It is "" when
// there is none.
func repeated(h http.Header) string {
	for name, lines := range h {
		if len(lines) < 2 {
			continue
		}
		switch name {
		case "Authorization", "Content-Type", "Last-Event-Id", "Origin", "Sec-Fetch-Site", "User-Agent":
			return name
		}
		if strings.HasPrefix(name, "Mcp-") {
			return name
		}
	}
	return ""
}

func netHeader(r *http.Request) *Header {
	h := r.Header
	return &Header{
		Certificate:     netCertificate(r),
		Authorization:   field(h, "Authorization"),
		Origin:          field(h, "Origin"),
		UserAgent:       field(h, "User-Agent"),
		AcceptLanguage:  field(h, "Accept-Language"),
		SessionID:       field(h, "Mcp-Session-Id"),
		ProtocolVersion: field(h, "Mcp-Protocol-Version"),
		Method:          field(h, "Mcp-Method"),
		Name:            field(h, "Mcp-Name"),
		LastEventID:     field(h, "Last-Event-Id"),
		Params:          netParams(h),
	}
}

// netParams finds Mcp-Param-* fields in the header of a request.
type netParams http.Header

// Param implements Params.
func (h netParams) Param(name string) ([]byte, bool) {
	v := http.Header(h).Values(paramPrefix + name)
	if len(v) == 0 {
		return nil, false
	}
	return []byte(v[0]), true
}

// clone implements Params: who wraps the handler may go on using the header.
func (h netParams) clone() Params {
	var m paramMap
	for name, lines := range h {
		if suffix, ok := strings.CutPrefix(name, paramPrefix); ok && len(lines) > 0 {
			if m == nil {
				m = paramMap{}
			}
			m[lowerString([]byte(suffix))] = []byte(lines[0])
		}
	}
	return m
}

// netAccept reads the Accept fields of a request.
func netAccept(h http.Header) accepts {
	var a acceptance
	for _, line := range h["Accept"] {
		a.add([]byte(line))
	}
	return a.result()
}
