// Package transport carries MCP messages over Streamable HTTP, WebSocket and
// stdio. It knows headers, origins, event streams and JSON-RPC framing; what a
// method means, who may call it and where it runs is decided above, by the
// Dispatcher.
package transport

import (
	"crypto/x509"
	"time"

	"millrace/pool/buffer"
)

// Kind says what a Request asks for.
type Kind uint8

const (
	// Message is one JSON-RPC message in Body (or a batch).
	Message Kind = iota
	// OpenStream is a legacy GET: an event stream for server messages.
	OpenStream
	// EndSession is a legacy DELETE.
	EndSession
	// Upgrade asks to turn the connection into one that all messages of a client
	// share, a WebSocket or the event stream of HTTP+SSE; it is accepted with
	// Response.Status 101.
	Upgrade
)

// Protocol is how a connection carries messages.
type Protocol uint8

const (
	HTTP Protocol = iota
	WebSocket
	Stdio
	// SSE is the HTTP+SSE transport of 2024-11-05: messages of the server go out
	// on one event stream, those of the client come in by POSTs of their own.
	SSE
)

// String returns "http", "websocket", "stdio" or "sse".
func (p Protocol) String() string { return [...]string{"http", "websocket", "stdio", "sse"}[p] }

// Header holds the header fields of an HTTP request, or of the upgrade request
// of a WebSocket, that mean something above. A nil slice is an absent field.
type Header struct {
	Authorization   []byte
	Origin          []byte
	UserAgent       []byte
	AcceptLanguage  []byte
	SessionID       []byte // Mcp-Session-Id
	ProtocolVersion []byte // MCP-Protocol-Version
	Method          []byte // Mcp-Method
	Name            []byte // Mcp-Name
	LastEventID     []byte // Last-Event-ID
	// Certificate is what the peer has proved to be on TLS, on the connection that the
	// request came in on; nil if it has not. It may be that of a proxy.
	Certificate *x509.Certificate
	// Params are the Mcp-Param-<name> fields; nil where there is no HTTP header.
	Params Params
}

// Params gives access to the Mcp-Param-<name> header fields of a request.
type Params interface {
	// Param returns the value of Mcp-Param-<name>, compared without regard to
	// case, and whether the field is there.
	Param(name string) ([]byte, bool)
	clone() Params
}

// Request is one thing a client asks for. It and its views are the
// Dispatcher's until Dispatch returns; Detach makes a copy that lives on.
type Request struct {
	Kind   Kind
	Link   *Link
	Header *Header
	// Body is the raw JSON of the message.
	Body []byte

	owned  *buffer.Buffer
	origin origin
	stream Stream // of a detached request, where Release means something to it
}

// origin is the transport's side of a Request that is still on the loop.
type origin interface {
	// detach returns r with its body, but without header, in memory of its own,
	// and a Stream for other goroutines.
	detach(r *Request) (*Request, Stream)
}

// Detach lets a request leave the loop: it returns a Request with a body (and,
// when headers is true, header fields; otherwise none) in memory of its own,
// and a Stream that any goroutine may use. The old Stream must not be used any
// more. Release gives the body back. Only inside Dispatch, once.
func (r *Request) Detach(headers bool) (*Request, Stream) {
	d, stream := r.origin.detach(r)
	if headers && r.Header != nil {
		d.Header = r.Header.clone()
	}
	return d, stream
}

// own makes r the detached form of other, with a body that is nil or r's own.
func (r *Request) own(other *Request, body *buffer.Buffer) *Request {
	r.Kind, r.Link, r.owned = other.Kind, other.Link, body
	if body != nil {
		r.Body = body.B
	}
	return r
}

// Release gives the body of a detached request back, and forgets its header,
// which may hold a credential. Both are dead afterwards.
// On SSE it also accepts a POST that nothing has been said to: it must be
// called for every detached request that may end without an answer.
func (r *Request) Release() {
	if r.stream != nil {
		r.stream.Open("")
		r.stream = nil
	}
	buffer.Put(r.owned)
	r.owned, r.Body, r.Header = nil, nil, nil
}

func (h *Header) clone() *Header {
	c := *h
	for _, f := range [...]*[]byte{
		&c.Authorization, &c.Origin, &c.UserAgent, &c.AcceptLanguage, &c.SessionID,
		&c.ProtocolVersion, &c.Method, &c.Name, &c.LastEventID,
	} {
		if *f != nil {
			*f = append([]byte{}, *f...)
		}
	}
	if h.Params != nil {
		c.Params = h.Params.clone()
	}
	return &c
}

