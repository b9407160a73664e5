package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"millrace/codec/jsonrpc"
)

// CustomParams are the parameters of a method that was added with AddMethod.
type CustomParams struct {
	Meta `json:"-"`
	// Raw is the whole params object as the client sent it, "{}" when there was
	// none. It may be kept.
	Raw json.RawMessage
}

// CustomRequest is a request of a method that was added with AddMethod.
type CustomRequest = ServerRequest[*CustomParams]

// CustomResult is the result of such a method, as middleware sees it.
type CustomResult struct {
	Meta `json:"-"`
	// Value encodes as a JSON object.
	Value any
}

func (*CustomParams) isParams() {}
func (*CustomResult) isResult() {}

// CustomHandler answers a method that was added with AddMethod. What it returns
// must encode as a JSON object; nil is an empty one. Errors, goroutine and
// ownership are as for a PromptHandler.
type CustomHandler func(ctx context.Context, req *CustomRequest) (any, error)

// AddMethod makes the server answer a method of its own, in every era, or
// replaces the one of the same name. The name should have a prefix that is
// yours, such as "example.com/search". Methods of the protocol cannot be
// replaced: AddMethod panics for their names and for an empty one. Handlers run
// on the pool. On 2026-07-28 the extension that a method belongs to is declared
// in ServerOptions.Capabilities.Extensions.
func (s *Server) AddMethod(name string, h CustomHandler) {
	switch {
	case name == "" || h == nil:
		panic(fmt.Sprintf("mcp: AddMethod %q: a name and a handler are needed", name))
	case methods[name] != nil || strings.HasPrefix(name, "notifications/"):
		panic(fmt.Sprintf("mcp: AddMethod %q: the name belongs to the protocol", name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	custom := make(map[string]*method)
	if old := s.custom.Load(); old != nil {
		for k, v := range *old {
			custom[k] = v
		}
	}
	custom[name] = &method{
		eras: bothEras, hook: always, decode: decodeCustom,
		handle: func(ctx context.Context, _ string, req Request) (Result, error) {
			v, err := h(ctx, req.(*CustomRequest))
			if err != nil {
				return nil, err
			}
			return &CustomResult{Value: v}, nil
		},
	}
	s.custom.Store(&custom)
}

func always(*Server) bool { return true }

func decodeCustom(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[CustomParams](s, c)
	f.params.Raw = json.RawMessage("{}")
	if len(c.Params) > 0 {
		f.params.Raw = append(json.RawMessage(nil), c.Params...)
	}
	if c.Meta.custom {
		f.params.Meta = decodeMeta(c.Meta.raw)
	}
	return &f.request, nil
}

// appendMembers appends the members of r that are its own.
func (r *CustomResult) appendMembers(dst []byte) ([]byte, error) {
	if r.Value == nil {
		return dst, nil
	}
	raw, err := json.Marshal(r.Value)
	if err != nil {
		return dst, err
	}
	if len(raw) < 2 || raw[0] != '{' {
		return dst, errNotAnObject
	}
	return append(dst, raw[1:len(raw)-1]...), nil
}

var errNotAnObject = errors.New("the result of a method must encode as a JSON object")
