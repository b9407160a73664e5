package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// statuses are the columns of the table.
var statuses = []string{"SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"}

// report gathers the outcomes of all runs.
type report struct {
	rows     []row
	problems []found
	notes    []found // checks that tested nothing, as expected
}

// row counts the scenarios of one revision in one run.
type row struct {
	run, revision                string
	all, required, tasks, skills score
	checks                       map[string]int // by status
}

// score is how many of how many scenarios are without a problem.
type score struct{ good, of int }

func (s *score) add(good bool) {
	s.of++
	if good {
		s.good++
	}
}

func (s score) String() string {
	if s.of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.good, s.of)
}

// found is a problem or note with the runs that showed it.
type found struct {
	problem
	runs []string
}

// collect adds p, once for all runs that show the same.
func collect(list []found, p problem, run string) []found {
	for i, f := range list {
		if f.scenario == p.scenario && f.revision == p.revision && f.ID == p.ID && f.Status == p.Status && f.ErrorMessage == p.ErrorMessage {
			if !slices.Contains(f.runs, run) {
				list[i].runs = append(f.runs, run)
			}
			return list
		}
	}
	return append(list, found{p, []string{run}})
}

func (r *report) add(run run, outcomes []outcome) {
	byRevision := map[string]*row{}
	var order []*row
	for _, o := range outcomes {
		rw := byRevision[o.revision]
		if rw == nil {
			rw = &row{run: run.name, revision: o.revision, checks: map[string]int{}}
			byRevision[o.revision] = rw
			order = append(order, rw)
		}
		problems := judge(o)
		for _, p := range problems {
			r.problems = collect(r.problems, p, run.name)
		}
		rw.count(o, len(problems) == 0)
		for _, c := range o.checks {
			if why, _ := expected(o.scenario, c); why != "" {
				c.Description = why
				r.notes = collect(r.notes, problem{o.scenario, o.revision, c}, run.name)
			}
		}
	}
	slices.SortFunc(order, func(a, b *row) int { return strings.Compare(a.revision, b.revision) })
	for _, rw := range order {
		r.rows = append(r.rows, *rw)
	}
	if len(outcomes) != run.scenarios {
		r.problems = collect(r.problems, problem{"(the run)", run.revision, check{
			ID: "-", Status: "FAILURE", Description: "Every scenario must be run.",
			ErrorMessage: fmt.Sprintf("the suite ran %d scenarios, want %d", len(outcomes), run.scenarios),
		}}, run.name)
	}
}

func (w *row) count(o outcome, good bool) {
	w.all.add(good)
	if o.required {
		w.required.add(good)
	}
	switch {
	case skippable[o.scenario] != nil: // scored by nobody
	case strings.HasPrefix(o.scenario, "tasks-"):
		w.tasks.add(good)
	case strings.Contains(o.scenario, "-skills-"):
		w.skills.add(good)
	}
	for _, c := range o.checks {
		w.checks[c.Status]++
	}
}

func (r *report) writeProblems(w io.Writer) {
	for _, f := range r.problems {
		fmt.Fprintf(w, "\n%s %s %s (in %s)\n    %s\n", f.Status, f.scenario, f.ID, strings.Join(f.runs, ", "), f.Description)
		if f.ErrorMessage != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(f.ErrorMessage, "\n", "\n    "))
		}
		if d := short(f.Details); d != "" {
			fmt.Fprintf(w, "    details: %s\n", d)
		}
	}
}

// short is details on one line, cut.
func short(details json.RawMessage) string {
	const most = 600
	var b bytes.Buffer
	if len(details) == 0 || json.Compact(&b, details) != nil || b.String() == "{}" {
		return ""
	}
	if s := b.String(); len(s) > most {
		return s[:most] + "..."
	}
	return b.String()
}

func (r *report) writeNotes(w io.Writer) {
	if len(r.notes) > 0 {
		fmt.Fprintln(w, "\nnot tested, as expected:")
	}
	for _, f := range r.notes {
		fmt.Fprintf(w, "    %s %s %s: %s\n", f.Status, f.scenario, f.ID, f.Description)
	}
}

const line = "%-*s  %-10s  %9s  %8s  %5s  %6s  %7v  %7v  %7v  %7v  %4v\n"

// writeTable writes a row for each run and revision. A scenario is good when no check of it is a FAILURE or a WARNING,
// and none was skipped that should have been run.
func (r *report) writeTable(w io.Writer, anchors bool) {
	width := 16
	for _, rw := range r.rows {
		width = max(width, len(rw.run))
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, line, width, "run", "revision", "scenarios", "required", "tasks", "skills", "SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO")
	for _, rw := range r.rows {
		cells := []any{width, rw.run, rw.revision, rw.all, rw.required, rw.tasks, rw.skills}
		for _, s := range statuses {
			cells = append(cells, rw.checks[s])
		}
		fmt.Fprintf(w, line, cells...)
	}
	if anchors {
		fmt.Fprintln(w, "\nothers, measured with this version of the suite on 2026-11-22:")
		fmt.Fprintf(w, line, width, "go-sdk 1.8.0", legacy, "", "30/30", "", "", "", "", "", "", "")
		fmt.Fprintf(w, line, width, "  two processes", modern, "", "37/37", "0/9", "", "", "", 1, "", "")
		fmt.Fprintf(w, line, width, "TypeScript 2.4.0", legacy, "", "30/30", "", "", "", "", "", "", "")
		fmt.Fprintf(w, line, width, "  one endpoint", modern, "", "37/37", "0/9", "", "", "", "", "", "")
	}
	if n := len(r.problems); n > 0 {
		fmt.Fprintf(w, "\n%d problems: NOT conforming\n", n)
	} else {
		fmt.Fprintln(w, "\nno problems")
	}
}
