package mcp

import (
	"context"
	"fmt"
)

// Elicit asks the user of the client, in the form of the official SDK. Within
// the handler of a call it is ServerRequest.Elicit with a key of its own, which
// counts the questions of the call: they must come in the same order in every
// run. Outside of calls it needs a session of 2025-06-18 or 2025-11-25 with a
// stream that the client has opened, and blocks the caller until ctx ends.
func (ss *ServerSession) Elicit(ctx context.Context, params *ElicitParams) (*ElicitResult, error) {
	return askAnywhere[*ElicitResult](ctx, ss, params)
}

// CreateMessage asks the model of the client; see Elicit.
func (ss *ServerSession) CreateMessage(ctx context.Context, params *CreateMessageParams) (*CreateMessageResult, error) {
	res, err := askAnywhere[*CreateMessageWithToolsResult](ctx, ss, params)
	if err != nil {
		return nil, err
	}
	return res.single()
}

// CreateMessageWithTools asks the model of the client, which may use tools; see
// Elicit.
func (ss *ServerSession) CreateMessageWithTools(ctx context.Context, params *CreateMessageWithToolsParams) (*CreateMessageWithToolsResult, error) {
	return askAnywhere[*CreateMessageWithToolsResult](ctx, ss, params)
}

// ListRoots asks the client for its roots; see Elicit.
func (ss *ServerSession) ListRoots(ctx context.Context, params *ListRootsParams) (*ListRootsResult, error) {
	if params == nil {
		params = &ListRootsParams{}
	}
	return askAnywhere[*ListRootsResult](ctx, ss, params)
}

// Ping asks the client of a session for a sign of life.
func (ss *ServerSession) Ping(ctx context.Context, _ *PingParams) error {
	to := ss.wayBack()
	if to == nil {
		return errNoWayBack
	}
	host, ok := to.(Host)
	if !ok {
		_, err := to.Request(ctx, methodPing, nil)
		return err
	}
	// The answer may need a worker: it must not find this one waiting for it.
	ctx, cancel := withPatience(ctx, ss.server.opts.InputTimeout)
	defer cancel()
	var failed error
	if err := host.Wait(func() { _, failed = host.Request(ctx, methodPing, nil) }); err != nil {
		return err
	}
	return failed
}

// wayBack is how requests reach the client of a session; nil: not at all.
func (ss *ServerSession) wayBack() Peer {
	if call := ss.running(); call != nil && call.id != nil { // a request, not a notification
		if call.host == nil || call.rev.modern() { // on an event loop nobody waits
			return nil
		}
		return call.host
	}
	return ss.peer
}

func askAnywhere[A InputResponse](ctx context.Context, ss *ServerSession, q InputRequest) (answer A, err error) {
	if call := ss.running(); call != nil && call.id != nil { // a request, not a notification
		return askOne[A](ctx, ss, call.autoKey(), q)
	}
	p := ss.InitializeParams()
	if err := checkInputRequest(q); err != nil {
		return answer, fmt.Errorf("mcp: %w", err)
	}
	to := ss.wayBack()
	if p == nil || to == nil {
		return answer, errNoWayBack
	}
	if !declares(p.Capabilities, q) {
		return answer, fmt.Errorf("the client cannot be asked: it has not declared the capability that %s needs", inputMethod(q))
	}
	res, err := request(ctx, to, q, ss.version)
	if err != nil {
		return answer, err
	}
	return res.(A), nil
}

// request sends q to the client of a session and returns its answer.
func request(ctx context.Context, to Peer, q InputRequest, rev revision) (InputResponse, error) {
	params, err := appendInputParams(nil, q, rev)
	if err != nil {
		return nil, err
	}
	raw, err := to.Request(ctx, inputMethod(q), params)
	if err != nil {
		return nil, err
	}
	return parseInputResponse(q, raw)
}
