package server

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// eventStream is an event stream of a legacy session over HTTP: that of one
// call, from its first event on, or one that the client has opened with GET. It
// outlives its connection: what is sent meanwhile waits in the session's log for
// a GET with Last-Event-ID. Any goroutine.
type eventStream struct {
	session *legacySession
	standby bool // opened with GET, for what belongs to no call

	mu     sync.Mutex       // keeps events in order; before the session's
	number uint64           // in the session's log; 0: nothing has been sent
	out    transport.Stream // nil while the client is away
	held   bool             // out holds the session
	known  bool             // the client has an id to come back with
	done   bool

	read atomic.Bool // out is not nil
}

// newEventStream returns a stream whose connection is out.
func newEventStream(s *legacySession, out transport.Stream, standby bool) *eventStream {
	e := &eventStream{session: s, out: out, standby: standby}
	e.read.Store(out != nil)
	return e
}

// send sends an event, or keeps it for the client to come back. It is false when
// the client will never see the event: it is away, or takes no event stream, and
// has no id to come back with.
func (e *eventStream) send(msg []byte, keep bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done || e.out == nil && !e.known {
		return false
	}
	e.begin(0)
	id := e.session.log(e.number, msg, false)
	if e.out != nil && e.out.Send(transport.Event{Data: msg, ID: id, Keep: keep}) {
		e.known = e.known || id != ""
		return true
	}
	return id != "" && e.known
}

// begin makes the stream one that can be resumed, before its first event. From
// 2025-11-25 on "the server SHOULD immediately send an SSE event consisting of an
// event ID and an empty data field in order to prime the client to reconnect";
// clients of older revisions would take it for a message. Under mu.
func (e *eventStream) begin(retry time.Duration) {
	if e.number != 0 {
		return
	}
	prime := ""
	e.number, prime = e.session.openLog(e)
	if e.out != nil && prime != "" && e.session.mcp.Version() >= mcp.Version20251125 {
		e.known = e.out.Send(transport.Event{ID: prime, Retry: retry, Keep: true})
	}
}

// prime begins a stream that has been silent for long.
func (e *eventStream) prime() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.done {
		e.begin(0)
	}
}

// respond sends the answer of a call, and ends the stream.
func (e *eventStream) respond(r transport.Response) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done {
		buffer.Put(r.Body)
		return
	}
	e.done = true
	if e.number != 0 && r.Body != nil {
		r.EventID = e.session.log(e.number, r.Body.B, true)
	}
	if e.out == nil {
		buffer.Put(r.Body)
		return
	}
	e.out.Respond(r)
	e.letGo()
}

// end ends the stream without an answer.
func (e *eventStream) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = true
	if e.number != 0 {
		e.session.forgetLog(e.number)
	}
	if e.out != nil {
		e.out.End()
		e.letGo()
	}
}

// away notes that the connection of out is gone.
func (e *eventStream) away(out transport.Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out == out {
		e.letGo()
	}
}

// letGo forgets the connection. Under mu.
func (e *eventStream) letGo() {
	e.out = nil
	e.read.Store(false)
	if e.held {
		e.held = false
		e.session.reg.Release(time.Now())
	}
}

// disconnect ends the connection, not the stream: the client comes back for the
// rest after retry. "If the server does close the connection prior to
// terminating the SSE stream, it SHOULD send an SSE event with a standard retry
// field before" (25:basic/transports). It is false for a client that could not
// come back: one of an older revision, which is not primed, before its first event.
func (e *eventStream) disconnect(retry time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done || e.out == nil {
		return false
	}
	if e.number == 0 {
		e.begin(retry)
	} else if e.known {
		e.out.Send(transport.Event{Retry: retry, Keep: true})
	}
	if !e.known {
		return false
	}
	e.out.End()
	e.letGo()
	return true
}

// start makes out the first connection of a GET stream, unless something has
// ended it already.
func (e *eventStream) start(out transport.Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done {
		out.End()
		return
	}
	e.attach(out)
	e.begin(0)
}

