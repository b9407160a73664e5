package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Unknown stands for a count that the server does not tell.
const Unknown = -1

// Gauges are the counts that must return to their start values when all clients have left.
type Gauges struct {
	Connections, Sessions, Goroutines int
	// Files is the number of open descriptors, from /proc.
	Files int
}

// names lists, per gauge, the paths it may have in the JSON of /stats: lower case, without dots and separators.
var names = struct{ connections, sessions, goroutines []string }{
	connections: []string{"connectionsactive", "activeconnections", "connections"},
	sessions:    []string{"sessionsactive", "activesessions", "sessions", "sessionscount", "sessionsopen"},
	goroutines:  []string{"goroutines", "runtimegoroutines", "memorygoroutines", "processgoroutines"},
}

// Gauges reads /stats and /proc.
func (p *Process) Gauges(ctx context.Context) (Gauges, error) {
	g := Gauges{Connections: Unknown, Sessions: Unknown, Goroutines: Unknown, Files: Unknown}
	if p.PID != 0 {
		entries, err := os.ReadDir(p.proc("fd"))
		if err != nil {
			return g, err
		}
		g.Files = len(entries)
	}
	if p.Admin == "" {
		return g, nil
	}
	counts, err := p.Counts(ctx)
	if err != nil {
		return g, err
	}
	g.Connections = find(counts, names.connections)
	g.Sessions = find(counts, names.sessions)
	g.Goroutines = find(counts, names.goroutines)
	return g, nil
}

// Counts reads the numbers of /stats by their path in lower case, without dots and separators: memoryheapalloc.
func (p *Process) Counts(ctx context.Context) (map[string]float64, error) {
	body, err := p.get(ctx, "/stats")
	if err != nil {
		return nil, err
	}
	counts, err := flatten(body)
	if err != nil {
		return nil, fmt.Errorf("GET /stats: %w", err)
	}
	return counts, nil
}

// CollectGarbage has a server that serves /debug/pprof/ run its garbage collector.
func (p *Process) CollectGarbage(ctx context.Context) error {
	_, err := p.get(ctx, "/debug/pprof/heap?gc=1")
	return err
}

func find(counts map[string]float64, candidates []string) int {
	for _, name := range candidates {
		if v, ok := counts[name]; ok {
			return int(v)
		}
	}
	return Unknown
}

// flatten returns the numbers of a JSON object by their path: {"connections": {"active": 1}} gives connectionsactive.
func flatten(body []byte) (map[string]float64, error) {
	var root map[string]any
	if err := json.Unmarshal(body, &root); err != nil {
		return nil, err
	}
	counts := make(map[string]float64)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case float64:
			counts[path] = v
		case map[string]any:
			for name, member := range v {
				walk(path+strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(name)), member)
			}
		}
	}
	walk("", root)
	return counts, nil
}

func (p *Process) proc(file string) string { return procFile(p.PID, file) }

func procFile(pid int, file string) string { return filepath.Join("/proc", strconv.Itoa(pid), file) }

// Usage is what a process has used.
type Usage struct {
	CPU time.Duration // user and system time, exact to a nanosecond
	RSS int64         // bytes resident now
	// Reads and Writes count the calls of read(2), write(2) and their kin, on sockets and whatever else.
	Reads, Writes int64
}

// Usage reads the process's own usage.
func (p *Process) Usage() (Usage, error) { return ReadUsage(p.PID) }

// ReadUsage reads the usage of a process.
func ReadUsage(pid int) (u Usage, err error) {
	if u.CPU, err = cpuTime(pid); err != nil {
		return Usage{}, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	status, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return Usage{}, err
	}
	io, err := os.ReadFile(procFile(pid, "io"))
	if err != nil {
		return Usage{}, err
	}
	u.RSS = procNumber(status, "VmRSS:") << 10
	u.Reads, u.Writes = procNumber(io, "syscr:"), procNumber(io, "syscw:")
	return u, nil
}

// cpuTime reads the CPU clock of another process, as clock_getcpuclockid(3) does: the bits above the lowest three are
// the complement of its id, the lowest three say "time on a processor" (CPUCLOCK_SCHED of the kernel). The figures of
// /proc/PID/stat are the same, rounded down to 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|2, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// procNumber returns the number behind name in a file of /proc, or 0.
func procNumber(file []byte, name string) int64 {
	_, rest, _ := bytes.Cut(file, []byte(name))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return n
}
