package limit

import (
	"testing"
	"time"

	"millrace/loop/looptest/clock"
)

// TestClockStep: a step of the wall clock neither gives a rate back nor takes it.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		start := time.Now()
		l := New(Rate{Events: 10, Per: time.Second, Burst: 3}, 100, start)
		k := l.Key("ann")
		l.Allow(k, 3, start)
		if ok, retry := l.Allow(k, 1, clock.Step(start, step)); ok || retry != 100*time.Millisecond {
			t.Errorf("%v: %v, retry after %v", step, ok, retry)
		}
		if ok, _ := l.Allow(k, 1, clock.Step(start.Add(100*time.Millisecond), step)); !ok {
			t.Errorf("%v: refused in time", step)
		}
		if ok, _ := l.Allow(k, 1, clock.Step(start.Add(100*time.Millisecond), step)); ok {
			t.Errorf("%v: allowed twice", step)
		}
	}
}
