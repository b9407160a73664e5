package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// skillFS is a file system: a path and a content a pair.
func skillFS(files ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return m
}

func skillDoc(name string) string {
	return "---\nname: " + name + "\ndescription: what " + name + " is for\n---\n# " + name + "\n"
}

// addSkill is AddSkill of a skill that is in order.
func addSkill(t testing.TB, s *Server, fsys fs.FS, dir string) {
	t.Helper()
	if err := s.AddSkill(fsys, dir); err != nil {
		t.Fatal(err)
	}
}

// answer is what a client reads of a response to a method about skills.
type answer struct {
	Result struct {
		Skills     []Skill
		Skill      *Skill
		Resources  []Resource
		Contents   []struct{ URI, MIMEType, Text, Blob string }
		NextCursor string
		TTLMs      *int `json:"ttlMs"`
		CacheScope string
	}
	Error *struct {
		Code    int
		Message string
		Data    struct{ URI string }
	}
}

func (c *client) about(method, params string) (a answer) {
	c.t.Helper()
	out := c.ask(method, params)
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		c.t.Fatalf("%s: %v", out, err)
	}
	return a
}

func quoted(uri string) string {
	raw, _ := json.Marshal(uri)
	return `"uri":` + string(raw)
}

func (c *client) read(uri string) answer { return c.about("resources/read", quoted(uri)) }

// uris are those of skills or resources.
func (a answer) uris() (all []string) {
	for _, k := range a.Result.Skills {
		all = append(all, k.URI)
	}
	for _, r := range a.Result.Resources {
		all = append(all, r.URI)
	}
	return all
}

func TestAddSkillErrors(t *testing.T) {
	many := skillFS("many/SKILL.md", skillDoc("many"))
	for i := range MaxSkillFiles {
		many[fmt.Sprintf("many/%d", i)] = &fstest.MapFile{}
	}
	heavy := skillFS("heavy/SKILL.md", skillDoc("heavy"))
	for i := range 5 {
		heavy[fmt.Sprintf("heavy/%d", i)] = &fstest.MapFile{Data: make([]byte, MaxSkillFileSize)}
	}
	odd := func(mode fs.FileMode) fstest.MapFS {
		m := skillFS("x/SKILL.md", skillDoc("x"))
		m["x/odd"] = &fstest.MapFile{Mode: mode}
		return m
	}
	for _, tt := range []struct {
		name, dir, want string
		fsys            fs.FS
	}{
		{"the root", ".", "fs.Sub moves the root", skillFS("SKILL.md", skillDoc("x"))},
		{"a way up", "../x", "must be given as", skillFS()},
		{"a slash first", "/x", "must be given as", skillFS()},
		{"prefix", "a b/x", `"a b" before the name cannot stand in a URI`, skillFS("a b/x/SKILL.md", skillDoc("x"))},
		{"inner prefix", "a/é/x", "cannot stand in a URI", skillFS("a/é/x/SKILL.md", skillDoc("x"))},
		{"nothing there", "x", "file does not exist", skillFS()},
		{"a file", "x", "it is not a directory", skillFS("x", "")},
		{"no SKILL.md", "x", "there is no SKILL.md", skillFS("x/skill.md", skillDoc("x"))},
		{"SKILL.md deeper", "x", "there is no SKILL.md", skillFS("x/x/SKILL.md", skillDoc("x"))},
		{"SKILL.md binary", "x", "must be UTF-8", skillFS("x/SKILL.md", skillDoc("x")+"\xff")},
		{"front matter", "x", "SKILL.md: the first line must be", skillFS("x/SKILL.md", "# x")},
		{"another name", "x", `is "y", but that of the directory is "x"`, skillFS("x/SKILL.md", skillDoc("y"))},
		{"too many files", "many", "more than 512 files", many},
		{"too many bytes", "heavy", "more than 16777216 bytes together", heavy},
		{"a large file", "x", "x/big has more than 4194304 bytes", skillFS("x/SKILL.md", skillDoc("x"), "x/big", strings.Repeat("b", MaxSkillFileSize+1))},
		{"a long name", "x", "are allowed", skillFS("x/SKILL.md", skillDoc("x"), "x/"+strings.Repeat("n", maxURI), "")},
		{"a pipe", "x", "x/odd is a named pipe", odd(fs.ModeNamedPipe)},
		{"a socket", "x", "x/odd is a socket", odd(fs.ModeSocket)},
		{"a device", "x", "x/odd is a device", odd(fs.ModeDevice)},
		{"something else", "x", "x/odd is no regular file", odd(fs.ModeIrregular)},
	} {
		s := NewServer(&Implementation{Name: "x"}, quiet())
		err := s.AddSkill(tt.fsys, tt.dir)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "mcp: AddSkill ") {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
		if out := dial(t, s, Version20260728).ask("skills/list", ""); !strings.Contains(out, "-32601") {
			t.Errorf("%s: %s", tt.name, out)
		}
	}
}

