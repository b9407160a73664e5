package server

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/mcp"
)

// tokens is a Verifier of a few tokens.
type tokens map[string]*auth.Principal

func (v tokens) Verify(_ context.Context, token string) (*auth.Principal, error) {
	if p := v[token]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: it is not for this server", auth.ErrInvalidToken)
}

func parsedRules(t *testing.T, texts ...string) (list []auth.Rule) {
	t.Helper()
	for _, s := range texts {
		r, err := auth.ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// guarded is a server where everything needs the scope "write".
func guarded(t *testing.T) *Server {
	tl := newTools()
	tl.mcp.AddResource(&mcp.Resource{URI: "test://r", Name: "r"}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "secret"}}}, nil
	})
	tl.mcp.AddPrompt(&mcp.Prompt{Name: "p"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Description: "secret"}, nil
	})
	return &Server{
		MCP:    tl.mcp,
		Auth:   auth.NewBearer(tokens{"low": {ID: "ann", Scopes: []string{"read"}}, "right": {ID: "bob", Scopes: []string{"admin"}}}),
		Policy: &auth.Policy{Allow: parsedRules(t, "tool:* needs write", "resource:* needs write", "prompt:* needs write", "method:tasks/* needs write"), Implies: map[string][]string{"admin": {"write"}}},

		PublicURL: "https://mcp.example.com/mcp", AuthorizationServers: []string{"https://as.example.com"}, Scopes: []string{"read"},
		LegacySSE: true,
	}
}

// attempt is one use of the server, and what shows that it was let in.
type attempt struct {
	kind, method, params, name, secret string
}

var attempts = []attempt{
	{"tool", "tools/call", `"name":"echo","arguments":{"text":"secret"}`, "echo", "secret"},
	{"inline tool", "tools/call", `"name":"now","arguments":{"text":"secret"}`, "now", "secret"},
	{"resource", "resources/read", `"uri":"test://r"`, "test://r", "secret"},
	{"prompt", "prompts/get", `"name":"p"`, "p", "secret"},
	{"task", "tasks/get", `"taskId":"nobody's"`, "nobody's", "-32"}, // past the gate it is as unknown as any
	{"tools", "tools/list", "", "", `"name":"echo"`},
	{"resources", "resources/list", "", "", "test://r"},
	{"prompts", "prompts/list", "", "", `"name":"p"`},
}

// checkAttempts makes every attempt with the scope that it takes, or with less. It
// returns how many there were.
func checkAttempts(t *testing.T, right bool, w *wire) int {
	t.Helper()
	for i, a := range attempts {
		status, messages := w.call(fmt.Sprint(1000+i), a.method, a.params, "", a.name)
		got := messages[len(messages)-1]
		list := strings.HasSuffix(a.method, "/list")
		switch refused := strings.Contains(got, `"insufficient_scope","scopes":["write"]`); {
		case right && (refused || !strings.Contains(got, a.secret)):
			t.Errorf("%s: refused: %d %s", a.kind, status, got)
		case !right && list && (refused || strings.Contains(got, a.secret) || !strings.Contains(got, `"result"`)):
			t.Errorf("%s: the list shows what cannot be used: %d %s", a.kind, status, got)
		case !right && !list && (!refused || strings.Contains(got, "secret") || status != 0 && status != 403):
			t.Errorf("%s: let in: %d %s", a.kind, status, got)
		}
	}
	return len(attempts)
}

// TestAuthorizationMatrix: every revision on every transport is held to the same
// gate (mcp-toolbox, CVE-2026-11719, was held to it in the newest revision only).
func TestAuthorizationMatrix(t *testing.T) {
	count := 0
	check := func(t *testing.T, token string, w *wire) { count += checkAttempts(t, token == "right", w) }
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		for _, token := range []string{"", "wrong audience", "low", "right"} {
			field := "Authorization: Bearer " + strings.ReplaceAll(token, " ", "-")
			if token == "" {
				field = "X-None: 1"
			}
			good := token == "low" || token == "right"
			t.Run(version+"/"+token, func(t *testing.T) {
				r := serve(t, guarded(t))
				if !good {
					count += len(attempts) + 2 // a WebSocket and HTTP+SSE are refused whole
					refusedAtTheDoor(t, r, version, field)
					return
				}
				w := authorizedHTTPWire(r, version, field)
				check(t, token, w)
				check(t, token, peerWire(t, "websocket", r.dial(field), nil, version))
				if version != mcp.Version20260728 {
					check(t, token, authorizedSSEWire(t, r.sse(field), version))
				}
			})
		}
		t.Run(version+"/stdio", func(t *testing.T) {
			check(t, "right", peerWire(t, "stdio", serveStdio(t, guarded(t)), nil, version)) // the user's own process
		})
	}
	t.Logf("%d combinations of revision, transport, credential and use", count)
}

