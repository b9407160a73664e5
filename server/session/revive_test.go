package session

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/server/seal"
)

// restart returns the registry before and the one after a restart with the
// same keys.
func restart(t *testing.T, after Config) (before, next *Registry) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := seal.WriteRandom(path); err != nil {
		t.Fatal(err)
	}
	load := func() *seal.Keys {
		k, err := seal.LoadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	after.Keys = load()
	return NewRegistry(Config{Keys: load(), Revive: true}), NewRegistry(after)
}

func TestRevive(t *testing.T) {
	created := 0
	a, b := restart(t, Config{Revive: true, OnCreated: func(_ time.Time, s *Session) {
		if created++; !s.Revived() {
			t.Error("OnCreated of a session that is not Revived")
		}
	}})
	old := create(t, a, t0, typical)
	old.Set("k", 1)
	if _, err := b.Get(at(time.Hour), old.ID(), "mallory"); err != ErrUnknown {
		t.Errorf("Get by another principal: error = %v, want ErrUnknown", err)
	}
	s, err := b.Get(at(time.Hour), old.ID(), typical.Principal)
	if err != nil {
		t.Fatalf("Get after a restart: %v", err)
	}
	if !s.Revived() || s.ID() != old.ID() || s.Principal() != typical.Principal || s.Version() != typical.Version || s.Type() != HTTP {
		t.Errorf("revived = %v %q %q", s.Revived(), s.Principal(), s.Version())
	}
	if c := s.Capabilities(); !c.Has("roots.listChanged") || !c.Has("elicitation.url") || c.JSON() != string(typical.Capabilities) {
		t.Errorf("capabilities = %v", c.names)
	}
	if !s.Created().Equal(t0) || s.Duration(at(time.Hour)) != time.Hour || !s.LastActivity().Equal(at(time.Hour)) {
		t.Errorf("Created, LastActivity = %v, %v", s.Created(), s.LastActivity())
	}
	if c := s.Client(); c.UserAgent != "" || !c.Connected.Equal(at(time.Hour)) {
		t.Errorf("Client = %+v", c)
	}
	if _, ok := s.Get("k"); ok {
		t.Error("metadata survived")
	}
	if again, err := b.Get(at(time.Hour), old.ID(), typical.Principal); again != s || err != nil {
		t.Errorf("second Get = %v, %v", again, err)
	}
	if _, err := b.Get(at(time.Hour), old.ID(), "mallory"); err != ErrUnknown {
		t.Errorf("Get by another principal once it lives: error = %v, want ErrUnknown", err)
	}
	if st := b.Stats(); created != 1 || st.Revived != 1 || st.Created != 0 || st.Open != 1 {
		t.Errorf("hooks %d, Stats %+v", created, st)
	}
}

func TestReviveRefuses(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name  string
		cfg   Config
		after time.Duration
		want  error
	}{
		{"not asked for", Config{}, time.Second, ErrUnknown},
		{"hard expiry, limit-1ms", Config{Revive: true}, day - time.Millisecond, nil},
		{"hard expiry, limit", Config{Revive: true}, day, ErrEnded},
		{"hard expiry, limit+1ms", Config{Revive: true}, day + time.Millisecond, ErrEnded},
		{"longer lifetime now", Config{Revive: true, Lifetime: 2 * day}, day, ErrEnded},
		{"shorter lifetime now, limit-1ms", Config{Revive: true, Lifetime: time.Hour}, time.Hour - time.Millisecond, nil},
		{"shorter lifetime now, limit", Config{Revive: true, Lifetime: time.Hour}, time.Hour, ErrEnded},
		{"issued by a clock ahead of ours", Config{Revive: true}, -time.Minute, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := restart(t, tt.cfg)
			id := create(t, a, t0, typical).ID()
			s, err := b.Get(at(tt.after), id, typical.Principal)
			if err != tt.want || (err == nil) != (s != nil) {
				t.Errorf("Get = %v, %v, want error %v", s, err, tt.want)
			}
			if tt.want != nil && b.Len() != 0 {
				t.Errorf("Len = %d, want 0", b.Len())
			}
		})
	}
}

