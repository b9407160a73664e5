package main

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	r := &Report{Scenario: "x"}
	if r.passed() {
		t.Error("a report without checks passed")
	}
	var f faults
	f.check(r, "no faults")
	r.count("things", 3)
	if !r.passed() || !passed([]*Report{r}, false) || passed(nil, true) {
		t.Error("a report whose checks are ok did not pass")
	}
	for range 9 {
		f.add("fault")
	}
	f.check(r, "faults")
	if r.passed() || passed([]*Report{r}, false) {
		t.Error("a report with a failed check passed")
	}
	var out bytes.Buffer
	r.print(&out)
	if s := out.String(); !strings.Contains(s, "FAILED") || !strings.Contains(s, "9 times") || strings.Count(s, "fault\n") != 5 {
		t.Errorf("report = %s", s)
	}
}

func TestStopwatch(t *testing.T) {
	s := newStopwatch()
	for _, d := range []time.Duration{-1, 0, 30 * time.Microsecond, 60 * time.Microsecond, 3 * time.Millisecond, 2 * time.Minute} {
		s.record(d)
	}
	l := s.latency()
	got := map[int64]int64{}
	var sum int64
	for _, b := range l.Buckets {
		sum += b.Count
		if b.Count > 0 {
			got[b.UpTo] = b.Count
		}
	}
	if sum != 6 || l.Count != 6 || got[50] != 3 || got[100] != 1 || got[5000] != 1 || got[0] != 1 {
		t.Errorf("buckets = %v, sum %d, count %d", got, sum, l.Count)
	}
	if math.Abs(float64(l.Max)-60e6) > 60e4 {
		t.Errorf("max = %d, want about 60 s", l.Max)
	}
}

func TestSchedule(t *testing.T) {
	s := &schedule{start: time.Unix(0, 0), rate: 10000, total: 1003, conns: 10}
	for _, tt := range []struct {
		i    int
		want time.Duration
	}{{0, 0}, {9, 0}, {10, time.Millisecond}, {25, 2 * time.Millisecond}, {10000, time.Second}, {600000, time.Minute}} {
		if got := s.at(tt.i).Sub(s.start); got != tt.want {
			t.Errorf("call %d at %v, want %v", tt.i, got, tt.want)
		}
	}
	sum := 0
	for c := range s.conns {
		sum += s.share(c)
	}
	if sum != s.total || s.share(0) != 101 || s.share(3) != 100 {
		t.Errorf("shares add up to %d, want %d", sum, s.total)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args string
		ok   bool
	}{
		{"churn --clients 5", true}, {"all --short", true}, {"churn,rate", true}, {"churn,nope", false}, {"churn,", false}, {"", false}, {"unknown", false}, {"rate --nope", false}, {"rate extra", false},
	} {
		o, _, err := parse(strings.Fields(tt.args), io.Discard)
		if (err == nil) != tt.ok {
			t.Errorf("%q: error %v", tt.args, err)
		}
		if tt.args == "all --short" && (!o.noGate || o.span(time.Hour, 7*time.Second) != 7*time.Second) {
			t.Errorf("short options = %+v", o)
		}
	}
	if o, _, err := parse([]string{"rate", "--short", "--duration", "2s"}, io.Discard); err != nil || o.span(time.Hour, time.Hour) != 2*time.Second {
		t.Errorf("given duration is lost: %v", err)
	}
}
