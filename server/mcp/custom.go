package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// appendCustom appends r as a JSON object. Its value may hold members that every
// result has: _meta joins r.Meta, and what kind of result it is we know.
func (s *Server) appendCustom(dst []byte, r *CustomResult, rev revision) ([]byte, error) {
	raw := []byte("{}")
	if r.Value != nil {
		var err error
		if raw, err = json.Marshal(r.Value); err != nil {
			return dst, err
		}
	}
	switch {
	case string(raw) == "null": // a nil pointer
		raw = []byte("{}")
	case !isObject(raw):
		return dst, errNotAnObject
	}
	meta := r.Meta
	if own := jsonrpc.Member(raw, "_meta"); isObject(own) {
		all := make(Meta)
		if err := json.Unmarshal(own, &all); err != nil {
			return dst, err
		}
		maps.Copy(all, r.Meta)
		meta = all
	}
	dst, err := appendResultMeta(append(dst, '{'), s.head, meta, rev)
	for name, value := range jsonrpc.Members(raw) {
		if string(name) == "_meta" || string(name) == "resultType" && rev.modern() {
			continue
		}
		dst = append(jsonrpc.AppendStringBytes(dst, name), ':')
		dst = append(append(dst, value...), ',')
	}
	return append(bytes.TrimSuffix(dst, []byte(",")), '}'), err
}

var errNotAnObject = errors.New("the result of a method must encode as a JSON object")
