package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/server/cert/certtest"
)

// TestCheck says what serve would say, and takes no address.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	a := certtest.New(t)
	cert, key := a.Write(dir, "a", a.Issue("server", "localhost"))
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"defaults":             {nil, exitOK, "listen     127.0.0.1:8080 (plain)"},
		"an address in use":    {[]string{"--listen=" + taken.Addr().String()}, exitOK, taken.Addr().String()},
		"TLS":                  {[]string{"--tls-listen=127.0.0.1:8443", "--tls-cert=" + cert, "--tls-key=" + key}, exitOK, "127.0.0.1:8443 (TLS)"},
		"keys":                 {[]string{"--api-keys=" + keys, "--allow=tool:*"}, exitOK, "API keys of " + keys},
		"open bind":            {[]string{"--listen=0.0.0.0:0"}, exitFailure, "--insecure"},
		"no policy":            {[]string{"--api-keys=" + keys}, exitUsage, "--allow"},
		"no resource":          {[]string{"--auth-issuer=https://as.example.com", "--allow=tool:*"}, exitUsage, "--public-url"},
		"too many connections": {[]string{"--max-connections=100000000"}, exitFailure, "ulimit -n"},
		"open admin":           {[]string{"--admin=0.0.0.0:9090"}, exitFailure, "loopback"},
		"a key for everybody":  {[]string{"--tls-listen=127.0.0.1:8443", "--tls-cert=" + cert, "--tls-key=" + openCopy(t, key)}, exitFailure, "chmod"},
		"bad cost":             {[]string{"--rate-limit=1/s:2", "--request-cost=tools/call=5"}, exitFailure, "burst"},
	} {
		code, stdout, stderr := program(t, "", append([]string{"check"}, tt.args...)...)
		got := stdout
		if tt.code != exitOK {
			got = lastLine(stderr)
		}
		if code != tt.code || !strings.Contains(got, tt.want) || tt.code == exitOK && !strings.HasSuffix(stdout, "ok\n") {
			t.Errorf("%s: exit code %d, %q; want %d and %q", name, code, got, tt.code, tt.want)
		}
	}
}

// openCopy is a file that everybody can read.
func openCopy(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := path + ".open"
	if err := os.WriteFile(open, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	return open
}
