package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var t0 = time.Unix(1_790_000_000, 0)

func at(d time.Duration) time.Time { return t0.Add(d) }

func create(t testing.TB, r *Registry, now time.Time, p Params) *Session {
	t.Helper()
	s, err := r.Create(now, p)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return s
}

// typical is a session as a desktop client makes it.
var typical = Params{
	Principal:    "https://issuer.example|user-4711",
	Version:      "2025-11-25",
	Capabilities: []byte(`{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}}}`),
	Client: ClientInfo{
		UserAgent:      "claude-code/2.1.14 (cli, linux x64; node 24.3.0)",
		Address:        "203.0.113.117:51234",
		Origin:         "https://claude.ai",
		AcceptLanguage: "en-GB,en;q=0.9,de;q=0.8",
	},
}

func TestCreateGet(t *testing.T) {
	r := NewRegistry(Config{})
	s := create(t, r, t0, typical)
	got, err := r.Get(at(time.Second), s.ID(), typical.Principal)
	if err != nil || got != s {
		t.Fatalf("Get = %v, %v, want the session", got, err)
	}
	if s.Type() != HTTP || s.Principal() != typical.Principal || s.Version() != "2025-11-25" || s.Revived() {
		t.Errorf("session = %v %q %q revived %v", s.Type(), s.Principal(), s.Version(), s.Revived())
	}
	if c := s.Client(); c.UserAgent != typical.Client.UserAgent || c.Address != typical.Client.Address ||
		c.Origin != typical.Client.Origin || c.AcceptLanguage != typical.Client.AcceptLanguage || !c.Connected.Equal(t0) {
		t.Errorf("Client = %+v", c)
	}
	if !s.Created().Equal(t0) || !s.LastActivity().Equal(at(time.Second)) {
		t.Errorf("Created, LastActivity = %v, %v", s.Created(), s.LastActivity())
	}
	if got := s.Duration(at(time.Minute)); got != time.Minute {
		t.Errorf("Duration = %v, want 1m", got)
	}
	if got := s.Duration(at(-time.Minute)); got != 0 {
		t.Errorf("Duration before creation = %v, want 0", got)
	}
}

