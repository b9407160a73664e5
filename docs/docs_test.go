// Package docs_test keeps the pages of this directory true: what they show as Go
// compiles, what they show as output is what comes out, and their links lead
// somewhere. Their curl lines are run by server/interop.
//
// In a page, a block with the info string
//
//   - go is a whole program when it begins with "package", and is then compiled;
//     any other occurs, line for line but for indentation, in a file of this
//     package;
//   - output occurs in the Output comment of an example of this package, likewise;
//   - golang is code for another SDK, which is compiled nowhere.
package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// block is a fenced block of a page.
type block struct {
	page string
	line int // of the page, where it opens
	info string
	text []string // without indentation
}

// pages are the Markdown files that are checked.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(found, "../README.md")
}

// blocksOf reads the fenced blocks of a page.
func blocksOf(t *testing.T, page string) (blocks []block) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(raw), "\n") {
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{page: page, line: i + 1, info: info}
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text = append(open.text, line)
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block is never closed", page, open.line)
	}
	return blocks
}

// trimmed is lines without indentation, in a form in which one text can be found
// in another, whole lines only.
func trimmed(lines []string, prefix string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if prefix != "" {
			line = strings.TrimSpace(strings.TrimPrefix(line, prefix))
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// sources are the compiled files of this package, as code and as comments.
func sources(t *testing.T) (code, comments string) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(raw), "\n")
		code += trimmed(lines, "")
		comments += trimmed(lines, "//")
	}
	return code, comments
}

func TestBlocks(t *testing.T) {
	code, comments := sources(t)
	for _, page := range pages(t) {
		for _, b := range blocksOf(t, page) {
			where := fmt.Sprintf("%s:%d", b.page, b.line)
			switch {
			case b.info == "go" && len(b.text) > 0 && strings.HasPrefix(b.text[0], "package "):
				t.Run(where, func(t *testing.T) { compile(t, b) })
			case b.info == "go" && !strings.Contains(code, trimmed(b.text, "")):
				t.Errorf("%s: this Go code is in no file of this package", where)
			case b.info == "output" && !strings.Contains(comments, trimmed(b.text, "")):
				t.Errorf("%s: no example of this package prints this", where)
			case b.info == "golang" && !strings.HasPrefix(b.page, "from-"):
				t.Errorf("%s: code that is not compiled belongs to the pages for those who come from another SDK", where)
			}
		}
	}
}

// compile compiles a whole program against this module.
func compile(t *testing.T, b block) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(strings.Join(b.text, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
	if err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

// TestLinks looks for what the pages link to in this repository.
func TestLinks(t *testing.T) {
	linked := map[string]bool{}
	for _, page := range pages(t) {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(prose(string(raw)), "](")[1:] {
			target, _, _ := strings.Cut(part, ")")
			target, section, _ := strings.Cut(target, "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			text, err := os.ReadFile(path)
			if err != nil && !isDir(path) {
				t.Errorf("%s: link to %s: %v", page, target, err)
				continue
			}
			if section != "" && !hasSection(string(text), section) {
				t.Errorf("%s: link to %s: there is no section #%s", page, target, section)
			}
			if page == "README.md" {
				linked[target] = true
			}
		}
	}
	for _, page := range pages(t) {
		if page != "README.md" && page != "../README.md" && !linked[page] {
			t.Errorf("README.md does not name %s", page)
		}
	}
}

// prose is a page without its fenced blocks.
func prose(page string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		} else if !code {
			b.WriteString(line)
		}
	}
	return b.String()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// hasSection looks for a heading by the name that GitHub gives it.
func hasSection(text, section string) bool {
	for line := range strings.Lines(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(strings.TrimSpace(heading)))
		if name == section {
			return true
		}
	}
	return false
}
