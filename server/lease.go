package server

import (
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
	if cn.isClosed() { // Closed has found no lease to drop
		g.leases.drop(cn)
	}
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

// sweep ends what is over at now.
func (g *gate) sweepLeases(now time.Time) {
	var over []lease
	g.leases.mu.Lock()
	for cn, l := range g.leases.of {
		if expired := !l.who.Expires.IsZero() && !now.Before(l.who.Expires); expired || g.revoker != nil && g.revoker.Revoked(l.who) {
			over = append(over, l)
			delete(g.leases.of, cn)
		}
	}
	g.leases.mu.Unlock()
	for _, l := range over {
		l.end()
	}
}
