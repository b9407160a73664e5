package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// IntrospectionConfig describes the authorization server that knows opaque tokens.
type IntrospectionConfig struct {
	// Issuer is its issuer identifier. https, or http on loopback.
	Issuer string
	// URL is its introspection endpoint. Empty: what its metadata says.
	URL string
	// ClientID and ClientSecret are how this server shows who it is.
	ClientID, ClientSecret string
	// Audience: see JWTConfig.
	Audience []string
}

// Introspection is a Verifier of opaque tokens, which asks the authorization
// server about each (RFC 7662). What it answers is held to the same rules as a
// JWT. Any goroutine.
type Introspection struct {
	cfg   IntrospectionConfig
	aud   audience
	now   func() time.Time
	f     *fetcher
	found atomic.Pointer[foundEndpoint]
	busy  chan struct{} // a place for each question that may be asked at once
}

// maxQuestions is how many tokens are asked about at once.
const maxQuestions = 64

var errTooManyQuestions = errors.New("introspection: too many tokens are being asked about")

// NewIntrospection returns an Introspection, or says what is wrong with cfg. It
// asks nothing yet.
func NewIntrospection(cfg IntrospectionConfig) (*Introspection, error) {
	if err := checkIssuer(cfg.Issuer); err != nil {
		return nil, err
	}
	if cfg.URL != "" {
		if err := checkURL(cfg.URL); err != nil {
			return nil, fmt.Errorf("introspection endpoint: %w", err)
		}
	}
	if cfg.ClientID == "" {
		return nil, errors.New("introspection needs a client id: the endpoint must know who asks")
	}
	aud, err := newAudience(cfg.Audience)
	if err != nil {
		return nil, err
	}
	return &Introspection{
		cfg: cfg, aud: aud, now: time.Now, f: newFetcher(cfg.Issuer, cfg.URL), busy: make(chan struct{}, maxQuestions),
	}, nil
}

// Verify implements Verifier.
func (v *Introspection) Verify(ctx context.Context, token string) (*Principal, error) {
	select {
	case v.busy <- struct{}{}:
		defer func() { <-v.busy }()
	default: // who waits here holds a worker
		return nil, errTooManyQuestions
	}
	endpoint, err := v.endpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749, section 2.3.1: both are form-encoded first.
	req.SetBasicAuth(url.QueryEscape(v.cfg.ClientID), url.QueryEscape(v.cfg.ClientSecret))
	var a claims
	if err := v.f.do(req, &a); err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	if !a.active {
		return nil, invalid("its issuer says that it is not active")
	}
	if a.Issuer == "" {
		a.Issuer = v.cfg.Issuer // optional here: it was asked itself
	}
	p, err := a.principal(v.cfg.Issuer, v.aud, v.now())
	if err != nil {
		return nil, err
	}
	q := &questioned{by: v, token: token}
	q.asked.Store(v.now().UnixNano())
	p.from = q
	return p, nil
}

// questioned is what an Introspection remembers of a principal: it asks again for as
// long as somebody wants to know.
type questioned struct {
	by    *Introspection
	token string
	asked atomic.Int64 // when it was asked about last, or is being asked
	over  atomic.Bool
}

// askAgain is how old an answer may be about who holds something open.
const askAgain = time.Minute

// Revoked reports whether the issuer of p's token has said, when it was asked again,
// that it does not hold any more, or for something else. It is asked again when the
// last answer is a minute old, beside whoever wants to know. When it does not answer,
// the last answer stands.
func (v *Introspection) Revoked(p *Principal) bool {
	q, ok := p.from.(*questioned)
	if !ok || q.by != v {
		return false
	}
	last := q.asked.Load()
	now := v.now().UnixNano() // after last was read: it is before last when the clock was set back alone
	due := now-last >= int64(askAgain) || now < last
	if due && q.asked.CompareAndSwap(last, now) {
		go q.ask(p)
	}
	return q.over.Load()
}

// ask asks again. Verify bounds how many do at once.
func (q *questioned) ask(p *Principal) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	now, err := q.by.Verify(ctx, q.token)
	if errors.Is(err, errTooManyQuestions) {
		q.asked.Add(-int64(askAgain)) // when somebody wants to know next
	}
	if errors.Is(err, ErrInvalidToken) || err == nil && (now.ID != p.ID || !slices.Equal(now.Scopes, p.Scopes)) {
		q.over.Store(true)
	}
}

// endpoint is where to ask. What the issuer's metadata says is remembered for as
// long as its keys would be.
func (v *Introspection) endpoint(ctx context.Context) (string, error) {
	if v.cfg.URL != "" {
		return v.cfg.URL, nil
	}
	if f := v.found.Load(); f != nil && v.now().Sub(f.at) < refreshEvery {
		return f.url, nil
	}
	m, err := discover(ctx, v.f, v.cfg.Issuer)
	if err != nil {
		return "", err
	}
	if m.Introspection == "" {
		return "", fmt.Errorf("%s names no introspection_endpoint", v.cfg.Issuer)
	}
	v.found.Store(&foundEndpoint{m.Introspection, v.now()})
	return m.Introspection, nil
}

// foundEndpoint is what metadata said at some time.
type foundEndpoint struct {
	url string
	at  time.Time
}