func TestSkillLimits(t *testing.T) {
	full := skillFS("x/SKILL.md", skillDoc("x"), "x/large", strings.Repeat("l", MaxSkillFileSize))
	for i := range MaxSkillFiles - 2 {
		full[fmt.Sprintf("x/%d", i)] = &fstest.MapFile{}
	}
	s := NewServer(&Implementation{Name: "x"}, quiet())
	addSkill(t, s, full, "x")
	c := dial(t, s, Version20260728)
	got := c.about("skills/get", quoted("skill://x/SKILL.md")).Result.Skill
	if len(got.Resources) != MaxSkillFiles {
		t.Errorf("%d files", len(got.Resources))
	}
	if a := c.read("skill://x/large"); len(a.Result.Contents) != 1 || len(a.Result.Contents[0].Text) != MaxSkillFileSize {
		t.Error("the large file is not read whole")
	}
	err := s.AddSkill(skillFS("x/y/SKILL.md", skillDoc("y")), "x/y")
	if err == nil || !strings.Contains(err.Error(), "skill x has, with the skills nested in it, 513 files") {
		t.Errorf("one more by nesting: %v", err)
	}
	if a := c.about("skills/get", quoted("skill://x/y/SKILL.md")); a.Error == nil {
		t.Error("what is refused is there")
	}
	delete(full, "x/0")
	addSkill(t, s, full, "x")
	addSkill(t, s, skillFS("x/y/SKILL.md", skillDoc("y")), "x/y")
	full["x/0"] = &fstest.MapFile{}
	if err := s.AddSkill(full, "x"); err == nil {
		t.Error("the outer one grows too large")
	}
	if n := len(c.about("skills/get", quoted("skill://x/SKILL.md")).Result.Skill.Resources); n != MaxSkillFiles {
		t.Errorf("the one before has %d files", n)
	}
}

