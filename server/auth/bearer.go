package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxToken is the longest bearer token that is looked at, in bytes.
const MaxToken = 8 << 10

var (
	// ErrInvalidToken is the reason to answer 401 with error="invalid_token": there
	// is a token, and it does not hold. It wraps ErrUnauthenticated.
	ErrInvalidToken = fmt.Errorf("%w: the access token does not hold", ErrUnauthenticated)
	// ErrMalformed is the reason to answer 400: the credential is not formed as
	// RFC 6750 wants it.
	ErrMalformed = errors.New("malformed Authorization header")
	// ErrNotMine is what a Verifier returns for a token of another kind than its
	// own: the next one is asked.
	ErrNotMine = errors.New("not a token of this kind")
)

// A Verifier proves one kind of bearer token. Any goroutine.
type Verifier interface {
	// Verify returns who holds token, which is not empty, has no white space and is
	// at most MaxToken long. It may block and must honour ctx. An error that wraps
	// ErrInvalidToken is final; ErrNotMine sends the token to the next Verifier;
	// any other says that the token could not be judged now. No error may quote
	// the token.
	Verify(ctx context.Context, token string) (*Principal, error)
}

// Bearer is an Authenticator for bearer tokens (RFC 6750, section 2.1). It
// remembers what its verifiers have said: who holds a good token for a minute or
// until the token ends, and that a token is bad for ten seconds, so that neither a
// busy client nor a flood of bad tokens costs a signature for every request. A token
// that its issuer has revoked therefore works for up to a minute; verifiers that
// have a method Revoked(*Principal) bool are asked each time. Any goroutine.
type Bearer struct {
	verifiers []Verifier
	good, bad *tokenCache
	now       func() time.Time
}

const (
	rememberGood = time.Minute
	rememberBad  = 10 * time.Second
	// Two tables, so that bad tokens, which anybody can make, push out no good one.
	mostGood = 32 << 10
	mostBad  = 8 << 10
)

// NewBearer returns a Bearer that asks the verifiers in turn.
func NewBearer(verifiers ...Verifier) *Bearer {
	return &Bearer{verifiers: verifiers, good: newTokenCache(mostGood), bad: newTokenCache(mostBad), now: time.Now}
}

// Authenticate implements Authenticator.
func (b *Bearer) Authenticate(ctx context.Context, c Credentials) (*Principal, error) {
	token, err := bearerToken(c.Authorization)
	if err != nil {
		return nil, err
	}
	key := keyOf(token)
	if p, err := b.recall(&key); p != nil || err != nil {
		return p, err
	}
	p, err := b.verify(ctx, token)
	now := b.now()
	switch {
	case err == nil && p.ended(now):
		err = fmt.Errorf("%w: it has expired", ErrInvalidToken)
		fallthrough
	case errors.Is(err, ErrInvalidToken):
		b.bad.put(key, remembered{err: err, until: now.Add(rememberBad)}, now)
		return nil, err
	case err != nil:
		return nil, err
	}
	until := now.Add(rememberGood)
	if !p.Expires.IsZero() && p.Expires.Before(until) {
		until = p.Expires
	}
	b.good.put(key, remembered{who: p, until: until}, now)
	return p, nil
}

func (b *Bearer) verify(ctx context.Context, token string) (*Principal, error) {
	for _, v := range b.verifiers {
		p, err := v.Verify(ctx, token)
		switch {
		case errors.Is(err, ErrNotMine):
		case err == nil && p == nil:
			return nil, errors.New("a verifier returned neither a principal nor an error")
		default:
			return p, err
		}
	}
	return nil, fmt.Errorf("%w: no issuer or key knows it", ErrInvalidToken)
}

// Recall implements Recaller.
func (b *Bearer) Recall(authorization []byte, _ *x509.Certificate) (*Principal, error) {
	token, err := bearerToken(authorization)
	if err != nil {
		return nil, err
	}
	key := keyOf(token)
	return b.recall(&key)
}

func (b *Bearer) recall(key *tokenKey) (*Principal, error) {
	now := b.now()
	if r, ok := b.good.get(key, now); ok && !b.Revoked(r.who) {
		return r.who, nil
	}
	r, _ := b.bad.get(key, now)
	return nil, r.err
}

// Revoked implements Revoker: it asks the verifiers that can tell.
func (b *Bearer) Revoked(p *Principal) bool {
	for _, v := range b.verifiers {
		if r, ok := v.(interface{ Revoked(*Principal) bool }); ok && r.Revoked(p) {
			return true
		}
	}
	return false
}

// Forget drops what is remembered of all tokens.
func (b *Bearer) Forget() {
	b.good.clear()
	b.bad.clear()
}

// bearerToken finds the token in the value of an Authorization field: "the scheme
// is case-insensitive" (RFC 9110, section 11.1), the token is a token68.
func bearerToken[T string | []byte](authorization T) (T, error) {
	var none T
	const scheme = "bearer"
	if len(authorization) == 0 {
		return none, ErrUnauthenticated
	}
	if len(authorization) < len(scheme) || !strings.EqualFold(string(authorization[:len(scheme)]), scheme) ||
		len(authorization) > len(scheme) && authorization[len(scheme)] != ' ' {
		return none, fmt.Errorf("%w: the Authorization header holds no bearer token", ErrUnauthenticated)
	}
	token := authorization[len(scheme):]
	for len(token) > 0 && token[0] == ' ' {
		token = token[1:]
	}
	if len(token) == 0 || len(token) > MaxToken || !isToken68(token) {
		return none, ErrMalformed
	}
	return token, nil
}

// isToken68 reports whether s is a token68: 1*( ALPHA / DIGIT / "-" / "." / "_" /
// "~" / "+" / "/" ) *"=" (RFC 9110, section 11.2).
func isToken68[T string | []byte](s T) bool {
	end := len(s)
	for end > 0 && s[end-1] == '=' {
		end--
	}
	for i := range end {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return end > 0
}
