package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Direction says which values of a figure are good ones.
type Direction int

// The directions. A neutral figure only describes the load.
const (
	Neutral Direction = iota
	Lower
	Higher
)

// trait is what there is to know of a figure. A value times scale is in unit; counts are whole numbers.
type trait struct {
	title, label, unit string
	scale              float64
	direction          Direction
	count              bool
}

// Figures returns all figures in the order in which they are shown.
func Figures() []Figure {
	return []Figure{
		CPU, Rate, Beside, P50, P99, P999, Max, Goodput, PerConn, RSS, Goroutines, Allocs, Reads, Writes,
		Refused, Errors, Messages, LoadCPU,
	}
}

func (f Figure) trait() trait {
	const kibi, mebi = 1.0 / (1 << 10), 1.0 / (1 << 20)
	switch f {
	case CPU:
		return trait{"server CPU per message", "CPU", "µs", 1, Lower, false}
	case Rate:
		return trait{"messages per second", "rate", "k/s", 1e-3, Higher, false}
	case Beside:
		return trait{"answers per second to the load beside", "beside", "k/s", 1e-3, Higher, false}
	case P50:
		return trait{"median latency", "P50", "µs", 1, Lower, false}
	case P99:
		return trait{"99th percentile of latency", "P99", "µs", 1, Lower, false}
	case P999:
		return trait{"99.9th percentile of latency", "P99.9", "µs", 1, Lower, false}
	case Max:
		return trait{"longest latency", "max", "µs", 1, Lower, false}
	case RSS:
		return trait{"resident memory of the server", "RSS", "MiB", mebi, Lower, false}
	case PerConn:
		return trait{"resident memory per connection", "per conn", "KiB", kibi, Lower, false}
	case Allocs:
		return trait{"heap allocations per message", "allocs", "", 1, Lower, false}
	case Reads:
		return trait{"read calls per message", "reads", "", 1, Lower, false}
	case Writes:
		return trait{"write calls per message", "writes", "", 1, Lower, false}
	case Goroutines:
		return trait{"goroutines of the server", "goroutines", "", 1, Lower, true}
	case Goodput:
		return trait{"right answers under overload, as a share of the maximum", "goodput", "", 1, Higher, false}
	case Refused:
		return trait{"proper refusals", "refused", "", 1, Neutral, true}
	case Errors:
		return trait{"wrong or missing answers", "errors", "", 1, Lower, true}
	case Messages:
		return trait{"answers counted", "messages", "", 1, Neutral, true}
	case LoadCPU:
		return trait{"CPU of the load generator", "load CPU", "cores", 1, Neutral, false}
	}
	return trait{string(f), string(f), "", 1, Neutral, false}
}

// Title says in a few words what f is, without its unit.
func (f Figure) Title() string { return f.trait().title }

// Label is the short name of f for the head of a column, without its unit.
func (f Figure) Label() string { return f.trait().label }

// Unit is the unit that [Figure.Number] writes f in; it is empty for a plain number.
func (f Figure) Unit() string { return f.trait().unit }

// Direction says whether a low or a high value of f is good.
func (f Figure) Direction() Direction { return f.trait().direction }

// Number writes v, a value of f, in the unit of f but without naming it.
func (f Figure) Number(v float64) string { return f.significant(v, 3) }

// Format writes v, a value of f, with its unit.
func (f Figure) Format(v float64) string { return f.withUnit(f.Number(v)) }

func (f Figure) significant(v float64, n int) string {
	t := f.trait()
	v *= t.scale
	if t.count && v == math.Trunc(v) {
		return trimmed(v)
	}
	return significant(v, n)
}

func (f Figure) withUnit(number string) string {
	return strings.TrimRight(number+" "+f.Unit(), " ")
}

// occurring returns the figures that s has: its main one, then the others in the order of Figures, then what this
// version does not know.
func (s *Scenario) occurring() []Figure {
	seen := map[Figure]bool{}
	for i := range s.Subjects {
		for _, round := range s.Subjects[i].Rounds {
			for f := range round {
				seen[f] = true
			}
		}
	}
	var found []Figure
	for _, f := range append([]Figure{s.Main}, Figures()...) {
		if seen[f] {
			found = append(found, f)
			delete(seen, f)
		}
	}
	known := len(found)
	for f := range seen {
		found = append(found, f)
	}
	slices.Sort(found[known:])
	return found
}

// significant writes v with n significant digits, but never cuts digits before the point.
func significant(v float64, n int) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	// The exponent is taken after rounding, so that 9.996 has two places before the point.
	_, digits, _ := strings.Cut(strconv.FormatFloat(v, 'e', n-1, 64), "e")
	exponent, _ := strconv.Atoi(digits)
	return grouped(strconv.FormatFloat(v, 'f', max(n-1-exponent, 0), 64))
}

// trimmed writes v without more digits than it needs.
func trimmed(v float64) string {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	return grouped(strconv.FormatFloat(short, 'f', -1, 64))
}

// grouped puts commas between the thousands of a decimal number.
func grouped(s string) string {
	whole, fraction, point := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// factor writes a ratio with the given sign of multiplication before it, around 1 with two decimals.
func factor(sign string, ratio float64) string {
	switch {
	case ratio >= 0.1 && ratio < 9.995:
		return sign + " " + strconv.FormatFloat(ratio, 'f', 2, 64)
	case ratio < 0.1:
		return sign + " " + significant(ratio, 2)
	}
	return sign + " " + significant(ratio, 3)
}
