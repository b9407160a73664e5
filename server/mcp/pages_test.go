package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// lists are the four lists, with how to fill them.
var lists = []struct {
	method, member string
	add            func(s *Server, name string)
	remove         func(s *Server, names ...string)
	key            func(name string) string
	filter         func(o *ServerOptions, keep func(c *Caller, name string) bool)
}{
	{
		"tools/list", "tools",
		func(s *Server, name string) { AddTool(s, &Tool{Name: name}, echo) },
		(*Server).RemoveTools, func(name string) string { return name },
		func(o *ServerOptions, keep func(*Caller, string) bool) {
			o.ToolFilter = func(_ context.Context, c *Caller, t *Tool) bool { return keep(c, t.Name) }
		},
	},
	{
		"prompts/list", "prompts",
		func(s *Server, name string) { s.AddPrompt(&Prompt{Name: name}, noPrompt) },
		(*Server).RemovePrompts, func(name string) string { return name },
		func(o *ServerOptions, keep func(*Caller, string) bool) {
			o.PromptFilter = func(_ context.Context, c *Caller, p *Prompt) bool { return keep(c, p.Name) }
		},
	},
	{
		"resources/list", "resources",
		func(s *Server, name string) { s.AddResource(&Resource{URI: "x:" + name, Name: name}, noResource) },
		(*Server).RemoveResources, func(name string) string { return "x:" + name },
		func(o *ServerOptions, keep func(*Caller, string) bool) {
			o.ResourceFilter = func(_ context.Context, c *Caller, r *Resource) bool { return keep(c, r.Name) }
		},
	},
	{
		"resources/templates/list", "resourceTemplates",
		func(s *Server, name string) {
			s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:" + name + "{v}", Name: name}, noResource)
		},
		(*Server).RemoveResourceTemplates, func(name string) string { return "x:" + name + "{v}" },
		func(o *ServerOptions, keep func(*Caller, string) bool) {
			o.ResourceTemplateFilter = func(_ context.Context, c *Caller, r *ResourceTemplate) bool { return keep(c, r.Name) }
		},
	},
}

// onePage is a page of any list.
type onePage struct {
	names      []string
	next       string
	ttl        *int
	cacheScope string
	code       int // of an error
}

func (c *client) page(method, cursor string) onePage {
	c.t.Helper()
	params := ""
	if cursor != "" {
		params = `"cursor":"` + cursor + `"`
	}
	var r struct {
		Result map[string]json.RawMessage
		Error  struct{ Code int }
	}
	if err := json.Unmarshal([]byte(c.ask(method, params)), &r); err != nil {
		c.t.Fatal(err)
	}
	p := onePage{code: r.Error.Code}
	for name, raw := range r.Result {
		switch name {
		case "nextCursor":
			json.Unmarshal(raw, &p.next)
		case "ttlMs":
			json.Unmarshal(raw, &p.ttl)
		case "cacheScope":
			json.Unmarshal(raw, &p.cacheScope)
		case "_meta", "resultType":
		default:
			var entries []struct{ Name string }
			json.Unmarshal(raw, &entries)
			for _, e := range entries {
				p.names = append(p.names, e.Name)
			}
		}
	}
	return p
}

// all walks a list to its end.
func (c *client) all(method string) (pages []onePage, names []string) {
	c.t.Helper()
	for cursor := ""; ; {
		p := c.page(method, cursor)
		if p.code != 0 || len(pages) > 100 {
			c.t.Fatalf("%s: %+v", method, p)
		}
		pages, names = append(pages, p), append(names, p.names...)
		if cursor = p.next; cursor == "" {
			return pages, names
		}
	}
}

func TestPagesOfAllLists(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e", "f"}
	vowel := func(c *Caller, name string) bool { return c.Principal.HasScope("all") || strings.Contains("ae", name) }
	for _, l := range lists {
		for size, want := range map[int][2]int{1: {6, 2}, 2: {3, 1}, 3: {2, 1}, 4: {2, 1}, 6: {1, 1}, 7: {1, 1}} {
			for _, filtered := range []bool{false, true} {
				for _, hooked := range []bool{false, true} {
					o := quiet()
					o.PageSize, o.ListTTL = size, 2*time.Second
					if filtered {
						l.filter(o, vowel)
					}
					s := empty(o)
					for _, name := range []string{"d", "a", "f", "b", "e", "c"} {
						l.add(s, name)
					}
					if hooked {
						s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler { return h })
					}
					for _, version := range []string{Version20260728, Version20250326} {
						c := dial(t, s, version).as("alice")
						pages, names := c.all(l.method)
						n, wantNames := want[0], all
						if filtered {
							n, wantNames = want[1], []string{"a", "e"}
						}
						if len(pages) != n || !slices.Equal(names, wantNames) {
							t.Errorf("%s of %d, filtered %v, %s: %d pages of %v", l.method, size, filtered, version, len(pages), names)
						}
						for _, p := range pages {
							scope := "public"
							if filtered || hooked {
								scope = "private"
							}
							if modern := IsModern(version); modern != (p.ttl != nil) || modern && (*p.ttl != 2000 || p.cacheScope != scope) || !modern && p.cacheScope != "" {
								t.Errorf("%s, filtered %v, middleware %v, %s: %+v", l.method, filtered, hooked, version, p)
							}
						}
						if _, names := c.as("bob", "all").all(l.method); !slices.Equal(names, all) {
							t.Errorf("%s, somebody else: %v", l.method, names)
						}
					}
				}
			}
		}
	}
}

