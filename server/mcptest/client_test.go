package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
	"millrace/server/mcp"
)

func TestCallTool(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version})
		if got := Text(c.CallTool("echo", map[string]any{"text": "a < b"})); got != "a < b" {
			t.Errorf("echo = %q", got)
		}
		res := c.CallTool("add", addArgs{2, 3})
		if got := Text(res); got != `{"sum":5}` {
			t.Errorf("add = %q", got)
		}
		if version >= mcp.Version20250618 {
			if got := Output[sum](t, res); got.Sum != 5 {
				t.Errorf("add = %+v", got)
			}
		} else if res.StructuredContent != nil {
			t.Errorf("structured content %v, which the revision does not have", res.StructuredContent)
		}
		if res := c.CallTool("fail", nil); !res.IsError || Text(res) != "no luck" {
			t.Errorf("fail = %+v", res)
		}
		res, err := c.TryCallTool(t.Context(), "protocol", nil)
		wrong, ok := errors.AsType[*jsonrpc.Error](err)
		if res != nil || !ok || wrong.Code != 7 || wrong.Message != "gone" || string(wrong.Data.(json.RawMessage)) != `{"n":1}` {
			t.Errorf("protocol = %+v, %v", res, err)
		}
		if _, err := c.TryCallTool(t.Context(), "exit", nil); err == nil || !strings.Contains(err.Error(), "internal error") {
			t.Errorf("exit: %v", err)
		}
		if _, err := c.TryCallTool(t.Context(), "none", nil); err == nil || !strings.Contains(err.Error(), `unknown tool "none"`) {
			t.Errorf("none: %v", err)
		}
		if _, err := c.TryCallTool(t.Context(), "echo", func() {}); err == nil {
			t.Error("arguments that are not JSON are sent")
		}
	})
}

func TestLists(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version})
		var names []string
		for _, tool := range c.ListTools() {
			names = append(names, tool.Name)
		}
		if len(names) < 12 || !slices.IsSorted(names) || !slices.Contains(names, "add") {
			t.Errorf("tools %v", names)
		}
		if got := c.ListPrompts(); len(got) != 2 || got[1].Name != "hello" || !got[1].Arguments[0].Required {
			t.Errorf("prompts %+v", got)
		}
		if got := c.ListResources(); len(got) != 1 || got[0].URI != "file:///note" {
			t.Errorf("resources %+v", got)
		}
		if got := c.ListResourceTemplates(); len(got) != 1 || got[0].URITemplate != "page:///{n}" {
			t.Errorf("templates %+v", got)
		}
	})
}

func TestPromptsAndResources(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version})
		p := c.GetPrompt("hello", map[string]string{"name": "Bob"})
		if p.Description != "a greeting" || p.Messages[0].Content.(*mcp.TextContent).Text != "Say hello to Bob" || p.Messages[0].Role != mcp.RoleUser {
			t.Errorf("prompt %+v", p)
		}
		if _, err := c.TryGetPrompt(t.Context(), "hello", nil); err == nil || !strings.Contains(err.Error(), `needs the argument "name"`) {
			t.Errorf("hello: %v", err)
		}
		if r := c.ReadResource("file:///note").Contents[0]; r.URI != "file:///note" || r.MIMEType != "text/plain" || r.Text != "a note" {
			t.Errorf("resource %+v", r)
		}
		if r := c.ReadResource("page:///7"); string(r.Contents[0].Blob) != "7" {
			t.Errorf("page %+v", r.Contents[0])
		}
		want := -32002
		if version == mcp.Version20260728 {
			want = jsonrpc.CodeInvalidParams
		}
		_, err := c.TryReadResource(t.Context(), "file:///none")
		if wrong, ok := errors.AsType[*jsonrpc.Error](err); !ok || wrong.Code != want {
			t.Errorf("none: %v, want code %d", err, want)
		}
		got := c.Complete(&mcp.CompleteParams{
			Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "hello"}, Argument: mcp.CompleteParamsArgument{Name: "name", Value: "Bo"},
		})
		if !slices.Equal(got.Values, []string{"Bo!"}) {
			t.Errorf("completion %+v", got)
		}
	})
}

func TestDiscover(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version})
		d := c.Discover()
		if d.Instructions != "try it" || d.Capabilities.Tools == nil || !slices.Contains(d.SupportedVersions, version) {
			t.Errorf("discover %+v", d)
		}
		if ss := c.Session(); (ss == nil) != mcp.IsModern(version) || ss != nil && ss.Version() != version {
			t.Errorf("session %v", ss)
		}
	})
}

