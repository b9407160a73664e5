package oidctest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The clients of the provider.
const (
	nativeID  = "native"   // people, with PKCE
	machineID = "sid1"     // of the example's storage: client credentials
	serverID  = "millrace" // our server, which asks about tokens
	secret    = "secret"

	callback = "custom://auth/callback"
)

// provider is the example provider of zitadel/oidc, whose storage gives tokens the
// audience, the lifetime and the form that a test wants.
type provider struct {
	*storage.Storage
	*httptest.Server

	mu       sync.Mutex
	audience []string
	opaque   bool
	lifetime time.Duration
	keys     []*signingKey           // the first signs
	issued   map[string]*issuedToken // by id
}

type issuedToken struct {
	scopes, audience []string
	expires          time.Time
	revoked          bool
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	clients := map[string]*storage.Client{
		nativeID: storage.NativeClient(nativeID, callback), serverID: storage.WebClient(serverID, secret),
	}
	p := &provider{lifetime: time.Hour, keys: []*signingKey{newKey(t, "one")}, issued: map[string]*issuedToken{}}
	var handler http.Handler
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(p.Close)
	p.Storage = storage.NewStorageWithClients(storage.NewUserStore(p.URL), clients)
	handler = exampleop.SetupServer(p.URL, p, slog.New(slog.DiscardHandler), false)
	return p
}

// set changes the provider while it runs.
func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// client is a client whose tokens have the form that the test wants.
type client struct {
	op.Client
	p *provider
}

func (c client) AccessTokenType() op.AccessTokenType {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.opaque {
		return op.AccessTokenTypeBearer
	}
	return op.AccessTokenTypeJWT
}

func (c client) IsScopeAllowed(string) bool { return true }

func (p *provider) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := p.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c, p}, nil
}

func (p *provider) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := p.Storage.ClientCredentials(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	return client{c, p}, nil
}

// authRequest is a request with the audience that the test wants: the provider does
// not read RFC 8707's resource here.
type authRequest struct {
	op.AuthRequest
	p *provider
}

func (a authRequest) GetAudience() []string { return a.p.aud() }

func (p *provider) aud() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{serverID}, p.audience...)
}

func (p *provider) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	a, err := p.Storage.AuthRequestByCode(ctx, code)
	if err != nil {
		return nil, err
	}
	return authRequest{a, p}, nil
}

func (p *provider) ClientCredentialsTokenRequest(ctx context.Context, id string, scopes []string) (op.TokenRequest, error) {
	r, err := p.Storage.ClientCredentialsTokenRequest(ctx, id, scopes)
	if err != nil {
		return nil, err
	}
	r.(*oidc.JWTTokenRequest).Audience = p.aud()
	return r, nil
}

func (p *provider) CreateAccessToken(ctx context.Context, r op.TokenRequest) (string, time.Time, error) {
	id, _, err := p.Storage.CreateAccessToken(ctx, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	expires := time.Now().Add(p.lifetime)
	p.issued[id] = &issuedToken{scopes: r.GetScopes(), audience: append([]string{serverID}, p.audience...), expires: expires}
	return id, expires, err
}

func (p *provider) GetPrivateClaimsFromScopes(_ context.Context, _, _ string, scopes []string) (map[string]any, error) {
	return map[string]any{"scope": strings.Join(scopes, " ")}, nil
}

// SetIntrospectionFromToken tells what RFC 7662 lets a server tell.
func (p *provider) SetIntrospectionFromToken(_ context.Context, r *oidc.IntrospectionResponse, id, subject, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	tok := p.issued[id]
	if tok == nil || tok.revoked {
		return errInactive
	}
	r.Audience, r.Issuer, r.Subject, r.Scope, r.Expiration = tok.audience, p.URL, subject, tok.scopes, oidc.FromTime(tok.expires)
	return nil
}

var errInactive = errors.New("token is unknown or revoked")

// signingKey signs tokens and is published.
type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

func newKey(t *testing.T, id string) *signingKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &signingKey{id, k}
}

func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *signingKey) Key() any                                    { return k.key }
func (k *signingKey) ID() string                                  { return k.id }

// publicKey is the published half.
type publicKey struct{ *signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.key.PublicKey }

func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0], nil
}

func (p *provider) KeySet(context.Context) (keys []op.Key, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		keys = append(keys, publicKey{k})
	}
	return keys, nil
}
