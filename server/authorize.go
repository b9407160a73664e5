package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// metadataPath is where the metadata of a protected resource is found (RFC 9728,
// section 3.1), alone or before the path of the resource.
const metadataPath = "/.well-known/oauth-protected-resource"

// protectedResource is what this server tells of its authorization: how to get a
// token for it.
type protectedResource struct {
	metadata    []byte   // JSON; nil when there is none
	metadataURL string   // where clients find it
	scopes      []string // to ask for
}

// newProtectedResource reads PublicURL, AuthorizationServers and Scopes.
func (s *Server) newProtectedResource() (r protectedResource, err error) {
	for _, scope := range s.Scopes {
		// "MUST NOT assume" more than is needed: neither a scope for everything nor
		// one that has nothing to do with this server.
		if scope == "offline_access" || strings.Contains(scope, "*") {
			return r, fmt.Errorf("scope %q: name the scopes that clients need here, no wildcard and not offline_access", scope)
		}
	}
	r.scopes = s.Scopes
	if s.PublicURL == "" {
		if len(s.AuthorizationServers) > 0 {
			return r, errors.New("AuthorizationServers need PublicURL (--public-url): clients ask for tokens for it")
		}
		return r, nil
	}
	u, err := url.Parse(s.PublicURL)
	switch {
	case err != nil:
		return r, fmt.Errorf("public URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return r, fmt.Errorf("public URL %q: want the URL of the endpoint as clients have it, such as https://mcp.example.com/mcp", s.PublicURL)
	}
	resource := canonicalResource(u)
	if len(s.AuthorizationServers) == 0 {
		return r, nil
	}
	well := *u
	well.Path, well.RawPath = metadataPath+strings.TrimSuffix(u.Path, "/"), ""
	r.metadataURL = well.String()
	r.metadata, err = json.Marshal(struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Methods  []string `json:"bearer_methods_supported"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Name     string   `json:"resource_name,omitempty"`
	}{resource, s.AuthorizationServers, []string{"header"}, s.Scopes, s.MCP.Implementation().Name})
	return r, err
}

// canonicalResource is the form "without the trailing slash for better
// interoperability" (26:basic/authorization, Canonical Server URI).
func canonicalResource(u *url.URL) string {
	c := *u
	c.Scheme, c.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return strings.TrimSuffix(c.String(), "/")
}

// challenge is the value of WWW-Authenticate (RFC 6750, section 3; RFC 9728,
// section 5.1). code is "" when there was no token at all.
func (r *protectedResource) challenge(code string, scopes []string) string {
	var params []string
	add := func(name, value string) {
		if value != "" {
			// Neither a URL nor a scope holds a quote or a backslash.
			params = append(params, name+`="`+value+`"`)
		}
	}
	add("error", code)
	add("scope", strings.Join(scopes, " "))
	add("resource_metadata", r.metadataURL)
	if len(params) == 0 {
		return "Bearer"
	}
	return "Bearer " + strings.Join(params, ", ")
}

// authorized asks the policy whether the caller may make the call, whatever its
// era and transport. It is false when the call has been refused.
func (in *inbound) authorized(c *call) bool {
	for _, use := range in.gate.uses(c) {
		d := in.gate.policy.Decide(in.who, use.kind, use.name, use.readOnly, use.destructive)
		switch {
		case d.Allowed:
		case d.Missing != nil:
			in.insufficient(c, use, d.Missing)
			return false
		case use.kind == auth.Method:
			in.refuseUse(c, use)
			return false
		default:
			// What a caller may not use does not exist for it: package mcp, which hides
			// it from lists too, answers as for any unknown name.
		}
	}
	return true
}

// use is one thing that a call wants to use.
type use struct {
	kind                  auth.Kind
	name                  string
	readOnly, destructive bool
}

// uses are the things that a call is about, by its method and params.
func (g *gate) uses(c *call) []use {
	name := func(kind auth.Kind, raw []byte) []use {
		s, _ := jsonrpc.Unquote(raw)
		return []use{{kind: kind, name: s}}
	}
	switch c.mcp.Method {
	case methodCallTool:
		u := name(auth.Tool, c.mcp.Meta.Name())
		u[0].readOnly, u[0].destructive = g.mcp.Effects(u[0].name)
		return u
	case "prompts/get":
		return name(auth.Prompt, jsonrpc.Member(c.mcp.Params, "name"))
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return name(auth.Resource, jsonrpc.Member(c.mcp.Params, "uri"))
	case "completion/complete":
		ref := jsonrpc.Member(c.mcp.Params, "ref")
		if n := jsonrpc.Member(ref, "name"); n != nil {
			return name(auth.Prompt, n)
		}
		return name(auth.Resource, jsonrpc.Member(ref, "uri"))
	}
	return []use{{kind: auth.Method, name: c.mcp.Method}}
}

// insufficient answers that more scopes are needed, with one complete challenge:
// "servers SHOULD include all scopes required for the current operation"
// (26:basic/authorization, Scope Challenge Handling).
func (in *inbound) insufficient(c *call, u use, scopes []string) {
	e := &jsonrpc.Error{
		Code:    codeUnauthorized,
		Message: fmt.Sprintf("%s %q needs the scope %s", u.kind, u.name, strings.Join(scopes, " ")),
		Data:    errorData{Type: "insufficient_scope", Scopes: scopes},
	}
	in.forbid(c, transport.Response{Status: 403, Challenge: in.gate.resource.challenge("insufficient_scope", scopes)}, e)
}

// refuseUse answers that no scope would help.
func (in *inbound) refuseUse(c *call, u use) {
	e := &jsonrpc.Error{
		Code: codeUnauthorized, Message: fmt.Sprintf("%s %q is not allowed for this caller", u.kind, u.name),
		Data: errorData{Type: "forbidden"},
	}
	in.forbid(c, transport.Response{Status: 403}, e)
}

func (in *inbound) forbid(c *call, r transport.Response, e *jsonrpc.Error) {
	if c.modern {
		e.Code = codeUnauthorizedModern
	}
	in.gate.counters.forbidden.Inc()
	c.reject(in, r, e)
}

// visible is the policy as package mcp asks for it: what may be listed, and used.
type visible struct{ policy *auth.Policy }

// May implements mcp.Guard.
func (v visible) May(p *auth.Principal, kind auth.Kind, name string, readOnly, destructive bool) bool {
	return v.policy.Decide(p, kind, name, readOnly, destructive).Allowed
}

var _ mcp.Guard = visible{}

// checkPolicy refuses authentication that authorizes nothing in particular: then
// "any authenticated user" could use any tool.
func (s *Server) checkPolicy() error {
	if s.Auth != nil && s.Policy == nil {
		return errors.New("authentication is on, and nothing says what its users may use: set Server.Policy, to auth.AllowAll() for everything (--allow 'tool:*')")
	}
	return nil
}
