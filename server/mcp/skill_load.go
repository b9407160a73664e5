package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Limits of a skill. The number of files and their sum are those of the
// extension: "Hosts MUST support skills up to and including these limits".
const (
	MaxSkillFiles    = 512
	MaxSkillBytes    = 16 << 20
	MaxSkillFileSize = 4 << 20
)

const (
	skillScheme   = "skill://"
	skillFileName = "SKILL.md"
	mimeDirectory = "inode/directory"
)

// serverSkill is a published skill. It is immutable.
type serverSkill struct {
	path  string // behind skill://
	front *frontMatter
	skill *Skill
	main  *skillFile
	files []*skillFile // sorted, with those of skills nested in it
	byURI map[string]*skillFile
	// dirs are the children of each directory, sorted.
	dirs    map[string][]*serverResource
	encoded []byte // skill
}

// skillFile is a file of a skill, held in memory: what is read is what its
// digest is of. It is immutable.
type skillFile struct {
	*serverResource
	digest string
	size   int64
	main   *serverResource // the SKILL.md of the innermost skill it belongs to
}

func (k *serverSkill) key() string                                 { return k.skill.URI }
func (k *serverSkill) size() int                                   { return len(k.encoded) }
func (k *serverSkill) appendFeature(dst []byte, _ revision) []byte { return append(dst, k.encoded...) }

// skillURI is the URI of the SKILL.md of the skill at a path.
func skillURI(path string) string { return skillScheme + path + "/" + skillFileName }

// prefixSegment is what the segments of a skill's path before its name may be:
// they stand in the URI as they are, which escapePath leaves so too. The first is
// a reg-name of RFC 3986.
var prefixSegment = regexp.MustCompile(`^[A-Za-z0-9._~$&+=-]+$`)

// loadSkill reads the skill in a directory of fsys.
func loadSkill(s *Server, fsys fs.FS, dir string) (*serverSkill, error) {
	if err := checkSkillPath(dir); err != nil {
		return nil, err
	}
	files, err := readTree(fsys, dir)
	if err != nil {
		return nil, err
	}
	doc, ok := files[skillFileName]
	switch {
	case !ok:
		return nil, errors.New("there is no " + skillFileName + " in the directory")
	case !isText(doc):
		return nil, errors.New(skillFileName + " must be UTF-8 text")
	}
	front, err := parseFrontMatter(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", skillFileName, err)
	}
	if front.name != path.Base(dir) {
		return nil, fmt.Errorf("the name in %s is %q, but that of the directory is %q: they must be the same",
			skillFileName, shortName(front.name), path.Base(dir))
	}
	k := &serverSkill{path: dir, front: front}
	for name, content := range files {
		f, err := k.newFile(s, name, content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		k.files = append(k.files, f)
		if name == skillFileName {
			k.main = f
		}
	}
	for _, f := range k.files {
		f.main = k.main.serverResource
	}
	return k, k.index()
}

func checkSkillPath(dir string) error {
	if !fs.ValidPath(dir) || dir == "." {
		return errors.New(`the directory must be given as "NAME" or "PREFIX/NAME", without "." and ".."; fs.Sub moves the root of a file system`)
	}
	prefix, _ := path.Split(dir)
	for segment := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
		if prefix != "" && !prefixSegment.MatchString(segment) {
			return fmt.Errorf("the directory %q before the name cannot stand in a URI: rename it, or use fs.Sub", segment)
		}
	}
	return nil
}

// readTree reads the files under dir, by their path from there, but for those
// that are hidden.
func readTree(fsys fs.FS, dir string) (map[string][]byte, error) {
	files, total := map[string][]byte{}, 0
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == dir && !d.IsDir():
			return errors.New("it is not a directory")
		case name == dir:
			return nil
		case hidden(d.Name()) && d.IsDir():
			return fs.SkipDir
		case hidden(d.Name()) || d.IsDir():
			return nil
		case len(files) == MaxSkillFiles:
			return fmt.Errorf("there are more than %d files", MaxSkillFiles)
		}
		content, err := readSkillFile(fsys, name)
		if err != nil {
			return err
		}
		if total += len(content); total > MaxSkillBytes {
			return fmt.Errorf("the files have more than %d bytes together", MaxSkillBytes)
		}
		files[strings.TrimPrefix(name, dir+"/")] = content
		return nil
	})
	return files, err
}

// readSkillFile reads a regular file. Its mode is looked at before it is opened
// too: a named pipe would be waited for.
func readSkillFile(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %s: only files and links to files can be served; a name that begins with a dot is left out", name, kindOf(info.Mode()))
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	content, ok, err := readAtMost(f, info.Size(), MaxSkillFileSize)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s has more than %d bytes", name, MaxSkillFileSize)
	}
	return content, nil
}

// newFile makes a resource of a file of k.
func (k *serverSkill) newFile(s *Server, name string, content []byte) (*skillFile, error) {
	c := fileContents(skillScheme+k.path+escapePath(name), name, content)
	r := &Resource{URI: c.URI, Name: path.Base(name), MIMEType: c.MIMEType, Size: int64(len(content))}
	if name == skillFileName {
		r.Name, r.Description = k.front.name, k.front.description
	}
	sr, err := newResource(r, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Cacheable: s.cacheable(resourceKind), Contents: []*ResourceContents{c}}, nil
	})
	sum := sha256.Sum256(content)
	return &skillFile{serverResource: sr, digest: "sha256:" + hex.EncodeToString(sum[:]), size: r.Size}, err
}

