package docs_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestLicenses: licenses.md has a row for each module that is linked into the daemon,
// of the version that is linked, and no other. What the licences are is for `make
// licenses` to say.
func TestLicenses(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "./cmd/millrace")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]string{} // versions of modules
	for line := range strings.Lines(string(out)) {
		// Our own module has no version.
		if module, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			linked[module] = version
		}
	}

	page, err := os.ReadFile("licenses.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.\S+) \| (\S+) \| \S+ \|$`).FindAllStringSubmatch(string(page), -1) {
		// The page may name a package; its module is the longest that fits.
		module := ""
		for m := range linked {
			if (row[1] == m || strings.HasPrefix(row[1], m+"/")) && len(m) > len(module) {
				module = m
			}
		}
		if module == "" || linked[module] != row[2] {
			t.Errorf("the page has %s %s, linked is %q; see make licenses", row[1], row[2], linked[module])
		}
		named[module] = true
	}
	for module, version := range linked {
		if !named[module] {
			t.Errorf("the page does not have %s %s; see make licenses", module, version)
		}
	}
	if len(linked) < 10 {
		t.Errorf("only %d modules are linked", len(linked))
	}
}
