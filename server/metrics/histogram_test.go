package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// maxError is the promise of the package doc: half a bucket.
const maxError = 1.0 / (2 * sub)

func near(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= maxError*float64(want)
}

// nearestRank is the reference for Quantile; sorted is not empty.
func nearestRank(sorted []time.Duration, q float64) time.Duration {
	rank := max(int(math.Ceil(q*float64(len(sorted)))), 1)
	return sorted[rank-1]
}

func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name string
		n    int
		draw func() time.Duration
	}{
		{"one value", 1, func() time.Duration { return 1234 * time.Microsecond }},
		{"constant", 1000, func() time.Duration { return time.Minute }},
		{"nanoseconds", 5000, func() time.Duration { return time.Duration(rng.Int64N(100)) }},
		{"uniform to 1 ms", 20000, func() time.Duration { return time.Duration(rng.Int64N(1e6)) }},
		{"uniform 1 µs to 90 s", 20000, func() time.Duration { return time.Microsecond + time.Duration(rng.Int64N(90e9)) }},
		{"exponential, mean 300 µs", 20000, func() time.Duration { return time.Duration(rng.ExpFloat64() * 300e3) }},
		{"log-uniform, 1 µs to 60 s", 20000, func() time.Duration {
			return time.Duration(1e3 * math.Exp(rng.Float64()*math.Log(60e6)))
		}},
		{"two peaks", 10000, func() time.Duration {
			if rng.IntN(100) < 4 {
				return 2*time.Second + time.Duration(rng.Int64N(1e6))
			}
			return 40*time.Microsecond + time.Duration(rng.Int64N(1e4))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h Histogram
			values := make([]time.Duration, tt.n)
			var sum time.Duration
			for i := range values {
				values[i] = tt.draw()
				sum += values[i]
				h.Record(values[i])
			}
			slices.Sort(values)
			s := h.Snapshot()
			if s.Count != uint64(tt.n) {
				t.Errorf("Count = %d, want %d", s.Count, tt.n)
			}
			if s.Sum != sum || s.Mean != sum/time.Duration(tt.n) {
				t.Errorf("Sum, Mean = %v, %v, want %v, %v", s.Sum, s.Mean, sum, sum/time.Duration(tt.n))
			}
			if want := values[tt.n-1]; s.Max != want {
				t.Errorf("Max = %v, want %v", s.Max, want)
			}
			for _, f := range []struct {
				q   float64
				got time.Duration
			}{{0.50, s.P50}, {0.95, s.P95}, {0.99, s.P99}} {
				if got := s.Quantile(f.q); got != f.got {
					t.Errorf("Quantile(%v) = %v, but the field is %v", f.q, got, f.got)
				}
			}
			for _, q := range []float64{0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1} {
				if got, want := s.Quantile(q), nearestRank(values, q); !near(got, want) {
					t.Errorf("Quantile(%v) = %v, want %v within 1.6 %%", q, got, want)
				}
			}
		})
	}
}

func TestQuantileEdges(t *testing.T) {
	var h Histogram
	h.Record(-time.Second)
	h.Record(3 * time.Nanosecond)
	s := h.Snapshot()
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{-1, 0}, {math.NaN(), 0}, {math.Inf(-1), 0}, {0, 0}, {0.5, 0}, {0.51, 3}, {1, 3}, {2, 3}, {math.Inf(1), 3}} {
		if got := s.Quantile(tt.q); got != tt.want {
			t.Errorf("Quantile(%v) = %v, want %v", tt.q, got, tt.want)
		}
	}
}

// The largest duration that still has a bucket of its own, and beyond.
func TestLongDurations(t *testing.T) {
	const last = time.Duration(middleOfLast)
	tests := []struct {
		name string
		d    time.Duration
	}{
		{"61 s", 61 * time.Second},
		{"bucket before the last", last - last/32},
		{"last bucket", last},
		{"limit-1", 1<<maxBits - 1},
		{"limit", 1 << maxBits},
		{"limit+1", 1<<maxBits + 1},
		{"a day", 24 * time.Hour},
		{"longest", math.MaxInt64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h Histogram
			h.Record(tt.d)
			s := h.Snapshot()
			if s.Max != tt.d || !near(s.P50, tt.d) {
				t.Errorf("Max, P50 = %v, %v, want %v", s.Max, s.P50, tt.d)
			}
		})
	}
}

const middleOfLast = 1<<maxBits - 1<<(maxBits-subBits-2)

