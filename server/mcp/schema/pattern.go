package schema

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Bounds of one regular expression. RE2 matches in linear time, but the factor
// is the size of the program, and `(a{1,100}){10}` is small only on paper.
const (
	maxPatternBytes = 1000
	maxPatternSize  = 10_000
)

// compilePattern compiles a `pattern` or the key of a `patternProperties`.
func compilePattern(p string) (*regexp.Regexp, error) {
	if len(p) > maxPatternBytes {
		return nil, fmt.Errorf("a pattern of %d bytes is over the bound of %d", len(p), maxPatternBytes)
	}
	tree, err := syntax.Parse(p, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("pattern %q is not a regular expression this server can run (RE2 syntax: no lookaround, no backreferences): %w", p, err)
	}
	if size := patternSize(tree); size > maxPatternSize {
		return nil, fmt.Errorf("pattern %q with its repetitions written out has %d states, over the bound of %d", p, size, maxPatternSize)
	}
	return regexp.Compile(p)
}

// patternSize estimates the instructions of the compiled program before
// anything of that size is built. The parser bounds nesting and repeat counts.
func patternSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return size
}
