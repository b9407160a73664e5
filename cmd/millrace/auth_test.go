package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAPIKey makes a key, gets in with it, and is shut out when it is taken away.
func TestAPIKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	code, key, stderr := program(t, "", "key", "new", "--file", file, "--name", "ci", "--scope", "read", "--expires", "2099-12-31")
	key = strings.TrimSpace(key)
	if code != exitOK || !strings.HasPrefix(key, "mrk_") || strings.Contains(stderr, key) || !strings.Contains(stderr, "ci sha256:") {
		t.Fatalf("exit code %d: %q, %s", code, key, stderr)
	}
	if b, err := os.ReadFile(file); err != nil || strings.Contains(string(b), key[4:]) || !strings.HasSuffix(string(b), " scope=read expires=2100-01-01T00:00:00Z\n") {
		t.Errorf("the file holds %q, %v", b, err)
	}
	d := startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=", "--api-keys="+file, "--allow=tool:echo needs read; tool:add needs write", "--log-level=debug")
	url := d.errs.find(t, `endpoint +(http://\S+)`)
	status := func(tool string) int {
		req := newCall(t, url, tool, `{"text":"hi","a":1,"b":2}`)
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if n := status("echo"); n != 200 {
		t.Errorf("an allowed tool: %d", n)
	}
	if n := status("add"); n != 403 {
		t.Errorf("a tool that needs another scope: %d", n)
	}
	if err := os.WriteFile(file, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.errs.find(t, `(has been read again).*API keys`)
	if n := status("echo"); n != 401 {
		t.Errorf("a key that was taken out: %d", n)
	}
	if strings.Contains(d.errs.String(), key) {
		t.Error("the key is in the log")
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestKeyNewErrors(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if code, _, stderr := program(t, "", "key", "new", "--file", good, "--name", "ci"); code != exitOK {
		t.Fatal(stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad"), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no file":    {[]string{"--name", "a"}, exitUsage, "--file"},
		"no name":    {[]string{"--file", good}, exitUsage, "--name"},
		"bad name":   {[]string{"--file", good, "--name", "a b"}, exitUsage, "letters"},
		"bad scope":  {[]string{"--file", good, "--name", "a", "--scope", `"`}, exitUsage, "scope"},
		"bad expiry": {[]string{"--file", good, "--name", "a", "--expires", "soon"}, exitUsage, "2027-01-31"},
		"over":       {[]string{"--file", good, "--name", "a", "--expires", "2020-01-01"}, exitUsage, "over"},
		"same name":  {[]string{"--file", good, "--name", "ci"}, exitFailure, "before"},
		"other file": {[]string{"--file", filepath.Join(dir, "bad"), "--name", "a"}, exitFailure, "line 1"},
		"no folder":  {[]string{"--file", filepath.Join(dir, "none", "keys"), "--name", "a"}, exitFailure, "none"},
	} {
		code, stdout, stderr := program(t, "", append([]string{"key", "new"}, tt.args...)...)
		if code != tt.code || stdout != "" || !strings.Contains(lastLine(stderr), tt.want) {
			t.Errorf("%s: exit code %d, %q, %q; want %d and %q", name, code, stdout, lastLine(stderr), tt.code, tt.want)
		}
	}
	if b, err := os.ReadFile(good); err != nil || strings.Count(string(b), "\n") != 1 {
		t.Errorf("the file has become %q, %v", b, err)
	}
}

func TestAuthFlags(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	issuer, public := "--auth-issuer=https://as.example.com", "--public-url=https://mcp.example.com/mcp"
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing allowed":        {[]string{"--api-keys=" + keys}, exitUsage, "--allow"},
		"no public URL":          {[]string{issuer, "--allow=tool:*"}, exitUsage, "--public-url"},
		"plain issuer":           {[]string{"--auth-issuer=http://as.example.com", public, "--allow=tool:*"}, exitUsage, "https"},
		"key set for two":        {[]string{issuer, "--auth-issuer=https://b.example.com", "--auth-jwks=https://as.example.com/jwks", public, "--allow=tool:*"}, exitUsage, "one --auth-issuer"},
		"key set of none":        {[]string{"--auth-jwks=https://as.example.com/jwks"}, exitUsage, "--auth-issuer"},
		"audience of none":       {[]string{"--auth-audience=x"}, exitUsage, "--auth-issuer"},
		"introspection of none":  {[]string{"--introspect-client-id=us"}, exitUsage, "--auth-issuer"},
		"secret file":            {[]string{issuer, public, "--allow=tool:*", "--introspect-client-id=us", "--introspect-secret-file=/none"}, exitUsage, "/none"},
		"introspection endpoint": {[]string{issuer, public, "--allow=tool:*", "--introspect-client-id=us", "--introspect-url=http://as.example.com"}, exitUsage, "https"},
		"bad rule":               {[]string{"--allow=echo"}, exitUsage, "tool:"},
		"bad denial":             {[]string{"--deny=tool:"}, exitUsage, "--deny"},
		"bad implication":        {[]string{"--api-keys=" + keys, "--allow=tool:*", "--implies=a"}, exitUsage, "--implies"},
		"implication of nobody":  {[]string{"--read-only", "--implies=a=b"}, exitUsage, "--implies"},
		"public URL of nobody":   {[]string{"--public-url=https://mcp.example.com/mcp"}, exitUsage, "--public-url"},
		"scopes of nobody":       {[]string{"--allow=tool:* needs a"}, exitUsage, "without authentication"},
		"denied by scope":        {[]string{"--api-keys=" + keys, "--allow=tool:*", "--deny=tool:a needs b"}, exitUsage, "let in"},
		"empty key file":         {[]string{"--api-keys=", "--allow=tool:*"}, exitFailure, "API keys"},
		"empty issuer":           {[]string{"--auth-issuer=", public, "--allow=tool:*"}, exitUsage, ""},
		"no key file":            {[]string{"--api-keys=/none/keys", "--allow=tool:*"}, exitFailure, "/none/keys"},
		"scope":                  {[]string{issuer, public, "--allow=tool:*", "--auth-scopes=*"}, exitFailure, "wildcard"},
		"open bind":              {[]string{"--read-only", "--listen=0.0.0.0:0"}, exitFailure, "--insecure"},
	} {
		args := append([]string{"serve", "--admin="}, tt.args...)
		if name != "open bind" {
			args = append(args, "--listen=127.0.0.1:0")
		}
		code, _, stderr := program(t, "", args...)
		if code != tt.code || !strings.Contains(lastLine(stderr), tt.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", name, code, lastLine(stderr), tt.code, tt.want)
		}
	}
}

// A variable that should have held the name of a file, and is empty, is no reason
// to ask nobody.
func TestEmptyVariable(t *testing.T) {
	for name, want := range map[string]string{"MILLRACE_API_KEYS": "API keys", "MILLRACE_AUTH_ISSUER": "empty"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "")
			code, _, stderr := program(t, "", "serve", "--admin=", "--listen=127.0.0.1:0", "--allow=tool:*")
			if code == exitOK || !strings.Contains(lastLine(stderr), want) {
				t.Errorf("exit code %d, %q, want %q", code, lastLine(stderr), want)
			}
		})
	}
}