func TestCursorsOfAllLists(t *testing.T) {
	for i, l := range lists {
		for _, filtered := range []bool{false, true} {
			o := quiet()
			o.PageSize = 2
			hidden := "none"
			if filtered {
				l.filter(o, func(_ *Caller, name string) bool { return name != hidden })
			}
			s := empty(o)
			for _, name := range []string{"a", "c", "e", "g"} {
				for _, other := range lists {
					other.add(s, name)
				}
			}
			c := dial(t, s, Version20260728)
			cursor := c.page(l.method, "").next
			for j, other := range lists {
				if p := c.page(other.method, cursor); i != j && p.code != -32602 || i == j && fmt.Sprint(p.names) != "[e g]" {
					t.Errorf("a cursor of %s in %s: %+v", l.method, other.method, p)
				}
			}
			l.remove(s, l.key("c"))
			l.add(s, "b")
			l.add(s, "d")
			if p := c.page(l.method, cursor); fmt.Sprint(p.names) != "[d e]" || p.next == "" {
				t.Errorf("%s after changes: %+v", l.method, p)
			}
			if hidden = "d"; filtered {
				if p := c.page(l.method, cursor); fmt.Sprint(p.names) != "[e g]" || p.next != "" {
					t.Errorf("%s, hidden meanwhile: %+v", l.method, p)
				}
			}
			l.remove(s, l.key("d"), l.key("e"), l.key("g"))
			if p := c.page(l.method, cursor); p.names != nil || p.next != "" || p.code != 0 {
				t.Errorf("%s, behind the end: %+v", l.method, p)
			}
			for _, forged := range []string{"x", cursor[:len(cursor)-1], cursor + "A", strings.ToUpper(cursor), "Ym9ndXM"} {
				if p := c.page(l.method, forged); p.code != -32602 {
					t.Errorf("%s, forged %q: %+v", l.method, forged, p)
				}
			}
		}
	}
}

