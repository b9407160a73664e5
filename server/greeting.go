package server

import (
	"encoding/json"
	"fmt"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// greetingID is the id of the greeting. Whatever answers it is dropped.
const greetingID = `"millrace-greeting"`

// greeting is the initialize request that a WebSocket is sent first when
// Server.Greeting is set.
func (s *Server) greeting() ([]byte, error) {
	params, err := json.Marshal(struct {
		ProtocolVersion string                  `json:"protocolVersion"`
		Capabilities    *mcp.ServerCapabilities `json:"capabilities"`
		ServerInfo      *mcp.Implementation     `json:"serverInfo"`
	}{mcp.Version20251125, s.MCP.Capabilities(), s.MCP.Implementation()})
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	return jsonrpc.AppendRequest(nil, []byte(greetingID), "initialize", params), nil
}