// With authentication other machines may be served; --deny alone needs none, and
// leaves everything else.
func TestAuthStarts(t *testing.T) {
	for _, args := range [][]string{
		{"--listen=0.0.0.0:0", "--auth-issuer=https://as.example.com", "--public-url=https://mcp.example.com/mcp", "--allow=tool:*",
			"--introspect-client-id=us", "--implies=admin=read,write"},
		{"--listen=127.0.0.1:0", "--deny=tool:sleep", "--demo"},
	} {
		d := startDaemon(t, append(args, "--admin=")...)
		url := d.errs.find(t, `endpoint +(http://\S+)`)
		got := post(t, url, "tools/list", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)
		want := `"code":-31001`
		if len(args) == 3 {
			want = `"tools":[`
		}
		if !strings.Contains(got, want) || len(args) == 3 && strings.Contains(got, "sleep") {
			t.Errorf("%q: %s", args, got)
		}
		d.stop()
		if code := d.wait(t); code != exitOK {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}

// TestTokenCanary: whatever a credential is put into, it is in no log, statistic,
// answer or crash.
func TestTokenCanary(t *testing.T) {
	const canary = "CaNaRy0123456789abcdef"
	file := filepath.Join(t.TempDir(), "keys")
	if code, _, stderr := program(t, "", "key", "new", "--file", file, "--name", "ci"); code != exitOK {
		t.Fatal(stderr)
	}
	d := startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--api-keys="+file, "--allow=tool:*", "--log-level=debug",
		"--auth-issuer=http://127.0.0.1:1", "--public-url=http://127.0.0.1/mcp", "--introspect-client-id=us", "--legacy-sse")
	url := d.errs.find(t, `endpoint +(http://\S+)`)
	admin := d.errs.find(t, `admin +http://(\S+)/stats`)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var seen strings.Builder
	ask := func(method, url string, fields ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			req.Header.Add(name, value)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := res.Header.Write(&seen); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&seen, res.Body); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode/100 == 2 {
			t.Errorf("%s with %q: %d", url, fields, res.StatusCode)
		}
	}
	jwt := "eyJhbGciOiJFUzI1NiJ9." + canary + "." + canary
	for _, token := range []string{canary, "mrk_" + canary, jwt, canary + " " + canary, canary + "\"", canary + "=x"} {
		for _, scheme := range []string{"Bearer ", "bearer  ", "Basic ", ""} {
			ask("POST", url, "Authorization: "+scheme+token)
		}
		ask("GET", strings.TrimSuffix(url, "/mcp")+"/sse", "Accept: text/event-stream", "Authorization: Bearer "+token)
	}
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	ask("GET", url, append(upgrade, "Sec-WebSocket-Protocol: mcp, mcp.auth."+canary)...)
	ask("GET", url, append(upgrade, "Sec-WebSocket-Protocol: mcp, mcp.auth."+jwt)...)
	ask("POST", url+"?access_token="+canary)
	ask("POST", url, "Authorization: Bearer a", "Authorization: Bearer "+canary)
	for _, path := range []string{"/stats", "/healthz"} {
		res, err := client.Get("http://" + admin + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&seen, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for where, text := range map[string]string{"an answer": seen.String(), "the log": d.errs.String()} {
		if strings.Contains(text, canary) {
			t.Errorf("the credential is in %s", where)
		}
	}
	if !strings.Contains(d.errs.String(), "unauthenticated") {
		t.Error("the log says nothing: this test sees nothing")
	}
}

// A caller who asks too often is told when to come back.
func TestRateLimit(t *testing.T) {
	d := startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=", "--rate-limit=1/h:3", "--tool-rate=add=1/h:1", "--request-cost=tools/list=2", "--tool-concurrency=sleep=1", "--max-in-flight-per-principal=0",
		"--max-connections-per-address=0", "--max-sessions-per-principal=0")
	url := d.errs.find(t, `endpoint +(http://\S+)`)
	for i, want := range []string{`"sum":3`, "calls of this tool", "hi", "too many requests"} {
		tool, args := "add", `{"a":1,"b":2}`
		if i >= 2 {
			tool, args = "echo", `{"text":"hi"}`
		}
		if got := callTool(t, url, tool, args); !strings.Contains(got, want) {
			t.Errorf("request %d: %s, want %q", i, got, want)
		}
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
