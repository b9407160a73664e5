package server

import (
	"errors"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memory refuses new work before the kernel ends the process for want of memory.
// Near its limit the collector of Go would take all CPU first, and nobody would be
// served at all: calls, tasks, subscriptions, sessions and connections are turned
// away, and what has begun can end. Any goroutine.
type memory struct {
	limit int64 // bytes; 0 is none
	tell  bool  // the runtime does not know of it
	short atomic.Bool
	log   *slog.Logger

	// What look has seen last; it is called by one goroutine.
	cycle uint64    // of the collector
	total int64     // when that was new
	at    time.Time // when it was new
}

// errMemory is why new work is refused.
var errMemory = errors.New("the server is short of memory")

const (
	// memoryHigh and memoryLow are the shares of the limit, in percent, between which
	// what is in use may lie when work is refused, and must lie when it is taken again.
	memoryHigh, memoryLow = 85, 75
	// cgroupShare is how much of what the kernel allows is ours: not all memory is Go's.
	cgroupShare = 90
	// memoryLook is how often the memory is looked at.
	memoryLook = 50 * time.Millisecond
)

// newMemory finds the limit: the one that is asked for, or that of GOMEMLIMIT, or of
// the control group.
func newMemory(asked int64, log *slog.Logger) *memory {
	known := debug.SetMemoryLimit(-1)
	switch {
	case asked < 0:
		return &memory{log: log}
	case asked > 0:
		return &memory{limit: asked, tell: true, log: log}
	case known < math.MaxInt64:
		return &memory{limit: known, log: log}
	}
	group, err := memlimit.FromCgroup()
	if err != nil || group > math.MaxInt64/100 {
		return &memory{log: log} // there is no group, or it has no limit
	}
	return &memory{limit: int64(group) / 100 * cgroupShare, tell: true, log: log}
}

// begin tells the runtime of the limit, if it does not know, until undo is called.
func (m *memory) begin() (undo func()) {
	if !m.tell {
		return func() {}
	}
	before := debug.SetMemoryLimit(m.limit)
	return func() {
		if debug.SetMemoryLimit(-1) == m.limit {
			debug.SetMemoryLimit(before)
		}
	}
}

// usage is what the runtime says of its memory, in bytes.
type usage struct {
	live  int64 // in use at the last collection
	other int64 // stacks and what the runtime needs itself
	total int64 // from the kernel, and not given back
	cycle uint64
}

func readUsage() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(s)
	n := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	u := usage{live: n(0), total: n(1) - n(2), cycle: s[6].Value.Uint64()}
	u.other = u.total - n(3) - n(4) - n(5)
	return u
}

// shortWith judges a usage. was says what was found before: taking work again needs
// more room than going on.
func (m *memory) shortWith(u usage, was bool) bool {
	share := int64(memoryHigh)
	if was {
		share = memoryLow
	}
	// A heap of which little is in use may well reach the limit: the collector is due.
	// Beyond the limit it has not helped.
	return u.live+u.other >= m.limit/100*share || u.total > m.limit+m.limit/100*5
}

// stale reports whether what is live has to be found out. Near the limit calls may have
// taken much since the last collection; and when work is refused there is no garbage
// that would bring the next one.
func (m *memory) stale(u usage, was bool, now time.Time) bool {
	if u.cycle != m.cycle {
		return false
	}
	return was && now.Sub(m.at) >= time.Second || u.total >= m.limit/100*memoryHigh && u.total-m.total >= m.limit/20
}

// look is called every memoryLook.
func (m *memory) look(now time.Time) {
	was := m.short.Load()
	u := readUsage()
	if m.stale(u, was, now) {
		runtime.GC()
		u = readUsage()
	}
	if u.cycle != m.cycle {
		m.cycle, m.total, m.at = u.cycle, u.total, now
	}
	if is := m.shortWith(u, was); is != was {
		m.short.Store(is)
		if is {
			m.log.Warn("short of memory: new work is refused", "in_use", u.live+u.other, "limit", m.limit)
		} else {
			m.log.Info("there is memory again", "in_use", u.live+u.other, "limit", m.limit)
		}
	}
}

// share is n bytes, or a quarter of the limit if that is less: what peers may make the
// server hold by default.
func (m *memory) share(n int64) int64 {
	if m.limit == 0 {
		return n
	}
	return min(n, m.limit/4)
}
