package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp/schema"
)

// Tool describes a tool to clients and to the engine.
type Tool struct {
	Meta        `json:"_meta,omitempty"`
	Annotations *ToolAnnotations `json:"annotations,omitempty"`
	// Description is for models.
	Description string `json:"description,omitempty"`
	// InputSchema is the JSON Schema of the arguments, whose type must be
	// "object": a *jsonschema.Schema, a json.RawMessage, or any other value
	// that encoding/json makes a schema of. AddTool infers it when nil.
	InputSchema any `json:"inputSchema"`
	// Name is unique in the server, ^[A-Za-z0-9_.-]{1,128}$.
	Name string `json:"name"`
	// OutputSchema is the JSON Schema of CallToolResult.StructuredContent, like
	// InputSchema; nil: none. Clients before 2026-07-28 see it when its type is
	// "object".
	OutputSchema any `json:"outputSchema,omitempty"`
	// Title is for people; from 2025-06-18 on.
	Title string `json:"title,omitempty"`
	// Icons: from 2025-11-25 on.
	Icons []Icon `json:"icons,omitempty"`

	// Class is where the handler runs. Default: ClassBlocking.
	Class Class `json:"-"`
	// Timeout is how long a call may take. Default: ServerOptions.ToolTimeout;
	// negative: no limit. The handler's context ends with it. It does not hold
	// for ClassInline, nor for the part of a call that is a task.
	Timeout time.Duration `json:"-"`
	// Task is whether calls may become tasks. Default: TaskNever.
	Task TaskMode `json:"-"`
}

// ToolAnnotations are hints on what a tool does; from 2025-03-26 on.
type ToolAnnotations struct {
	// DestructiveHint: the tool may destroy something. Default: true.
	DestructiveHint *bool `json:"destructiveHint,omitempty"`
	// IdempotentHint: calling again with the same arguments changes nothing more.
	IdempotentHint bool `json:"idempotentHint,omitempty"`
	// OpenWorldHint: the tool deals with things outside. Default: true.
	OpenWorldHint *bool `json:"openWorldHint,omitempty"`
	// ReadOnlyHint: the tool changes nothing.
	ReadOnlyHint bool `json:"readOnlyHint,omitempty"`
	// Title is for people.
	Title string `json:"title,omitempty"`
}

// ToolHandler runs a tool on raw arguments, which match the input schema and
// have its defaults filled in. req and what it holds may be kept. ctx ends
// when the client cancels, at the tool's timeout, and with the call.
//
// An error is answered as a JSON-RPC error: itself if it is a *jsonrpc.Error,
// otherwise with code -32603 and its text. For errors that the model should
// read, return a result with SetError. A nil result without error is an empty
// one.
type ToolHandler func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error)

// ToolHandlerFor runs a tool on decoded arguments. Both results may be left
// zero: out goes to StructuredContent (unless Out is any and out nil) and, when
// the result has no Content, as text to Content.
//
// An error becomes an isError result with its text, so that the model can read
// it; a *jsonrpc.Error is answered as such.
type ToolHandlerFor[In, Out any] func(ctx context.Context, req *CallToolRequest, in In) (result *CallToolResult, out Out, err error)

// CallToolParams are the parameters of tools/call, as a client makes them.
type CallToolParams struct {
	Meta      `json:"_meta,omitempty"`
	Name      string `json:"name"`
	Arguments any    `json:"arguments,omitempty"`
}

// CallToolParamsRaw are the parameters of tools/call, as a handler gets them.
type CallToolParamsRaw struct {
	// Meta is nil when it would hold nothing but the protocol's own members;
	// those are read with the methods of the request.
	Meta      `json:"_meta,omitempty"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`

	// InputResponses are the client's answers to the InputRequests of an earlier
	// result, and RequestState is the state that the result carried. What does not
	// answer what was asked is left out.
	InputResponses InputResponseMap `json:"-"`
	RequestState   string           `json:"-"`
}

// CallToolResult is the result of a tool.
type CallToolResult struct {
	Meta `json:"_meta,omitempty"`
	// Content is what the model reads.
	Content []Content `json:"content"`
	// StructuredContent is any value that marshals to JSON, or a
	// json.RawMessage; from 2025-06-18 on, and before 2026-07-28 only when it
	// is an object.
	StructuredContent any `json:"structuredContent,omitempty"`
	// IsError tells the model that the tool failed.
	IsError bool `json:"isError,omitempty"`

	// InputRequests, when not nil, ask the client for input instead of answering:
	// the handler is called again with its answers in the params, by key, and with
	// RequestState. On 2026-07-28 the client does that (the state travels with it,
	// sealed); for sessions and tasks the engine asks and calls again.
	// ServerRequest.Elicit and its siblings are an easier way to the same.
	InputRequests InputRequestMap `json:"inputRequests,omitempty"`
	RequestState  string          `json:"requestState,omitempty"`

	err error
}

func (*CallToolParams) isParams()    {}
func (*CallToolParamsRaw) isParams() {}
func (*CallToolResult) isResult()    {}

