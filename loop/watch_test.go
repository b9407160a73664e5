package loop

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// gnet does not tell when its loops have ended: the ticker that stands still is
// the only sign.
func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ticking time.Duration
		alive   bool
	}{
		{"ticking", time.Hour, true},
		{"stopped", 0, false},
		{"stopped later", 10 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &Engine{
					cfg:     Config{Logger: slog.New(slog.DiscardHandler)},
					closing: make(chan struct{}), stopping: make(chan struct{}), done: make(chan struct{}),
				}
				var ticks atomic.Int64
				go e.watch(&ticks, time.Second)
				for at := time.Duration(0); at < 30*time.Second; at += 100 * time.Millisecond {
					if at < tt.ticking {
						ticks.Add(1)
					}
					time.Sleep(100 * time.Millisecond)
				}
				select {
				case <-e.Done():
					if tt.alive || !errors.Is(e.Err(), ErrLoopsEnded) {
						t.Errorf("ended with %v, want alive = %v", e.Err(), tt.alive)
					}
				default:
					if !tt.alive {
						t.Error("nobody noticed that the loops are gone")
					}
					close(e.stopping)
				}
			})
		})
	}
}
