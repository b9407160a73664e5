// Package readme reads the curl examples of a README and compares what they print with what the README shows.
// It runs nothing itself and touches no file: text in, examples and differences out. The interop suite calls it.
//
// An example is a fenced block with the info string sh that holds curl commands, one a line (a line that ends in a
// backslash goes on in the next), and the fenced block after it, with the info string json, text or http, that shows
// what they print. In what is shown, "..." stands for what changes from run to run: see [Match].
package readme

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoExamples says that a README has no curl examples at all. A suite that ran none of them would pass for no reason.
var ErrNoExamples = errors.New("README has no curl examples")

// Example is one block of curl commands together with the output that follows it.
type Example struct {
	Line     int      // line of the README where the sh block opens, from 1
	Commands []string // one shell command each, continuation lines joined
	Form     string   // info string of the output block: json, text or http
	Want     string   // content of the output block
}

type block struct {
	line    int
	info    string
	content []string
}

// Parse returns the curl examples of a Markdown text in order. Blocks of sh without curl are not examples. It is an
// error when a block mixes curl with other commands (they would run too, or be left out unseen), when the block after
// an example is not its output, when a fence is left open, and when there is no example ([ErrNoExamples]).
func Parse(markdown string) ([]Example, error) {
	blocks, err := fences(markdown)
	if err != nil {
		return nil, err
	}
	var examples []Example
	for i, b := range blocks {
		if b.info != "sh" {
			continue
		}
		commands, err := curls(b)
		if err != nil {
			return nil, err
		}
		if len(commands) == 0 {
			continue
		}
		if i+1 == len(blocks) || !slices.Contains([]string{"json", "text", "http"}, blocks[i+1].info) {
			return nil, fmt.Errorf("line %d: no block of json, text or http follows these curl commands", b.line)
		}
		out := blocks[i+1]
		examples = append(examples, Example{b.line, commands, out.info, strings.Join(out.content, "\n")})
	}
	if len(examples) == 0 {
		return nil, ErrNoExamples
	}
	return examples, nil
}

func fences(markdown string) ([]block, error) {
	var blocks []block
	var open *block
	var fence, indent string
	for i, line := range strings.Split(markdown, "\n") {
		line = strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			info := strings.TrimLeft(trimmed, "`")
			fence, indent = trimmed[:len(trimmed)-len(info)], line[:len(line)-len(trimmed)]
			open = &block{line: i + 1, info: strings.TrimSpace(info)}
		case open != nil && strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, "` ") == "":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.content = append(open.content, strings.TrimPrefix(line, indent))
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the fence is never closed", open.line)
	}
	return blocks, nil
}

// curls returns the commands of an sh block, or none when it holds no curl at all.
func curls(b block) ([]string, error) {
	var commands []string
	var other string
	for _, line := range logicalLines(b.content) {
		switch {
		case strings.HasPrefix(line, "curl "):
			commands = append(commands, line)
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#"):
			other = line
		}
	}
	if len(commands) > 0 && other != "" {
		return nil, fmt.Errorf("line %d: a block of curl commands holds another one: %q", b.line, other)
	}
	return commands, nil
}

func logicalLines(lines []string) []string {
	var out []string
	var joined strings.Builder
	for _, line := range lines {
		joined.WriteString(line)
		if strings.HasSuffix(line, `\`) {
			joined.WriteByte('\n')
			continue
		}
		out = append(out, joined.String())
		joined.Reset()
	}
	if joined.Len() > 0 {
		out = append(out, joined.String())
	}
	return out
}
