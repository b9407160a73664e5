package session

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"millrace/server/seal"
)

// What Create and Get return. A host answers ErrUnknown and ErrEnded with 404
// (2025-11-25, Streamable HTTP: "the server MUST respond to requests containing
// that session ID with HTTP 404 Not Found"), and ErrFull with 503: a client
// that gets 404 throws its session away.
var (
	// ErrUnknown is for an id that was never issued, was changed, or belongs
	// to another principal: which of them, nobody learns.
	ErrUnknown = errors.New("session not found")
	// ErrEnded is for an id of the caller's own session that has ended.
	ErrEnded = errors.New("session has ended")
	// ErrFull is for sessions beyond Config.Max or Config.MaxPerPrincipal. What
	// is returned names the limit, and is ErrFull for errors.Is.
	ErrFull = errors.New("session limit reached")
	// ErrParams is for a Params that cannot be a session's.
	ErrParams = errors.New("invalid session parameters")
)

// fullError is ErrFull with the limit's value.
type fullError string

func (e fullError) Error() string { return string(e) }

func (e fullError) Is(target error) bool { return target == ErrFull }

// Config sets up a Registry. Its zero value works.
type Config struct {
	// Keys seal the ids of HTTP sessions. Nil means fresh random ones.
	Keys *seal.Keys
	// Revive lets an id that was issued elsewhere under the same keys continue
	// its session here: after a restart, or on another node. What another
	// process ended is not known here, so it comes back as well, until its
	// hard expiry.
	Revive bool

	// Max is how many sessions may be open; 0 means 10,000.
	Max int
	// MaxPerPrincipal is how many of them one principal may have; 0 means no
	// limit but Max. It does not apply to anonymous callers.
	MaxPerPrincipal int

	// Idle ends an HTTP session of which nothing was heard for so long and
	// which nobody holds; 0 means 30 minutes, below 0 never.
	Idle time.Duration
	// Unused ends an HTTP session that nothing was heard of since it was made;
	// 0 or below: Idle holds for it too. It keeps clients that only ever send
	// initialize from filling the registry.
	Unused time.Duration
	// Lifetime ends an HTTP session that old, whatever it does; 0 or below
	// means 24 hours. The other types live as long as their connection.
	Lifetime time.Duration

	// OnCreated and OnEnded are called once for every session, after it has
	// entered or left the registry, on the goroutine that caused it, with no
	// lock held; now is the caller's. A session that another goroutine ends at
	// once may see OnEnded first, and a revived one may be used by another
	// request before OnCreated returns (see Session.AttachOnce).
	OnCreated func(now time.Time, s *Session)
	OnEnded   func(now time.Time, s *Session, why Reason)
}

// Params describes a session to create. Create copies what it keeps.
type Params struct {
	Type      Type
	Principal string // the owner's id, "" when anonymous
	Version   string // negotiated protocol revision, at most 64 bytes
	// Capabilities is the client's capabilities object in JSON, at most
	// MaxCapabilities bytes; empty means none.
	Capabilities []byte
	Client       ClientInfo
}

// A Registry holds the open sessions. All methods are safe for any goroutine.
type Registry struct {
	cfg      Config
	box      *seal.Box
	instance instanceID
	seed     maphash.Seed
	origin   time.Time
	idle     int64

	errFull, errPrincipalFull error

	open   atomic.Int64
	byType [types]atomic.Int64
	owners owners
	stats  counters

	shards [shards]shard
}

// owners counts the sessions of named principals.
type owners struct {
	mu sync.Mutex
	n  map[string]int
}

// NewRegistry returns an empty registry.
func NewRegistry(cfg Config) *Registry {
	if cfg.Keys == nil {
		cfg.Keys = seal.NewRandom()
	}
	cfg.Max = cmp.Or(cfg.Max, 10_000)
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Minute)
	cfg.Lifetime = cmp.Or(max(cfg.Lifetime, 0), 24*time.Hour)

	r := &Registry{
		cfg:  cfg,
		box:  cfg.Keys.Box(purpose),
		seed: maphash.MakeSeed(),
		// Only subtracted, so that ages follow the monotonic clock when the
		// caller's times do, and a step of the wall clock ends no session.
		origin:           time.Now(),
		idle:             int64(cfg.Idle),
		errFull:          fullError(fmt.Sprintf("session limit of %d reached", cfg.Max)),
		errPrincipalFull: fullError(fmt.Sprintf("session limit of %d for one principal reached", cfg.MaxPerPrincipal)),
	}
	rand.Read(r.instance[:])
	r.owners.n = make(map[string]int)
	for i := range r.shards {
		r.shards[i].live = make(map[string]*Session)
		r.shards[i].dead = make(map[sessionID]struct{})
		r.shards[i].floor = math.MinInt64
	}
	return r
}

