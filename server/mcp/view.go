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

// Guard is a host's own say in what exists for a caller. Any goroutine; May must
// not block.
type Guard interface {
	// May reports whether p may use a thing: the name of a tool or prompt, or the URI
	// of a resource, or of a template with its variables. readOnly and destructive
	// are what the annotations of a tool say, with the defaults of the specification.
	May(p *auth.Principal, kind auth.Kind, name string, readOnly, destructive bool) bool
}

// SetGuard has g decide, beside the filters of ServerOptions, what exists for a
// caller. It is for hosts; call it before serving.
func (s *Server) SetGuard(g Guard) { s.guard.Store(&g) }

// may asks the guard, if there is one.
func (s *Server) may(p *auth.Principal, k auth.Kind, name string) bool {
	g := s.guard.Load()
	return g == nil || (*g).May(p, k, name, false, false)
}

func (s *Server) mayTool(p *auth.Principal, t *Tool) bool {
	g := s.guard.Load()
	if g == nil {
		return true
	}
	readOnly, destructive := effects(t.Annotations)
	return (*g).May(p, auth.Tool, t.Name, readOnly, destructive)
}

// Effects tells whether the author of a tool calls it read-only, and whether it may
// destroy something, which is so when nobody says otherwise. Nobody says anything of
// a tool that does not exist. name is the tool's as a string, without an allocation
// for one that exists.
func (s *Server) Effects(tool []byte) (name string, readOnly, destructive bool) {
	if t := s.snapshot().tools.byKey[string(tool)]; t != nil {
		readOnly, destructive = effects(t.tool.Annotations)
		return t.tool.Name, readOnly, destructive
	}
	readOnly, destructive = effects(nil)
	return string(tool), readOnly, destructive
}

// mayToolNamed is mayTool for a tool that may be gone by now.
func (s *Server) mayToolNamed(c *Caller, name string) bool {
	g := s.guard.Load()
	if g == nil {
		return true
	}
	_, readOnly, destructive := s.Effects([]byte(name))
	return (*g).May(c.Principal, auth.Tool, name, readOnly, destructive)
}

func effects(a *ToolAnnotations) (readOnly, destructive bool) {
	if a == nil {
		return false, true
	}
	return a.ReadOnlyHint, !a.ReadOnlyHint && (a.DestructiveHint == nil || *a.DestructiveHint)
}

// filtered reports whether a list differs from caller to caller.
func (s *Server) filtered(k kind) bool {
	if s.guard.Load() != nil {
		return true
	}
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
	if f == nil && s.guard.Load() == nil {
		return nil
	}
	return func(t *serverTool) bool { return s.mayTool(c.Principal, t.tool) && (f == nil || f(ctx, c, t.tool)) }
}

func (s *Server) visiblePrompts(ctx context.Context, c *Caller) func(*serverPrompt) bool {
	f := s.opts.PromptFilter
	if f == nil && s.guard.Load() == nil {
		return nil
	}
	return func(p *serverPrompt) bool {
		return s.may(c.Principal, auth.Prompt, p.prompt.Name) && (f == nil || f(ctx, c, p.prompt))
	}
}

func (s *Server) visibleResources(ctx context.Context, c *Caller) func(*serverResource) bool {
	f := s.opts.ResourceFilter
	if f == nil && s.guard.Load() == nil {
		return nil
	}
	return func(r *serverResource) bool {
		return s.may(c.Principal, auth.Resource, r.resource.URI) && (f == nil || f(ctx, c, r.resource))
	}
}

func (s *Server) visibleTemplates(ctx context.Context, c *Caller) func(*serverTemplate) bool {
	f := s.opts.ResourceTemplateFilter
	if f == nil && s.guard.Load() == nil {
		return nil
	}
	return func(t *serverTemplate) bool {
		return s.may(c.Principal, auth.Resource, t.template.URITemplate) && (f == nil || f(ctx, c, t.template))
	}
}

// sees reports whether f exists for a caller.
func sees[F any](visible func(F) bool, f F) bool { return visible == nil || visible(f) }
