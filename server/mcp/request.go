package mcp

import (
	"encoding/json"
	"errors"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
)

// Request is a request or notification with its session, as middleware sees
// it: a *ServerRequest of the method's params.
type Request interface {
	// GetSession returns the client's session, a *ServerSession.
	GetSession() Session
	// GetParams returns the params, never nil.
	GetParams() Params
	// GetExtra returns what is known beside the message.
	GetExtra() *RequestExtra

	isRequest()
}

// Session is what is common to sessions; *ServerSession is the only one.
type Session interface {
	// ID returns the session's id, "" when it has none.
	ID() string

	isSession()
}

// Params are the parameters of a method.
type Params interface {
	// GetMeta returns the _meta object.
	GetMeta() map[string]any
	// SetMeta replaces the _meta object.
	SetMeta(map[string]any)

	isParams()
}

// RequestParams are the parameters of a request, which may ask for progress.
type RequestParams interface {
	Params
	// GetProgressToken returns the token, nil when there is none.
	GetProgressToken() any
}

// Result is the result of a method.
type Result interface {
	// GetMeta returns the _meta object.
	GetMeta() map[string]any
	// SetMeta replaces the _meta object.
	SetMeta(map[string]any)

	isResult()
}

// ServerRequest is a message from a client (for receiving middleware and
// handlers) or to one (for sending middleware).
type ServerRequest[P Params] struct {
	Session *ServerSession
	Params  P
	Extra   *RequestExtra
}

// The requests of the protocol.
type (
	// CallToolRequest is a tools/call.
	CallToolRequest = ServerRequest[*CallToolParamsRaw]
	// ListToolsRequest is a tools/list.
	ListToolsRequest = ServerRequest[*ListToolsParams]
	// InitializeRequest is an initialize.
	InitializeRequest = ServerRequest[*InitializeParams]
	// InitializedRequest is a notifications/initialized.
	InitializedRequest = ServerRequest[*InitializedParams]
	// DiscoverRequest is a server/discover.
	DiscoverRequest = ServerRequest[*DiscoverParams]
	// ListPromptsRequest is a prompts/list.
	ListPromptsRequest = ServerRequest[*ListPromptsParams]
	// GetPromptRequest is a prompts/get.
	GetPromptRequest = ServerRequest[*GetPromptParams]
	// ListResourcesRequest is a resources/list.
	ListResourcesRequest = ServerRequest[*ListResourcesParams]
	// ListResourceTemplatesRequest is a resources/templates/list.
	ListResourceTemplatesRequest = ServerRequest[*ListResourceTemplatesParams]
	// ReadResourceRequest is a resources/read.
	ReadResourceRequest = ServerRequest[*ReadResourceParams]
	// SubscribeRequest is a resources/subscribe.
	SubscribeRequest = ServerRequest[*SubscribeParams]
	// UnsubscribeRequest is a resources/unsubscribe.
	UnsubscribeRequest = ServerRequest[*UnsubscribeParams]
	// SubscriptionsListenRequest is a subscriptions/listen.
	SubscriptionsListenRequest = ServerRequest[*SubscriptionsListenParams]
	// CompleteRequest is a completion/complete.
	CompleteRequest = ServerRequest[*CompleteParams]
	// RootsListChangedRequest is a notifications/roots/list_changed.
	RootsListChangedRequest = ServerRequest[*RootsListChangedParams]
)

// RequestExtra is what is known of a request beside the message.
type RequestExtra struct {
	// Principal is who sent the request, or for a notification to a client the
	// request that it belongs to: auth.Anonymous when it belongs to none. Never nil.
	Principal *auth.Principal
}

func (*ServerRequest[P]) isRequest() {}

// GetSession returns r.Session.
func (r *ServerRequest[P]) GetSession() Session { return r.Session }

// GetParams returns r.Params.
func (r *ServerRequest[P]) GetParams() Params { return r.Params }

// GetExtra returns r.Extra.
func (r *ServerRequest[P]) GetExtra() *RequestExtra { return r.Extra }

// ProtocolVersion returns the revision of the request, or "" before one is
// negotiated.
func (r *ServerRequest[P]) ProtocolVersion() string { return r.Session.Version() }

