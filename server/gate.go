package server

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/loop"
	"millrace/pool"
	"millrace/server/auth"
	"millrace/server/limit"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// largeBody is the size from which a message is scanned on a worker: a loop
// that scans megabytes keeps every other connection waiting.
const largeBody = 64 << 10

// gate stands between the transports and the protocol. Every request of every
// kind, era and transport passes it, and nothing else authenticates, limits,
// finds sessions or decides where a call runs. It is a transport.Dispatcher.
type gate struct {
	mcp     *mcp.Server
	memory  *memory
	auth    auth.Authenticator
	recall  auth.Recaller // auth, if it is one
	revoker auth.Revoker  // auth, if it is one
	policy  *auth.Policy
	judging atomic.Int64 // requests on workers whose credential is not known yet
	judges  int64        // most of them
	// judgedFrom counts them by address.
	judgedFrom *limit.Counter[netip.Prefix]
	room       *waitingRoom // of those who find no place
	resource   protectedResource
	leases     leases
	rates      *rates // nil: nothing is limited
	// principals counts the calls of each; nil: any number.
	principals *limit.Counter[string]

	methodRules bool // the policy has rules for methods
	pool        *pool.Pool
	sessions    *session.Registry
	log         *slog.Logger
	counters    counters
	hooks       *hookRunner
	calls       deadlines
	waits       waits
	logs        session.ReplayBudget // of what sessions keep for clients that come back

	metas metaTable

	maxInFlight int
	trace       bool // debug logs of every call are wanted
}

// Opened implements transport.Dispatcher.
func (g *gate) Opened(l *transport.Link) {
	c := &connection{link: l}
	if g.rates != nil {
		c.host = g.rates.host(l)
	}
	switch {
	case l.Protocol == transport.Stdio:
		c.who.Store(auth.Local) // the user's own process; its credentials come from the environment
	case g.auth == nil:
		c.who.Store(auth.Anonymous)
	}
	l.State = c
}

// Dispatch implements transport.Dispatcher.
func (g *gate) Dispatch(r *transport.Request, s transport.Stream) {
	in := inbound{gate: g, conn: stateOf(r.Link), req: r, stream: s}
	if in.who = in.knownSender(); in.who == nil && g.recall != nil && !in.recalled() {
		return
	}
	if in.who == nil && !in.admitStranger() {
		return
	}
	if in.who == nil || len(r.Body) > largeBody || in.conn.hasLine() {
		g.moveAway(&in)
		return
	}
	in.serve()
}

// inbound is one request on its way through the gate.
type inbound struct {
	gate     *gate
	conn     *connection
	req      *transport.Request
	stream   transport.Stream
	who      *auth.Principal
	known    *mcp.KnownMeta // what its _meta most likely is; nil when nobody knows
	detached bool
	from     netip.Prefix // where a credential that is being verified came from
}

// serve handles a request whose sender is known.
func (in *inbound) serve() {
	switch in.req.Kind {
	case transport.Message:
		in.message()
	case transport.Upgrade:
		in.upgrade()
	case transport.OpenStream:
		in.openStream()
	case transport.EndSession:
		in.endSession()
	}
}

// upgrade accepts a WebSocket and remembers what its session will want to know.
func (in *inbound) upgrade() {
	if !in.conn.upgrade(clientOf(in.conn.link, in.req.Header)) {
		in.gate.counters.overloaded.Inc()
		in.failWith(transport.Response{Status: 503, RetryAfter: 1}, nil, overloadError(false, errDraining))
		return
	}
	in.stream.Respond(transport.Response{Status: 101})
	link := in.conn.link
	in.conn.lease(in.gate, in.who, func() { link.Close(closeUnauthorized, authorizationOver) })
	in.done()
}

// message handles one JSON-RPC message or a batch.
func (in *inbound) message() {
	if jsonrpc.IsBatch(in.req.Body) {
		in.batch()
		return
	}
	in.known = in.knownMeta()
	msg, err := jsonrpc.ParseRepeated(in.req.Body, nil, in.known.Object())
	if err != nil {
		in.malformed(&msg, err)
		return
	}
	in.route(&msg)
}

// route sends a well-formed message where its kind belongs.
func (in *inbound) route(msg *jsonrpc.Message) {
	switch msg.Kind {
	case jsonrpc.KindRequest:
		in.request(msg)
	case jsonrpc.KindNotification:
		in.notification(msg)
	default:
		in.response(msg)
	}
}

// malformed answers what is not a JSON-RPC message.
func (in *inbound) malformed(msg *jsonrpc.Message, err *jsonrpc.Error) {
	id := msg.ID
	if err.Code == jsonrpc.CodeInvalidRequest && !asksForAnswer(in.req.Body) {
		// An error with the id of a bad response would pass for the answer to
		// the client's own request of that id.
		in.dropped(err)
		return
	}
	if id == nil && in.nullID() {
		id = jsonrpc.NullID
	}
	in.fail(400, id, err)
}

// asksForAnswer reports whether a message that is JSON, but no message, was
// meant as a request: not as a response, nor as a notification.
func asksForAnswer(body []byte) bool {
	if jsonrpc.Member(body, "method") != nil {
		return jsonrpc.Member(body, "id") != nil
	}
	return jsonrpc.Member(body, "result") == nil && jsonrpc.Member(body, "error") == nil
}

