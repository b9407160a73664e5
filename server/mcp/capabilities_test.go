package mcp

import (
	"strings"
	"testing"
)

// capabilitiesFor is what a client of the given revision is told.
func capabilitiesFor(t *testing.T, s *Server, version string) string {
	t.Helper()
	c := &client{t: t, s: s, notifier: &wire{}}
	method, params := methodDiscover, ""
	if !IsModern(version) {
		c.session = s.NewSession("", nil)
		method, params = methodInitialize, `"protocolVersion":"`+version+`","capabilities":{},"clientInfo":{"name":"x","version":"1"}`
	}
	_, caps, ok := strings.Cut(c.ask(method, params), `"capabilities":`)
	if !ok {
		t.Fatalf("%s: no capabilities", version)
	}
	end, depth := 0, 0
	for end = range caps {
		if caps[end] == '{' {
			depth++
		} else if caps[end] == '}' {
			if depth--; depth == 0 {
				break
			}
		}
	}
	return caps[:end+1]
}

func TestCapabilities(t *testing.T) {
	const lists = `"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true}`
	withResource := func(o *ServerOptions) *Server {
		s := NewServer(&Implementation{Name: "x"}, o)
		s.AddResourceTemplate(&ResourceTemplate{Name: "t", URITemplate: "x:{y}"}, noResource)
		return s
	}
	tests := []struct {
		name    string
		server  func(*ServerOptions) *Server
		options *ServerCapabilities
		version string
		want    string
	}{
		{"nothing", empty, nil, Version20260728, `{"logging":{}}`},
		{"nothing, legacy", empty, nil, Version20251125, `{"logging":{}}`},
		{"overridden by nothing", empty, &ServerCapabilities{}, Version20260728, `{}`},
		{"everything", whole, nil, Version20260728, `{"extensions":{"io.modelcontextprotocol/tasks":{}},"completions":{},"logging":{},` + lists + `}`},
		{"everything, legacy", whole, nil, Version20251125, `{"completions":{},"logging":{},` + lists + `}`},
		{"everything, first revision", whole, nil, Version20241105, `{"logging":{},` + lists + `}`},
		{"a template is a resource", withResource, nil, Version20260728, `{"logging":{},"resources":{"listChanged":true,"subscribe":true}}`},
		{"without listChanged", whole, &ServerCapabilities{
			Tools: &ToolCapabilities{}, Prompts: &PromptCapabilities{}, Resources: &ResourceCapabilities{Subscribe: true},
		}, Version20250618, `{"completions":{},"prompts":{},"resources":{"subscribe":true},"tools":{}}`},
		{"before there is anything", empty, &ServerCapabilities{
			Tools: &ToolCapabilities{ListChanged: true}, Prompts: &PromptCapabilities{}, Resources: &ResourceCapabilities{}, Logging: &LoggingCapabilities{},
		}, Version20260728, `{"logging":{},"prompts":{},"resources":{},"tools":{"listChanged":true}}`},
	}
	for _, tt := range tests {
		o := quiet()
		o.Capabilities = tt.options
		if got := capabilitiesFor(t, tt.server(o), tt.version); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func empty(o *ServerOptions) *Server { return NewServer(&Implementation{Name: "empty"}, o) }

func TestAddExtension(t *testing.T) {
	own := &ServerCapabilities{}
	own.AddExtension("example.com/x", nil)
	own.AddExtension("example.com/y", map[string]any{"z": 1})
	o := quiet()
	o.Capabilities = own
	s := whole(o)
	want := `{"extensions":{"example.com/x":{},"example.com/y":{"z":1},"io.modelcontextprotocol/tasks":{}}`
	if got := capabilitiesFor(t, s, Version20260728); !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
	if got := capabilitiesFor(t, s, Version20251125); strings.Contains(got, "extensions") {
		t.Errorf("2025-11-25 is told of extensions: %s", got)
	}
	if len(own.Extensions) != 2 {
		t.Errorf("the options have changed: %v", own.Extensions)
	}
}

// What is not declared is not there: -32601, in both eras.
func TestUndeclared(t *testing.T) {
	subscribe := &ServerCapabilities{Resources: &ResourceCapabilities{}, Tools: &ToolCapabilities{}}
	tests := []struct {
		method, params string
		declares       *ServerCapabilities // with what it is there
		modern, legacy bool
	}{
		{"tools/list", ``, subscribe, true, true},
		{"tools/call", `"name":"x"`, subscribe, true, true},
		{"prompts/list", ``, &ServerCapabilities{Prompts: &PromptCapabilities{}}, true, true},
		{"prompts/get", `"name":"x"`, &ServerCapabilities{Prompts: &PromptCapabilities{}}, true, true},
		{"resources/list", ``, subscribe, true, true},
		{"resources/templates/list", ``, subscribe, true, true},
		{"resources/read", `"uri":"x:"`, subscribe, true, true},
		{"resources/subscribe", `"uri":"x:"`, &ServerCapabilities{Resources: &ResourceCapabilities{Subscribe: true}}, false, true},
		{"resources/unsubscribe", `"uri":"x:"`, &ServerCapabilities{Resources: &ResourceCapabilities{Subscribe: true}}, false, true},
		{"logging/setLevel", `"level":"info"`, &ServerCapabilities{Logging: &LoggingCapabilities{}}, false, true},
		{"completion/complete", `"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"x","value":""}`, nil, true, true},
		{"tasks/get", `"taskId":"x"`, nil, true, false},
		{"tasks/update", `"taskId":"x","inputResponses":{}`, nil, true, false},
		{"tasks/cancel", `"taskId":"x"`, nil, true, false},
	}
	const notFound = `"error":{"code":-32601,"message":"Method not found"}`
	for _, version := range []string{Version20260728, Version20251125} {
		for _, tt := range tests {
			o := quiet()
			o.Capabilities = &ServerCapabilities{}
			c := dial(t, empty(o), version)
			if out, status := c.raw(c.message(tt.method, tt.params)); !strings.Contains(out, notFound) || IsModern(version) != (status == 404) {
				t.Errorf("%s %s: %d %s", version, tt.method, status, out)
			}
			s := whole(quiet())
			if tt.declares != nil {
				o = quiet()
				o.Capabilities = tt.declares
				s = empty(o)
			}
			there := tt.legacy
			if IsModern(version) {
				there = tt.modern
			}
			if out := dial(t, s, version).ask(tt.method, tt.params); strings.Contains(out, notFound) == there {
				t.Errorf("%s %s, declared: %s", version, tt.method, out)
			}
		}
		o := quiet()
		o.Capabilities = &ServerCapabilities{Resources: &ResourceCapabilities{ListChanged: true}}
		for _, method := range []string{"resources/subscribe", "resources/unsubscribe"} {
			if out := dial(t, whole(o), version).ask(method, `"uri":"file:///readme.txt"`); !strings.Contains(out, notFound) {
				t.Errorf("%s without the capability: %s", method, out)
			}
		}
	}
}