// 2025-11-25, Streamable HTTP: "visible ASCII characters (ranging from 0x21 to
// 0x7E)".
func TestIDs(t *testing.T) {
	r := NewRegistry(Config{})
	seen := map[string]bool{}
	caps := []byte(`{"experimental":{"x":"` + strings.Repeat("y", MaxSealedCapabilities-25) + `"}}`)
	if len(caps) != MaxSealedCapabilities {
		t.Fatalf("capabilities of %d bytes", len(caps))
	}
	for _, p := range []Params{
		{}, {}, typical, {Type: WebSocket}, {Type: Stdio},
		{Version: strings.Repeat("v", maxVersion), Capabilities: caps, Principal: strings.Repeat("p", 10_000)},
	} {
		s := create(t, r, t0, p)
		id := s.ID()
		if len(id) < 22 || len(id) > MaxID {
			t.Errorf("id of %d characters", len(id))
		}
		if i := strings.IndexFunc(id, func(c rune) bool { return c < 0x21 || c > 0x7e }); i >= 0 {
			t.Errorf("id %q has %q", id, id[i])
		}
		if seen[id] {
			t.Errorf("id %q twice", id)
		}
		seen[id] = true
		_, err := r.Get(t0, id, p.Principal)
		if want := p.Type == HTTP; (err == nil) != want {
			t.Errorf("Get of a %v session: error = %v, want success %v", p.Type, err, want)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name string
		p    Params
		ok   bool
	}{
		{"version, limit", Params{Version: strings.Repeat("v", maxVersion)}, true},
		{"version, limit+1", Params{Version: strings.Repeat("v", maxVersion+1)}, false},
		{"type", Params{Type: types}, false},
		{"capabilities", Params{Capabilities: []byte(`[]`)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewRegistry(Config{OnCreated: func(time.Time, *Session) {
				if !tt.ok {
					t.Error("OnCreated called")
				}
			}})
			s, err := r.Create(t0, tt.p)
			if tt.ok != (err == nil) || (err != nil && (!errors.Is(err, ErrParams) || s != nil)) {
				t.Fatalf("Create = %v, %v", s, err)
			}
			want := 0
			if tt.ok {
				want = 1
			}
			if r.Len() != want || len(r.List()) != want {
				t.Errorf("Len, List = %d, %d, want %d", r.Len(), len(r.List()), want)
			}
		})
	}
}

func TestMax(t *testing.T) {
	const limit = 3
	r := NewRegistry(Config{Max: limit})
	var all []*Session
	for i := range limit { // up to limit-1 are open before, limit after
		if r.Len() != i {
			t.Fatalf("Len = %d, want %d", r.Len(), i)
		}
		all = append(all, create(t, r, t0, Params{Type: Type(i % types)}))
	}
	_, err := r.Create(t0, Params{})
	if !errors.Is(err, ErrFull) || err.Error() != "session limit of 3 reached" {
		t.Fatalf("Create beyond the limit: error = %v", err)
	}
	if r.Len() != limit || r.Stats().Refused != 1 {
		t.Errorf("Len, Refused = %d, %d", r.Len(), r.Stats().Refused)
	}
	all[0].End(t0, Deleted)
	create(t, r, t0, Params{})
	if _, err := r.Create(t0, Params{}); !errors.Is(err, ErrFull) {
		t.Errorf("Create at the limit again: error = %v", err)
	}
}

func TestDefaultMax(t *testing.T) {
	r := NewRegistry(Config{})
	for range 10_000 {
		create(t, r, t0, Params{Type: Stdio})
	}
	if _, err := r.Create(t0, Params{}); !errors.Is(err, ErrFull) || err.Error() != "session limit of 10000 reached" {
		t.Errorf("session 10,001: error = %v", err)
	}
	if got := r.CloseAll(t0, Shutdown); got != 10_000 || r.Len() != 0 {
		t.Errorf("CloseAll = %d, Len = %d", got, r.Len())
	}
}

func TestMaxPerPrincipal(t *testing.T) {
	r := NewRegistry(Config{Max: 10, MaxPerPrincipal: 2})
	alice := Params{Principal: "alice"}
	first := create(t, r, t0, alice)
	create(t, r, t0, alice)
	_, err := r.Create(t0, alice)
	if !errors.Is(err, ErrFull) || err.Error() != "session limit of 2 for one principal reached" {
		t.Fatalf("third session: error = %v", err)
	}
	if r.Len() != 2 {
		t.Errorf("Len = %d, want 2", r.Len())
	}
	create(t, r, t0, Params{Principal: "bob"})
	for range 5 {
		create(t, r, t0, Params{})
	}
	first.End(t0, Deleted)
	create(t, r, t0, alice)
	if _, err := r.Create(t0, Params{Principal: "alice", Capabilities: []byte("x")}); !errors.Is(err, ErrFull) {
		t.Errorf("full again: error = %v", err)
	}
	r.CloseAll(t0, Shutdown)
	if len(r.owners.n) != 0 {
		t.Errorf("owners left behind: %v", r.owners.n)
	}
}

// TestExpiry checks each end of time through Sweep and through Get.
func TestExpiry(t *testing.T) {
	const day, half = 24 * time.Hour, 30 * time.Minute
	touchEvery := func(d, until time.Duration) func(*Session) {
		return func(s *Session) {
			for x := d; x <= until; x += d {
				s.Touch(at(x))
			}
		}
	}
	tests := []struct {
		name  string
		cfg   Config
		typ   Type
		use   func(*Session)
		after time.Duration
		want  string // the reason, "" for open
	}{
		{"idle, limit-1", Config{}, HTTP, nil, half - 1, ""},
		{"idle, limit", Config{}, HTTP, nil, half, "idle"},
		{"idle, limit+1", Config{}, HTTP, nil, half + 1, "idle"},
		{"idle of its own", Config{Idle: time.Minute}, HTTP, nil, time.Minute, "idle"},
		{"touched", Config{}, HTTP, func(s *Session) { s.Touch(at(time.Minute)) }, half, ""},
		{"touched, then idle", Config{}, HTTP, func(s *Session) { s.Touch(at(time.Minute)) }, half + time.Minute, "idle"},
		{"no idle limit", Config{Idle: -1}, HTTP, nil, day - 1, ""},
		{"unused, limit-1", Config{Unused: time.Minute}, HTTP, nil, time.Minute - 1, ""},
		{"unused, limit", Config{Unused: time.Minute}, HTTP, nil, time.Minute, "idle"},
		{"used once", Config{Unused: time.Minute}, HTTP, func(s *Session) { s.Touch(at(time.Second)) }, time.Hour / 4, ""},
		{"unused but held", Config{Unused: time.Minute}, HTTP, (*Session).Hold, time.Hour / 4, ""},
		{"held", Config{}, HTTP, (*Session).Hold, 2 * half, ""},
		{"one of two holds released", Config{}, HTTP, func(s *Session) { s.Hold(); s.Hold(); s.Release(t0) }, half, ""},
		{"released", Config{}, HTTP, func(s *Session) { s.Hold(); s.Release(at(time.Hour)) }, time.Hour + half - 1, ""},
		{"released, then idle", Config{}, HTTP, func(s *Session) { s.Hold(); s.Release(at(time.Hour)) }, time.Hour + half, "idle"},
		{"released too often", Config{}, HTTP, func(s *Session) { s.Release(t0); s.Hold() }, half, ""},
		{"lifetime, limit-1", Config{}, HTTP, touchEvery(time.Minute, day), day - 1, ""},
		{"lifetime, limit", Config{}, HTTP, touchEvery(time.Minute, day), day, "expired"},
		{"lifetime, limit+1", Config{}, HTTP, touchEvery(time.Minute, day), day + 1, "expired"},
		{"lifetime of its own", Config{Lifetime: time.Minute}, HTTP, nil, time.Minute, "expired"},
		{"lifetime beats a hold", Config{}, HTTP, (*Session).Hold, day, "expired"},
		{"WebSocket", Config{}, WebSocket, nil, 3 * day, ""},
		{"stdio", Config{}, Stdio, nil, 300 * day, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hooks := 0
			tt.cfg.OnEnded = func(now time.Time, _ *Session, why Reason) {
				hooks++
				if why.String() != tt.want || !now.Equal(at(tt.after)) {
					t.Errorf("OnEnded(%v, %v), want %v, %q", now, why, at(tt.after), tt.want)
				}
			}
			ends := []func(*Registry, *Session){
				func(r *Registry, _ *Session) { r.Sweep(at(tt.after)) },
			}
			if tt.typ == HTTP {
				ends = append(ends, func(r *Registry, s *Session) {
					_, err := r.Get(at(tt.after), s.ID(), "p")
					if (tt.want == "") != (err == nil) || (err != nil && err != ErrEnded) {
						t.Errorf("Get: error = %v, want reason %q", err, tt.want)
					}
				})
			}
			for _, end := range ends {
				hooks = 0
				r := NewRegistry(tt.cfg)
				s := create(t, r, t0, Params{Type: tt.typ, Principal: "p"})
				if tt.use != nil {
					tt.use(s)
				}
				end(r, s)
				_, over := s.Ended()
				if want := tt.want != ""; over != want || hooks != r.Stats().intEnded() || (hooks == 1) != want || (r.Len() == 0) != want {
					t.Errorf("ended %v, hooks %d, Len %d, want ended %v", over, hooks, r.Len(), want)
				}
				if tt.want == "" {
					continue
				}
				if _, err := r.Get(at(tt.after), s.ID(), "p"); tt.typ == HTTP && err != ErrEnded {
					t.Errorf("Get after the end: error = %v, want ErrEnded", err)
				}
				if n := r.Sweep(at(tt.after)); n != 0 || s.End(at(tt.after), Deleted) {
					t.Errorf("ended twice")
				}
			}
		})
	}
}