// authorizedHTTPWire is httpWire with a credential.
func authorizedHTTPWire(r *runningServer, version, field string) *wire {
	w := &wire{name: "http", version: version}
	fields := []string{field}
	if !w.modern() {
		fields = append(fields, "Mcp-Session-Id: "+r.initialize(version, field))
	}
	w.call = func(id, method, params, meta, name string) (int, []string) {
		all := slices.Clone(fields)
		if w.modern() {
			all = append(all, modernFields(method, name)...)
		}
		rep := r.do("POST", w.message(id, method, params, meta), all...)
		return rep.status, rep.messages
	}
	return w
}

// authorizedSSEWire is peerWire for HTTP+SSE, where a POST may be refused itself.
func authorizedSSEWire(t *testing.T, p *ssePeer, version string) *wire {
	w := peerWire(t, "sse", p, nil, version)
	w.call = func(id, method, params, meta, _ string) (int, []string) {
		if rep := p.try(w.message(id, method, params, meta), p.fields...); rep.status != 202 {
			return rep.status, rep.messages
		}
		return 0, []string{mustRead(t, p)}
	}
	return w
}

// refusedAtTheDoor tries everything with a credential that does not hold.
func refusedAtTheDoor(t *testing.T, r *runningServer, version, field string) {
	w := &wire{version: version}
	for i, a := range attempts {
		fields := []string{field}
		if w.modern() {
			fields = append(fields, modernFields(a.method, a.name)...)
		}
		rep := r.do("POST", w.message(fmt.Sprint(i), a.method, a.params, ""), fields...)
		challenge := rep.header.Get("WWW-Authenticate")
		if rep.status != 401 || strings.Contains(rep.body(), "secret") || !strings.Contains(challenge, `resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"`) ||
			!strings.Contains(challenge, `scope="read"`) || strings.Contains(challenge, "invalid_token") == strings.HasPrefix(field, "X-") {
			t.Errorf("%s: %d %q %s", a.kind, rep.status, challenge, rep.body())
		}
	}
	if _, resp, err := r.upgrade(field); err != errUpgrade || resp.StatusCode != 401 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), "resource_metadata") {
		t.Errorf("upgrade: %v %v", resp, err)
	}
	if p, status := r.trySSE(field); p != nil || status != 401 {
		t.Errorf("GET /sse: %d", status)
	}
}

// TestProtectedResourceMetadata is found at both places, by everybody.
func TestProtectedResourceMetadata(t *testing.T) {
	r := serve(t, guarded(t))
	base := "http://" + r.Addrs()[0]
	want := `{"resource":"https://mcp.example.com/mcp","authorization_servers":["https://as.example.com"],"bearer_methods_supported":["header"],"scopes_supported":["read"],"resource_name":"test"}`
	for path, status := range map[string]int{
		"/.well-known/oauth-protected-resource": 200, "/.well-known/oauth-protected-resource/mcp": 200,
		"/.well-known/oauth-protected-resourcex": 404, "/.well-known/oauth-authorization-server": 404,
	} {
		r.url = base + path
		rep := r.do("GET", "")
		if rep.status != status || status == 200 && rep.body() != want {
			t.Errorf("%s: %d %s", path, rep.status, rep.body())
		}
	}
	r.url = base + "/.well-known/oauth-protected-resource"
	if rep := r.do("POST", "{}"); rep.status != 405 || rep.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST: %d %v", rep.status, rep.header)
	}
	if rep := r.do("GET", "", "Origin: https://evil.example.com"); rep.status != 403 {
		t.Errorf("from a page of another site: %d", rep.status)
	}
	plain := serve(t, &Server{MCP: newTools().mcp})
	plain.url = "http://" + plain.Addrs()[0] + "/.well-known/oauth-protected-resource"
	if rep := plain.do("GET", ""); rep.status != 404 {
		t.Errorf("without authorization servers: %d", rep.status)
	}
}

