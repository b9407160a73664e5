// Package probe is what the servers under test have in common: their flags, an endpoint that tells what the bench suite
// measures from inside a process, and an HTTP server that ends on SIGTERM. It knows nothing of MCP.
package probe

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
)

// Start listens on addr (host:port) and serves, until the process ends:
//
//	GET  /readyz                 200
//	GET  /stats                  {"goroutines":n,"mallocs":n,"heapBytes":n,"numGC":n}
//	POST /profile?mutex=N&block=N  sets the rates of the mutex and the block profile; 0 turns one off
//	     /debug/pprof/           net/http/pprof
//
// The empty addr starts nothing, so that a server without observer has no second listener. Call it when the server
// listens already: /readyz says no more than that the process got here.
func Start(addr string) error {
	if addr == "" {
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	// Nobody waits for this server: it ends with the process.
	go func() { _ = http.Serve(ln, handler()) }()
	return nil
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /stats", serveStats)
	mux.HandleFunc("POST /profile", serveProfile)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// stats is the answer to /stats. Mallocs counts all heap objects allocated since the start of the process.
type stats struct {
	Goroutines int    `json:"goroutines"`
	Mallocs    uint64 `json:"mallocs"`
	HeapBytes  uint64 `json:"heapBytes"`
	NumGC      uint32 `json:"numGC"`
}

// serveStats stops the world for some microseconds: runtime/metrics would not, but it counts allocations of small
// objects only when a processor's span is full, and with them counts the difference of two readings wrong.
func serveStats(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	// The client may be gone; that is its own affair.
	_ = json.NewEncoder(w).Encode(stats{runtime.NumGoroutine(), m.Mallocs, m.HeapAlloc, m.NumGC})
}

func serveProfile(w http.ResponseWriter, r *http.Request) {
	set := map[string]func(int){
		"mutex": func(n int) { runtime.SetMutexProfileFraction(n) },
		"block": runtime.SetBlockProfileRate,
	}
	for name, values := range r.URL.Query() {
		n, err := strconv.Atoi(values[0])
		// A negative fraction would only be read by the runtime, not set.
		if set[name] == nil || err != nil || n < 0 {
			http.Error(w, fmt.Sprintf("%s=%s: want mutex=N or block=N", name, values[0]), http.StatusBadRequest)
			return
		}
		set[name](n)
	}
	w.WriteHeader(http.StatusNoContent)
}
