package mcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSessionTools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fixture(nil)
		c, other := dial(t, s, Version20251125), dial(t, s, Version20250326)
		modern := dial(t, s, Version20260728)
		for _, cl := range []*client{c, other} {
			s.Attach(cl.session)
		}
		told := func(step string, n int) {
			t.Helper()
			time.Sleep(announceDelay)
			synctest.Wait()
			if got := c.peer.take(); len(got) != n || n > 0 && got[0] != listChanged {
				t.Errorf("%s: told %v", step, got)
			}
			if got := other.peer.take(); got != nil {
				t.Errorf("%s: another session is told %v", step, got)
			}
		}
		if err := AddSessionTool(c.session, &Tool{Name: "mine"}, echo); err != nil {
			t.Fatal(err)
		}
		told("added", 1)
		err := AddSessionTool(c.session, &Tool{Name: "echo", Description: "hides the server's"},
			func(context.Context, *CallToolRequest, echoArgs) (*CallToolResult, any, error) {
				return said("mine"), nil, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		told("replaced", 1)
		if got := c.list("").names(); fmt.Sprint(got) != "[add contents echo fail list mine panic protocol]" || !strings.Contains(c.ask("tools/list", ""), "hides the server's") {
			t.Errorf("list %v", got)
		}
		for name, want := range map[string]string{"mine": `"text":"x"`, "echo": `"text":"mine"`, "add": "missing required"} {
			if out := c.ask("tools/call", `"name":"`+name+`","arguments":{"text":"x"}`); !strings.Contains(out, want) && name != "add" {
				t.Errorf("%s: %s", name, out)
			}
		}
		for _, cl := range []*client{other, modern} {
			if slices.Contains(cl.list("").names(), "mine") {
				t.Errorf("%s lists a tool of a session", cl.version)
			}
			if out := cl.ask("tools/call", `"name":"mine","arguments":{"text":"x"}`); !strings.Contains(out, "unknown tool") {
				t.Errorf("%s: %s", cl.version, out)
			}
			if out := cl.ask("tools/call", `"name":"echo","arguments":{"text":"x"}`); !strings.Contains(out, `"text":"x"`) {
				t.Errorf("%s: %s", cl.version, out)
			}
		}
		c.session.RemoveTools("nope")
		told("removed nothing", 0)
		c.session.RemoveTools("mine", "echo", "nope")
		told("removed", 1)
		if out := c.ask("tools/call", `"name":"echo","arguments":{"text":"x"}`); !strings.Contains(out, `"text":"x"`) {
			t.Errorf("after removal: %s", out)
		}
		if slices.Contains(c.list("").names(), "mine") {
			t.Error("a removed tool is listed")
		}
	})
}

// A server without tools has those of a session, for that session.
func TestSessionToolsAlone(t *testing.T) {
	s := empty(quiet())
	c, other := dial(t, s, Version20251125), dial(t, s, Version20251125)
	if err := AddSessionTool(c.session, &Tool{Name: "mine"}, echo); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.list("").names()); got != "[mine]" {
		t.Errorf("list %s", got)
	}
	if out := c.ask("tools/call", `"name":"mine","arguments":{"text":"x"}`); !strings.Contains(out, `"text":"x"`) {
		t.Errorf("call: %s", out)
	}
	if out := c.ask("prompts/list", ""); !strings.Contains(out, "-32601") {
		t.Errorf("prompts: %s", out)
	}
	for _, method := range []string{"tools/list", "tools/call"} {
		if out := other.ask(method, `"name":"mine"`); !strings.Contains(out, "-32601") {
			t.Errorf("another session, %s: %s", method, out)
		}
	}
}

func TestSessionToolLimit(t *testing.T) {
	o := quiet()
	o.PageSize = 100
	s := fixture(o)
	c := dial(t, s, Version20251125)
	for i := range maxOwnTools {
		if err := AddSessionTool(c.session, &Tool{Name: fmt.Sprintf("t%03d", i)}, echo); err != nil {
			t.Fatalf("tool %d: %v", i, err)
		}
	}
	if err := AddSessionTool(c.session, &Tool{Name: "more"}, echo); err == nil {
		t.Error("257 tools")
	}
	if err := AddSessionTool(c.session, &Tool{Name: "t000", Title: "again"}, echo); err != nil {
		t.Errorf("replacing at the limit: %v", err)
	}
	if pages, names := c.all("tools/list"); len(names) != maxOwnTools+7 || len(pages) != 3 || !slices.IsSorted(names) {
		t.Errorf("%d pages, %d tools", len(pages), len(names))
	}
	c.session.RemoveTools("t000")
	if err := AddSessionTool(c.session, &Tool{Name: "more"}, echo); err != nil {
		t.Errorf("after a removal: %v", err)
	}
}

func TestSessionToolsRefused(t *testing.T) {
	s := fixture(nil)
	var got, gone error
	rawTool(s, &Tool{Name: "add-one"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		got = AddSessionTool(req.Session, &Tool{Name: "mine"}, echo)
		req.Session.RemoveTools("mine")
		return nil, nil
	})
	modern := dial(t, s, Version20260728)
	modern.ask("tools/call", `"name":"add-one"`)
	if !errors.Is(got, errStateless) || s.stateless.own.Load() != nil || gone != nil {
		t.Errorf("2026-07-28: %v", got)
	}
	c := dial(t, s, Version20251125)
	c.ask("tools/call", `"name":"add-one"`)
	if got != nil {
		t.Errorf("2025-11-25: %v", got)
	}
	for want, add := range map[string]func(){
		"AddTool \"x\": the handler is nil":        func() { _ = c.session.AddTool(&Tool{Name: "x", InputSchema: rawJSON(`{"type":"object"}`)}, nil) },
		"AddSessionTool \"x\": the handler is nil": func() { _ = AddSessionTool[any, any](c.session, &Tool{Name: "x"}, nil) },
	} {
		if msg := panics(add); !strings.Contains(msg, want) {
			t.Errorf("panic %q, want %q", msg, want)
		}
	}
}

// Session tools are filtered like others, and need no announcement where the
// server has declared none.
func TestSessionToolsConfigured(t *testing.T) {
	o := quiet()
	o.Capabilities = &ServerCapabilities{Tools: &ToolCapabilities{}}
	o.ToolFilter = func(_ context.Context, _ *Caller, t *Tool) bool { return t.Name != "hidden" }
	s := fixture(o)
	c := dial(t, s, Version20251125)
	for _, name := range []string{"hidden", "seen"} {
		if err := AddSessionTool(c.session, &Tool{Name: name}, echo); err != nil {
			t.Fatal(err)
		}
	}
	if names := c.list("").names(); slices.Contains(names, "hidden") || !slices.Contains(names, "seen") {
		t.Errorf("list %v", names)
	}
	if out := c.ask("tools/call", `"name":"hidden","arguments":{"text":"x"}`); !strings.Contains(out, "unknown tool") {
		t.Errorf("call: %s", out)
	}
	if got := c.peer.take(); got != nil {
		t.Errorf("told %v", got)
	}
}