func TestRequest(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version, Meta: mcp.Meta{"example.com/k": "v"}, Principal: &auth.Principal{ID: "alice"}})
		var echoed struct {
			X    int            `json:"x"`
			Meta map[string]any `json:"_meta"`
		}
		raw := c.Request("example.com/echo", map[string]any{"x": 1, "_meta": map[string]any{"own": true}})
		if err := json.Unmarshal(raw, &echoed); err != nil || echoed.X != 1 || echoed.Meta["own"] != true || echoed.Meta["example.com/k"] != "v" {
			t.Errorf("echo = %s, %v", raw, err)
		}
		if got, want := Text(c.CallTool("who", nil)), "alice mcptest "+version+" v"; got != want {
			t.Errorf("who = %q, want %q", got, want)
		}
		_, err := c.TryRequest(t.Context(), "example.com/none", nil)
		if wrong, ok := errors.AsType[*jsonrpc.Error](err); !ok || wrong.Code != jsonrpc.CodeMethodNotFound {
			t.Errorf("none: %v", err)
		}
		for _, params := range []any{[]int{1}, map[string]any{"_meta": 1}, func() {}} {
			if _, err := c.TryRequest(t.Context(), "example.com/echo", params); err == nil {
				t.Errorf("params %T are sent", params)
			}
		}
		if _, err := c.TryRequest(t.Context(), mcp.MethodListen, nil); err == nil || !strings.Contains(err.Error(), "Subscribe") {
			t.Errorf("listen: %v", err)
		}
		_, err = c.TryRequest(t.Context(), "ping", nil)
		if (err == nil) == mcp.IsModern(version) {
			t.Errorf("ping: %v", err)
		}
	})
}

// TestGate: what the host in front of the engine refuses is refused.
func TestGate(t *testing.T) {
	c := NewClient(t, fixture(), nil)
	for _, tt := range []struct {
		meta map[string]any
		code int
	}{
		{map[string]any{mcp.MetaKeyProtocolVersion: "2025-11-25"}, mcp.CodeUnsupportedProtocolVersion},
		{map[string]any{mcp.MetaKeyClientCapabilities: 1}, jsonrpc.CodeInvalidParams},
		{map[string]any{mcp.MetaKeyLogLevel: "loud"}, jsonrpc.CodeInvalidParams},
	} {
		_, err := c.TryRequest(t.Context(), "tools/list", map[string]any{"_meta": tt.meta})
		if wrong, ok := errors.AsType[*jsonrpc.Error](err); !ok || wrong.Code != tt.code {
			t.Errorf("%v: %v, want code %d", tt.meta, err, tt.code)
		}
	}
}

func TestNotify(t *testing.T) {
	var told []string
	s := mcp.NewServer(&mcp.Implementation{Name: "s"}, &mcp.ServerOptions{
		RootsListChangedHandler: func(ctx context.Context, req *mcp.RootsListChangedRequest) {
			r, err := req.Session.ListRoots(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			told = append(told, r.Roots[0].URI)
			req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: "noted"})
		},
	})
	c := NewClient(t, s, &Options{Version: mcp.Version20251125, Roots: []*mcp.Root{}, LogLevel: "info"})
	c.SetRoots(&mcp.Root{URI: "file:///a"})
	c.Notify("notifications/unknown", map[string]any{"x": 1})
	if !slices.Equal(told, []string{"file:///a"}) || len(c.Logs()) != 1 {
		t.Errorf("told %v, logs %v", told, c.Logs())
	}
	roots, err := c.Session().ListRoots(t.Context(), nil)
	if err != nil || len(roots.Roots) != 1 {
		t.Errorf("roots outside of a call: %+v, %v", roots, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Session().ListRoots(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRecord(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		var seen []string
		c := NewClient(t, fixture(), &Options{Version: version, LogLevel: "info", OnNotification: func(method string, _ json.RawMessage) {
			seen = append(seen, method)
		}})
		c.CallTool("report", nil)
		progress := c.Progress()
		if n := len(progress); n < 2 || progress[0].Progress != 1 || progress[n-1].Progress != 3 || progress[0].Total != 3 {
			t.Errorf("progress %v", progress)
		}
		if logs := c.Logs(); len(logs) != 1 || logs[0].Level != "warning" || logs[0].Data != "at warning" {
			t.Errorf("logs %+v", logs)
		}
		if len(seen) != len(c.Notifications()) {
			t.Errorf("saw %v of %v", seen, c.Notifications())
		}
		c.Await("notifications/progress")
		c.Await("notifications/message")
	})
}

func TestSubscribe(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		synctest.Test(t, func(t *testing.T) {
			s := fixture()
			c := NewClient(t, s, &Options{Version: version})
			sub := c.Subscribe(mcp.NotificationSubscriptions{ToolsListChanged: true, PromptsListChanged: true, ResourceSubscriptions: []string{"file:///note"}})
			g := sub.Granted
			if !g.ToolsListChanged || !g.PromptsListChanged || g.ResourcesListChanged || !slices.Equal(g.ResourceSubscriptions, []string{"file:///note"}) {
				t.Errorf("granted %+v", g)
			}
			s.RemoveTools("echo")
			c.Await("notifications/tools/list_changed")
			update := &mcp.ResourceUpdatedNotificationParams{URI: "file:///note"}
			if err := s.ResourceUpdated(t.Context(), update); err != nil {
				t.Fatal(err)
			}
			if got := string(c.Await("notifications/resources/updated")); !strings.Contains(got, `"uri":"file:///note"`) {
				t.Errorf("updated %s", got)
			}
			sub.Close()
			sub.Close()
			before := len(c.Notifications())
			s.ResourceUpdated(t.Context(), update)
			synctest.Wait()
			if got := c.Notifications()[before:]; len(got) != 0 {
				t.Errorf("told after Close: %v", got)
			}
			c.Subscribe(mcp.NotificationSubscriptions{ResourceSubscriptions: []string{"page:///1"}}) // left open
		})
	})
}

