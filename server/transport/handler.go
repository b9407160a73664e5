package transport

import (
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"millrace/codec/http1"
	"millrace/loop"
	"millrace/server/limit"
)

// Listener says what one listen address serves. Its index in Config.Listeners
// is the loop.Listener's Tag.
type Listener struct {
	// Loopback is whether the address is reachable from this machine alone: then
	// Host must be a loopback name.
	Loopback bool
	// HTTP and WebSocket say which protocols it speaks.
	HTTP, WebSocket bool
}

// Config tunes a Handler.
type Config struct {
	// Path is the MCP endpoint. Default "/mcp".
	Path string
	// Listeners describes the listen addresses by their tags.
	Listeners []Listener
	// AllowedHosts are the values accepted in Host, with or without port. Empty:
	// loopback names on a loopback address, anything elsewhere.
	AllowedHosts []string
	// AllowedOrigins are accepted in Origin besides the request's own host.
	AllowedOrigins []string
	// TrustedProxies may name the client's address in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// TrustUnixProxies lets the peers of unix sockets do so.
	TrustUnixProxies bool
	// Full reports whether new connections are to be told 503; nil: never. Any
	// goroutine; it must not block.
	Full func() bool
	// SilentFor is how long a POST may stay without an answer before it becomes
	// an event stream with a comment, so that proxies see life. Default 10 s.
	SilentFor time.Duration
	// CommentEvery is the interval of comments on an open event stream.
	// Default 15 s.
	CommentEvery time.Duration
	// LegacySSE serves the HTTP+SSE transport of 2024-11-05 too, at GET /sse and
	// POST /messages. Path must be neither.
	LegacySSE bool
	// MaxBody is the longest request body that an HTTPHandler reads, in bytes.
	// Default 4 MiB. On a loop.Engine its own limits hold.
	MaxBody int
	// ConnectionsPerAddress is how many connections one address, or one IPv6 /64, may
	// have open at once; more are told 503. Loopback and TrustedProxies are not
	// counted. 0: no limit. It does not bound an HTTPHandler.
	ConnectionsPerAddress int
	// Metadata is the JSON that GET /.well-known/oauth-protected-resource, alone or
	// followed by a path, is answered with (RFC 9728). Nil: there is none.
	Metadata []byte
	// Greeting, if not nil, returns a message that a new WebSocket is sent first,
	// or nil for none. Any goroutine; it must not block.
	Greeting func() []byte
}

// Handler serves MCP on the connections of a loop.Engine. It is a loop.Handler.
type Handler struct {
	cfg   Config
	up    Dispatcher
	guard originGuard
	hosts *limit.Counter[netip.Prefix] // nil: connections are not counted by address
	sse   sync.Map                     // the sessions of LegacySSE: their ids to *sseSession
	newID func() string                // makes their ids: visible ASCII, at least 128 random bits
}

// NewHandler returns a Handler that hands requests up to d.
func NewHandler(cfg Config, d Dispatcher) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{cfg: cfg, up: d, guard: newOriginGuard(cfg.AllowedHosts, cfg.AllowedOrigins), newID: rand.Text}
	if cfg.ConnectionsPerAddress > 0 {
		h.hosts = limit.NewCounter[netip.Prefix](cfg.ConnectionsPerAddress)
	}
	return h
}

func (cfg Config) withDefaults() Config {
	if cfg.Path == "" {
		cfg.Path = "/mcp"
	}
	if cfg.SilentFor == 0 {
		cfg.SilentFor = 10 * time.Second
	}
	if cfg.CommentEvery == 0 {
		cfg.CommentEvery = 15 * time.Second
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 4 << 20
	}
	return cfg
}

// peer is what the transport keeps for one connection. Loop only.
type peer struct {
	host     *Handler
	conn     *loop.Conn
	link     *Link
	draining bool // the Dispatcher has been told

	// Reused from exchange to exchange while requests are answered on the loop.
	request Request
	http    *httpStream
	header  *Header

	open *httpStream // the exchange that waits for an answer from elsewhere
	ws   *wsPeer     // not nil once an upgrade was asked for
	sse  *sseSession // not nil once an event stream of HTTP+SSE was asked for
}

func peerOf(c *loop.Conn) *peer { return c.User().(*peer) }