// request finds the era of a request and serves it.
func (in *inbound) request(msg *jsonrpc.Message) {
	meta, err := in.known.Parse(msg.Params)
	if err != nil {
		in.fail(400, msg.ID, err)
		return
	}
	in.learnMeta(&meta)
	c := newCall(in, msg, &meta)
	c.modern = in.isModern(msg, &meta)
	c.mcp.Modern = c.modern
	if in.gate.rates != nil && !in.admitCall(c) {
		return
	}
	if c.modern {
		in.modern(c)
	} else {
		in.legacy(c)
	}
}

// response handles a client's answer to a request of the server's. It is handed
// over where it arrives, never behind a queue: a worker may wait for it. What
// answers nothing is ignored.
func (in *inbound) response(msg *jsonrpc.Message) {
	if in.conn.link.Protocol != transport.HTTP {
		if s := in.boundSession(); s != nil {
			s.reg.Touch(time.Now())
			s.asked.deliver(msg)
		}
		in.done()
		return
	}
	if h := in.req.Header; in.headerIsModern() {
		in.fail(400, nil, invalidRequest("a client of this revision sends no responses"))
	} else if s, fail := in.find(h); fail != nil {
		in.fail(fail.status, nil, fail.err)
	} else {
		s.asked.deliver(msg)
		in.accepted()
	}
}

// start runs a call: on this goroutine when it may, else on a worker.
func (in *inbound) start(c *call) {
	g := in.gate
	plan := g.mcp.Plan(c.mcp)
	c.timeout = plan.Timeout
	if g.policy != nil && !in.authorized(c) || g.rates != nil && !in.admitTool(c) {
		return
	}
	if g.memory.short.Load() && (plan.Class != mcp.ClassInline || c.mcp.Method == methodCallTool || c.mcp.Method == mcp.MethodListen || c.fresh != nil) {
		c.refuse(in, errMemory)
		return
	}
	if c.mcp.Method == mcp.MethodListen {
		in.listen(c, plan)
		return
	}
	if plan.Class == mcp.ClassInline {
		if err := in.conn.admits(c); err != nil {
			c.refuse(in, err)
			return
		}
		c.serveInline(in)
		return
	}
	if err := g.sit(c); err != nil {
		c.refuse(in, err)
		return
	}
	in.leave(c)
	if err := in.conn.enter(c, g.maxInFlight); err != nil {
		c.stand()
		c.refuse(in, err)
		return
	}
	if c.session != nil && !in.conn.shared() {
		if err := c.session.enter(c, g.maxInFlight); err != nil {
			c.stand()
			in.conn.exit(c)
			c.refuse(in, err)
			return
		}
	}
	c.owner, c.class = in.ownerFor(c.session), pool.Blocking
	if plan.Class == mcp.ClassCPU {
		c.class = pool.CPU
	}
	g.calls.add(c)
	if err := g.pool.Submit(c.class, c.owner, c); err != nil {
		c.stand()
		c.overloaded(err)
	}
}

// ownerFor is whose share of the pool a message takes: that of its session where
// the work goes on without the connection.
func (in *inbound) ownerFor(s *legacySession) *pool.Owner {
	if s != nil && !in.conn.shared() {
		return &s.owner
	}
	return &in.conn.owner
}

// leave detaches the request and moves the views of the call along. The header
// is wanted again by a call that may open a session.
func (in *inbound) leave(c *call) {
	if !in.detached {
		old := in.req.Body
		in.req, in.stream = in.req.Detach(c.fresh != nil)
		in.detached = true
		c.mcp.Rebase(old, in.req.Body)
	}
	c.req, c.stream, c.size = in.req, in.stream, len(in.req.Body)
	c.mcp.Notifier, c.mcp.Host = c, c
	if c.session != nil && !in.conn.shared() {
		c.stream.OnSilence(c.primeEvents)
	}
	if in.conn.shared() {
		c.stream.Open("") // on HTTP+SSE the POST must not wait for the answer
	}
	if c.fresh != nil {
		c.stream.Hold()
	}
}

// Drain implements transport.Dispatcher. A WebSocket ends with its last call,
// subscriptions and legacy event streams that belong to no call at once, and any
// other HTTP exchange with its answer.
func (g *gate) Drain(l *transport.Link) {
	cn := stateOf(l)
	cn.mu.Lock()
	cn.draining = true
	bye, get, out := cn.rest(), cn.get, cn.getOut
	cn.mu.Unlock()
	for _, c := range cn.listens() {
		c.endListen("server is shutting down")
	}
	if get != nil && get.standby {
		out.End()
		get.away(out)
	}
	if bye {
		cn.goAway()
	}
}

// Closed implements transport.Dispatcher. What the end of a connection means
// for its calls differs: on a shared connection nobody is left to answer; the
// closed response stream of a 2026-07-28 request is its cancellation; before,
// "disconnection SHOULD NOT be interpreted as the client cancelling its
// request" (25:basic/transports).
func (g *gate) Closed(l *transport.Link, why error) {
	cn := stateOf(l)
	if g.auth != nil {
		g.leases.drop(cn)
	}
	cn.mu.Lock()
	cn.closed = true
	calls, sess, get, out := cn.calls, cn.session, cn.get, cn.getOut
	cn.calls, cn.session, cn.get = nil, nil, nil
	cn.mu.Unlock()
	for _, c := range calls {
		if cn.shared() || c.modern {
			c.cancel(errDisconnected)
		} else {
			c.leftAlone()
		}
	}
	if get != nil {
		get.away(out)
	}
	if sess != nil {
		reason := session.Disconnected
		if errors.Is(why, loop.ErrNoPong) {
			reason = session.NoPong
		}
		g.endSession(sess, reason)
	}
}

var errDisconnected = errors.New("client disconnected")