func TestSubscribeRefused(t *testing.T) {
	c := NewClient(t, fixture(), nil)
	_, err := c.TrySubscribe(t.Context(), mcp.NotificationSubscriptions{TaskIDs: []string{"x"}})
	if wrong, ok := errors.AsType[*jsonrpc.Error](err); !ok || wrong.Code != mcp.CodeMissingClientCapability {
		t.Errorf("tasks without the extension: %v", err)
	}
	old := NewClient(t, fixture(), &Options{Version: mcp.Version20241105})
	if _, err := old.TrySubscribe(t.Context(), mcp.NotificationSubscriptions{ResourceSubscriptions: []string{"file:///note", "file:///none"}}); err == nil {
		t.Error("a resource that does not exist is watched")
	}
}

// TestLimits: time limits and cancellation are those of a host.
func TestLimits(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		synctest.Test(t, func(t *testing.T) {
			s := fixture()
			var hung struct {
				deadline time.Time
				err      error
			}
			mcp.AddTool(s, &mcp.Tool{Name: "hang", Description: "waits for its context", Timeout: time.Minute},
				func(ctx context.Context, _ *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
					hung.deadline, _ = ctx.Deadline()
					inner, cancel := context.WithCancel(ctx)
					defer cancel()
					<-inner.Done()
					hung.err = inner.Err()
					return nil, nil, ctx.Err()
				})
			c := NewClient(t, s, &Options{Version: version})
			begun := time.Now()
			if res := c.CallTool("hang", nil); !res.IsError || !strings.Contains(Text(res), "did not finish within 1m0s") || time.Since(begun) != time.Minute {
				t.Errorf("hang = %q after %v", Text(res), time.Since(begun))
			}
			synctest.Wait()
			if at, err := hung.deadline, hung.err; !at.Equal(begun.Add(time.Minute)) || err != context.DeadlineExceeded {
				t.Errorf("the handler had the deadline %v, and ended with %v", at, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.TryCallTool(ctx, "hang", nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("cancelled: %v", err)
			}
			if synctest.Wait(); hung.err != context.Canceled {
				t.Errorf("the handler ended with %v", hung.err)
			}
		})
	})
}

// TestPause: while the user thinks the clock of a call stands still.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient(t, fixture(), &Options{Version: mcp.Version20250618, Elicit: func(*mcp.ElicitParams) *mcp.ElicitResult {
			time.Sleep(2 * time.Minute)
			return nil
		}})
		if got := Text(c.CallTool("elicit", nil)); got != "cancel <nil>, cancel <nil>" {
			t.Errorf("elicit = %q", got)
		}
	})
}

