package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"millrace/pool"
	"millrace/server/auth"
	"millrace/server/transport"
)

// moveAway continues on a worker: the credential has to be verified, which may
// block, or the message is too long to be scanned on the loop. What follows on a
// shared connection queues up behind it, so that a cancellation never overtakes
// the request it means. One worker reads the line of a connection, in order.
func (g *gate) moveAway(in *inbound) {
	wait := false
	if in.who == nil && !in.judge() {
		if wait = g.room.enter(in); !wait {
			in.overloaded(errJudging)
			return
		}
	}
	if err := in.conn.depart(g.maxInFlight); err != nil {
		if wait {
			g.room.leave(in)
		} else {
			in.judged()
		}
		in.overloaded(err)
		return
	}
	away := &inbound{gate: g, conn: in.conn, who: in.who, from: in.from, detached: true}
	away.req, away.stream = in.req.Detach(true)
	if wait {
		g.room.add(away, time.Now())
		g.nextStranger() // a place may have come free meanwhile
		return
	}
	g.line(away)
}

// line gives a request to the reader of its connection's line.
func (g *gate) line(away *inbound) {
	if !away.conn.lineUp(away) {
		return
	}
	if err := g.pool.Submit(pool.Blocking, &away.conn.owner, lineReader{away.conn}); err != nil {
		for in := away.conn.nextInLine(); in != nil; in = away.conn.nextInLine() {
			in.judged()
			in.overloaded(err)
			in.conn.arrive()
		}
	}
}

// lineReader is the task that reads the line of a connection.
type lineReader struct{ conn *connection }

// Run implements pool.Task.
func (l lineReader) Run() {
	finished := false
	defer func() {
		if finished {
			return
		}
		// A bug in the engine, which the pool logs, or somebody's code has ended the
		// goroutine. The line has lost its reader: the connection cannot go on.
		l.conn.link.Close(1011, "internal error")
		for in := l.conn.nextInLine(); in != nil; in = l.conn.nextInLine() {
			in.judged()
			in.overloaded(errGone)
			in.conn.arrive()
		}
	}()
	for in := l.conn.nextInLine(); in != nil; in = l.conn.nextInLine() {
		in.Run()
	}
	finished = true
}

// Run is the second half of moveAway.
func (in *inbound) Run() {
	defer in.conn.arrive()
	if in.who == nil {
		who, err := func() (*auth.Principal, error) {
			defer in.gate.nextStranger()
			defer in.judged()
			return in.gate.identify(in)
		}()
		if err != nil {
			in.unauthorized(err)
			return
		}
		if !in.admit(who) {
			return
		}
	}
	in.serve()
}

// recalled asks who sends the request where the answer is at hand. It is false
// when the request has been answered: it is refused.
func (in *inbound) recalled() bool {
	var authorization []byte
	var cert *x509.Certificate
	if h := in.req.Header; h != nil {
		authorization, cert = h.Authorization, h.Certificate
	}
	who, err := in.gate.recall.Recall(authorization, cert)
	if err != nil {
		in.unauthorized(err)
		return false
	}
	return who == nil || in.admit(who)
}

// admit makes who the sender of the request. It is false when the request has been
// answered: the session is another one's.
func (in *inbound) admit(who *auth.Principal) bool {
	if !in.owns(who) {
		in.fail(404, nil, invalidRequest("no such session: GET /sse opens one"))
		return false
	}
	if in.req.Kind == transport.Upgrade {
		in.conn.who.Store(who)
	}
	in.who = who
	return true
}

// identify asks the Authenticator who sends the request. A WebSocket is asked
// once, at its upgrade.
func (g *gate) identify(in *inbound) (*auth.Principal, error) {
	ctx, cancel := context.WithTimeout(context.Background(), authTimeout)
	defer cancel()
	c := auth.Credentials{RemoteAddr: in.conn.link.Remote}
	if h := in.req.Header; h != nil {
		c.Authorization, c.Certificate = string(h.Authorization), h.Certificate
	}
	return g.authenticate(ctx, c)
}

// authenticate keeps the faults of an Authenticator from being anything but
// refusals. What it panicked with may hold the credential and is not logged.
func (g *gate) authenticate(ctx context.Context, c auth.Credentials) (who *auth.Principal, err error) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("authenticator panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			who, err = nil, errAuthPanicked
		}
	}()
	who, err = g.auth.Authenticate(ctx, c)
	if err == nil && who == nil {
		err = errNoPrincipal
	}
	return who, err
}

var (
	errAuthPanicked = errors.New("it panicked")
	errNoPrincipal  = errors.New("it returned neither a principal nor an error")
)

// authTimeout bounds one question to an Authenticator. It is shorter than the
// time after which a silent answer becomes an event stream, which has no status.
const authTimeout = 5 * time.Second
