package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"millrace/codec/jsonrpc"
)

// SkillsExtension is the id of the skills extension. It is declared on
// 2026-07-28 while there is a skill; its methods need no declaration of the
// client.
const SkillsExtension = "io.modelcontextprotocol/skills"

// Skill is an entry of skills/list, and what skills/get returns.
type Skill struct {
	// URI is that of the SKILL.md.
	URI string `json:"uri"`
	// Frontmatter is that of the SKILL.md as a JSON object.
	Frontmatter json.RawMessage `json:"frontmatter"`
	// Resources are all files of the skill, SKILL.md included.
	Resources []SkillResource `json:"resources"`
}

// SkillResource is a file of a skill.
type SkillResource struct {
	URI string `json:"uri"`
	// Digest is "sha256:" and 64 hexadecimal digits.
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// ListSkillsParams are the parameters of skills/list.
type ListSkillsParams struct {
	Meta `json:"_meta,omitempty"`
	// Cursor is NextCursor of the page before.
	Cursor string `json:"cursor,omitempty"`
}

// ListSkillsResult is the result of skills/list.
type ListSkillsResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	// NextCursor is "" on the last page.
	NextCursor string   `json:"nextCursor,omitempty"`
	Skills     []*Skill `json:"skills"`
}

// GetSkillParams are the parameters of skills/get.
type GetSkillParams struct {
	Meta `json:"_meta,omitempty"`
	// URI is that of the SKILL.md.
	URI string `json:"uri"`
}

// GetSkillResult is the result of skills/get.
type GetSkillResult struct {
	Meta `json:"_meta,omitempty"`
	Cacheable
	Skill *Skill `json:"skill"`
}

// ReadResourceDirectoryParams are the parameters of resources/directory/read.
type ReadResourceDirectoryParams struct {
	Meta `json:"_meta,omitempty"`
	URI  string `json:"uri"`
	// Cursor is NextCursor of the page before.
	Cursor string `json:"cursor,omitempty"`
}

// ReadResourceDirectoryResult is the result of resources/directory/read: the
// children of a directory. Those that are directories have the MIME type
// inode/directory.
type ReadResourceDirectoryResult struct {
	Meta `json:"_meta,omitempty"`
	// NextCursor is "" on the last page.
	NextCursor string      `json:"nextCursor,omitempty"`
	Resources  []*Resource `json:"resources"`
}

// The requests of the skills extension.
type (
	// ListSkillsRequest is a skills/list.
	ListSkillsRequest = ServerRequest[*ListSkillsParams]
	// GetSkillRequest is a skills/get.
	GetSkillRequest = ServerRequest[*GetSkillParams]
	// ReadResourceDirectoryRequest is a resources/directory/read.
	ReadResourceDirectoryRequest = ServerRequest[*ReadResourceDirectoryParams]
)

func (*ListSkillsParams) isParams()            {}
func (*GetSkillParams) isParams()              {}
func (*ReadResourceDirectoryParams) isParams() {}
func (*ListSkillsResult) isResult()            {}
func (*GetSkillResult) isResult()              {}
func (*ReadResourceDirectoryResult) isResult() {}

// AddSkill serves a skill, a directory of fsys with a SKILL.md, or replaces the
// one that was added with the same dir. The skill's URI is
// skill://DIR/SKILL.md, so that dir is its name, or a prefix of the server's
// choice and its name; fs.Sub moves the root of a file system.
//
// The files are read now and served from memory: what a client reads is what the
// digests are of, whatever becomes of the files. Call AddSkill again when they
// have changed; clients that watch a file are told. There may be MaxSkillFiles
// of them, with MaxSkillBytes together and MaxSkillFileSize each. Names that
// begin with a dot are left out. A link to a file is served as the file: take
// the FS of an os.Root, which keeps links inside of it; os.DirFS follows them
// anywhere. Links to directories are refused.
//
// SKILL.md must begin with YAML front matter as the Agent Skills specification
// has it: a name, that of the directory, and a description. Aliases, tags and
// keys that are not strings are refused.
//
// Clients of 2026-07-28 find skills with skills/list; to others, SKILL.md is one
// of the resources that are listed, and the other files are read by their URI.
// ServerOptions.ResourceFilter decides on each file; a skill whose SKILL.md a
// caller cannot see does not exist for it, nor do its files.
func (s *Server) AddSkill(fsys fs.FS, dir string) error {
	k, err := loadSkill(s, fsys, dir)
	if err != nil {
		return fmt.Errorf("mcp: AddSkill %q: %w", dir, err)
	}
	old, err := s.putSkill(k)
	if err != nil {
		return fmt.Errorf("mcp: AddSkill %q: %w", dir, err)
	}
	if old != nil {
		s.tellSkillChanged(old, k)
	}
	return nil
}

