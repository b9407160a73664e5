package session

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

func heapAlloc() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestChurn: 100,000 sessions come and go by all ways out and leave no entry,
// no goroutine and no memory.
func TestChurn(t *testing.T) {
	const rounds = 100_000
	r := NewRegistry(Config{Idle: time.Second})
	churn := func(n int) {
		for i := range n {
			now := at(time.Duration(i) * time.Millisecond)
			s := create(t, r, now, typical)
			switch i % 3 {
			case 0:
				s.End(now, Deleted)
			case 1:
				r.Get(now.Add(time.Second), s.ID(), typical.Principal)
			}
			if i%500 == 0 {
				r.Sweep(now)
			}
		}
		r.Sweep(at(time.Hour))
	}
	churn(5000) // the maps keep the room of their largest size
	goroutines, before := runtime.NumGoroutine(), heapAlloc()
	churn(rounds)
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("goroutines: %d before, %d after", goroutines, got)
	}
	if after := heapAlloc(); after > before+256<<10 {
		t.Errorf("heap grew from %d to %d bytes", before, after)
	}
	if r.Len() != 0 || len(r.List()) != 0 {
		t.Errorf("Len, List = %d, %d, want 0", r.Len(), len(r.List()))
	}
	runtime.KeepAlive(r)
}

func TestBytesPerSession(t *testing.T) {
	const n, budget = 10_000, 2048
	for _, typ := range []Type{HTTP, WebSocket} {
		p := typical
		p.Type = typ
		before := heapAlloc()
		r := NewRegistry(Config{})
		for range n {
			create(t, r, t0, p)
		}
		per := (heapAlloc() - before) / n
		t.Logf("%v: %d bytes per session with typical client info", typ, per)
		if per > budget {
			t.Errorf("%v: %d bytes per session, want at most %d", typ, per, budget)
		}
		runtime.KeepAlive(r)
	}
}

func TestShardSize(t *testing.T) {
	if got := unsafe.Sizeof(shard{}); got != 64 {
		t.Errorf("a shard takes %d bytes, want a cache line of 64", got)
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	r := NewRegistry(Config{})
	s := create(t, r, t0, typical)
	for name, f := range map[string]func(){
		"Get":     func() { r.Get(t0, s.ID(), typical.Principal) },
		"Touch":   func() { s.Touch(t0) },
		"hold":    func() { s.Hold(); s.Release(t0) },
		"Has":     func() { s.Capabilities().Has("sampling") },
		"Version": func() { _ = s.Version() },
		"Sweep":   func() { r.Sweep(t0) },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s allocates %v times, want 0", name, got)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	r := NewRegistry(Config{})
	b.ReportAllocs()
	for b.Loop() {
		create(b, r, t0, typical).End(t0, Deleted)
	}
}

func filled(b *testing.B, n int) (*Registry, []string) {
	b.Helper()
	r := NewRegistry(Config{Max: n})
	ids := make([]string, n)
	for i := range ids {
		ids[i] = create(b, r, t0, typical).ID()
	}
	return r, ids
}

func BenchmarkGet(b *testing.B) {
	r, ids := filled(b, 10_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(ids)
		if _, err := r.Get(t0, ids[i], typical.Principal); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetParallel(b *testing.B) {
	r, ids := filled(b, 10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := rand.IntN(len(ids))
		for pb.Next() {
			i = (i + 7919) % len(ids)
			if _, err := r.Get(t0, ids[i], typical.Principal); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkGetForged(b *testing.B) {
	r, ids := filled(b, 1)
	forged := ids[0][:len(ids[0])-8] + "AAAAAAAA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Get(t0, forged, typical.Principal); err != ErrUnknown {
			b.Fatal(err)
		}
	}
}

func BenchmarkSweep10k(b *testing.B) {
	r, _ := filled(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		r.Sweep(t0)
	}
}
