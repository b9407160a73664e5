package report

import (
	"fmt"
	"strings"
)

// Target is a bound that Millrace has set itself: on a figure of a subject, or on that figure over the one of another
// subject of the same run, which hardly depends on the machine.
type Target struct {
	// ID is stable ("P1"), Title a line for people, Bound the limit as text ("≥ 15").
	ID, Title, Bound string
	// Scenario is the name of the scenario that measures it.
	Scenario string
	Figure   Figure
	Subject  string
	// Over is the subject to divide by; when it is empty, the figure itself is bounded.
	Over string
	// Limit is the bound, in the unit of Figure; it still meets the target. AtLeast makes it a lower one.
	Limit   float64
	AtLeast bool
	// Clean demands that Subject made no error in any round.
	Clean bool
}

// Verdict is what a run says about a target.
type Verdict struct {
	Target
	// Value is the ratio or the median; it is there when Measured is true.
	Value    float64
	Measured bool
	Met      bool
	// Note says what the value was computed from, why there is none, and what casts doubt on it.
	Note string
}

// Targets returns the targets of Millrace.
func Targets() []Target {
	targets := []Target{
		{ID: "P1", Title: "HTTP call: CPU of mcp-go over millrace", Scenario: "http-modern",
			Figure: CPU, Subject: "mcp-go", Over: "millrace", Limit: 15, AtLeast: true},
		{ID: "P2", Title: "HTTP call: CPU of go-sdk over millrace", Scenario: "http-modern",
			Figure: CPU, Subject: "go-sdk", Over: "millrace", Limit: 40, AtLeast: true},
		{ID: "P3", Title: "HTTP call: CPU of millrace over the floor", Scenario: "http-modern",
			Figure: CPU, Subject: "millrace", Over: "floor", Limit: 1.45},
		{ID: "P3i", Title: "HTTP call: CPU of an inline tool over the floor", Scenario: "http-modern",
			Figure: CPU, Subject: "millrace inline", Over: "floor", Limit: 1.25},
		{ID: "P4", Title: "WebSocket, one at a time: CPU over the floor", Scenario: "ws-1",
			Figure: CPU, Subject: "millrace", Over: "floor", Limit: 1.6},
		{ID: "P5", Title: "WebSocket, 16 deep: CPU over the floor", Scenario: "ws-16",
			Figure: CPU, Subject: "millrace", Over: "floor", Limit: 7},
		{ID: "P6", Title: "15,000 idle WebSockets: memory of each", Scenario: "idle",
			Figure: PerConn, Subject: "millrace", Limit: 4096},
		{ID: "P7", Title: "15,000 idle WebSockets: goroutines in all", Scenario: "idle",
			Figure: Goroutines, Subject: "millrace", Limit: 50},
		{ID: "P8", Title: "10,000 messages/s on 10,000 connections: P99", Scenario: "open-loop",
			Figure: P99, Subject: "millrace", Limit: 10_000},
		{ID: "P9", Title: "ping while a CPU-bound tool fills the pool: P99", Scenario: "starve-cpu",
			Figure: P99, Subject: "millrace", Limit: 10_000},
		{ID: "P10", Title: "overload: share of the maximum still answered", Scenario: "overload",
			Figure: Goodput, Subject: "millrace", Limit: 0.85, AtLeast: true, Clean: true},
		{ID: "P11", Title: "HTTP call: heap allocations", Scenario: "http-modern",
			Figure: Allocs, Subject: "millrace", Limit: 8},
		{ID: "P11i", Title: "WebSocket ping: heap allocations", Scenario: "ws-ping",
			Figure: Allocs, Subject: "millrace", Limit: 0.05},
		{ID: "P12", Title: "notification to 10,000 streams: CPU of each", Scenario: "fanout",
			Figure: CPU, Subject: "millrace", Limit: 6},
		{ID: "P13", Title: "two event loops: CPU over that of one", Scenario: "loops",
			Figure: CPU, Subject: "2 loops", Over: "1 loop", Limit: 1.1},
	}
	for i := range targets {
		targets[i].Bound = targets[i].bound()
	}
	return targets
}

// Verdicts judges r by all targets, in their order.
func (r *Run) Verdicts() []Verdict {
	var all []Verdict
	for _, t := range Targets() {
		all = append(all, r.verdict(t))
	}
	return all
}