// TestSkillsAreConsistent reads every file of every skill by its manifest.
func TestSkillsAreConsistent(t *testing.T) {
	fsys := skillFS(
		"a/SKILL.md", skillDoc("a"), "a/empty", "", "a/b c/ü?#%20&=+@:;,'(!)*.PNG", "\x89PNG", "a/nul.txt", "a\x00b",
		"a/.env", "secret", "a/.git/config", "secret", "a/SKILL.md.md", "# m", "a/crlf.txt", "\ufeffa\r\nb\u2028",
		"a/inner/SKILL.md", skillDoc("inner"), "a/inner/deep/x.json", "{}", "a/inner.md", "i", "a/inner-2/y", "",
		"a/plain/SKILL.md", "not a skill",
		"team/web/a/SKILL.md", skillDoc("a"), "team/web-2/b/SKILL.md", skillDoc("b"), "team/z.1/SKILL.md", "?",
	)
	s := NewServer(&Implementation{Name: "x"}, quiet())
	for _, dir := range []string{"team/web/a", "a/inner", "a", "team/web-2/b"} {
		addSkill(t, s, fsys, dir)
	}
	c := dial(t, s, Version20260728)
	list := c.about("skills/list", "")
	want := "[skill://a/SKILL.md skill://a/inner/SKILL.md skill://team/web-2/b/SKILL.md skill://team/web/a/SKILL.md]"
	if got := fmt.Sprint(list.uris()); got != want {
		t.Fatalf("skills %s", got)
	}
	total := 0
	for _, k := range list.Result.Skills {
		if got := c.about("skills/get", quoted(k.URI)).Result.Skill; fmt.Sprint(*got) != fmt.Sprint(k) {
			t.Errorf("skills/get has %v, skills/list %v", *got, k)
		}
		root := strings.TrimSuffix(k.URI, "/SKILL.md")
		walked := c.walk(root)
		var listed []string
		for _, r := range k.Resources {
			total++
			listed = append(listed, r.URI)
			if digest, size := c.digest(r.URI); digest != r.Digest || size != r.Size {
				t.Errorf("%s: digest %s of %d bytes, want %s of %d", r.URI, digest, size, r.Digest, r.Size)
			}
		}
		slices.Sort(walked)
		if !slices.IsSorted(listed) || !slices.Equal(listed, walked) {
			t.Errorf("%s: the manifest has %q, the directories %q", k.URI, listed, walked)
		}
	}
	if total != 11+2+1+1 {
		t.Errorf("%d files", total)
	}
	name, _ := url.PathUnescape("%C3%BC%3F%23%2520&=+@:%3B%2C%27%28%21%29%2A.PNG")
	if got := c.about("resources/directory/read", quoted("skill://a/b%20c")).Result.Resources; len(got) != 1 || got[0].Name != name || got[0].MIMEType != "image/png" {
		t.Errorf("a strange name: %+v", got)
	}
	if got := c.about("resources/directory/read", quoted("skill://a")).Result.Resources; !slices.ContainsFunc(got, func(r Resource) bool { return r.Name == "b c" }) {
		t.Errorf("the directory has %+v", got)
	}
	for dir, want := range map[string]string{
		"skill://team":       "[skill://team/web skill://team/web-2]",
		"skill://team/web":   "[skill://team/web/a]",
		"skill://team/web/a": "[skill://team/web/a/SKILL.md]",
		"skill://a/inner":    "[skill://a/inner/SKILL.md skill://a/inner/deep]",
	} {
		if got := fmt.Sprint(c.about("resources/directory/read", quoted(dir)).uris()); got != want {
			t.Errorf("%s has %s, want %s", dir, got, want)
		}
	}
}

// walk returns the files under a directory.
func (c *client) walk(dir string) (files []string) {
	c.t.Helper()
	for _, r := range c.about("resources/directory/read", quoted(dir)).Result.Resources {
		if r.MIMEType == "inode/directory" {
			files = append(files, c.walk(r.URI)...)
		} else {
			files = append(files, r.URI)
		}
	}
	return files
}

// digest reads a resource and returns the SHA-256 of its bytes, and how many.
func (c *client) digest(uri string) (digest string, size int64) {
	c.t.Helper()
	a := c.read(uri)
	if len(a.Result.Contents) != 1 {
		c.t.Fatalf("%s: %+v", uri, a)
	}
	content := []byte(a.Result.Contents[0].Text)
	if blob := a.Result.Contents[0].Blob; blob != "" {
		content, _ = base64.StdEncoding.DecodeString(blob)
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:]), int64(len(content))
}

