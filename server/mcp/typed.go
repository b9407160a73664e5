package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp/schema"
)

// AddTool adds a tool whose handler takes decoded arguments, or replaces the
// one of the same name. t must not be changed afterwards.
//
// A nil InputSchema is inferred from In, a struct or map, with property names
// from the tag `json` and descriptions from the tag `jsonschema`; any means an
// object of whatever members. A nil OutputSchema is inferred from Out, unless
// that is any. Arguments that do not match never reach the handler, and outputs
// that do not match never reach the client.
//
// It panics when the tool cannot be offered; what only some clients dislike is
// logged.
func AddTool[In, Out any](s *Server, t *Tool, h ToolHandlerFor[In, Out]) {
	tool, handler, err := typed(t, h)
	if err != nil {
		panic(fmt.Sprintf("mcp: AddTool %q: %v", t.Name, err))
	}
	s.AddTool(tool, handler)
}

// typed makes a raw handler of h, and a tool with the inferred schemas.
func typed[In, Out any](t *Tool, h ToolHandlerFor[In, Out]) (*Tool, ToolHandler, error) {
	if h == nil {
		return nil, nil, errors.New("the handler is nil")
	}
	tool := *t
	in, out := reflect.TypeFor[In](), reflect.TypeFor[Out]()
	if tool.InputSchema == nil {
		inferred, err := schema.ForType(in)
		if err != nil {
			return nil, nil, fmt.Errorf("no schema can be inferred from %v; set InputSchema: %w", in, err)
		}
		tool.InputSchema = inferred
	}
	var zero any // for a nil pointer, which would be sent as null
	if tool.OutputSchema == nil && out != reflect.TypeFor[any]() {
		inferred, err := schema.ForType(out)
		if err != nil {
			return nil, nil, fmt.Errorf("no schema can be inferred from %v; set OutputSchema: %w", out, err)
		}
		tool.OutputSchema = inferred
		if out.Kind() == reflect.Pointer {
			zero = reflect.New(out.Elem()).Interface()
		}
	}
	decode, encode := decoderFor(in), encoderFor(out)
	handler := func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		var args In
		if err := decode(req.Params.Arguments, &args); err != nil {
			return nil, &argumentError{err}
		}
		res, value, err := h(ctx, req, args)
		if err != nil {
			return failed(err)
		}
		if res == nil {
			res = &CallToolResult{}
		}
		if any(value) == nil {
			return res, nil
		}
		moved := value // so that calls without an output do not allocate one
		var v any = &moved
		if zero != nil && reflect.ValueOf(v).Elem().IsNil() {
			v = zero
		}
		raw, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("the output cannot be encoded: %w", err)
		}
		res.setOutput(raw)
		return res, nil
	}
	return &tool, handler, nil
}

// failed is the answer to an error of a typed handler.
func failed(err error) (*CallToolResult, error) {
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok && e != nil {
		return nil, e
	}
	res := &CallToolResult{}
	res.SetError(err)
	return res, nil
}

// setOutput puts in the encoded output. 2026-07-28, tools: "a tool that returns
// structured content SHOULD also return the serialized JSON in a TextContent
// block". Clients before that revision need it for anything but objects.
func (r *CallToolResult) setOutput(raw []byte) {
	r.StructuredContent = json.RawMessage(raw)
	switch {
	case r.Content == nil:
		r.Content = []Content{&TextContent{Text: view(raw)}}
	case !isObject(raw):
		r.Content = append(r.Content, &TextContent{Text: view(raw)})
	}
}

// view returns b, which is never changed again, as a string.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// argumentError tells that a call's arguments are wrong.
type argumentError struct{ err error }

func (e *argumentError) Error() string { return e.err.Error() }
func (e *argumentError) Unwrap() error { return e.err }
