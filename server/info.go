package server

import (
	"time"

	"millrace/server/mcp"
	"millrace/server/session"
)

// Info describes a server to its operator.
type Info struct {
	Name              string                  `json:"name"`
	Version           string                  `json:"version"`
	Vendor            string                  `json:"vendor,omitempty"`
	Description       string                  `json:"description,omitempty"`
	Running           bool                    `json:"running"`
	Draining          bool                    `json:"draining"`
	Addrs             []string                `json:"addrs,omitempty"`
	ActiveConnections int64                   `json:"activeConnections"`
	Uptime            time.Duration           `json:"uptimeNs"`
	Capabilities      *mcp.ServerCapabilities `json:"capabilities"`
	ProtocolVersions  []string                `json:"protocolVersions"`
}

// Sessions are the open sessions of legacy clients, to list, describe and end
// them; nil when the server does not run. Any goroutine.
func (s *Server) Sessions() *session.Registry {
	if r := s.running.Load(); r != nil {
		return r.gate.sessions
	}
	return nil
}

// Info tells what the server is and does now. Any goroutine.
func (s *Server) Info() Info {
	info := Info{Vendor: s.Vendor, Description: s.Description, ProtocolVersions: mcp.SupportedVersions()}
	if s.MCP != nil {
		impl := s.MCP.Implementation()
		info.Name, info.Version = impl.Name, impl.Version
		info.Capabilities = s.MCP.Capabilities()
	}
	if r := s.running.Load(); r != nil {
		info.Running, info.Draining = true, r.draining.Load()
		info.Uptime = time.Since(r.started)
		if r.engine != nil {
			info.Addrs = r.engine.Addrs()
			info.ActiveConnections = r.engine.Stats().Active
		}
	}
	return info
}
