package auth

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func rules(t *testing.T, texts ...string) (list []Rule) {
	t.Helper()
	for _, s := range texts {
		r, err := ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func TestPolicy(t *testing.T) {
	y := &Policy{
		Allow: rules(t, "tool:echo", "tool:db_* needs db:read", "tool:db_drop needs db:write,db:admin", "tool:ops_* for key:ops,key:root",
			"resource:docs://*", "prompt:* needs prompts", "method:tasks/* needs tasks"),
		Deny:    rules(t, "tool:db_secret", "resource:docs://private/*", "tool:echo for key:banned"),
		Implies: map[string][]string{"admin": {"db:admin", "writer"}, "writer": {"db:write", "db:read"}, "a": {"b"}, "b": {"a"}},
	}
	for _, tt := range []struct {
		id, scopes string
		kind       Kind
		name       string
		allowed    bool
		missing    string
	}{
		{"", "", Tool, "echo", true, ""},
		{"key:banned", "", Tool, "echo", false, ""},
		{"", "", Tool, "echo2", false, ""},
		{"", "", Tool, "", false, ""},
		{"", "", Tool, "db_get", false, "db:read"},
		{"", "db:read", Tool, "db_get", true, ""},
		{"", "db:read", Tool, "db_secret", false, ""},
		{"", "writer", Tool, "db_get", true, ""},
		{"", "admin", Tool, "db_get", true, ""},
		// The more telling rule narrows the other.
		{"", "db:read", Tool, "db_drop", false, "db:write db:admin"},
		{"", "db:read db:write", Tool, "db_drop", false, "db:write db:admin"},
		{"", "admin", Tool, "db_drop", true, ""},
		// Escapes change nothing, nor do segments that lead elsewhere.
		{"", "", Resource, "docs://%70rivate/a", false, ""},
		{"", "", Resource, "docs://private%2fa", false, ""},
		{"", "", Resource, "docs://%2570rivate/a", true, ""}, // is %70rivate, and nobody decodes it twice
		{"", "", Resource, "docs://p%61ge", true, ""},
		{"", "", Resource, "docs://a/../private/x", false, ""},
		{"", "", Resource, "docs://a/%2e%2e/private/x", false, ""},
		{"", "", Resource, "docs://a/./x", false, ""},
		{"", "", Resource, "docs://a/.b", true, ""},
		{"", "", Resource, "docs://%zz", false, ""},
		{"", "", Resource, "docs://private?x", false, ""},
		{"", "", Resource, "docs://private#x", false, ""},
		{"", "", Resource, "docs://a/..?x", false, ""},
		{"", "", Resource, "../private", false, ""},
		{"", "", Resource, "docs://a?x=..", true, ""},
		{"", "", Resource, "docs://private", false, ""}, // lists what is in it
		{"", "", Resource, "docs://" + strings.Repeat("a", maxJudged), false, ""},
		{"", "b", Tool, "db_get", false, "db:read"},
		{"key:ops", "", Tool, "ops_restart", true, ""},
		{"key:ops2", "", Tool, "ops_restart", false, ""},
		{"key:ci", "", Tool, "ops_restart", false, ""},
		{"", "", Resource, "docs://a", true, ""},
		{"", "", Resource, "docs://private/a", false, ""},
		{"", "", Resource, "file:///etc/passwd", false, ""},
		{"", "", Prompt, "p", false, "prompts"},
		{"", "prompts", Prompt, "p", true, ""},
		{"", "", Method, "ping", true, ""},
		{"", "", Method, "tasks/get", false, "tasks"},
		{"", "tasks", Method, "tasks/get", true, ""},
	} {
		p := &Principal{ID: tt.id, Scopes: strings.Fields(tt.scopes)}
		d := y.Decide(p, tt.kind, tt.name, false, false)
		if d.Allowed != tt.allowed || strings.Join(d.Missing, " ") != tt.missing {
			t.Errorf("%q with %q, %v %q: %+v, want %v, missing %q", tt.id, tt.scopes, tt.kind, tt.name, d, tt.allowed, tt.missing)
		}
	}
	// The challenge names everything that a rule needs, not what is missing of it:
	// a client that asks for the rest alone would lose what it has.
	p := &Principal{Scopes: []string{"db:write"}}
	strict := &Policy{Allow: rules(t, "tool:x needs db:write,db:admin")}
	if d := strict.Decide(p, Tool, "x", false, false); !slices.Equal(d.Missing, []string{"db:write", "db:admin"}) {
		t.Errorf("missing %q", d.Missing)
	}
}

// The user of a pipe is asked for no scope, and held to all else.
func TestPolicyLocal(t *testing.T) {
	y := &Policy{Allow: rules(t, "tool:* needs a,b"), Deny: rules(t, "tool:bad"), ReadOnly: true}
	if !y.Decide(Local, Tool, "x", true, false).Allowed {
		t.Error("a tool that needs scopes is denied")
	}
	if y.Decide(Local, Tool, "bad", true, false).Allowed || y.Decide(Local, Tool, "x", false, false).Allowed {
		t.Error("what is denied to all is allowed")
	}
}

func TestPolicyEffects(t *testing.T) {
	for _, tt := range []struct {
		readOnly, noDestructive bool
		isReadOnly, destroys    bool
		want                    bool
	}{
		{false, false, false, true, true},
		{true, false, false, false, false}, {true, false, true, false, true}, {true, false, true, true, true},
		{false, true, false, true, false}, {false, true, false, false, true}, {false, true, true, true, true},
	} {
		y := AllowAll()
		y.ReadOnly, y.NoDestructive = tt.readOnly, tt.noDestructive
		if got := y.Decide(Anonymous, Tool, "x", tt.isReadOnly, tt.destroys).Allowed; got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
		if !y.Decide(Anonymous, Resource, "x", false, true).Allowed {
			t.Errorf("%+v: a resource is denied", tt)
		}
	}
	if !(*Policy)(nil).Decide(Anonymous, Tool, "x", false, true).Allowed {
		t.Error("no policy denies")
	}
}

func TestParseRule(t *testing.T) {
	r, err := ParseRule("tool:db_* needs db:read,db:write for key:ci-*,https://as.example.com#ann")
	if err != nil || r.Kind != Tool || r.Pattern != "db_*" || len(r.Scopes) != 2 || len(r.Principals) != 2 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := ParseRule("resource:file:///a:b/*"); err != nil || r.Kind != Resource || r.Pattern != "file:///a:b/*" {
		t.Errorf("%+v %v", r, err)
	}
	for _, bad := range []string{
		"", "echo", "tools:echo", "tool:", "tool:a needs", "tool:a needs a,", "tool:a for", "tool:a nedes b", "tool:a needs a needs b",
		"tool:a for a for b", `tool:a needs "x"`, "tool:a needs a b",
	} {
		if r, err := ParseRule(bad); err == nil {
			t.Errorf("%q is a rule: %+v", bad, r)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "A", false}, {"*", "", true}, {"*", "abc", true}, {"a*", "a", true},
		{"a*", "ba", false}, {"*a", "ba", true}, {"*a", "ab", false}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "abcd", false},
		{"a*b*c", "aXbXbXc", true}, {"a**c", "abc", true}, {"a?c", "abc", false}, {"*.*", "a.b", true}, {"*ab", "aab", true},
	} {
		if got := Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
	start := time.Now()
	if Match(strings.Repeat("a*", 64)+"b", strings.Repeat("a", 4096)) {
		t.Error("it matches")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("a hostile name takes %v", d)
	}
}

// A yes costs no memory.
func TestDecideAllocates(t *testing.T) {
	y := &Policy{Allow: rules(t, "tool:db_* needs db:read"), Implies: map[string][]string{"admin": {"db:read"}}}
	p := &Principal{Scopes: []string{"admin"}}
	if n := testing.AllocsPerRun(100, func() {
		if !y.Decide(p, Tool, "db_get", false, true).Allowed {
			t.Fatal("denied")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPolicyCheck(t *testing.T) {
	for name, y := range map[string]*Policy{
		"denied by scope": {Deny: rules(t, "tool:drop needs admin")},
		"no pattern":      {Allow: []Rule{{Kind: Tool}}},
		"no kind":         {Deny: []Rule{{Kind: kinds, Pattern: "*"}}},
	} {
		if y.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := AllowAll().Check(); err != nil {
		t.Error(err)
	}
	if err := (*Policy)(nil).Check(); err != nil {
		t.Error(err)
	}
}

func TestAllowsAll(t *testing.T) {
	y := AllowAll()
	if !y.AllowsAll() || !(*Policy)(nil).AllowsAll() {
		t.Error("AllowAll does not allow all")
	}
	for name, other := range map[string]*Policy{
		"nothing":   {},
		"read-only": {Allow: y.Allow, ReadOnly: true},
		"denial":    {Allow: y.Allow, Deny: rules(t, "tool:x")},
		"a scope":   {Allow: append(rules(t, "tool:* needs a"), y.Allow[1:]...)},
		"somebody":  {Allow: append(rules(t, "tool:* for a"), y.Allow[1:]...)},
		"narrowed":  {Allow: append(rules(t, "tool:x needs a"), y.Allow...)},
		"a method":  {Allow: append(rules(t, "method:x needs a"), y.Allow...)},
	} {
		if other.AllowsAll() {
			t.Errorf("%s: allows all", name)
		}
	}
}
