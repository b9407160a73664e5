package server

import (
	"errors"
	"sync"
	"sync/atomic"

	"millrace/codec/jsonrpc"
	"millrace/pool"
	"millrace/server/auth"
	"millrace/server/limit"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// connection is what the gate keeps for a Link: Link.State. A WebSocket or
// stdio connection carries many calls and at most one legacy session; an HTTP
// connection carries one exchange at a time. Any goroutine.
type connection struct {
	link  *transport.Link
	host  limit.Key // whom anonymous requests count for; 0 when nothing is limited
	owner pool.Owner

	who  atomic.Pointer[auth.Principal] // of every request here, once it is known
	meta atomic.Pointer[mcp.KnownMeta]  // what requests here lately came with

	mu       sync.Mutex
	session  *legacySession      // of a WebSocket or stdio
	calls    []*call             // that have entered and not left
	away     int                 // requests that a worker is still reading
	line     []*inbound          // of them, those that no worker has taken up
	reading  bool                // a worker reads the line
	get      *eventStream        // the legacy stream that a GET on this connection serves
	getOut   transport.Stream    // its way out here
	client   *session.ClientInfo // of the upgrade, until a session has it
	upgraded bool                // the upgrade was accepted
	draining bool
	unheard  bool // the client has ended its side: nothing is listened to any more
	closed   bool
	idle     chan struct{} // closed when nothing is in flight, if somebody waits
}

func stateOf(l *transport.Link) *connection { return l.State.(*connection) }

// Why a connection takes no further request.
var (
	errGone      = errors.New("connection is closed")
	errDraining  = errors.New("server is shutting down")
	errDuplicate = errors.New("a request with this id is already in flight on this connection")
	errBusy      = errors.New("too many requests in flight on this connection")
)

// shared reports whether many calls travel on the connection at once.
func (cn *connection) shared() bool { return cn.link.Protocol != transport.HTTP }

// enter counts a call in flight, or says why it may not be. A call that is
// answered does not count, although it has yet to leave: its client knows that
// it is over, and may use its id again.
func (cn *connection) enter(c *call, limit int) error {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	live, err := cn.judge(c)
	if err != nil {
		return err
	}
	if live >= limit {
		return errBusy
	}
	cn.calls = append(cn.calls, c)
	return nil
}

// admits judges a call that is answered at once and never in flight.
func (cn *connection) admits(c *call) error {
	if !cn.shared() {
		return nil
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	_, err := cn.judge(c)
	return err
}

// judge counts the calls in flight, or says why c may not run beside them. On a
// shared connection ids in flight are unique, and a draining one takes no more
// calls: else it would never be idle. Under mu.
func (cn *connection) judge(c *call) (live int, err error) {
	switch {
	case cn.closed && (cn.shared() || c.mcp.Modern):
		return 0, errGone // a legacy call over HTTP goes on without its connection
	case cn.draining && cn.shared():
		return 0, errDraining
	}
	if cn.shared() && findCall(cn.calls, c.mcp.ID) != nil {
		return 0, errDuplicate
	}
	live, _ = census(cn.calls)
	return live, nil
}

// census counts calls that are not over: those that work, and those that wait
// for a person, who may take long and must not keep others from being served.
func census(calls []*call) (live, waiting int) {
	for _, c := range calls {
		switch {
		case c.over():
		case c.waiting.Load() > 0:
			waiting++
		default:
			live++
		}
	}
	return live, waiting
}

// opens makes e the stream that a GET serves on this connection; it is false
// when the connection is ending.
func (cn *connection) opens(e *eventStream, out transport.Stream) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.draining || cn.closed {
		return false
	}
	cn.get, cn.getOut = e, out
	return true
}

// hangUp notes that the client has ended its side. What it was asked will not be
// answered, once its last messages are read. The listens that it returns are the
// last: what is still opening ends itself.
func (cn *connection) hangUp() []*call {
	cn.mu.Lock()
	cn.unheard = true
	cn.giveUp()
	cn.mu.Unlock()
	return cn.listens()
}

// giveUp ends the questions of a client that says nothing more. Under mu.
func (cn *connection) giveUp() {
	if cn.unheard && cn.away == 0 && cn.session != nil {
		cn.session.asked.close()
	}
}

// endsListens reports whether a subscription that has just been opened must end.
func (cn *connection) endsListens() bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.draining || cn.unheard
}

