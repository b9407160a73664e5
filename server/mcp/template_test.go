package mcp

import (
	"maps"
	"strings"
	"testing"
)

// TestTemplateMatch: what the regular expression finds is what the library finds,
// with the same variables.
func TestTemplateMatch(t *testing.T) {
	for _, template := range []string{
		"file:///project/{+path}", "test://t/{id}/data", "a:{x}/{y}", "a:{x,y}", "a:{/x,y}", "a:b{.x,y}", "a:b{#x}", "a:{+x,y}",
		"a:b{?q,r}", "a:b{;q}", "a:b{?q}{&r}", "a:{x*}", "a:{x:3}", "a:{/x*}", "a:plain", "a:{x}{y}", "a:{x}-{x}",
	} {
		st, err := newTemplate(&ResourceTemplate{Name: "n", URITemplate: template}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, uri := range []string{
			"file:///project/a/b%20c", "file:///project/", "file:///project", "test://t/1%2F2/data", "test://t//data", "test://t/a/b/data",
			"a:1/2", "a:1,2", "a:/1/2", "a:/1", "a:b.1.2", "a:b#f", "a:b?q=1&r=2", "a:b?q=1", "a:b;q=1", "a:b", "a:", "a:plain", "a:1-1", "a:1-2",
			"a:x=1,y=2", "a:%zz", "a:%C3%A9", "a:%ff",
		} {
			want := st.parsed.Match(uri)
			if st.matches(uri) != (want != nil) {
				t.Errorf("%s matches %s: %v", template, uri, st.matches(uri))
				continue
			}
			if want == nil || st.names == nil {
				continue
			}
			vars := make(map[string]string)
			for name, v := range want {
				vars[name] = valueOf(v)
			}
			if got := st.variables(uri); !maps.Equal(got, vars) {
				t.Errorf("%s in %s: %q, want %q (%v)", template, uri, got, vars, want)
			}
		}
	}
}

// TestTemplateBounds: what the slow matcher is for has a tighter bound.
func TestTemplateBounds(t *testing.T) {
	simple, _ := newTemplate(&ResourceTemplate{Name: "n", URITemplate: "a:{+x}"}, nil)
	composite, _ := newTemplate(&ResourceTemplate{Name: "n", URITemplate: "a:{+x*}"}, nil)
	for n, want := range map[int]bool{maxComposite - 1: true, maxComposite: true, maxComposite + 1: false} {
		uri := "a:" + strings.Repeat("x", n-2)
		if !simple.matches(uri) || composite.matches(uri) != want {
			t.Errorf("%d bytes: %v, %v", n, simple.matches(uri), composite.matches(uri))
		}
	}
}

func BenchmarkTemplateMatch(b *testing.B) {
	st, _ := newTemplate(&ResourceTemplate{Name: "n", URITemplate: "file:///project/{+path}"}, nil)
	uri := "file:///project/" + strings.Repeat("a/b%20c", 200)
	b.ReportAllocs()
	for b.Loop() {
		st.matches(uri)
	}
}