func (r *Run) verdict(t Target) Verdict {
	v := Verdict{Target: t}
	s := r.Find(t.Scenario)
	if s == nil {
		v.Note = "scenario " + t.Scenario + " was not run"
		return v
	}
	var note string
	v.Value, v.Measured, note = t.measure(s)
	if v.Measured {
		v.Met = t.holds(v.Value) && (!t.Clean || s.Find(t.Subject).clean())
	}
	v.Note = strings.Join(append(nonEmpty(note), r.doubts(s, t.Subject, t.Over)...), "; ")
	return v
}

// doubts tells the troubles of the subjects with the given names.
func (r *Run) doubts(s *Scenario, names ...string) []string {
	var all []string
	for _, name := range names {
		subject := s.Find(name)
		if subject == nil {
			continue
		}
		if trouble := subject.trouble(r.rounds(s)); trouble != "" {
			all = append(all, "! "+name+": "+trouble)
		}
	}
	return all
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// measure returns the value that t bounds, or a note that says why there is none.
func (t *Target) measure(s *Scenario) (value float64, ok bool, note string) {
	sp, note := t.spread(s, t.Subject)
	if note != "" {
		return 0, false, note
	}
	if t.Clean {
		if _, note := (&Target{Figure: Errors}).spread(s, t.Subject); note != "" {
			return 0, false, note
		}
	}
	if t.Over == "" {
		return sp.Median, true, sp.extremes(t.Figure)
	}
	over, note := t.spread(s, t.Over)
	if note != "" {
		return 0, false, note
	}
	if over.Median == 0 {
		return 0, false, t.Figure.Label() + " of " + t.Over + " is zero"
	}
	return sp.Median / over.Median, true, t.Figure.Format(sp.Median) + " ÷ " + t.Figure.Format(over.Median)
}

// spread returns the figure of t for the subject called name, or a note that says why there is none.
func (t *Target) spread(s *Scenario, name string) (sp Spread, note string) {
	subject := s.Find(name)
	if subject == nil {
		return sp, name + " was not measured"
	}
	sp, ok := subject.Spread(t.Figure)
	if !ok {
		return sp, t.Figure.Label() + " of " + name + " was not measured"
	}
	return sp, ""
}

// extremes writes the range of the rounds.
func (sp Spread) extremes(f Figure) string {
	if sp.Min == sp.Max {
		return ""
	}
	return f.Number(sp.Min) + " to " + f.Format(sp.Max)
}

// clean reports whether no round of s had an error.
func (s *Subject) clean() bool {
	_, rounds := s.wrong()
	return rounds == 0
}

// holds reports whether value is on the right side of the limit; the limit itself is, and so is what differs from it
// only because 2.24 / 0.32 is not quite 7 in binary.
func (t *Target) holds(value float64) bool {
	const slack = 1e-12
	if t.AtLeast {
		return value >= t.Limit*(1-slack)
	}
	return value <= t.Limit*(1+slack)
}

// bound writes the limit.
func (t *Target) bound() string {
	text := trimmed(t.Limit)
	if t.Over == "" {
		text = t.Figure.withUnit(trimmed(t.Limit * t.Figure.trait().scale))
	}
	sign := "≤ "
	if t.AtLeast {
		sign = "≥ "
	}
	if t.Clean {
		text += ", no errors"
	}
	return sign + text
}

// Text writes the value with three digits, or as many as it takes to tell it from a limit that it misses; it is "-"
// when there is no value.
func (v Verdict) Text() string {
	if !v.Measured {
		return absent
	}
	for n := 3; ; n++ {
		value, limit := v.number(v.Value, n), v.number(v.Limit, n)
		if value != limit || v.holds(v.Value) || n == 17 {
			return value
		}
	}
}

func (v Verdict) number(x float64, n int) string {
	if v.Over != "" {
		return significant(x, n)
	}
	return v.Figure.withUnit(v.Figure.significant(x, n))
}

// Word says in a word what became of the target: "yes", "NO" or "not measured".
func (v Verdict) Word() string {
	switch {
	case !v.Measured:
		return "not measured"
	case v.Met:
		return "yes"
	}
	return "NO"
}

// tally counts the verdicts in a sentence.
func tally(verdicts []Verdict) string {
	var met, missed, open int
	for _, v := range verdicts {
		switch {
		case !v.Measured:
			open++
		case v.Met:
			met++
		default:
			missed++
		}
	}
	parts := []string{fmt.Sprintf("Of %d targets, %d are met", len(verdicts), met)}
	if missed > 0 {
		parts = append(parts, fmt.Sprintf("**%d missed**", missed))
	}
	if open > 0 {
		parts = append(parts, fmt.Sprintf("%d not measured", open))
	}
	return strings.Join(parts, ", ") + "."
}