// Opened implements loop.Handler.
func (h *Handler) Opened(c *loop.Conn) (ok bool) {
	if h.cfg.Full != nil && h.cfg.Full() {
		return false
	}
	if host, counted := h.counted(c); counted {
		if !h.hosts.Enter(host) {
			return false
		}
		defer func() {
			if !ok { // a panic: Closed is not called then
				h.hosts.Leave(host)
			}
		}()
	}
	p := &peer{host: h, conn: c}
	c.SetUser(p)
	p.openLink(&Link{Protocol: HTTP, Remote: c.RemoteAddr()})
	return true
}

// counted is whose connection c is, if that is counted. It is asked again at the
// end, so that an idle connection need not remember it.
func (h *Handler) counted(c *loop.Conn) (host netip.Prefix, ok bool) {
	if h.hosts == nil {
		return host, false
	}
	ap, err := netip.ParseAddrPort(c.RemoteAddr())
	if a := ap.Addr().Unmap(); err != nil || a.IsLoopback() || isTrusted(a, h.cfg.TrustedProxies) {
		return host, false
	}
	return limit.Host(c.RemoteAddr())
}

// openLink makes l the Link of the connection.
func (p *peer) openLink(l *Link) {
	l.ID = p.conn.ID()
	if l.Close == nil {
		l.Close = p.abort
	}
	p.link = l
	p.host.up.Opened(l)
	if p.draining {
		p.host.up.Drain(l)
	}
}

// relink closes the Link of the connection and opens another. Only between two
// exchanges.
func (p *peer) relink(l *Link) {
	p.host.up.Closed(p.link, nil)
	p.openLink(l)
}

// Closed implements loop.Handler.
func (h *Handler) Closed(c *loop.Conn, why error) {
	p := peerOf(c)
	if host, counted := h.counted(c); counted {
		h.hosts.Leave(host)
	}
	if p.sse != nil {
		p.sse.close()
	}
	h.up.Closed(p.link, why)
}

// Drain implements loop.Handler.
func (h *Handler) Drain(c *loop.Conn) {
	p := peerOf(c)
	p.draining = true
	h.up.Drain(p.link)
}

// Alarm implements loop.Handler: an event stream, or a POST that should become
// one, has been silent for long enough.
func (h *Handler) Alarm(c *loop.Conn) {
	if p := peerOf(c); p.open != nil && p.open.breakSilence() {
		c.SetAlarm(c.Now().Add(h.cfg.CommentEvery))
	}
}

// listener describes the address a connection came in on.
func (h *Handler) listener(c *loop.Conn) Listener {
	if t := c.Tag(); t < len(h.cfg.Listeners) {
		return h.cfg.Listeners[t]
	}
	return Listener{Loopback: true, HTTP: true, WebSocket: true}
}

// Request implements loop.Handler.
func (h *Handler) Request(c *loop.Conn, r *http1.Request) {
	p := peerOf(c)
	s := p.begin(r)
	if !h.admit(p, s, r) {
		return
	}
	ln := h.listener(c)
	switch path := string(r.Path()); {
	case h.cfg.Metadata != nil && isMetadataPath(path):
		h.metadata(s, r)
	case path == h.cfg.Path && (ln.HTTP || r.Method() == http1.MethodGet && r.WantsUpgrade()):
		h.endpoint(p, s, r)
	case path != h.cfg.Path && !h.isLegacyPath(path):
		s.refuse(404, "not found: the MCP endpoint is "+h.cfg.Path)
	case !ln.HTTP:
		s.refuse(426, "this address speaks WebSocket only")
	default:
		h.legacy(p, s, r)
	}
}

// endpoint handles a request to Config.Path.
func (h *Handler) endpoint(p *peer, s *httpStream, r *http1.Request) {
	switch r.Method() {
	case http1.MethodPost:
		h.post(p, s, r)
	case http1.MethodGet:
		h.get(p, s, r)
	case http1.MethodDelete:
		h.dispatch(p, s, r, EndSession)
	case http1.MethodOptions:
		s.preflight(r)
	default:
		s.refuse(405, "method not allowed: use POST, GET, DELETE or OPTIONS")
	}
}

// admit applies what holds for every path and method: Host and Origin.
func (h *Handler) admit(p *peer, s *httpStream, r *http1.Request) bool {
	origin := r.Known(http1.HeaderOrigin)
	reason := h.guard.objection(r.Known(http1.HeaderHost), origin, r.Known(http1.HeaderSecFetchSite), h.listener(p.conn).Loopback)
	if reason != "" {
		s.refuse(403, reason)
		return false
	}
	s.cors = append(s.cors, origin...) // from here on a page of this origin may read the answer, errors too
	return true
}

