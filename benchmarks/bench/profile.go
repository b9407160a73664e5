package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// profiler takes profiles of a server while it is measured. Figures of such a run are not worth keeping.
type profiler struct {
	dir string
}

// kinds of profiles, with the file that each goes to.
var snapshots = []struct{ path, file string }{
	{"/debug/pprof/heap", "heap.pprof"},
	{"/debug/pprof/allocs", "allocs.pprof"},
	{"/debug/pprof/mutex", "mutex.pprof"},
	{"/debug/pprof/block", "block.pprof"},
	{"/debug/pprof/goroutine", "goroutine.pprof"},
}

// take fills the window with a CPU profile, then a second of trace, then the others.
func (p *profiler) take(m *measurement, window time.Duration) error {
	if m.subject.blind {
		return m.wait(window)
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	seconds := max(1, int(window.Round(time.Second).Seconds()))
	if err := p.save(m, "/debug/pprof/profile", url.Values{"seconds": {strconv.Itoa(seconds)}}, "cpu.pprof"); err != nil {
		return err
	}
	if err := p.save(m, "/debug/pprof/trace", url.Values{"seconds": {"1"}}, "trace.out"); err != nil {
		return err
	}
	if _, err := m.server.ask(m.ctx, http.MethodPost, "/profile", url.Values{"mutex": {"1"}, "block": {"10000"}}); err != nil {
		return err
	}
	if err := m.wait(time.Second); err != nil {
		return err
	}
	for _, s := range snapshots {
		if err := p.save(m, s.path, nil, s.file); err != nil {
			return err
		}
	}
	return nil
}

func (p *profiler) save(m *measurement, path string, query url.Values, file string) error {
	body, err := m.server.ask(m.ctx, http.MethodGet, path, query)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, file), body, 0o644)
}

// explain says how to open what was taken.
func (p *profiler) explain() string {
	return fmt.Sprintf(`profiles of the server are in %[1]s; open them with
  go tool pprof -http 127.0.0.1:8099 %[1]s/cpu.pprof     (also heap, allocs, mutex, block, goroutine)
  go tool trace -http 127.0.0.1:8098 %[1]s/trace.out`, p.dir)
}
