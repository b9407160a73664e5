package interop

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
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
	inspect(t, &list, daemon.url(), era, "--method", "tools/list", "--strict")
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
	inspect(t, &result, daemon.url(), era, "--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3.5")
	if result.IsError || result.StructuredContent.Sum != 5.5 {
		t.Errorf("add = %+v, want the sum 5.5", result)
	}
	inspect(t, &result, daemon.url(), era, "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "text=hello")
	if len(result.Content) != 1 || result.Content[0].Type != "text" || result.Content[0].Text != "hello" {
		t.Errorf("echo = %+v, want the text hello", result)
	}
}

// TestInspectorEverything asks cmd/everything for what the command line has methods for. Completion is not among them,
// and it cannot be asked anything but for its roots.
func TestInspectorEverything(t *testing.T) {
	for _, era := range []string{"legacy", "auto", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			needNPM(t)
			url := everything(t).url()
			for _, tt := range []struct {
				args []string
				want []string // texts in the output
			}{
				{[]string{"initialize"}, []string{`"name":"everything"`, `"completions":{}`, `"subscribe":true`}},
				{[]string{"tools/list"}, []string{`"name":"about"`, `"name":"visit_page"`}},
				{[]string{"resources/list"}, []string{`"uri":"test://static-binary"`, `"uri":"test://watched-resource"`}},
				{[]string{"resources/templates/list"}, []string{`"uriTemplate":"test://template/{id}/data"`}},
				{[]string{"resources/read", "--uri", "test://static-text"}, []string{`"text":"This is the content of the static text resource."`}},
				{[]string{"prompts/list"}, []string{`"name":"test_simple_prompt"`, `"name":"test_prompt_with_image"`}},
				{
					[]string{"prompts/get", "--prompt-name", "test_prompt_with_arguments", "--prompt-args", "arg1=a", "arg2=b"},
					[]string{`arg1='a', arg2='b'`},
				},
				{[]string{"tools/call", "--tool-name", "test_input_required_result_list_roots"}, []string{`"text":"0 roots: "`}},
				{[]string{"tools/call", "--tool-name", "slow_compute", "--tool-arg", "seconds=0.3", "label=pi"}, []string{`"text":"computed pi for 300ms"`}},
			} {
				var out json.RawMessage
				inspect(t, &out, url, era, append([]string{"--method"}, tt.args...)...)
				wantTexts(t, strings.Join(tt.args, " "), out, tt.want...)
			}
			if era == "legacy" {
				var out struct{}
				inspect(t, &out, url, era, "--method", "logging/setLevel", "--log-level", "debug")
			}
		})
	}
}

// wantTexts fails unless JSON, without spaces between its tokens, has all texts in it.
func wantTexts(t *testing.T, what string, out []byte, want ...string) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, out); err != nil {
		t.Errorf("%s: %v\n%s", what, err, out)
		return
	}
	for _, text := range want {
		if !strings.Contains(b.String(), text) {
			t.Errorf("%s: no %s in %s", what, text, &b)
		}
	}
}

// inspect runs one command and decodes the JSON that it prints. The inspector keeps files in the home folder and in
// its catalog; both are temporary here.
func inspect(t *testing.T, result any, url, era string, args ...string) {
	t.Helper()
	inspectWith(t, nil, result, url, era, args...)
}

// inspectWith is inspect with more variables of the environment.
func inspectWith(t *testing.T, more []string, result any, url, era string, args ...string) {
	t.Helper()
	home := t.TempDir()
	env := []string{"HOME=" + home, "MCP_CATALOG_PATH=" + filepath.Join(home, "catalog.json")}
	args = append([]string{
		modules + "/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli", url,
		"--transport", "http", "--protocol-era", era,
	}, args...)
	out := runNode(t, append(env, more...), args...)
	if err := json.Unmarshal(out, result); err != nil {
		t.Errorf("output of the inspector: %v\n%s", err, out)
	}
}
