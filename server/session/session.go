// Package session keeps the sessions of MCP revisions up to 2025-11-25: who
// owns one, what its client can do, when it was last heard of and when it ends.
// It starts no goroutine and no timer and asks for no time: now is an argument,
// and the host calls Registry.Sweep once a second. It knows nothing of
// messages: a session is found by its id and owner, or by the connection that
// holds it, never by the id of a JSON-RPC request.
package session

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// MaxMetadata is how many metadata entries a session holds.
const MaxMetadata = 64

// ErrMetadataFull is what Set returns for a new key beyond MaxMetadata.
var ErrMetadataFull = errors.New("session metadata is full")

// Type is what carries a session.
type Type uint8

const (
	// HTTP sessions live from request to request: they are found by the
	// Mcp-Session-Id header field and end by DELETE, idleness or age.
	HTTP Type = iota
	// WebSocket sessions live as long as their connection.
	WebSocket
	// Stdio sessions live as long as the process's standard input.
	Stdio
	// SSE sessions live as long as the event stream of the HTTP+SSE transport.
	SSE

	types = 4
)

// String returns "http", "websocket", "stdio" or "sse".
func (t Type) String() string {
	if t >= types {
		return "unknown"
	}
	return [types]string{"http", "websocket", "stdio", "sse"}[t]
}

// Reason is why a session ended.
type Reason uint8

const (
	// Deleted: the client asked, with HTTP DELETE.
	Deleted Reason = iota
	// Disconnected: the connection that carried the session is gone.
	Disconnected
	// IdleTimeout: nothing was heard for Config.Idle.
	IdleTimeout
	// Expired: an HTTP session reached Config.Lifetime.
	Expired
	// NoPong: the client answered no more pings. The connection's owner sends
	// them; a session on HTTP has no connection to ping.
	NoPong
	// Revoked: the operator or the authorization ended it.
	Revoked
	// Shutdown: the server stops.
	Shutdown

	reasons = 7
)

// String returns the reason in one lower-case word, fit for a metric label.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return [reasons]string{"deleted", "disconnected", "idle", "expired", "no_pong", "revoked", "shutdown"}[r]
}

// ClientInfo is what the host knows of the client's connection. Create and
// SetClient copy the strings and cut each to 256 bytes.
type ClientInfo struct {
	UserAgent, Address, Origin, AcceptLanguage string

	// Connected is when the connection was made; the zero time means at the
	// creation of the session.
	Connected time.Time
}

// A Session is one session of a Registry. All methods are safe for any
// goroutine. A Session stays readable after its end.
type Session struct {
	registry  *Registry
	id        string
	principal string
	typ       Type
	revived   bool
	token     sealedIdentity // of a revived session: what its tombstone needs

	created int64 // registry clock, as all times below
	expires int64 // of HTTP sessions

	active atomic.Int64 // last Touch
	holds  atomic.Int32
	ended  atomic.Uint32 // 0, or 1 + Reason

	version    atomic.Pointer[string]
	attachment atomic.Pointer[any]
	caps       Capabilities

	mu       sync.Mutex
	client   ClientInfo
	metadata map[string]any
}

// ID returns the id. For HTTP it is the value of Mcp-Session-Id, which whoever
// knows it can use when callers are anonymous: keep it out of logs. For the
// other types it only names the session, and Registry.Get does not take it.
func (s *Session) ID() string { return s.id }

// Type returns what carries the session.
func (s *Session) Type() Type { return s.typ }

// Principal returns the owner's id; "" is anonymous.
func (s *Session) Principal() string { return s.principal }

// Revived reports whether the session continues from a token that another
// process or an earlier run issued. It then has the version and the
// capabilities that the token carried, and defaults for all else.
func (s *Session) Revived() bool { return s.revived }

// Client returns what is known of the client.
func (s *Session) Client() ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// SetClient replaces what is known of the client: a revived session knows only
// when it came back.
func (s *Session) SetClient(c ClientInfo) {
	c = c.clipped()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Connected.IsZero() {
		c.Connected = s.client.Connected
	}
	s.client = c
}

// Version returns the negotiated protocol revision, such as "2025-11-25".
func (s *Session) Version() string { return *s.version.Load() }

