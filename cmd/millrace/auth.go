package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"millrace/server"
	"millrace/server/auth"
	"millrace/server/reload"
)

// authFlags say who may come in, and what for.
type authFlags struct {
	PublicURL    string   `name:"public-url" placeholder:"URL" help:"URL of the endpoint as clients have it, such as https://mcp.example.com/mcp; what tokens must be for."`
	AuthIssuer   []string `placeholder:"URL" help:"Authorization server whose access tokens are accepted (repeatable)."`
	AuthJWKS     string   `name:"auth-jwks" placeholder:"URL" help:"Key set of the only issuer. Default: what its metadata says."`
	AuthAudience []string `placeholder:"AUD" help:"What tokens must be for. Default: the public URL."`
	AuthScopes   []string `placeholder:"SCOPE" help:"Scopes that clients are told to ask for at first."`

	IntrospectClientID   string `name:"introspect-client-id" placeholder:"ID" help:"Ask the only issuer about tokens that are no JWT (RFC 7662), as this client."`
	IntrospectSecretFile string `name:"introspect-secret-file" placeholder:"FILE" help:"File with the secret of that client."`
	IntrospectURL        string `name:"introspect-url" placeholder:"URL" help:"Introspection endpoint. Default: what the metadata of the issuer says."`

	APIKeys *string `name:"api-keys" placeholder:"FILE" help:"File of API keys, one on a line, as millrace key new makes them. It is read again when it changes."`

	Allow         []string `sep:";" placeholder:"RULE" help:"What callers may use (repeatable): KIND:PATTERN [needs SCOPE,...] [for PRINCIPAL,...], with KIND one of tool, prompt, resource, method. With authentication nothing is allowed that no rule allows."`
	Deny          []string `sep:";" placeholder:"RULE" help:"What callers may not use, whatever is allowed (repeatable)."`
	Implies       []string `sep:";" placeholder:"SCOPE=SCOPE,..." help:"Scopes that a scope includes (repeatable)."`
	ReadOnly      bool     `help:"Serve only tools that their author calls read-only."`
	NoDestructive bool     `help:"Do not serve tools that may destroy something, by what their author says."`

	certificates bool // clients are known by their certificates, too
}

// apply adds what the flags say to srv. sources are the files with who may come in.
func (f *authFlags) apply(srv *server.Server, t *tlsFlags, log logger) (sources []reload.Source, err error) {
	f.certificates = t.TLSClientCA != ""
	if srv.Policy, err = f.policy(); err != nil {
		return nil, usageError{err}
	}
	if err := f.unused(); err != nil || !f.authenticates() {
		return nil, err
	}
	if srv.PublicURL = f.PublicURL; f.PublicURL != "" {
		srv.AuthorizationServers, srv.Scopes = f.AuthIssuer, f.AuthScopes
	}
	if srv.Policy == nil {
		return nil, usageError{errors.New("authentication is on, and no --allow says what its users may use: --allow 'tool:*' allows all tools")}
	}
	var verifiers []auth.Verifier
	if f.APIKeys != nil {
		keys, err := auth.LoadKeys(*f.APIKeys)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, keys)
		sources = append(sources, reload.Source{Name: "API keys", Reload: keys.Reload})
	}
	if len(f.AuthIssuer) > 0 {
		more, err := f.tokens(log)
		if err != nil {
			return nil, usageError{err}
		}
		verifiers = append(verifiers, more...)
	}
	if len(verifiers) > 0 {
		srv.Auth = auth.NewBearer(verifiers...)
	}
	if !f.certificates {
		return sources, nil
	}
	if t.TLSClientNames == "" {
		srv.Auth = auth.NewCertificates(srv.Auth)
		return sources, nil
	}
	named, err := auth.LoadCertificates(t.TLSClientNames, srv.Auth)
	if err != nil {
		return nil, err
	}
	srv.Auth = named
	return append(sources, reload.Source{Name: "names of certificates", Reload: named.Reload}), nil
}

// authenticates reports whether callers are asked who they are.
func (f *authFlags) authenticates() bool {
	return len(f.AuthIssuer) > 0 || f.APIKeys != nil || f.certificates
}

