package server

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"go.uber.org/automaxprocs/maxprocs"
)

// setProcs sets GOMAXPROCS to the CPU quota plus the number of loops, unless
// the environment sets it. A loop waits for a P when CPU-bound workers hold
// them all: with one more P for each loop, the 99th percentile of a ping beside
// a saturated pool is 3 ms instead of 24 to 120 ms.
func setProcs(loops int, log *slog.Logger) {
	if v := os.Getenv("GOMAXPROCS"); v != "" {
		log.Info("GOMAXPROCS is set by the environment", "gomaxprocs", runtime.GOMAXPROCS(0))
		return
	}
	quiet := maxprocs.Logger(func(format string, args ...any) {
		log.Debug("automaxprocs: " + fmt.Sprintf(format, args...))
	})
	if _, err := maxprocs.Set(quiet); err != nil {
		log.Warn("CPU quota unknown", "err", err)
	}
	quota := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(quota + loops)
	log.Info("GOMAXPROCS chosen", "gomaxprocs", quota+loops, "cpu_quota", quota, "loops", loops)
}
