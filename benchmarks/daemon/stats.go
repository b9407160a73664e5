package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
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
	body, err := p.get(ctx, "/stats")
	if err != nil {
		return g, err
	}
	counts, err := flatten(body)
	if err != nil {
		return g, fmt.Errorf("GET /stats: %w", err)
	}
	g.Connections = find(counts, names.connections)
	g.Sessions = find(counts, names.sessions)
	g.Goroutines = find(counts, names.goroutines)
	return g, nil
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

func (p *Process) proc(file string) string { return filepath.Join("/proc", strconv.Itoa(p.PID), file) }

// Usage is what a process has used.
type Usage struct {
	CPU time.Duration // user and system time
	RSS int64         // bytes resident now
}

// Usage reads the process's own usage from /proc.
func (p *Process) Usage() (Usage, error) { return ReadUsage(strconv.Itoa(p.PID)) }

// ReadUsage reads /proc/NAME, where NAME is a process id or self.
func ReadUsage(name string) (Usage, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", name, "stat"))
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(filepath.Join("/proc", name, "status"))
	if err != nil {
		return Usage{}, err
	}
	cpu, err := parseCPU(stat)
	if err != nil {
		return Usage{}, err
	}
	return Usage{CPU: cpu, RSS: parseRSS(status)}, nil
}

// parseCPU adds fields 14 and 15 (utime, stime) of proc_pid_stat(5), which count ticks of 10 ms: USER_HZ is 100 on
// every Linux port that Go supports. Field 2 may hold spaces and parentheses, so counting begins behind the last one.
func parseCPU(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc: short stat")
	}
	user, err := strconv.Atoi(string(fields[11]))
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

func parseRSS(status []byte) int64 {
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10
}
