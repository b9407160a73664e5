package loop

import (
	"errors"
	"sync/atomic"
	"time"
)

// ErrLoopsEnded is what Engine.Err tells when the loops stopped although nobody
// asked them to.
var ErrLoopsEnded = errors.New("the event loops ended by themselves")

// deadAfter is how many seconds in a row gnet's ticker may stand still.
const deadAfter = 5

// watch ends the engine when gnet has ended its loops: it tells nobody, but its
// ticker stops with them. The process could serve nothing any more, and must
// not live on as if it did. It looks once in every interval until the engine
// is done.
func (e *Engine) watch(ticks *atomic.Int64, interval time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	last, still := ticks.Load(), 0
	for {
		select {
		case <-e.stopping:
			return
		case <-t.C:
		}
		if n := ticks.Load(); n != last {
			last, still = n, 0
		} else if still++; still == deadAfter {
			e.die()
			return
		}
	}
}

// die ends an engine without loops. What waits for one of them is left behind.
func (e *Engine) die() {
	e.stopOnce.Do(func() {
		e.cfg.Logger.Error(ErrLoopsEnded.Error())
		e.err = ErrLoopsEnded
		e.closeListeners()
		close(e.stopping)
		close(e.done)
	})
}
