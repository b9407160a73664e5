package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"millrace/codec/jsonrpc"
)

// Prompt describes a prompt, or a template of one, to clients.
type Prompt struct {
	Meta `json:"_meta,omitempty"`
	// Arguments are what the prompt can be filled in with.
	Arguments []*PromptArgument `json:"arguments,omitempty"`
	// Description is for people and models.
	Description string `json:"description,omitempty"`
	// Name is unique in the server; at most 8 KiB.
	Name string `json:"name"`
	// Title is for people; from 2025-06-18 on.
	Title string `json:"title,omitempty"`
	// Icons: from 2025-11-25 on.
	Icons []Icon `json:"icons,omitempty"`
}

// PromptArgument describes an argument of a prompt.
type PromptArgument struct {
	Name string `json:"name"`
	// Title is for people; from 2025-06-18 on.
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Required: a prompts/get without the argument is refused.
	Required bool `json:"required,omitempty"`
}

// PromptMessage is one message of a prompt.
type PromptMessage struct {
	// Content is any kind of content that a tool may return.
	Content Content `json:"content"`
	Role    Role    `json:"role"`
}

// GetPromptParams are the parameters of prompts/get.
type GetPromptParams struct {
	Meta      `json:"_meta,omitempty"`
	Arguments map[string]string `json:"arguments,omitempty"`
	Name      string            `json:"name"`

	// InputResponses and RequestState are as in CallToolParamsRaw.
	InputResponses InputResponseMap `json:"-"`
	RequestState   string           `json:"-"`
}

// GetPromptResult is the result of prompts/get.
type GetPromptResult struct {
	Meta        `json:"_meta,omitempty"`
	Description string           `json:"description,omitempty"`
	Messages    []*PromptMessage `json:"messages"`

	// InputRequests and RequestState are as in CallToolResult.
	InputRequests InputRequestMap `json:"inputRequests,omitempty"`
	RequestState  string          `json:"requestState,omitempty"`
}

// PromptHandler makes the messages of a prompt. The arguments that the prompt
// requires are there. req and what it holds may be kept; ctx ends with the
// call. An error is answered as a JSON-RPC error: itself if it is a
// *jsonrpc.Error, otherwise with code -32603 and its text. The handler runs on a
// goroutine of the pool and may block.
type PromptHandler func(ctx context.Context, req *GetPromptRequest) (*GetPromptResult, error)

func (*GetPromptParams) isParams() {}
func (*GetPromptResult) isResult() {}

