package mcp

import (
	"fmt"
	"testing"
	"time"

	"millrace/loop/looptest/clock"
)

// TestClockStep: tasks are kept as long as was said. Of one that was read from a
// store nothing but wall time is known.
func TestClockStep(t *testing.T) {
	start := time.Now()
	s := fixture(quiet())
	s.tasks.note(&TaskRecord{ID: "ours", Created: start, TTL: time.Minute})
	s.tasks.note(&TaskRecord{ID: "read", Created: start.Round(0), TTL: time.Minute})
	for _, tt := range []struct {
		step, passed time.Duration
		want         string
	}{
		{0, 30 * time.Second, "[]"}, {0, 61 * time.Second, "[ours read]"},
		{time.Hour, 30 * time.Second, "[read]"}, {time.Hour, 61 * time.Second, "[ours read]"},
		{-time.Hour, 30 * time.Second, "[]"}, {-time.Hour, 61 * time.Second, "[ours]"},
	} {
		got := s.tasks.expired(clock.Step(start.Add(tt.passed), tt.step))
		if len(got) == 2 && got[0] == "read" {
			got[0], got[1] = got[1], got[0]
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%v later, clock set by %v: %v may be forgotten, want %s", tt.passed, tt.step, got, tt.want)
		}
	}
}
