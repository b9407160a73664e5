package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	good := check{ID: "a", Status: "SUCCESS"}
	bad := check{ID: "b", Status: "WARNING", Description: "It should.", ErrorMessage: "It does not.", Details: json.RawMessage("{\n \"got\": 1}")}
	var r report
	r.add(run{name: "one", scenarios: 2}, []outcome{
		{scenario: "ping", revision: legacy, required: true, checks: []check{good}},
		{scenario: "tasks-lifecycle", revision: modern, checks: []check{good, bad}},
	})
	r.add(run{name: "two", scenarios: 2}, []outcome{
		{scenario: "tasks-lifecycle", revision: modern, checks: []check{good, bad}},
	})
	var b strings.Builder
	r.writeProblems(&b)
	r.writeTable(&b, false)
	got := b.String()
	for _, want := range []string{
		"WARNING tasks-lifecycle b (in one, two)\n    It should.\n    It does not.\n    details: {\"got\":1}\n",
		"the suite ran 1 scenarios, want 2",
		"one               2025-11-25        1/1       1/1",
		"one               2026-07-28        0/1              0/1",
		"\n2 problems: NOT conforming\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
}

func TestShort(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "{}": "", "{ \"a\": 1 }": `{"a":1}`, "nonsense": "",
		`"` + strings.Repeat("x", 700) + `"`: `"` + strings.Repeat("x", 599) + "...",
	} {
		if got := short(json.RawMessage(in)); got != want {
			t.Errorf("short(%.20q) = %q, want %q", in, got, want)
		}
	}
}
