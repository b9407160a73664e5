package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"millrace/codec/jsonrpc"
)

// maxRounds bounds how often one handler is run again with answers on behalf of
// a client that does not do that itself.
const maxRounds = 32

// ErrInputRequired is what the asking methods of a request return when the
// client has yet to be asked: the handler should return at once, with this error
// or any other result. It is run again, from its start, when the answers are
// there; what it did before the question is then done again, see
// ServerRequest.Elicit.
var ErrInputRequired = errors.New("mcp: input of the client is required")

var errNoURLs = errors.New("the user has to open a URL, which clients of this protocol version cannot be asked for")

var errTooManyRounds = errors.New("mcp: the handler asks for input again and again")

// interactive is a result that may ask for input instead: "Servers MAY send
// InputRequiredResult responses on ... prompts/get, resources/read, tools/call"
// (2026-07-28, basic/patterns/mrtr).
type interactive interface {
	Result
	// wants returns what the handler asks for in its result.
	wants() (requests InputRequestMap, state string)
	// asking returns a result of the same type that asks.
	asking(requests InputRequestMap, state string) interactive
	isNil() bool
	// appendMembers appends the members that are the result's own.
	appendMembers(dst []byte, rev revision) ([]byte, error)
}

// interactiveParams are the params of a method with such results.
type interactiveParams interface {
	Params
	setInput(InputResponseMap, string)
}

func (p *CallToolParamsRaw) setInput(r InputResponseMap, state string) {
	p.InputResponses, p.RequestState = r, state
}

func (p *GetPromptParams) setInput(r InputResponseMap, state string) {
	p.InputResponses, p.RequestState = r, state
}

func (p *ReadResourceParams) setInput(r InputResponseMap, state string) {
	p.InputResponses, p.RequestState = r, state
}

func (r *CallToolResult) isNil() bool     { return r == nil }
func (r *GetPromptResult) isNil() bool    { return r == nil }
func (r *ReadResourceResult) isNil() bool { return r == nil }

func (r *CallToolResult) wants() (InputRequestMap, string)  { return r.InputRequests, r.RequestState }
func (r *GetPromptResult) wants() (InputRequestMap, string) { return r.InputRequests, r.RequestState }
func (r *ReadResourceResult) wants() (InputRequestMap, string) {
	return r.InputRequests, r.RequestState
}

func (*CallToolResult) asking(q InputRequestMap, state string) interactive {
	return &CallToolResult{InputRequests: q, RequestState: state}
}

func (*GetPromptResult) asking(q InputRequestMap, state string) interactive {
	return &GetPromptResult{InputRequests: q, RequestState: state}
}

func (*ReadResourceResult) asking(q InputRequestMap, state string) interactive {
	return &ReadResourceResult{InputRequests: q, RequestState: state}
}

// converse runs a handler, and brings it and its client together where it asks
// for something: on 2026-07-28 by a result that the client answers with a new
// request; in a session, and in a task, by asking and running it again.
func converse[P interactiveParams, R interactive](ctx context.Context, req *ServerRequest[P], run func() (R, error)) (Result, error) {
	call := req.Session.call
	var none R
	for range maxRounds {
		call.beginRun()
		res, err := run()
		if asked := call.questions(); asked != nil {
			state, err := call.sealState(asked, "")
			return none.asking(asked, state), err
		}
		requests, state := urlsRequired(err), ""
		switch {
		case requests != nil && call.rev < rev20251125:
			return nil, errNoURLs // a code that the client has never heard of
		case requests != nil && !call.rev.modern():
			if err := call.mayAsk(requests); err != nil {
				return nil, err
			}
			return nil, err
		case requests != nil:
			// What sessions of 2025-11-25 get as an error is a question here.
		case err != nil:
			return nil, err
		case res.isNil():
			return none.asking(nil, ""), nil
		default:
			if requests, state = res.wants(); requests == nil && state == "" {
				return res, nil
			}
		}
		if err := call.mayAsk(requests); err != nil {
			return nil, err
		}
		if call.askedByResult() {
			sealed, err := call.sealState(requests, state)
			return none.asking(requests, sealed), err
		}
		answers, err := call.askAnew(ctx, requests)
		if err != nil {
			return nil, err
		}
		req.Params.setInput(answers, state)
	}
	return nil, errTooManyRounds
}

// urlsRequired are the questions of a URLElicitationRequiredError.
func urlsRequired(err error) InputRequestMap {
	e, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok || e == nil || e.Code != CodeURLElicitationRequired {
		return nil
	}
	raw, ok := e.Data.(json.RawMessage)
	if !ok {
		return nil
	}
	var data struct {
		Elicitations []*ElicitParams `json:"elicitations"`
	}
	if json.Unmarshal(raw, &data) != nil || len(data.Elicitations) == 0 {
		return nil
	}
	m := make(InputRequestMap, len(data.Elicitations))
	for _, p := range data.Elicitations {
		if p == nil {
			return nil
		}
		m[p.ElicitationID] = p
	}
	return m
}

// appendInputRequired appends the members of a result that asks.
func appendInputRequired(dst []byte, requests InputRequestMap, state string, rev revision) ([]byte, error) {
	if len(requests) > 0 {
		dst = append(dst, `"inputRequests":{`...)
		var err error
		first := true
		for _, key := range sortedKeys(requests) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(jsonrpc.AppendString(dst, key), ':')
			if dst, err = appendInputRequest(dst, requests[key], rev); err != nil {
				return dst, fmt.Errorf("inputRequests[%q]: %w", key, err)
			}
		}
		dst = append(dst, `},`...)
	}
	if state != "" {
		dst = append(dst, `"requestState":`...)
		dst = jsonrpc.AppendString(dst, state)
	}
	return dst, nil
}

// missingCapability is the error for a client that cannot be asked. 2026-07-28,
// schema: "For HTTP, the response status code MUST be 400 Bad Request".
func missingCapability(need *ClientCapabilities) *jsonrpc.Error {
	return &jsonrpc.Error{
		Code:    CodeMissingClientCapability,
		Message: "Missing required client capability",
		Data:    MissingRequiredClientCapabilityData{RequiredCapabilities: need},
	}
}
