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

// problem is a reason to fail.
type problem struct {
	scenario, revision string
	check
}

// judge returns what is wrong with an outcome. Only a FAILURE counts for the suite itself.
func judge(o outcome) (problems []problem) {
	succeeded := false
	for _, c := range o.checks {
		switch c.Status {
		case "SUCCESS":
			succeeded = succeeded || c.ID != wireCheck
		case "INFO":
		case "SKIPPED":
			if skippable[o.scenario][c.ID] != "" {
				succeeded = true
				continue
			}
			problems = append(problems, problem{o.scenario, o.revision, c})
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
