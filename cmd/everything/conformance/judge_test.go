package main

import "testing"

func TestJudge(t *testing.T) {
	ok, wire := check{ID: "a", Status: "SUCCESS"}, check{ID: wireCheck, Status: "SUCCESS"}
	for _, tt := range []struct {
		name     string
		scenario string
		checks   []check
		want     []string // statuses of the problems
	}{
		{"all is well", "ping", []check{ok, wire}, nil},
		{"a failure", "ping", []check{ok, {ID: "b", Status: "FAILURE"}}, []string{"FAILURE"}},
		{"a warning", "ping", []check{ok, {ID: "b", Status: "WARNING"}}, []string{"WARNING"}},
		{"a status that the suite does not have today", "ping", []check{ok, {ID: "b", Status: "PARTIAL"}}, []string{"PARTIAL"}},
		{"a record beside a success", "ping", []check{ok, {ID: "stream-closed", Status: "INFO"}}, nil},
		{"a silent green", "ping", []check{ok, {ID: "server-sse-disconnect-resume", Status: "INFO"}}, []string{"INFO"}},
		{"a skipped check", "ping", []check{ok, {ID: "b", Status: "SKIPPED"}}, []string{"SKIPPED"}},
		{"nothing", "ping", nil, []string{"UNTESTED"}},
		{"nothing but records", "ping", []check{{ID: "stream-closed", Status: "INFO"}}, []string{"UNTESTED"}},
		{"nothing but valid messages", "ping", []check{wire}, []string{"UNTESTED"}},
		{"skipped for good", "tasks-status-notifications", []check{{ID: "tasks-status-notifications", Status: "SKIPPED"}}, nil},
		{"skipped for good elsewhere", "ping", []check{{ID: "tasks-status-notifications", Status: "SKIPPED"}}, []string{"SKIPPED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(outcome{scenario: tt.scenario, revision: modern, checks: tt.checks})
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for i, p := range got {
				if p.Status != tt.want[i] || p.scenario != tt.scenario || p.revision != modern {
					t.Errorf("got %+v, want %s", p, tt.want[i])
				}
			}
		})
	}
}
