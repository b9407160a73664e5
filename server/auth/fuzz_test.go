package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzJWT: nothing but the one token that its issuer has signed gets in, and what
// does not is the token's fault.
func FuzzJWT(f *testing.F) {
	v, err := NewJWT(JWTConfig{Issuers: []Issuer{{URL: "https://as.example.com"}}, Audience: []string{resource}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	keys := v.issuers["https://as.example.com"].keys
	keys.fetch = func(context.Context) ([]*verifyKey, error) { return nil, errors.New("no network") }
	keys.keys, keys.fetched, keys.tried = []*verifyKey{must(parseJWK(publicJWK("ec", ecKey())))}, time.Now(), time.Now()
	i := &issuer{t: new(testing.T), Server: &httptest.Server{URL: "https://as.example.com"}} // signs, and serves nothing
	good := i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec"}, ecKey(), nil)
	f.Add(good)
	f.Add(i.sign(jwt.SigningMethodES256, map[string]any{"kid": "other"}, otherKey(), nil))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), token)
		switch {
		case token == good && err != nil:
			t.Fatal(err)
		case err == nil && token[:strings.LastIndexByte(token, '.')] != good[:strings.LastIndexByte(good, '.')]:
			t.Fatalf("let in as %+v", p)
		case err != nil && !errors.Is(err, ErrInvalidToken) && !errors.Is(err, ErrNotMine):
			t.Fatalf("the fault of %q is not its own: %v", token, err)
		}
	})
}

// FuzzKeySet: a set of keys gives keys that can be used, or none.
func FuzzKeySet(f *testing.F) {
	for _, k := range []jwk{publicJWK("rsa", rsaKey()), publicJWK("ec", ecKey()), publicJWK("ed", edKey())} {
		b, err := json.Marshal(k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k jwk
		if json.Unmarshal(b, &k) != nil {
			return
		}
		key, err := k.parse()
		if (key == nil) == (err == nil) {
			t.Fatalf("%+v, %v", key, err)
		}
		if err == nil && (len(key.algs) == 0 || key.does("none") || key.does("HS256") || len(key.id) > maxKeyID) {
			t.Fatalf("%+v", key)
		}
	})
}

// FuzzClaims: whatever claims say, who gets in is named, and for a bounded time.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"https://as.example.com","sub":"ann","aud":"https://mcp.example.com/mcp","exp":1893456000,"scope":"a b","scp":["c"]}`))
	f.Add([]byte(`{"aud":["x",1],"exp":1e300,"nbf":-1,"iat":null,"scp":"a  b"}`))
	aud := must(newAudience([]string{resource}))
	now := time.Unix(1700000000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		var c claims
		if json.Unmarshal(b, &c) != nil {
			return
		}
		p, err := c.principal("https://as.example.com", aud, now)
		if (p == nil) == (err == nil) || err != nil && !errors.Is(err, ErrInvalidToken) {
			t.Fatalf("%+v, %v", p, err)
		}
		if err == nil && (p.IsAnonymous() || p.Expires.IsZero() || p.ended(now) || !strings.HasPrefix(p.ID, "https://as.example.com#")) {
			t.Fatalf("%+v", p)
		}
	})
}

// FuzzKeyFile: a file of keys loads whole or not at all, and no error quotes it.
func FuzzKeyFile(f *testing.F) {
	_, line, _ := NewKey("ci", []string{"read"}, time.Unix(1893456000, 0))
	f.Add([]byte("# people\n" + line + "\n"))
	f.Add([]byte("ci sha256:00 scope= expires="))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKeyFile(b)
		if err != nil {
			return
		}
		if len(k.byHash) != len(k.byName) {
			t.Fatalf("%d hashes, %d names", len(k.byHash), len(k.byName))
		}
		for name, p := range k.byName {
			if p.ID != name || !strings.HasPrefix(name, "key:") || len(name) < 5 {
				t.Fatalf("%q: %+v", name, p)
			}
		}
	})
}

// FuzzBearerToken: an Authorization field holds one token, or is refused.
func FuzzBearerToken(f *testing.F) {
	for _, s := range []string{"Bearer a.b.c", "bearer  x==", "Bearer", "Basic dTpw", "Bearer a b", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := bearerToken(b)
		switch {
		case err == nil && (len(token) == 0 || len(token) > MaxToken || strings.ContainsAny(string(token), " \t\r\n,\"")):
			t.Fatalf("token %q of %q", token, b)
		case err != nil && !errors.Is(err, ErrUnauthenticated) && !errors.Is(err, ErrMalformed):
			t.Fatal(err)
		}
	})
}

// FuzzRule: what is read as a rule is written the same way, and matching ends.
func FuzzRule(f *testing.F) {
	f.Add("tool:db_* needs db:read,db:write for key:ci-*", "db_get")
	f.Add("resource:file:///*/*", "file:///a/b")
	f.Fuzz(func(t *testing.T, s, name string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		if r.Pattern == "" || r.Kind >= kinds {
			t.Fatalf("%q: %+v", s, r)
		}
		if got := Match(r.Pattern, name); got != (r.Pattern == name) && !strings.Contains(r.Pattern, "*") {
			t.Fatalf("%q matches %q: %v", r.Pattern, name, got)
		}
	})
}

func parseJWK(k jwk) (*verifyKey, error) { return k.parse() }