// putSkill adds k unless that would make a skill too large that it is nested in,
// or the other way round.
func (s *Server) putSkill(k *serverSkill) (old *serverSkill, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old = s.skills[k.key()]
	s.skills[k.key()] = k
	for _, e := range append(k.enclosing(s.skills), k) {
		if _, err = e.whole(s.skills); err == nil {
			continue
		}
		delete(s.skills, k.key())
		if old != nil {
			s.skills[k.key()] = old
		}
		return nil, err
	}
	s.changed(resourceKind)
	return old, nil
}

// tellSkillChanged tells who watches files of a skill that has been replaced.
func (s *Server) tellSkillChanged(old, now *serverSkill) {
	for uri, f := range old.byURI {
		if g := now.byURI[uri]; g == nil || g.digest != f.digest {
			// The error is that of the context.
			_ = s.ResourceUpdated(context.Background(), &ResourceUpdatedNotificationParams{URI: uri})
		}
	}
}

// RemoveSkills removes the skills that were added with the given dirs; unknown
// ones are ignored.
func (s *Server) RemoveSkills(dirs ...string) {
	uris := make([]string, 0, len(dirs))
	for _, dir := range dirs {
		uris = append(uris, skillURI(dir))
	}
	remove(s, resourceKind, s.skills, uris)
}

// withSkills are resources with the SKILL.md of each skill.
func withSkills(resources map[string]*serverResource, skills map[string]*serverSkill) map[string]*serverResource {
	if len(skills) == 0 {
		return resources
	}
	resources = maps.Clone(resources)
	for uri, k := range skills {
		resources[uri] = k.main.serverResource
	}
	return resources
}

func skillList(r *registry) *list[*serverSkill] { return r.skills }

func hasSkills(s *Server) bool { return len(s.snapshot().skills.sorted) > 0 }

// encodeSkill encodes an entry.
func encodeSkill(k *Skill) ([]byte, error) {
	dst := jsonrpc.AppendString([]byte(`{"uri":`), k.URI)
	dst = append(dst, `,"frontmatter":`...)
	dst, err := appendValue(dst, k.Frontmatter)
	if err != nil {
		return nil, err
	}
	dst = append(dst, `,"resources":[`...)
	for i, r := range k.Resources {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonrpc.AppendString(append(dst, `{"uri":`...), r.URI)
		dst = jsonrpc.AppendString(append(dst, `,"digest":`...), r.Digest)
		dst = strconv.AppendInt(append(dst, `,"size":`...), r.Size, 10)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...), nil
}

// skillAt is the skill whose files a URI is among, or whose directories; nil:
// none.
func (r *registry) skillAt(uri string) *serverSkill {
	return innermost(r.skills.byKey, r.skillDepth, uri)
}

// A visible function is that of visibleResources; nil: all are.
type visible = func(*serverResource) bool

// seenBy reports whether f exists for a caller.
func (f *skillFile) seenBy(v visible) bool {
	return sees(v, f.main) && (f.serverResource == f.main || sees(v, f.serverResource))
}

// seenBy returns k as it exists for a caller that sees its SKILL.md.
func (k *serverSkill) seenBy(v visible) *Skill {
	if v == nil {
		return k.skill
	}
	own := *k.skill
	own.Resources = nil
	for i, f := range k.files {
		if f.seenBy(v) {
			own.Resources = append(own.Resources, k.skill.Resources[i])
		}
	}
	return &own
}

// holds reports whether a caller sees anything in a directory of k.
func (k *serverSkill) holds(dir string, v visible) bool {
	return slices.ContainsFunc(k.files, func(f *skillFile) bool {
		return strings.HasPrefix(f.resource.URI, dir+"/") && f.seenBy(v)
	})
}

func handleListSkills(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*ListSkillsRequest)
	s := req.Session.server
	l := s.snapshot().skills
	v := s.visibleResources(ctx, req.caller())
	skills, next, err := pageFor(l, l.sorted, req.Params.Cursor, s.opts.PageSize,
		func(k *serverSkill) bool { return k.main.seenBy(v) },
		func(k *serverSkill) *Skill { return k.seenBy(v) })
	if err != nil {
		return nil, err
	}
	return &ListSkillsResult{Cacheable: s.cacheable(resourceKind), NextCursor: next, Skills: skills}, nil
}

func decodeGetSkill(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[GetSkillParams](s, c)
	return f.ofURI(c, &f.params.URI)
}

func decodeReadDirectory(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[ReadResourceDirectoryParams](s, c)
	return f.ofURI(c, &f.params.URI)
}

