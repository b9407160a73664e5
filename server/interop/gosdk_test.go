package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const modern = "2026-07-28"

var revisions = []string{modern, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

// client is a session of the go-sdk and the progress notifications it received.
type client struct {
	*mcp.ClientSession
	mu       sync.Mutex
	progress []mcp.ProgressNotificationParams
}

// connect opens a session and insists on the revision: the go-sdk falls back to an older one without a word.
func connect(t *testing.T, transport mcp.Transport, revision string) *client {
	t.Helper()
	c := &client{}
	sdk := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1.0.0"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.progress = append(c.progress, *req.Params)
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	session, err := sdk.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatalf("connect with %s: %v", revision, err)
	}
	t.Cleanup(func() { _ = session.Close() })
	c.ClientSession = session
	info := session.InitializeResult()
	if info.ProtocolVersion != revision {
		t.Fatalf("negotiated %s, want %s", info.ProtocolVersion, revision)
	}
	if info.ServerInfo == nil || info.ServerInfo.Name == "" {
		t.Errorf("serverInfo = %+v, want a name", info.ServerInfo)
	}
	t.Logf("ran: go-sdk client, %T, %s, server %+v", transport, revision, info.ServerInfo)
	return c
}

func (c *client) reports() []mcp.ProgressNotificationParams {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.progress)
}

func TestGoSDKHTTP(t *testing.T) {
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) {
			testSession(t, connect(t, &mcp.StreamableClientTransport{Endpoint: daemon.url()}, revision), revision)
		})
		t.Run(revision+"/cancel", func(t *testing.T) {
			testCancel(t, connect(t, &mcp.StreamableClientTransport{Endpoint: fixtureURL(t)}, revision))
		})
	}
}

// TestGoSDKDelete ends a session and asks for it afterwards: "it MUST respond to requests containing that session ID
// with HTTP 404 Not Found" (2025-11-25, basic/transports, Session Management).
func TestGoSDKDelete(t *testing.T) {
	c := connect(t, &mcp.StreamableClientTransport{Endpoint: daemon.url()}, "2025-11-25")
	id := c.ID()
	if id == "" {
		t.Fatal("the session has no id")
	}
	list := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, daemon.url(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
			"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": id,
		} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if status := list(); status != http.StatusOK {
		t.Errorf("tools/list in the open session: status %d, want 200", status)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if status := list(); status != http.StatusNotFound {
		t.Errorf("tools/list in the closed session: status %d, want 404", status)
	}
}

func TestGoSDKStdio(t *testing.T) {
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(daemonBin, "stdio", "--demo")
			stderr := &logBuffer{}
			cmd.Stderr = stderr
			c := connect(t, &mcp.CommandTransport{Command: cmd, TerminateDuration: 10 * time.Second}, revision)
			testSession(t, c, revision)
			closed := time.Now()
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v\n%s", err, stderr.tail())
			}
			// TerminateDuration is when the client would have sent SIGTERM.
			if took := time.Since(closed); took > 5*time.Second {
				t.Errorf("the process went on for %v after its standard input was closed", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit status %d, want 0\n%s", code, stderr.tail())
			}
		})
		t.Run(revision+"/cancel", func(t *testing.T) {
			t.Parallel()
			fixtureURL(t)
			testCancel(t, connect(t, &mcp.CommandTransport{Command: exec.Command(fixture.cmd.Path, "stdio")}, revision))
		})
	}
}

// testSession goes through the demo tools in one session.
func testSession(t *testing.T, c *client, revision string) {
	t.Helper()
	testList(t, c)
	testEcho(t, c)
	testAdd(t, c, revision >= "2025-06-18")
	testProgress(t, c)
	testErrors(t, c, revision >= "2025-11-25")
	testConcurrent(t, c, 50)
}

func testList(t *testing.T, c *client) {
	t.Helper()
	res, err := c.ListTools(t.Context(), nil)
	if err != nil {
		t.Errorf("tools/list: %v", err)
		return
	}
	var names []string
	for _, tool := range res.Tools {
		names = append(names, tool.Name)
		if tool.Description == "" {
			t.Errorf("tool %s has no description", tool.Name)
		}
		if schema, ok := tool.InputSchema.(map[string]any); !ok || schema["type"] != "object" {
			t.Errorf("tool %s has the input schema %v, want one of type object", tool.Name, tool.InputSchema)
		}
	}
	if want := []string{"add", "echo", "sleep"}; !slices.Equal(names, want) {
		t.Errorf("tools = %v, want %v", names, want)
	}
}

// call calls a tool that is expected to answer without an error, and returns the result and its only text.
func call(t *testing.T, c *client, name string, args any) (*mcp.CallToolResult, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	res, err := c.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return &mcp.CallToolResult{}, ""
	}
	if res.IsError || len(res.Content) != 1 {
		t.Errorf("%s: isError %v with %d contents, want one content", name, res.IsError, len(res.Content))
		return res, ""
	}
	text, ok := res.Content[0].(*mcp.TextContent)
	if !ok {
		t.Errorf("%s: content is a %T, want a text", name, res.Content[0])
		return res, ""
	}
	return res, text.Text
}

