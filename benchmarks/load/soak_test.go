package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"millrace/benchmarks/daemon"
)

func TestRegress(t *testing.T) {
	slope, deviation := regress([]float64{0, 1, 2, 3}, []float64{5, 7, 9, 11})
	if math.Abs(slope-2) > 1e-9 || deviation > 1e-9 {
		t.Errorf("a line: slope %v ± %v, want 2 ± 0", slope, deviation)
	}
	// By hand: sxx = 5, sxy = 3, residuals -0.1, 0.3, -0.3, 0.1, so sqrt(0.2/2/5).
	slope, deviation = regress([]float64{0, 1, 2, 3}, []float64{1, 2, 2, 3})
	if math.Abs(slope-0.6) > 1e-9 || math.Abs(deviation-math.Sqrt(0.02)) > 1e-9 {
		t.Errorf("slope %v ± %v, want 0.6 ± 0.1414", slope, deviation)
	}
	if slope, _ := regress([]float64{1, 1}, []float64{1, 2}); slope != 0 {
		t.Errorf("all at one moment: slope %v", slope)
	}
}

// soaked makes a table of an hour with a row a minute, whose memory and p99 are as the functions say.
func soaked(rss func(minute int) int64, p99 func(minute int) time.Duration) *soakTable {
	t := &soakTable{warmup: 12 * time.Minute}
	for i := 1; i <= 60; i++ {
		t.rows = append(t.rows, soakRow{at: time.Duration(i) * time.Minute, span: time.Minute, calls: 60, p99: p99(i), rss: rss(i)})
	}
	return t
}

func TestSoakJudge(t *testing.T) {
	steadyRSS := func(i int) int64 { return 50<<20 + int64(i%2)<<20 }
	steadyP99 := func(i int) time.Duration { return 10*time.Millisecond + time.Duration(i%3)*time.Millisecond }
	for _, tt := range []struct {
		name         string
		rss          func(int) int64
		p99          func(int) time.Duration
		judged, want bool
	}{
		{"steady", steadyRSS, steadyP99, true, true},
		{"leak of 6 MiB an hour", func(i int) int64 { return steadyRSS(i) + int64(i)*(6<<20)/60 }, steadyP99, true, false},
		{"leak of 2 % an hour, without noise", func(i int) int64 { return 50<<20 + int64(i)*(1<<20)/60 }, steadyP99, true, false},
		{"leak during the warm-up alone", func(i int) int64 { return int64(min(i, 12)) << 20 }, steadyP99, true, true},
		{"leak, not judged", func(i int) int64 { return steadyRSS(i) + int64(i)*(6<<20)/60 }, steadyP99, false, true},
		{"large leak, not judged", func(i int) int64 { return int64(i) * (2 << 20) }, steadyP99, false, false},
		{"slower and slower", steadyRSS, func(i int) time.Duration { return time.Duration(i) * time.Millisecond }, true, false},
		{"one slow minute", steadyRSS, func(i int) time.Duration { return steadyP99(i) + time.Duration(i/60)*time.Second }, true, true},
	} {
		r := &Report{}
		soaked(tt.rss, tt.p99).judge(r, tt.judged)
		if r.passed() != tt.want {
			t.Errorf("%s: passed %v, want %v: %+v", tt.name, r.passed(), tt.want, r.Checks)
		}
	}
	r := &Report{}
	(&soakTable{}).judge(r, false)
	if r.passed() {
		t.Error("a table without rows passed")
	}
}

func TestSoakTable(t *testing.T) {
	row := soakRow{
		at: 3723 * time.Second, span: 30 * time.Second, calls: 3000, p50: 1500 * time.Microsecond, p99: 12 * time.Millisecond,
		errors: 1, injected: 7, rss: 50 << 20, heap: 5 << 19, gauges: daemon.Gauges{Connections: 100, Sessions: 33, Goroutines: 40, Files: 113},
	}
	const want = "| 01:02:03 | 100 | 1.50 | 12.00 | 1 | 7 | 50.0 | 2.5 | 40 | 113 | 33 | 100 |\n"
	if got := row.String(); got != want {
		t.Errorf("row = %s want %s", got, want)
	}
	head, _, _ := strings.Cut((&soakTable{}).head(), "\n")
	if strings.Count(head, "|") != strings.Count(want, "|") {
		t.Errorf("head %q has other columns than a row", head)
	}
}

func TestPromise(t *testing.T) {
	var out strings.Builder
	r := &Report{}
	r.promise("R2", "idle WebSocket", true, true, "<= 8 KiB", "%.1f KiB", 4.9)
	r.promise("R3", "told", false, false, "none", "x")
	if !r.passed() {
		t.Error("a promise that is not judged failed")
	}
	r.promise("R4", "broken", true, false, "none", "x")
	if r.passed() {
		t.Error("a broken promise passed")
	}
	r.print(&out)
	for _, want := range []string{"ok    R2 idle WebSocket: 4.9 KiB (promise: <= 8 KiB)\n", "told  R3 ", "FAILED  R4 "} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "ok      ", "ok    "), want) && !strings.Contains(strings.ReplaceAll(out.String(), "told    ", "told  "), want) {
			t.Errorf("report lacks %q:\n%s", want, out.String())
		}
	}
}