// Link is one client on a connection, as the gate sees it. Most connections
// have one Link from their start to their end. A connection gets a new one, and
// the old is closed, when it becomes a WebSocket, or when a trusted proxy sends
// another client's request on it: calls of the old Link may still be running on
// workers, so its fields never change.
type Link struct {
	// ID is that of the connection, unique among the connections of the process.
	ID uint64
	// Protocol tells how messages travel. On WebSocket, stdio and SSE all messages
	// share the connection; on HTTP each has an exchange of its own.
	Protocol Protocol
	// Remote is the client's address, after trusted proxies. Empty on stdio.
	Remote string
	// State is the gate's own; the transport only keeps it. It is set in
	// Dispatcher.Opened and never changed.
	State any

	// Send queues a whole JSON-RPC message, framed, outside of any request.
	// droppable ones may be lost to a slow reader. Nil on HTTP. Any goroutine.
	Send func(msg []byte, droppable bool) bool
	// Close ends the connection: on WebSocket with this close code and reason, on
	// SSE behind what was sent before. Any goroutine.
	Close func(code uint16, reason string)
}

// Response is the one answer to a Request.
type Response struct {
	// Status is the HTTP status; other transports ignore it, except that 101
	// accepts an Upgrade.
	Status int
	// Body is one JSON-RPC message, or nil for none. The Stream takes it.
	Body *buffer.Buffer
	// EventID is the id of the last event, when the answer is one; "" for none. A
	// plain JSON answer has no place for it.
	EventID string
	// SessionID is sent as Mcp-Session-Id when it is not empty.
	SessionID string
	// RetryAfter is sent as Retry-After (seconds) when it is not zero.
	RetryAfter int
	// Challenge is sent as WWW-Authenticate when it is not empty.
	Challenge string
	// Allow is sent as Allow when it is not empty.
	Allow string
}

// Event is one message on the stream of a request, ahead of its answer.
type Event struct {
	// Data is one whole JSON-RPC message; it is copied. Nil with an ID makes a
	// priming event, "an SSE event consisting of an event ID and an empty data
	// field in order to prime the client to reconnect" (25:basic/transports), and
	// nil without one says Retry alone.
	Data []byte
	// ID is what a client sends as Last-Event-ID to resume behind this event; ""
	// for none. It is ignored where there are no event streams: WebSocket, stdio.
	ID string
	// Retry is sent as retry: when it is a millisecond or more. Ignored like ID.
	Retry time.Duration
	// Keep marks what must not be lost to a slow reader: requests to the client,
	// acknowledgements. It counts against the connection's bound like an answer.
	Keep bool
}

// Stream is the way back for one Request. The one that Dispatch is given is for
// its goroutine and until it returns; the one from Request.Detach is for any.
type Stream interface {
	// Send sends one event ahead of the answer. The first one turns an HTTP
	// answer into an event stream. It returns false when the event was lost: the
	// reader is too slow or gone, the request is answered or held, or the client
	// does not accept an event stream. An event without Data is lost wherever
	// there are no event streams.
	Send(e Event) bool
	// Respond sends the answer and ends the request. The first call counts;
	// what a later one brings is dropped.
	Respond(r Response)
	// OnSilence has f called, on the connection's loop, before an answer that has
	// taken Config.SilentFor becomes an event stream for that reason, so that the
	// first event is f's. Once only, before anything is sent. It does nothing
	// where no answer becomes an event stream.
	OnSilence(f func())
	// Hold keeps the answer from becoming an event stream by notifications or
	// by taking long: it will carry a session id, which has no place later.
	Hold()
	// Open begins an event stream at once, before there is anything to say. On
	// SSE it accepts the message: its POST is answered 202 now, and the answer to
	// the message will follow on the stream of the session.
	Open(sessionID string)
	// End ends the request without an answer: an event stream that has none
	// (OpenStream), or one whose client shall come back for it. "The server MAY
	// close the connection (without terminating the stream)" (25:basic/transports).
	// A stream that was not opened yet is opened and ended.
	End()
}

// Dispatcher is what stands above the transports: the gate.
type Dispatcher interface {
	// Opened is called for a new Link, on its loop, before anything else.
	Opened(l *Link)
	// Dispatch handles a request. It is called on the connection's loop (stdio:
	// on a goroutine of its own, one line after the other) and must not block.
	// For a Link of SSE that is the loop of the POST: several may call at once, and
	// one that has just found the session may come after Closed.
	Dispatch(r *Request, s Stream)
	// Drain is called once when the server shuts down, on l's loop: a Link with
	// nothing in flight should be closed soon. A Link that comes into being
	// later is drained at once.
	Drain(l *Link)
	// Closed is called exactly once after the last Dispatch, on l's loop. why is
	// nil after an orderly end, else what the loop says: loop.ErrNoPong, say.
	Closed(l *Link, why error)
}