func TestSnapshotOfNothing(t *testing.T) {
	var h Histogram
	s := h.Snapshot()
	s.Merge(h.Snapshot())
	if s.Count != 0 || s.Mean != 0 || s.P99 != 0 || s.Max != 0 || s.Quantile(0.5) != 0 {
		t.Errorf("Snapshot of nothing = %+v", s)
	}
}

func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var a, b, both Histogram
	for i := range 10000 {
		d := time.Duration(rng.ExpFloat64() * 1e6)
		both.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	want := both.Snapshot()
	other := b.Snapshot()
	for _, empty := range []bool{false, true} {
		s := a.Snapshot()
		if empty {
			s = Snapshot{}
			s.Merge(a.Snapshot())
		}
		s.Merge(other)
		s.Merge(Snapshot{})
		if s.Count != want.Count || s.Sum != want.Sum || s.Mean != want.Mean || s.Max != want.Max ||
			s.P50 != want.P50 || s.P95 != want.P95 || s.P99 != want.P99 || !slices.Equal(s.counts, want.counts) {
			t.Errorf("merged (from empty: %v) = %d %v %v, want %d %v %v", empty, s.Count, s.Mean, s.P99, want.Count, want.Mean, want.P99)
		}
	}
	if again := b.Snapshot(); !slices.Equal(other.counts, again.counts) {
		t.Error("Merge changed its argument")
	}
}

// TestConcurrent records from many goroutines while another takes snapshots:
// nothing is lost, and counts never go back.
func TestConcurrent(t *testing.T) {
	const writers, each = 8, 20000
	var h Histogram
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				h.Record(time.Duration(w*each+i) * time.Microsecond)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for last := uint64(0); ; {
		s := h.Snapshot()
		if s.Count < last {
			t.Fatalf("Count went from %d to %d", last, s.Count)
		}
		last = s.Count
		select {
		case <-done:
			const n = writers * each
			s := h.Snapshot()
			if s.Count != n || s.Max != (n-1)*time.Microsecond || s.Sum != n*(n-1)/2*time.Microsecond {
				t.Errorf("Count, Max, Sum = %d, %v, %v", s.Count, s.Max, s.Sum)
			}
			return
		default:
		}
	}
}

func TestStripeSize(t *testing.T) {
	if got := unsafe.Sizeof(stripe{}); got > 10<<10 {
		t.Errorf("a stripe takes %d bytes, the doc says 9 KiB", got)
	}
	if i := stripeIndex(); i >= stripes {
		t.Errorf("stripeIndex() = %d, want below %d", i, stripes)
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	var h Histogram
	for i := range h.stripes {
		h.grow(uintptr(i))
	}
	if got := testing.AllocsPerRun(1000, func() { h.Record(time.Millisecond) }); got != 0 {
		t.Errorf("Record allocates %v times, want 0", got)
	}
}

func TestCounter(t *testing.T) {
	var c Counter
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				c.Inc()
				c.Add(2)
			}
		})
	}
	wg.Wait()
	if got := c.Load(); got != 12000 {
		t.Errorf("Load = %d, want 12000", got)
	}
	if got := unsafe.Sizeof(c); got != 64 {
		t.Errorf("a Counter takes %d bytes, want 64", got)
	}
}

// FuzzBucket checks that buckets are in order and that a value is as near to
// its bucket's middle as promised.
func FuzzBucket(f *testing.F) {
	f.Add(uint64(0), uint64(1))
	f.Add(uint64(2*sub-1), uint64(2*sub))
	f.Add(uint64(4*sub-1), uint64(4*sub))
	f.Add(uint64(1<<maxBits-1), uint64(1<<maxBits))
	f.Add(uint64(math.MaxInt64), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		a, b = min(a, b), max(a, b)
		i, j := bucket(a), bucket(b)
		if i < 0 || i > j || j >= buckets {
			t.Fatalf("bucket(%d) = %d, bucket(%d) = %d, want 0 <= first <= second < %d", a, i, b, j, buckets)
		}
		if m := middle(i); bucket(m) != i {
			t.Fatalf("bucket(middle(%d)) = %d", i, bucket(m))
		} else if a < 1<<maxBits && !near(time.Duration(m), time.Duration(a)) {
			t.Fatalf("middle of the bucket of %d = %d", a, m)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	h.Record(0)
	b.ReportAllocs()
	d := time.Duration(0)
	for b.Loop() {
		h.Record(d)
		d = (d + 12345) & (1<<24 - 1)
	}
}

func BenchmarkRecordParallel(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Record(300 * time.Microsecond)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	var h Histogram
	for i := range 100000 {
		h.Record(time.Duration(i) * time.Microsecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.Snapshot()
	}
}
