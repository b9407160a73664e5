package mcp

import "maps"

// ServerCapabilities are what a server can do, as clients are told.
type ServerCapabilities struct {
	Experimental map[string]any `json:"experimental,omitempty"`
	// Extensions are settings by extension id; clients of 2026-07-28 see them. Those
	// that the engine serves are declared when there is something to them.
	Extensions  map[string]any          `json:"extensions,omitempty"`
	Completions *CompletionCapabilities `json:"completions,omitempty"`
	Logging     *LoggingCapabilities    `json:"logging,omitempty"`
	Prompts     *PromptCapabilities     `json:"prompts,omitempty"`
	Resources   *ResourceCapabilities   `json:"resources,omitempty"`
	Tools       *ToolCapabilities       `json:"tools,omitempty"`
}

// AddExtension declares an extension; nil settings are an empty object.
func (c *ServerCapabilities) AddExtension(name string, settings map[string]any) {
	if c.Extensions == nil {
		c.Extensions = make(map[string]any)
	}
	if settings == nil {
		settings = map[string]any{}
	}
	c.Extensions[name] = settings
}

// CompletionCapabilities say that the server completes arguments.
type CompletionCapabilities struct{}

// LoggingCapabilities say that the server sends log messages to who asks.
type LoggingCapabilities struct{}

// PromptCapabilities describe the support of prompts.
type PromptCapabilities struct {
	// ListChanged: clients are told when the list of prompts changes.
	ListChanged bool `json:"listChanged,omitempty"`
}

// ResourceCapabilities describe the support of resources.
type ResourceCapabilities struct {
	// ListChanged: clients are told when the list of resources or templates
	// changes.
	ListChanged bool `json:"listChanged,omitempty"`
	// Subscribe: clients can watch a resource.
	Subscribe bool `json:"subscribe,omitempty"`
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
	var v plain
	if err := strict.Unmarshal(data, &v); err != nil {
		return err // of a part that is declared wrongly nothing may be relied on
	}
	*c = ClientCapabilities(v)
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
	caps := ServerCapabilities{Logging: &LoggingCapabilities{}}
	if s.opts.Capabilities != nil {
		caps = *s.opts.Capabilities
	}
	reg := s.snapshot()
	if caps.Tools == nil && reg.offers(toolKind) {
		caps.Tools = &ToolCapabilities{ListChanged: true}
	}
	if caps.Prompts == nil && reg.offers(promptKind) {
		caps.Prompts = &PromptCapabilities{ListChanged: true}
	}
	if caps.Resources == nil && reg.offers(resourceKind) {
		caps.Resources = &ResourceCapabilities{ListChanged: true, Subscribe: true}
	}
	if r := caps.Resources; r != nil && !r.Subscribe && s.opts.SubscribeHandler != nil {
		caps.Resources = &ResourceCapabilities{ListChanged: r.ListChanged, Subscribe: true}
	}
	if caps.Completions == nil && s.opts.CompletionHandler != nil {
		caps.Completions = &CompletionCapabilities{}
	}
	caps.Extensions = maps.Clone(caps.Extensions)
	if !modern {
		caps.Extensions = nil
	}
	if reg.apps { // in the legacy era too: "in the initialize request" (SEP-1865)
		caps.AddExtension(AppsExtension, nil)
	}
	if modern && reg.tasks {
		caps.AddExtension(TasksExtension, nil)
	}
	if modern && len(reg.skills.sorted) > 0 {
		caps.AddExtension(SkillsExtension, map[string]any{"directoryRead": true})
	}
	return &caps
}

// declaresList reports whether the server declares a capability. They are the
// conditions of capabilities, for who needs one of them often.
func (s *Server) declaresList(k kind) bool {
	c, reg := s.opts.Capabilities, s.snapshot()
	switch {
	case reg.offers(k):
		return true
	case c == nil:
		return false
	case k == toolKind:
		return c.Tools != nil
	case k == promptKind:
		return c.Prompts != nil
	}
	return c.Resources != nil
}

func (s *Server) declaresLogging() bool {
	return s.opts.Capabilities == nil || s.opts.Capabilities.Logging != nil
}

func (s *Server) declaresSubscribe() bool {
	c := s.opts.Capabilities
	return s.declaresList(resourceKind) && (c == nil || c.Resources == nil || c.Resources.Subscribe || s.opts.SubscribeHandler != nil)
}

// announces reports whether clients are told of changes of a list.
func (s *Server) announces(k kind) bool {
	c := s.opts.Capabilities
	switch {
	case c == nil:
		return true
	case k == toolKind:
		return c.Tools == nil || c.Tools.ListChanged
	case k == promptKind:
		return c.Prompts == nil || c.Prompts.ListChanged
	}
	return c.Resources == nil || c.Resources.ListChanged
}
