package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a scenario found out.
type Report struct {
	Scenario string   `json:"scenario"`
	Figures  []Figure `json:"figures"`
	Latency  *Latency `json:"latency,omitempty"`
	Checks   []Check  `json:"checks"`
	// Skipped says why the scenario was not run, and is empty when it was.
	Skipped string `json:"skipped,omitempty"`
}

// Figure is one measured value.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Check is one judgement.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	// Promise is the id of the promise that the check is about, if any, and Promised its words.
	Promise  string `json:"promise,omitempty"`
	Promised string `json:"promised,omitempty"`
	// Told means that the value is no judgement: latencies of --short are told, whatever they are.
	Told bool `json:"told,omitempty"`
}

// Latency is a histogram; times are in microseconds.
type Latency struct {
	Count   int64    `json:"count"`
	P50     int64    `json:"p50"`
	P90     int64    `json:"p90"`
	P99     int64    `json:"p99"`
	P999    int64    `json:"p99.9"`
	Max     int64    `json:"max"`
	Buckets []Bucket `json:"buckets"`
}

// Bucket counts the values up to and with UpTo and above the bucket before; the last bucket has no upper bound.
type Bucket struct {
	UpTo  int64 `json:"upTo,omitempty"`
	Count int64 `json:"count"`
}

func (r *Report) figure(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{name, value, unit})
}

func (r *Report) count(name string, n int64) { r.figure(name, float64(n), "") }

func (r *Report) check(name string, ok bool, format string, args ...any) {
	r.Checks = append(r.Checks, Check{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

// promise adds a check of what the project has promised, under its id. One that is not judged fails nothing.
func (r *Report) promise(id, name string, judged, ok bool, promised, format string, args ...any) {
	r.Checks = append(r.Checks, Check{
		Name: name, OK: ok || !judged, Detail: fmt.Sprintf(format, args...), Promise: id, Promised: promised, Told: !judged,
	})
}

func (r *Report) passed() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return len(r.Checks) > 0 && r.Skipped == ""
}

// passed reports whether all have passed. One that was not run has not, but among all of them it fails nothing.
func passed(reports []*Report, skip bool) bool {
	ran := 0
	for _, r := range reports {
		if r.Skipped != "" && skip {
			continue
		}
		if !r.passed() {
			return false
		}
		ran++
	}
	return ran > 0
}

func (r *Report) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s\n", r.Scenario)
	if r.Skipped != "" {
		fmt.Fprintf(tw, "  !!!!!!!! %s is NOT run, nothing is known about it: %s !!!!!!!!\n", r.Scenario, r.Skipped)
	}
	for _, f := range r.Figures {
		if f.Value == float64(int64(f.Value)) {
			fmt.Fprintf(tw, "  %s\t%d %s\n", f.Name, int64(f.Value), f.Unit)
		} else {
			fmt.Fprintf(tw, "  %s\t%.2f %s\n", f.Name, f.Value, f.Unit)
		}
	}
	if r.Latency != nil {
		r.Latency.print(tw)
	}
	_ = tw.Flush() // the checks are a table of their own
	for _, c := range r.Checks {
		c.print(tw)
	}
	fmt.Fprintln(tw)
	_ = tw.Flush()
}

func (c *Check) print(w io.Writer) {
	verdict := "ok"
	switch {
	case !c.OK:
		verdict = "FAILED"
	case c.Told:
		verdict = "told"
	}
	if c.Promise == "" {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", verdict, c.Name, c.Detail)
		return
	}
	fmt.Fprintf(w, "  %s\t%s %s: %s (promise: %s)\n", verdict, c.Promise, c.Name, c.Detail, c.Promised)
}

func (l *Latency) print(w io.Writer) {
	fmt.Fprintf(w, "  latency p50 / p90 / p99 / p99.9 / max\t%v / %v / %v / %v / %v\n",
		micros(l.P50), micros(l.P90), micros(l.P99), micros(l.P999), micros(l.Max))
	for _, b := range l.Buckets {
		if b.Count == 0 {
			continue
		}
		bound := "more"
		if b.UpTo > 0 {
			bound = "up to " + micros(b.UpTo).String()
		}
		fmt.Fprintf(w, "    %s\t%d\t%.4f %%\n", bound, b.Count, 100*float64(b.Count)/float64(l.Count))
	}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func writeJSON(file string, reports []*Report) error {
	b, err := json.MarshalIndent(struct {
		Time    time.Time `json:"time"`
		CPUs    int       `json:"cpus"`
		Go      string    `json:"go"`
		Passed  bool      `json:"passed"`
		Reports []*Report `json:"reports"`
	}{time.Now().UTC(), runtime.NumCPU(), runtime.Version(), passed(reports, false), reports}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// stopwatch collects latencies. Its methods may be called from any goroutine.
type stopwatch struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram
}

// newStopwatch counts from 1 µs to 60 s with two significant digits.
func newStopwatch() *stopwatch {
	return &stopwatch{hist: hdrhistogram.New(1, 60_000_000, 2)}
}

func (s *stopwatch) record(d time.Duration) {
	v := min(max(d.Microseconds(), 1), 60_000_000)
	s.mu.Lock()
	_ = s.hist.RecordValue(v) // cannot fail: v is inside the range
	s.mu.Unlock()
}

var bounds = []int64{50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000}

func (s *stopwatch) latency() *Latency {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hist
	l := &Latency{Count: h.TotalCount(), P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90),
		P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9), Max: h.Max()}
	for _, b := range bounds {
		l.Buckets = append(l.Buckets, Bucket{UpTo: b})
	}
	l.Buckets = append(l.Buckets, Bucket{})
	for _, bar := range h.Distribution() {
		i := 0
		for i < len(bounds) && bar.From > bounds[i] {
			i++
		}
		l.Buckets[i].Count += bar.Count
	}
	return l
}

// faults collects what went wrong: how often, and the first few in full.
type faults struct {
	mu    sync.Mutex
	n     int
	first []string
}

func (f *faults) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; len(f.first) < 5 {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

func (f *faults) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// check adds a check that fails when there was a fault.
func (f *faults) check(r *Report, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 {
		r.check(name, true, "")
		return
	}
	detail := fmt.Sprintf("%d times", f.n)
	for _, s := range f.first {
		detail += "\n      " + s
	}
	r.check(name, false, "%s", detail)
}