// GetProgressToken returns the client's token, a string or float64, or nil.
func (p *GetPromptParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// NeedsInput reports whether the result asks the client for input.
func (r *GetPromptResult) NeedsInput() bool { return r.InputRequests != nil }

// serverPrompt is a registered prompt. It is immutable.
type serverPrompt struct {
	prompt    *Prompt
	handler   PromptHandler
	tail      entryTail
	arguments [2][]byte // without and with titles
	bytes     int
}

// AddPrompt adds a prompt, or replaces the one of the same name. p must not be
// changed afterwards. It panics when the prompt cannot be offered.
func (s *Server) AddPrompt(p *Prompt, h PromptHandler) {
	sp, err := newPrompt(p, h)
	if err == nil && h == nil {
		err = errors.New("the handler is nil")
	}
	if err != nil {
		panic(fmt.Sprintf("mcp: AddPrompt %q: %v", p.Name, err))
	}
	add(s, promptKind, s.prompts, sp)
}

func newPrompt(p *Prompt, h PromptHandler) (*serverPrompt, error) {
	if p.Name == "" {
		return nil, errors.New("a prompt needs a Name")
	}
	if len(p.Name) > maxURI { // or there could be no cursor behind it
		return nil, fmt.Errorf("Name has %d bytes; %d are allowed", len(p.Name), maxURI)
	}
	sp := &serverPrompt{prompt: p, handler: h}
	var err error
	if sp.tail, err = encodeTail(nil, p.Icons, p.Meta); err != nil {
		return nil, err
	}
	if len(p.Arguments) > 0 {
		plain := make([]PromptArgument, 0, len(p.Arguments))
		for _, a := range p.Arguments {
			if a == nil || a.Name == "" {
				return nil, errors.New("an argument needs a Name")
			}
			if slices.ContainsFunc(plain, func(other PromptArgument) bool { return other.Name == a.Name }) {
				return nil, fmt.Errorf("two arguments are called %q", a.Name)
			}
			untitled := *a
			untitled.Title = ""
			plain = append(plain, untitled)
		}
		if sp.arguments[0], err = json.Marshal(plain); err != nil {
			return nil, err
		}
		if sp.arguments[1], err = json.Marshal(p.Arguments); err != nil {
			return nil, err
		}
	}
	sp.bytes = len(sp.appendFeature(nil, newest))
	return sp, nil
}

func (p *serverPrompt) key() string { return p.prompt.Name }
func (p *serverPrompt) size() int   { return p.bytes }

func (p *serverPrompt) appendFeature(dst []byte, rev revision) []byte {
	dst = append(dst, `{"name":`...)
	dst = jsonrpc.AppendString(dst, p.prompt.Name)
	arguments := p.arguments[0]
	if rev >= rev20250618 {
		dst = appendMember(dst, `,"title":`, p.prompt.Title)
		arguments = p.arguments[1]
	}
	dst = appendMember(dst, `,"description":`, p.prompt.Description)
	dst = appendRaw(dst, `,"arguments":`, arguments)
	return p.tail.append(dst, rev)
}

func decodeGetPrompt(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[GetPromptParams](s, c)
	if err := f.decode(c); err != nil {
		return nil, err
	}
	p := &f.params
	if p.Name == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "prompts/get needs params.name, a string"}
	}
	// A map of strings encodes always, and in one way only.
	f.call.subject = p.Name
	if c.Modern && len(p.Arguments) > 0 {
		f.call.arguments, _ = json.Marshal(p.Arguments)
	}
	return f.interactive(c, &p.InputResponses, &p.RequestState)
}

// handleGetPrompt finds a prompt and runs its handler.
func handleGetPrompt(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*GetPromptRequest)
	s := req.Session.server
	p := s.snapshot().prompts.byKey[req.Params.Name]
	if p == nil || !sees(s.visiblePrompts(ctx, req.caller()), p) {
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: "unknown prompt " + strconv.Quote(shortName(req.Params.Name)),
		}
	}
	for _, a := range p.prompt.Arguments {
		if _, ok := req.Params.Arguments[a.Name]; a.Required && !ok {
			return nil, &jsonrpc.Error{
				Code:    jsonrpc.CodeInvalidParams,
				Message: fmt.Sprintf("prompt %q needs the argument %q", p.prompt.Name, a.Name),
			}
		}
	}
	return converse(ctx, req, func() (*GetPromptResult, error) { return p.handler(ctx, req) })
}

var errNilMessage = errors.New("a message of the prompt, or its content, is nil")

// appendMembers appends the members of r that are its own.
func (r *GetPromptResult) appendMembers(dst []byte, rev revision) ([]byte, error) {
	if r.Description != "" {
		dst = append(dst, `"description":`...)
		dst = append(jsonrpc.AppendString(dst, r.Description), ',')
	}
	dst = append(dst, `"messages":[`...)
	var err error
	for i, m := range r.Messages {
		if m == nil || m.Content == nil {
			return dst, errNilMessage
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"role":`...)
		dst = jsonrpc.AppendString(dst, string(m.Role))
		dst = append(dst, `,"content":`...)
		if dst, err = m.Content.appendContent(dst, rev); err != nil {
			return dst, err
		}
		dst = append(dst, '}')
	}
	return append(dst, ']'), nil
}
