package mcp

import (
	"context"
	"strings"
	"testing"
)

// scoped is whole, with filters: what is called secret exists for who has the
// scope secret, or on older revisions for who calls itself so.
func scoped() *Server {
	o := quiet()
	see := func(c *Caller, name string) bool {
		if c.Session != nil && c.Session.InitializeParams().ClientInfo.Name == "secret" {
			return true
		}
		return c.Principal.HasScope("secret") || !strings.Contains(name, "secret")
	}
	o.ToolFilter = func(_ context.Context, c *Caller, t *Tool) bool { return see(c, t.Name) }
	o.PromptFilter = func(_ context.Context, c *Caller, p *Prompt) bool { return see(c, p.Name) }
	o.ResourceFilter = func(_ context.Context, c *Caller, r *Resource) bool { return see(c, r.Name) }
	o.ResourceTemplateFilter = func(_ context.Context, c *Caller, r *ResourceTemplate) bool { return see(c, r.Name) }
	s := whole(o)
	AddTool(s, &Tool{Name: "secret", Class: ClassInline}, echo)
	s.AddPrompt(&Prompt{Name: "secret"}, noPrompt)
	read := func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Contents: []*ResourceContents{{Text: "x"}}}, nil
	}
	s.AddResource(&Resource{URI: "x:secret", Name: "secret"}, read)
	s.AddResourceTemplate(&ResourceTemplate{URITemplate: "secret:{v}", Name: "secret"}, read)
	return s
}

var secretRequests = []struct{ method, params, secret string }{
	{"tools/call", `"name":"NAME","arguments":{"text":"x"}`, "secret"},
	{"prompts/get", `"name":"NAME"`, "secret"},
	{"resources/read", `"uri":"NAME"`, "x:secret"},
	{"resources/read", `"uri":"NAME"`, "secret:1"},
	{"completion/complete", `"ref":{"type":"ref/prompt","name":"NAME"},"argument":{"name":"a","value":""}`, "secret"},
	{"completion/complete", `"ref":{"type":"ref/resource","uri":"NAME"},"argument":{"name":"a","value":""}`, "secret:{v}"},
	{"completion/complete", `"ref":{"type":"ref/resource","uri":"NAME"},"argument":{"name":"a","value":""}`, "x:secret"},
	{"resources/subscribe", `"uri":"NAME"`, "x:secret"},
	{"resources/subscribe", `"uri":"NAME"`, "secret:1"},
}

// What a caller cannot see answers as what does not exist.
func TestHidden(t *testing.T) {
	s := scoped()
	legacy := func(name string) *client {
		c := &client{t: t, s: s, notifier: &wire{}, session: s.NewSession("", &wire{}), version: Version20251125}
		c.raw(strings.ReplaceAll(`{"id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"NAME","version":"1"}}}`, "NAME", name))
		return c
	}
	modern := dial(t, s, Version20260728)
	for era, who := range map[string][2]*client{
		"2026-07-28":          {modern.as("alice", "secret"), modern.as("bob")},
		"2025-11-25":          {legacy("secret"), legacy("tester")},
		"scopes in a session": {legacy("tester").as("alice", "secret"), legacy("tester").as("bob", "other")},
	} {
		for _, r := range secretRequests {
			if r.method == "resources/subscribe" && era == "2026-07-28" {
				continue
			}
			params := strings.Replace(r.params, "NAME", r.secret, 1)
			if out := who[0].ask(r.method, params); !strings.Contains(out, `"result"`) {
				t.Errorf("%s, %s %s, seen: %s", era, r.method, r.secret, out)
			}
			out := who[1].ask(r.method, params)
			missing := strings.ReplaceAll(r.secret, "secret", "absent")
			want := who[1].ask(r.method, strings.Replace(r.params, "NAME", missing, 1))
			if strings.ReplaceAll(out, "secret", "absent") != want || !strings.Contains(out, `"error"`) {
				t.Errorf("%s, %s %s, hidden: %s, want %s", era, r.method, r.secret, out, want)
			}
		}
		for _, l := range lists {
			_, seen := who[0].all(l.method)
			_, others := who[1].all(l.method)
			if len(seen) != len(others)+1 || !strings.Contains(strings.Join(seen, " "), "secret") || strings.Contains(strings.Join(others, " "), "secret") {
				t.Errorf("%s, %s: %v and %v", era, l.method, seen, others)
			}
		}
	}
}

// Filters are user code: nothing that asks them runs on the event loop.
func TestPlanFiltered(t *testing.T) {
	s := scoped()
	c := dial(t, s, Version20260728)
	for _, l := range lists {
		call, _ := c.parse(c.message(l.method, ""))
		if got := s.Plan(call); got.Class != ClassBlocking || got.Timeout != DefaultToolTimeout {
			t.Errorf("%s: %+v", l.method, got)
		}
		call, _ = c.parse(dial(t, whole(nil), Version20260728).message(l.method, ""))
		if got := whole(nil).Plan(call); got.Class != ClassInline {
			t.Errorf("%s without a filter: %+v", l.method, got)
		}
	}
	for _, name := range []string{"secret", "nope"} {
		call, _ := c.parse(c.message("tools/call", `"name":"`+name+`"`))
		if got := s.Plan(call).Class; got != ClassBlocking {
			t.Errorf("tools/call %s: %v", name, got)
		}
	}
}
