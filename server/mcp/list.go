package mcp

import (
	"context"
	"errors"
	"strconv"

	"millrace/codec/jsonrpc"
)

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

// ListPromptsParams are the parameters of prompts/list.
type ListPromptsParams struct {
	Meta `json:"_meta,omitempty"`
	// Cursor is NextCursor of the page before.
	Cursor string `json:"cursor,omitempty"`
}

// ListPromptsResult is the result of prompts/list.
type ListPromptsResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	// NextCursor is "" on the last page.
	NextCursor string    `json:"nextCursor,omitempty"`
	Prompts    []*Prompt `json:"prompts"`
}

// ListResourcesParams are the parameters of resources/list.
type ListResourcesParams struct {
	Meta `json:"_meta,omitempty"`
	// Cursor is NextCursor of the page before.
	Cursor string `json:"cursor,omitempty"`
}

// ListResourcesResult is the result of resources/list.
type ListResourcesResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	// NextCursor is "" on the last page.
	NextCursor string      `json:"nextCursor,omitempty"`
	Resources  []*Resource `json:"resources"`
}

// ListResourceTemplatesParams are the parameters of resources/templates/list.
type ListResourceTemplatesParams struct {
	Meta `json:"_meta,omitempty"`
	// Cursor is NextCursor of the page before.
	Cursor string `json:"cursor,omitempty"`
}

// ListResourceTemplatesResult is the result of resources/templates/list.
type ListResourceTemplatesResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	// NextCursor is "" on the last page.
	NextCursor        string              `json:"nextCursor,omitempty"`
	ResourceTemplates []*ResourceTemplate `json:"resourceTemplates"`
}

func (*ListToolsParams) isParams()             {}
func (*ListPromptsParams) isParams()           {}
func (*ListResourcesParams) isParams()         {}
func (*ListResourceTemplatesParams) isParams() {}
func (*ListToolsResult) isResult()             {}
func (*ListPromptsResult) isResult()           {}
func (*ListResourcesResult) isResult()         {}
func (*ListResourceTemplatesResult) isResult() {}

// The lists of a registry, for what is the same for all of them.
func toolList(r *registry) *list[*serverTool]         { return r.tools }
func promptList(r *registry) *list[*serverPrompt]     { return r.prompts }
func resourceList(r *registry) *list[*serverResource] { return r.resources }
func templateList(r *registry) *list[*serverTemplate] { return r.templates }

// fastList answers a list that is the same for everybody from its encoded pages.
func fastList[F feature](k kind, of func(*registry) *list[F]) func(*Server, *Call, []byte) ([]byte, *jsonrpc.Error) {
	return func(s *Server, c *Call, dst []byte) ([]byte, *jsonrpc.Error) {
		l := of(s.snapshot())
		from := 0
		if raw := c.Meta.beside.cursor; !isNull(raw) {
			cursor, ok := jsonrpc.Unquote(raw)
			if !ok {
				return dst, wrongType("params.cursor", "a string")
			}
			var err *jsonrpc.Error
			if from, err = l.start(l.sorted, cursor); err != nil {
				return dst, err
			}
		}
		return append(dst, l.page(s, c.rev, from, s.cacheable(k)).body...), nil
	}
}

// pageFor returns the entries of the page that begins at cursor, as the caller of
// a request sees the list, and the cursor of the next page.
func pageFor[F feature, T any](l *list[F], features []F, cursor string, most int, visible func(F) bool, entry func(F) T) (entries []T, next string, err error) {
	from, wrong := l.start(features, cursor)
	if wrong != nil {
		return nil, "", wrong
	}
	page, more := cut(features[from:], most, visible)
	entries = make([]T, 0, len(page)) // an empty list is [], not null
	for _, f := range page {
		entries = append(entries, entry(f))
	}
	return entries, l.next(page, more), nil
}

func handleListTools(ctx context.Context, _ string, req Request) (Result, error) {
	r := req.(*ListToolsRequest)
	s := r.Session.server
	l := s.snapshot().tools
	tools, next, err := pageFor(l, merged(l.sorted, r.Session.ownTools()), r.Params.Cursor, s.opts.PageSize, s.visibleTools(ctx, r.caller()),
		func(f *serverTool) *Tool { return f.tool })
	if err != nil {
		return nil, err
	}
	return &ListToolsResult{Cacheable: s.cacheable(toolKind), NextCursor: next, Tools: tools}, nil
}

func handleListPrompts(ctx context.Context, _ string, req Request) (Result, error) {
	r := req.(*ListPromptsRequest)
	s := r.Session.server
	l := s.snapshot().prompts
	prompts, next, err := pageFor(l, l.sorted, r.Params.Cursor, s.opts.PageSize, s.visiblePrompts(ctx, r.caller()),
		func(f *serverPrompt) *Prompt { return f.prompt })
	if err != nil {
		return nil, err
	}
	return &ListPromptsResult{Cacheable: s.cacheable(promptKind), NextCursor: next, Prompts: prompts}, nil
}

func handleListResources(ctx context.Context, _ string, req Request) (Result, error) {
	r := req.(*ListResourcesRequest)
	s := r.Session.server
	l := s.snapshot().resources
	resources, next, err := pageFor(l, l.sorted, r.Params.Cursor, s.opts.PageSize, s.visibleResources(ctx, r.caller()),
		func(f *serverResource) *Resource { return f.resource })
	if err != nil {
		return nil, err
	}
	return &ListResourcesResult{Cacheable: s.cacheable(resourceKind), NextCursor: next, Resources: resources}, nil
}

