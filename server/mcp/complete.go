package mcp

import (
	"context"
	"strconv"

	"millrace/codec/jsonrpc"
)

// maxCompletions is how many values a completion may have: "Maximum 100 items
// per response" (server/utilities/completion).
const maxCompletions = 100

// CompleteParams are the parameters of completion/complete.
type CompleteParams struct {
	Meta `json:"_meta,omitempty"`
	// Argument is what is being typed.
	Argument CompleteParamsArgument `json:"argument"`
	// Context is what has been filled in before; from 2025-06-18 on, may be nil.
	Context *CompleteContext `json:"context,omitempty"`
	// Ref is whose argument it is; never nil in a handler.
	Ref *CompleteReference `json:"ref"`
}

// CompleteParamsArgument is an argument of a prompt, or a variable of a resource
// template, that is being typed.
type CompleteParamsArgument struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CompleteContext is what a client has filled in already.
type CompleteContext struct {
	Arguments map[string]string `json:"arguments,omitempty"`
}

// CompleteReference names what a completion is for.
type CompleteReference struct {
	// Type is "ref/prompt" or "ref/resource".
	Type string `json:"type"`
	// Name is that of the prompt.
	Name string `json:"name,omitempty"`
	// URI is that of a resource, or the template.
	URI string `json:"uri,omitempty"`
}

// CompleteResult is the result of completion/complete.
type CompleteResult struct {
	Meta       `json:"_meta,omitempty"`
	Completion CompletionResultDetails `json:"completion"`
}

// CompletionResultDetails are the suggestions, the best one first. Of more than
// 100 Values the first 100 are sent, with HasMore and Total set.
type CompletionResultDetails struct {
	HasMore bool     `json:"hasMore,omitempty"`
	Total   int      `json:"total,omitempty"`
	Values  []string `json:"values"`
}

func (*CompleteParams) isParams() {}
func (*CompleteResult) isResult() {}

func decodeComplete(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[CompleteParams](s, c)
	if err := f.decode(c); err != nil {
		return nil, err
	}
	ref := f.params.Ref
	switch {
	case ref == nil:
		return nil, wrongType("params.ref", "an object")
	case ref.Type == "ref/prompt" && ref.Name != "", ref.Type == "ref/resource" && ref.URI != "":
	default:
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: `params.ref must have the type "ref/prompt" and a name, or "ref/resource" and a uri`,
		}
	}
	if f.params.Argument.Name == "" || jsonrpc.Member(jsonrpc.Member(c.Params, "argument"), "value") == nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "params.argument needs a name and a value"}
	}
	if c.rev < rev20250618 {
		f.params.Context = nil
	}
	return &f.request, nil
}

// handleComplete asks the server's handler about what the caller can see:
// "Control access to sensitive suggestions".
func handleComplete(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*CompleteRequest)
	s := req.Session.server
	if s.opts.CompletionHandler == nil { // middleware may have come here
		return nil, methodNotFound()
	}
	if err := s.checkReference(ctx, req); err != nil {
		return nil, err
	}
	res, err := s.opts.CompletionHandler(ctx, req)
	if err != nil {
		return nil, err
	}
	if res == nil {
		res = &CompleteResult{}
	}
	return res.trimmed(), nil
}

func (s *Server) checkReference(ctx context.Context, req *CompleteRequest) error {
	reg, ref := s.snapshot(), req.Params.Ref
	if ref.Type == "ref/prompt" {
		if p := reg.prompts.byKey[ref.Name]; p != nil && sees(s.visiblePrompts(ctx, req.caller()), p) {
			return nil
		}
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "unknown prompt " + strconv.Quote(shortName(ref.Name))}
	}
	if t := reg.templates.byKey[ref.URI]; t != nil && sees(s.visibleTemplates(ctx, req.caller()), t) {
		return nil
	}
	if s.exists(ctx, req.caller(), ref.URI) {
		return nil
	}
	return notFoundFor(ResourceNotFoundError(ref.URI), req.Session.call.rev)
}

// trimmed is r with at most maxCompletions values, and never null ones.
func (r *CompleteResult) trimmed() *CompleteResult {
	v := *r
	d := &v.Completion
	if n := len(d.Values); n > maxCompletions {
		d.Values, d.HasMore, d.Total = d.Values[:maxCompletions], true, max(d.Total, n)
	}
	if d.Values == nil {
		d.Values = []string{}
	}
	return &v
}
