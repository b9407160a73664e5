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
	well.Path, well.RawPath = transport.MetadataPath+strings.TrimSuffix(u.Path, "/"), ""
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
//
// What a caller may not use, whatever its scopes, does not exist for it: package
// mcp, which hides it from lists too, answers as for any unknown name.
func (in *inbound) authorized(c *call) bool {
	y := in.gate.policy
	if in.gate.methodRules {
		if d := y.Decide(in.who, auth.Method, c.mcp.Method, false, false); !d.Allowed {
			in.forbid(c, auth.Method, c.mcp.Method, d.Missing)
			return false
		}
	}
	kind, raw, ok := used(c)
	if !ok {
		return true
	}
	var name string
	readOnly, destructive := false, false
	if kind == auth.Tool {
		name, readOnly, destructive = in.gate.mcp.Effects(raw)
	} else {
		name = string(raw)
	}
	d := y.Decide(in.who, kind, name, readOnly, destructive)
	if !d.Allowed && d.Missing != nil {
		in.forbid(c, kind, name, d.Missing)
		return false
	}
	c.mcp.Permitted = d.Allowed && kind == auth.Tool
	return true
}

// used is what a call is about, by its method and params; ok is false when that is
// the method alone.
func used(c *call) (kind auth.Kind, name []byte, ok bool) {
	var raw []byte
	switch c.mcp.Method {
	case methodCallTool:
		kind, raw = auth.Tool, c.mcp.Meta.Name()
	case "prompts/get":
		kind, raw = auth.Prompt, jsonrpc.Member(c.mcp.Params, "name")
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		kind, raw = auth.Resource, jsonrpc.Member(c.mcp.Params, "uri")
	case "completion/complete":
		ref := jsonrpc.Member(c.mcp.Params, "ref")
		if kind, raw = auth.Prompt, jsonrpc.Member(ref, "name"); raw == nil {
			kind, raw = auth.Resource, jsonrpc.Member(ref, "uri")
		}
	default:
		return 0, nil, false
	}
	name, _ = jsonrpc.UnquoteView(raw)
	return kind, name, true
}

// forbid answers that the caller may not use something; scopes, if not nil, are
// those that would change it. There is one complete challenge: "servers SHOULD
// include all scopes required for the current operation" (26:basic/authorization,
// Scope Challenge Handling).
func (in *inbound) forbid(c *call, kind auth.Kind, name string, scopes []string) {
	r := transport.Response{Status: 403}
	e := &jsonrpc.Error{Code: codeUnauthorized, Data: errorData{Type: "forbidden"}}
	what := kind.String() + " " + quote([]byte(name))
	if scopes == nil {
		e.Message = what + " is not allowed for this caller"
	} else {
		e.Message = what + " needs the scope " + strings.Join(scopes, " ")
		e.Data = errorData{Type: "insufficient_scope", Scopes: scopes}
		r.Challenge = in.gate.resource.challenge("insufficient_scope", scopes)
	}
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
	return s.Policy.Check()
}