func TestSkillURIs(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	addSkill(t, s, skillFS("team/a/SKILL.md", skillDoc("a"), "team/a/d/f", ""), "team/a")
	c := dial(t, s, Version20260728)
	for _, tt := range []struct{ method, uri, want string }{
		{"skills/get", "skill://a/SKILL.md", "no skill has the URI"},
		{"skills/get", "skill://team/a", "no skill has the URI"},
		{"skills/get", "skill://team/a/d/f", "no skill has the URI"},
		{"skills/get", "SKILL://team/a/SKILL.md", "no skill has the URI"},
		{"skills/get", "", "needs params.uri"},
		{"skills/get", strings.Repeat("x", maxURI+1), "needs params.uri"},
		{"resources/directory/read", "", "needs params.uri"},
		{"resources/directory/read", "skill://team/a/SKILL.md", "is a file: resources/read reads it"},
		{"resources/directory/read", "skill://team/a/d/f", "is a file: resources/read reads it"},
		{"resources/directory/read", "skill://team/a/", "no directory has the URI"},
		{"resources/directory/read", "skill://team/a/d/", "no directory has the URI"},
		{"resources/directory/read", "skill://team/a/e", "no directory has the URI"},
		{"resources/directory/read", "skill://team/", "no directory has the URI"},
		{"resources/directory/read", "skill://tea", "no directory has the URI"},
		{"resources/directory/read", "skill://", "no directory has the URI"},
		{"resources/directory/read", "skill:/", "no directory has the URI"},
		{"resources/directory/read", "file:///team", "no directory has the URI"},
		{"resources/directory/read", "skill://" + strings.Repeat("/", maxURI-8), "no directory has the URI"},
		{"resources/read", "skill://team/a", "not found"},
		{"resources/read", "skill://team/a/d", "not found"},
		{"resources/read", "skill://team/a/d/../SKILL.md", "not found"},
		{"resources/read", "skill://team/a/d/g", "not found"},
	} {
		a := c.about(tt.method, quoted(tt.uri))
		if a.Error == nil || a.Error.Code != -32602 || !strings.Contains(a.Error.Message, tt.want) {
			t.Errorf("%s %.60s: %+v", tt.method, tt.uri, a.Error)
		}
		if len(a.Error.Message) > 400 {
			t.Errorf("%s %.60s: a message of %d bytes", tt.method, tt.uri, len(a.Error.Message))
		}
	}
	for _, params := range []string{`"uri":1`, `"uri":"skill://team","cursor":"x"`, `"uri":"skill://team","cursor":1`} {
		if a := c.about("resources/directory/read", params); a.Error == nil || a.Error.Code != -32602 {
			t.Errorf("%s: %+v", params, a)
		}
	}
}

func TestSkillPages(t *testing.T) {
	for _, hooked := range []bool{false, true} {
		o := quiet()
		o.PageSize = 2
		s := NewServer(&Implementation{Name: "x"}, o)
		for _, name := range []string{"e", "c", "a", "b", "d"} {
			addSkill(t, s, skillFS("team/"+name+"/SKILL.md", skillDoc(name), "team/"+name+"/1", "", "team/"+name+"/2/3", ""), "team/"+name)
		}
		if hooked {
			s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler { return h })
		}
		c := dial(t, s, Version20260728)
		if got := len(c.everyPage("skills/list", "")); got != 5 {
			t.Errorf("%d skills", got)
		}
		if got := fmt.Sprint(c.everyPage("resources/directory/read", quoted("skill://team"))); got != "[skill://team/a skill://team/b skill://team/c skill://team/d skill://team/e]" {
			t.Errorf("children %s", got)
		}
		if got := len(c.everyPage("resources/directory/read", quoted("skill://team/a"))); got != 3 {
			t.Errorf("%d children", got)
		}
		cursor := c.about("resources/directory/read", quoted("skill://team")).Result.NextCursor
		if a := c.about("resources/directory/read", quoted("skill://team/a")+`,"cursor":"`+cursor+`"`); a.Error == nil {
			t.Error("a cursor of another directory passes")
		}
	}
}

// all gathers the URIs of all pages.
func (c *client) everyPage(method, params string) (uris []string) {
	c.t.Helper()
	cursor := ""
	for range 10 {
		p := params
		if cursor != "" {
			p = strings.TrimPrefix(params+`,"cursor":"`+cursor+`"`, ",")
		}
		a := c.about(method, p)
		uris = append(uris, a.uris()...)
		if cursor = a.Result.NextCursor; cursor == "" {
			return uris
		}
	}
	c.t.Errorf("%s does not end", method)
	return uris
}