// SetVersion replaces the protocol revision. The session id keeps the one of
// the creation: that is what the session revives with.
func (s *Session) SetVersion(v string) { s.version.Store(&v) }

// Capabilities returns what the client can do.
func (s *Session) Capabilities() *Capabilities { return &s.caps }

// Created returns when the session was created, for a revived session when its
// token was issued.
func (s *Session) Created() time.Time { return s.registry.time(s.created) }

// LastActivity returns the time of the last Touch.
func (s *Session) LastActivity() time.Time { return s.registry.time(s.active.Load()) }

// Duration returns the session's age, never below 0.
func (s *Session) Duration(now time.Time) time.Duration {
	return time.Duration(max(s.registry.clock(now)-s.created, 0))
}

// Touch notes that the client was heard of. It costs one atomic store.
// Registry.Get does it for HTTP; the owner of a connection calls it for every
// message that arrives.
func (s *Session) Touch(now time.Time) { s.active.Store(s.registry.clock(now)) }

// Hold keeps the session from expiring for idleness while a stream is open or
// a call is running; Config.Lifetime still counts. Every Hold needs one Release.
func (s *Session) Hold() { s.holds.Add(1) }

// Release undoes one Hold and starts the idle time again. A Release without a
// Hold does nothing else.
func (s *Session) Release(now time.Time) {
	s.Touch(now) // first: a sweep must not see the hold gone and the old time
	for {
		n := s.holds.Load()
		if n == 0 || s.holds.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// Busy reports whether a Hold is in force.
func (s *Session) Busy() bool { return s.holds.Load() > 0 }

// Set stores value under key for the life of the session. A new key beyond
// MaxMetadata is ErrMetadataFull. A revived session begins without metadata.
func (s *Session) Set(key string, value any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.metadata[key]; !ok && len(s.metadata) >= MaxMetadata {
		return ErrMetadataFull
	}
	if s.metadata == nil {
		s.metadata = make(map[string]any)
	}
	s.metadata[key] = value
	return nil
}

// Get returns the value that Set stored under key.
func (s *Session) Get(key string) (value any, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok = s.metadata[key]
	return value, ok
}

// Delete removes key.
func (s *Session) Delete(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.metadata, key)
}

// Attachment returns what the host hung on the session, or nil.
func (s *Session) Attachment() any {
	if p := s.attachment.Load(); p != nil {
		return *p
	}
	return nil
}

// SetAttachment replaces the attachment.
func (s *Session) SetAttachment(v any) { s.attachment.Store(&v) }

// AttachOnce attaches v if nothing was attached yet, and returns what is: two
// requests that meet on a revived session end up with the same attachment.
func (s *Session) AttachOnce(v any) any {
	s.attachment.CompareAndSwap(nil, &v)
	return *s.attachment.Load()
}

// Ended reports whether the session has ended, and why.
func (s *Session) Ended() (Reason, bool) {
	if v := s.ended.Load(); v != 0 {
		return Reason(v - 1), true
	}
	return 0, false
}

// End ends the session and calls Config.OnEnded. It returns false, and does
// nothing, when the session has ended already. As a session comes from
// Registry.Get only for its owner, nobody can end another's.
func (s *Session) End(now time.Time, why Reason) bool {
	r := s.registry
	sh := r.shard(s.id)
	sh.mu.Lock()
	ok := sh.live[s.id] == s
	if ok {
		sh.remove(s, why)
	}
	sh.mu.Unlock()
	if ok {
		r.finish(now, s, why)
	}
	return ok
}

// over reports whether the session's time has passed at t. Callers hold the
// shard's lock, so that it cannot interleave with the Touch of Registry.Get.
func (s *Session) over(t int64) (Reason, bool) {
	if s.typ != HTTP {
		return 0, false // ends with its connection
	}
	if t >= s.expires {
		return Expired, true
	}
	idle := s.registry.idle
	if unused := int64(s.registry.cfg.Unused); unused > 0 && (idle <= 0 || unused < idle) && s.active.Load() == s.created {
		idle = unused
	}
	// The hold is read before the time, as Release writes them the other way.
	if idle > 0 && !s.Busy() && t-s.active.Load() >= idle {
		return IdleTimeout, true
	}
	return 0, false
}
