package mcp

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"millrace/server/seal"
)

// registry is the tools at one time. What is made of them is encoded once, at
// the first request that needs it.
type registry struct {
	tools   map[string]*serverTool
	sorted  []*serverTool // by name
	cursors *seal.Box

	mu         sync.Mutex // for filling what follows
	pages      [revisions]atomic.Pointer[[]page]
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
	r := &registry{
		tools:   maps.Clone(s.tools),
		sorted:  slices.SortedFunc(maps.Values(s.tools), byName),
		cursors: s.cursors,
	}
	s.current.Store(r)
	return r
}

func byName(a, b *serverTool) int { return cmp.Compare(a.tool.Name, b.tool.Name) }

// after returns the index of the first tool whose name is behind name.
func (r *registry) after(name string) int {
	i, found := slices.BinarySearchFunc(r.sorted, name, func(t *serverTool, name string) int {
		return cmp.Compare(t.tool.Name, name)
	})
	if found {
		i++
	}
	return i
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

func (s *Server) add(t *serverTool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools[t.tool.Name] = t
	s.changed()
}

// RemoveTools removes the tools with the given names; unknown names are
// ignored. Calls that have begun go on.
func (s *Server) RemoveTools(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.tools)
	for _, name := range names {
		delete(s.tools, name)
	}
	if len(s.tools) != before {
		s.changed()
	}
}
