// Package metrics counts and times what the server does, cheaply enough for
// every message: no locks, no allocation, no clock. Readers pay instead of
// writers: a snapshot adds everything up.
package metrics

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	// subBits makes 32 buckets of equal width for each power of two: a bucket
	// is at most 1/32 of its lower bound wide, so its middle is within 1/64,
	// 1.6 %, of every value in it.
	subBits = 5
	sub     = 1 << subBits
	// maxBits is where buckets end: 2^40 ns, 18 minutes.
	maxBits = 40
	buckets = (maxBits - subBits + 1) * sub

	// stripes are more than the cores of a small machine, so that two busy
	// goroutines seldom share one: on two cores, both recording without a
	// pause, a record costs 2 ns apart and 20 ns together.
	stripeBits = 3
	stripes    = 1 << stripeBits
)

// A Histogram counts durations in log-linear buckets from 1 ns to 18 minutes,
// with a relative error of at most 1.6 %. The zero value is ready; a Histogram
// must not be copied after its first use. All methods are safe for any
// goroutine.
//
// To keep cores from fighting for cache lines it is striped: a goroutine writes
// to a stripe chosen by where its stack is. A stripe takes 9 KiB and exists
// from its first use; there are at most 8, so a Histogram that all workers use
// grows to 74 KiB.
type Histogram struct {
	stripes [stripes]atomic.Pointer[stripe]
}

type stripe struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Uint64 // ns; room for 584 years
	max    atomic.Uint64 // ns
}

// Record counts d; a negative d counts as 0. It allocates only when it is the
// first to use a stripe.
func (h *Histogram) Record(d time.Duration) {
	v := uint64(max(d, 0))
	i := stripeIndex()
	s := h.stripes[i].Load()
	if s == nil {
		s = h.grow(i)
	}
	s.counts[bucket(v)].Add(1)
	s.sum.Add(v)
	for {
		old := s.max.Load()
		if v <= old || s.max.CompareAndSwap(old, v) {
			return
		}
	}
}

// Snapshot returns what has been recorded so far. Records made meanwhile may
// be in it in part: Count and the quantiles always agree, Mean and Max may lead
// or lag by those few.
func (h *Histogram) Snapshot() Snapshot {
	var s Snapshot
	for i := range h.stripes {
		if p := h.stripes[i].Load(); p != nil {
			s.add(p)
		}
	}
	s.summarize()
	return s
}

func (h *Histogram) grow(i uintptr) *stripe {
	h.stripes[i].CompareAndSwap(nil, new(stripe))
	return h.stripes[i].Load()
}

// stripeIndex spreads goroutines over the stripes. A goroutine's stack is its
// own, rarely moves and is at least 2 KiB, so the address of a local variable
// above bit 11 tells goroutines apart, at 1 ns. Random numbers cost 6 ns here
// and would move every line between all cores. A wrong guess costs speed only.
func stripeIndex() uintptr {
	var local byte
	page := uint64(uintptr(unsafe.Pointer(&local))) >> 11
	const golden = 0x9E3779B97F4A7C15 // 2^64 / φ: mixes into the upper bits
	return uintptr(page * golden >> (64 - stripeBits))
}

// bucket is the index for v. Below 2·sub every value has a bucket of its own;
// above, v is shifted until it has subBits+1 bits, and the shift is the group.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return min(shift<<subBits+int(v>>shift), buckets-1)
}

// middle is the middle of bucket i, rounded down.
func middle(i int) uint64 {
	if i < 2*sub {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return uint64(i-shift<<subBits)<<shift + 1<<shift>>1
}

// A Snapshot is the state of a Histogram at one time. Its exported fields are
// ready to print or encode. It is a value for one goroutine at a time.
type Snapshot struct {
	Count         uint64
	Sum           time.Duration // exact
	Mean          time.Duration // exact
	P50, P95, P99 time.Duration // within 1.6 %; see Quantile
	Max           time.Duration // exact

	counts []uint64 // by bucket; nil when nothing was recorded
}

// Quantile returns the smallest recorded duration that at least the part q of
// all is not above (nearest rank), within 1.6 % and never above Max: the middle
// of its bucket. Among durations of more than 18 minutes it is Max. q is cut to
// 0..1; without records the answer is 0.
func (s *Snapshot) Quantile(q float64) time.Duration {
	if s.Count == 0 {
		return 0
	}
	rank := uint64(1)
	if q > 0 { // not for NaN
		rank = max(rank, uint64(math.Ceil(min(q, 1)*float64(s.Count))))
	}
	for i, n := range s.counts {
		if rank <= n {
			if i == buckets-1 {
				return s.Max
			}
			return min(time.Duration(middle(i)), s.Max)
		}
		rank -= n
	}
	return s.Max
}

// Merge adds what other holds to s, as if both had been recorded in one
// histogram. other does not change.
func (s *Snapshot) Merge(other Snapshot) {
	s.room(other.counts != nil)
	for i, n := range other.counts {
		s.counts[i] += n
	}
	s.Sum += other.Sum
	s.Max = max(s.Max, other.Max)
	s.summarize()
}

func (s *Snapshot) add(p *stripe) {
	s.room(true)
	for i := range p.counts {
		s.counts[i] += p.counts[i].Load()
	}
	s.Sum += time.Duration(p.sum.Load())
	s.Max = max(s.Max, time.Duration(p.max.Load()))
}

func (s *Snapshot) room(needed bool) {
	if needed && s.counts == nil {
		s.counts = make([]uint64, buckets)
	}
}

// summarize computes the fields that follow from counts, Sum and Max.
func (s *Snapshot) summarize() {
	s.Count = 0
	for _, n := range s.counts {
		s.Count += n
	}
	if s.Count == 0 {
		return
	}
	s.Mean = time.Duration(uint64(s.Sum) / s.Count)
	s.P50, s.P95, s.P99 = s.Quantile(0.50), s.Quantile(0.95), s.Quantile(0.99)
}
