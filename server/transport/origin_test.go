package transport

import (
	"net/netip"
	"strings"
	"testing"
)

func TestHostAllowed(t *testing.T) {
	listed := []string{"Example.com", "api.example.com:8443", "[2001:db8::1]", "2001:db8::2", "10.0.0.1"}
	tests := []struct {
		hosts    []string
		host     string
		loopback bool
		want     bool
	}{
		{nil, "localhost", true, true},
		{nil, "LocalHost:8080", true, true},
		{nil, "127.0.0.1", true, true},
		{nil, "127.0.0.1:80", true, true},
		{nil, "127.8.9.1", true, true},
		{nil, "[::1]:8080", true, true},
		{nil, "[0:0:0:0:0:0:0:1]", true, true},
		{nil, "[::ffff:127.0.0.1]:1", true, true},
		{nil, "", true, false},
		{nil, "localhost.", true, false},
		{nil, "127.0.0.1.", true, false},
		{nil, "localhost.evil.example", true, false},
		{nil, "localhost@evil.example", true, false},
		{nil, "evil.example:127.0.0.1", true, false},
		{nil, "127.0.0.1.evil.example", true, false},
		{nil, "0x7f000001", true, false},
		{nil, "2130706433", true, false},
		{nil, "127.1", true, false},
		{nil, "0.0.0.0", true, false},
		{nil, "[::]", true, false},
		{nil, "[::1", true, false},
		{nil, "[::1].evil.example", true, false},
		{nil, "[]", true, false},
		{nil, "::1", true, false},
		{nil, "192.0.2.1", true, false},
		{nil, "evil.example", false, true}, // nothing to compare with: Auth decides
		{nil, "", false, true},
		{listed, "example.com", false, true},
		{listed, "EXAMPLE.com:9999", false, true},
		{listed, "api.example.com:8443", true, true},
		{listed, "api.example.com:8444", true, false},
		{listed, "api.example.com", true, false},
		{listed, "example.com.", false, false},
		{listed, "evil-example.com", false, false},
		{listed, "[2001:db8::1]:80", false, true},
		{listed, "[2001:db8::2]", false, true},
		{listed, "10.0.0.1:1", false, true},
		{listed, "localhost", true, false},
		{listed, "", false, false},
	}
	for _, tt := range tests {
		g := newOriginGuard(tt.hosts, nil)
		if got := g.hostAllowed([]byte(tt.host), tt.loopback); got != tt.want {
			t.Errorf("hostAllowed(%q, loopback %v) with list %v = %v, want %v", tt.host, tt.loopback, tt.hosts != nil, got, tt.want)
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	listed := []string{"https://App.example/", "http://dev.example:80", "vscode-webview://abc"}
	tests := []struct {
		origins      []string
		origin, host string
		want         bool
	}{
		{nil, "http://localhost:8080", "localhost:8080", true},
		{nil, "HTTPS://LocalHost:8080", "localhost:8080", true},
		{nil, "http://example.com", "example.com:80", true},
		{nil, "http://example.com:80", "example.com", true},
		{nil, "https://example.com", "example.com:443", true},
		{nil, "https://example.com", "example.com", true},
		{nil, "http://[::1]:8080", "[::1]:8080", true},
		{nil, "http://[::1]", "[::1]:80", true},
		{nil, "http://example.com", "example.com:443", false},
		{nil, "https://example.com", "example.com:80", false},
		{nil, "http://localhost:3000", "localhost:8080", false},
		{nil, "http://localhost", "127.0.0.1", false},
		{nil, "http://localhost.", "localhost", false},
		{nil, "http://user@localhost", "localhost", false},
		{nil, "http://localhost/", "localhost", false},
		{nil, "http://localhost, http://localhost", "localhost", false},
		{nil, "ftp://localhost", "localhost", false},
		{nil, "://localhost", "localhost", false},
		{nil, "localhost", "localhost", false},
		{nil, "null", "null", false},
		{nil, "", "", false},
		{nil, "http://", "", false},
		{nil, "http://evil.example", "localhost", false},
		{listed, "https://app.example", "localhost", true},
		{listed, "https://APP.example:443", "localhost", true},
		{listed, "http://dev.example", "localhost", true},
		{listed, "vscode-webview://abc", "localhost", true},
		{listed, "http://localhost", "localhost", true},
		{listed, "http://app.example", "localhost", false},
		{listed, "https://app.example:8443", "localhost", false},
		{listed, "https://app.example.evil.example", "localhost", false},
		{listed, "https://x.app.example", "localhost", false},
		{listed, "null", "localhost", false},
		{[]string{"*"}, "https://any.example", "localhost", true},
		{[]string{"null"}, "null", "localhost", true},
	}
	for _, tt := range tests {
		g := newOriginGuard(nil, tt.origins)
		if got := g.originAllowed([]byte(tt.origin), []byte(tt.host)); got != tt.want {
			t.Errorf("originAllowed(%q, host %q) with %v = %v, want %v", tt.origin, tt.host, tt.origins, got, tt.want)
		}
	}
}

func FuzzOriginGuard(f *testing.F) {
	for _, s := range []string{"http://localhost:80", "null", "http://[::1]", "https://a@b", "://", "http://[", "[::1]:", ":80"} {
		f.Add(s, "localhost:80")
		f.Add("http://localhost", s)
	}
	none, listed := newOriginGuard(nil, nil), newOriginGuard([]string{"example.com"}, []string{"https://app.example"})
	f.Fuzz(func(t *testing.T, origin, host string) {
		o, h := []byte(origin), []byte(host)
		if none.hostAllowed(h, true) {
			name := strings.ToLower(string(hostName(h)))
			if a, err := netip.ParseAddr(name); name != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
				t.Errorf("host %q is no loopback name", host)
			}
		}
		if listed.hostAllowed(h, true) && string(hostName([]byte(strings.ToLower(host)))) != "example.com" {
			t.Errorf("host %q is not listed", host)
		}
		if none.originAllowed(o, h) {
			scheme, authority, _ := strings.Cut(strings.ToLower(origin), "://")
			port := map[string]string{"http": ":80", "https": ":443"}[scheme]
			if port == "" || strings.TrimSuffix(authority, port) != strings.TrimSuffix(asciiLower(host), port) || host == "" {
				t.Errorf("origin %q is not host %q", origin, host)
			}
			if !listed.originAllowed(o, h) {
				t.Errorf("origin %q: a list forbids what is allowed without", origin)
			}
		}
		if got := none.originAllowed([]byte(strings.ToUpper(asciiLower(origin))), h); none.originAllowed(o, h) && isASCII(origin) && !got {
			t.Errorf("origin %q: the case matters", origin)
		}
	})
}

func asciiLower(s string) string { return lowerString([]byte(s)) }

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }
