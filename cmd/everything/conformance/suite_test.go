package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func testSuite() *suite {
	return &suite{revisions: parseList([]byte(`Server scenarios (test against a server):
  - ping [2025-06-18,2025-11-25]
  - tools-list [2025-06-18,2025-11-25,2026-07-28]
  - caching [2026-07-28]
  - tasks-lifecycle [extension]
`))}
}

func TestRunsOf(t *testing.T) {
	for scenario, want := range map[string][]string{
		"ping":            {"ping 2025-11-25"},
		"tools-list":      {"tools-list 2025-11-25", "tools-list 2026-07-28"},
		"caching":         {"caching 2026-07-28"},
		"tasks-lifecycle": {"tasks-lifecycle"},
	} {
		runs, err := testSuite().runsOf(scenario)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range runs {
			got = append(got, r.name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", scenario, got, want)
		}
	}
	if _, err := testSuite().runsOf("pong"); err == nil {
		t.Error("an unknown scenario: no error")
	}
}

func TestInferred(t *testing.T) {
	for scenario, want := range map[string]string{"ping": legacy, "tools-list": legacy, "caching": modern, "tasks-lifecycle": modern} {
		if got := testSuite().inferred(scenario); got != want {
			t.Errorf("%s: got %s, want %s", scenario, got, want)
		}
	}
}

func TestParseRequired(t *testing.T) {
	got := parseRequired([]byte(`Required for 2026-07-28 (69 scenarios, frozen; run at the 2026-07-28 wire):

Server scenarios (test against a server):
  - server-stateless
  - caching

Client scenarios (test against a client):
  - tools_call

Run and reported, but never scored:
  extension (16):
    - tasks-lifecycle [server]
`))
	if want := []string{"server-stateless", "caching"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScenarioOf(t *testing.T) {
	for file, want := range map[string]string{
		"out/server-ping-2026-11-25T16-52-24-703Z/checks.json":                        "ping",
		"out/server-sep-2164-resource-not-found-2026-11-25T16-52-06-846Z/checks.json": "sep-2164-resource-not-found",
		"out/server-x/checks.json":                                                    "",
	} {
		if got := scenarioOf(file); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}

// TestInstalledSuite holds the tables of this program against the suite, when it is there.
func TestInstalledSuite(t *testing.T) {
	if _, err := os.Stat(filepath.Join(suitePath, "package.json")); err != nil {
		t.Skip("the suite is not installed")
	}
	s, err := newSuite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(s.revisions), suites[3].scenarios; got != want {
		t.Errorf("the suite has %d scenarios, want %d: %q", got, want, slices.Sorted(maps.Keys(s.revisions)))
	}
	for revision, want := range map[string]int{legacy: 30, modern: 37} {
		if got := len(s.required[revision]); got != want {
			t.Errorf("%s requires %d scenarios, want %d", revision, got, want)
		}
	}
	for scenario := range skippable {
		if _, known := s.revisions[scenario]; !known {
			t.Errorf("scenario %q may be skipped, but the suite has none of that name", scenario)
		}
	}
}
