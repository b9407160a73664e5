package interop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/server/interop/readme"
)

// The addresses that the README writes, the daemon's defaults.
const (
	readmeData  = "127.0.0.1:8080"
	readmeAdmin = "127.0.0.1:9090"
)

// TestReadme runs the curl examples of the README against a daemon of their own, in order, and compares the output.
func TestReadme(t *testing.T) {
	if ran := runExamples(t, filepath.Join(root, "README.md")); !ran {
		t.Error(readme.ErrNoExamples)
	}
}

// TestDocs does the same for the pages of docs, which need not have any.
func TestDocs(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	ran := false
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) { ran = runExamples(t, page) || ran })
	}
	if !ran {
		t.Error(readme.ErrNoExamples)
	}
}

// runExamples runs the curl examples of a page. It is false when there are none.
func runExamples(t *testing.T, page string) bool {
	markdown, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(page)
	examples, err := readme.Parse(string(markdown))
	if errors.Is(err, readme.ErrNoExamples) {
		return false
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal(err)
	}
	admin, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	p, err := listen(daemonBin, "serve", "--demo", "--admin", admin, "--listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	here := strings.NewReplacer(readmeData, p.addr, readmeAdmin, admin)
	for _, example := range examples {
		var out strings.Builder
		for _, command := range example.Commands {
			out.WriteString(runCurl(t, name, example.Line, command, here))
		}
		// An answer may name the address it was asked at.
		got := strings.NewReplacer(p.addr, readmeData, admin, readmeAdmin).Replace(out.String())
		if err := readme.Match(example.Form, example.Want, got); err != nil {
			t.Errorf("%s:%d: %v\nthe output was:\n%s", name, example.Line, err, got)
		}
	}
	return true
}

func runCurl(t *testing.T, page string, line int, command string, here *strings.Replacer) string {
	t.Helper()
	if !strings.Contains(command, readmeData) && !strings.Contains(command, readmeAdmin) {
		t.Errorf("%s:%d: %q asks neither %s nor %s", page, line, command, readmeData, readmeAdmin)
		return ""
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", here.Replace(command))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	t.Logf("ran: %s:%d: %s", page, line, cmd.Args[2])
	if err := cmd.Run(); err != nil {
		t.Errorf("%s:%d: %v\n%s", page, line, err, &stderr)
	}
	return stdout.String()
}
