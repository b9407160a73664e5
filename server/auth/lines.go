package auth

import (
	"bufio"
	"iter"
	"strings"
)

// lines yields the lines of a file that say something, with their numbers: without
// blank ones and those that begin with '#'. scan.Err says afterwards what went wrong.
func lines(scan *bufio.Scanner) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for n := 1; scan.Scan(); n++ {
			line := strings.TrimSpace(scan.Text())
			if line != "" && line[0] != '#' && !yield(n, line) {
				return
			}
		}
	}
}