func TestSkillFilter(t *testing.T) {
	fsys := skillFS(
		"team/a/SKILL.md", skillDoc("a"), "team/a/open", "1", "team/a/secret/x", "2", "team/a/secret/y", "3",
		"team/a/b/SKILL.md", skillDoc("b"), "team/a/b/open", "4",
		"lab/c/SKILL.md", skillDoc("c"), "lab/c/open", "5",
	)
	build := func(deny ...string) *client {
		o := quiet()
		o.ResourceFilter = func(_ context.Context, c *Caller, r *Resource) bool {
			if c.Principal == nil {
				t.Error("no principal")
			}
			return !slices.ContainsFunc(deny, func(d string) bool { return strings.HasPrefix(r.URI, d) })
		}
		s := NewServer(&Implementation{Name: "x"}, o)
		for _, dir := range []string{"team/a", "team/a/b", "lab/c"} {
			addSkill(t, s, fsys, dir)
		}
		return dial(t, s, Version20260728)
	}
	for _, tt := range []struct {
		name            string
		deny            []string
		skills          string
		manifest        int // files of team/a
		hidden, visible []string
	}{
		{"nothing", nil, "[skill://lab/c/SKILL.md skill://team/a/SKILL.md skill://team/a/b/SKILL.md]", 6,
			nil, []string{"team/a/open", "team/a/secret/x", "team/a/b/open", "lab/c/open"}},
		{"a directory", []string{"skill://team/a/secret/"}, "[skill://lab/c/SKILL.md skill://team/a/SKILL.md skill://team/a/b/SKILL.md]", 4,
			[]string{"team/a/secret/x"}, []string{"team/a/open"}},
		{"a SKILL.md", []string{"skill://lab/c/SKILL.md"}, "[skill://team/a/SKILL.md skill://team/a/b/SKILL.md]", 6,
			[]string{"lab/c/open", "lab/c/SKILL.md"}, []string{"team/a/open"}},
		{"a nested SKILL.md", []string{"skill://team/a/b/SKILL.md"}, "[skill://lab/c/SKILL.md skill://team/a/SKILL.md]", 4,
			[]string{"team/a/b/open", "team/a/b/SKILL.md"}, []string{"team/a/secret/y"}},
		{"the outer one", []string{"skill://team/a/SKILL.md"}, "[skill://lab/c/SKILL.md skill://team/a/b/SKILL.md]", 0,
			[]string{"team/a/open", "team/a/SKILL.md"}, []string{"team/a/b/open"}},
		{"all", []string{"skill://"}, "[]", 0, []string{"team/a/open", "lab/c/SKILL.md"}, nil},
	} {
		c := build(tt.deny...)
		list := c.about("skills/list", "")
		if got := fmt.Sprint(list.uris()); got != tt.skills || list.Result.CacheScope != "private" {
			t.Errorf("%s: skills %s, %s", tt.name, got, list.Result.CacheScope)
		}
		if listed := c.about("resources/list", ""); fmt.Sprint(listed.uris()) != tt.skills {
			t.Errorf("%s: resources/list has %v", tt.name, listed.uris())
		}
		a := c.about("skills/get", quoted("skill://team/a/SKILL.md"))
		if (a.Error == nil) != (tt.manifest > 0) || a.Error == nil && len(a.Result.Skill.Resources) != tt.manifest {
			t.Errorf("%s: skills/get has %+v", tt.name, a)
		}
		if tt.manifest > 0 {
			if walked := c.walk("skill://team/a"); len(walked) != tt.manifest {
				t.Errorf("%s: the directories have %v", tt.name, walked)
			}
		}
		for _, uri := range tt.hidden {
			if a := c.read("skill://" + uri); a.Error == nil || a.Error.Code != -32602 {
				t.Errorf("%s: %s is read: %+v", tt.name, uri, a)
			}
			if a := c.about("resources/directory/read", quoted("skill://"+uri)); a.Error == nil || strings.Contains(a.Error.Message, "is a file") {
				t.Errorf("%s: %s is known: %+v", tt.name, uri, a)
			}
		}
		for _, uri := range tt.visible {
			if a := c.read("skill://" + uri); a.Error != nil || a.Result.CacheScope != "private" {
				t.Errorf("%s: %s is not read: %+v", tt.name, uri, a)
			}
		}
	}
	c := build("skill://lab/")
	if a := c.about("resources/directory/read", quoted("skill://lab")); a.Error == nil {
		t.Errorf("an invisible prefix: %+v", a)
	}
	c = build("skill://team/a/secret/")
	if a := c.about("resources/directory/read", quoted("skill://team/a/secret")); a.Error == nil {
		t.Errorf("an invisible directory: %+v", a)
	}
}

