package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a Verifier that counts what it is asked.
type script struct {
	asked  map[string]int
	expire time.Time
}

func (s *script) Verify(_ context.Context, token string) (*Principal, error) {
	s.asked[token]++
	switch {
	case strings.HasPrefix(token, "bad"):
		return nil, invalid("it is bad")
	case token == "down":
		return nil, errors.New("issuer is down")
	case token == "other":
		return nil, ErrNotMine
	case token == "nobody":
		return nil, nil
	}
	return &Principal{ID: token, Expires: s.expire}, nil
}

func newScripted(expire time.Time) (*Bearer, *script, *time.Time) {
	s := &script{asked: map[string]int{}, expire: expire}
	b, now := NewBearer(s), time.Unix(1e9, 0)
	b.now = func() time.Time { return now }
	return b, s, &now
}

func TestBearerCredentials(t *testing.T) {
	b, _, _ := newScripted(time.Time{})
	for _, tt := range []struct {
		value string
		want  error // nil: it holds
	}{
		{"Bearer tok", nil}, {"bearer tok", nil}, {"BEARER   tok", nil}, {"Bearer a.b-c_d~e+f/g==", nil},
		{"", ErrUnauthenticated}, {"Basic dTpw", ErrUnauthenticated}, {"tok", ErrUnauthenticated}, {"Bearertok", ErrUnauthenticated},
		{"Bearer\ttok", ErrUnauthenticated}, {"mcp.auth.tok", ErrUnauthenticated},
		{"Bearer", ErrMalformed}, {"bearer", ErrMalformed}, {"Bearer ", ErrMalformed}, {"Bearer a b", ErrMalformed}, {"Bearer a,b", ErrMalformed}, {"Bearer ==", ErrMalformed},
		{"Bearer a=b", ErrMalformed}, {"Bearer a\x00", ErrMalformed}, {"Bearer \"a\"", ErrMalformed}, {"Bearer é", ErrMalformed},
		{"Bearer " + strings.Repeat("a", MaxToken-1), nil},
		{"Bearer " + strings.Repeat("a", MaxToken), nil},
		{"Bearer " + strings.Repeat("a", MaxToken+1), ErrMalformed},
		{"Bearer bad", ErrInvalidToken}, {"Bearer other", ErrInvalidToken},
	} {
		p, err := b.Authenticate(t.Context(), Credentials{Authorization: tt.value})
		if !errors.Is(err, tt.want) || (p == nil) != (tt.want != nil) {
			t.Errorf("%.40q: %+v, %v; want %v", tt.value, p, err, tt.want)
		}
		if err != nil && len(tt.value) > 12 && strings.Contains(err.Error(), tt.value[7:]) {
			t.Errorf("the error quotes the credential: %v", err)
		}
	}
	for _, token := range []string{"down", "nobody"} {
		if _, err := b.Authenticate(t.Context(), Credentials{Authorization: "Bearer " + token}); err == nil || errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s: %v; want an error that is not the token's", token, err)
		}
	}
}

// TestBearerRemembers good tokens for a minute, bad ones for ten seconds, failures
// not at all.
func TestBearerRemembers(t *testing.T) {
	b, s, now := newScripted(time.Time{})
	for _, tt := range []struct {
		token  string
		after  time.Duration
		recall bool // what Recall knows before the question
		asked  int  // how often the verifier was asked, in all
	}{
		{"tok", 0, false, 1}, {"tok", 0, true, 1}, {"tok", rememberGood - 1, true, 1}, {"tok", 1, false, 2},
		{"bad", 0, false, 1}, {"bad", 0, true, 1}, {"bad", rememberBad - 1, true, 1}, {"bad", 1, false, 2},
		{"down", 0, false, 1}, {"down", 0, false, 2},
	} {
		*now = now.Add(tt.after)
		p, err := b.Recall([]byte("Bearer "+tt.token), nil)
		if (p != nil || err != nil) != tt.recall {
			t.Errorf("%s after %v: Recall gives %+v, %v", tt.token, tt.after, p, err)
		}
		_, _ = b.Authenticate(t.Context(), Credentials{Authorization: "Bearer " + tt.token})
		if s.asked[tt.token] != tt.asked {
			t.Errorf("%s after %v: the verifier was asked %d times, want %d", tt.token, tt.after, s.asked[tt.token], tt.asked)
		}
	}
	b.Forget()
	if p, err := b.Recall([]byte("Bearer tok"), nil); p != nil || err != nil {
		t.Errorf("after Forget: %+v, %v", p, err)
	}
}

