package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/generator"
	"millrace/benchmarks/report"
)

// plan is how often and how long a scenario is measured.
type plan struct {
	rounds int
	window time.Duration
}

func planned(o *options, sc *scenario) plan {
	window, _ := o.times(sc)
	return plan{o.roundsOf(sc), window}
}

func TestParse(t *testing.T) {
	plain, slow := &scenario{}, &scenario{window: 4 * time.Second, rounds: 4}
	t.Setenv(allowedVariable, "0,1,2,3")
	for _, tt := range []struct {
		args string
		want string // of the error
		ok   func(o *options) bool
	}{
		{"", "", func(o *options) bool {
			return planned(o, plain) == plan{3, 800 * time.Millisecond} && planned(o, slow) == plan{2, 4 * time.Second}
		}},
		{"--full", "", func(o *options) bool {
			return planned(o, plain) == plan{5, 3 * time.Second} && planned(o, slow) == plan{4, 4 * time.Second}
		}},
		{"--full --rounds 2 --window 5s", "", func(o *options) bool {
			return planned(o, plain) == plan{2, 5 * time.Second} && planned(o, slow) == plan{2, 5 * time.Second}
		}},
		{"--pprof x", "", func(o *options) bool { return planned(o, plain) == plan{1, 3 * time.Second} }},
		{"", "", func(o *options) bool {
			return slices.Equal(o.serverCores, []int{0}) && slices.Equal(o.loadCores, []int{1, 2, 3})
		}},
		{"--server-cores 2-3", "", func(o *options) bool {
			return slices.Equal(o.serverCores, []int{2, 3}) && slices.Equal(o.loadCores, []int{0, 1})
		}},
		{"--server-cores 0 --load-cores 0", "", func(o *options) bool { return slices.Equal(o.loadCores, []int{0}) }},
		{"--only ws-.*", "", func(o *options) bool {
			return o.wants(&scenario{name: "ws-1"}) && o.wants(&scenario{name: "ws-x", long: true}) && !o.wants(&scenario{name: "http"})
		}},
		{"--server-cores 7", "core 7 is not among", nil},
		{"--load-cores 3-1", "no list of cores", nil},
		{"--only (", "--only", nil},
		{"--nonsense", "nonsense", nil},
		{"--compare x", "go together", nil},
		{"--compare x --benchfmt y --json z", "not for --compare", nil},
		{"--pprof x --report y", "instead of figures", nil},
		{"extra", `unexpected argument "extra"`, nil},
	} {
		t.Run(tt.args, func(t *testing.T) {
			o, err := parse(strings.Fields(tt.args), io.Discard)
			switch {
			case tt.want == "" && (err != nil || !tt.ok(o)):
				t.Errorf("%+v, %v", o, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestCores(t *testing.T) {
	t.Setenv(allowedVariable, "5")
	o := &options{}
	if err := o.cores("", ""); err != nil || !slices.Equal(o.serverCores, []int{5}) || !slices.Equal(o.loadCores, []int{5}) {
		t.Errorf("one core: %v, %v, %v", o.serverCores, o.loadCores, err)
	}
	if got := coreList([]int{0, 2, 3}); got != "0,2,3" {
		t.Errorf("coreList = %q", got)
	}
}

// Every scenario has what the report looks for, and every target its scenario.
func TestScenarios(t *testing.T) {
	all := scenarios()
	seen := map[string]*scenario{}
	for i := range all {
		s := &all[i]
		if s.title == "" || s.main == "" || len(s.subjects) == 0 || (s.groups == nil) == (s.measure == nil) {
			t.Errorf("%s is incomplete", s.name)
		}
		if seen[s.name] != nil {
			t.Errorf("two scenarios are called %s", s.name)
		}
		seen[s.name] = s
		names := map[string]bool{}
		for i := range s.subjects {
			sub := &s.subjects[i]
			if names[sub.name] {
				t.Errorf("%s: two subjects are called %s", s.name, sub.name)
			}
			names[sub.name] = true
			if _, err := os.Stat(filepath.Join("..", "servers", sub.program)); err != nil {
				t.Errorf("%s: %s: %v", s.name, sub.name, err)
			}
			if s.groups != nil && len(s.groups(sub)) == 0 {
				t.Errorf("%s: %s: no load", s.name, sub.name)
			}
		}
	}
	for _, target := range report.Targets() {
		s := seen[target.Scenario]
		if s == nil || s.long {
			t.Errorf("target %s: scenario %s is not in the short suite", target.ID, target.Scenario)
			continue
		}
		if target.Figure != s.main && !slices.Contains(s.figures(), target.Figure) {
			t.Errorf("target %s: scenario %s does not measure %s", target.ID, s.name, target.Figure)
		}
		for _, name := range []string{target.Subject, target.Over} {
			if name != "" && !slices.ContainsFunc(s.subjects, func(s subject) bool { return s.name == name }) {
				t.Errorf("target %s: scenario %s has no subject %s", target.ID, s.name, name)
			}
		}
	}
}

func TestList(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"--list"}, &out, io.Discard); code != 0 || !strings.Contains(out.String(), "http-modern      short") {
		t.Errorf("code %d, %s", code, &out)
	}
	if code := run(t.Context(), []string{"--nonsense"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("wrong usage: code %d", code)
	}
}

// newTestSuite is a suite with very short rounds.
func newTestSuite(t *testing.T, args ...string) (*suite, *bytes.Buffer) {
	t.Helper()
	cores, err := allowedCores()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(allowedVariable, coreList(cores)) // not started anew
	o, err := parse(append([]string{"--rounds", "1", "--window", "100ms"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := newSuite(t.Context(), o, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s, &out
}

// The suite measures, and writes what it has measured.
func TestSuite(t *testing.T) {
	dir := t.TempDir()
	s, out := newTestSuite(t, "--only", "http-modern|ws-16|ws-ping", "--subjects", "millrace.*|floor.*",
		"--json", filepath.Join(dir, "run.json"), "--report", filepath.Join(dir, "page"))
	if err := s.run(t.Context()); err != nil || s.failed {
		t.Fatalf("%v, failed %v:\n%s", err, s.failed, out)
	}
	r, err := report.Load(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Scenarios) != 3 || r.Machine.Cores < 1 || r.Machine.Kernel == "" || r.Rounds != 1 {
		t.Errorf("run %+v", r)
	}
	for _, sc := range r.Scenarios {
		for _, sub := range sc.Subjects {
			sample := sub.Rounds[0]
			if sample[report.CPU] <= 0 || sample[report.Messages] < 10 || sample[report.Errors] != 0 || sample[report.P99] <= 0 || sample[report.RSS] < 1<<20 {
				t.Errorf("%s: %s: %+v", sc.Name, sub.Name, sample)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "page", "README.md")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "P3 ") {
		t.Errorf("no verdicts in\n%s", out)
	}
}

// A profile is taken instead of figures.
func TestProfile(t *testing.T) {
	dir := t.TempDir()
	s, out := newTestSuite(t, "--only", "ws-16", "--subjects", "millrace", "--pprof", dir)
	if err := s.run(t.Context()); err != nil || s.failed {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, file := range []string{"cpu.pprof", "heap.pprof", "allocs.pprof", "mutex.pprof", "block.pprof", "goroutine.pprof", "trace.out"} {
		if info, err := os.Stat(filepath.Join(dir, "ws-16", "millrace", file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	if !strings.Contains(out.String(), "go tool pprof") {
		t.Errorf("not explained:\n%s", out)
	}
}

// A comparison measures both revisions and writes what benchstat reads.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	s, out := newTestSuite(t, "--only", "ws-16", "--subjects", "millrace (base|head)", "--rounds", "2", "--compare", "../..", "--benchfmt", dir)
	if err := s.run(t.Context()); err != nil || s.failed {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, file := range []string{"base.txt", "head.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if err != nil || len(lines) != 2 || !strings.HasPrefix(lines[0], "BenchmarkMessage/ws-16/millrace 1 ") || !strings.Contains(lines[0], " cpu-µs/msg ") {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	s, out = newTestSuite(t, "--only", "ws-16", "--compare", dir, "--benchfmt", dir)
	if err := s.run(t.Context()); err != nil || !s.failed || !strings.Contains(out.String(), "building against") {
		t.Errorf("no checkout: %v, %s", err, out)
	}
}

// A server that answers wrongly, or not at all, makes the run fail and is told.
func TestFailure(t *testing.T) {
	for _, tt := range []struct {
		name string
		sub  subject
		want string
	}{
		{"wrong answers", subject{name: "wrong", program: "floor", args: []string{"--mode", "http"}}, "errors"},
		{"no such program", subject{name: "none", program: "nonsense"}, "go build"},
		{"does not start", subject{name: "usage", program: "floor", args: []string{"--mode", "nonsense"}}, "ended before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, out := newTestSuite(t)
			sc := &scenario{
				name: "test", title: "test", main: report.CPU, subjects: []subject{tt.sub},
				groups: calls(generator.HTTP, client.Modern, 2, 1, func(*subject) generator.Ask { return generator.Echo("echo", 50) }),
			}
			if err := s.scenario(t.Context(), sc); err != nil {
				t.Fatal(err)
			}
			if !s.failed || !strings.Contains(out.String(), "! test") {
				t.Errorf("failed %v, want %q in\n%s", s.failed, tt.want, out)
			}
		})
	}
	s, _ := newTestSuite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	for _, args := range [][]string{{"--only", "nonsense"}, {"--only", "ws-1", "--subjects", "nonsense"}} {
		s, _ = newTestSuite(t, args...)
		if err := s.run(t.Context()); err == nil {
			t.Errorf("%q: measured nothing without a word", args)
		}
	}
}
