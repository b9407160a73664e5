package auth

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestJWT(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	for _, kid := range []string{"rsa", "ec", "ed"} {
		p, err := v.Verify(t.Context(), i.token(kid, nil))
		if err != nil {
			t.Fatalf("%s: %v", kid, err)
		}
		if p.ID != i.URL+"#ann" || !p.HasScope("read") || !p.HasScope("write") || p.HasScope("admin") {
			t.Errorf("%s: %+v", kid, p)
		}
		if left := time.Until(p.Expires); left < 59*time.Minute || left > 62*time.Minute {
			t.Errorf("%s: it ends in %v", kid, left)
		}
	}
	if i.fetches != 1 {
		t.Errorf("the keys were fetched %d times", i.fetches)
	}
	for name, change := range goodClaims() {
		if _, err := v.Verify(t.Context(), i.token("ec", change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range badClaims() {
		if change["iss"] == "SLASH" {
			change["iss"] = i.URL + "/"
		}
		if p, err := v.Verify(t.Context(), i.token("ec", change)); !errors.Is(err, ErrInvalidToken) || p != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// Scopes come in three forms.
func TestJWTScopes(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	for name, change := range map[string]map[string]any{
		"scope":        {"scope": "a b"},
		"scp, a list":  {"scope": nil, "scp": []string{"a", "b"}},
		"scp, a word":  {"scope": nil, "scp": "a b"},
		"both of them": {"scope": "a", "scp": []string{"a", "b"}},
	} {
		p, err := v.Verify(t.Context(), i.token("ec", change))
		if err != nil || strings.Join(p.Scopes, " ") != "a b" {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
}

// TestJWTForged: signatures that must not count, and headers that must not.
func TestJWTForged(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	ec, rsaPub := i.token("ec", nil), must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	head, rest, _ := strings.Cut(ec, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	encode := base64.RawURLEncoding.EncodeToString
	for name, token := range map[string]string{
		"none":                  encode([]byte(`{"alg":"none"}`)) + "." + payload + ".",
		"None":                  encode([]byte(`{"alg":"None"}`)) + "." + payload + ".",
		"no signature":          head + "." + payload + ".",
		"cut signature":         head + "." + payload + "." + signature[:len(signature)-2],
		"another payload":       head + "." + encode([]byte(`{"iss":"`+i.URL+`","sub":"eve"}`)) + "." + signature,
		"padding":               ec + "==",
		"HMAC with the RSA key": i.sign(jwt.SigningMethodHS256, map[string]any{"kid": "rsa"}, rsaPub, nil),
		"unlisted algorithm":    i.sign(jwt.SigningMethodRS512, map[string]any{"kid": "rsa"}, rsaKey(), nil),
		"key of another kind":   i.sign(jwt.SigningMethodRS256, map[string]any{"kid": "ec"}, rsaKey(), nil),
		"unknown key":           i.sign(jwt.SigningMethodES256, map[string]any{"kid": "new"}, otherKey(), nil),
		"key under a known id":  i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec"}, otherKey(), nil),
		"another type":          i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec", "typ": "logout+jwt"}, ecKey(), nil),
		"type is no word":       i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec", "typ": 1}, ecKey(), nil),
		"critical extension":    i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec", "crit": []string{"exp"}}, ecKey(), nil),
		"long key id":           i.sign(jwt.SigningMethodES256, map[string]any{"kid": strings.Repeat("k", 129)}, ecKey(), nil),
		"key id is no word":     i.sign(jwt.SigningMethodES256, map[string]any{"kid": 7}, ecKey(), nil),
		"its own key": i.sign(jwt.SigningMethodES256, map[string]any{"kid": "mine", "jwk": publicJWK("mine", otherKey()),
			"jku": "https://evil.example.com/jwks"}, otherKey(), nil),
		"header is no JSON": "e30x." + payload + "." + signature,
		"claims are a list": i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec"}, ecKey(), map[string]any{"exp": "tomorrow"}),
		"empty parts":       "..",
	} {
		if p, err := v.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) || p != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, header := range map[string]map[string]any{
		"typ JWT": {"kid": "ec", "typ": "JWT"}, "no typ": {"kid": "ec", "typ": nil},
		"media type": {"kid": "ec", "typ": "application/AT+JWT"}, "no kid": {},
	} {
		if _, err := v.Verify(t.Context(), i.sign(jwt.SigningMethodES256, header, ecKey(), nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.Verify(t.Context(), "opaque"); !errors.Is(err, ErrNotMine) {
		t.Errorf("an opaque token: %v", err)
	}
}

// Without a key id there must be no choice of keys.
func TestJWTWithoutKeyID(t *testing.T) {
	i := newIssuer(t)
	i.set(func() { i.keys["ec2"] = otherKey() })
	if _, err := i.verifier().Verify(t.Context(), i.sign(jwt.SigningMethodES256, nil, ecKey(), nil)); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("with two keys that fit: %v", err)
	}
}

// TestKeyRotation: a new key is fetched when a token names it, though not at once
// after another fetch, and an old one is forgotten.
func TestKeyRotation(t *testing.T) {
	i := newIssuer(t)
	v, now := withClock(i.verifier(), i.URL)
	verify := func(kid string) error {
		_, err := v.Verify(t.Context(), i.sign(jwt.SigningMethodES256, map[string]any{"kid": kid}, otherKey(), nil))
		return err
	}
	if err := verify("new"); !errors.Is(err, ErrInvalidToken) {
		t.Fatalf("before: %v", err)
	}
	i.set(func() { i.keys = map[string]crypto.Signer{"new": otherKey()} })
	for range 100 { // a flood of made up key ids is one fetch
		if err := verify("new"); !errors.Is(err, ErrInvalidToken) {
			t.Fatalf("right after a fetch: %v", err)
		}
	}
	if i.fetches != 1 {
		t.Errorf("%d fetches", i.fetches)
	}
	*now = now.Add(refreshPause)
	if err := verify("new"); err != nil {
		t.Errorf("half a minute later: %v", err)
	}
	if _, err := v.Verify(t.Context(), i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec"}, ecKey(), nil)); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("the old key: %v", err)
	}
	if i.fetches != 2 {
		t.Errorf("%d fetches", i.fetches)
	}
}

// TestIssuerAway: keys serve for a day when the issuer does not answer; without
// any, a token is neither good nor bad.
func TestIssuerAway(t *testing.T) {
	i := newIssuer(t)
	v, now := withClock(i.verifier(), i.URL)
	i.set(func() { i.fault = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", 500) } })
	verify := func() error {
		_, err := v.Verify(t.Context(), i.sign(jwt.SigningMethodES256, map[string]any{"kid": "ec"}, ecKey(),
			map[string]any{"exp": now.Add(time.Hour).Unix()}))
		return err
	}
	if err := verify(); err == nil || errors.Is(err, ErrInvalidToken) {
		t.Errorf("without keys: %v", err)
	}
	i.set(func() { i.fault = nil })
	*now = now.Add(refreshPause)
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.fault = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", 500) } })
	for _, age := range []time.Duration{refreshEvery, staleFor - time.Second} {
		*now = v.issuers[i.URL].keys.fetched.Add(age)
		if err := verify(); err != nil {
			t.Errorf("keys are %v old: %v", age, err)
		}
	}
	*now = v.issuers[i.URL].keys.fetched.Add(staleFor + time.Minute)
	if err := verify(); err == nil || errors.Is(err, ErrInvalidToken) {
		t.Errorf("keys are older than a day: %v", err)
	}
}

// TestIssuerFaults: what an issuer, or who has broken into it, may answer.
func TestIssuerFaults(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"too long": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, fetchLimit+1)) },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"65 keys": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(`{},`, 64) + `{}]}`))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks2", http.StatusFound) },
		"weak RSA": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"RSA","kid":"ec","n":"` + strings.Repeat("A", 170) + `","e":"AQAB"}]}`))
		},
		"a point off the curve": func(w http.ResponseWriter, _ *http.Request) {
			x := strings.Repeat("A", 42) + "E"
			_, _ = w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"ec","x":"` + x + `","y":"` + x + `"}]}`))
		},
	} {
		i := newIssuer(t)
		i.fault = fault
		if p, err := i.verifier().Verify(t.Context(), i.token("ec", nil)); err == nil || errors.Is(err, ErrInvalidToken) {
			t.Errorf("%s: %+v, %v; want an error that is not the token's", name, p, err)
		}
	}
}

