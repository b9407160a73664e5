package limit

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var epoch = time.Unix(1e9, 0)

// TestBurstThenRate: at limit-1, limit and limit+1, and how long to wait.
func TestBurstThenRate(t *testing.T) {
	l := New(Rate{Events: 10, Per: time.Second, Burst: 3}, 100, epoch)
	k := l.Key("ann")
	for i := 1; i <= 4; i++ {
		ok, retry := l.Allow(k, 1, epoch)
		if ok != (i <= 3) || (retry == 100*time.Millisecond) != (i == 4) {
			t.Errorf("event %d: %v, retry after %v", i, ok, retry)
		}
	}
	if ok, _ := l.Allow(k, 1, epoch.Add(100*time.Millisecond-1)); ok {
		t.Error("allowed a nanosecond before its time")
	}
	if ok, _ := l.Allow(k, 1, epoch.Add(100*time.Millisecond)); !ok {
		t.Error("refused in time")
	}
	if ok, _ := l.Allow(l.Key("bob"), 3, epoch); !ok {
		t.Error("another key is refused")
	}
	if ok, retry := l.Allow(k, 4, epoch.Add(time.Hour)); ok || retry != 0 {
		t.Errorf("a cost above the burst: %v, retry after %v; it can never be", ok, retry)
	}
	if ok, _ := l.Allow(k, 3, epoch.Add(time.Hour)); !ok {
		t.Error("the burst has not come back")
	}
	if ok, _ := l.Allow(k, 1, epoch); ok {
		t.Error("a clock that went backwards allows more")
	}
}

func TestUnlimited(t *testing.T) {
	l := New(Rate{}, 100, epoch)
	for range 1000 {
		if ok, _ := l.Allow(l.Key("ann"), 1, epoch); !ok {
			t.Fatal("refused without a limit")
		}
	}
}

// oracle is a token bucket.
type oracle struct {
	tokens float64
	last   time.Time
}

func (o *oracle) allow(r Rate, cost int, now time.Time) bool {
	o.tokens = min(float64(r.Burst), o.tokens+now.Sub(o.last).Seconds()*float64(r.Events)/r.Per.Seconds())
	o.last = now
	if o.tokens+1e-9 < float64(cost) {
		return false
	}
	o.tokens -= float64(cost)
	return true
}

// TestAgainstTokenBucket: a token bucket decides the same.
func TestAgainstTokenBucket(t *testing.T) {
	r := Rate{Events: 50, Per: time.Second, Burst: 20}
	l := New(r, 1000, epoch)
	rnd := rand.New(rand.NewPCG(1, 2))
	keys := map[string]*oracle{}
	now := epoch
	for range 100_000 {
		now = now.Add(time.Duration(rnd.IntN(2000)) * time.Microsecond)
		name := fmt.Sprint(rnd.IntN(5))
		o := keys[name]
		if o == nil {
			o = &oracle{float64(r.Burst), now}
			keys[name] = o
		}
		cost := 1 + rnd.IntN(4)
		if got, want := first(l.Allow(l.Key(name), cost, now)), o.allow(r, cost, now); got != want {
			t.Fatalf("at %v: cost %d of %s: %v, a token bucket says %v with %v left", now.Sub(epoch), cost, name, got, want, o.tokens)
		}
	}
}

func first(ok bool, _ time.Duration) bool { return ok }

// TestAMillionKeys: the table does not grow, and who keeps to the rate is never
// refused.
func TestAMillionKeys(t *testing.T) {
	l := New(Rate{Events: 1, Per: time.Second, Burst: 2}, 4096, epoch)
	if n := len(l.buckets) * ways; n != 4096 {
		t.Fatalf("%d slots", n)
	}
	now := epoch
	for i := range 1_000_000 {
		now = now.Add(time.Microsecond)
		if ok, _ := l.Allow(l.Key(fmt.Sprint(i)), 1, now); !ok {
			t.Fatalf("key %d is refused at its first event", i)
		}
	}
	good := l.Key("good")
	for i := range 100 {
		now = now.Add(time.Second)
		for j := range 10_000 {
			_, _ = l.Allow(l.Key(fmt.Sprint(i, j)), 1, now)
		}
		if ok, _ := l.Allow(good, 1, now); !ok {
			t.Fatalf("second %d: who keeps to the rate is refused", i)
		}
	}
}

// Beside each other callers get what the rate allows, not more.
func TestConcurrently(t *testing.T) {
	l := New(Rate{Events: 1, Per: time.Hour, Burst: 1000}, 16, epoch)
	k := l.Key("ann")
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if ok, _ := l.Allow(k, 1, epoch); ok {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 1000 {
		t.Errorf("%d were allowed, want 1000", n)
	}
}

func TestParseRate(t *testing.T) {
	for s, want := range map[string]Rate{
		"none": {}, "100/s": {100, time.Second, 0}, "600/m:50": {600, time.Minute, 50}, "1/h": {1, time.Hour, 0}, "5/10s:1": {5, 10 * time.Second, 1},
		"1000000000/s": {1e9, time.Second, 0},
	} {
		r, err := ParseRate(s)
		if err != nil || r != want {
			t.Errorf("%q: %+v %v, want %+v", s, r, err, want)
		}
		if back, err := ParseRate(r.String()); err != nil || back != r {
			t.Errorf("%q is written as %q", s, r)
		}
	}
	for _, s := range []string{"", "100", "/s", "100/", "0/s", "-1/s", "x/s", "1/y", "1/s:", "1/s:0", "1/s:-1", "1/s:x", "1000000001/s", "1/25h", "1/1ns", "1/s:1000000001"} {
		if r, err := ParseRate(s); err == nil {
			t.Errorf("%q is a rate: %+v", s, r)
		}
	}
}

func TestDefaultBurst(t *testing.T) {
	for _, tt := range []struct {
		r    Rate
		want int
	}{{Rate{100, time.Second, 0}, 100}, {Rate{600, time.Minute, 0}, 10}, {Rate{1, time.Hour, 0}, 1}, {Rate{1e9, time.Second, 1e9}, 1e9}} {
		l := New(tt.r, 16, epoch)
		k := l.Key("ann")
		if ok, _ := l.Allow(k, tt.want, epoch); !ok {
			t.Errorf("%v: %d at once are refused", tt.r, tt.want)
		}
		if ok, _ := l.Allow(k, 1, epoch); ok {
			t.Errorf("%v: %d at once are allowed", tt.r, tt.want+1)
		}
	}
}

func TestAllowAllocates(t *testing.T) {
	l := New(Rate{Events: 1, Per: time.Second}, 100, epoch)
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Allow(l.Key("ann"), 1, epoch) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	l := New(Rate{Events: 1e9, Per: time.Second}, 1<<16, epoch)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.Allow(l.Key("https://as.example.com#ann"), 1, now)
	}
}