func testEcho(t *testing.T, c *client) {
	t.Helper()
	for _, want := range []string{"hello", "", "Grüße, 世界 \U0001f600 \u2028 \" \\ \n\t", strings.Repeat("long ", 100_000)} {
		if _, got := call(t, c, "echo", map[string]any{"text": want}); got != want {
			t.Errorf("echo = %.80q (%d bytes), want %.80q (%d bytes)", got, len(got), want, len(want))
		}
	}
}

func testAdd(t *testing.T, c *client, structured bool) {
	t.Helper()
	res, text := call(t, c, "add", map[string]any{"a": 2.5, "b": -1})
	if !strings.Contains(text, "1.5") {
		t.Errorf("text of add = %q, want the sum 1.5 in it", text)
	}
	got, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"sum":1.5}`
	if !structured {
		want = "null" // structuredContent came with 2025-06-18
	}
	if string(got) != want {
		t.Errorf("structuredContent of add = %s, want %s", got, want)
	}
}

func testProgress(t *testing.T, c *client) {
	t.Helper()
	before := len(c.reports())
	for _, token := range []any{"a token", 7} {
		params := &mcp.CallToolParams{Name: "sleep", Arguments: map[string]any{"seconds": 0.5}}
		params.SetProgressToken(token)
		start := time.Now()
		res, err := c.CallTool(t.Context(), params)
		if err != nil || res.IsError {
			t.Errorf("sleep: %+v, %v", res, err)
			continue
		}
		if took := time.Since(start); took < 500*time.Millisecond {
			t.Errorf("sleep 0.5 took %v", took)
		}
		// The go-sdk hands notifications to their handler beside the answer, so the last may still be on its way.
		for deadline := time.Now().Add(time.Second); len(c.reports()) == before && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		reports := c.reports()[before:]
		before += len(reports)
		checkReports(t, token, reports)
	}
	call(t, c, "sleep", map[string]any{"seconds": 0.2})
	if got := c.reports()[before:]; len(got) != 0 {
		t.Errorf("progress without a token: %+v", got)
	}
}

func checkReports(t *testing.T, token any, reports []mcp.ProgressNotificationParams) {
	t.Helper()
	if len(reports) == 0 {
		t.Errorf("sleep with the token %v reported no progress", token)
	}
	last := -1.0
	for _, r := range reports {
		if fmt.Sprint(r.ProgressToken) != fmt.Sprint(token) {
			t.Errorf("progress token = %v, want %v", r.ProgressToken, token)
		}
		// "The progress value MUST increase with each notification" (basic/utilities/progress).
		if r.Progress <= last {
			t.Errorf("progress %v after %v", r.Progress, last)
		}
		if r.Total != 0 && r.Progress > r.Total {
			t.Errorf("progress %v of %v", r.Progress, r.Total)
		}
		last = r.Progress
	}
}

// testErrors: an unknown tool is a protocol error in every revision; arguments that the schema forbids became a tool
// error with 2025-11-25 (SEP-1303), so that the model sees them.
func testErrors(t *testing.T, c *client, badArgumentsAreToolErrors bool) {
	t.Helper()
	var wire *jsonrpc.Error
	_, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: "no such tool"})
	if !errors.As(err, &wire) || wire.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("unknown tool: %v, want a JSON-RPC error with code -32602", err)
	}
	for _, args := range []any{map[string]any{"text": 5}, map[string]any{}} {
		res, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: args})
		switch {
		case badArgumentsAreToolErrors && (err != nil || !res.IsError || len(res.Content) == 0):
			t.Errorf("echo %v: %+v, %v, want a result with isError and a content", args, res, err)
		case !badArgumentsAreToolErrors && (!errors.As(err, &wire) || wire.Code != jsonrpc.CodeInvalidParams):
			t.Errorf("echo %v: %+v, %v, want a JSON-RPC error with code -32602", args, res, err)
		}
	}
}

func testConcurrent(t *testing.T, c *client, calls int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			want := fmt.Sprintf("call %d", i)
			if _, got := call(t, c, "echo", map[string]any{"text": want}); got != want {
				t.Errorf("echo = %q, want %q", got, want)
			}
		})
	}
	wg.Wait()
}

// testCancel gives up a call and waits until the tool in the server has noticed.
func testCancel(t *testing.T, c *client) {
	t.Helper()
	args := map[string]any{"key": t.Name()}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.CallTool(ctx, &mcp.CallToolParams{Name: "block", Arguments: args})
		ended <- err
	}()
	awaitState(t, c, args, "running")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v, want context.Canceled", err)
	}
	awaitState(t, c, args, "cancelled")
}

func awaitState(t *testing.T, c *client, args any, want string) {
	t.Helper()
	var text string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, text = call(t, c, "block_state", args); strings.Contains(text, want) {
			return
		}
	}
	t.Errorf("the blocking call is %s after 5s, want %s", text, want)
}