// ClientInfo returns who the client says it is, or nil.
func (r *ServerRequest[P]) ClientInfo() *Implementation {
	if p := r.Session.InitializeParams(); p != nil {
		return p.ClientInfo
	}
	return nil
}

// ClientCapabilities returns what the client has declared, or nil.
func (r *ServerRequest[P]) ClientCapabilities() *ClientCapabilities {
	if p := r.Session.InitializeParams(); p != nil {
		return p.Capabilities
	}
	return nil
}

// ClientExtension returns the settings that the client declares for an
// extension; ok is false when it does not know it.
func (r *ServerRequest[P]) ClientExtension(id string) (settings map[string]any, ok bool) {
	caps := r.ClientCapabilities()
	if caps == nil {
		return nil, false
	}
	v, ok := caps.Extensions[id]
	settings, _ = v.(map[string]any)
	return settings, ok
}

// PingParams are the parameters of ping.
type PingParams struct {
	Meta `json:"_meta,omitempty"`
}

func (*PingParams) isParams() {}

// emptyResult is the result of methods that answer nothing.
type emptyResult struct {
	Meta `json:"_meta,omitempty"`
}

func (*emptyResult) isResult() {}

// frame is all that a handler gets of one request, in one allocation.
type frame[T any, P interface {
	*T
	Params
}] struct {
	request ServerRequest[P]
	params  T
	extra   RequestExtra
	session ServerSession
	call    activeCall
}

// newFrame makes the request for c, with zero params.
func newFrame[T any, P interface {
	*T
	Params
}](s *Server, c *Call) *frame[T, P] {
	f := new(frame[T, P])
	f.call.start(s, c)
	f.session.call = &f.call
	if c.Session != nil {
		f.session.sessionState = c.Session.sessionState
	} else {
		f.session.sessionState = s.stateless
	}
	f.extra.Principal = f.call.principal
	f.call.session = &f.session
	f.request = ServerRequest[P]{Session: &f.session, Params: &f.params, Extra: &f.extra}
	c.active = &f.call
	return f
}

// decode decodes the params of c, absent ones as the zero value, with names in
// their exact case. Of _meta only what is not the protocol's own stays; what
// results stays good after the call.
func (f *frame[T, P]) decode(c *Call) *jsonrpc.Error {
	params := P(&f.params)
	if len(c.Params) > 0 {
		if strict.Unmarshal(c.Params, params) != nil {
			// encoding/json tells what is wrong without quoting the input.
			var again T
			return invalidParams(c.Method, json.Unmarshal(c.Params, &again))
		}
	}
	params.SetMeta(nil)
	if c.Meta.custom {
		params.SetMeta(decodeMeta(c.Meta.raw))
	}
	return nil
}

// decodeParams is the decode of methods whose params need no further check.
func decodeParams[T any, P interface {
	*T
	Params
}](s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[T, P](s, c)
	if err := f.decode(c); err != nil {
		return nil, err
	}
	return &f.request, nil
}

// invalidParams is the error for params that cannot be decoded. It names the
// field, not the value.
func invalidParams(method string, err error) *jsonrpc.Error {
	message := "invalid params of " + method
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		message += ": " + wrong.Field + " must not be a JSON " + wrong.Value
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: message}
}

// errorFor is the error object for what a handler returned, with a code of rev:
// 2026-07-28 keeps the codes of older revisions "reserved and ... never reused".
func errorFor(err error, rev revision) *jsonrpc.Error {
	e := asError(err)
	if !rev.modern() || e.Code != codeResourceNotFoundLegacy && e.Code != CodeURLElicitationRequired {
		return e
	}
	newer := *e
	newer.Code = jsonrpc.CodeInternal
	if e.Code == codeResourceNotFoundLegacy {
		newer.Code = jsonrpc.CodeInvalidParams
	}
	return &newer
}

// asError is the error object for what a handler returned: itself when it is a
// *jsonrpc.Error, otherwise an internal error with its text.
func asError(err error) *jsonrpc.Error {
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok && e != nil {
		return e
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: err.Error()}
}
