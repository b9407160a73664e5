package mcp

import (
	"flag"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"millrace/server/seal"
)

var update = flag.Bool("update", false, "write what the server answers into testdata/*.txtar")

// TestTranscripts replays testdata/*.txtar. The file "client" holds a message a
// line; the file "server" the status and the answer to each, and "-" for
// notifications. Comment lines of "client" begin with #; "version" is the
// revision of the session, or "none" for a client that has yet to initialize.
// Files under "skills/" are a file system whose directories with a SKILL.md are
// skills.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { replay(t, file) })
	}
}

func replay(t *testing.T, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]int{}
	for i, f := range ar.Files {
		sections[f.Name] = i
	}
	version := strings.TrimSpace(string(ar.Files[sections["version"]].Data))
	o := quiet()
	o.Instructions = "be kind"
	s := fixture(o)
	s.SetKeys(seal.NewRandom())
	addSkillsOf(t, s, ar)
	var c *client
	if version == "none" {
		c = &client{t: t, s: s, session: s.NewSession("session-1", &wire{}), notifier: &wire{}}
	} else {
		c = dial(t, s, version)
	}
	var got strings.Builder
	for line := range strings.Lines(string(ar.Files[sections["client"]].Data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		out, status := c.raw(line)
		if out == "" {
			out = "-"
		}
		got.WriteString(strconv.Itoa(status) + " " + out + "\n")
	}
	want := &ar.Files[sections["server"]]
	if *update {
		want.Data = []byte(got.String())
		if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wantLines, gotLines := strings.Split(string(want.Data), "\n"), strings.Split(got.String(), "\n")
	if len(wantLines) != len(gotLines) {
		t.Fatalf("%d answers, want %d", len(gotLines), len(wantLines))
	}
	for i := range gotLines {
		if gotLines[i] != wantLines[i] {
			t.Errorf("answer %d:\n got %s\nwant %s", i+1, gotLines[i], wantLines[i])
		}
	}
}

func addSkillsOf(t *testing.T, s *Server, ar *txtar.Archive) {
	fsys := fstest.MapFS{}
	for _, f := range ar.Files {
		if name, ok := strings.CutPrefix(f.Name, "skills/"); ok {
			fsys[name] = &fstest.MapFile{Data: f.Data}
		}
	}
	for name := range fsys {
		if dir, file := path.Split(name); file == "SKILL.md" {
			addSkill(t, s, fsys, strings.TrimSuffix(dir, "/"))
		}
	}
}
