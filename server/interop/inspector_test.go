package interop

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
)

// TestInspector calls the daemon with the inspector's command line.
func TestInspector(t *testing.T) {
	for _, era := range []string{"legacy", "auto", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			needNPM(t)
			testInspectorList(t, era)
			testInspectorCall(t, era)
		})
	}
}

func testInspectorList(t *testing.T, era string) {
	t.Helper()
	var list struct {
		Tools []struct{ Name string }
	}
	// --strict: status 6 when a schema has problems that keep some client from using the tool.
	inspect(t, &list, era, "--method", "tools/list", "--strict")
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	if want := []string{"add", "echo", "sleep"}; !slices.Equal(names, want) {
		t.Errorf("tools = %v, want %v", names, want)
	}
}

func testInspectorCall(t *testing.T, era string) {
	t.Helper()
	var result struct {
		Content           []struct{ Type, Text string }
		StructuredContent struct{ Sum float64 }
		IsError           bool
	}
	inspect(t, &result, era, "--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3.5")
	if result.IsError || result.StructuredContent.Sum != 5.5 {
		t.Errorf("add = %+v, want the sum 5.5", result)
	}
	inspect(t, &result, era, "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "text=hello")
	if len(result.Content) != 1 || result.Content[0].Type != "text" || result.Content[0].Text != "hello" {
		t.Errorf("echo = %+v, want the text hello", result)
	}
}

// inspect runs one command and decodes the JSON that it prints. The inspector keeps files in the home folder and in
// its catalog; both are temporary here.
func inspect(t *testing.T, result any, era string, args ...string) {
	t.Helper()
	home := t.TempDir()
	env := []string{"HOME=" + home, "MCP_CATALOG_PATH=" + filepath.Join(home, "catalog.json")}
	args = append([]string{
		modules + "/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli", daemon.url(),
		"--transport", "http", "--protocol-era", era,
	}, args...)
	out := runNode(t, env, args...)
	if err := json.Unmarshal(out, result); err != nil {
		t.Errorf("output of the inspector: %v\n%s", err, out)
	}
}
