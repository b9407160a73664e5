package auth

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func (i *issuer) introspection(secret string) *Introspection {
	i.t.Helper()
	v, err := NewIntrospection(IntrospectionConfig{Issuer: i.URL, ClientID: "us", ClientSecret: secret, Audience: []string{resource}})
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// TestIntrospection holds opaque tokens to the table that signed ones are held to.
func TestIntrospection(t *testing.T) {
	i := newIssuer(t)
	v := i.introspection("s&cret")
	verify := func(change map[string]any) (*Principal, error) {
		c := i.claimsOf(change)
		c["active"] = true
		i.set(func() { i.opaque["tok"] = c })
		return v.Verify(t.Context(), "tok")
	}
	for name, change := range goodClaims() {
		if p, err := verify(change); err != nil || p.ID != i.URL+"#ann" || !p.HasScope("read") {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	if _, err := verify(map[string]any{"iss": nil}); err != nil {
		t.Errorf("without iss, which is optional here: %v", err)
	}
	for name, change := range badClaims() {
		if change["iss"] == "SLASH" {
			change["iss"] = i.URL + "/"
		}
		if p, err := verify(change); !errors.Is(err, ErrInvalidToken) || p != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := v.Verify(t.Context(), "unknown"); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("inactive: %v", err)
	}
}

// What goes wrong between us and the issuer is not the token's fault.
func TestIntrospectionFails(t *testing.T) {
	i := newIssuer(t)
	if _, err := i.introspection("wrong").Verify(t.Context(), "tok"); err == nil || errors.Is(err, ErrInvalidToken) {
		t.Errorf("wrong secret: %v", err)
	}
	v := i.introspection("s&cret")
	i.Close()
	if _, err := v.Verify(t.Context(), "tok"); err == nil || errors.Is(err, ErrInvalidToken) {
		t.Errorf("issuer away: %v", err)
	}
	for name, cfg := range map[string]IntrospectionConfig{
		"issuer":      {Issuer: "http://as.example.com", ClientID: "us", Audience: []string{resource}},
		"endpoint":    {Issuer: "https://as.example.com", URL: "http://as.example.com", ClientID: "us", Audience: []string{resource}},
		"no client":   {Issuer: "https://as.example.com", Audience: []string{resource}},
		"no audience": {Issuer: "https://as.example.com", ClientID: "us"},
	} {
		if _, err := NewIntrospection(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A refresh token that its issuer calls active is no access token.
func TestIntrospectedKinds(t *testing.T) {
	i := newIssuer(t)
	v := i.introspection("s&cret")
	for kind, good := range map[string]bool{"": true, "Bearer": true, "Refresh": false, "ID": false, "Offline": false} {
		c := i.claimsOf(map[string]any{"active": true, "typ": kind})
		i.set(func() { i.opaque["tok"] = c })
		if _, err := v.Verify(t.Context(), "tok"); (err == nil) != good {
			t.Errorf("typ %q: %v", kind, err)
		}
	}
	for range maxQuestions {
		v.busy <- struct{}{}
	}
	if _, err := v.Verify(t.Context(), "tok"); err == nil || errors.Is(err, ErrInvalidToken) {
		t.Errorf("beside %d questions: %v", maxQuestions, err)
	}
}

// TestIntrospectedAgain: who holds something open is asked about every minute.
func TestIntrospectedAgain(t *testing.T) {
	i := newIssuer(t)
	v := i.introspection("s&cret")
	var clock atomic.Int64
	base := time.Now()
	v.now = func() time.Time { return base.Add(time.Duration(clock.Load())) }
	answer := func(change map[string]any) {
		c := i.claimsOf(change)
		c["active"], c["exp"] = true, base.Add(time.Hour).Unix()
		i.set(func() { i.opaque["tok"] = c })
	}
	verify := func() *Principal {
		t.Helper()
		p, err := v.Verify(t.Context(), "tok")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	asked := func(p *Principal) { // waits until the question of now has its answer
		t.Helper()
		v.Revoked(p)
		for end := time.Now().Add(10 * time.Second); len(v.busy) > 0 || p.from.(*questioned).asked.Load() != v.now().UnixNano(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it is not asked again")
			}
		}
	}
	settled := func(p *Principal, want bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); v.Revoked(p) != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("revoked: %v", !want)
			}
		}
	}
	answer(nil)
	p := verify()
	i.set(func() { delete(i.opaque, "tok") })
	clock.Store(int64(askAgain - time.Second))
	if v.Revoked(p) || p.from.(*questioned).asked.Load() != base.UnixNano() {
		t.Error("asked too early")
	}
	clock.Store(int64(askAgain))
	asked(p)
	settled(p, true)

	answer(nil)
	p = verify()
	clock.Add(int64(askAgain))
	asked(p)
	settled(p, false)
	answer(map[string]any{"scope": "write"}) // other scopes than it was let in with
	clock.Add(int64(askAgain))
	asked(p)
	settled(p, true)

	p = verify()
	i.Close()
	clock.Add(int64(askAgain))
	asked(p)
	settled(p, false) // the last answer stands
	if b := NewBearer(v); b.Revoked(p) || b.Revoked(&Principal{ID: p.ID}) {
		t.Error("a principal of another verifier is revoked")
	}
}