func TestSkillsComeAndGo(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	c := dial(t, s, Version20260728)
	const caps = `"io.modelcontextprotocol/skills":{"directoryRead":true}`
	if out := c.ask("server/discover", ""); strings.Contains(out, "skills") {
		t.Errorf("without skills: %s", out)
	}
	fsys := skillFS("a/SKILL.md", skillDoc("a"), "a/one", "1", "a/two", "2")
	addSkill(t, s, fsys, "a")
	if out := c.ask("server/discover", ""); !strings.Contains(out, caps) || !strings.Contains(out, `"resources":{`) {
		t.Errorf("with one: %s", out)
	}
	legacy := dial(t, s, Version20251125)
	if out := legacy.ask("skills/list", ""); !strings.Contains(out, "-32601") {
		t.Errorf("2025-11-25 has skills/list: %s", out)
	}
	if a := legacy.read("skill://a/one"); len(a.Result.Contents) != 1 || a.Result.Contents[0].Text != "1" {
		t.Errorf("2025-11-25 reads %+v", a)
	}
	// One who watches a file is told when it becomes another.
	for _, name := range []string{"SKILL.md", "one", "two"} {
		legacy.ask("resources/subscribe", quoted("skill://a/"+name))
	}
	legacy.peer.take()
	addSkill(t, s, skillFS("a/SKILL.md", skillDoc("a"), "a/one", "1.1"), "a")
	told := legacy.peer.take()
	slices.Sort(told)
	if len(told) != 2 || !strings.Contains(told[0], "skill://a/one") || !strings.Contains(told[1], "skill://a/two") {
		t.Errorf("told %q", told)
	}
	if a := c.read("skill://a/one"); a.Result.Contents[0].Text != "1.1" {
		t.Errorf("read %+v", a)
	}
	// A skill's file counts before a resource that has the same URI by chance.
	s.AddResource(&Resource{URI: "skill://a/one", Name: "other"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Contents: []*ResourceContents{{Text: "other"}}}, nil
	})
	if a := c.read("skill://a/one"); a.Result.Contents[0].Text != "1.1" {
		t.Errorf("read %+v", a)
	}
	s.RemoveSkills("a", "no such skill")
	if a := c.read("skill://a/one"); a.Result.Contents[0].Text != "other" {
		t.Errorf("read %+v", a)
	}
	if out := c.ask("skills/get", quoted("skill://a/SKILL.md")); !strings.Contains(out, "-32601") {
		t.Errorf("after its end: %s", out)
	}
	if a := c.read("skill://a/SKILL.md"); a.Error == nil {
		t.Error("the file is still there")
	}
}

// What is served does not follow the files: the digests are of what is read.
func TestSkillFilesChange(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(filepath.Join(dir, "a"), 0o700)
	write("a/SKILL.md", skillDoc("a"))
	write("a/f", "before")
	s := NewServer(&Implementation{Name: "x"}, quiet())
	addSkill(t, s, os.DirFS(dir), "a")
	write("a/f", "after")
	c := dial(t, s, Version20260728)
	if a := c.read("skill://a/f"); a.Result.Contents[0].Text != "before" {
		t.Errorf("read %+v", a)
	}
	addSkill(t, s, os.DirFS(dir), "a")
	if a := c.read("skill://a/f"); a.Result.Contents[0].Text != "after" {
		t.Errorf("read %+v", a)
	}
}

