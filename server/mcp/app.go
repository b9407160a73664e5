package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The MCP Apps extension (SEP-1865): tools whose results a host shows in a user
// interface, an HTML page that is a resource. It is declared while there is an
// app.
const (
	// AppsExtension is the id of the extension.
	AppsExtension = "io.modelcontextprotocol/ui"
	// AppMIMEType is that of the pages.
	AppMIMEType = "text/html;profile=mcp-app"
)

const appScheme = "ui://"

// metaKeyUI is the member of _meta of tools and resources that is about apps.
const metaKeyUI = "ui"

// App is a page that hosts show in a sandbox. For one whose HTML is made when it
// is read, AddResource a resource with a ui:// URI and AppMIMEType instead.
type App struct {
	// URI begins with ui://.
	URI         string
	Name        string
	Title       string
	Description string
	// HTML is the whole document: it begins with a doctype.
	HTML string
	// CSP is which origins the page may reach: none by default.
	CSP AppCSP
	// Permissions are what the page asks its host for. It may not get them.
	Permissions AppPermissions
	// Domain is a dedicated origin, in the form that a host documents; optional.
	Domain string
	// PrefersBorder is whether the host should draw a border; nil: as it likes.
	PrefersBorder *bool
}

// AppCSP are origins for the Content-Security-Policy of an app, such as
// "https://api.example.com", "https://*.example.com" or "wss://example.com:8443".
type AppCSP struct {
	// Connect is for requests of scripts.
	Connect []string `json:"connectDomains,omitempty"`
	// Resource is for scripts, styles, images, fonts and media.
	Resource []string `json:"resourceDomains,omitempty"`
	// Frame is for nested frames.
	Frame []string `json:"frameDomains,omitempty"`
	// BaseURI is for the base of the document.
	BaseURI []string `json:"baseUriDomains,omitempty"`
}

// AppPermissions are what a page can ask for.
type AppPermissions struct {
	Camera, Microphone, Geolocation, ClipboardWrite bool
}

// MarshalJSON encodes p as the extension has it: an empty object for each.
func (p AppPermissions) MarshalJSON() ([]byte, error) {
	asked := map[string]struct{}{}
	for name, wanted := range map[string]bool{
		"camera": p.Camera, "microphone": p.Microphone, "geolocation": p.Geolocation, "clipboardWrite": p.ClipboardWrite,
	} {
		if wanted {
			asked[name] = struct{}{}
		}
	}
	return json.Marshal(asked)
}

// appMeta is _meta.ui of an app.
type appMeta struct {
	CSP           *AppCSP         `json:"csp,omitempty"`
	Permissions   *AppPermissions `json:"permissions,omitempty"`
	Domain        string          `json:"domain,omitempty"`
	PrefersBorder *bool           `json:"prefersBorder,omitempty"`
}

// AppVisibility is who may call a tool that is linked to an app. Hosts see to
// it; hosts without apps show every tool to the model.
type AppVisibility string

// The values of AppVisibility.
const (
	VisibleToModel AppVisibility = "model"
	VisibleToApp   AppVisibility = "app"
)

// AddApp adds an app, a resource, or replaces the one with the same URI;
// RemoveResources removes it. a must not be changed afterwards. It panics when
// the app cannot be offered. Tools are linked to it with AppTool.
func (s *Server) AddApp(a *App) {
	if err := a.check(); err != nil {
		panic(fmt.Sprintf("mcp: AddApp %q: %v", a.URI, err))
	}
	meta := a.meta()
	contents := &ResourceContents{URI: a.URI, MIMEType: AppMIMEType, Text: a.HTML, Meta: meta}
	s.AddResource(&Resource{
		URI: a.URI, Name: a.Name, Title: a.Title, Description: a.Description, MIMEType: AppMIMEType,
		Size: int64(len(a.HTML)), Meta: meta,
	}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Cacheable: s.cacheable(resourceKind), Contents: []*ResourceContents{contents}}, nil
	})
}

// origin is a source of a Content-Security-Policy. A character more than these
// could end the directive in a host that pastes.
var origin = regexp.MustCompile(`^(https?|wss?)://((\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// doctype is how an HTML5 document begins.
var doctype = regexp.MustCompile(`(?i)^\s*<!doctype html[\s>]`)

func (a *App) check() error {
	if len(a.URI) == len(appScheme) || !strings.HasPrefix(a.URI, appScheme) {
		return fmt.Errorf("the URI must begin with %s, such as ui://weather/dashboard", appScheme)
	}
	if !utf8.ValidString(a.HTML) || !doctype.MatchString(a.HTML) {
		return errors.New("HTML must be a document in UTF-8 that begins with <!doctype html>")
	}
	for _, list := range [...][]string{a.CSP.Connect, a.CSP.Resource, a.CSP.Frame, a.CSP.BaseURI} {
		for _, o := range list {
			if !origin.MatchString(o) {
				return fmt.Errorf(`CSP: %q is no origin such as "https://api.example.com" or "https://*.example.com"`, o)
			}
		}
	}
	return nil
}

func (a *App) meta() Meta {
	ui := appMeta{Domain: a.Domain, PrefersBorder: a.PrefersBorder}
	if c := a.CSP; len(c.Connect)+len(c.Resource)+len(c.Frame)+len(c.BaseURI) > 0 {
		ui.CSP = &c
	}
	if p := a.Permissions; p != (AppPermissions{}) {
		ui.Permissions = &p
	}
	if ui == (appMeta{}) {
		return nil
	}
	return Meta{metaKeyUI: ui}
}

// isApp reports whether a resource is the page of an app.
func isApp(r *Resource) bool {
	return r.MIMEType == AppMIMEType && strings.HasPrefix(r.URI, appScheme)
}

// AppTool returns a copy of t whose results are shown in the app at uri:
//
//	mcp.AddTool(s, s.AppTool("ui://weather/dashboard", &mcp.Tool{Name: "weather"}), weather)
//
// Without visibility both the model and the app may call it. It panics when the
// server has no app at uri: "Resource MUST exist on the server", so add it
// first. Hosts without apps get the same result, so it must hold text that says
// all: "Tools MUST return meaningful content array even when UI is available".
// ClientCapabilities.SupportsApps tells handlers which host it is.
func (s *Server) AppTool(uri string, t *Tool, visibility ...AppVisibility) *Tool {
	r := s.snapshot().resources.byKey[uri]
	if r == nil || !isApp(r.resource) {
		panic(fmt.Sprintf("mcp: AppTool %q: the server has no app %q: add it before its tools", t.Name, uri))
	}
	ui := map[string]any{"resourceUri": uri}
	for _, v := range visibility {
		if v != VisibleToModel && v != VisibleToApp {
			panic(fmt.Sprintf("mcp: AppTool %q: the visibility %q is neither %q nor %q", t.Name, v, VisibleToModel, VisibleToApp))
		}
		ui["visibility"] = visibility
	}
	linked := *t
	linked.Meta = Meta{metaKeyUI: ui}
	for k, v := range t.Meta {
		if k != metaKeyUI {
			linked.Meta[k] = v
		}
	}
	return &linked
}

// SupportsApps reports whether the client shows apps of AppMIMEType. c may be
// nil.
func (c *ClientCapabilities) SupportsApps() bool {
	if c == nil {
		return false
	}
	settings, _ := c.Extensions[AppsExtension].(map[string]any)
	types, _ := settings["mimeTypes"].([]any)
	return slices.Contains(types, any(AppMIMEType))
}
