package report

import (
	"math"
	"strings"
	"testing"
)

// meets makes a run in which the value of t is limit × by.
func meets(t Target, by float64) *Run {
	s := Scenario{Name: t.Scenario}
	sample := func(v float64) []Sample { return []Sample{{t.Figure: v, Errors: 0}} }
	value := t.Limit * by
	if t.Over != "" {
		value *= 8
		s.Subjects = append(s.Subjects, Subject{Name: t.Over, Rounds: sample(8)})
	}
	s.Subjects = append(s.Subjects, Subject{Name: t.Subject, Rounds: sample(value)})
	return &Run{Rounds: 1, Scenarios: []Scenario{s}}
}

func TestVerdictsAtTheBound(t *testing.T) {
	for _, target := range Targets() {
		worse := 1.001
		if target.AtLeast {
			worse = 0.999
		}
		for _, tt := range []struct {
			name string
			by   float64
			want string
		}{{"at", 1, "yes"}, {"better", 2 - worse, "yes"}, {"worse", worse, "NO"}} {
			v := meets(target, tt.by).verdict(target)
			if !v.Measured || v.Word() != tt.want {
				t.Errorf("%s %s the bound: measured %v, word %q, want %q", target.ID, tt.name, v.Measured, v.Word(), tt.want)
			}
			limit := strings.TrimSuffix(v.Bound, ", no errors")
			if tt.want == "NO" && strings.HasSuffix(limit, " "+v.Text()) {
				t.Errorf("%s: missed, but shown as %s with bound %s", target.ID, v.Text(), v.Bound)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	want := map[string]string{
		"P1": "≥ 15", "P2": "≥ 40", "P3": "≤ 1.45", "P3i": "≤ 1.25", "P4": "≤ 1.6", "P5": "≤ 7", "P6": "≤ 4 KiB",
		"P7": "≤ 50", "P8": "≤ 10,000 µs", "P9": "≤ 10,000 µs", "P10": "≥ 0.85, no errors", "P11": "≤ 8", "P11i": "≤ 0.05",
		"P12": "≤ 6 µs", "P13": "≤ 1.1",
	}
	targets := Targets()
	if len(targets) != len(want) {
		t.Errorf("%d targets, want %d", len(targets), len(want))
	}
	for _, target := range targets {
		if target.Bound != want[target.ID] {
			t.Errorf("%s: bound %q, want %q", target.ID, target.Bound, want[target.ID])
		}
		if target.Title == "" {
			t.Errorf("%s has no title", target.ID)
		}
	}
}

// TestBinaryFractions holds what is the limit in decimals to be the limit.
func TestBinaryFractions(t *testing.T) {
	target := Target{Limit: 7, Over: "floor"}
	value := 2.24
	if value /= 0.32; value == 7 || !target.holds(value) {
		t.Errorf("%v does not meet 7", value)
	}
	if got := (Verdict{Target: target, Value: value, Measured: true}).Text(); got != "7.00" {
		t.Errorf("got %q, want 7.00", got)
	}
	if target.holds(math.Nextafter(7.0000001, 8)) {
		t.Error("more than 7 meets 7")
	}
}

func find(t *testing.T, r *Run, id string) Verdict {
	t.Helper()
	for _, v := range r.Verdicts() {
		if v.ID == id {
			return v
		}
	}
	t.Fatalf("no target %s", id)
	return Verdict{}
}

func TestVerdictsNotMeasured(t *testing.T) {
	scenario := func(name string, subjects ...Subject) *Run {
		return &Run{Scenarios: []Scenario{{Name: name, Subjects: subjects}}}
	}
	failed := of("floor")
	failed.Error = "port in use"
	for _, tt := range []struct {
		name, id, note string
		run            *Run
	}{
		{"no scenario", "P3", "scenario http-modern was not run", &Run{}},
		{"no subject", "P3", "millrace was not measured", scenario("http-modern", of("floor", 1))},
		{"no divisor", "P3", "floor was not measured", scenario("http-modern", of("millrace", 1))},
		{"no figure", "P11", "allocs of millrace was not measured", scenario("http-modern", of("millrace", 1))},
		{"failed", "P3", "CPU of floor was not measured; ! floor: port in use", scenario("http-modern", of("millrace", 1), failed)},
		{"zero", "P3", "CPU of floor is zero", scenario("http-modern", of("millrace", 1), of("floor", 0))},
		{"errors not counted", "P10", "errors of millrace was not measured",
			scenario("overload", Subject{Name: "millrace", Rounds: []Sample{{Goodput: 1}}})},
	} {
		v := find(t, tt.run, tt.id)
		if v.Measured || v.Met || v.Note != tt.note || v.Text() != "-" || v.Word() != "not measured" {
			t.Errorf("%s: got %+v, want note %q", tt.name, v, tt.note)
		}
	}
}

func TestVerdictsWithErrors(t *testing.T) {
	overloaded := &Run{Rounds: 2, Scenarios: []Scenario{{Name: "overload", Subjects: []Subject{
		{Name: "millrace", Rounds: []Sample{{Goodput: 0.95, Errors: 0}, {Goodput: 0.95, Errors: 1}}},
	}}}}
	v := find(t, overloaded, "P10")
	if !v.Measured || v.Met || v.Note != "! millrace: wrong or missing answers: 1, in 1 of 2 rounds" {
		t.Errorf("P10 with an error: got %+v", v)
	}
	calls := &Run{Rounds: 1, Scenarios: []Scenario{{Name: "http-modern", Subjects: []Subject{
		of("millrace", 1), {Name: "mcp-go", Rounds: []Sample{{CPU: 20, Errors: 5}}},
	}}}}
	v = find(t, calls, "P1")
	if !v.Met || v.Note != "20.0 µs ÷ 1.00 µs; ! mcp-go: wrong or missing answers: 5, in 1 of 1 rounds" {
		t.Errorf("P1 with errors of the peer: got %+v", v)
	}
}

func TestTally(t *testing.T) {
	yes, no, open := Verdict{Measured: true, Met: true}, Verdict{Measured: true}, Verdict{}
	for want, in := range map[string][]Verdict{
		"Of 1 targets, 1 are met.":                               {yes},
		"Of 4 targets, 2 are met, **1 missed**, 1 not measured.": {yes, no, yes, open},
	} {
		if got := tally(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
