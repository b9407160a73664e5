package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// resource is the server that tokens of these tests are for.
const resource = "https://mcp.example.com/mcp"

// issuer is an authorization server on loopback that can be made to fail.
type issuer struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	keys    map[string]crypto.Signer // by kid
	fault   http.HandlerFunc         // answers /jwks instead
	fetches int                      // of /jwks
	opaque  map[string]map[string]any
	asked   int // of /introspect
}

var (
	rsaKey   = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey    = sync.OnceValue(func() crypto.Signer { _, k, _ := ed25519.GenerateKey(rand.Reader); return k })
	otherKey = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t, keys: map[string]crypto.Signer{"rsa": rsaKey(), "ec": ecKey(), "ed": edKey()}, opaque: map[string]map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": i.URL, "jwks_uri": i.URL + "/jwks", "introspection_endpoint": i.URL + "/introspect",
		})
	})
	mux.HandleFunc("GET /jwks", i.serveKeys)
	mux.HandleFunc("POST /introspect", i.introspect)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	if i.fault != nil {
		i.fault(w, r)
		return
	}
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{{Type: "oct", ID: "secret"}}}
	for kid, k := range i.keys {
		set.Keys = append(set.Keys, publicJWK(kid, k))
	}
	_ = json.NewEncoder(w).Encode(set)
}

func (i *issuer) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != "us" || secret != "s%26cret" {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	claims := i.opaque[r.FormValue("token")]
	if claims == nil {
		claims = map[string]any{"active": false}
	}
	_ = json.NewEncoder(w).Encode(claims)
}

// set changes the issuer while it runs.
func (i *issuer) set(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

func publicJWK(kid string, k crypto.Signer) jwk {
	enc := base64.RawURLEncoding.EncodeToString
	switch p := k.Public().(type) {
	case *rsa.PublicKey:
		return jwk{Type: "RSA", ID: kid, Use: "sig", N: enc(p.N.Bytes()), E: enc(big.NewInt(int64(p.E)).Bytes())}
	case *ecdsa.PublicKey:
		b := must(p.Bytes())
		return jwk{Type: "EC", ID: kid, Curve: "P-256", X: enc(b[1:33]), Y: enc(b[33:])}
	case ed25519.PublicKey:
		return jwk{Type: "OKP", ID: kid, Curve: "Ed25519", X: enc(p)}
	}
	panic("unknown key")
}

// claimsOf are those of a good token, changed by the given ones; nil removes one.
func (i *issuer) claimsOf(change map[string]any) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"iss": i.URL, "sub": "ann", "aud": resource, "scope": "read write",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
	}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// token signs claims with the key kid.
func (i *issuer) token(kid string, change map[string]any) string {
	methods := map[string]jwt.SigningMethod{"rsa": jwt.SigningMethodRS256, "ec": jwt.SigningMethodES256, "ed": jwt.SigningMethodEdDSA}
	m := methods[kid]
	if m == nil {
		m = jwt.SigningMethodES256
	}
	return i.sign(m, map[string]any{"kid": kid, "typ": "at+jwt"}, i.keys[kid], change)
}

func (i *issuer) sign(m jwt.SigningMethod, header map[string]any, key any, change map[string]any) string {
	i.t.Helper()
	tok := jwt.NewWithClaims(m, i.claimsOf(change))
	for k, v := range header {
		if tok.Header[k] = v; v == nil {
			delete(tok.Header, k)
		}
	}
	s, err := tok.SignedString(key)
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

// verifier trusts i.
func (i *issuer) verifier() *JWT {
	i.t.Helper()
	v, err := NewJWT(JWTConfig{Issuers: []Issuer{{URL: i.URL}}, Audience: []string{resource}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// badClaims are what no token may say, however it came.
func badClaims() map[string]map[string]any {
	now := time.Now()
	return map[string]map[string]any{
		"wrong audience":         {"aud": "https://other.example.com/mcp"},
		"no audience":            {"aud": nil},
		"empty audience":         {"aud": []string{}},
		"audience with a slash":  {"aud": resource + "/"},
		"audience of the origin": {"aud": "https://mcp.example.com"},
		"path in another case":   {"aud": "https://mcp.example.com/MCP"},
		"audience is a prefix":   {"aud": resource + ".evil.example.com"},
		"another issuer":         {"iss": "https://evil.example.com"},
		"issuer with a slash":    {"iss": "SLASH"},
		"no expiry":              {"exp": nil},
		"expired":                {"exp": now.Add(-61 * time.Second).Unix()},
		"not yet":                {"nbf": now.Add(90 * time.Second).Unix()},
		"issued in the future":   {"iat": now.Add(90 * time.Second).Unix()},
		"bound to a key":         {"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
		"bound to a certificate": {"cnf": map[string]any{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}},
		"no subject":             {"sub": nil},
		"long subject":           {"sub": string(make([]byte, 256))},
	}
}

// goodClaims are what a token may say.
func goodClaims() map[string]map[string]any {
	now := time.Now()
	return map[string]map[string]any{
		"plain":                {},
		"one of the audiences": {"aud": []string{"https://a.example.com", resource}},
		"upper case":           {"aud": "HTTPS://MCP.Example.COM/mcp"},
		"expired just now":     {"exp": now.Add(-30 * time.Second).Unix()},
		"clock ahead":          {"nbf": now.Add(30 * time.Second).Unix(), "iat": now.Add(30 * time.Second).Unix()},
		"no nbf, no iat":       {"nbf": nil, "iat": nil},
		"bound to nothing":     {"cnf": nil},
		"fraction":             {"exp": float64(now.Add(time.Hour).Unix()) + 0.5},
	}
}
