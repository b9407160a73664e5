package server

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// minHeap is what the heap may grow to before it is collected, however little of
// it is in use. A server with a few MiB in use and the default GOGC is collected
// forty times a second at full load, which takes a quarter of the CPU of a small
// call; the collector keeps its usual pace from half of minHeap in use on.
const minHeap = 32 << 20

// collector is what the Servers of this process have made of GOGC, which they
// share as the process does.
var collector gcState

type gcState struct {
	mu       sync.Mutex
	users    int  // running Servers
	ours     bool // nobody else has chosen a pace
	percent  int  // what we have set
	watching bool // a cycle is armed
}

// defaultGOGC is the pace of a process for which nobody has chosen another.
const defaultGOGC = 100

// add sets the pace, unless the environment or the program has; GOMEMLIMIT holds
// in any case. The function it returns undoes that.
func (g *gcState) add(log *slog.Logger) (undo func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users++
	if g.users == 1 {
		g.begin(log)
	}
	return g.remove
}

func (g *gcState) begin(log *slog.Logger) {
	if os.Getenv("GOGC") != "" {
		log.Debug("GOGC is set by the environment")
		return
	}
	if chosen := measure("/gc/gogc:percent"); chosen != defaultGOGC {
		log.Debug("GOGC is set by the program", "gogc", chosen)
		return
	}
	g.ours, g.percent = true, defaultGOGC
	g.tune()
	if !g.watching {
		g.watch()
	}
}

func (g *gcState) remove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	if g.users == 0 && g.stillOurs() {
		debug.SetGCPercent(defaultGOGC)
	}
	g.ours = g.ours && g.users > 0
}

// stillOurs is false, for good, when the program has chosen a pace meanwhile.
// Under mu.
func (g *gcState) stillOurs() bool {
	g.ours = g.ours && measure("/gc/gogc:percent") == uint64(g.percent)
	return g.ours
}

// cycle is garbage from the start: its finalizer runs after the next collection.
type cycle struct{ _ [16]byte }

// watch has the pace tuned after every collection for as long as it is ours.
// Under mu.
func (g *gcState) watch() {
	g.watching = true
	runtime.SetFinalizer(new(cycle), func(*cycle) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.watching = false
		if g.stillOurs() {
			g.tune()
			g.watch()
		}
	})
}

// tune sets the pace that the heap asks for. Setting it stops the world for some
// microseconds, so small changes are left alone. Under mu.
func (g *gcState) tune() {
	want := pace(measure("/gc/heap/live:bytes"), measure("/gc/scan/stack:bytes")+measure("/gc/scan/globals:bytes"))
	if diff := want - g.percent; diff > g.percent/8 || diff < -g.percent/8 {
		g.percent = want
		debug.SetGCPercent(want)
	}
}

// measure reads one number of the runtime.
func measure(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// maxGOGC is the fastest pace: the runtime lets any heap grow to 4 MiB times GOGC
// through 100, however little of it is in use.
const maxGOGC = minHeap / (4 << 20) * 100

// pace is the GOGC with which a heap of which live bytes are in use grows to
// minHeap, or doubles if that is more. The runtime lets it grow by that share of
// what is in use and of the roots, stacks and globals, together.
func pace(live, roots uint64) int {
	if live >= minHeap/2 {
		return defaultGOGC
	}
	want := (minHeap - live) * 100 / max(live+roots, 1)
	return int(min(max(want, defaultGOGC), maxGOGC))
}
