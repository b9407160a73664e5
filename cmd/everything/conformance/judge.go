package main

import "fmt"

// wireCheck is a check that the suite adds to every scenario: that what the server sent is valid. It says nothing of
// whether the scenario was exercised.
const wireCheck = "wire-schema-valid"

// skippable are the checks that may be SKIPPED whatever the server does, by scenario. Everything else that is skipped
// was not tested, and that is a failure here.
var skippable = map[string]map[string]string{
	"tasks-status-notifications": {
		"tasks-status-notifications": "the suite has no test for it yet",
	},
}

// informative are the checks that may be INFO, with what the report says of them; records of the exchange are left out of
// it. Elsewhere INFO means that something was not tested: no session id, no SSE stream, no resumption.
var informative = map[string]string{
	"outgoing-request":              "",
	"incoming-response":             "",
	"incoming-sse-event":            "",
	"stream-closed":                 "",
	"server-sse-streams-functional": "lists are answered with JSON, not with a stream",
}

// expected reports whether a check may be what it is although it tested nothing, and why.
func expected(scenario string, c check) (why string, ok bool) {
	switch c.Status {
	case "INFO":
		why, ok = informative[c.ID]
	case "SKIPPED":
		why, ok = skippable[scenario][c.ID]
	}
	return why, ok
}

// problem is a reason to fail.
type problem struct {
	scenario, revision string
	check
}

// judge returns what is wrong with an outcome. Only a FAILURE counts for the suite itself.
func judge(o outcome) (problems []problem) {
	succeeded := false
	for _, c := range o.checks {
		_, ok := expected(o.scenario, c)
		switch {
		case c.Status == "SUCCESS":
			succeeded = succeeded || c.ID != wireCheck
		case ok:
			succeeded = succeeded || c.Status == "SKIPPED"
		default:
			problems = append(problems, problem{o.scenario, o.revision, c})
		}
	}
	if !succeeded && len(problems) == 0 {
		problems = append(problems, problem{o.scenario, o.revision, check{
			ID: "-", Status: "UNTESTED", Description: "A scenario must test something.",
			ErrorMessage: fmt.Sprintf("none of its %d checks succeeded", len(o.checks)),
		}})
	}
	return problems
}
