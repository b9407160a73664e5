package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	ways        = 8  // slots in which a key may lie
	bucketShare = 64 // buckets under one lock
)

// Limiter holds the rate of many keys, by the generic cell rate algorithm: of each
// key it keeps one time, the one at which its next event would be just in time. Its
// memory is fixed, 16 bytes for each slot. When all slots in which a key may lie
// are taken, the key that has used least of its rate is forgotten, which lets it
// begin anew: limits become softer under a flood of keys, and never harder for
// somebody who has kept to them. Where keys lie depends on a random seed, so that
// nobody can choose whom he pushes out. Any goroutine.
type Limiter struct {
	spacing, tolerance int64
	seed               maphash.Seed
	buckets            []bucket
	locks              []sync.Mutex
	epoch              time.Time
}

type bucket [ways]slot

type slot struct {
	key  uint64 // 0: free
	next int64  // when the next event is due, in nanoseconds since epoch
}

// New returns a Limiter of r for about keys keys at once, or nil when r is no
// limit: a nil Limiter allows everything. r must pass Check.
func New(r Rate, keys int, now time.Time) *Limiter {
	if r.Unlimited() {
		return nil
	}
	n := 1
	for n*ways < keys {
		n *= 2
	}
	l := &Limiter{seed: maphash.MakeSeed(), buckets: make([]bucket, n), locks: make([]sync.Mutex, (n+bucketShare-1)/bucketShare), epoch: now}
	l.spacing, l.tolerance = r.spacing()
	return l
}

// Burst is the most that can be allowed at once.
func (l *Limiter) Burst() int { return int(l.tolerance / l.spacing) }

// Key is what a Limiter counts by. Different strings are different keys, but for
// one in 2^64.
type Key uint64

// Key returns the key of s.
func (l *Limiter) Key(s string) Key {
	if l == nil {
		return 0
	}
	return Key(maphash.String(l.seed, s) | 1) // 0 is a free slot
}

// HostKey returns the key of what Host has returned. It is none of Key's.
func (l *Limiter) HostKey(host netip.Prefix) Key {
	if l == nil {
		return 0
	}
	return Key(maphash.Comparable(l.seed, host) | 1)
}

// Allow counts cost events of k at now, or none when they would be too many: then
// retry is how long to wait until they are not, or 0 when they never will be. A
// clock that goes backwards allows less, not more.
func (l *Limiter) Allow(k Key, cost int, now time.Time) (ok bool, retry time.Duration) {
	if l == nil || cost <= 0 {
		return true, 0
	}
	if int64(cost) > l.tolerance/l.spacing {
		return false, 0
	}
	t := int64(now.Sub(l.epoch))
	i := int(uint64(k)>>1) & (len(l.buckets) - 1)
	lock := &l.locks[i/bucketShare]
	lock.Lock()
	defer lock.Unlock()
	s := l.buckets[i].find(uint64(k), t)
	next := max(s.next, t) + l.spacing*int64(cost)
	if early := next - l.tolerance; early > t {
		return false, time.Duration(early - t)
	}
	s.key, s.next = uint64(k), next
	return true, 0
}

// find returns the slot of k: its own, or the one of whoever has used least.
func (b *bucket) find(k uint64, now int64) *slot {
	least := 0
	for i := range b {
		if b[i].key == k {
			return &b[i]
		}
		if b[i].next < b[least].next {
			least = i
		}
	}
	s := &b[least]
	if s.key != 0 || s.next > now {
		*s = slot{next: now} // somebody else's past is not k's
	}
	return s
}