// The longest key that can be registered has a cursor.
func TestLongestKeys(t *testing.T) {
	o := quiet()
	o.PageSize = 1
	s := empty(o)
	long := strings.Repeat("n", maxURI)
	s.AddPrompt(&Prompt{Name: long}, noPrompt)
	s.AddPrompt(&Prompt{Name: "z"}, noPrompt)
	s.AddResource(&Resource{URI: "x:" + long[2:], Name: "n"}, noResource)
	s.AddResource(&Resource{URI: "z:", Name: "z"}, noResource)
	s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:" + long[2:], Name: "n"}, noResource)
	s.AddResourceTemplate(&ResourceTemplate{URITemplate: "z:", Name: "z"}, noResource)
	c := dial(t, s, Version20260728)
	for _, l := range lists[1:] {
		if _, names := c.all(l.method); len(names) != 2 {
			t.Errorf("%s: %d entries", l.method, len(names))
		}
	}
	for name, add := range map[string]func(){
		"prompt":   func() { s.AddPrompt(&Prompt{Name: long + "n"}, noPrompt) },
		"resource": func() { s.AddResource(&Resource{URI: "x:" + long, Name: "n"}, noResource) },
		"template": func() { s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:" + long, Name: "n"}, noResource) },
	} {
		if msg := panics(add); !strings.Contains(msg, "8192 are allowed") {
			t.Errorf("%s: panic %.100q", name, msg)
		}
	}
}

func TestFeaturesRefused(t *testing.T) {
	s := empty(quiet())
	bad := Meta{"x": make(chan int)}
	tests := []struct {
		want string
		add  func()
	}{
		{`AddPrompt "p": the handler is nil`, func() { s.AddPrompt(&Prompt{Name: "p"}, nil) }},
		{`AddPrompt "": a prompt needs a Name`, func() { s.AddPrompt(&Prompt{}, noPrompt) }},
		{"an argument needs a Name", func() { s.AddPrompt(&Prompt{Name: "p", Arguments: []*PromptArgument{nil}}, noPrompt) }},
		{"an argument needs a Name", func() { s.AddPrompt(&Prompt{Name: "p", Arguments: []*PromptArgument{{}}}, noPrompt) }},
		{`two arguments are called "a"`, func() {
			s.AddPrompt(&Prompt{Name: "p", Arguments: []*PromptArgument{{Name: "a"}, {Name: "a"}}}, noPrompt)
		}},
		{"Meta cannot be encoded", func() { s.AddPrompt(&Prompt{Name: "p", Meta: bad}, noPrompt) }},
		{`AddResource "x:": the handler is nil`, func() { s.AddResource(&Resource{URI: "x:", Name: "n"}, nil) }},
		{"a resource needs a Name", func() { s.AddResource(&Resource{URI: "x:"}, noResource) }},
		{"URI must be absolute", func() { s.AddResource(&Resource{URI: "/a", Name: "n"}, noResource) }},
		{"URI: parse", func() { s.AddResource(&Resource{URI: "x:\x00", Name: "n"}, noResource) }},
		{"Size is -1", func() { s.AddResource(&Resource{URI: "x:", Name: "n", Size: -1}, noResource) }},
		{"Meta cannot be encoded", func() { s.AddResource(&Resource{URI: "x:", Name: "n", Meta: bad}, noResource) }},
		{`the handler is nil`, func() { s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:{a}", Name: "n"}, nil) }},
		{"a resource template needs a Name", func() { s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:{a}"}, noResource) }},
		{"must begin with a scheme", func() { s.AddResourceTemplate(&ResourceTemplate{URITemplate: "{a}", Name: "n"}, noResource) }},
		{"must begin with a scheme", func() { s.AddResourceTemplate(&ResourceTemplate{URITemplate: "{a}:b", Name: "n"}, noResource) }},
		{"URITemplate: ", func() { s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:{a", Name: "n"}, noResource) }},
		{"Meta cannot be encoded", func() {
			s.AddResourceTemplate(&ResourceTemplate{URITemplate: "x:{a}", Name: "n", Meta: bad}, noResource)
		}},
		{"Annotations cannot be encoded", func() {
			nan := 0.0
			s.AddResource(&Resource{URI: "x:", Name: "n", Annotations: &Annotations{Priority: nan / nan}}, noResource)
		}},
	}
	for _, tt := range tests {
		if msg := panics(tt.add); !strings.HasPrefix(msg, "mcp: Add") || !strings.Contains(msg, tt.want) {
			t.Errorf("panic %q, want %q", msg, tt.want)
		}
	}
	if n := len(s.prompts) + len(s.resources) + len(s.templates); n != 0 {
		t.Errorf("%d features were added", n)
	}
}

// Middleware may change what a list holds.
func TestListMiddleware(t *testing.T) {
	for _, version := range []string{Version20260728, Version20250618} {
		var broken bool
		s := whole(nil)
		meta := func() Meta {
			if broken {
				return Meta{"x": make(chan int)}
			}
			return nil
		}
		var hole bool
		s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
			return func(ctx context.Context, method string, req Request) (Result, error) {
				res, err := h(ctx, method, req)
				switch r := res.(type) {
				case *ListPromptsResult:
					r.Prompts = append(r.Prompts, &Prompt{Name: "extra", Meta: meta()})
					if hole {
						r.Prompts[0] = nil
					}
				case *ListResourcesResult:
					r.Resources = append(r.Resources, &Resource{Name: "extra", URI: "x:extra", Meta: meta()})
				case *ListResourceTemplatesResult:
					r.ResourceTemplates = append(r.ResourceTemplates, &ResourceTemplate{Name: "extra", URITemplate: "x:{v}", Meta: meta()})
				}
				return res, err
			}
		})
		c := dial(t, s, version)
		for _, l := range lists[1:] {
			broken, hole = false, false
			if p := c.page(l.method, ""); !slices.Contains(p.names, "extra") {
				t.Errorf("%s: %+v", l.method, p)
			}
			broken = true
			if p := c.page(l.method, ""); p.code != -32603 {
				t.Errorf("%s, unencodable: %+v", l.method, p)
			}
		}
		broken, hole = false, true
		if p := c.page("prompts/list", ""); p.code != -32603 {
			t.Errorf("a nil entry: %+v", p)
		}
	}
}