// Create opens a session and calls Config.OnCreated. On ErrFull and ErrParams
// nothing is left behind.
func (r *Registry) Create(now time.Time, p Params) (*Session, error) {
	if p.Type >= types || len(p.Version) > maxVersion {
		return nil, fmt.Errorf("%w: type %d, protocol version of %d bytes", ErrParams, p.Type, len(p.Version))
	}
	// The principal is copied before it becomes a map key.
	p.Principal = strings.Clone(p.Principal)
	if err := r.reserve(p.Principal); err != nil {
		return nil, err
	}
	s := r.newSession(now, p)
	if err := s.caps.load(p.Capabilities); err != nil {
		r.release(p.Principal)
		return nil, err
	}
	s.id = r.newID(now, s)

	sh := r.shard(s.id)
	sh.mu.Lock()
	sh.live[s.id] = s
	sh.mu.Unlock()
	r.stats.created.Add(1)
	r.started(now, s)
	return s, nil
}

// Get returns the principal's HTTP session with this id and touches it. An id
// whose time has passed is ended here, before the next Sweep. The other errors
// are ErrUnknown, ErrEnded and, for a session that would revive, ErrFull. The
// id is not kept.
func (r *Registry) Get(now time.Time, id, principal string) (*Session, error) {
	if len(id) > MaxID {
		return nil, r.unknown()
	}
	t := r.clock(now)
	sh := r.shard(id)
	sh.mu.Lock()
	s := sh.live[id]
	if s == nil {
		sh.mu.Unlock()
		return r.revive(now, id, principal)
	}
	if s.typ != HTTP || s.principal != principal {
		sh.mu.Unlock()
		return nil, r.unknown()
	}
	why, over := s.over(t)
	if over {
		sh.remove(s, why)
	} else {
		s.active.Store(t) // under the lock: see over
	}
	sh.mu.Unlock()
	if over {
		r.finish(now, s, why)
		return nil, ErrEnded
	}
	return s, nil
}

// Sweep ends the sessions whose time has passed and returns how many. The host
// calls it once a second; it looks at every session, one shard at a time.
func (r *Registry) Sweep(now time.Time) int {
	t, wall := r.clock(now), now.UnixMilli()
	var ended []*Session
	for i := range r.shards {
		ended = r.shards[i].sweep(t, wall, ended)
	}
	for _, s := range ended {
		why, _ := s.Ended()
		r.finish(now, s, why)
	}
	return len(ended)
}

// CloseAll ends every session that is open when it comes by, and returns how
// many. Sessions may be created meanwhile: stop the traffic first.
func (r *Registry) CloseAll(now time.Time, why Reason) int {
	n := 0
	for _, s := range r.List() {
		if s.End(now, why) {
			n++
		}
	}
	return n
}

// List returns the open sessions, in no order.
func (r *Registry) List() []*Session {
	all := make([]*Session, 0, r.Len())
	for i := range r.shards {
		all = r.shards[i].snapshot(all)
	}
	return all
}

// Len returns how many sessions are open.
func (r *Registry) Len() int { return int(r.open.Load()) }

// revive is the way of an id that is not live.
func (r *Registry) revive(now time.Time, id, principal string) (*Session, error) {
	plain, err := r.box.Open(nil, []byte(id), []byte(principal))
	if err != nil {
		return nil, r.unknown()
	}
	tok, ok := parseToken(plain)
	switch {
	case !ok:
		return nil, r.unknown()
	case tok.instance == r.instance:
		return nil, ErrEnded // issued here, so it was live once
	case !r.cfg.Revive:
		return nil, r.unknown()
	case tok.expires <= now.UnixMilli():
		return nil, ErrEnded
	}
	s, err := r.restore(now, strings.Clone(id), strings.Clone(principal), tok)
	if err != nil {
		return nil, err
	}
	live, err := r.enter(s)
	if live == s {
		r.stats.revived.Add(1)
		r.started(now, s)
	}
	return live, err
}

