package interop

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"millrace/server/cert/certtest"
)

// secureDaemon is a daemon on TLS that knows its clients by their certificates, if
// they show one.
func secureDaemon(t *testing.T) (a *certtest.Authority, dir, url string) {
	t.Helper()
	a, dir = certtest.New(t), t.TempDir()
	cert, key := a.Write(dir, "server", a.Issue("server", "localhost"))
	ca := a.WriteCert(filepath.Join(dir, "ca.crt"))
	names := filepath.Join(dir, "names")
	if err := os.WriteFile(names, []byte("agent dns:agent.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := listen(daemonBin, "serve", "--demo", "--admin", "", "--tls-cert", cert, "--tls-key", key,
		"--tls-client-ca", ca, "--tls-client-auth", "optional", "--tls-client-names", names, "--allow", "tool:*", "--tls-listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	_, port, _ := net.SplitHostPort(p.addr)
	return a, dir, "https://localhost:" + port + "/mcp"
}

// TestGoSDKTLS calls over TLS with a client certificate, in every revision.
func TestGoSDKTLS(t *testing.T) {
	a, _, url := secureDaemon(t)
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) {
			web := &http.Client{Transport: &http.Transport{TLSClientConfig: a.Client("localhost", a.Issue("x", "agent.example"))}}
			defer web.CloseIdleConnections()
			testSession(t, connect(t, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: web}, revision), revision)
		})
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: a.Client("localhost")}}
	defer web.CloseIdleConnections()
	c := mcp.NewClient(&mcp.Implementation{Name: "nobody", Version: "1"}, nil)
	if s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: web}, nil); err == nil {
		_ = s.Close()
		t.Error("a client without a certificate is let in")
	}
}

// TestInspectorTLS calls over TLS with a client that trusts the authority alone.
func TestInspectorTLS(t *testing.T) {
	needNPM(t)
	a, dir := certtest.New(t), t.TempDir()
	cert, key := a.Write(dir, "server", a.Issue("server", "localhost"))
	p, err := listen(daemonBin, "serve", "--demo", "--admin", "", "--tls-cert", cert, "--tls-key", key, "--tls-listen")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	_, port, _ := net.SplitHostPort(p.addr)
	var result struct {
		StructuredContent struct{ Sum float64 }
	}
	inspectWith(t, []string{"NODE_EXTRA_CA_CERTS=" + a.WriteCert(filepath.Join(dir, "ca.crt"))}, &result,
		"https://localhost:"+port+"/mcp", "auto", "--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3.5")
	if result.StructuredContent.Sum != 5.5 {
		t.Errorf("add = %+v, want the sum 5.5", result)
	}
}