// A token that ends within the minute is remembered until then.
func TestBearerExpires(t *testing.T) {
	b, _, now := newScripted(time.Unix(1e9+30, 0))
	ask := func() error {
		_, err := b.Authenticate(t.Context(), Credentials{Authorization: "Bearer tok"})
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(30*time.Second - 1)
	if p, _ := b.Recall([]byte("Bearer tok"), nil); p == nil {
		t.Error("forgotten before its time")
	}
	*now = now.Add(1)
	if p, err := b.Recall([]byte("Bearer tok"), nil); p != nil || err != nil {
		t.Errorf("at its end: %+v, %v", p, err)
	}
	if err := ask(); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("at its end: %v", err)
	}
}

// TestTokenCacheIsBounded, at its limit and beyond, and bad tokens push out no
// good ones.
func TestTokenCacheIsBounded(t *testing.T) {
	b, _, now := newScripted(time.Time{})
	ask := func(token string) {
		_, _ = b.Authenticate(t.Context(), Credentials{Authorization: "Bearer " + token})
	}
	ask("tok")
	for i := range 3 * mostBad {
		ask(fmt.Sprintf("bad%d", i))
	}
	if n := b.bad.len(); n > mostBad || n < mostBad/2 {
		t.Errorf("%d bad tokens are remembered, want at most %d", n, mostBad)
	}
	if p, _ := b.Recall([]byte("Bearer tok"), nil); p == nil {
		t.Error("bad tokens have pushed out a good one")
	}
	c := newTokenCache(16) // one for each shard
	for i := range byte(10) {
		c.put(tokenKey{1: i}, remembered{until: now.Add(time.Hour)}, *now) // all in one shard
		if n := c.len(); n != 1 {
			t.Fatalf("%d tokens in a shard for one", n)
		}
	}
}

func TestBearerConcurrently(t *testing.T) {
	i := newIssuer(t)
	b := NewBearer(i.verifier())
	token := "Bearer " + i.token("rsa", nil)
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			for range 50 {
				if _, err := b.Authenticate(t.Context(), Credentials{Authorization: token}); err != nil {
					t.Error(err)
				}
				_, _ = b.Authenticate(t.Context(), Credentials{Authorization: fmt.Sprintf("Bearer a.b.%d", n)})
				if n == 0 {
					b.Forget()
				}
			}
		})
	}
	wg.Wait()
	if i.fetches != 1 {
		t.Errorf("%d fetches of keys", i.fetches)
	}
}

// A request of a known caller costs a hash and a look, and no memory.
func TestRecallAllocates(t *testing.T) {
	i := newIssuer(t)
	b := NewBearer(i.verifier())
	value := []byte("Bearer " + i.token("rsa", nil))
	if _, err := b.Authenticate(t.Context(), Credentials{Authorization: string(value)}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if p, err := b.Recall(value, nil); p == nil || err != nil {
			t.Fatal(p, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecall(b *testing.B) {
	bearer, _, _ := newScripted(time.Time{})
	value := []byte("Bearer " + strings.Repeat("a", 800))
	if _, err := bearer.Authenticate(b.Context(), Credentials{Authorization: string(value)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p, _ := bearer.Recall(value, nil); p == nil {
			b.Fatal("forgotten")
		}
	}
}
