package main

import (
	"context"
	"encoding/json"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// echoParams are both the params and the result of example/echo.
type echoParams struct {
	Text string `json:"text"`
}

// addMethods adds a method of our own to those of the protocol.
func addMethods(s *mcp.Server) {
	s.AddMethod("example/echo", func(_ context.Context, req *mcp.CustomRequest) (any, error) {
		var p echoParams
		if err := json.Unmarshal(req.Params.Raw, &p); err != nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "example/echo needs params.text, a string"}
		}
		return p, nil
	})
}
