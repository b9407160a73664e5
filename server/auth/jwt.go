package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// JWTConfig describes whose JSON Web Tokens are accepted.
type JWTConfig struct {
	// Issuers are the authorization servers whose tokens are accepted. At least one.
	Issuers []Issuer
	// Audience are the values of which a token's aud must hold one: the public URL
	// of this server. Tokens for other servers must not pass, so there is no
	// default.
	Audience []string
	// Logger is told when keys cannot be fetched. Default slog.Default().
	Logger *slog.Logger
}

// Issuer is one authorization server.
type Issuer struct {
	// URL is its issuer identifier, exactly as tokens have it in iss. It must be
	// https, or http on loopback.
	URL string
	// JWKS is the URL of its key set. Empty: what its metadata says (RFC 8414,
	// OpenID Connect Discovery).
	JWKS string
}

// JWT is a Verifier of signed access tokens (RFC 9068; RFC 7519 by the rules of
// RFC 8725): RS256, PS256, ES256 or EdDSA by a key that the issuer publishes for
// it; iss, aud, exp, nbf, iat and sub are judged with a minute of leeway. Keys are
// fetched when the first token wants them, again every 15 minutes, and, at most
// twice a minute, when a token names a key that is not known; when the issuer does
// not answer the old ones serve for a day. Any goroutine.
type JWT struct {
	issuers map[string]*jwtIssuer
	aud     audience
	now     func() time.Time
	parser  *jwt.Parser
}

type jwtIssuer struct {
	url  string
	keys *keySet
}

// NewJWT returns a JWT, or says what is wrong with cfg. It fetches nothing.
func NewJWT(cfg JWTConfig) (*JWT, error) {
	if len(cfg.Issuers) == 0 {
		return nil, errors.New("no issuer")
	}
	aud, err := newAudience(cfg.Audience)
	if err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	v := &JWT{
		issuers: map[string]*jwtIssuer{}, aud: aud, now: time.Now,
		// Claims are judged by us, as those of opaque tokens are.
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding()),
	}
	for _, i := range cfg.Issuers {
		if err := i.check(); err != nil {
			return nil, err
		}
		if v.issuers[i.URL] != nil {
			return nil, fmt.Errorf("issuer %s is given twice", i.URL)
		}
		v.issuers[i.URL] = &jwtIssuer{i.URL, i.keySet(log)}
	}
	return v, nil
}

func (i *Issuer) check() error {
	if err := checkIssuer(i.URL); err != nil {
		return err
	}
	if i.JWKS != "" {
		if err := checkURL(i.JWKS); err != nil {
			return fmt.Errorf("key set of %s: %w", i.URL, err)
		}
	}
	return nil
}

func (i *Issuer) keySet(log *slog.Logger) *keySet {
	f := newFetcher(i.URL, i.JWKS)
	issuer, at := i.URL, i.JWKS
	return &keySet{name: issuer, log: log, now: time.Now, fetch: func(ctx context.Context) ([]*verifyKey, error) {
		url := at
		if url == "" {
			m, err := discover(ctx, f, issuer)
			if err != nil {
				return nil, err
			}
			url = m.JWKSURI
		}
		var set struct {
			Keys []jwk `json:"keys"`
		}
		if err := f.get(ctx, url, &set); err != nil {
			return nil, err
		}
		return parseKeys(set.Keys)
	}}
}

// Verify implements Verifier.
func (v *JWT) Verify(ctx context.Context, token string) (*Principal, error) {
	if strings.Count(token, ".") != 2 {
		return nil, ErrNotMine
	}
	c := new(jwtClaims)
	var issuer *jwtIssuer
	var unsure error // why the token could not be judged, if that is not its own fault
	_, err := v.parser.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		if err := checkHeader(t.Header); err != nil {
			return nil, err
		}
		if issuer = v.issuers[c.Issuer]; issuer == nil {
			return nil, invalid("its issuer is not known here")
		}
		kid, _ := t.Header["kid"].(string)
		k, err := issuer.keys.find(ctx, kid, t.Method.Alg())
		if err != nil {
			if !errors.Is(err, ErrInvalidToken) {
				unsure = err
			}
			return nil, err
		}
		return k.key, nil
	})
	switch {
	case unsure != nil:
		return nil, unsure
	case errors.Is(err, ErrInvalidToken):
		return nil, err
	case err != nil:
		return nil, invalid("it is malformed, or its signature is wrong")
	}
	return c.principal(issuer.url, v.aud, v.now())
}

// checkHeader refuses what would make the token something else than it seems:
// "typ" tells an access token from other JWTs of the same issuer (RFC 8725,
// section 3.11), and an extension that is critical and not understood "MUST be
// rejected" (RFC 7515, section 4.1.11). jku, jwk and x5u are not looked at.
func checkHeader(h map[string]any) error {
	if typ, there := h["typ"]; there {
		s, _ := typ.(string)
		switch strings.ToLower(strings.TrimPrefix(strings.ToLower(s), "application/")) {
		case "jwt", "at+jwt":
		default:
			return invalid("it is a JWT of another type")
		}
	}
	if _, there := h["crit"]; there {
		return invalid("it has critical extensions")
	}
	if kid, there := h["kid"]; there {
		if s, ok := kid.(string); !ok || s == "" || len(s) > maxKeyID {
			return invalid("its key id is unusable")
		}
	}
	return nil
}

// jwtClaims are claims as golang-jwt wants them.
type jwtClaims struct{ claims }

func (c *jwtClaims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (c *jwtClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (c *jwtClaims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (c *jwtClaims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *jwtClaims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *jwtClaims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings(c.Audience), nil }
