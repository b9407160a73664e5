package loop

import "time"

// moment is a time of a loop's clock in nanoseconds since the process began; 0
// is none. A connection has seven of them, and looks at some for every message:
// a third of the size of a time.Time, and one instruction to compare.
type moment int64

// started is of the monotonic clock, so that a step of the wall clock moves no
// deadline.
var started = time.Now()

func momentOf(t time.Time) moment {
	if m := moment(t.Sub(started)); m != 0 {
		return m
	}
	return 1
}

func (m moment) add(d time.Duration) moment { return m + moment(d) }
func (m moment) sub(o moment) time.Duration { return time.Duration(m - o) }
func (m moment) isZero() bool               { return m == 0 }