func TestConcurrent(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := NewClient(t, fixture(), &Options{Version: version, LogLevel: "info"})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if res, err := c.TryCallTool(t.Context(), "add", addArgs{1, 2}); err != nil || Text(res) != `{"sum":3}` {
						t.Errorf("add = %v, %v", res, err)
					}
					if _, err := c.TryCallTool(t.Context(), "report", nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := len(c.Logs()); got != 160 {
			t.Errorf("%d log messages, want 160", got)
		}
	})
}

// TestFailures: what a test is told when it is wrong.
func TestFailures(t *testing.T) {
	s := fixture()
	legacy := &Options{Version: mcp.Version20251125}
	for _, tt := range []struct {
		name string
		test func(t testing.TB)
		want string
	}{
		{"version", func(t testing.TB) { NewClient(t, s, &Options{Version: "2020-01-01"}) }, `"2020-01-01" is not a revision`},
		{"tool", func(t testing.TB) { NewClient(t, s, nil).CallTool("none", nil) }, `calling the tool "none": jsonrpc: -32602: unknown tool`},
		{"prompt", func(t testing.TB) { NewClient(t, s, nil).GetPrompt("none", nil) }, `getting the prompt "none"`},
		{"resource", func(t testing.TB) { NewClient(t, s, nil).ReadResource("x:none") }, `reading the resource "x:none"`},
		{"method", func(t testing.TB) { NewClient(t, s, nil).Request("none", nil) }, "none: jsonrpc: -32601"},
		{"notification", func(t testing.TB) { NewClient(t, s, nil).Notify("notifications/x", []int{1}) }, "notifications/x: params"},
		{"meta of a notification", func(t testing.TB) {
			NewClient(t, s, legacy).Notify("notifications/x", map[string]any{"_meta": map[string]any{mcp.MetaKeyProtocolVersion: 1}})
		}, "must be a string"},
		{"result", func(t testing.TB) {
			c := NewClient(t, s, nil)
			c.request("example.com/echo", map[string]any{"tools": 1}, &mcp.ListToolsResult{})
		}, "the result of example.com/echo"},
		{"subscription", func(t testing.TB) {
			NewClient(t, s, nil).Subscribe(mcp.NotificationSubscriptions{TaskIDs: []string{"x"}})
		}, "subscribing: jsonrpc: -32021"},
		{"output", func(t testing.TB) { Output[sum](t, text("nothing")) }, "the result has no output: nothing"},
		{"wrong output", func(t testing.TB) { Output[sum](t, &mcp.CallToolResult{StructuredContent: 1}) }, "the output is no mcptest.sum"},
		{"log level", func(t testing.TB) {
			NewClient(t, s, &Options{Version: mcp.Version20251125, LogLevel: "loud"})
		}, "opening a session of 2025-11-25"},
		{"no notification", func(t testing.TB) {
			c := NewClient(t, s, nil)
			c.told([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
		}, "sent what is no notification"},
		{"bad progress", func(t testing.TB) {
			c := NewClient(t, s, nil)
			c.told([]byte(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"x"}}`))
			c.Progress()
		}, "notifications/progress: json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := failing(t, tt.test); !strings.Contains(got, tt.want) {
				t.Errorf("told %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAwaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := failing(t, func(t testing.TB) { NewClient(t, fixture(), nil).Await("notifications/never") })
		if want := "no notifications/never within 10s"; !strings.Contains(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// TestEnd: a test leaves nothing behind, or is told what.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fixture()
		var c *Client
		got := failing(t, func(t testing.TB) {
			c = NewClient(t, s, &Options{Version: mcp.Version20251125})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.TryCallTool(ctx, "stubborn", nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("stubborn: %v", err)
			}
		})
		if want := "[tool stubborn] did not end within 10s"; !strings.Contains(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if _, err := c.TryCallTool(t.Context(), "echo", nil); !errors.Is(err, errClosed) {
			t.Errorf("after the test: %v", err)
		}
		if _, err := c.TrySubscribe(t.Context(), mcp.NotificationSubscriptions{}); !errors.Is(err, errClosed) {
			t.Errorf("subscribing after the test: %v", err)
		}
		NewClient(t, s, nil).CallTool("free", nil)
	})
	synctest.Test(t, func(t *testing.T) { // a test that ends while others wait
		c := NewClient(t, fixture(), nil)
		for range 2 {
			go func() {
				if _, err := c.TryCallTool(context.Background(), "hang", nil); !errors.Is(err, errClosed) {
					t.Errorf("hang: %v", err)
				}
			}()
		}
		synctest.Wait()
	})
}