// A revived session keeps the hard expiry of its token.
func TestRevivedExpires(t *testing.T) {
	a, b := restart(t, Config{Revive: true, Idle: -1})
	id := create(t, a, t0, typical).ID()
	s, err := b.Get(at(23*time.Hour), id, typical.Principal)
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Sweep(at(24*time.Hour - time.Millisecond)); n != 0 {
		t.Errorf("Sweep before the hard expiry = %d, want 0", n)
	}
	if n := b.Sweep(at(24 * time.Hour)); n != 1 {
		t.Errorf("Sweep at the hard expiry = %d, want 1", n)
	}
	if why, ok := s.Ended(); !ok || why != Expired {
		t.Errorf("Ended = %v, %v", why, ok)
	}
}

func TestReviveCounts(t *testing.T) {
	a, b := restart(t, Config{Revive: true, Max: 1})
	id1, id2 := create(t, a, t0, typical).ID(), create(t, a, t0, typical).ID()
	s, err := b.Get(t0, id1, typical.Principal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t0, id2, typical.Principal); !errors.Is(err, ErrFull) {
		t.Errorf("second revival: error = %v, want ErrFull", err)
	}
	s.End(t0, Deleted)
	if _, err := b.Get(t0, id2, typical.Principal); err != nil {
		t.Errorf("after a place got free: %v", err)
	}
	if _, err := b.Get(t0, id1, typical.Principal); err != ErrEnded {
		t.Errorf("ended one in a full registry: error = %v, want ErrEnded", err)
	}
}

func TestTombstones(t *testing.T) {
	a, b := restart(t, Config{Revive: true})
	id := create(t, a, t0, typical).ID()
	s, err := b.Get(t0, id, typical.Principal)
	if err != nil {
		t.Fatal(err)
	}
	s.End(t0, Deleted)
	for _, d := range []time.Duration{0, time.Hour, 24*time.Hour - time.Millisecond} {
		b.Sweep(at(d))
		if _, err := b.Get(at(d), id, typical.Principal); err != ErrEnded {
			t.Errorf("Get %v after the end: error = %v, want ErrEnded", d, err)
		}
		if got := b.Stats().Tombstones; got != 1 {
			t.Errorf("Tombstones after %v = %d, want 1", d, got)
		}
	}
	b.Sweep(at(24 * time.Hour))
	if got := b.Stats().Tombstones; got != 0 {
		t.Errorf("Tombstones after the hard expiry = %d, want 0", got)
	}
	if _, err := b.Get(at(24*time.Hour), id, typical.Principal); err != ErrEnded {
		t.Errorf("Get after the hard expiry: error = %v, want ErrEnded", err)
	}
	create(t, b, t0, typical).End(t0, Deleted)
	if got := b.Stats().Tombstones; got != 0 {
		t.Errorf("a session of this registry left %d tombstones, want 0", got)
	}
}

// What falls out of the tombstones is still refused.
func TestTombstoneOverflow(t *testing.T) {
	sh := shard{dead: map[sessionID]struct{}{}, floor: math.MinInt64}
	identity := func(i int) sealedIdentity {
		return sealedIdentity{sid: sessionID{byte(i), byte(i >> 8)}, created: int64(i), expires: 1e6}
	}
	for i := range maxTombstones {
		sh.bury(identity(i))
	}
	if len(sh.queue) != maxTombstones || sh.floor != math.MinInt64 {
		t.Fatalf("at the limit: %d tombstones, floor %d", len(sh.queue), sh.floor)
	}
	younger := sealedIdentity{sid: sessionID{15: 1}, created: 100}
	if sh.isDead(younger) {
		t.Error("a session that never ended is refused below the limit")
	}
	for i := maxTombstones; i < 3*maxTombstones; i++ {
		sh.bury(identity(i))
		if len(sh.queue) != maxTombstones || len(sh.dead) != maxTombstones {
			t.Fatalf("beyond the limit: %d, %d tombstones", len(sh.queue), len(sh.dead))
		}
	}
	for i := range 3 * maxTombstones {
		if !sh.isDead(identity(i)) {
			t.Fatalf("ended session %d may revive", i)
		}
	}
	if !sh.isDead(younger) {
		t.Error("a session as old as a dropped tombstone may revive")
	}
	younger.created = 3 * maxTombstones
	if sh.isDead(younger) {
		t.Error("a session younger than all dropped tombstones is refused")
	}
	sh.sweep(0, 1e6, nil)
	if len(sh.queue) != 0 || len(sh.dead) != 0 {
		t.Errorf("%d, %d tombstones after their expiry", len(sh.queue), len(sh.dead))
	}
}

