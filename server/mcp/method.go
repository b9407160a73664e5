package mcp

import (
	"context"

	"millrace/codec/jsonrpc"
)

// Methods of the protocol.
const (
	methodInitialize  = "initialize"
	methodPing        = "ping"
	methodDiscover    = "server/discover"
	methodListTools   = "tools/list"
	methodCallTool    = "tools/call"
	methodInitialized = "notifications/initialized"
	methodProgress    = "notifications/progress"
	methodListChanged = "notifications/tools/list_changed"
)

// eras tells in which eras a method exists.
type eras uint8

const (
	legacyEra eras = 1 << iota
	modernEra
	bothEras = legacyEra | modernEra
)

// method is what the engine knows of a method of clients.
type method struct {
	eras
	// early methods are served before initialize.
	early bool
	// tool: the call runs a tool, which decides on its class.
	tool         bool
	notification bool
	// hook reports whether the server's options have user code for the method.
	hook func(*Server) bool
	// fast, when there is one, appends the result without a Request: for calls
	// that no middleware sees.
	fast func(s *Server, c *Call, dst []byte) ([]byte, *jsonrpc.Error)
	// decode makes the Request that middleware and handle get. It sets c.active.
	decode func(s *Server, c *Call) (Request, *jsonrpc.Error)
	handle MethodHandler
}

func (m *method) serves(modern bool) bool {
	if modern {
		return m.eras&modernEra != 0
	}
	return m.eras&legacyEra != 0
}

// methods is the protocol: what clients may send, and in which era.
var methods = map[string]*method{
	methodInitialize: {
		eras: legacyEra, early: true,
		decode: decodeInitialize, handle: handleInitialize,
	},
	methodInitialized: {
		eras: legacyEra, notification: true,
		hook:   func(s *Server) bool { return s.opts.InitializedHandler != nil },
		decode: decodeParams[InitializedParams], handle: handleInitialized,
	},
	methodPing: {
		eras: legacyEra, early: true,
		fast: fastPing, decode: decodeParams[PingParams], handle: handlePing,
	},
	methodDiscover: {
		eras: modernEra,
		fast: fastDiscover, decode: decodeParams[DiscoverParams], handle: handleDiscover,
	},
	methodListTools: {
		eras: bothEras,
		fast: fastListTools, decode: decodeListTools, handle: handleListTools,
	},
	methodCallTool: {
		eras: bothEras, tool: true,
		decode: decodeCallTool, handle: handleCallTool,
	},
}

// dispatch is the innermost receiving MethodHandler.
func dispatch(ctx context.Context, name string, req Request) (Result, error) {
	m := methods[name]
	if m == nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "Method not found"}
	}
	return m.handle(ctx, name, req)
}

func fastPing(_ *Server, _ *Call, dst []byte) ([]byte, *jsonrpc.Error) {
	return append(dst, `{}`...), nil
}

func handlePing(context.Context, string, Request) (Result, error) { return &emptyResult{}, nil }
