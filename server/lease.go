package server

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"millrace/server/auth"
)

// closeUnauthorized is the close code of a WebSocket whose authorization has
// ended (docs/websocket.md).
const closeUnauthorized = 4401

const authorizationOver = "authorization has ended"

// leases end what lives longer than one request: WebSockets, event streams and
// subscriptions, for which "clients MUST present a token with every request" says
// nothing. They go with the credential they were opened with, a second later at
// most. Any goroutine.
type leases struct {
	mu sync.Mutex
	of map[*connection]lease
}

type lease struct {
	who *auth.Principal
	end func()
}

// lease has end called when the authorization of who ends. A connection has one at
// a time. end must not block; it may be called when there is nothing to end any
// more.
func (cn *connection) lease(g *gate, who *auth.Principal, end func()) {
	if g.auth == nil || who.Expires.IsZero() && g.revoker == nil {
		return
	}
	g.leases.put(cn, lease{who, end})
	switch {
	case cn.isClosed(): // Closed has found no lease to drop
		g.leases.drop(cn)
	case g.ended(who, time.Now()): // while it was opened
		g.leases.drop(cn)
		end()
	}
}

// ended reports whether the authorization of who has ended. A Revoker is somebody
// else's code.
func (g *gate) ended(who *auth.Principal, now time.Time) (over bool) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("authenticator panicked", "type", fmt.Sprintf("%T", v))
			over = true
		}
	}()
	return !who.Expires.IsZero() && !now.Before(who.Expires) || g.revoker != nil && g.revoker.Revoked(who)
}

func (l *leases) put(cn *connection, held lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[*connection]lease{}
	}
	l.of[cn] = held
}

// drop forgets the lease of a connection that has ended.
func (l *leases) drop(cn *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, cn)
}

// sweepLeases ends what is over at now. It asks outside of the lock, which event
// loops take.
func (g *gate) sweepLeases(now time.Time) {
	for cn, l := range g.leases.all() {
		if g.ended(l.who, now) {
			g.leases.dropOf(cn, l.who)
			l.end()
		}
	}
}

// dropOf forgets the lease of a connection, unless it is another one's by now.
func (l *leases) dropOf(cn *connection, who *auth.Principal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[cn].who == who {
		delete(l.of, cn)
	}
}

func (l *leases) all() map[*connection]lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.of)
}
