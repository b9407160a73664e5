package interop

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mcpdo is the inspector's client for many commands on one connection, which a process of its own holds.
type mcpdo struct {
	env  []string
	args []string
}

// TestMcpdo does what the inspector's plain command line cannot: completion, subscriptions, questions, and tasks that
// need input.
func TestMcpdo(t *testing.T) {
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			needNPM(t)
			m := newMcpdo(t)
			m.run(t, "connect", everything(t).url(), "--transport", "http", "--era", era)
			t.Cleanup(func() { m.run(t, "disconnect") }) // before the server ends
			out := m.run(t, "prompts/complete", "--complete-ref-type", "ref/prompt", "--complete-ref", "test_prompt_with_arguments",
				"--complete-arg-name", "arg1", "--complete-arg-value", "test")
			wantTexts(t, "prompts/complete", out, `["testValue1","testimony"]`)
			wantTexts(t, "prompts/get", m.run(t, "prompts/get", "test_simple_prompt"), `"This is a simple prompt for testing."`)
			wantTexts(t, "resources/read", m.run(t, "resources/read", "test://static-text"), `"This is the content of the static text resource."`)
			m.watch(t, "test://watched-resource")

			// On 2026-07-28 the first is a task, the second an input_required result.
			form, page := "server-request", "server-request"
			if era == "modern" {
				form, page = "task-input-required", "input-required"
			}
			id := m.pending(t, form, "tools/call", "confirm_delete", "filename:=a.txt")
			wantTexts(t, "the form", m.run(t, "elicitation/respond", id, "confirm:=true"), `"a.txt was deleted (not really)"`)
			id = m.pending(t, page, "tools/call", "visit_page")
			wantTexts(t, "the page", m.run(t, "elicitation/respond", id, "--done"), `"your user chose to accept the page"`)
			id = m.pending(t, page, "tools/call", "visit_page")
			wantTexts(t, "the page", m.run(t, "elicitation/respond", id, "--cancel"), `"your user chose to cancel the page"`)
		})
	}
}

// newMcpdo prepares a client whose files, and the process that holds its connections, are the test's own.
func newMcpdo(t *testing.T) *mcpdo {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m := &mcpdo{
		env: []string{
			"HOME=" + home, "MCP_CATALOG_PATH=" + filepath.Join(home, "catalog.json"), "MCP_INSPECTOR_DAEMON_DIR=" + dir,
			"MCP_INSPECTOR_DAEMON_TOKEN=" + strings.Repeat("test", 11), "MCP_INSPECTOR_SECRET_STORE=memory",
		},
		args: []string{modules + "/@modelcontextprotocol/inspector/clients/mcpdo/build/mcp-bin.js", "--format", "json", "--connection", "t"},
	}
	t.Cleanup(func() { m.run(t, "daemon", "stop") })
	return m
}

func (m *mcpdo) run(t *testing.T, args ...string) []byte {
	t.Helper()
	return runNode(t, m.env, append(m.args, args...)...)
}

// pending runs a command that is not done before its question is answered, and returns the id of that.
func (m *mcpdo) pending(t *testing.T, origin string, args ...string) string {
	t.Helper()
	var out struct {
		ElicitationPending struct{ ElicitationID, Origin string }
	}
	raw := m.run(t, args...)
	if err := json.Unmarshal(raw, &out); err != nil || out.ElicitationPending.ElicitationID == "" || out.ElicitationPending.Origin != origin {
		t.Fatalf("%v: %s, %v, want a question by %s", args, raw, err, origin)
	}
	return out.ElicitationPending.ElicitationID
}

// watch subscribes to a resource until it has changed twice.
func (m *mcpdo) watch(t *testing.T, uri string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), node, append(m.args, "resources/subscribe", uri)...)
	cmd.Env = append(os.Environ(), m.env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	updates := 0
	for lines := bufio.NewScanner(out); updates < 2 && lines.Scan(); {
		if strings.Contains(lines.Text(), `"resources/updated"`) {
			updates++
		}
	}
	if updates < 2 {
		t.Errorf("resources/subscribe ended after %d updates", updates)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // it was interrupted
}