// GetProgressToken returns the client's token, a string or float64, or nil.
func (p *CallToolParamsRaw) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// GetProgressToken returns the token, or nil.
func (p *CallToolParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// SetError makes r tell of err. Content that is there stays.
func (r *CallToolResult) SetError(err error) {
	if len(r.Content) == 0 {
		r.Content = []Content{&TextContent{Text: err.Error()}}
	}
	r.IsError, r.err = true, err
}

// NeedsInput reports whether the result asks the client for input.
func (r *CallToolResult) NeedsInput() bool { return r.InputRequests != nil }

// GetError returns what SetError was given, or nil.
func (r *CallToolResult) GetError() error { return r.err }

// serverTool is a registered tool. It is immutable.
type serverTool struct {
	tool    *Tool
	handler ToolHandler
	headers []schema.HeaderParam
	input   *schema.Validator
	output  *schema.Validator // nil: no output schema
	encoded encodedTool
	bytes   int // see feature.size
}

// encodedTool is the JSON of what appendFeature puts together; nil when absent.
type encodedTool struct {
	input, output, annotations, icons, meta []byte
	outputIsObject                          bool // has type "object"
}

// AddTool adds a tool with a raw handler, or replaces the one of the same
// name. t must not be changed afterwards, and needs an InputSchema. It panics
// when the tool cannot be offered; what only some clients dislike is logged.
//
// Most tools are better added with the function AddTool.
func (s *Server) AddTool(t *Tool, h ToolHandler) {
	st, err := s.newTool(t, h)
	if err != nil {
		panic(fmt.Sprintf("mcp: AddTool %q: %v", t.Name, err))
	}
	add(s, toolKind, s.tools, st)
}

func (t *serverTool) key() string { return t.tool.Name }
func (t *serverTool) size() int   { return t.bytes }

func (s *Server) newTool(t *Tool, h ToolHandler) (*serverTool, error) {
	switch {
	case h == nil:
		return nil, errors.New("the handler is nil")
	case t.InputSchema == nil:
		return nil, errors.New(`InputSchema is nil; use the function mcp.AddTool to infer it, or json.RawMessage(` + "`" + `{"type":"object"}` + "`" + `) to accept any arguments`)
	case t.Class > ClassInline:
		return nil, fmt.Errorf("%v is not a Class; use ClassBlocking, ClassCPU or ClassInline", t.Class)
	case t.Task > TaskManual:
		return nil, fmt.Errorf("%d is not a TaskMode", t.Task)
	case t.Task != TaskNever && t.Class == ClassInline:
		return nil, errors.New("a tool of ClassInline cannot be a task: it would hold up the event loop")
	}
	encoded, err := encodeTool(t)
	if err != nil {
		return nil, err
	}
	st := &serverTool{tool: t, handler: h, encoded: encoded}
	if typ := jsonrpc.Member(encoded.input, "type"); string(typ) != `"object"` {
		return nil, errors.New(`InputSchema must have "type": "object"; make the arguments a struct or a map`)
	}
	report, err := schema.LintTool(t.Name, encoded.input, encoded.output)
	if err != nil {
		return nil, err
	}
	if st.headers, err = schema.Headers(encoded.input); err != nil {
		return nil, fmt.Errorf("InputSchema: %w", err)
	}
	if st.input, err = schema.Compile(encoded.input); err != nil {
		return nil, fmt.Errorf("InputSchema: %w", err)
	}
	if encoded.output != nil {
		if st.output, err = schema.Compile(encoded.output); err != nil {
			return nil, fmt.Errorf("OutputSchema: %w", err)
		}
	}
	st.bytes = len(st.appendFeature(nil, newest))
	for _, warning := range append(report.Warnings, st.input.Warnings()...) {
		s.log.Warn("mcp: a tool may not work with every client", "tool", t.Name, "warning", warning)
	}
	return st, nil
}

// encodeTool encodes the parts of t that are not strings.
func encodeTool(t *Tool) (e encodedTool, err error) {
	if e.input, err = encodePart("InputSchema", t.InputSchema, false); err != nil {
		return e, err
	}
	if e.output, err = encodePart("OutputSchema", t.OutputSchema, t.OutputSchema == nil); err != nil {
		return e, err
	}
	if e.annotations, err = encodePart("Annotations", t.Annotations, t.Annotations == nil); err != nil {
		return e, err
	}
	if e.icons, err = encodePart("Icons", t.Icons, len(t.Icons) == 0); err != nil {
		return e, err
	}
	e.meta, err = encodePart("Meta", t.Meta, len(t.Meta) == 0)
	e.outputIsObject = string(jsonrpc.Member(e.output, "type")) == `"object"`
	return e, err
}

// encodePart encodes v on one line, and nothing when it is absent.
func encodePart(what string, v any, absent bool) ([]byte, error) {
	if absent {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be encoded as JSON: %w", what, err)
	}
	if bytes.Equal(raw, []byte("null")) {
		return nil, fmt.Errorf("%s holds a nil value; set it to a schema or leave it out", what)
	}
	return raw, nil
}

func (t *serverTool) appendFeature(dst []byte, rev revision) []byte {
	e := &t.encoded
	dst = append(dst, `{"name":`...)
	dst = jsonrpc.AppendString(dst, t.tool.Name)
	if rev >= rev20250618 {
		dst = appendMember(dst, `,"title":`, t.tool.Title)
	}
	dst = appendMember(dst, `,"description":`, t.tool.Description)
	dst = appendRaw(dst, `,"inputSchema":`, e.input)
	if rev.modern() || rev >= rev20250618 && e.outputIsObject {
		dst = appendRaw(dst, `,"outputSchema":`, e.output)
	}
	if rev >= rev20250326 {
		dst = appendRaw(dst, `,"annotations":`, e.annotations)
	}
	if rev >= rev20251125 {
		dst = appendRaw(dst, `,"icons":`, e.icons)
	}
	if rev >= rev20250618 {
		dst = appendRaw(dst, `,"_meta":`, e.meta)
	}
	return append(dst, '}')
}

// appendRaw appends a member with a raw value unless that is absent.
func appendRaw(dst []byte, head string, value []byte) []byte {
	if value == nil {
		return dst
	}
	return append(append(dst, head...), value...)
}
