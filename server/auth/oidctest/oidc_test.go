package oidctest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"millrace/server"
	"millrace/server/auth"
	"millrace/server/mcp"
)

const resource = "https://mcp.example.com/mcp"

// token asks the provider's token endpoint.
func (p *provider) token(t *testing.T, form url.Values, id, password string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if password != "" {
		req.SetBasicAuth(id, password)
	}
	res, err := p.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &got); err != nil || got.AccessToken == "" {
		t.Fatalf("token endpoint: %d %s", res.StatusCode, body)
	}
	return got.AccessToken
}

// machine gets a token by client credentials.
func (p *provider) machine(t *testing.T, scope string) string {
	t.Helper()
	return p.token(t, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, machineID, "verysecret")
}

// person gets a token by code and PKCE: the login page, its form, the redirect.
func (p *provider) person(t *testing.T, scope string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var last *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if last = req.URL; req.URL.Scheme == "custom" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	open := func(res *http.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	open(browser.Get(p.URL + "/auth?" + url.Values{
		"client_id": {nativeID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid " + scope}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "resource": {resource},
	}.Encode()))
	open(browser.PostForm(p.URL+"/login/username", url.Values{
		"id": {last.Query().Get("authRequestID")}, "username": {"test-user2"}, "password": {"verysecure"},
	}))
	code := last.Query().Get("code")
	if code == "" {
		t.Fatalf("no code: the browser is at %s", last)
	}
	return p.token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "client_id": {nativeID}, "code_verifier": {verifier},
	}, nativeID, "")
}

type echoArgs struct {
	Text string `json:"text"`
}

// serve runs a server that trusts p; calls of echo need the scope "write".
func (p *provider) serve(t *testing.T) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	jwt, err := auth.NewJWT(auth.JWTConfig{Issuers: []auth.Issuer{{URL: p.URL}}, Audience: []string{resource}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	opaque, err := auth.NewIntrospection(auth.IntrospectionConfig{
		Issuer: p.URL, ClientID: serverID, ClientSecret: secret, Audience: []string{resource},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "guarded", Version: "1"}, &mcp.ServerOptions{Logger: log})
	mcp.AddTool(s, &mcp.Tool{Name: "echo"}, func(_ context.Context, req *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text + " " + req.Extra.Principal.ID}}}, nil, nil
	})
	rule, err := auth.ParseRule("tool:echo needs write")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	srv := &server.Server{
		MCP: s, Addr: "127.0.0.1:0", Logger: log, Loops: 1, Auth: auth.NewBearer(jwt, opaque), Policy: &auth.Policy{Allow: []auth.Rule{rule}},
		PublicURL: resource, AuthorizationServers: []string{p.URL}, Hooks: server.Hooks{Started: func(server.Info) { close(started) }},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	select {
	case <-started:
	case err := <-done:
		done <- err
		t.Fatal(err)
	}
	return srv.Endpoints()[0]
}

// call calls echo and returns the status, the challenge and the body.
func call(t *testing.T, endpoint, token string) (status int, challenge, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"},"_meta":{`+
			`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + token,
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo",
	} {
		req.Header.Set(k, v)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("WWW-Authenticate"), string(b)
}

// TestProvider: tokens of a real provider, signed and opaque, for people and for
// machines.
func TestProvider(t *testing.T) {
	p := newProvider(t)
	endpoint := p.serve(t)
	for _, opaque := range []bool{false, true} {
		t.Run(fmt.Sprintf("opaque=%v", opaque), func(t *testing.T) {
			check := func(name, token string, status int, want string) {
				t.Helper()
				if opaque == (strings.Count(token, ".") == 2) {
					t.Fatalf("%s: the token has another form: %s", name, token)
				}
				got, challenge, body := call(t, endpoint, token)
				if got != status || !strings.Contains(body+challenge, want) {
					t.Errorf("%s: %d %q %s, want %d and %q", name, got, challenge, body, status, want)
				}
			}
			p.set(func() { p.opaque, p.audience, p.lifetime = opaque, []string{resource}, time.Hour })
			check("person", p.person(t, "write"), 200, "hi "+p.URL+"#id2")
			check("machine", p.machine(t, "write"), 200, "hi "+p.URL+"#"+machineID)
			check("without the scope", p.machine(t, "read"), 403, `error="insufficient_scope", scope="write"`)
			p.set(func() { p.audience = []string{"https://other.example.com"} })
			check("for another server", p.machine(t, "write"), 401, `error="invalid_token"`)
			p.set(func() { p.audience, p.lifetime = []string{resource}, -2*time.Minute })
			check("expired", p.machine(t, "write"), 401, `error="invalid_token"`)
		})
	}
}

// TestProviderRevokes: the answer of introspection counts, within the time that it
// is remembered.
func TestProviderRevokes(t *testing.T) {
	p := newProvider(t)
	p.set(func() { p.opaque, p.audience = true, []string{resource} })
	endpoint := p.serve(t)
	token := p.machine(t, "write")
	p.set(func() {
		for _, tok := range p.issued {
			tok.revoked = true
		}
	})
	if status, _, body := call(t, endpoint, token); status != 401 {
		t.Errorf("a revoked token: %d %s", status, body)
	}
	if status, _, body := call(t, endpoint, p.machine(t, "write")); status != 200 {
		t.Errorf("a new token: %d %s", status, body)
	}
}

// TestProviderRotates: a new key is found when the first token names it.
func TestProviderRotates(t *testing.T) {
	p := newProvider(t)
	p.set(func() { p.audience = []string{resource} })
	two := newKey(t, "two")
	endpoint := p.serve(t)
	p.set(func() { p.keys = []*signingKey{two, p.keys[0]} })
	if status, _, body := call(t, endpoint, p.machine(t, "write")); status != 200 {
		t.Errorf("the first token is signed by the new key: %d %s", status, body)
	}
	p.set(func() { p.keys = p.keys[1:] })
	if status, _, body := call(t, endpoint, p.machine(t, "write")); status != 200 {
		t.Errorf("the old key, which is still published: %d %s", status, body)
	}
}
