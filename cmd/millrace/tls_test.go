package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/server/cert/certtest"
)

// secureCall calls a tool on TLS, on a connection of its own, and returns the answer
// and the certificate that the server has shown.
func secureCall(t *testing.T, url, tool, args string, cfg *tls.Config) (body string, shown string, err error) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: cfg}}
	res, err := client.Do(newCall(t, url, tool, args))
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res.TLS.PeerCertificates[0].Subject.CommonName, nil
}

// TestTLS serves on TLS, renews the certificate on SIGHUP, and goes on.
func TestTLS(t *testing.T) {
	a, dir := certtest.New(t), t.TempDir()
	cert, key := a.Write(dir, "a", a.Issue("first", "localhost"))
	hup := make(chan struct{})
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemonWith(t, func(e *env) { e.hangups = func() <-chan struct{} { return hup } },
		"--demo", "--admin=127.0.0.1:0", "--admin-token-file="+token, "--tls-listen=127.0.0.1:0", "--tls-cert="+cert, "--tls-key="+key)
	url := d.errs.find(t, `endpoint +(https://\S+)`)
	d.errs.find(t, `endpoint +(wss://\S+)`)
	d.errs.find(t, `client +(.*"type": "http", "url": "https://.*)`)
	call := func(want string) {
		t.Helper()
		body, shown, err := secureCall(t, url, "echo", `{"text":"hi"}`, a.Client("localhost"))
		if err != nil || shown != want || !strings.Contains(body, `"text":"hi"`) {
			t.Errorf("%s by %q, %v; want %q", body, shown, err, want)
		}
	}
	call("first")
	a.Write(dir, "a", a.Issue("second", "localhost"))
	hup <- struct{}{}
	d.errs.find(t, `(has been read again).*certificates`)
	call("second")
	// Plain HTTP is told what to do.
	if got := answer(t, newCall(t, "http"+strings.TrimPrefix(url, "https"), "echo", "{}")); !strings.Contains(got, "use https://") {
		t.Errorf("plain HTTP is told %q", got)
	}
	if err := os.WriteFile(key, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	hup <- struct{}{}
	d.errs.find(t, `(stays as it was).*certificates`)
	call("second")
	// The admin listener can do the same, and end the server.
	a.Write(dir, "a", a.Issue("third", "localhost"))
	admin := d.errs.find(t, `admin +(http://\S+)/stats`)
	for _, path := range []string{"/reload", "/drain"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, admin+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer 0123456789abcdef")
		if got := answer(t, req); !strings.Contains(got, "ing") {
			t.Errorf("POST %s: %q", path, got)
		}
		if path == "/reload" {
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if _, shown, _ := secureCall(t, url, "echo", "{}", a.Client("localhost")); shown == "third" {
					break
				}
				if time.Now().After(end) {
					t.Fatal("the certificate is not read again")
				}
			}
		}
	}
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestClientCertificates knows clients by their certificates.
func TestClientCertificates(t *testing.T) {
	a, other, dir := certtest.New(t), certtest.New(t), t.TempDir()
	cert, key := a.Write(dir, "a", a.Issue("server", "localhost"))
	ca := a.WriteCert(filepath.Join(dir, "ca.crt"))
	names := filepath.Join(dir, "names")
	if err := os.WriteFile(names, []byte("agent dns:agent.example scope=run\n\"reader\" \"subject:CN=reader\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, "--demo", "--admin=", "--tls-listen=127.0.0.1:0", "--tls-cert="+cert, "--tls-key="+key, "--tls-client-ca="+ca,
		"--tls-client-names="+names, "--allow=tool:echo needs run", "--allow=tool:add for cert:reader")
	url := d.errs.find(t, `endpoint +(https://\S+)`)
	d.errs.find(t, `access +(certificates of `+ca+`)`)
	agent, reader, stranger := a.Issue("x", "agent.example"), a.Issue("reader"), a.Issue("stranger")
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		tool string
		args string
		want string
	}{
		{"agent", agent, "echo", `{"text":"hi"}`, `"text":"hi"`},
		{"agent", agent, "add", `{"a":2,"b":3}`, "nknown tool"},
		{"reader", reader, "add", `{"a":2,"b":3}`, `"sum":5`},
		{"reader", reader, "echo", `{"text":"hi"}`, "insufficient_scope"},
		{"stranger", stranger, "echo", `{"text":"hi"}`, "authentication required"},
	} {
		got, _, err := secureCall(t, url, tt.tool, tt.args, a.Client("localhost", tt.cert))
		if err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%s calls %s: %s, %v; want %s", tt.name, tt.tool, got, err, tt.want)
		}
	}
	if got, _, err := secureCall(t, url, "echo", "{}", a.Client("localhost", other.Issue("x", "agent.example"))); err == nil {
		t.Errorf("a certificate of others is answered with %s", got)
	}
	if got, _, err := secureCall(t, url, "echo", "{}", a.Client("localhost")); err == nil {
		t.Errorf("no certificate is answered with %s", got)
	}
}