func handleListTemplates(ctx context.Context, _ string, req Request) (Result, error) {
	r := req.(*ListResourceTemplatesRequest)
	s := r.Session.server
	l := s.snapshot().templates
	templates, next, err := pageFor(l, l.sorted, r.Params.Cursor, s.opts.PageSize, s.visibleTemplates(ctx, r.caller()),
		func(f *serverTemplate) *ResourceTemplate { return f.template })
	if err != nil {
		return nil, err
	}
	return &ListResourceTemplatesResult{Cacheable: s.cacheable(templateKind), NextCursor: next, ResourceTemplates: templates}, nil
}

// appendEntries appends the entries of a list as a handler or middleware left
// them. find returns the registered feature of an entry, or makes one: middleware
// may have put in others.
func appendEntries[T any, F feature](dst []byte, entries []*T, rev revision, find func(*T) (F, error)) ([]byte, error) {
	for i, e := range entries {
		if e == nil {
			return dst, errNilEntry
		}
		f, err := find(e)
		if err != nil {
			return dst, err
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.appendFeature(dst, rev)
	}
	return dst, nil
}

// appendListMembers appends the members of res, the result of a list, that are
// its own. It is false when res is something else.
func (s *Server) appendListMembers(dst []byte, res Result, rev revision) (out []byte, ok bool, err error) {
	reg := s.snapshot()
	var next string
	var c Cacheable
	switch r := res.(type) {
	case *ListToolsResult:
		next, c = r.NextCursor, r.Cacheable
		dst, err = appendEntries(append(dst, `"tools":[`...), r.Tools, rev, func(t *Tool) (*serverTool, error) {
			if known := reg.tools.byKey[t.Name]; known != nil && known.tool == t {
				return known, nil
			}
			encoded, err := encodeTool(t)
			return &serverTool{tool: t, encoded: encoded}, err
		})
	case *ListPromptsResult:
		next, c = r.NextCursor, r.Cacheable
		dst, err = appendEntries(append(dst, `"prompts":[`...), r.Prompts, rev, func(p *Prompt) (*serverPrompt, error) {
			if known := reg.prompts.byKey[p.Name]; known != nil && known.prompt == p {
				return known, nil
			}
			return newPrompt(p, nil)
		})
	case *ListResourcesResult:
		next, c = r.NextCursor, r.Cacheable
		dst, err = appendEntries(append(dst, `"resources":[`...), r.Resources, rev, func(f *Resource) (*serverResource, error) {
			if known := reg.resources.byKey[f.URI]; known != nil && known.resource == f {
				return known, nil
			}
			return newResource(f, nil)
		})
	case *ListResourceTemplatesResult:
		next, c = r.NextCursor, r.Cacheable
		dst, err = appendEntries(append(dst, `"resourceTemplates":[`...), r.ResourceTemplates, rev, func(f *ResourceTemplate) (*serverTemplate, error) {
			if known := reg.templates.byKey[f.URITemplate]; known != nil && known.template == f {
				return known, nil
			}
			return newTemplate(f, nil)
		})
	case *ListSkillsResult:
		next, c = r.NextCursor, r.Cacheable
		dst, err = appendEntries(append(dst, `"skills":[`...), r.Skills, rev, func(k *Skill) (*serverSkill, error) {
			if known := reg.skills.byKey[k.URI]; known != nil && known.skill == k {
				return known, nil
			}
			encoded, err := encodeSkill(k)
			return &serverSkill{skill: k, encoded: encoded}, err
		})
	default:
		return dst, false, nil
	}
	return appendListTail(append(dst, ']'), next, c, rev), true, err
}

var errNilEntry = errors.New("a list holds a nil entry")

// entryTail is the JSON of what entries of lists share behind their own members.
type entryTail struct {
	annotations, icons, meta []byte
	plain                    []byte // annotations without lastModified
}

// encodeTail encodes what an entry carries beside strings.
func encodeTail(a *Annotations, icons []Icon, m Meta) (t entryTail, err error) {
	if t.annotations, err = encodePart("Annotations", a, a == nil); err != nil {
		return t, err
	}
	if t.plain = t.annotations; a != nil && a.LastModified != "" {
		older := *a
		older.LastModified = ""
		if t.plain, err = encodePart("Annotations", &older, false); err != nil {
			return t, err
		}
	}
	if t.icons, err = encodePart("Icons", icons, len(icons) == 0); err != nil {
		return t, err
	}
	t.meta, err = encodePart("Meta", m, len(m) == 0)
	return t, err
}

// append appends the members and the closing brace.
func (t *entryTail) append(dst []byte, rev revision) []byte {
	annotations := t.annotations
	if rev < rev20250618 {
		annotations = t.plain
	}
	dst = appendRaw(dst, `,"annotations":`, annotations)
	if rev >= rev20251125 {
		dst = appendRaw(dst, `,"icons":`, t.icons)
	}
	if rev >= rev20250618 {
		dst = appendRaw(dst, `,"_meta":`, t.meta)
	}
	return append(dst, '}')
}

// appendMembers appends ttlMs and cacheScope.
func (c Cacheable) appendMembers(dst []byte) []byte {
	dst = append(dst, `"ttlMs":`...)
	dst = strconv.AppendInt(dst, int64(max(c.TTLMs, 0)), 10)
	dst = append(dst, `,"cacheScope":`...)
	if c.CacheScope == "" {
		c.CacheScope = CacheScopePrivate // the safe one
	}
	return jsonrpc.AppendString(dst, c.CacheScope)
}
