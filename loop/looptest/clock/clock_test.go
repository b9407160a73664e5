package clock

import (
	"testing"
	"time"
)

func TestStep(t *testing.T) {
	now := time.Now()
	for _, d := range []time.Duration{time.Hour, -time.Hour, 0} {
		if got := Step(now, d); got.Unix() != now.Add(d).Unix() || got.Sub(now) != 0 || got.Location() != now.Location() {
			t.Errorf("%v by %v: %v", now, d, got)
		}
	}
	for name, f := range map[string]func(){
		"no monotonic reading": func() { Step(now.Round(0), time.Hour) },
		"half a second":        func() { Step(now, time.Second/2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
