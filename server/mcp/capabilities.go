package mcp

import "encoding/json"

// ServerCapabilities are what a server can do, as clients are told.
type ServerCapabilities struct {
	Experimental map[string]any `json:"experimental,omitempty"`
	// Extensions are settings by extension id; clients of 2026-07-28 see them.
	Extensions map[string]any    `json:"extensions,omitempty"`
	Tools      *ToolCapabilities `json:"tools,omitempty"`
}

// ToolCapabilities describe the support of tools.
type ToolCapabilities struct {
	// ListChanged: clients are told when the list of tools changes.
	ListChanged bool `json:"listChanged,omitempty"`
}

// ClientCapabilities are what a client can do, as it says.
type ClientCapabilities struct {
	Experimental map[string]any `json:"experimental,omitempty"`
	Extensions   map[string]any `json:"extensions,omitempty"`
	// Roots cannot tell whether the client has roots at all; RootsV2 can, nil
	// meaning that it has not. Both are decoded, RootsV2 is encoded.
	Roots       RootCapabilities         `json:"-"`
	RootsV2     *RootCapabilities        `json:"roots,omitempty"`
	Sampling    *SamplingCapabilities    `json:"sampling,omitempty"`
	Elicitation *ElicitationCapabilities `json:"elicitation,omitempty"`
}

// UnmarshalJSON decodes capabilities as clients send them.
func (c *ClientCapabilities) UnmarshalJSON(data []byte) error {
	type plain ClientCapabilities
	if err := json.Unmarshal(data, (*plain)(c)); err != nil {
		return err
	}
	if c.RootsV2 != nil {
		c.Roots = *c.RootsV2
	}
	return nil
}

// RootCapabilities describe a client's support of roots.
type RootCapabilities struct {
	ListChanged bool `json:"listChanged,omitempty"`
}

// SamplingCapabilities describe a client's support of sampling.
type SamplingCapabilities struct {
	Context *SamplingContextCapabilities `json:"context,omitempty"`
	Tools   *SamplingToolsCapabilities   `json:"tools,omitempty"`
}

// SamplingContextCapabilities says that the client can include context of servers.
type SamplingContextCapabilities struct{}

// SamplingToolsCapabilities says that the client can use tools while sampling.
type SamplingToolsCapabilities struct{}

// ElicitationCapabilities describe a client's support of elicitation.
type ElicitationCapabilities struct {
	Form *FormElicitationCapabilities `json:"form,omitempty"`
	URL  *URLElicitationCapabilities  `json:"url,omitempty"`
}

// FormElicitationCapabilities says that the client can show a form.
type FormElicitationCapabilities struct{}

// URLElicitationCapabilities says that the client can open a URL.
type URLElicitationCapabilities struct{}

// capabilities are those configured and inferred. A server that has no tools
// yet does not claim to have any unless it is configured to.
func (s *Server) capabilities(modern bool) *ServerCapabilities {
	var caps ServerCapabilities
	if s.opts.Capabilities != nil {
		caps = *s.opts.Capabilities
	}
	if caps.Tools == nil && len(s.snapshot().sorted) > 0 {
		caps.Tools = &ToolCapabilities{ListChanged: true}
	}
	switch {
	case !modern:
		caps.Extensions = nil
	case caps.Tools != nil:
		// In the stateless era changes are told to subscriptions only.
		caps.Tools = &ToolCapabilities{}
	}
	return &caps
}

// announces reports whether sessions are told of changes of the tools.
func (s *Server) announces() bool {
	c := s.opts.Capabilities
	return c == nil || c.Tools == nil || c.Tools.ListChanged
}
