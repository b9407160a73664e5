// Package auth says who a caller is. The gate in package server asks an
// Authenticator once for every request of every kind and transport; everything
// behind the gate sees only the Principal.
package auth

import (
	"context"
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
}

// Anonymous is the caller when no authentication is configured.
var Anonymous = &Principal{}

// IsAnonymous reports whether p is nobody in particular.
func (p *Principal) IsAnonymous() bool { return p == nil || p.ID == "" }

// HasScope reports whether p carries scope.
func (p *Principal) HasScope(scope string) bool {
	return p != nil && slices.Contains(p.Scopes, scope)
}

// Credentials is what a request offers to prove who sends it. The strings are
// safe to keep; they must never be logged.
type Credentials struct {
	// Authorization is the value of the Authorization header field, or, for a
	// WebSocket, "Bearer " and the token of the mcp.auth.<token> subprotocol.
	Authorization string
	// RemoteAddr is the client's address, after trusted proxies.
	RemoteAddr string
}

// ErrUnauthenticated is the reason to answer 401: no credential, or one that
// does not hold.
var ErrUnauthenticated = errors.New("authentication required")

// An Authenticator turns credentials into a Principal.
//
// Authenticate is called on a pool worker and may block; it must honour ctx.
// An error that wraps ErrUnauthenticated is answered 401, any other error 503.
type Authenticator interface {
	Authenticate(ctx context.Context, c Credentials) (*Principal, error)
}
