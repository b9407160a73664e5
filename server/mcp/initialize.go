package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"millrace/codec/jsonrpc"
)

// InitializeParams are the parameters of initialize, or what a request of the
// stateless era says of its client.
type InitializeParams struct {
	Meta            `json:"_meta,omitempty"`
	Capabilities    *ClientCapabilities `json:"capabilities"`
	ClientInfo      *Implementation     `json:"clientInfo"`
	ProtocolVersion string              `json:"protocolVersion"`
}

// InitializeResult is the result of initialize.
type InitializeResult struct {
	Meta            `json:"_meta,omitempty"`
	Capabilities    *ServerCapabilities `json:"capabilities"`
	Instructions    string              `json:"instructions,omitempty"`
	ProtocolVersion string              `json:"protocolVersion"`
	ServerInfo      *Implementation     `json:"serverInfo"`
}

// InitializedParams are the parameters of notifications/initialized.
type InitializedParams struct {
	Meta `json:"_meta,omitempty"`
}

func (*InitializeParams) isParams()  {}
func (*InitializedParams) isParams() {}
func (*InitializeResult) isResult()  {}

// What a client says of itself stays with its session, decoded: it is bounded in
// bytes, and in values, because the shortest ones, such as {}, take 25 times their
// length in memory.
const (
	maxInitialize       = 128 << 10
	maxInitializeValues = 1024
)

func decodeInitialize(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[InitializeParams](s, c)
	// The params outlive the call: they stay with the session.
	f.request.Params = new(InitializeParams)
	if len(c.Params) > maxInitialize {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(
			"the params of initialize have %d bytes; %d are allowed", len(c.Params), maxInitialize)}
	}
	if n := mostValues(c.Params); n > maxInitializeValues {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(
			"the params of initialize have up to %d values; %d are allowed", n, maxInitializeValues)}
	}
	if err := strict.Unmarshal(c.Params, f.request.Params); err != nil && len(c.Params) > 0 {
		return nil, invalidParams(c.Method, json.Unmarshal(c.Params, new(InitializeParams)))
	} else if f.request.Params.ProtocolVersion == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "initialize needs params.protocolVersion"}
	}
	if c.Session == nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "initialize needs a session"}
	}
	return &f.request, nil
}

// mostValues is how many values there may be in raw, JSON: a few more than there
// are, as it does not look for strings.
func mostValues(raw []byte) (n int) {
	for _, sep := range [...]string{"{", "[", ","} {
		n += bytes.Count(raw, []byte(sep))
	}
	return n
}

func handleInitialize(_ context.Context, _ string, req Request) (Result, error) {
	r := req.(*InitializeRequest)
	rev := negotiate(r.Params.ProtocolVersion)
	if !r.Session.open(r.Params, rev) {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "the session is already initialized"}
	}
	s := r.Session.server
	caps := s.capabilities(false)
	if rev < rev20250326 {
		caps.Completions = nil // has the method, not the capability
	}
	return &InitializeResult{
		Capabilities:    caps,
		Instructions:    s.opts.Instructions,
		ProtocolVersion: rev.version(),
		ServerInfo:      s.impl.at(rev),
	}, nil
}

func handleInitialized(ctx context.Context, _ string, req Request) (Result, error) {
	r := req.(*InitializedRequest)
	s := r.Session.server
	r.Session.ready.Store(true)
	if s.opts.InitializedHandler != nil {
		s.opts.InitializedHandler(ctx, r)
	}
	return nil, nil
}

func handleRootsChanged(ctx context.Context, _ string, req Request) (Result, error) {
	r := req.(*RootsListChangedRequest)
	if h := r.Session.server.opts.RootsListChangedHandler; h != nil {
		h(ctx, r)
	}
	return nil, nil
}