// TestAuthorizationConfig: what would let in more than was meant does not start.
func TestAuthorizationConfig(t *testing.T) {
	bearer := auth.NewBearer(tokens{})
	for name, s := range map[string]*Server{
		"no policy":         {Auth: bearer},
		"no public URL":     {AuthorizationServers: []string{"https://as.example.com"}},
		"public URL":        {PublicURL: "mcp.example.com"},
		"query":             {PublicURL: "https://mcp.example.com/mcp?x"},
		"password":          {PublicURL: "https://a:b@mcp.example.com/mcp"},
		"scope of all":      {Scopes: []string{"*"}},
		"refreshing tokens": {Scopes: []string{"offline_access"}},
	} {
		s.MCP, s.Addr, s.Logger = newTools().mcp, "127.0.0.1:0", quiet
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := s.Run(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// TestMalformedCredential is the client's mistake: 400 (RFC 6750, section 3.1).
func TestMalformedCredential(t *testing.T) {
	r := serve(t, guarded(t))
	rep := r.do("POST", listMessage, "Authorization: Bearer a b")
	if rep.status != 400 || !strings.Contains(rep.header.Get("WWW-Authenticate"), `error="invalid_request"`) {
		t.Errorf("%d %v %s", rep.status, rep.header, rep.body())
	}
	if rep := r.do("POST", listMessage, "X-None: 1"); strings.Contains(rep.header.Get("WWW-Authenticate"), "error=") {
		t.Errorf("without a credential the challenge has an error: %v", rep.header)
	}
	r.url = r.Endpoints()[0] + "?access_token=right"
	if rep := r.do("POST", listMessage); rep.status != 401 {
		t.Errorf("a token in the URL: %d", rep.status)
	}
}

// expiring lets a token in for a while, and takes it back when it is told to.
type expiring struct {
	*auth.Bearer
	revoked chan struct{}
}

func (e expiring) Revoked(*auth.Principal) bool {
	select {
	case <-e.revoked:
		return true
	default:
		return false
	}
}

// drained reads a stream to its end.
func drained(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// TestAuthorizationEnds: what was opened with a token goes when the token does,
// and when it is revoked.
func TestAuthorizationEnds(t *testing.T) {
	for _, how := range []string{"expiry", "revocation"} {
		t.Run(how, func(t *testing.T) {
			who := &auth.Principal{ID: "ann"}
			if how == "expiry" {
				who.Expires = time.Now().Add(2 * time.Second)
			}
			a := expiring{auth.NewBearer(tokens{"tok": who}), make(chan struct{})}
			s := guarded(t)
			s.Auth, s.Policy = a, auth.AllowAll()
			r := serve(t, s)
			field := "Authorization: Bearer tok"
			ws := r.dial(field)
			handshake(t, ws, mcp.Version20251125)
			sse := r.sse(field)
			listening, err := r.open(t.Context(), "POST", `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`,
				append(modernFields("subscriptions/listen", ""), field)...)
			if err != nil || listening.StatusCode != 200 {
				t.Fatal(listening, err)
			}
			defer listening.Body.Close()
			session := "Mcp-Session-Id: " + r.initialize(mcp.Version20251125, field)
			get, err := r.open(t.Context(), "GET", "", session, field)
			if err != nil || get.StatusCode != 200 {
				t.Fatal(get, err)
			}
			defer get.Body.Close()
			if how == "revocation" {
				close(a.revoked)
			}
			if _, err := ws.read(); err != closeError(closeUnauthorized) {
				t.Errorf("the WebSocket: %v", err)
			}
			for _, err := range []error{drained(listening.Body), drained(get.Body)} {
				if err != nil {
					t.Errorf("an event stream: %v", err)
				}
			}
			if _, err := sse.read(); err == nil {
				t.Error("the stream of HTTP+SSE goes on")
			}
		})
	}
}
