package server

import (
	"encoding/json"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// greetingID is the id of the greeting. Whatever answers it is dropped.
const greetingID = `"millrace-greeting"`

// greeting is the initialize request that a WebSocket is sent first when
// Server.Greeting is set. Any goroutine.
func (s *Server) greeting() []byte {
	params, err := json.Marshal(struct {
		ProtocolVersion string                  `json:"protocolVersion"`
		Capabilities    *mcp.ServerCapabilities `json:"capabilities"`
		ServerInfo      *mcp.Implementation     `json:"serverInfo"`
	}{mcp.Version20251125, s.MCP.Capabilities(), s.MCP.Implementation()})
	if err != nil {
		s.Logger.Error("greeting cannot be encoded", "err", err)
		return nil
	}
	return jsonrpc.AppendRequest(nil, []byte(greetingID), "initialize", params)
}
