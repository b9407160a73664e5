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

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestGoSDKHello compiles the go-sdk's own hello example against millrace, after the three changes that the README
// promises to be enough, and calls it.
func TestGoSDKHello(t *testing.T) {
	dir := t.TempDir()
	source := rewriteHello(t)
	files := map[string][]byte{"main.go": source, "go.mod": []byte("module hello\n\ngo 1.26.0\n")}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	files["go.sum"] = sums
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	goRun(t, dir, "mod", "edit", "-require", "millrace@v0.0.0", "-replace", "millrace="+root)
	goRun(t, dir, "build", "-mod=mod", "-o", "hello", ".")
	for _, revision := range []string{modern, "2025-11-25"} {
		t.Run(revision, func(t *testing.T) { callHello(t, filepath.Join(dir, "hello"), revision) })
	}
}

// rewriteHello makes the changes; each must find its place exactly as often as stated, or the example has changed.
func rewriteHello(t *testing.T) []byte {
	t.Helper()
	sdk := strings.TrimSpace(goRun(t, ".", "list", "-m", "-f", "{{.Dir}}", "github.com/modelcontextprotocol/go-sdk"))
	source, err := os.ReadFile(filepath.Join(sdk, "examples/server/hello/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct {
		old, new string
		times    int
	}{
		{`"github.com/modelcontextprotocol/go-sdk/mcp"`, "\"millrace/server\"\n\t\"millrace/server/mcp\"", 1},
		{"server.Run(context.Background(), &mcp.StdioTransport{})", "SERVE(context.Background(), s)", 1},
		{"server := ", "s := ", 1},
		{"AddTool(server, ", "AddTool(s, ", 1},
		{"SERVE", "server.ServeStdio", 1}, // last, so that the variable of that name is gone
	} {
		if n := bytes.Count(source, []byte(change.old)); n != change.times {
			t.Fatalf("%q stands %d times in the example, want %d", change.old, n, change.times)
		}
		source = bytes.ReplaceAll(source, []byte(change.old), []byte(change.new))
	}
	return source
}

func callHello(t *testing.T, bin, revision string) {
	c := connect(t, &mcp.CommandTransport{Command: exec.Command(bin)}, revision)
	list, err := c.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 1 || list.Tools[0].Name != "greet" || list.Tools[0].Description != "say hi" {
		t.Fatalf("tools/list = %+v, %v, want the tool greet", list, err)
	}
	schema, ok := list.Tools[0].InputSchema.(map[string]any)
	if !ok {
		t.Fatalf("input schema = %v, want an object", list.Tools[0].InputSchema)
	}
	properties, _ := schema["properties"].(map[string]any)
	name, _ := properties["name"].(map[string]any)
	if name["description"] != "the person to greet" || name["type"] != "string" {
		t.Errorf("input schema = %v, want the description of the struct tag", schema)
	}
	if _, got := call(t, c, "greet", map[string]any{"name": "Ada"}); got != "Hi Ada" {
		t.Errorf("greet = %q, want %q", got, "Hi Ada")
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func goRun(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	t.Logf("ran: %s", strings.Join(cmd.Args, " "))
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v in %s: %v\n%s%s", cmd.Args, dir, err, &stdout, &stderr)
	}
	return stdout.String()
}
