package server

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"millrace/server/session"
)

// Hooks are functions that a host program may have called. Nil ones cost
// nothing.
//
// Started and Stopped are called by the goroutine that runs the server and may
// delay it. All others are called one after the other, in order, on one
// goroutine of their own, never on an event loop; when they fall behind by more
// than 4,096 events, events are dropped and counted in Stats.HooksLost. A hook
// that panics is logged.
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
	queue chan func()
	over  sync.WaitGroup
	lost  atomic.Uint64
}

func newHookRunner(h Hooks, log *slog.Logger) *hookRunner {
	r := &hookRunner{hooks: h, log: log}
	if h.SessionCreated == nil && h.SessionDestroyed == nil && h.SessionError == nil && !r.wantsRequests() {
		return r // nothing to run: no goroutine
	}
	r.queue = make(chan func(), hookQueue)
	r.over.Add(1)
	go func() {
		defer r.over.Done()
		for f := range r.queue {
			r.guard(f)
		}
	}()
	return r
}

func (r *hookRunner) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("hook panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// later queues f, or drops it.
func (r *hookRunner) later(f func()) {
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

// close runs what is queued and ends the goroutine. Nothing may be queued
// afterwards.
func (r *hookRunner) close() {
	if r.queue != nil {
		close(r.queue)
		r.over.Wait()
	}
}
