package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"millrace/loop/looptest/clock"
)

// stepped is a clock that the test moves, and whose wall clock it sets.
type stepped struct {
	start  time.Time
	passed atomic.Int64 // since start
	step   atomic.Int64
}

func newStepped() *stepped { return &stepped{start: time.Now()} }

func (c *stepped) now() time.Time {
	return clock.Step(c.start.Add(time.Duration(c.passed.Load())), time.Duration(c.step.Load()))
}

// steps are what the tests set the wall clock by.
var steps = []time.Duration{time.Hour, -time.Hour}

// TestClockStepRemembered: what is remembered of tokens is forgotten when it would have been.
func TestClockStepRemembered(t *testing.T) {
	for _, step := range steps {
		b, s, _ := newScripted(time.Time{})
		c := newStepped()
		b.now = c.now
		ask := func(token string) { _, _ = b.Authenticate(t.Context(), Credentials{Authorization: "Bearer " + token}) }
		for _, tt := range []struct {
			token string
			kept  time.Duration
		}{{"good", rememberGood}, {"bad", rememberBad}} {
			ask(tt.token)
			c.step.Store(int64(step))
			c.passed.Add(int64(tt.kept - 1))
			ask(tt.token)
			if n := s.asked[tt.token]; n != 1 {
				t.Errorf("%v, %s: asked %d times within its time", step, tt.token, n)
			}
			c.passed.Add(1)
			ask(tt.token)
			if n := s.asked[tt.token]; n != 2 {
				t.Errorf("%v, %s: asked %d times after it", step, tt.token, n)
			}
			c.step.Store(0)
		}
	}
}

// TestClockStepExpires: when a credential ends is wall time, because whoever has
// issued it knows no other. A step forward ends it, back makes it good again.
func TestClockStepExpires(t *testing.T) {
	c := newStepped()
	key, line := newKey(t, "ci")
	k, err := LoadKeys(keyFile(t, line+" expires="+c.start.Add(30*time.Minute).UTC().Format(time.RFC3339)))
	if err != nil {
		t.Fatal(err)
	}
	i := newIssuer(t)
	v := i.verifier()
	v.now, v.issuers[i.URL].keys.now = c.now, c.now
	token := i.token("ec", map[string]any{"exp": c.start.Add(30 * time.Minute).Unix()})
	k.now = c.now
	for _, tt := range []struct {
		step time.Duration
		want string // of the key, and of the token
	}{{0, "true true"}, {time.Hour, "false false"}, {0, "true true"}, {-time.Hour, "true false"}} { // issued in the future
		c.step.Store(int64(tt.step))
		_, keyErr := k.Verify(t.Context(), key)
		_, tokenErr := v.Verify(t.Context(), token)
		if got := fmt.Sprint(keyErr == nil, tokenErr == nil); got != tt.want {
			t.Errorf("%v: they hold: %s (%v, %v), want %s", tt.step, got, keyErr, tokenErr, tt.want)
		}
	}
}

// TestClockStepKeys: the keys of an issuer are as old as they are, and it is asked no
// more often.
func TestClockStepKeys(t *testing.T) {
	for _, step := range []time.Duration{25 * time.Hour, -25 * time.Hour} { // more than they are kept
		i := newIssuer(t)
		v := i.verifier()
		set := v.issuers[i.URL].keys
		c := newStepped()
		set.now = c.now
		if _, err := set.find(t.Context(), "ec", "ES256"); err != nil {
			t.Fatal(err)
		}
		i.set(func() { i.fault = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", 500) } })
		c.step.Store(int64(step))
		if _, err := set.find(t.Context(), "ec", "ES256"); err != nil {
			t.Errorf("%v: the keys are gone: %v", step, err)
		}
		_, _ = set.find(t.Context(), "other", "ES256")
		c.passed.Add(int64(refreshPause))
		_, _ = set.find(t.Context(), "other", "ES256")
		var n int
		i.set(func() { n = i.fetches })
		if n != 2 {
			t.Errorf("%v: %d fetches, want one at first and one after the pause", step, n)
		}
		c.passed.Store(int64(staleFor + time.Hour))
		if _, err := set.find(t.Context(), "ec", "ES256"); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%v: the keys are never too old", step)
		}
	}
}

// TestClockStepIntrospection: whoever holds something open is asked about every
// minute also when the clock was set.
func TestClockStepIntrospection(t *testing.T) {
	for _, step := range steps {
		i := newIssuer(t)
		v := i.introspection("s&cret")
		c := newStepped()
		v.now = c.now
		i.set(func() {
			i.opaque["tok"] = i.claimsOf(map[string]any{"active": true, "exp": c.start.Add(3 * time.Hour).Unix(), "nbf": nil, "iat": nil})
		})
		p, err := v.Verify(t.Context(), "tok")
		if err != nil {
			t.Fatal(err)
		}
		i.set(func() { delete(i.opaque, "tok") }) // taken back
		c.step.Store(int64(step))
		c.passed.Store(int64(askAgain))
		for end := time.Now().Add(5 * time.Second); !v.Revoked(p); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%v: a minute later nobody has asked", step)
			}
		}
	}
}
