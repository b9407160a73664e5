package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// baseName is the subject that others are compared with.
const baseName = "millrace"

// Base is the subject that the others of s are compared with: the one called millrace, or else the first of ours; nil
// when there is none.
func (s *Scenario) Base() *Subject {
	if base := s.Find(baseName); base != nil {
		return base
	}
	for i := range s.Subjects {
		if s.Subjects[i].Kind == Ours {
			return &s.Subjects[i]
		}
	}
	return nil
}

// Factor says how many times better the base is than the subject called name, by the medians of f: for CPU, how many
// times what the base needs that subject needs; for a figure of which more is better, the inverse. Above 1 the base
// is better, whatever f is. ok is false when a value is missing or the divisor is zero.
func (s *Scenario) Factor(f Figure, name string) (ratio float64, ok bool) {
	base := s.Base()
	if base == nil {
		return 0, false
	}
	if f.Direction() == Higher {
		return s.Ratio(f, base.Name, name)
	}
	return s.Ratio(f, name, base.Name)
}

// ranked returns the subjects of s, the best by f first, those without f last.
func (s *Scenario) ranked(f Figure) []*Subject {
	order := make([]*Subject, len(s.Subjects))
	for i := range s.Subjects {
		order[i] = &s.Subjects[i]
	}
	slices.SortStableFunc(order, func(a, b *Subject) int {
		x, okX := a.Spread(f)
		y, okY := b.Spread(f)
		switch {
		case !okX || !okY:
			return cmp.Compare(missing(okX), missing(okY))
		case f.Direction() == Higher:
			return cmp.Compare(y.Median, x.Median)
		}
		return cmp.Compare(x.Median, y.Median)
	})
	return order
}

func missing(ok bool) int {
	if ok {
		return 0
	}
	return 1
}

// percent is half the width of sp in percent of its median.
func (sp Spread) percent() (p float64, ok bool) {
	if sp.Median == 0 {
		return 0, false
	}
	return 50 * (sp.Max - sp.Min) / sp.Median, true
}

// wrong counts the errors of all rounds, and the rounds that had some. A median would hide a single bad round.
func (s *Subject) wrong() (answers float64, rounds int) {
	for _, r := range s.Rounds {
		if r[Errors] > 0 {
			answers += r[Errors]
			rounds++
		}
	}
	return answers, rounds
}

// trouble says in one line what was wrong with s in a run of so many rounds; it is empty when nothing was.
func (s *Subject) trouble(rounds int) string {
	var all []string
	if answers, bad := s.wrong(); bad > 0 {
		all = append(all, fmt.Sprintf("wrong or missing answers: %s, in %d of %d rounds",
			Errors.Number(answers), bad, len(s.Rounds)))
	}
	if len(s.Rounds) < rounds {
		all = append(all, fmt.Sprintf("measured in %d of %d rounds", len(s.Rounds), rounds))
	}
	if s.Error != "" {
		all = append(all, strings.Join(strings.Fields(s.Error), " "))
	}
	return strings.Join(all, "; ")
}

// about says what the subject called name is; it is empty for a name unknown here.
func about(name string) string {
	switch name {
	case "millrace":
		return "Millrace; the tool is of the default class and runs on the worker pool"
	case "millrace inline":
		return "Millrace; the tool is of the inline class and runs on the event loop"
	case "1 loop":
		return "Millrace with one event loop"
	case "2 loops":
		return "Millrace with two event loops"
	case "go-sdk":
		return "github.com/modelcontextprotocol/go-sdk, without sessions"
	case "go-sdk stateful":
		return "github.com/modelcontextprotocol/go-sdk, with sessions"
	case "go-sdk websocket":
		return "github.com/modelcontextprotocol/go-sdk behind a WebSocket transport"
	case "mcp-go":
		return "github.com/mark3labs/mcp-go"
	case "typescript":
		return "the TypeScript SDK on Node.js"
	case "net/http":
		return "the HTTP server of Go's standard library: reads the request, knows no MCP"
	case "floor":
		return "gnet alone, knows no MCP: over HTTP it reads a POST and sends a fixed answer, over WebSocket it echoes"
	case "floor bytes":
		return "gnet alone, echoes raw bytes without any protocol"
	}
	return ""
}
