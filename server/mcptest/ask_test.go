package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// capable is a client that answers everything.
func capable(version string) *Options {
	return &Options{
		Version: version, Tasks: true, Roots: []*mcp.Root{{URI: "file:///root", Name: "root"}},
		Elicit: func(p *mcp.ElicitParams) *mcp.ElicitResult {
			key := strings.TrimSuffix(p.Message, "?")
			properties, _ := p.RequestedSchema.(map[string]any)["properties"].(map[string]any)
			if properties[key] == nil {
				return &mcp.ElicitResult{Action: "decline"}
			}
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{key: key + " answered"}}
		},
		Sample: func(p *mcp.CreateMessageWithToolsParams) *mcp.CreateMessageWithToolsResult {
			asked := p.Messages[0].Content[0].(*mcp.TextContent).Text
			return &mcp.CreateMessageWithToolsResult{
				Role: mcp.RoleAssistant, Model: "m", Content: []mcp.Content{&mcp.TextContent{Text: asked + " thought"}},
			}
		},
	}
}

func TestAsk(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), capable(version))
		if got, want := Text(c.CallTool("sample", nil)), "think thought"; got != want {
			t.Errorf("sample = %q, want %q", got, want)
		}
		ping := "<nil>"
		if mcp.IsModern(version) {
			ping = "mcp: there is no way to ask the client of this call"
		}
		if got, want := Text(c.CallTool("roots", nil)), "[file:///root] "+ping; got != want {
			t.Errorf("roots = %q, want %q", got, want)
		}
		if version < mcp.Version20250618 { // has no elicitation
			if res := c.CallTool("elicit", nil); !res.IsError || !strings.Contains(Text(res), "has not declared the capability") {
				t.Errorf("elicit = %q", Text(res))
			}
			return
		}
		if got, want := Text(c.CallTool("elicit", nil)), "accept first answered, accept last answered"; got != want {
			t.Errorf("elicit = %q, want %q", got, want)
		}
		if got, want := Text(c.CallTool("all", nil)), "user answered think thought file:///root"; got != want {
			t.Errorf("all = %q, want %q", got, want)
		}
		if got := c.GetPrompt("ask", nil); got.Messages[0].Content.(*mcp.TextContent).Text != "who answered" {
			t.Errorf("prompt = %+v", got.Messages[0].Content)
		}
	})
}

// TestAskInVain: what becomes of questions that are not answered.
func TestAskInVain(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version, Sample: func(*mcp.CreateMessageWithToolsParams) *mcp.CreateMessageWithToolsResult { return nil }})
		_, err := c.TryCallTool(t.Context(), "elicit", nil)
		wrong, ok := errors.AsType[*jsonrpc.Error](err)
		if modern := mcp.IsModern(version); modern && (!ok || wrong.Code != mcp.CodeMissingClientCapability) || !modern && err != nil {
			t.Errorf("elicit without the capability: %v", err)
		}
		res, err := c.TryCallTool(t.Context(), "sample", nil)
		if err == nil {
			err = errors.New(Text(res))
		}
		if !strings.Contains(err.Error(), "User rejected sampling request") {
			t.Errorf("sample: %v", err)
		}
		if res, err := c.TryCallTool(t.Context(), "inline", nil); err == nil && !res.IsError {
			t.Errorf("a tool of ClassInline asks: %v", Text(res))
		}
	})
}

// TestRounds: the test sees what a client sees when it does not follow.
func TestRounds(t *testing.T) {
	c := NewClient(t, fixture(), capable(mcp.Version20260728))
	res := &mcp.CallToolResult{}
	if err := json.Unmarshal(c.Request("tools/call", map[string]any{"name": "elicit"}), res); err != nil {
		t.Fatal(err)
	}
	q, ok := res.InputRequests["first"].(*mcp.ElicitParams)
	if !ok || q.Message != "first?" || res.RequestState == "" || !res.NeedsInput() {
		t.Errorf("first round %+v", res)
	}
	if _, err := c.TryCallTool(t.Context(), "endless", nil); err == nil || !strings.Contains(err.Error(), "asked for input 64 times") {
		t.Errorf("endless: %v", err)
	}
	for _, requests := range []string{`{"a":1}`, `{"a":{"method":"x"}}`, `{"a":{"method":"elicitation/create","params":1}}`, `{"a":{"method":"sampling/createMessage","params":1}}`} {
		if _, err := c.replies([]byte(requests)); err == nil || !strings.Contains(err.Error(), `input request "a"`) {
			t.Errorf("%s: %v", requests, err)
		}
	}
}

// TestFatalInside: a function of the test may fail it where it is called.
func TestFatalInside(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		if version < mcp.Version20250618 {
			t.Skip("has no elicitation")
		}
		got := failing(t, func(t testing.TB) {
			c := NewClient(t, fixture(), &Options{Version: version, Elicit: func(p *mcp.ElicitParams) *mcp.ElicitResult {
				t.Fatalf("asked %s", p.Message)
				return nil
			}})
			c.CallTool("elicit", nil)
		})
		if got != "asked first?" {
			t.Errorf("told %q", got)
		}
	})
}

func TestTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient(t, fixture(), capable(mcp.Version20260728))
		begun := time.Now()
		if got := Text(c.CallTool("task", nil)); got != "worked" || time.Since(begun) != 59*time.Minute {
			t.Errorf("task = %q after %v", got, time.Since(begun))
		}
		if got := Text(c.CallTool("quick", nil)); got != "worked" {
			t.Errorf("quick = %q", got)
		}
		if got := Text(c.CallTool("asking", map[string]any{"times": 2})); got != "got more answered" {
			t.Errorf("asking = %q", got)
		}
		_, err := c.TryCallTool(t.Context(), "quick", map[string]any{"fail": true})
		if wrong, ok := errors.AsType[*jsonrpc.Error](err); !ok || wrong.Code != 7 || wrong.Message != "gone" {
			t.Errorf("a task that fails: %v", err)
		}
		if _, err := c.TryCallTool(t.Context(), "asking", map[string]any{"times": 100}); err == nil || !strings.Contains(err.Error(), "64 times") {
			t.Errorf("a task that asks for ever: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.TryCallTool(ctx, "task", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a task that is given up: %v", err)
		}
		synctest.Wait()
		if left := c.stillRunning(); len(left) != 0 {
			t.Errorf("%v is running although its task was given up", left)
		}
	})
}

// TestTaskByHand: what a task is on the wire, and that one that is left is
// cancelled.
func TestTaskByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient(t, fixture(), &Options{Tasks: true})
		var handle struct{ TaskID, Status, ResultType string }
		json.Unmarshal(c.Request("tools/call", map[string]any{"name": "task"}), &handle)
		if handle.TaskID == "" || handle.Status != "working" || handle.ResultType != "task" {
			t.Errorf("handle %+v", handle)
		}
		sub := c.Subscribe(mcp.NotificationSubscriptions{TaskIDs: []string{handle.TaskID}})
		if len(sub.Granted.TaskIDs) != 1 {
			t.Errorf("granted %+v", sub.Granted)
		}
		go func() {
			time.Sleep(time.Second)
			c.cancelTask(handle.TaskID)
			c.cancelTask("none")
		}()
		if got := string(c.Await("notifications/tasks")); !strings.Contains(got, `"status":"cancelled"`) {
			t.Errorf("told %s", got)
		}
		state, err := c.task(t.Context(), handle.TaskID)
		if err != nil || state.Status != mcp.TaskCancelled {
			t.Errorf("state %+v, %v", state, err)
		}
		c.Request("tools/call", map[string]any{"name": "task"}) // left to the end of the test
	})
}

// TestTaskCancelledByOthers: a client that follows a task hears of its end.
func TestTaskCancelledByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fixture()
		c := NewClient(t, s, &Options{Tasks: true})
		go func() {
			time.Sleep(time.Minute)
			c.mu.Lock()
			defer c.mu.Unlock()
			for running := range c.calls {
				go c.cancelTask(running.task())
			}
		}()
		if _, err := c.TryCallTool(t.Context(), "task", nil); err == nil || err.Error() != "the task was cancelled" {
			t.Errorf("task: %v", err)
		}
		if _, err := c.TryCallTool(t.Context(), "asking", nil); err == nil {
			t.Error("a task asks a client that cannot be asked")
		}
	})
	// Without the extension a call is a call, or impossible.
	c := NewClient(t, fixture(), nil)
	if got := Text(c.CallTool("quick", nil)); got != "worked" {
		t.Errorf("quick = %q", got)
	}
	_, err := c.TryCallTool(t.Context(), "task", nil)
	if wrong, ok := errors.AsType[*jsonrpc.Error](err); !ok || wrong.Code != mcp.CodeMissingClientCapability {
		t.Errorf("task without the extension: %v", err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	c := NewClient(t, fixture(), nil)
	running := &call{client: c, mcp: &mcp.Call{ID: []byte("1"), Modern: true}}
	for _, tt := range []struct{ out, want string }{
		{`{`, "not a JSON-RPC message"},
		{`{"jsonrpc":"2.0","id":2,"result":{}}`, "not one line that answers request 1"},
		{"{\"jsonrpc\":\"2.0\",\n\"id\":1,\"result\":{}}", "not one line"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}`, "the error is none"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":5,"message":"five"}}`, "jsonrpc: 5: five"},
	} {
		if _, err := running.result([]byte(tt.out)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.out, err, tt.want)
		}
	}
	if _, err := running.Request(t.Context(), "ping", nil); err == nil {
		t.Error("the stateless era has requests of the server")
	}
	if running.CloseStream(time.Second) {
		t.Error("there is a stream to close")
	}
	running.over = true
	if running.Send([]byte("late")) {
		t.Error("something is sent after the end of a call")
	}
}