// begin prepares the stream for the exchange that r opens.
func (p *peer) begin(r *http1.Request) *httpStream {
	s := p.http
	if s == nil {
		s = &httpStream{}
		p.http = s
	}
	s.reset(p, r)
	return s
}

// dispatch hands a request up.
func (h *Handler) dispatch(p *peer, s *httpStream, r *http1.Request, kind Kind) {
	p.fillHeader(r)
	if remote := p.client(r); remote != p.link.Remote {
		p.relink(&Link{Protocol: HTTP, Remote: remote})
	}
	p.handUp(kind, r.Body, s, s)
}

// handUp asks the Dispatcher, and forgets the request: it would keep the body, or
// a credential, in memory for as long as the connection lives.
func (p *peer) handUp(kind Kind, body []byte, o origin, s Stream) {
	p.request = Request{Kind: kind, Link: p.link, Header: p.header, Body: body, origin: o}
	p.host.up.Dispatch(&p.request, s)
	p.request, *p.header = Request{}, Header{}
}

// client is the address of who sent r: the peer's, unless that is a trusted
// proxy.
func (p *peer) client(r *http1.Request) string {
	cfg, remote := &p.host.cfg, p.conn.RemoteAddr()
	if len(cfg.TrustedProxies) == 0 && !cfg.TrustUnixProxies {
		return remote
	}
	return clientAddr(remote, r.Values(http1.HeaderXForwardedFor), cfg.TrustedProxies, cfg.TrustUnixProxies)
}

func (p *peer) fillHeader(r *http1.Request) {
	if p.header == nil {
		p.header = new(Header)
	}
	*p.header = Header{
		Certificate:     p.conn.PeerCertificate(),
		Authorization:   r.Known(http1.HeaderAuthorization),
		Origin:          r.Known(http1.HeaderOrigin),
		UserAgent:       r.Known(http1.HeaderUserAgent),
		AcceptLanguage:  r.Known(http1.HeaderAcceptLanguage),
		SessionID:       r.Known(http1.HeaderMCPSessionID),
		ProtocolVersion: r.Known(http1.HeaderMCPProtocolVersion),
		Method:          r.Known(http1.HeaderMCPMethod),
		Name:            r.Known(http1.HeaderMCPName),
		LastEventID:     r.Known(http1.HeaderLastEventID),
		Params:          (*httpParams)(r),
	}
}

// post handles a JSON-RPC message.
func (h *Handler) post(p *peer, s *httpStream, r *http1.Request) {
	switch {
	case !isJSON(r.Known(http1.HeaderContentType)):
		s.refuse(415, "Content-Type must be application/json")
	case !s.accept.json && !s.accept.events:
		s.refuse(406, "Accept must include application/json or text/event-stream")
	default:
		h.dispatch(p, s, r, Message)
	}
}

// get opens a WebSocket or a legacy event stream.
func (h *Handler) get(p *peer, s *httpStream, r *http1.Request) {
	switch {
	case r.WantsUpgrade():
		h.upgrade(p, s, r)
	case !s.accept.events:
		s.refuse(406, "Accept must include text/event-stream")
	default:
		h.dispatch(p, s, r, OpenStream)
	}
}

// abort ends the connection of a Link. On WebSocket the closing handshake tells
// the peer why. Any goroutine.
func (p *peer) abort(code uint16, reason string) {
	p.conn.Post(func(c *loop.Conn) {
		if c.IsWebSocket() {
			c.CloseWebSocket(code, reason)
			return
		}
		c.Abort(nil)
	})
}

// httpParams finds Mcp-Param-* fields in a request that is still on the loop.
type httpParams http1.Request

const paramPrefix = "Mcp-Param-"

// Param implements Params. The parser has refused repeated fields.
func (r *httpParams) Param(name string) ([]byte, bool) {
	v := (*http1.Request)(r).Get(paramPrefix + name)
	return v, v != nil
}

func (r *httpParams) clone() Params {
	var m paramMap
	for name, value := range (*http1.Request)(r).Fields() {
		if len(name) > len(paramPrefix) && equalFold(name[:len(paramPrefix)], paramPrefix) {
			if m == nil {
				m = paramMap{}
			}
			m[lowerString(name[len(paramPrefix):])] = append([]byte{}, value...)
		}
	}
	return m
}

// paramMap holds the Mcp-Param-* fields of a detached request by lower-case
// name.
type paramMap map[string][]byte

// Param implements Params.
func (m paramMap) Param(name string) ([]byte, bool) {
	v, ok := m[lowerString([]byte(name))]
	return v, ok
}

func (m paramMap) clone() Params { return m }
