package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWritePage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "page")
	if err := made().WritePage(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "page.md", page)
	for _, line := range strings.Split(string(page), "\n") {
		if !strings.HasPrefix(line, "![") {
			continue
		}
		_, name, _ := strings.Cut(strings.TrimSuffix(line, ")"), "](")
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("the page shows %s: %v", name, err)
		}
	}
}

// TestPageIsStable compares the bytes of two pages of the same run.
func TestPageIsStable(t *testing.T) {
	a, err := made().page()
	if err != nil {
		t.Fatal(err)
	}
	b, err := made().page()
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].name != b[i].name || !bytes.Equal(a[i].content, b[i].content) {
			t.Errorf("%s differs from one time to the next", a[i].name)
		}
	}
}

func TestPageOfLittle(t *testing.T) {
	r := &Run{Short: true, Rounds: 1, Scenarios: []Scenario{
		{Name: "ws-1", Title: "alone", Main: CPU, Subjects: []Subject{of("millrace", 1)}},
		{Name: "ws-16", Title: "no base", Main: CPU},
		{Name: "http-modern", Title: "failed", Main: CPU, Subjects: []Subject{of("millrace")}},
	}}
	files, err := r.page()
	if err != nil {
		t.Fatal(err)
	}
	page := string(files[len(files)-1].content)
	for _, want := range []string{"short run", "in 0s: every subject of a scenario once", "server on any", "Of 15 targets, 0 are met"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "of CPU per message;") {
		t.Errorf("a finding without others:\n%s", page)
	}
}

func TestWritePageFails(t *testing.T) {
	dir := t.TempDir()
	occupied := filepath.Join(dir, "file")
	if err := os.WriteFile(occupied, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := made().WritePage(occupied); err == nil {
		t.Error("a page in a file")
	}
	if err := os.MkdirAll(filepath.Join(dir, "page", "README.md"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := made().WritePage(filepath.Join(dir, "page")); err == nil {
		t.Error("a page over a folder")
	}
}