func TestTLSFlags(t *testing.T) {
	a, dir := certtest.New(t), t.TempDir()
	cert, key := a.Write(dir, "a", a.Issue("server", "localhost"))
	ca := a.WriteCert(filepath.Join(dir, "ca.crt"))
	on := []string{"--tls-listen=127.0.0.1:0", "--tls-cert=" + cert, "--tls-key=" + key}
	with := func(more ...string) []string { return append(on[:len(on):len(on)], more...) }
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no certificate":    {[]string{"--tls-listen=127.0.0.1:0"}, exitUsage, "--tls-cert"},
		"no listener":       {[]string{"--tls-cert=" + cert}, exitUsage, "--tls-listen"},
		"key alone":         {[]string{"--tls-key=" + key}, exitUsage, "--tls-cert"},
		"authority alone":   {[]string{"--tls-client-ca=" + ca}, exitUsage, "--tls-listen"},
		"names alone":       {with("--tls-client-names=" + ca), exitUsage, "--tls-client-ca"},
		"optional alone":    {with("--tls-client-auth=optional"), exitUsage, "--tls-client-ca"},
		"two keys":          {with("--tls-key=" + key), exitUsage, "2 --tls-key for 1 --tls-cert"},
		"one file":          {[]string{"--tls-listen=127.0.0.1:0", "--tls-cert=" + cert}, exitFailure, "found a certificate rather than a key"},
		"no file":           {[]string{"--tls-listen=127.0.0.1:0", "--tls-cert=/none/a"}, exitFailure, "/none/a"},
		"nothing allowed":   {with("--tls-client-ca=" + ca), exitUsage, "--allow"},
		"broken names":      {with("--tls-client-ca="+ca, "--tls-client-names="+cert, "--allow=tool:*"), exitFailure, "names of certificates"},
		"open bind":         {[]string{"--tls-listen=0.0.0.0:0", "--tls-cert=" + cert, "--tls-key=" + key}, exitFailure, "--insecure"},
		"proxy":             {[]string{"--listen=127.0.0.1:0", "--proxy-protocol=x"}, exitUsage, "--proxy-protocol"},
		"mapped proxy":      {[]string{"--listen=127.0.0.1:0", "--proxy-protocol=::ffff:10.0.0.1"}, exitUsage, "--proxy-protocol"},
		"no unix socket":    {[]string{"--listen=127.0.0.1:0", "--proxy-protocol=unix"}, exitUsage, "unix socket"},
		"no unix, XFF":      {[]string{"--listen=127.0.0.1:0", "--trusted-proxies=unix"}, exitUsage, "unix socket"},
		"only unix sockets": {[]string{"--listen=unix:/tmp/none/s", "--proxy-protocol=10.0.0.1"}, exitUsage, "say unix"},
		"mapped proxy, XFF": {[]string{"--listen=127.0.0.1:0", "--trusted-proxies=::ffff:10.0.0.0/104"}, exitUsage, "--trusted-proxies"},
	} {
		code, _, stderr := program(t, "", append([]string{"serve", "--admin="}, tt.args...)...)
		if code != tt.code || !strings.Contains(lastLine(stderr), tt.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", name, code, lastLine(stderr), tt.code, tt.want)
		}
	}
}

// TestProxies: who is behind a proxy is limited as himself, whichever way the proxy
// names him.
func TestProxies(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	d := startDaemon(t, "--demo", "--admin=", "--listen=127.0.0.1:0", "--listen=unix:"+socket, "--proxy-protocol=127.0.0.1", "--trusted-proxies=unix", "--rate-limit=1/h:2")
	url := d.errs.find(t, `endpoint +(http://\S+)`)
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp")
	ask := func(network, addr, header, forwarded string) (int, error) {
		conn, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		req := newCall(t, "http://localhost/mcp", "echo", `{"text":"hi"}`)
		if forwarded != "" {
			req.Header.Set("X-Forwarded-For", forwarded)
		}
		if _, err := io.WriteString(conn, header); err != nil {
			return 0, err
		}
		if err := req.Write(conn); err != nil {
			return 0, err
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	for _, tt := range []struct {
		who  string
		want []int
	}{{"203.0.113.1", []int{200, 200, 429}}, {"203.0.113.2", []int{200, 200, 429}}} {
		for i, want := range tt.want {
			if got, err := ask("tcp", addr, fmt.Sprintf("PROXY TCP4 %s 192.0.2.1 %d 443\r\n", tt.who, 1000+i), ""); got != want || err != nil {
				t.Errorf("request %d of %s: %d %v, want %d", i, tt.who, got, err, want)
			}
		}
	}
	if got, err := ask("tcp", addr, "", ""); err == nil {
		t.Errorf("without a header: answered with %d", got)
	}
	if got, err := ask("unix", socket, "", "203.0.113.2"); got != 429 || err != nil {
		t.Errorf("the second one by X-Forwarded-For: %d %v, want 429", got, err)
	}
	if got, err := ask("unix", socket, "", "203.0.113.3"); got != 200 || err != nil {
		t.Errorf("a third one: %d %v", got, err)
	}
	if got, err := ask("unix", socket, "", "203.0.113.4, 203.0.113.2"); got != 429 || err != nil {
		t.Errorf("what the client itself has written counts: %d %v", got, err)
	}
}

// TestProxyOnUnixSocket: unix is a word of --proxy-protocol too.
func TestProxyOnUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	d := startDaemon(t, "--demo", "--admin=", "--listen=unix:"+socket, "--proxy-protocol=unix")
	d.errs.find(t, `limits +(.*)`)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			_, err = io.WriteString(conn, "PROXY UNKNOWN\r\n")
		}
		return conn, err
	}}}
	res, err := client.Do(newCall(t, "http://localhost/mcp", "echo", `{"text":"hi"}`))
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	res.Body.Close()
}
