// Package clock is for tests of what a step of the wall clock does.
package clock

import (
	"time"
	"unsafe"
)

// Step returns t as time.Now would have returned it, had somebody set the wall clock
// forward by d before, or back when d is negative: the reading of the monotonic clock
// stays. No function of time makes such a value. It panics unless t has such a reading
// and d is in whole seconds.
func Step(t time.Time, d time.Duration) time.Time {
	u := t
	// As time.Time says: of the upper half, one flag, 33 bits of seconds, 30 of nanoseconds.
	wall := (*uint64)(unsafe.Pointer(&u))
	*wall += uint64(d/time.Second) << 30
	if u.Sub(t) != 0 || u.Round(0).Sub(t.Round(0)) != d {
		panic("clock: the time has no monotonic reading, or package time has changed")
	}
	return u
}
