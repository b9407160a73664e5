package session

import "sync/atomic"

// DefaultReplayBudget is the bound of a ReplayBudget that names none.
const DefaultReplayBudget = 64 << 20

// ReplayBudget bounds the bytes that all logs of a process keep together. The
// zero value is ready. It must not be copied after first use; its methods may
// be called from any goroutine.
type ReplayBudget struct {
	// Max is the bound in bytes, counted as for MaxReplayBytes; 0 or below means
	// DefaultReplayBudget. It is not changed after first use.
	Max int64

	used atomic.Int64
}

// Bytes returns how many bytes the logs count now, never more than the bound.
func (b *ReplayBudget) Bytes() int64 { return b.used.Load() }

func (b *ReplayBudget) max() int64 {
	if b.Max <= 0 {
		return DefaultReplayBudget
	}
	return b.Max
}

// fits reports whether there is room for n bytes more just now. A nil budget
// has room for all.
func (b *ReplayBudget) fits(n int) bool {
	return b == nil || b.used.Load()+int64(n) <= b.max()
}

// take takes n bytes if there is room for them.
func (b *ReplayBudget) take(n int) bool {
	if b == nil {
		return true
	}
	for {
		used := b.used.Load()
		if used+int64(n) > b.max() {
			return false
		}
		if b.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

func (b *ReplayBudget) giveBack(n int) {
	if b != nil {
		b.used.Add(-int64(n))
	}
}