// restore builds the session that tok describes.
func (r *Registry) restore(now time.Time, id, principal string, tok token) (*Session, error) {
	s := r.newSession(now, Params{Type: HTTP, Principal: principal, Version: tok.version})
	s.id, s.revived, s.token = id, true, tok.sealedIdentity
	s.created += (tok.created - now.UnixMilli()) * int64(time.Millisecond)
	// A lifetime shorter than the issuer's counts for its tokens too.
	left := (tok.expires - now.UnixMilli()) * int64(time.Millisecond)
	s.expires = min(s.created+int64(r.cfg.Lifetime), r.clock(now)+left)
	if r.clock(now) >= s.expires {
		return nil, ErrEnded
	}
	if err := s.caps.load(tok.capabilities); err != nil {
		return nil, r.unknown()
	}
	return s, nil
}

// enter makes a restored session live, unless it has ended before or another
// request was faster: then it returns that request's.
func (r *Registry) enter(s *Session) (*Session, error) {
	sh := r.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if live := sh.live[s.id]; live != nil {
		return live, nil
	}
	if sh.isDead(s.token) {
		return nil, ErrEnded
	}
	if err := r.reserve(s.principal); err != nil {
		return nil, err
	}
	sh.live[s.id] = s
	return s, nil
}

func (r *Registry) newSession(now time.Time, p Params) *Session {
	t := r.clock(now)
	s := &Session{
		registry:  r,
		principal: p.Principal,
		typ:       p.Type,
		created:   t,
		expires:   t + int64(r.cfg.Lifetime),
		client:    p.Client.clipped(),
	}
	if s.client.Connected.IsZero() {
		s.client.Connected = now
	}
	s.SetVersion(strings.Clone(p.Version))
	s.active.Store(t)
	return s
}

// newID returns the id of a new session: for HTTP a sealed token, for the
// others, whose ids no client ever presents, 26 random characters.
func (r *Registry) newID(now time.Time, s *Session) string {
	if s.typ != HTTP {
		return rand.Text()
	}
	expires := now.Add(r.cfg.Lifetime).UnixMilli()
	tok := newToken(now.UnixMilli(), expires, r.instance, s.Version(), s.caps.json)
	return string(r.box.Seal(nil, tok.append(nil), []byte(s.principal)))
}

// reserve takes a place for one more session of principal.
func (r *Registry) reserve(principal string) error {
	for {
		n := r.open.Load()
		if n >= int64(r.cfg.Max) {
			r.stats.refused.Add(1)
			return r.errFull
		}
		if r.open.CompareAndSwap(n, n+1) {
			break
		}
	}
	if r.counts(principal) {
		r.owners.mu.Lock()
		full := r.owners.n[principal] >= r.cfg.MaxPerPrincipal
		if !full {
			r.owners.n[principal]++
		}
		r.owners.mu.Unlock()
		if full {
			r.open.Add(-1)
			r.stats.refused.Add(1)
			return r.errPrincipalFull
		}
	}
	return nil
}

// release gives back what reserve took.
func (r *Registry) release(principal string) {
	r.open.Add(-1)
	if !r.counts(principal) {
		return
	}
	r.owners.mu.Lock()
	defer r.owners.mu.Unlock()
	if r.owners.n[principal]--; r.owners.n[principal] <= 0 {
		delete(r.owners.n, principal)
	}
}

func (r *Registry) counts(principal string) bool {
	return r.cfg.MaxPerPrincipal > 0 && principal != ""
}

// started follows the entry of a session, finish its removal, without a lock.
func (r *Registry) started(now time.Time, s *Session) {
	r.byType[s.typ].Add(1)
	if r.cfg.OnCreated != nil {
		r.cfg.OnCreated(now, s)
	}
}

func (r *Registry) finish(now time.Time, s *Session, why Reason) {
	r.release(s.principal)
	r.byType[s.typ].Add(-1)
	if why < reasons {
		r.stats.ended[why].Add(1)
	}
	if r.cfg.OnEnded != nil {
		r.cfg.OnEnded(now, s, why)
	}
}

func (r *Registry) unknown() error {
	r.stats.unknown.Add(1)
	return ErrUnknown
}

func (r *Registry) shard(id string) *shard {
	return &r.shards[maphash.String(r.seed, id)%shards]
}

func (r *Registry) clock(now time.Time) int64 { return int64(now.Sub(r.origin)) }

func (r *Registry) time(t int64) time.Time { return r.origin.Add(time.Duration(t)) }

func (c ClientInfo) clipped() ClientInfo {
	c.UserAgent, c.Address = clip(c.UserAgent), clip(c.Address)
	c.Origin, c.AcceptLanguage = clip(c.Origin), clip(c.AcceptLanguage)
	return c
}

// clip copies s, which may lie in a request's buffer, and cuts it to 256 bytes,
// between characters.
func clip(s string) string {
	const limit = 256
	if len(s) > limit {
		n := limit
		for n > limit-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Clone(s)
}