// resume sends on out what came after an event, and from now on everything else.
// The connection that the client had before ends. The log is read under mu: what
// is sent on the stream meanwhile comes behind.
func (e *eventStream) resume(out transport.Stream, lastEventID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out != nil {
		e.out.End()
		e.letGo()
	}
	_, r, known, err := e.session.lookBack(lastEventID)
	if known && err == nil {
		for _, ev := range r.Events {
			out.Send(transport.Event{ID: ev.ID, Data: ev.Data, Keep: true})
		}
	}
	if e.done || !known || err != nil { // over, or pushed out of the log this very moment
		out.End()
		return
	}
	e.known = true
	e.attach(out)
}

// attach makes out the connection. Under mu, or before anybody else knows e.
func (e *eventStream) attach(out transport.Stream) {
	e.out, e.held = out, true
	e.read.Store(true)
	e.session.reg.Hold()
}

// attached reports whether somebody reads the stream.
func (e *eventStream) attached() bool { return e.read.Load() }

// openLog gives a stream a number in the session's log. The priming id is empty
// when the log takes no stream.
func (s *legacySession) openLog(e *eventStream) (number uint64, prime string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return 0, ""
	}
	number = s.replay.Open(time.Now())
	if s.numbered == nil {
		s.numbered = make(map[uint64]*eventStream)
	}
	s.numbered[number] = e
	return number, s.replay.Prime(number)
}

// log keeps an event and returns its id.
func (s *legacySession) log(number uint64, msg []byte, last bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.replay.Append(time.Now(), number, msg, last)
	if last {
		delete(s.numbered, number)
	}
	return id
}

func (s *legacySession) forgetLog(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replay.Forget(number)
	delete(s.numbered, number)
}

// lookBack finds what a client that comes back has missed. e is nil for a stream
// that has ended; known is false for an event that this process never sent.
func (s *legacySession) lookBack(lastEventID string) (e *eventStream, r session.Resumption, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err = s.replay.Resume(lastEventID)
	switch {
	case err == nil:
		return s.numbered[r.Stream], r, true, nil
	case errors.Is(err, session.ErrEventGone):
		return nil, r, true, err
	}
	return nil, r, false, nil
}

// logKept is how long what was sent on a stream stays in the log when nothing
// more comes.
const logKept = 15 * time.Minute

// expireLog drops streams on which nothing has been sent for long, but for those
// that are in use: by a call that runs, or a client that reads.
func (s *legacySession) expireLog(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, e := range s.numbered {
		if !e.standby || e.attached() {
			s.replay.Touch(now, number)
		}
	}
	s.replay.Expire(now.Add(-logKept))
}

// replayed answers a GET with Last-Event-ID. It is false when the id is none of
// this process's: then the stream is as good as a new one.
func (in *inbound) replayed(sess *legacySession, lastEventID string) bool {
	e, r, known, err := sess.lookBack(lastEventID)
	if !known {
		return false
	}
	if err != nil {
		// A gap must not be hidden: the client may wait for an answer that was in it.
		in.fail(400, nil, invalidRequest("cannot resume: "+err.Error()+"; open a stream without Last-Event-ID"))
		return true
	}
	in.detach()
	in.stream.Open(sess.reg.ID())
	if e == nil {
		for _, ev := range r.Events {
			in.stream.Send(transport.Event{ID: ev.ID, Data: ev.Data, Keep: true})
		}
		in.stream.End()
		return true
	}
	if !in.conn.opens(e, in.stream) {
		in.stream.End()
		return true
	}
	e.resume(in.stream, lastEventID)
	in.attached(e)
	return true
}

// sweepLogs forgets what sessions keep for clients that do not come back.
func (g *gate) sweepLogs(now time.Time) {
	for _, reg := range g.sessions.List() {
		if s, ok := reg.Attachment().(*legacySession); ok && s.link == nil {
			s.expireLog(now)
		}
	}
}

// sweepLogsEvery is how often that is done: it looks at every session.
const sweepLogsEvery = 30 * time.Second
