package server

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/cert/certtest"
	"millrace/server/mcp"
)

// secured adds a listener of TLS to srv, which verifies certificates of a if clients
// show one.
func secured(srv *Server, a *certtest.Authority) *Server {
	srv.Listeners = append(srv.Listeners, Listener{Addr: "127.0.0.1:0", TLS: &tls.Config{
		Certificates: []tls.Certificate{a.Issue("server", "localhost")}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: a.Pool,
	}})
	return srv
}

// by is r as clients with a configuration of TLS use it.
func (r *runningServer) by(cfg *tls.Config) *runningServer {
	other := *r
	transport := &http.Transport{TLSClientConfig: cfg}
	other.http, other.tls = &http.Client{Transport: transport, Timeout: 10 * time.Second}, cfg
	r.t.Cleanup(transport.CloseIdleConnections)
	return &other
}

// TestTLSMatrix: everything that works without TLS works with it.
func TestTLSMatrix(t *testing.T) {
	a := certtest.New(t)
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		t.Run(version, func(t *testing.T) {
			tl := newTools()
			r := serve(t, secured(&Server{MCP: tl.mcp, LegacySSE: true}, a)).by(a.Client("localhost"))
			checkMatrix(t, httpWire(t, r, tl, version), tl)
			checkMatrix(t, peerWire(t, "websocket", r.dial(), tl, version), tl)
			if version != mcp.Version20260728 {
				checkMatrix(t, peerWire(t, "sse", r.sse(), tl, version), tl)
			}
			if got := r.Endpoints(); len(got) != 2 || !strings.HasPrefix(got[0], "https://") || !strings.HasPrefix(got[1], "wss://") {
				t.Errorf("endpoints %q", got)
			}
			if s := r.Stats().Connections; s.Handshakes == 0 || s.HandshakeErrors != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// certificateNames writes a file of names.
func certificateNames(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCertificateMatrix holds clients that are known by their certificate to the same
// gate as those with a token.
func TestCertificateMatrix(t *testing.T) {
	a := certtest.New(t)
	names := certificateNames(t, filepath.Join(t.TempDir(), "names"), "ann dns:low.example scope=read\nbob dns:right.example scope=admin\n")
	count := 0
	for _, version := range append([]string{mcp.Version20260728}, legacyVersions...) {
		for _, who := range []string{"low", "right", "stranger", "none"} {
			t.Run(version+"/"+who, func(t *testing.T) {
				s := guarded(t)
				auths, err := auth.LoadCertificates(names, s.Auth)
				if err != nil {
					t.Fatal(err)
				}
				s.Auth = auths
				cfg := a.Client("localhost", a.Issue(who, who+".example"))
				if who == "none" {
					cfg = a.Client("localhost")
				}
				r := serve(t, secured(s, a)).by(cfg)
				if who == "stranger" || who == "none" {
					count += len(attempts) + 2
					refusedAtTheDoor(t, r, version, "X-None: 1")
					return
				}
				count += checkAttempts(t, who == "right", authorizedHTTPWire(r, version, "X-None: 1"))
				count += checkAttempts(t, who == "right", peerWire(t, "websocket", r.dial(), nil, version))
				if version != mcp.Version20260728 {
					count += checkAttempts(t, who == "right", authorizedSSEWire(t, r.sse(), version))
				}
				// A token says who calls, whatever the certificate says.
				if rep := r.do("POST", listMessage, append(modernFields("tools/list", ""), "Authorization: Bearer wrong")...); rep.status != 401 {
					t.Errorf("a certificate covers a token that does not hold: %d", rep.status)
				}
			})
		}
	}
	t.Logf("%d combinations of revision, transport, certificate and use", count)
}

// TestCertificateSession: a session belongs to the certificate that it was opened with.
func TestCertificateSession(t *testing.T) {
	a := certtest.New(t)
	tl := newTools()
	r := serve(t, secured(&Server{MCP: tl.mcp, Auth: auth.NewCertificates(nil), Policy: auth.AllowAll()}, a))
	ann, bob := r.by(a.Client("localhost", a.Issue("ann"))), r.by(a.Client("localhost", a.Issue("bob")))
	id := ann.initialize(mcp.Version20251125)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	if rep := bob.do("POST", ping, "Mcp-Session-Id: "+id); rep.status != 404 {
		t.Errorf("the session of another certificate: %d %s", rep.status, rep.body())
	}
	if rep := ann.do("POST", ping, "Mcp-Session-Id: "+id); rep.status != 200 {
		t.Errorf("its own: %d %s", rep.status, rep.body())
	}
}

// TestCertificateOfSSEPost: each POST of HTTP+SSE shows its own certificate; that of
// the event stream, whose id may have leaked, does not stand for it.
func TestCertificateOfSSEPost(t *testing.T) {
	a := certtest.New(t)
	r := serve(t, secured(&Server{MCP: newTools().mcp, Auth: auth.NewCertificates(nil), Policy: auth.AllowAll(), LegacySSE: true}, a))
	ann := r.by(a.Client("localhost", a.Issue("ann"))).sse()
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for name, other := range map[string]*runningServer{"nobody": r.by(a.Client("localhost")), "bob": r.by(a.Client("localhost", a.Issue("bob")))} {
		p := &ssePeer{t: t, r: other, post: ann.post}
		if rep := p.try(ping); rep.status != 401 && rep.status != 404 {
			t.Errorf("a POST of %s on the stream of ann: %d %s", name, rep.status, rep.body())
		}
	}
	if rep := ann.try(initializeMessage(mcp.Version20241105)); rep.status != 202 {
		t.Errorf("a POST of her own: %d %s", rep.status, rep.body())
	}
}

// TestCertificateNameGone: who is not named any more is put out.
func TestCertificateNameGone(t *testing.T) {
	a := certtest.New(t)
	path := certificateNames(t, filepath.Join(t.TempDir(), "names"), "ann dns:ann.example\nbob dns:bob.example\n")
	auths, err := auth.LoadCertificates(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, secured(&Server{MCP: newTools().mcp, Auth: auths, Policy: auth.AllowAll()}, a))
	ann, bob := r.by(a.Client("localhost", a.Issue("", "ann.example"))).dial(), r.by(a.Client("localhost", a.Issue("", "bob.example"))).dial()
	handshake(t, ann, mcp.Version20251125)
	handshake(t, bob, mcp.Version20251125)
	certificateNames(t, path, "bob dns:bob.example\n")
	if _, err := auths.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.read(); err != closeError(closeUnauthorized) {
		t.Errorf("who is not named any more: %v", err)
	}
	bob.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	want(t, bob, `{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// TestHandlerCertificate: the same inside of a server of net/http.
func TestHandlerCertificate(t *testing.T) {
	a := certtest.New(t)
	s := &Server{MCP: newTools().mcp, Auth: auth.NewCertificates(nil), Policy: &auth.Policy{Allow: parsedRules(t, "tool:echo for cert:dns:ann.example")}, Logger: quiet}
	h, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(h)
	ts.TLS = &tls.Config{Certificates: []tls.Certificate{a.Issue("server", "localhost")}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: a.Pool}
	ts.StartTLS()
	defer ts.Close()
	defer func() { _ = s.Shutdown(t.Context()) }()
	r := &runningServer{Server: s, t: t, url: ts.URL}
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"},` + modernMeta + `}}`
	for name, want := range map[string]string{"ann.example": `"text":"hi"`, "bob.example": "nknown tool", "": "authentication required"} {
		cfg := a.Client("localhost")
		if name != "" {
			cfg = a.Client("localhost", a.Issue("x", name))
		}
		if rep := r.by(cfg).do("POST", call, modernFields("tools/call", "echo")...); !strings.Contains(rep.body(), want) {
			t.Errorf("%q: %d %s", name, rep.status, rep.body())
		}
	}
}

func TestProxyListener(t *testing.T) {
	for _, tt := range []struct {
		l    Listener
		want string
	}{
		{Listener{Addr: "127.0.0.1:0", ProxyProtocol: true}, "ProxyProtocol needs the addresses of the proxies"},
		{Listener{Addr: "127.0.0.1:0", ProxyFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, "ProxyFrom means nothing without"},
	} {
		err := (&Server{MCP: newTools().mcp, Listeners: []Listener{tt.l}, Logger: quiet}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.l, err)
		}
	}
	l := Listener{Addr: "127.0.0.1:0", ProxyProtocol: true, ProxyFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}}
	is, err := l.proxy()
	if err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]bool{
		"10.1.2.3:4": true, "[::ffff:10.1.2.3]:4": true, "[fe80::1%eth0]:4": true, "192.0.2.1:4": false, "[2001:db8::1]:4": false, "unix": false, "": false,
	} {
		if got := is(remote); got != want {
			t.Errorf("%q is a proxy: %v", remote, got)
		}
	}
}
