// Package auth says who a caller is. The gate in package server asks an
// Authenticator once for every request of every kind and transport; everything
// behind the gate sees only the Principal.
package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// Principal is an authenticated caller, or Anonymous. It is immutable and safe
// for any goroutine.
type Principal struct {
	// ID names the caller uniquely within this server; "" is Anonymous.
	ID string
	// Scopes are the permissions the credential carries.
	Scopes []string
	// Expires is when the credential ends; the zero time means never.
	Expires time.Time

	local bool // see Local
	from  any  // what has let the principal in, if that may take it back
}

// Local is the user who has started this process and talks to it over its standard
// input. It is Anonymous, and a Policy asks it for no scope.
var Local = &Principal{local: true}

// Anonymous is the caller when no authentication is configured.
var Anonymous = &Principal{}

// IsAnonymous reports whether p is nobody in particular.
func (p *Principal) IsAnonymous() bool { return p == nil || p.ID == "" }

// HasScope reports whether p carries scope.
func (p *Principal) HasScope(scope string) bool {
	return p != nil && slices.Contains(p.Scopes, scope)
}

// ended reports whether the credential of p has ended at now.
func (p *Principal) ended(now time.Time) bool {
	return !p.Expires.IsZero() && !now.Before(p.Expires)
}

// Credentials is what a request offers to prove who sends it. The strings are
// safe to keep; they must never be logged.
type Credentials struct {
	// Authorization is the value of the Authorization header field, or, for a
	// WebSocket, "Bearer " and the token of the mcp.auth.<token> subprotocol.
	Authorization string
	// RemoteAddr is the client's address, after trusted proxies.
	RemoteAddr string
	// Certificate is the verified certificate of the connection; nil if there is none.
	Certificate *x509.Certificate
}

// ErrUnauthenticated is the reason to answer 401: no credential, or one that
// does not hold.
var ErrUnauthenticated = errors.New("authentication required")

// An Authenticator turns credentials into a Principal.
//
// Authenticate is called on a pool worker and may block; it must honour ctx.
// An error that wraps ErrUnauthenticated is answered 401, one that wraps
// ErrMalformed 400, any other error 503.
type Authenticator interface {
	Authenticate(ctx context.Context, c Credentials) (*Principal, error)
}

// A Revoker is an Authenticator that can take back what it has said. The gate asks
// about who holds a long connection or stream, once a second.
type Revoker interface {
	Authenticator
	// Revoked reports whether the credential that p came from is not good any more.
	// It must not block.
	Revoked(p *Principal) bool
}

// A Recaller is an Authenticator that remembers what it has said. The gate asks it
// first, so that a request of a caller who is known need not leave its event loop.
type Recaller interface {
	Authenticator
	// Recall returns what Authenticate would say of the value of an Authorization
	// field and a certificate, or nil and nil when that has yet to be found out. It
	// is called on an event loop: it must not block. It keeps nothing of
	// authorization.
	Recall(authorization []byte, cert *x509.Certificate) (*Principal, error)
}
