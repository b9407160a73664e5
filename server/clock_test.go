package server

import (
	"runtime"
	"testing"
	"time"

	"millrace/loop/looptest/clock"
	"millrace/server/auth"
)

var clockSteps = []time.Duration{time.Hour, -time.Hour}

// TestClockStepDeadlines: a step of the wall clock ends no call early, and none late.
func TestClockStepDeadlines(t *testing.T) {
	for _, step := range clockSteps {
		var d deadlines
		d.head.prev, d.head.next = &d.head, &d.head
		d.wake = make(chan struct{}, 1)
		c := &call{started: time.Now(), timeout: time.Second}
		d.add(c)
		after := func(passed time.Duration) time.Time { return clock.Step(c.started.Add(passed), step) }
		if late, left := d.take(after(999 * time.Millisecond)); len(late) != 0 || left != 1 {
			t.Errorf("%v: %d calls end early", step, len(late))
		}
		if late, _ := d.take(after(1001 * time.Millisecond)); len(late) != 1 {
			t.Errorf("%v: a call outlives its time", step)
		}
	}
}

// TestClockStepLeases: what is open ends with its credential, whose end is wall time.
func TestClockStepLeases(t *testing.T) {
	now := time.Now()
	who := &auth.Principal{ID: "ann", Expires: time.Unix(now.Unix()+1800, 0)}
	g := &gate{log: quiet}
	for step, want := range map[time.Duration]bool{0: false, time.Hour: true, -time.Hour: false} {
		if got := g.ended(who, clock.Step(now, step)); got != want {
			t.Errorf("clock set by %v: ended %v", step, got)
		}
	}
}

// TestClockStepProcs: what GOMAXPROCS was raised by goes after the rest, whatever the
// clock was set by meanwhile.
func TestClockStepProcs(t *testing.T) {
	for _, step := range clockSteps {
		p := procsState{loops: 1, quota: runtime.GOMAXPROCS(0)}
		now := time.Now()
		p.raised.Store(true)
		p.computing.Store(1)
		p.leave(now)
		p.sweep(clock.Step(now.Add(procsRest), step))
		if p.raised.Load() {
			t.Errorf("clock set by %v: still raised", step)
		}
	}
}
