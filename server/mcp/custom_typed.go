package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// CodeMissingRequiredClientCapabilities is CodeMissingClientCapability under the
// name that the official SDK has for it.
const CodeMissingRequiredClientCapabilities = CodeMissingClientCapability

// ParamsBase makes Params of a struct that embeds it, for AddReceivingCustomMethod.
type ParamsBase struct {
	Meta `json:"_meta,omitempty"`
}

// ResultBase makes a Result of a struct that embeds it, for
// AddReceivingCustomMethod.
type ResultBase struct {
	Meta `json:"_meta,omitempty"`
}

func (*ParamsBase) isParams() {}
func (*ResultBase) isResult() {}

// AddReceivingCustomMethod is Server.AddMethod with decoded params and a typed
// result, in the form of the official SDK: P is a pointer to a struct that embeds
// ParamsBase, R one to a struct that embeds ResultBase. Params that do not fit
// are answered with error -32602, names count in their exact case, and a nil
// result is an empty one. The error is for names that belong to the protocol.
//
// Middleware sees a *CustomRequest, and a *CustomResult whose Value is the R.
func AddReceivingCustomMethod[P interface {
	*T
	Params
}, R Result, T any](s *Server, method string, handler func(ctx context.Context, ss *ServerSession, params P) (R, error)) error {
	if methods[method] != nil || method == "" || strings.HasPrefix(method, "notifications/") {
		return fmt.Errorf("mcp: AddReceivingCustomMethod: %q belongs to the protocol", method)
	}
	s.AddMethod(method, func(ctx context.Context, req *CustomRequest) (any, error) {
		params := P(new(T))
		if err := strict.Unmarshal(req.Params.Raw, params); err != nil {
			return nil, invalidParams(method, json.Unmarshal(req.Params.Raw, new(T)))
		}
		params.SetMeta(req.Params.Meta)
		return handler(ctx, req.Session, params)
	})
	return nil
}
