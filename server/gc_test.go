package server

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		live, roots uint64
		want        int
	}{
		{0, 0, 800}, // of the 4 MiB that any heap may have
		{2 << 20, 1 << 20, 800},
		{3 << 20, 1 << 20, 725},
		{4 << 20, 0, 700},
		{8 << 20, 0, 300},
		{8 << 20, 4 << 20, 200},
		{8 << 20, 64 << 20, 100},
		{16<<20 - 1<<16, 0, 100},
		{16 << 20, 0, 100},
		{1 << 30, 0, 100},
	} {
		if got := pace(tt.live, tt.roots); got != tt.want {
			t.Errorf("pace(%d, %d) = %d, want %d", tt.live, tt.roots, got, tt.want)
		}
	}
}

// percent reads GOGC.
func percent() int { return int(measure("/gc/gogc:percent")) }

// The pace follows the heap while a Server runs, and nobody else has chosen one.
func TestCollector(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(defaultGOGC))
	r := serve(t, &Server{MCP: newTools().mcp})
	other := serve(t, &Server{MCP: newTools().mcp})
	if p := percent(); p <= defaultGOGC {
		t.Errorf("GOGC = %d for a small heap", p)
	}
	if goal := measure("/gc/heap/goal:bytes"); goal > minHeap+minHeap/4 {
		t.Errorf("a small heap may grow to %d bytes, want about %d", goal, minHeap)
	}
	_ = other.stop()
	await := func(what string, ok func(p int) bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(percent()); time.Sleep(time.Millisecond) {
			runtime.GC() // the finalizer runs some time after it
			if time.Now().After(end) {
				t.Fatalf("%s: GOGC = %d", what, percent())
			}
		}
	}
	func() {
		large := make([]byte, minHeap)
		await("a large heap", func(p int) bool { return p == defaultGOGC })
		runtime.KeepAlive(large)
	}()
	await("a small heap again", func(p int) bool { return p > defaultGOGC })
	_ = r.stop()
	if p := percent(); p != defaultGOGC {
		t.Errorf("GOGC = %d without a Server", p)
	}

	r = serve(t, &Server{MCP: newTools().mcp})
	debug.SetGCPercent(400)
	runtime.GC()
	_ = r.stop()
	if p := percent(); p != 400 {
		t.Errorf("GOGC = %d, was set to 400 by the program while a Server ran", p)
	}
	debug.SetGCPercent(250)
	r = serve(t, &Server{MCP: newTools().mcp})
	if p := percent(); p != 250 {
		t.Errorf("GOGC = %d, was set to 250 by the program", p)
	}
	_ = r.stop()
	debug.SetGCPercent(defaultGOGC)
	t.Setenv("GOGC", "100")
	r = serve(t, &Server{MCP: newTools().mcp})
	if p := percent(); p != defaultGOGC {
		t.Errorf("GOGC = %d, was set by the environment", p)
	}
	_ = r.stop()
}