// Requests that meet on one id revive it once, and never after its end.
func TestReviveConcurrently(t *testing.T) {
	var created, ended atomic.Int64
	a, b := restart(t, Config{
		Revive:    true,
		OnCreated: func(time.Time, *Session) { created.Add(1) },
		OnEnded:   func(time.Time, *Session, Reason) { ended.Add(1) },
	})
	const rounds = 50
	for range rounds {
		id := create(t, a, t0, typical).ID()
		var wg sync.WaitGroup
		var first atomic.Pointer[Session]
		for w := range 4 {
			wg.Go(func() {
				s, err := b.Get(t0, id, typical.Principal)
				if err != nil {
					if err != ErrEnded {
						t.Errorf("Get: %v", err)
					}
					return
				}
				if !first.CompareAndSwap(nil, s) && first.Load() != s {
					t.Error("two sessions of one id")
				}
				if w == 0 {
					s.End(t0, Deleted)
				}
			})
		}
		wg.Wait()
	}
	if created.Load() != rounds {
		t.Errorf("OnCreated %d times, want %d", created.Load(), rounds)
	}
	if got := int(created.Load() - ended.Load()); b.Len() != got {
		t.Errorf("Len = %d, want %d", b.Len(), got)
	}
}

func TestSealedCapabilitiesLimit(t *testing.T) {
	for _, tt := range []struct {
		size   int
		sealed bool
	}{{MaxSealedCapabilities - 1, true}, {MaxSealedCapabilities, true}, {MaxSealedCapabilities + 1, false}} {
		a, b := restart(t, Config{Revive: true})
		p := typical
		p.Capabilities = []byte(`{"sampling":{},"x":"` + strings.Repeat("y", tt.size-22) + `"}`)
		if len(p.Capabilities) != tt.size {
			t.Fatalf("capabilities of %d bytes, want %d", len(p.Capabilities), tt.size)
		}
		old := create(t, a, t0, p)
		s, err := b.Get(t0, old.ID(), p.Principal)
		if err != nil {
			t.Fatal(err)
		}
		if !old.Capabilities().Has("sampling") {
			t.Errorf("%d bytes: not recorded", tt.size)
		}
		if got := s.Capabilities().Has("sampling"); got != tt.sealed {
			t.Errorf("%d bytes: revived with them %v, want %v", tt.size, got, tt.sealed)
		}
		if got := old.Capabilities().JSON() != ""; got != tt.sealed {
			t.Errorf("%d bytes: kept as JSON %v, want %v", tt.size, got, tt.sealed)
		}
	}
}

func TestParseToken(t *testing.T) {
	want := newToken(5, -7, instanceID{1, 2}, "2025-11-25", `{"a":{}}`)
	b := want.append(nil)
	got, ok := parseToken(b)
	if !ok || got.sealedIdentity != want.sealedIdentity || got.instance != want.instance ||
		got.version != want.version || string(got.capabilities) != string(want.capabilities) {
		t.Errorf("parseToken = %+v, %v, want %+v", got, ok, want)
	}
	shortest := len(b) - len(want.capabilities)
	for i := range b {
		if _, ok := parseToken(b[:i]); ok != (i >= shortest) {
			t.Errorf("cut to %d bytes: ok = %v", i, ok)
		}
	}
	b[0]++
	if _, ok := parseToken(b); ok {
		t.Error("another token version parsed")
	}
}