// unused finds flags that mean nothing without another. A variable that is set and
// empty is such a flag too.
func (f *authFlags) unused() error {
	if v, set := os.LookupEnv("MILLRACE_AUTH_ISSUER"); set && v == "" {
		return usageError{errors.New("MILLRACE_AUTH_ISSUER is set, and empty: nobody would be asked who he is; unset it if that is meant")}
	}
	issuer, client, public := len(f.AuthIssuer) > 0, f.IntrospectClientID != "", f.PublicURL != ""
	return unmet([]need{
		{"public-url", public, f.authenticates(), "authentication: --api-keys, --auth-issuer or --tls-client-ca"},
		{"implies", len(f.Implies) > 0, f.authenticates(), "authentication: --api-keys, --auth-issuer or --tls-client-ca"},
		{"auth-jwks", f.AuthJWKS != "", issuer, "--auth-issuer"},
		{"auth-audience", len(f.AuthAudience) > 0, issuer, "--auth-issuer"},
		{"auth-scopes", len(f.AuthScopes) > 0, public, "--public-url"},
		{"introspect-client-id", client, issuer, "--auth-issuer"},
		{"introspect-url", f.IntrospectURL != "", client, "--introspect-client-id"},
		{"introspect-secret-file", f.IntrospectSecretFile != "", client, "--introspect-client-id"},
	})
}

// tokens are the verifiers of what issuers give out.
func (f *authFlags) tokens(log logger) ([]auth.Verifier, error) {
	audience := f.AuthAudience
	if len(audience) == 0 && f.PublicURL != "" {
		audience = []string{strings.TrimSuffix(f.PublicURL, "/")} // as clients are told it
	}
	if len(audience) == 0 {
		return nil, errors.New("--auth-issuer needs --public-url (or --auth-audience): tokens for other servers must not pass")
	}
	if len(f.AuthIssuer) > 1 && (f.AuthJWKS != "" || f.IntrospectClientID != "") {
		return nil, errors.New("--auth-jwks and --introspect-client-id are for one --auth-issuer")
	}
	cfg := auth.JWTConfig{Audience: audience, Logger: log}
	for _, url := range f.AuthIssuer {
		cfg.Issuers = append(cfg.Issuers, auth.Issuer{URL: url, JWKS: f.AuthJWKS})
	}
	jwt, err := auth.NewJWT(cfg)
	if err != nil {
		return nil, err
	}
	verifiers := []auth.Verifier{jwt}
	if f.IntrospectClientID == "" {
		return verifiers, nil
	}
	secret := ""
	if f.IntrospectSecretFile != "" {
		b, err := os.ReadFile(f.IntrospectSecretFile)
		if err != nil {
			return nil, err
		}
		secret = strings.TrimSpace(string(b))
	}
	opaque, err := auth.NewIntrospection(auth.IntrospectionConfig{
		Issuer: f.AuthIssuer[0], URL: f.IntrospectURL, ClientID: f.IntrospectClientID, ClientSecret: secret, Audience: audience,
	})
	if err != nil {
		return nil, err
	}
	return append(verifiers, opaque), nil
}

// policy reads the rules; nil when there are none.
func (f *authFlags) policy() (*auth.Policy, error) {
	if len(f.Allow) == 0 && len(f.Deny) == 0 && !f.ReadOnly && !f.NoDestructive {
		return nil, nil
	}
	p := &auth.Policy{ReadOnly: f.ReadOnly, NoDestructive: f.NoDestructive}
	for _, list := range []struct {
		flag  string
		texts []string
		rules *[]auth.Rule
	}{{"allow", f.Allow, &p.Allow}, {"deny", f.Deny, &p.Deny}} {
		for _, text := range list.texts {
			r, err := auth.ParseRule(text)
			if err != nil {
				return nil, fmt.Errorf("--%s: %w", list.flag, err)
			}
			if !f.authenticates() && (len(r.Scopes) > 0 || len(r.Principals) > 0) {
				return nil, fmt.Errorf("--%s %q: without authentication (--api-keys, --auth-issuer, --tls-client-ca) nobody has a scope or a name", list.flag, text)
			}
			*list.rules = append(*list.rules, r)
		}
	}
	if len(f.Allow) == 0 && !f.authenticates() {
		p.Allow = auth.AllowAll().Allow // nobody is asked who he is: the other flags only take away
	}
	for _, text := range f.Implies {
		scope, list, ok := strings.Cut(text, "=")
		if !ok || scope == "" || list == "" {
			return nil, fmt.Errorf("--implies: %q: want SCOPE=SCOPE,...", text)
		}
		if p.Implies == nil {
			p.Implies = map[string][]string{}
		}
		p.Implies[scope] = append(p.Implies[scope], strings.Split(list, ",")...)
	}
	return p, p.Check()
}

// describe says who may come in, for people.
func (f *authFlags) describe(t *tlsFlags) string {
	var ways []string
	if f.certificates {
		ways = append(ways, "certificates of "+t.TLSClientCA)
	}
	if f.APIKeys != nil {
		ways = append(ways, "API keys of "+*f.APIKeys)
	}
	for _, url := range f.AuthIssuer {
		ways = append(ways, "tokens of "+url)
	}
	if len(ways) == 0 {
		return "everybody who can connect, without authentication"
	}
	return strings.Join(ways, ", ")
}