func (cn *connection) isClosed() bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.closed
}

// listens are the subscriptions open on the connection.
func (cn *connection) listens() (all []*call) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	for _, c := range cn.calls {
		if c.mcp.Method == mcp.MethodListen {
			all = append(all, c)
		}
	}
	return all
}

// lookup finds a call in flight by its id, as raw JSON.
func (cn *connection) lookup(id []byte) *call {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return findCall(cn.calls, id)
}

// findCall finds a call that is not over. The lock of the list must be held: a
// call leaves it before its id is released.
func findCall(calls []*call, id []byte) *call {
	for _, c := range calls {
		if !c.over() && jsonrpc.SameID(c.mcp.ID, id) {
			return c
		}
	}
	return nil
}

// exit takes a call out again, once its answer was handed over.
func (cn *connection) exit(c *call) {
	cn.mu.Lock()
	gone := dropCall(&cn.calls, c)
	bye := gone && cn.rest()
	cn.mu.Unlock()
	if bye {
		cn.goAway()
	}
}

// dropCall removes c from an unordered list; it is false when c is not there.
func dropCall(calls *[]*call, c *call) bool {
	list := *calls
	for i, other := range list {
		if other == c {
			last := len(list) - 1
			list[i], list[last] = list[last], nil
			*calls = list[:last]
			return true
		}
	}
	return false
}

// depart counts a request that a worker will read. They are bounded like calls:
// each holds a whole message.
func (cn *connection) depart(limit int) error {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.away >= limit {
		return errBusy
	}
	cn.away++
	return nil
}

// lineUp appends a request to the line, and reports whether the line needs a
// reader.
func (cn *connection) lineUp(in *inbound) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.line = append(cn.line, in)
	first := !cn.reading
	cn.reading = true
	return first
}

// nextInLine takes the first request from the line. When there is none the line
// has lost its reader.
func (cn *connection) nextInLine() *inbound {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if len(cn.line) == 0 {
		cn.line, cn.reading = nil, false
		return nil
	}
	in := cn.line[0]
	cn.line[0] = nil
	cn.line = cn.line[1:]
	return in
}

// hasLine reports whether the next message has to queue up. On HTTP there is
// nothing to overtake.
func (cn *connection) hasLine() bool {
	if !cn.shared() {
		return false
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.reading
}

// arrive undoes depart, when the request was refused or has become a call.
func (cn *connection) arrive() {
	cn.mu.Lock()
	cn.away--
	cn.giveUp()
	bye := cn.rest()
	cn.mu.Unlock()
	if bye {
		cn.goAway()
	}
}

// rest wakes who waits for a connection with nothing in flight, and reports
// whether it should be closed now. Under mu.
func (cn *connection) rest() (bye bool) {
	if len(cn.calls) > 0 || cn.away > 0 {
		return false
	}
	if cn.idle != nil {
		close(cn.idle)
		cn.idle = nil
	}
	return cn.draining && cn.upgraded
}

// inFlight is how many calls have not been answered.
func (cn *connection) inFlight() (n int) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	for _, c := range cn.calls {
		if !c.over() {
			n++
		}
	}
	return n + cn.away
}

// whenIdle is closed when nothing is in flight. One caller.
func (cn *connection) whenIdle() <-chan struct{} {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	idle := make(chan struct{})
	cn.idle = idle
	cn.rest()
	return idle
}

// upgrade makes the connection a WebSocket, unless the server is on its way
// out.
func (cn *connection) upgrade(client *session.ClientInfo) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.draining {
		return false
	}
	cn.client, cn.upgraded = client, true
	return true
}

// goAway closes a drained WebSocket.
func (cn *connection) goAway() { cn.link.Close(1001, "server is shutting down") }

// bind makes s the session of a WebSocket or stdio connection. Such a session
// lives as long as the connection, so it is held: it does not expire by itself.
// It is false when there is one already, or no connection any more.
func (cn *connection) bind(s *legacySession) bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.closed || cn.session != nil {
		return false
	}
	s.reg.Hold()
	cn.session, cn.client = s, nil
	cn.giveUp()
	return true
}
