package session

import (
	"errors"
	"testing"
	"time"

	"millrace/loop/looptest/clock"
	"millrace/server/seal"
)

// TestClockStep: a step of the wall clock ends no session, and none lives longer.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 48 * time.Hour, -48 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			r := NewRegistry(Config{})
			start := time.Now()
			s, ws := create(t, r, start, typical), create(t, r, start, Params{Type: WebSocket})
			after := func(d time.Duration) time.Time { return clock.Step(start.Add(d), step) }
			if n := r.Sweep(after(time.Minute)); n != 0 {
				t.Errorf("%d sessions end", n)
			}
			if _, err := r.Get(after(2*time.Minute), s.ID(), s.Principal()); err != nil {
				t.Errorf("Get: %v", err)
			}
			if got := s.Duration(after(time.Minute)); got.Round(time.Second) != time.Minute {
				t.Errorf("it is %v old, want a minute", got)
			}
			if n := r.Sweep(after(32*time.Minute - time.Second)); n != 0 {
				t.Errorf("%d sessions end before their time", n)
			}
			if n := r.Sweep(after(32 * time.Minute)); n != 1 || r.Len() != 1 {
				t.Errorf("%d sessions end at their time", n)
			}
			if _, over := ws.Ended(); over {
				t.Error("the session of a connection has ended")
			}
		})
	}
}

// TestClockStepOfAnotherProcess: all that a process knows of the ids of another is
// wall time. A step of less than the lifetime ends none.
func TestClockStepOfAnotherProcess(t *testing.T) {
	keys := seal.NewRandom()
	for _, tt := range []struct {
		step time.Duration
		want error
	}{{time.Hour, nil}, {-time.Hour, nil}, {-48 * time.Hour, nil}, {25 * time.Hour, ErrEnded}} {
		start := time.Now()
		s := create(t, NewRegistry(Config{Keys: keys}), start, typical)
		r := NewRegistry(Config{Keys: keys, Revive: true})
		if _, err := r.Get(clock.Step(start, tt.step), s.ID(), s.Principal()); !errors.Is(err, tt.want) {
			t.Errorf("%v: %v, want %v", tt.step, err, tt.want)
		}
	}
}

// TestReplayClockStep: the log of a stream is kept as long as it was.
func TestReplayClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		var r Replay
		start := time.Now()
		n := r.Open(start)
		id := r.Append(start, n, []byte("x"), false)
		r.Expire(clock.Step(start.Add(-time.Second), step))
		if r.Prime(n) == "" || id == "" {
			t.Errorf("%v: forgotten early", step)
		}
		r.Expire(clock.Step(start.Add(time.Second), step))
		if r.Prime(n) != "" {
			t.Errorf("%v: kept too long", step)
		}
	}
}
