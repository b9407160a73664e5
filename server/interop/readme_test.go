package interop

import (
	"bytes"
	"context"
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
	markdown, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := readme.Parse(string(markdown))
	if err != nil {
		t.Fatalf("README.md: %v", err)
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
			out.WriteString(runCurl(t, example.Line, command, here))
		}
		// An answer may name the address it was asked at.
		got := strings.NewReplacer(p.addr, readmeData, admin, readmeAdmin).Replace(out.String())
		if err := readme.Match(example.Form, example.Want, got); err != nil {
			t.Errorf("README.md:%d: %v\nthe output was:\n%s", example.Line, err, got)
		}
	}
}

func runCurl(t *testing.T, line int, command string, here *strings.Replacer) string {
	t.Helper()
	if !strings.Contains(command, readmeData) && !strings.Contains(command, readmeAdmin) {
		t.Errorf("README.md:%d: %q asks neither %s nor %s", line, command, readmeData, readmeAdmin)
		return ""
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", here.Replace(command))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	t.Logf("ran: README.md:%d: %s", line, cmd.Args[2])
	if err := cmd.Run(); err != nil {
		t.Errorf("README.md:%d: %v\n%s", line, err, &stderr)
	}
	return stdout.String()
}
