package mcp

import (
	"context"

	"millrace/server/auth"
)

// Caller is who asks for a list or uses an entry of one. The functions of
// ServerOptions that end in Filter decide by it.
type Caller struct {
	// Principal is who sends the request, with its scopes; never nil.
	Principal *auth.Principal
	// Session is the client's session up to 2025-11-25. It is nil on 2026-07-28,
	// where a list "MUST NOT vary per-connection or as a side effect of other
	// requests on the connection" but may "vary by the authorization presented on
	// the request" (server/tools).
	Session *ServerSession
}

// caller is who sent r.
func (r *ServerRequest[P]) caller() *Caller { return r.Session.callerAs(r.Extra.Principal) }

func (ss *ServerSession) callerAs(p *auth.Principal) *Caller {
	c := &Caller{Principal: p}
	if ss.sessionState != ss.server.stateless {
		c.Session = ss
	}
	return c
}

// filtered reports whether a list differs from caller to caller.
func (s *Server) filtered(k kind) bool {
	switch k {
	case toolKind:
		return s.opts.ToolFilter != nil
	case promptKind:
		return s.opts.PromptFilter != nil
	case resourceKind:
		return s.opts.ResourceFilter != nil
	}
	return s.opts.ResourceTemplateFilter != nil
}

// The functions visible... return what tells whether an entry exists for a
// caller; nil: all do.

func (s *Server) visibleTools(ctx context.Context, c *Caller) func(*serverTool) bool {
	f := s.opts.ToolFilter
	if f == nil {
		return nil
	}
	return func(t *serverTool) bool { return f(ctx, c, t.tool) }
}

func (s *Server) visiblePrompts(ctx context.Context, c *Caller) func(*serverPrompt) bool {
	f := s.opts.PromptFilter
	if f == nil {
		return nil
	}
	return func(p *serverPrompt) bool { return f(ctx, c, p.prompt) }
}

func (s *Server) visibleResources(ctx context.Context, c *Caller) func(*serverResource) bool {
	f := s.opts.ResourceFilter
	if f == nil {
		return nil
	}
	return func(r *serverResource) bool { return f(ctx, c, r.resource) }
}

func (s *Server) visibleTemplates(ctx context.Context, c *Caller) func(*serverTemplate) bool {
	f := s.opts.ResourceTemplateFilter
	if f == nil {
		return nil
	}
	return func(t *serverTemplate) bool { return f(ctx, c, t.template) }
}

// sees reports whether f exists for a caller.
func sees[F any](visible func(F) bool, f F) bool { return visible == nil || visible(f) }