// escapePath is a path of a file as the end of a URI, with a slash before it.
func escapePath(name string) string {
	var b strings.Builder
	for segment := range strings.SplitSeq(name, "/") {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(segment))
	}
	return b.String()
}

// index makes what is served of k out of its files.
func (k *serverSkill) index() error {
	slices.SortFunc(k.files, func(a, b *skillFile) int { return strings.Compare(a.resource.URI, b.resource.URI) })
	k.byURI = make(map[string]*skillFile, len(k.files))
	k.dirs = make(map[string][]*serverResource)
	k.skill = &Skill{URI: skillURI(k.path), Frontmatter: k.front.raw, Resources: make([]SkillResource, 0, len(k.files))}
	total := int64(0)
	for _, f := range k.files {
		total += f.size
		k.byURI[f.resource.URI] = f
		k.skill.Resources = append(k.skill.Resources, SkillResource{URI: f.resource.URI, Digest: f.digest, Size: f.size})
		if err := k.place(f.serverResource); err != nil {
			return err
		}
	}
	if len(k.files) > MaxSkillFiles || total > MaxSkillBytes {
		return fmt.Errorf("skill %s has, with the skills nested in it, %d files of %d bytes; %d and %d are allowed",
			k.path, len(k.files), total, MaxSkillFiles, MaxSkillBytes)
	}
	for _, children := range k.dirs {
		slices.SortFunc(children, byKey[*serverResource])
	}
	var err error
	k.encoded, err = encodeSkill(k.skill)
	return err
}

// place puts r into its directory, and new directories into theirs.
func (k *serverSkill) place(r *serverResource) error {
	for root := skillScheme + k.path; r.resource.URI != root; {
		dir := path.Dir(r.resource.URI[len(skillScheme):])
		uri := skillScheme + dir
		_, known := k.dirs[uri]
		k.dirs[uri] = append(k.dirs[uri], r)
		if known {
			return nil
		}
		var err error
		if r, err = newDirectory(uri); err != nil {
			return err
		}
	}
	return nil
}

// newDirectory makes a directory resource.
func newDirectory(uri string) (*serverResource, error) {
	name, err := url.PathUnescape(path.Base(uri))
	if err != nil {
		return nil, err
	}
	return newResource(&Resource{URI: uri, Name: name, MIMEType: mimeDirectory}, nil)
}

// Skills can nest. "From the enclosing skill's perspective, a nested skill's
// directory and files are ordinary supporting files", and its manifest lists
// them. So that there is one content to every URI, a file under the directories
// of several skills is that of the innermost one.

// innermost is the skill of the longest path that a URI is in, or is; nil: none.
// No path has more than depth segments.
func innermost(skills map[string]*serverSkill, depth int, uri string) (found *serverSkill) {
	rest, ok := strings.CutPrefix(uri, skillScheme)
	if !ok {
		return nil
	}
	for end, n := -1, 0; n < depth && end < len(rest); n++ {
		next := strings.IndexByte(rest[end+1:], '/')
		if end += 1 + next; next < 0 {
			end = len(rest)
		}
		if k := skills[skillURI(rest[:end])]; k != nil {
			found = k
		}
	}
	return found
}

// depthOf is the number of segments of the longest path.
func depthOf(skills map[string]*serverSkill) (depth int) {
	for _, k := range skills {
		depth = max(depth, strings.Count(k.path, "/")+1)
	}
	return depth
}

// enclosing yields the skills that k is nested in.
func (k *serverSkill) enclosing(skills map[string]*serverSkill) (outer []*serverSkill) {
	for dir := path.Dir(k.path); dir != "."; dir = path.Dir(dir) {
		if e := skills[skillURI(dir)]; e != nil {
			outer = append(outer, e)
		}
	}
	return outer
}

// whole is k with the files of the skills nested in it.
func (k *serverSkill) whole(skills map[string]*serverSkill) (*serverSkill, error) {
	depth := depthOf(skills)
	v := &serverSkill{path: k.path, front: k.front, main: k.main}
	for _, n := range skills {
		if n != k && !strings.HasPrefix(n.path, k.path+"/") {
			continue
		}
		for _, f := range n.files {
			if innermost(skills, depth, f.resource.URI) == n {
				v.files = append(v.files, f)
			}
		}
	}
	return v, v.index()
}

// published are skills as clients see them.
func published(skills map[string]*serverSkill) map[string]*serverSkill {
	var out map[string]*serverSkill
	for _, k := range skills {
		for _, e := range k.enclosing(skills) {
			if out == nil {
				out = maps.Clone(skills)
			}
			if out[e.key()] != e {
				continue // it is done
			}
			if whole, err := e.whole(skills); err == nil { // AddSkill has seen that it can be
				out[e.key()] = whole
			}
		}
	}
	if out == nil {
		return skills
	}
	return out
}
