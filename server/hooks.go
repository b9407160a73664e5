package server

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"millrace/server/session"
)

// Hooks are functions that a host program may have called. Nil ones cost
// nothing.
//
// Started and Stopped are called by the goroutine that runs the server and may
// delay it; they must not call Shutdown, which waits for them. All others are
// called one after the other, in order, on one goroutine of their own, never on
// an event loop; when they fall behind by more than 4,096 events, events are
// dropped and counted in Stats.HooksLost. A hook that panics is logged.
type Hooks struct {
	// Started is called when connections are accepted.
	Started func(Info)
	// Stopped is called when everything has ended; err is what Run returns.
	Stopped func(err error)
	// SessionCreated is called for a new or revived session of a legacy client.
	SessionCreated func(*session.Session)
	// SessionDestroyed is called when a session has ended.
	SessionDestroyed func(*session.Session, session.Reason)
	// SessionError is called when a session could not be created, with the
	// reason: the limit, usually.
	SessionError func(error)
	// RequestProcessed is called for every request that was answered with a
	// result.
	RequestProcessed func(RequestEvent)
	// RequestError is called for every request that ended otherwise: with an
	// error, at its deadline, or cancelled.
	RequestError func(RequestEvent)
}

// RequestEvent describes a request that has ended. It holds no arguments.
type RequestEvent struct {
	Method    string
	Version   string // protocol revision
	Conn      uint64
	Remote    string
	Principal string // "" for anonymous
	Took      time.Duration
	Outcome   string // "ok", "error", "timeout" or "canceled"
}

// hookQueue is how many hook calls may wait.
const hookQueue = 4096

// hookRunner calls hooks on its own goroutine.
type hookRunner struct {
	hooks Hooks
	log   *slog.Logger
	queue chan func() // nil when no hook wants it
	stop  chan struct{}
	over  chan struct{}
	lost  atomic.Uint64
}

func newHookRunner(h Hooks, log *slog.Logger) *hookRunner {
	r := &hookRunner{hooks: h, log: log}
	if h.SessionCreated == nil && h.SessionDestroyed == nil && h.SessionError == nil && !r.wantsRequests() {
		return r // nothing to run: no goroutine
	}
	r.queue = make(chan func(), hookQueue)
	r.stop, r.over = make(chan struct{}), make(chan struct{})
	go r.run()
	return r
}

// run calls hooks until close is called, and then those that are queued.
func (r *hookRunner) run() {
	defer close(r.over)
	for {
		select {
		case f := <-r.queue:
			r.guard(f)
			continue
		case <-r.stop:
		}
		for {
			select {
			case f := <-r.queue:
				r.guard(f)
			default:
				return
			}
		}
	}
}

func (r *hookRunner) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("hook panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// later queues f, or drops it. Tools that outlive the server still come here.
func (r *hookRunner) later(f func()) {
	select {
	case <-r.stop:
		r.lost.Add(1)
		return
	default:
	}
	select {
	case r.queue <- f:
	default:
		r.lost.Add(1)
	}
}

func (r *hookRunner) wantsRequests() bool {
	return r.hooks.RequestProcessed != nil || r.hooks.RequestError != nil
}

func (r *hookRunner) request(e RequestEvent, failed bool) {
	f := r.hooks.RequestProcessed
	if failed {
		f = r.hooks.RequestError
	}
	if f != nil {
		r.later(func() { f(e) })
	}
}

func (r *hookRunner) sessionCreated(s *session.Session) {
	if f := r.hooks.SessionCreated; f != nil {
		r.later(func() { f(s) })
	}
}

func (r *hookRunner) sessionDestroyed(s *session.Session, why session.Reason) {
	if f := r.hooks.SessionDestroyed; f != nil {
		r.later(func() { f(s, why) })
	}
}

func (r *hookRunner) sessionError(err error) {
	if f := r.hooks.SessionError; f != nil {
		r.later(func() { f(err) })
	}
}

// close runs what is queued and ends the goroutine. It does not wait longer than
// hookGrace: a hook may be waiting for the end of the server itself.
func (r *hookRunner) close() {
	if r.queue == nil {
		return
	}
	close(r.stop)
	t := time.NewTimer(hookGrace)
	defer t.Stop()
	select {
	case <-r.over:
	case <-t.C:
		r.log.Warn("a hook is still running")
	}
}

// hookGrace is how long the end of a server waits for hooks.
const hookGrace = time.Second
