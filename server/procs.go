package server

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/automaxprocs/maxprocs"
)

// procs is what the Servers of this process have made of GOMAXPROCS, which they
// share as the process does: the CPU quota, and one more for each loop while
// tools of class cpu run.
//
// A loop waits for a P when CPU-bound workers hold them all: with one more for
// each loop, the 99th percentile of a ping beside a saturated pool is 3 ms
// instead of 24 to 120 ms. But on a core that has two, each hand-off from loop
// to worker wakes a thread that competes with the loop: 41 µs of CPU for an echo
// call instead of 29. So they come with the first tool that computes and go
// when there has been none for a while.
var procs procsState

// procsRest is how long the additional ones stay without use.
const procsRest = 10 * time.Second

type procsState struct {
	mu     sync.Mutex
	before int // without us
	quota  int
	loops  int // of all running Servers; 0: GOMAXPROCS is not ours
	raised atomic.Bool

	computing atomic.Int64 // tools of class cpu that run
	last      atomic.Int64 // when one has ended, Unix time in nanoseconds
}

// addProcs sets GOMAXPROCS to the CPU quota, unless the environment sets it. The
// function it returns undoes that.
func addProcs(loops int, log *slog.Logger) (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		log.Debug("GOMAXPROCS is set by the environment", "gomaxprocs", runtime.GOMAXPROCS(0))
		return func() {}
	}
	return procs.add(loops, log)
}

func (p *procsState) add(loops int, log *slog.Logger) (undo func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loops == 0 {
		p.before = runtime.GOMAXPROCS(0)
		p.quota = cpuQuota(log)
	}
	p.loops += loops
	p.set()
	log.Debug("GOMAXPROCS chosen", "cpu_quota", p.quota, "more_while_tools_compute", p.loops)
	return func() { p.remove(loops) }
}

func (p *procsState) remove(loops int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loops -= loops; p.loops == 0 {
		p.raised.Store(false)
		runtime.GOMAXPROCS(p.before)
		return
	}
	p.set()
}

// set is called under mu, while GOMAXPROCS is ours. Setting it stops the world,
// even when nothing changes.
func (p *procsState) set() {
	n := p.quota
	if p.raised.Load() {
		n += p.loops
	}
	if n != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
}

// enter is called by a worker before a tool of class cpu runs, leave after it.
func (p *procsState) enter() {
	p.computing.Add(1)
	if !p.raised.Load() {
		p.raise(true)
	}
}

func (p *procsState) leave(now time.Time) {
	p.last.Store(now.UnixNano())
	p.computing.Add(-1)
}

// sweep takes the additional ones away when they are not used any more.
func (p *procsState) sweep(now time.Time) {
	if !p.raised.Load() || p.computing.Load() > 0 {
		return
	}
	// A clock that was set back must not make the rest much longer. now may be a little before last.
	if rest := now.Sub(time.Unix(0, p.last.Load())); rest >= procsRest || rest < -procsRest {
		p.raise(false)
	}
}

func (p *procsState) raise(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loops == 0 || !p.raised.CompareAndSwap(!on, on) {
		return
	}
	if !on && p.computing.Load() > 0 { // one has begun that saw them raised
		p.raised.Store(true)
	}
	p.set()
}

// cpuQuota is how many CPUs the process may use.
func cpuQuota(log *slog.Logger) int {
	quiet := maxprocs.Logger(func(format string, args ...any) {
		log.Debug("automaxprocs: " + fmt.Sprintf(format, args...))
	})
	if _, err := maxprocs.Set(quiet); err != nil {
		log.Warn("CPU quota unknown", "err", err)
	}
	return runtime.GOMAXPROCS(0)
}

// cpus is how many tools of class cpu may run at once: one for each CPU that
// the process may use.
func cpus() int {
	procs.mu.Lock()
	defer procs.mu.Unlock()
	if procs.loops > 0 {
		return procs.quota
	}
	return min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
}
