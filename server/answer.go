package server

import (
	"errors"

	"millrace/codec/jsonrpc"
	"millrace/pool/buffer"
	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// Codes for what MCP does not define. The 2026-07-28 revision forbids new codes
// in the range that JSON-RPC reserves, so modern requests get codes outside it.
const (
	codeUnauthorized       = -32001
	codeOverloaded         = -32000
	codeUnauthorizedModern = -31001
	codeOverloadedModern   = -31000
)

// errorData is the data of errors that are not the client's fault, for programs
// that decide whether to try again.
type errorData struct {
	Type         string `json:"type"`
	RetryAfterMs int    `json:"retryAfterMs,omitempty"`
	// Scopes are those that are needed.
	Scopes []string `json:"scopes,omitempty"`
}

func invalidRequest(message string) *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: message}
}

func overloadError(modern bool, why error) *jsonrpc.Error {
	e := &jsonrpc.Error{
		Code: codeOverloaded, Message: "server is overloaded: try again soon",
		Data: errorData{Type: "overloaded", RetryAfterMs: 1000},
	}
	if why != nil {
		e.Message += " (" + why.Error() + ")"
	}
	if modern {
		e.Code = codeOverloadedModern
	}
	return e
}

// fail answers what is not a call with an error.
func (in *inbound) fail(status int, id []byte, e *jsonrpc.Error) {
	in.failWith(transport.Response{Status: status}, id, e)
}

func (in *inbound) failWith(r transport.Response, id []byte, e *jsonrpc.Error) {
	in.gate.counters.errors.Inc()
	r.Body = buffer.Get()
	r.Body.B = jsonrpc.AppendError(r.Body.B, id, e)
	in.gate.counters.sent.Inc()
	in.stream.Respond(r)
	in.done()
}

// accepted answers a notification on HTTP.
func (in *inbound) accepted() {
	in.stream.Respond(transport.Response{Status: 202})
	in.done()
}

// done releases the body of a request that no call has taken.
func (in *inbound) done() {
	if in.detached {
		in.req.Release()
	}
}

// unauthorized answers a request whose sender could not be identified.
func (in *inbound) unauthorized(err error) {
	modern := in.headerIsModern()
	if !errors.Is(err, auth.ErrUnauthenticated) && !errors.Is(err, auth.ErrMalformed) {
		in.gate.log.Error("authenticator failed", "conn", in.conn.link.ID, "err", err)
		in.gate.counters.overloaded.Inc()
		in.failWith(transport.Response{Status: 503, RetryAfter: 1}, nil, overloadError(modern, errors.New("cannot verify credentials")))
		return
	}
	// What err adds is for the log: it may tell what the credential was.
	in.gate.log.Debug("unauthenticated", "conn", in.conn.link.ID, "err", err)
	e := &jsonrpc.Error{Code: codeUnauthorized, Message: auth.ErrUnauthenticated.Error(), Data: errorData{Type: "unauthorized"}}
	if modern {
		e.Code = codeUnauthorizedModern
	}
	in.gate.counters.unauthorized.Inc()
	r := transport.Response{Status: 401}
	switch {
	case errors.Is(err, auth.ErrMalformed):
		r.Status, e.Message = 400, auth.ErrMalformed.Error()
		r.Challenge = in.gate.resource.challenge("invalid_request", nil)
	case errors.Is(err, auth.ErrInvalidToken):
		e.Message = auth.ErrInvalidToken.Error()
		r.Challenge = in.gate.resource.challenge("invalid_token", in.gate.resource.scopes)
	default:
		r.Challenge = in.gate.resource.challenge("", in.gate.resource.scopes)
	}
	in.failWith(r, nil, e)
}

// overloaded answers a message that no worker can read now. Only for a known
// sender it is read: for its id, without which the answer means nothing on a
// shared connection, and because a worker may wait for it.
func (in *inbound) overloaded(why error) {
	in.gate.counters.overloaded.Inc()
	modern := in.headerIsModern()
	var id []byte
	if in.who != nil && in.req.Kind == transport.Message {
		msg, err := jsonrpc.Parse(in.req.Body, nil)
		if err == nil && msg.Kind != jsonrpc.KindRequest && in.conn.shared() {
			in.unread(&msg, why)
			return
		}
		id = msg.ID
		if meta, err := mcp.ParseMeta(msg.Params); err == nil {
			modern = in.isModern(&msg, &meta)
		}
	}
	in.failWith(transport.Response{Status: 503, RetryAfter: 1}, id, overloadError(modern, why))
}

// unread handles a message that wants no answer when no worker can read it: what
// may free one is handled all the same, because it is read now.
func (in *inbound) unread(msg *jsonrpc.Message, why error) {
	switch {
	case msg.Kind != jsonrpc.KindNotification:
		in.response(msg)
		return
	case string(msg.Method) == "notifications/cancelled":
		in.notification(msg)
		return
	}
	in.gate.log.Warn("message dropped", "conn", in.conn.link.ID, "kind", msg.Kind.String(), "err", why)
	in.done()
}

// headerIsModern reports whether the HTTP header names a revision that has no
// sessions.
func (in *inbound) headerIsModern() bool {
	h := in.req.Header
	return h != nil && h.ProtocolVersion != nil && !isLegacyVersion(h.ProtocolVersion)
}

// isLegacyVersion reports whether v is a revision with an initialize handshake.
func isLegacyVersion(v []byte) bool {
	switch string(v) {
	case mcp.Version20251125, mcp.Version20250618, mcp.Version20250326, mcp.Version20241105:
		return true
	}
	return false
}

// nullID reports whether an error whose id could not be read has "id": null.
// "Error responses MUST include the same ID as the request they correspond to
// (except in error cases where the ID could not be read...)": before
// 2025-11-25 the schema demanded an id, and JSON-RPC wants null there.
func (in *inbound) nullID() bool {
	version := mcp.Version20251125 // on a connection that has not said which: the newest that may be meant
	if s := in.boundSession(); s != nil {
		version = s.mcp.Version()
	}
	if h := in.req.Header; h != nil {
		switch version = string(h.ProtocolVersion); {
		case h.ProtocolVersion != nil && !isLegacyVersion(h.ProtocolVersion):
			return false
		case h.ProtocolVersion == nil:
			// "the server SHOULD assume protocol version 2025-03-26"
			// (25:basic/transports), unless the session knows better.
			version = mcp.Version20250326
			if s, fail := in.find(h); fail == nil {
				version = s.mcp.Version()
			}
		}
	}
	return version < mcp.Version20251125
}

// boundSession is the legacy session of a WebSocket or stdio connection.
func (in *inbound) boundSession() *legacySession {
	in.conn.mu.Lock()
	defer in.conn.mu.Unlock()
	return in.conn.session
}
