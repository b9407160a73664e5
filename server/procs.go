package server

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"go.uber.org/automaxprocs/maxprocs"
)

// procs is what the Servers of this process have made of GOMAXPROCS, which they
// share as the process does.
var procs struct {
	mu     sync.Mutex
	before int // without us
	quota  int
	loops  int // of all running Servers
}

// addProcs sets GOMAXPROCS to the CPU quota plus the number of loops, unless
// the environment sets it. A loop waits for a P when CPU-bound workers hold
// them all: with one more P for each loop, the 99th percentile of a ping beside
// a saturated pool is 3 ms instead of 24 to 120 ms. The function it returns
// takes the loops off again.
func addProcs(loops int, log *slog.Logger) (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		log.Debug("GOMAXPROCS is set by the environment", "gomaxprocs", runtime.GOMAXPROCS(0))
		return func() {}
	}
	procs.mu.Lock()
	defer procs.mu.Unlock()
	if procs.loops == 0 {
		procs.before = runtime.GOMAXPROCS(0)
		procs.quota = cpuQuota(log)
	}
	procs.loops += loops
	runtime.GOMAXPROCS(procs.quota + procs.loops)
	log.Debug("GOMAXPROCS chosen", "gomaxprocs", procs.quota+procs.loops, "cpu_quota", procs.quota, "loops", procs.loops)
	return func() { removeProcs(loops) }
}

func removeProcs(loops int) {
	procs.mu.Lock()
	defer procs.mu.Unlock()
	if procs.loops -= loops; procs.loops == 0 {
		runtime.GOMAXPROCS(procs.before)
		return
	}
	runtime.GOMAXPROCS(procs.quota + procs.loops)
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
