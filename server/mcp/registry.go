package mcp

import (
	"slices"
	"sync/atomic"

	"millrace/server/seal"
)

// registry is the features of a server at one time. What is made of them is
// encoded once, at the first request that needs it.
type registry struct {
	tools     *list[*serverTool]
	prompts   *list[*serverPrompt]
	resources *list[*serverResource]
	templates *list[*serverTemplate]
	skills    *list[*serverSkill]
	states    *seal.Box // of requestState
	tasks     bool      // a tool can become a task
	apps      bool      // a resource is an app
	// skillDepth is the number of segments of the longest path of a skill.
	skillDepth int

	discovered atomic.Pointer[[]byte]
}

// snapshot returns the registry as it is now.
func (s *Server) snapshot() *registry {
	if r := s.current.Load(); r != nil {
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.current.Load(); r != nil {
		return r
	}
	skills := published(s.skills)
	r := &registry{
		tools:     newList(methodListTools, "tools", s.tools, s.cursors),
		prompts:   newList(methodListPrompts, "prompts", s.prompts, s.cursors),
		resources: newList(methodListResources, "resources", withSkills(s.resources, skills), s.cursors),
		templates: newList(methodListTemplates, "resourceTemplates", s.templates, s.cursors),
		skills:    newList(methodListSkills, "skills", skills, s.cursors),
		states:    s.states,
	}
	for _, t := range r.tools.sorted {
		r.tasks = r.tasks || t.tool.Task != TaskNever
	}
	for _, f := range r.resources.sorted {
		r.apps = r.apps || isApp(f.resource)
	}
	r.skillDepth = depthOf(skills)
	s.current.Store(r)
	return r
}

// discover returns the encoded result of server/discover.
func (r *registry) discover(s *Server) ([]byte, error) {
	if out := r.discovered.Load(); out != nil {
		return *out, nil
	}
	out, err := s.appendResult(nil, s.discover(), newest)
	if err == nil {
		r.discovered.Store(&out)
	}
	return out, err
}

// add puts f into features, one of the maps of s, and tells of the change.
func add[F feature](s *Server, k kind, features map[string]F, f F) {
	s.mu.Lock()
	defer s.mu.Unlock()
	features[f.key()] = f
	s.changed(k)
}

// remove takes the features with the given keys out; unknown keys are ignored.
func remove[F feature](s *Server, k kind, features map[string]F, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(features)
	for _, key := range keys {
		delete(features, key)
	}
	if len(features) != before {
		s.changed(k)
	}
}

// RemoveTools removes the tools with the given names; unknown names are
// ignored. Calls that have begun go on.
func (s *Server) RemoveTools(names ...string) { remove(s, toolKind, s.tools, names) }

// RemovePrompts removes the prompts with the given names; unknown names are
// ignored.
func (s *Server) RemovePrompts(names ...string) { remove(s, promptKind, s.prompts, names) }

// RemoveResources removes the resources with the given URIs; unknown ones are
// ignored. Subscriptions to them stay.
func (s *Server) RemoveResources(uris ...string) { remove(s, resourceKind, s.resources, uris) }

// RemoveResourceTemplates removes the templates that were added with the given
// URI templates; unknown ones are ignored.
func (s *Server) RemoveResourceTemplates(uriTemplates ...string) {
	remove(s, templateKind, s.templates, uriTemplates)
}

// offers reports whether there is something in a list.
func (r *registry) offers(k kind) bool {
	switch k {
	case toolKind:
		return len(r.tools.sorted) > 0
	case promptKind:
		return len(r.prompts.sorted) > 0
	default:
		return len(r.resources.sorted) > 0 || len(r.templates.sorted) > 0
	}
}

// merged are the features of a list with those that one session has for itself;
// on the same key the session's counts.
func merged[F feature](sorted []F, own map[string]F) []F {
	if len(own) == 0 {
		return sorted
	}
	all := make([]F, 0, len(sorted)+len(own))
	for _, f := range sorted {
		if _, ok := own[f.key()]; !ok {
			all = append(all, f)
		}
	}
	for _, f := range own {
		all = append(all, f)
	}
	slices.SortFunc(all, byKey[F])
	return all
}