func handleGetSkill(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*GetSkillRequest)
	s, uri := req.Session.server, req.Params.URI
	k := s.snapshot().skills.byKey[uri]
	v := s.visibleResources(ctx, req.caller())
	if k == nil || !k.main.seenBy(v) {
		return nil, noSuch(uri, "no skill has the URI %q; skills/list lists those there are")
	}
	return &GetSkillResult{Cacheable: s.cacheable(resourceKind), Skill: k.seenBy(v)}, nil
}

// noSuch is the error for a URI that is not what a method is about.
func noSuch(uri, format string) error {
	return &jsonrpc.Error{
		Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(format, shortName(uri)),
		Data: notFoundData{URI: strings.ToValidUTF8(uri, "")},
	}
}

func handleReadDirectory(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*ReadResourceDirectoryRequest)
	s, uri := req.Session.server, req.Params.URI
	reg := s.snapshot()
	children, err := reg.children(uri, s.visibleResources(ctx, req.caller()))
	if err != nil {
		return nil, err
	}
	// The cursor is of this directory.
	l := &list[*serverResource]{method: methodReadDirectory + " " + uri, cursors: reg.skills.cursors}
	resources, next, err := pageFor(l, children, req.Params.Cursor, s.opts.PageSize, nil,
		func(r *serverResource) *Resource { return r.resource })
	if err != nil {
		return nil, err
	}
	return &ReadResourceDirectoryResult{NextCursor: next, Resources: resources}, nil
}

// children are what a caller sees in a directory: of a skill, or one that leads
// to skills.
func (r *registry) children(uri string, v visible) ([]*serverResource, error) {
	k := r.skillAt(uri)
	if k == nil {
		return r.leading(uri, v)
	}
	if f := k.byURI[uri]; f != nil && f.seenBy(v) {
		return nil, noSuch(uri, "%q is a file: resources/read reads it")
	}
	children := k.dirs[uri]
	if v != nil {
		children = slices.DeleteFunc(slices.Clone(children), func(c *serverResource) bool {
			if f := k.byURI[c.resource.URI]; f != nil {
				return !f.seenBy(v)
			}
			return !k.holds(c.resource.URI, v)
		})
	}
	if len(children) == 0 {
		return nil, errNoDirectory(uri)
	}
	return children, nil
}

func errNoDirectory(uri string) error {
	return noSuch(uri, "no directory has the URI %q; that of a skill is its own without /"+skillFileName)
}

// leading are the directories in one that is a prefix of the paths of skills.
func (r *registry) leading(uri string, v visible) (children []*serverResource, err error) {
	if !strings.HasPrefix(uri, skillScheme) {
		return nil, errNoDirectory(uri)
	}
	last := ""
	for _, k := range r.skills.sorted[after(r.skills.sorted, uri+"/"):] {
		rest, ok := strings.CutPrefix(k.key(), uri+"/")
		if !ok {
			break
		}
		name, _, _ := strings.Cut(rest, "/")
		if child := uri + "/" + name; child != last && k.main.seenBy(v) {
			last = child
			d, err := newDirectory(child)
			if err != nil {
				return nil, err
			}
			children = append(children, d)
		}
	}
	if len(children) == 0 {
		return nil, errNoDirectory(uri)
	}
	slices.SortFunc(children, byKey[*serverResource])
	return children, nil
}

// skillFile finds a file of a skill that a caller sees; ok is false when the URI
// is no file of a skill at all.
func (r *registry) skillFile(uri string, v visible) (f *skillFile, ok bool) {
	k := r.skillAt(uri)
	if k == nil || k.byURI[uri] == nil {
		return nil, false
	}
	if f = k.byURI[uri]; !f.seenBy(v) {
		return nil, true
	}
	return f, true
}

// appendMembers appends the members of r that are its own.
func (r *GetSkillResult) appendMembers(dst []byte) ([]byte, error) {
	if r.Skill == nil {
		return dst, errNilEntry
	}
	entry, err := encodeSkill(r.Skill)
	if err != nil {
		return dst, err
	}
	dst = append(append(dst, `"skill":`...), entry...)
	return r.Cacheable.appendMembers(append(dst, ',')), nil
}

// appendMembers appends the members of r that are its own.
func (r *ReadResourceDirectoryResult) appendMembers(dst []byte, rev revision) ([]byte, error) {
	dst, err := appendEntries(append(dst, `"resources":[`...), r.Resources, rev, func(f *Resource) (*serverResource, error) {
		return newResource(f, nil)
	})
	return appendMember(append(dst, ']'), `,"nextCursor":`, r.NextCursor), err
}
