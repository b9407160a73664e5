package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"millrace/benchmarks/daemon"
	"millrace/benchmarks/report"
)

// What R11 promises.
const (
	mostGrowthShare = 0.01    // of the resident memory, in an hour
	mostGrowth      = 5 << 20 // bytes in an hour
	mostDrift       = 1.2     // p99 of the last third over that of the first
	// shortGrowth bounds a short run, whose slope says nothing.
	shortGrowth = 64 << 20
)

// soakTable is what was measured at each interval.
type soakTable struct {
	warmup, interval time.Duration
	started          time.Time
	maximum, target  float64 // calls per second
	rows             []soakRow
}

// soakRow is one interval, and the server at its end.
type soakRow struct {
	at              time.Duration
	calls, injected int64
	span            time.Duration
	p50, p99        time.Duration
	errors          int
	rss, heap       int64
	gauges          daemon.Gauges
}

func (t *soakTable) head() string {
	return "| time | calls/s | p50 ms | p99 ms | errors | injected | RSS MiB | heap MiB | goroutines | descriptors | sessions | connections |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|\n"
}

func (r soakRow) String() string {
	at := r.at.Round(time.Second)
	return fmt.Sprintf("| %02d:%02d:%02d | %.0f | %.2f | %.2f | %d | %d | %.1f | %.1f | %d | %d | %d | %d |\n",
		int(at.Hours()), int(at.Minutes())%60, int(at.Seconds())%60, float64(r.calls)/r.span.Seconds(), millis(r.p50), millis(r.p99), r.errors,
		r.injected, mebi(r.rss), mebi(r.heap), r.gauges.Goroutines, r.gauges.Files, r.gauges.Sessions, r.gauges.Connections)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func mebi(n int64) float64 { return float64(n) / (1 << 20) }

// warm returns the rows after the warm-up, in which pools and the heap find their size.
func (t *soakTable) warm() []soakRow {
	for i, r := range t.rows {
		if r.at > t.warmup {
			return t.rows[i:]
		}
	}
	return nil
}

// judge adds the checks of the promises. A run that is not judged, or is too short for a slope, has a loose bound.
func (t *soakTable) judge(r *Report, judged bool) {
	rows := t.warm()
	if len(rows) < 3 {
		r.check("long enough", false, "%d rows after the warm-up, 3 are needed", len(rows))
		return
	}
	var at, rss []float64
	for _, row := range rows {
		at, rss = append(at, row.at.Hours()), append(rss, float64(row.rss))
	}
	slope, deviation := regress(at, rss)
	share := slope / mean(rss)
	r.figure("resident memory after the warm-up", mebi(int64(mean(rss))), "MiB")
	r.figure("its slope", slope/(1<<20), "MiB/h")
	r.figure("standard error of the slope", deviation/(1<<20), "MiB/h")
	// A slope that noise alone could make is no leak: the smallest slope that the rows allow is what must be over 1 %.
	ok := share-2*deviation/mean(rss) <= mostGrowthShare && slope < mostGrowth
	r.promise("R11", "memory", judged, ok, "<= 1 %/h beyond two standard errors, and < 5 MiB/h",
		"%+.2f %%/h, %+.2f MiB/h, standard error %.2f MiB/h", 100*share, slope/(1<<20), deviation/(1<<20))
	grown := rows[len(rows)-1].rss - rows[0].rss
	r.check("memory after the warm-up", grown < shortGrowth, "%+.1f MiB of at most %d", mebi(grown), shortGrowth>>20)

	third := len(rows) / 3
	first, last := medianP99(rows[:third]), medianP99(rows[len(rows)-third:])
	drift := float64(last) / float64(max(first, 1))
	r.promise("R11", "p99, last third over first", judged, drift <= mostDrift, "<= +20 %",
		"%.2f ms over %.2f ms, %+.0f %%", millis(last), millis(first), 100*(drift-1))
}

// medianP99 is the median, so that one interval in which the machine did something else does not count.
func medianP99(rows []soakRow) time.Duration {
	var all []time.Duration
	for _, r := range rows {
		all = append(all, r.p99)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

// regress returns the slope of the least squares line through the points, and the standard error of it.
func regress(x, y []float64) (slope, deviation float64) {
	mx, my := mean(x), mean(y)
	var sxx, sxy, rest float64
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	if sxx == 0 {
		return 0, 0
	}
	slope = sxy / sxx
	for i := range x {
		d := y[i] - my - slope*(x[i]-mx)
		rest += d * d
	}
	if len(x) > 2 {
		deviation = math.Sqrt(rest / float64(len(x)-2) / sxx)
	}
	return slope, deviation
}

// write makes a page of the run: what was run where and when, the report, the table.
func (t *soakTable) write(ctx context.Context, file string, b *bench, r *Report) error {
	m := report.ReadMachine(ctx)
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Soak\n\n| | |\n|---|---|\n| command | `%s` |\n| began | %s |\n| revision | `%s` |\n| machine | %s, %d cores, %.0f GiB, %s, %s |\n\n",
		commandLine(), t.started.UTC().Format(time.RFC3339), report.Commit(ctx, "."), m.CPU, m.Cores, float64(m.MemoryBytes)/(1<<30), m.Kernel, m.Go)
	page.WriteString("Load and server share the machine; latency counts from the moment at which a call was meant to be sent. The first\n")
	fmt.Fprintf(&page, "%v are the warm-up. What is asserted: [README](../README.md#resilience).\n\n```\n", t.warmup.Round(time.Second))
	var text bytes.Buffer
	r.print(&text)
	page.WriteString(strings.TrimSpace(text.String()) + "\n```\n\n" + t.head())
	for _, row := range t.rows {
		page.WriteString(row.String())
	}
	return os.WriteFile(file, page.Bytes(), 0o644)
}
