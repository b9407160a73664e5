package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPage: every test that the page names exists, and every id of the
// checklist is on the page.
func TestSecurityPage(t *testing.T) {
	page, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(text, -1) {
			exist[string(m[1])] = true
		}
		return err
	})
	if err != nil || len(exist) < 100 {
		t.Fatalf("%d tests, %v", len(exist), err)
	}
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllSubmatch(page, -1) {
		if !exist[string(name[1])] {
			t.Errorf("there is no %s", name[1])
		}
	}
	for group, most := range map[string]int{"AUTH": 25, "TR": 17, "SES": 6, "MRTR": 4, "TASK": 5, "CACHE": 3, "TOOL": 4, "RES": 3, "SCH": 3, "WS": 13, "H1": 13} {
		seen := idsOf(string(page), group)
		for n := 1; n <= most; n++ {
			if !seen[n] {
				t.Errorf("%s-%d is not on the page", group, n)
			}
		}
	}
}

// idsOf finds the numbers of a group in first columns such as "TR-6, 7" and "H1-1 to
// H1-6, 12".
func idsOf(page, group string) map[int]bool {
	seen := map[int]bool{}
	number := regexp.MustCompile(`\d+`)
	for line := range strings.Lines(page) {
		cell, ok := strings.CutPrefix(line, "| "+group+"-")
		if !ok {
			continue
		}
		cell, _, _ = strings.Cut(cell, "|")
		from, to, isRange := strings.Cut(strings.ReplaceAll(cell, group+"-", ""), " to ")
		list := number.FindAllString(from, -1)
		if isRange {
			rest := number.FindAllString(to, -1)
			for n := atoi(list[0]); n <= atoi(rest[0]); n++ {
				seen[n] = true
			}
			list = rest
		}
		for _, n := range list {
			seen[atoi(n)] = true
		}
	}
	return seen
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}
