package report

import (
	"math"

	"gonum.org/v1/plot/vg"
)

// wideSpan is the quotient of the largest and the smallest value above which an axis becomes logarithmic.
const wideSpan = 20

// scale maps values to places between left and right on a picture.
type scale struct {
	lo, hi      float64
	log         bool
	left, right vg.Length
}

// newScale returns a scale that shows all values; it is logarithmic when those above zero are far apart.
func newScale(values []float64) scale {
	least, most := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	switch {
	case most == 0:
		return scale{lo: 0, hi: 1}
	case most/least > wideSpan:
		return logScale(least/2, most)
	}
	return scale{lo: 0, hi: most}
}

// logScale returns a logarithmic scale that begins at a round value at or below lo, so that its least bar is seen too.
func logScale(lo, hi float64) scale {
	power := math.Pow(10, math.Floor(math.Log10(lo)))
	start := power
	for _, digit := range []float64{2, 5} {
		if digit*power <= lo {
			start = digit * power
		}
	}
	return scale{lo: start, hi: hi, log: true}
}

// at returns the place of v; what lies outside is drawn at the rim.
func (s scale) at(v float64) vg.Length {
	v = min(max(v, s.lo), s.hi)
	share := (v - s.lo) / (s.hi - s.lo)
	if s.log {
		share = math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return s.left + vg.Length(share)*(s.right-s.left)
}

// ticks returns round values within s.
func (s scale) ticks() []float64 {
	if s.log {
		return s.logTicks()
	}
	step := niceStep((s.hi - s.lo) / 5)
	var all []float64
	for i := 0.0; s.lo+i*step <= s.hi; i++ {
		all = append(all, s.lo+i*step)
	}
	return all
}

// logTicks returns 1, 2 and 5 of every decade, or only 1 when there are many decades.
func (s scale) logTicks() []float64 {
	digits := []float64{1, 2, 5}
	if math.Log10(s.hi/s.lo) > 3.5 {
		digits = digits[:1]
	}
	var all []float64
	for e := math.Floor(math.Log10(s.lo)); e <= math.Ceil(math.Log10(s.hi)); e++ {
		for _, d := range digits {
			v := d * math.Pow(10, e)
			if v >= s.lo*0.999 && v <= s.hi*1.001 {
				all = append(all, v)
			}
		}
	}
	return all
}

// niceStep rounds step up to 1, 2 or 5 times a power of ten.
func niceStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= step {
			return digit * power
		}
	}
	return 10 * power
}