func (s Stats) intEnded() int {
	n := uint64(0)
	for _, v := range s.Ended {
		n += v
	}
	return int(n)
}

func TestWrongIDs(t *testing.T) {
	r := NewRegistry(Config{Revive: true})
	alice := create(t, r, t0, Params{Principal: "alice"})
	ws := create(t, r, t0, Params{Type: WebSocket, Principal: "alice"})
	foreign := create(t, NewRegistry(Config{}), t0, Params{Principal: "alice"})
	tests := []struct {
		name, id, principal string
	}{
		{"empty", "", "alice"},
		{"another principal's", alice.ID(), "bob"},
		{"anonymous", alice.ID(), ""},
		{"longer principal", alice.ID(), "alice2"},
		{"of a WebSocket", ws.ID(), "alice"},
		{"other keys", foreign.ID(), "alice"},
		{"cut", alice.ID()[:len(alice.ID())-1], "alice"},
		{"longer", alice.ID() + "A", "alice"},
		{"line break", alice.ID() + "\n", "alice"},
		{"id, limit", strings.Repeat("A", MaxID), "alice"},
		{"id, limit+1", strings.Repeat("A", MaxID+1), "alice"},
		{"sealed, but no token", string(r.box.Seal(nil, []byte("x"), []byte("alice"))), "alice"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := r.Get(t0, tt.id, tt.principal)
			if s != nil || err != ErrUnknown {
				t.Errorf("Get = %v, %v, want nil, ErrUnknown", s, err)
			}
			if got := r.Stats().Unknown; got != uint64(i+1) {
				t.Errorf("Unknown = %d, want %d", got, i+1)
			}
		})
	}
	for i := range alice.ID() {
		b := []byte(alice.ID())
		b[i] ^= 1
		if s, err := r.Get(t0, string(b), "alice"); err != ErrUnknown {
			t.Errorf("character %d changed: Get = %v, %v, want ErrUnknown", i, s, err)
		}
	}

	// After its end the session of another is still unknown, not ended.
	alice.End(t0, Deleted)
	if _, err := r.Get(t0, alice.ID(), "bob"); err != ErrUnknown {
		t.Errorf("Get of another's ended session: error = %v, want ErrUnknown", err)
	}
	if _, err := r.Get(t0, alice.ID(), "alice"); err != ErrEnded {
		t.Errorf("Get of the own ended session: error = %v, want ErrEnded", err)
	}
}

