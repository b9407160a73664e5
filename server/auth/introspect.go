package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	cfg  IntrospectionConfig
	aud  audience
	now  func() time.Time
	f    *fetcher
	busy chan struct{} // a place for each question that may be asked at once
}

// maxQuestions is how many tokens are asked about at once.
const maxQuestions = 64

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

// introspected is the answer of the endpoint.
type introspected struct {
	Active bool `json:"active"`
	claims
	ClientID string `json:"client_id"`
}

// Verify implements Verifier.
func (v *Introspection) Verify(ctx context.Context, token string) (*Principal, error) {
	select {
	case v.busy <- struct{}{}:
		defer func() { <-v.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
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
	var a introspected
	if err := v.f.do(req, &a); err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	if !a.Active {
		return nil, invalid("its issuer says that it is not active")
	}
	if a.Issuer == "" {
		a.Issuer = v.cfg.Issuer // optional here: it was asked itself
	}
	return a.principal(v.cfg.Issuer, v.aud, v.now())
}

// endpoint is asked for each time: an answer is remembered by Bearer, and the
// metadata of an issuer may change.
func (v *Introspection) endpoint(ctx context.Context) (string, error) {
	if v.cfg.URL != "" {
		return v.cfg.URL, nil
	}
	m, err := discover(ctx, v.f, v.cfg.Issuer)
	if err != nil {
		return "", err
	}
	if m.Introspection == "" {
		return "", fmt.Errorf("%s names no introspection_endpoint", v.cfg.Issuer)
	}
	return m.Introspection, nil
}
