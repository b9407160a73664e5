package mcp

import (
	"context"

	"millrace/codec/jsonrpc"
)

// pageBytes ends a page of a list. Clients cap what they read: 1 MiB in one
// event is a limit seen in practice.
const pageBytes = 512 << 10

// ListToolsParams are the parameters of tools/list.
type ListToolsParams struct {
	Meta `json:"_meta,omitempty"`
	// Cursor is NextCursor of the page before.
	Cursor string `json:"cursor,omitempty"`
}

// ListToolsResult is the result of tools/list.
type ListToolsResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	// NextCursor is "" on the last page.
	NextCursor string  `json:"nextCursor,omitempty"`
	Tools      []*Tool `json:"tools"`
}

func (*ListToolsParams) isParams() {}
func (*ListToolsResult) isResult() {}

// page is a stretch of the sorted tools with its whole encoded result.
type page struct {
	from, to int
	next     string
	body     []byte
}

// page returns the page that begins with the tool at index from.
func (s *Server) page(r *registry, rev revision, from int) (page, error) {
	pages := r.pages[rev].Load()
	if pages == nil {
		var err error
		if pages, err = s.paginate(r, rev); err != nil {
			return page{}, err
		}
	}
	for i := range *pages {
		if (*pages)[i].from == from {
			return (*pages)[i], nil
		}
	}
	// The cursor is from before tools came or went.
	return s.newPage(r, rev, from)
}

// paginate makes the pages of rev that a client sees that starts at the
// beginning.
func (s *Server) paginate(r *registry, rev revision) (*[]page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pages := r.pages[rev].Load(); pages != nil {
		return pages, nil
	}
	var pages []page
	for from := 0; from == 0 || from < len(r.sorted); {
		p, err := s.newPage(r, rev, from)
		if err != nil {
			return nil, err
		}
		pages = append(pages, p)
		from = max(p.to, 1)
	}
	r.pages[rev].Store(&pages)
	return &pages, nil
}

func (s *Server) newPage(r *registry, rev revision, from int) (page, error) {
	p := page{from: from, to: from}
	size := 0
	for p.to < len(r.sorted) && p.to-from < s.opts.PageSize {
		size += r.sorted[p.to].size
		if size > pageBytes && p.to > from {
			break
		}
		p.to++
	}
	if p.to < len(r.sorted) {
		p.next = r.sealCursor(methodListTools, r.sorted[p.to-1].tool.Name)
	}
	var err error
	p.body, err = s.appendResult(nil, s.listResult(r, p), rev)
	return p, err
}

func (s *Server) listResult(r *registry, p page) *ListToolsResult {
	res := &ListToolsResult{
		Cacheable:  s.cacheable(),
		NextCursor: p.next,
		Tools:      make([]*Tool, 0, p.to-p.from),
	}
	for _, t := range r.sorted[p.from:p.to] {
		res.Tools = append(res.Tools, t.tool)
	}
	return res
}

// appendListMembers appends the members of r that are its own.
func (s *Server) appendListMembers(dst []byte, r *ListToolsResult, rev revision) ([]byte, error) {
	tools := s.snapshot().tools
	dst = append(dst, `"tools":[`...)
	for i, t := range r.Tools {
		if i > 0 {
			dst = append(dst, ',')
		}
		// Middleware may have put in tools that are not registered.
		known := tools[t.Name]
		if known == nil || known.tool != t {
			encoded, err := encodeTool(t)
			if err != nil {
				return dst, err
			}
			known = &serverTool{tool: t, encoded: encoded}
		}
		dst = known.appendTool(dst, rev)
	}
	dst = append(dst, ']')
	dst = appendMember(dst, `,"nextCursor":`, r.NextCursor)
	if !rev.modern() {
		return dst, nil
	}
	return appendMembers(append(dst, ','), r.Cacheable)
}

func decodeListTools(s *Server, c *Call) (Request, *jsonrpc.Error) {
	return decodeParams[ListToolsParams](s, c)
}

func handleListTools(_ context.Context, _ string, req Request) (Result, error) {
	r := req.(*ListToolsRequest)
	s := r.Session.server
	reg := s.snapshot()
	from, wrong := reg.openCursor(methodListTools, r.Params.Cursor)
	if wrong != nil {
		return nil, wrong
	}
	p, err := s.page(reg, r.Session.call.rev, from)
	if err != nil {
		return nil, err
	}
	return s.listResult(reg, p), nil
}

func fastListTools(s *Server, c *Call, dst []byte) ([]byte, *jsonrpc.Error) {
	reg := s.snapshot()
	from := 0
	if raw := c.Meta.beside.cursor; raw != nil && string(raw) != "null" {
		cursor, ok := jsonrpc.Unquote(raw)
		if !ok {
			return dst, wrongType("params.cursor", "a string")
		}
		var err *jsonrpc.Error
		if from, err = reg.openCursor(methodListTools, cursor); err != nil {
			return dst, err
		}
	}
	p, err := s.page(reg, c.rev, from)
	if err != nil {
		return dst, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "a tool cannot be encoded"}
	}
	return append(dst, p.body...), nil
}