// TestHooks calls the registry from the hooks: with a lock held it would hang.
func TestHooks(t *testing.T) {
	var events []string
	var r *Registry
	r = NewRegistry(Config{
		OnCreated: func(now time.Time, s *Session) {
			r.Stats()
			if _, err := r.Get(now, s.ID(), s.Principal()); s.Type() == HTTP && err != nil {
				t.Errorf("Get in OnCreated: %v", err)
			}
			events = append(events, fmt.Sprintf("+%s %d", s.Principal(), len(r.List())))
		},
		OnEnded: func(now time.Time, s *Session, why Reason) {
			if s.End(now, Revoked) {
				t.Error("ended twice")
			}
			r.Sweep(now)
			events = append(events, fmt.Sprintf("-%s %s %d", s.Principal(), why, len(r.List())))
		},
	})
	a := create(t, r, t0, Params{Principal: "a"})
	create(t, r, t0, Params{Principal: "b"})
	create(t, r, at(time.Minute), Params{Principal: "c", Type: WebSocket})
	a.End(t0, Deleted)
	if n := r.Sweep(at(time.Hour)); n != 1 {
		t.Errorf("Sweep = %d, want 1", n)
	}
	r.CloseAll(at(time.Hour), Shutdown)
	want := "+a 1,+b 2,+c 3,-a deleted 2,-b idle 1,-c shutdown 0"
	if got := strings.Join(events, ","); got != want {
		t.Errorf("events = %s\nwant     %s", got, want)
	}
}

