package cert

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/server/cert/certtest"
)

// issuer writes what an authority signs into a folder.
type issuer struct {
	*certtest.Authority
	dir string
}

func newIssuer(t *testing.T) *issuer { return &issuer{certtest.New(t), t.TempDir()} }

// pair writes a certificate for host and its key.
func (i *issuer) pair(host string) Pair {
	cert, key := i.Write(i.dir, host, i.Issue("", host))
	return Pair{cert, key}
}

// greet connects to a server of TLS for host, and returns the name that it has shown.
func greet(t *testing.T, server *tls.Config, host string, client *tls.Config) (shown string, resumed bool, err error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := tls.Server(conn, server).Write([]byte("x")); err == nil {
			_, _ = conn.Read(make([]byte, 1)) // until the client is done
		}
	}()
	if client == nil {
		client = &tls.Config{}
	}
	client.ServerName, client.InsecureSkipVerify = host, true // what is shown is what is tested
	c, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		return "", false, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != nil { // TLS 1.3 refuses a certificate behind the handshake
		return "", false, err
	}
	s := c.ConnectionState()
	return s.PeerCertificates[0].DNSNames[0], s.DidResume, nil
}

func TestFiles(t *testing.T) {
	i := newIssuer(t)
	f, err := Load(Config{Pairs: []Pair{i.pair("a.example"), i.pair("*.b.example")}})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"a.example": "a.example", "x.b.example": "*.b.example", "c.example": "a.example", "": "a.example"} {
		if got, _, err := greet(t, f.TLS(), host, nil); err != nil || got != want {
			t.Errorf("%q is shown %q, %v; want %q", host, got, err, want)
		}
	}
	if left := time.Until(f.Expires()); left < 50*time.Minute || left > time.Hour {
		t.Errorf("expires in %v", left)
	}
}

// TestFilesReload renews a certificate as tools do: one file after the other.
func TestFilesReload(t *testing.T) {
	i := newIssuer(t)
	p := i.pair("a.example")
	f, err := Load(Config{Pairs: []Pair{p}})
	if err != nil {
		t.Fatal(err)
	}
	first := f.set.Load().tls.Certificates[0].Leaf
	if changed, err := f.Reload(); changed || err != nil {
		t.Errorf("the same files: %v, %v", changed, err)
	}
	old, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	i.pair("a.example")
	renewed, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Key, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := f.Reload(); changed || err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Errorf("a new certificate with the old key: %v, %v", changed, err)
	}
	if _, _, err := greet(t, f.TLS(), "a.example", nil); err != nil || !f.set.Load().tls.Certificates[0].Leaf.Equal(first) {
		t.Errorf("meanwhile: %v", err)
	}
	if err := os.WriteFile(p.Key, renewed, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := f.Reload(); !changed || err != nil || f.set.Load().tls.Certificates[0].Leaf.Equal(first) {
		t.Errorf("renewed: %v, %v", changed, err)
	}
}

// TestClientAuthority: who is let in changes with the file, for resumed sessions too.
func TestClientAuthority(t *testing.T) {
	ours, others := newIssuer(t), newIssuer(t)
	ca := ours.WriteCert(filepath.Join(ours.dir, "ca.crt"))
	load := func(optional bool) *Files {
		f, err := Load(Config{Pairs: []Pair{ours.pair("a.example")}, ClientCA: ca, ClientOptional: optional})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	client := func(i *issuer) *tls.Config {
		cfg := ours.Client("", i.Issue("agent"))
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		return cfg
	}
	must, may := load(false), load(true)
	for _, tt := range []struct {
		name string
		f    *Files
		cfg  *tls.Config
		ok   bool
	}{
		{"ours", must, client(ours), true}, {"others", must, client(others), false}, {"none", must, nil, false},
		{"optional, ours", may, client(ours), true}, {"optional, others", may, client(others), false}, {"optional, none", may, nil, true},
	} {
		if _, _, err := greet(t, tt.f.TLS(), "a.example", tt.cfg); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// The configuration of a server outlives its files: so do its tickets.
	cfg := client(ours)
	base := must.TLS()
	if _, resumed, err := greet(t, base, "a.example", cfg); err != nil || resumed {
		t.Fatal(resumed, err)
	}
	if _, resumed, err := greet(t, base, "a.example", cfg); err != nil || !resumed {
		t.Errorf("a second connection: resumed %v, %v", resumed, err)
	}
	others.WriteCert(ca)
	if changed, err := must.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if _, resumed, err := greet(t, base, "a.example", cfg); err == nil {
		t.Errorf("a client of an authority that is gone is let in, resumed %v", resumed)
	}
}

func TestLoadErrors(t *testing.T) {
	i := newIssuer(t)
	good, other := i.pair("a.example"), i.pair("b.example")
	text := func(name, s string, mode os.FileMode) string {
		path := filepath.Join(i.dir, name)
		if err := os.WriteFile(path, []byte(s), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := os.ReadFile(good.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"nothing":            {Config{}, "TLS needs a certificate and its key"},
		"no file":            {Config{Pairs: []Pair{{filepath.Join(i.dir, "none"), good.Key}}}, "certificate: open "},
		"another key":        {Config{Pairs: []Pair{{good.Cert, other.Key}}}, "private key does not match"},
		"a key alone":        {Config{Pairs: []Pair{{good.Key, good.Key}}}, "no certificate in PEM"},
		"no key":             {Config{Pairs: []Pair{{good.Cert, good.Cert}}}, "found a certificate rather than a key"},
		"everybody's key":    {Config{Pairs: []Pair{{good.Cert, text("open.key", string(key), 0o644)}}}, "run chmod 640"},
		"encrypted":          {Config{Pairs: []Pair{{good.Cert, text("enc.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----", 0o600)}}}, "the key is encrypted"},
		"too long":           {Config{Pairs: []Pair{{text("long.crt", strings.Repeat("#", maxFile+1), 0o600), good.Key}}}, "longer than 1048576 bytes"},
		"no authority":       {Config{Pairs: []Pair{good}, ClientCA: text("empty.crt", "", 0o600)}, "holds no certificate in PEM"},
		"no authority file":  {Config{Pairs: []Pair{good}, ClientCA: filepath.Join(i.dir, "none")}, "authorities of clients: open"},
		"many":               {Config{Pairs: make([]Pair, maxPairs+1)}, "257 certificates: more than 256"},
		"as many as allowed": {Config{Pairs: make([]Pair, maxPairs)}, "certificate: open"},
	} {
		if _, err := Load(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), string(key[30:60])) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