// withClock gives v a clock that the test moves.
func withClock(v *JWT, issuer string) (*JWT, *time.Time) {
	now := time.Now()
	v.now = func() time.Time { return now }
	v.issuers[issuer].keys.now = v.now
	return v, &now
}

func TestJWTHonoursContext(t *testing.T) {
	i := newIssuer(t)
	stuck := make(chan struct{})
	i.fault = func(http.ResponseWriter, *http.Request) { <-stuck }
	defer close(stuck)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := i.verifier().Verify(ctx, i.token("ec", nil)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestJWTConfig(t *testing.T) {
	good := []Issuer{{URL: "https://as.example.com"}}
	aud := []string{resource}
	for name, cfg := range map[string]JWTConfig{
		"no issuer":         {Audience: aud},
		"no audience":       {Issuers: good},
		"empty audience":    {Issuers: good, Audience: []string{""}},
		"plain http":        {Issuers: []Issuer{{URL: "http://as.example.com"}}, Audience: aud},
		"query":             {Issuers: []Issuer{{URL: "https://as.example.com?a"}}, Audience: aud},
		"fragment":          {Issuers: []Issuer{{URL: "https://as.example.com#a"}}, Audience: aud},
		"password":          {Issuers: []Issuer{{URL: "https://a:b@as.example.com"}}, Audience: aud},
		"no host":           {Issuers: []Issuer{{URL: "https://"}}, Audience: aud},
		"twice":             {Issuers: append(good, good...), Audience: aud},
		"key set over http": {Issuers: []Issuer{{URL: "https://as.example.com", JWKS: "http://as.example.com/jwks"}}, Audience: aud},
		"key set is no URL": {Issuers: []Issuer{{URL: "https://as.example.com", JWKS: "://"}}, Audience: aud},
		"file as an issuer": {Issuers: []Issuer{{URL: "file:///etc/passwd"}}, Audience: aud},
	} {
		if _, err := NewJWT(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Names of claims are taken as they are, and come once: "Sub" is no subject.
func TestClaimNames(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	p, err := v.Verify(t.Context(), i.token("ec", map[string]any{"Sub": "eve", "\u017fub": "eve", "SCOPE": "admin", "Exp": 1, "AUD": "x"}))
	if err != nil || p.ID != i.URL+"#ann" || p.HasScope("admin") {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := v.Verify(t.Context(), i.token("ec", map[string]any{"sub": nil, "Sub": "eve"})); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("no subject: %v", err)
	}
	var c claims
	if err := c.UnmarshalJSON([]byte(`{"sub":"ann","sub":"eve"}`)); err == nil {
		t.Errorf("a claim that comes twice: %+v", c)
	}
	for _, claim := range []string{"at_hash", "c_hash"} {
		if _, err := v.Verify(t.Context(), i.token("ec", map[string]any{claim: "x"})); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("an ID token, by %s: %v", claim, err)
		}
	}
}

// TestHungIssuer: while a fetch hangs, keys that are old and usable are used at
// once.
func TestHungIssuer(t *testing.T) {
	i := newIssuer(t)
	v, now := withClock(i.verifier(), i.URL)
	token := i.token("ec", nil)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	stuck := make(chan struct{})
	defer close(stuck)
	v.issuers[i.URL].keys.fetch = func(context.Context) ([]*verifyKey, error) { <-stuck; return nil, errors.New("late") }
	*now = now.Add(refreshEvery)
	start := time.Now()
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
}
