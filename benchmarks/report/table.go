package report

import (
	"fmt"
	"io"
)

// absent stands in a table where there is no value.
const absent = "-"

// WriteTable writes s, a scenario of r, as a table for a terminal: a row for every subject, the best first, with the
// medians of its figures. Beneath a subject that went wrong stands a line that begins with "!".
func (r *Run) WriteTable(w io.Writer, s *Scenario) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n%s\n\n", s.Name, s.Title, s.Method); err != nil {
		return err
	}
	return r.table(s, "x").writeText(w)
}

// WriteVerdicts writes what became of the targets as a table for a terminal.
func (r *Run) WriteVerdicts(w io.Writer) error {
	return verdictTable(r.Verdicts()).writeText(w)
}

// table lays s out; times is the sign of multiplication.
func (r *Run) table(s *Scenario, times string) *grid {
	figures := s.occurring()
	base := s.Base()
	compared := base != nil && len(s.Subjects) > 1
	g := &grid{head: []string{"subject", "kind"}, left: 2}
	for _, f := range figures {
		if f == Errors { // told by the alarms, which count all rounds
			continue
		}
		g.head = append(g.head, f.withUnit(f.Label()))
		if f == s.Main {
			g.head = append(g.head, "±")
			if compared {
				g.head = append(g.head, "vs "+base.Name)
			}
		}
	}
	for _, subject := range s.ranked(s.Main) {
		cells := []string{subject.Name, string(subject.Kind)}
		for _, f := range figures {
			if f == Errors {
				continue
			}
			cells = append(cells, subject.median(f))
			if f == s.Main {
				cells = append(cells, subject.width(f))
				if compared {
					cells = append(cells, s.against(subject.Name, times))
				}
			}
		}
		g.add(subject.trouble(r.rounds(s)), cells...)
	}
	return g
}

// median writes the median of f.
func (s *Subject) median(f Figure) string {
	sp, ok := s.Spread(f)
	if !ok {
		return absent
	}
	return f.Number(sp.Median)
}

// width writes how far the rounds lie apart; one round alone says nothing about it.
func (s *Subject) width(f Figure) string {
	sp, ok := s.Spread(f)
	if !ok || len(s.Rounds) < 2 {
		return absent
	}
	p, ok := sp.percent()
	if !ok {
		return absent
	}
	if p < 10 {
		return fmt.Sprintf("±%.1f%%", p)
	}
	return fmt.Sprintf("±%.0f%%", p)
}

// against writes the factor of the main figure for the subject called name.
func (s *Scenario) against(name, times string) string {
	ratio, ok := s.Factor(s.Main, name)
	if !ok {
		return absent
	}
	return factor(times, ratio)
}

// verdictTable lays the verdicts out.
func verdictTable(verdicts []Verdict) *grid {
	g := &grid{head: []string{"", "target", "bound", "measured", "met", "how"}, left: 6}
	for _, v := range verdicts {
		g.add("", v.ID, v.Title, v.Bound, v.Text(), v.Word(), v.Note)
	}
	return g
}
