package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const weatherPage = "<!doctype html><title>Weather</title>"

func TestApp(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	border := true
	s.AddApp(&App{
		URI: "ui://weather/dashboard", Name: "dashboard", Title: "Dashboard", Description: "shows the weather", HTML: weatherPage,
		CSP: AppCSP{
			Connect:  []string{"https://api.example.com", "wss://example.com:8443"},
			Resource: []string{"https://*.example.com"},
			Frame:    []string{"http://localhost"},
			BaseURI:  []string{"https://[::1]:443"},
		},
		Permissions: AppPermissions{Camera: true, ClipboardWrite: true}, Domain: "a.example.com", PrefersBorder: &border,
	})
	own := &Tool{Name: "weather", Meta: Meta{"example.com/x": 1, "ui": "is replaced"}}
	AddTool(s, s.AppTool("ui://weather/dashboard", own), echo)
	AddTool(s, s.AppTool("ui://weather/dashboard", &Tool{Name: "refresh"}, VisibleToApp), echo)
	if len(own.Meta) != 2 || own.Meta["ui"] != "is replaced" {
		t.Errorf("the tool is changed: %v", own.Meta)
	}
	const ui = `{"ui":{"csp":{"connectDomains":["https://api.example.com","wss://example.com:8443"],"resourceDomains":["https://*.example.com"],` +
		`"frameDomains":["http://localhost"],"baseUriDomains":["https://[::1]:443"]},"permissions":{"camera":{},"clipboardWrite":{}},` +
		`"domain":"a.example.com","prefersBorder":true}}`
	for _, version := range []string{Version20260728, Version20250618} {
		c := dial(t, s, version)
		for method, wants := range map[string][]string{
			"resources/list": {`"uri":"ui://weather/dashboard","name":"dashboard","title":"Dashboard","description":"shows the weather","mimeType":"text/html;profile=mcp-app","size":37,"_meta":` + ui},
			"resources/read": {`"mimeType":"text/html;profile=mcp-app","text":"<!doctype html><title>Weather</title>","_meta":` + ui},
			"tools/list": {
				`"_meta":{"example.com/x":1,"ui":{"resourceUri":"ui://weather/dashboard"}}`,
				`"_meta":{"ui":{"resourceUri":"ui://weather/dashboard","visibility":["app"]}}`,
			},
		} {
			params := ""
			if method == "resources/read" {
				params = quoted("ui://weather/dashboard")
			}
			out := c.ask(method, params)
			for _, want := range wants {
				if !strings.Contains(out, want) {
					t.Errorf("%s, %s: %s\nwant %s", version, method, out, want)
				}
			}
		}
	}
}

func TestAppsAreDeclared(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, &ServerOptions{Capabilities: &ServerCapabilities{
		Extensions: map[string]any{"example.com/mine": map[string]any{}},
	}})
	declared := func(modern bool) string {
		raw, err := json.Marshal(s.capabilities(modern).Extensions)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	page := func(uri, mimeType string) {
		s.AddResource(&Resource{URI: uri, Name: "x", MIMEType: mimeType}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
			return nil, nil
		})
	}
	page("ui://x", "text/html")
	page("file:///x", AppMIMEType)
	if got := declared(true); got != `{"example.com/mine":{}}` {
		t.Errorf("without an app: %s", got)
	}
	page("ui://y", AppMIMEType)
	if got := declared(true); got != `{"example.com/mine":{},"io.modelcontextprotocol/ui":{}}` {
		t.Errorf("2026-07-28: %s", got)
	}
	if got := declared(false); got != `{"io.modelcontextprotocol/ui":{}}` {
		t.Errorf("sessions: %s", got)
	}
	s.RemoveResources("ui://y")
	if got := declared(false); got != "null" {
		t.Errorf("after its end: %s", got)
	}
}