func TestStats(t *testing.T) {
	r := NewRegistry(Config{Max: 4})
	create(t, r, t0, Params{}).End(t0, Deleted)
	create(t, r, t0, Params{}).End(t0, Reason(99))
	create(t, r, t0, Params{})
	create(t, r, t0, Params{Type: WebSocket})
	create(t, r, t0, Params{Type: WebSocket})
	create(t, r, t0, Params{Type: Stdio})
	r.Create(t0, Params{})
	r.Get(t0, "x", "")
	got := fmt.Sprintf("%+v", r.Stats())
	want := "{Open:4 HTTP:1 WebSocket:2 Stdio:1 SSE:0 Created:6 Revived:0 Refused:1 Unknown:1 Ended:map[deleted:1] Tombstones:0}"
	if got != want {
		t.Errorf("Stats = %s\nwant    %s", got, want)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{HTTP, "http"}, {WebSocket, "websocket"}, {Stdio, "stdio"}, {SSE, "sse"}, {Type(types), "unknown"},
		{Deleted, "deleted"}, {Disconnected, "disconnected"}, {IdleTimeout, "idle"}, {Expired, "expired"},
		{NoPong, "no_pong"}, {Revoked, "revoked"}, {Shutdown, "shutdown"}, {Reason(reasons), "unknown"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("String = %q, want %q", got, tt.want)
		}
	}
}

// TestConcurrent mixes everything; the race detector and the final balance
// judge.
func TestConcurrent(t *testing.T) {
	const workers, rounds, limit = 8, 400, 50
	var created, ended, over atomic.Int64
	r := NewRegistry(Config{
		Max: limit, MaxPerPrincipal: 20, Idle: time.Minute, Revive: true,
		OnCreated: func(_ time.Time, s *Session) { created.Add(1); s.AttachOnce(s) },
		OnEnded:   func(time.Time, *Session, Reason) { ended.Add(1) },
	})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			principal := fmt.Sprint("p", w%3)
			for i := range rounds {
				now := at(time.Duration(i) * time.Second)
				s, err := r.Create(now, Params{Principal: principal, Type: Type(rng.IntN(types))})
				if err != nil {
					if !errors.Is(err, ErrFull) {
						t.Errorf("Create: %v", err)
					}
					over.Add(1)
					continue
				}
				s.Hold()
				if got, err := r.Get(now, s.ID(), principal); s.Type() == HTTP && err == nil && got != s {
					t.Errorf("Get returned another session")
				}
				s.Set("round", i)
				s.Capabilities().Add("sampling")
				s.SetVersion("2025-06-18")
				s.Release(now)
				switch rng.IntN(6) {
				case 0:
					r.Sweep(now)
				case 1:
					for _, other := range r.List() {
						other.Touch(now)
						if rng.IntN(4) == 0 {
							other.End(now, Revoked)
						}
					}
				case 2:
					if n := r.Len(); n > limit {
						t.Errorf("Len = %d, want at most %d", n, limit)
					}
				case 3:
					s.End(now, Deleted)
				}
			}
		})
	}
	wg.Wait()
	r.CloseAll(t0, Shutdown)
	if created.Load() != ended.Load() || r.Len() != 0 || len(r.owners.n) != 0 {
		t.Errorf("created %d, ended %d, Len %d, owners %v", created.Load(), ended.Load(), r.Len(), r.owners.n)
	}
	if created.Load()+over.Load() != workers*rounds {
		t.Errorf("created %d + refused %d, want %d", created.Load(), over.Load(), workers*rounds)
	}
	if st := r.Stats(); st.HTTP != 0 || st.WebSocket != 0 || st.Stdio != 0 || st.SSE != 0 || st.Tombstones != 0 {
		t.Errorf("Stats = %+v", st)
	}
}

// TestMaxUnderContention: never more than Max, and Max is reached.
func TestMaxUnderContention(t *testing.T) {
	const limit = 100
	r := NewRegistry(Config{Max: limit})
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range limit {
				if _, err := r.Create(t0, Params{Type: WebSocket}); err == nil {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if ok.Load() != limit || len(r.List()) != limit {
		t.Errorf("%d created, %d open, want %d", ok.Load(), len(r.List()), limit)
	}
}
