package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scenarios are the server scenarios of the official suite that need tools alone, or no fixture.
var scenarios = map[string][]string{
	"2025-11-25": {
		"server-initialize", "server-session-lifecycle", "server-sse-multiple-streams", "ping", "dns-rebinding-protection",
		"tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource",
		"tools-call-mixed-content", "tools-call-error", "tools-call-with-progress", "json-schema-2020-12",
	},
	modern: {
		"server-stateless", "server-sse-multiple-streams", "dns-rebinding-protection", "http-header-validation",
		"http-custom-header-server-validation",
		"tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource",
		"tools-call-mixed-content", "tools-call-error", "tools-call-with-progress", "json-schema-2020-12",
	},
}

// notYet are the checks of these scenarios that need more than tools: the fixtures ask the client, or log. Each fails
// today, and a check that succeeds has to leave the list.
var notYet = map[string][]string{
	"server-stateless": {
		"sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400",
		"sep-2575-http-server-no-independent-requests-on-stream", "sep-2575-server-no-log-without-loglevel",
	},
}

// conformanceCheck is an entry of the checks.json that the suite writes for a scenario.
type conformanceCheck struct {
	ID, Description, Status, ErrorMessage string
	Details                               json.RawMessage
}

// TestConformance is gated on the files that the suite writes: its exit status ignores warnings, skipped scenarios and
// failures of scenarios that it does not score.
func TestConformance(t *testing.T) {
	for _, revision := range slices.Sorted(maps.Keys(scenarios)) {
		t.Run(revision, func(t *testing.T) {
			needNPM(t)
			counts := &tally{byStatus: map[string]int{}}
			t.Run("scenarios", func(t *testing.T) {
				for _, scenario := range scenarios[revision] {
					t.Run(scenario, func(t *testing.T) {
						t.Parallel()
						counts.add(t, runScenario(t, scenario, revision), notYet[scenario])
					})
				}
			})
			t.Logf("%s: %d scenarios, checks: %s", revision, len(scenarios[revision]), counts)
		})
	}
}

// runScenario returns the checks of one scenario.
func runScenario(t *testing.T, scenario, revision string) []conformanceCheck {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, modules+"/@modelcontextprotocol/conformance/dist/index.js", "server",
		"--url", fixtureURL(t), "--scenario", scenario, "--spec-version", revision, "-o", dir)
	t.Logf("ran: %s", strings.Join(cmd.Args, " "))
	output, runErr := cmd.CombinedOutput()
	var checks []conformanceCheck
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var more []conformanceCheck
		if err := json.Unmarshal(content, &more); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		checks = append(checks, more...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(checks) == 0 {
		t.Fatalf("no checks: %v\n%s", runErr, bytes.TrimSpace(output))
	}
	return checks
}

// tally counts the checks of one revision.
type tally struct {
	mu       sync.Mutex
	byStatus map[string]int
}

// add counts the checks of a scenario. It fails for failed ones that are not expected, for expected ones that did not
// fail, and for a scenario in which nothing succeeded.
func (c *tally) add(t *testing.T, checks []conformanceCheck, expected []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	succeeded := false
	for _, check := range checks {
		status := check.Status
		known := slices.Contains(expected, check.ID)
		switch {
		case status == "FAILURE" && known:
			status = "not yet"
		case status == "FAILURE":
			t.Errorf("%s: %s: %s\n%s", check.ID, check.Description, check.ErrorMessage, check.Details)
		case known:
			t.Errorf("%s: %s; take it off the list notYet", check.ID, status)
		case status == "SUCCESS":
			succeeded = true
		default:
			t.Logf("%s %s: %s: %s", status, check.ID, check.Description, check.ErrorMessage)
		}
		c.byStatus[status]++
	}
	if !succeeded {
		t.Error("no check of this scenario succeeded")
	}
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, status := range []string{"SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO", "not yet"} {
		parts = append(parts, fmt.Sprintf("%d %s", c.byStatus[status], status))
	}
	return strings.Join(parts, ", ")
}