func TestAppPanics(t *testing.T) {
	app := func(change func(*App)) func(*Server) {
		return func(s *Server) {
			a := &App{URI: "ui://x", Name: "x", HTML: weatherPage}
			change(a)
			s.AddApp(a)
		}
	}
	csp := func(o string) func(*Server) { return app(func(a *App) { a.CSP.Connect = []string{o} }) }
	for _, tt := range []struct {
		name, want string
		do         func(*Server)
	}{
		{"scheme", "must begin with ui://", app(func(a *App) { a.URI = "https://x" })},
		{"nothing behind it", "must begin with ui://", app(func(a *App) { a.URI = "ui://" })},
		{"upper case", "must begin with ui://", app(func(a *App) { a.URI = "UI://x" })},
		{"no name", "needs a Name", app(func(a *App) { a.Name = "" })},
		{"no page", "<!doctype html>", app(func(a *App) { a.HTML = "" })},
		{"a fragment", "<!doctype html>", app(func(a *App) { a.HTML = "<p>" })},
		{"not UTF-8", "UTF-8", app(func(a *App) { a.HTML = weatherPage + "\xff" })},
		{"an older doctype", "<!doctype html>", app(func(a *App) { a.HTML = "<!doctype htmlx>" })},
		{"no scheme", "is no origin", csp("example.com")},
		{"a path", "is no origin", csp("https://example.com/x")},
		{"another directive", "is no origin", csp("https://example.com; script-src *")},
		{"a keyword", "is no origin", csp("'unsafe-eval'")},
		{"anything", "is no origin", csp("*")},
		{"a wildcard inside", "is no origin", csp("https://a.*.com")},
		{"data", "is no origin", csp("data:")},
		{"two", "is no origin", csp("https://a.com https://b.com")},
		{"a line", "is no origin", csp("https://a.com\n")},
		{"a user", "is no origin", csp("https://a@b.com")},
		{"in the last list", "is no origin", app(func(a *App) { a.CSP.BaseURI = []string{"https://a.com", "x"} })},
		{"no app", "add it before its tools", func(s *Server) { s.AppTool("ui://y", &Tool{Name: "t"}) }},
		{"no page of an app", "add it before its tools", func(s *Server) {
			s.AddResource(&Resource{URI: "ui://y", Name: "y"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) { return nil, nil })
			s.AppTool("ui://y", &Tool{Name: "t"})
		}},
		{"visibility", `"nobody" is neither`, func(s *Server) {
			s.AddApp(&App{URI: "ui://x", Name: "x", HTML: "\n<!DOCTYPE HTML >"})
			s.AppTool("ui://x", &Tool{Name: "t"}, VisibleToModel, "nobody")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.HasPrefix(r, "mcp: A") || !strings.Contains(r, tt.want) {
					t.Errorf("panic %q, want %q", r, tt.want)
				}
			}()
			tt.do(NewServer(&Implementation{Name: "x"}, quiet()))
		})
	}
}

func TestSupportsApps(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	AddTool(s, &Tool{Name: "which"}, func(_ context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		return nil, req.ClientCapabilities().SupportsApps(), nil
	})
	for settings, want := range map[string]bool{
		`{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}`:                             true,
		`{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html",1,"text/html;profile=mcp-app"],"features":[]}}`: true,
		`{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html"]}}`:                                             false,
		`{"io.modelcontextprotocol/ui":{"mimeTypes":"text/html;profile=mcp-app"}}`:                               false,
		`{"io.modelcontextprotocol/ui":{}}`:                                                                      false,
		`{"io.modelcontextprotocol/ui":null}`:                                                                    false,
		`{}`:                                                                                                     false,
	} {
		caps := `"capabilities":{"extensions":` + settings + `}`
		modern := dial(t, s, Version20260728)
		out, _ := modern.raw(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"which","_meta":{"` + MetaKeyProtocolVersion +
			`":"2026-07-28","` + MetaKeyClientCapabilities + `":{"extensions":` + settings + `}}}}`)
		if got := strings.Contains(out, `"structuredContent":true`); got != want {
			t.Errorf("2026-07-28, %s: %s", settings, out)
		}
		legacy := &client{t: t, s: s, session: s.NewSession("s", &wire{}), notifier: &wire{}}
		legacy.raw(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",` + caps + `,"clientInfo":{"name":"t","version":"1"}}}`)
		if out := legacy.ask("tools/call", `"name":"which"`); strings.Contains(out, `"text":"true"`) != want {
			t.Errorf("2025-11-25, %s: %s", settings, out)
		}
	}
	if (*ClientCapabilities)(nil).SupportsApps() {
		t.Error("nobody supports apps")
	}
}
