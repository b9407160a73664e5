package loop

import (
	"time"

	"millrace/loop/looptest/clock"
)

// RealClock gives m, on which nothing is open yet, a clock with a monotonic reading.
func (m *Memory) RealClock() {
	m.now = time.Now()
	m.loop.look()
	m.loop.wheel.init(m.loop.at)
}

// StepClock sets the wall clock forward by d, or back.
func (m *Memory) StepClock(d time.Duration) { m.now = clock.Step(m.now, d) }
