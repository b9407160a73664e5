package limit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen. The zero Rate is no limit.
type Rate struct {
	// Events may happen in each Per, evenly spread; Burst of them at once. A Burst of
	// 0 is one second's worth, and at least 1.
	Events int
	Per    time.Duration
	Burst  int
}

// Unlimited reports whether r is no limit.
func (r Rate) Unlimited() bool { return r.Events == 0 }

// String is r as ParseRate reads it.
func (r Rate) String() string {
	if r.Unlimited() {
		return "none"
	}
	s := strconv.Itoa(r.Events) + "/" + unitOf(r.Per)
	if r.Burst > 0 {
		s += ":" + strconv.Itoa(r.Burst)
	}
	return s
}

var units = []struct {
	name string
	d    time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}}

func unitOf(d time.Duration) string {
	for _, u := range units {
		if d == u.d {
			return u.name
		}
	}
	return d.String()
}

// ParseRate reads a rate as flags have it: events, "/", a unit of time (s, m, h, or
// a duration such as 10s), and, behind ":", the burst. "100/s:200" is 100 a second
// and 200 at once; "none" is no limit.
func ParseRate(s string) (Rate, error) {
	if s == "none" {
		return Rate{}, nil
	}
	bad := fmt.Errorf("rate %q: want EVENTS/UNIT or EVENTS/UNIT:BURST, such as 100/s or 600/m:50", s)
	head, burst, hasBurst := strings.Cut(s, ":")
	events, unit, ok := strings.Cut(head, "/")
	if !ok {
		return Rate{}, bad
	}
	var r Rate
	var err error
	if r.Events, err = strconv.Atoi(events); err != nil || r.Events == 0 {
		return Rate{}, bad
	}
	for _, u := range units {
		if unit == u.name {
			r.Per = u.d
		}
	}
	if r.Per == 0 {
		if r.Per, err = time.ParseDuration(unit); err != nil {
			return Rate{}, bad
		}
	}
	if hasBurst {
		if r.Burst, err = strconv.Atoi(burst); err != nil || r.Burst == 0 {
			return Rate{}, bad
		}
	}
	if err := r.Check(); err != nil {
		return Rate{}, fmt.Errorf("rate %q: %w", s, err)
	}
	return r, nil
}

// Check says what is wrong with r.
func (r Rate) Check() error {
	switch {
	case r.Unlimited() && r.Burst == 0:
		return nil
	case r.Events < 1 || r.Events > 1e9:
		return errors.New("the number of events must be from 1 to 1,000,000,000")
	case r.Per < time.Millisecond || r.Per > 24*time.Hour:
		return errors.New("the time must be from a millisecond to a day")
	case r.Burst < 0 || r.Burst > 1e9:
		return errors.New("the burst must be from 1 to 1,000,000,000")
	}
	return nil
}

// spacing is the time between two events at the rate, and tolerance how far ahead
// of it somebody may be who uses the burst.
func (r Rate) spacing() (spacing, tolerance int64) {
	spacing = max(1, int64(r.Per)/int64(r.Events))
	burst := r.Burst
	if burst == 0 {
		burst = max(1, int(float64(r.Events)*float64(time.Second)/float64(r.Per)))
	}
	if int64(burst) > math.MaxInt64/4/spacing {
		return spacing, math.MaxInt64 / 4
	}
	return spacing, spacing * int64(burst)
}