func TestSkillLinks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	os.WriteFile(outside, []byte("secret"), 0o600)
	for _, tt := range []struct {
		name, target string // of a link
		pipe         bool   // a named pipe instead
		root, dirFS  string // what becomes of it; "": it is served
	}{
		{name: "to a file", target: "SKILL.md"},
		{name: "to a file elsewhere in the root", target: "../shared"},
		{name: "out of the root", target: outside, root: "escapes"},
		{name: "out of the root by a way up", target: "../../../../../../../.." + outside, root: "escapes"},
		{name: "to a directory", target: ".", root: "is a directory", dirFS: "is a directory"},
		{name: "to nothing", target: "nothing", root: "no such file", dirFS: "no such file"},
		{name: "to itself", target: "link", root: "link", dirFS: "too many levels"},
		{name: "to a device", target: "/dev/zero", root: "escapes", dirFS: "is a device"},
		{name: "a named pipe", pipe: true, root: "is a named pipe", dirFS: "is a named pipe"},
	} {
		dir := t.TempDir()
		os.Mkdir(filepath.Join(dir, "x"), 0o700)
		os.WriteFile(filepath.Join(dir, "shared"), []byte("shared"), 0o600)
		os.WriteFile(filepath.Join(dir, "x/SKILL.md"), []byte(skillDoc("x")), 0o600)
		link := filepath.Join(dir, "x/link")
		if tt.pipe {
			if err := syscall.Mkfifo(link, 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Symlink(tt.target, link); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		for kind, fsys := range map[string]fs.FS{"os.Root": root.FS(), "os.DirFS": os.DirFS(dir)} {
			want := tt.root
			if kind == "os.DirFS" {
				want = tt.dirFS
			}
			err := NewServer(&Implementation{Name: "x"}, quiet()).AddSkill(fsys, "x")
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: error %v, want %q", tt.name, kind, err, want)
			}
		}
		root.Close()
	}
}

// TestSkillMiddleware puts in and takes out entries.
func TestSkillMiddleware(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	addSkill(t, s, skillFS("a/SKILL.md", skillDoc("a")), "a")
	extra := &Skill{URI: "skill://extra/SKILL.md", Frontmatter: json.RawMessage(`{"name":"extra","description":"d"}`)}
	s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			res, err := h(ctx, method, req)
			switch r := res.(type) {
			case *ListSkillsResult:
				r.Skills = append(r.Skills, extra)
			case *GetSkillResult:
				r.Skill = extra
			case *ReadResourceDirectoryResult:
				r.Resources = append(r.Resources, &Resource{URI: "skill://a/more", Name: "more"})
			}
			return res, err
		}
	})
	c := dial(t, s, Version20260728)
	if a := c.about("skills/list", ""); len(a.Result.Skills) != 2 || a.Result.Skills[1].Resources == nil || a.Result.CacheScope != "private" {
		t.Errorf("skills/list: %+v", a)
	}
	if a := c.about("skills/get", quoted("skill://a/SKILL.md")); a.Result.Skill == nil || a.Result.Skill.URI != extra.URI {
		t.Errorf("skills/get: %+v", a)
	}
	if a := c.about("resources/directory/read", quoted("skill://a")); fmt.Sprint(a.uris()) != "[skill://a/SKILL.md skill://a/more]" {
		t.Errorf("resources/directory/read: %+v", a)
	}
	for _, bad := range []*Skill{nil, {Frontmatter: json.RawMessage(`{`)}} {
		extra = bad
		for _, method := range []string{"skills/list", "skills/get"} {
			if a := c.about(method, quoted("skill://a/SKILL.md")); a.Error == nil || a.Error.Code != -32603 {
				t.Errorf("%s with %v: %+v", method, bad, a)
			}
		}
	}
}

// Methods of skills run on the loop, unless a filter is user code.
func TestSkillPlans(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		o, want := quiet(), ClassInline
		if filtered {
			o.ResourceFilter, want = func(context.Context, *Caller, *Resource) bool { return true }, ClassBlocking
		}
		s := NewServer(&Implementation{Name: "x"}, o)
		addSkill(t, s, skillFS("a/SKILL.md", skillDoc("a")), "a")
		for _, method := range []string{methodListSkills, methodGetSkill, methodReadDirectory} {
			if got := s.Plan(&Call{Method: method, Modern: true}).Class; got != want {
				t.Errorf("%s runs %v, want %v", method, got, want)
			}
		}
	}
}
