package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"millrace/server"
	"millrace/server/limit"
)

// limitFlags bound what one caller may do.
type limitFlags struct {
	RateLimit                string         `default:"none" placeholder:"RATE" help:"Requests of each caller, by principal or else by address: EVENTS/UNIT[:BURST], such as 100/s:200. Default: ${default}."`
	ToolRate                 []string       `sep:";" placeholder:"TOOL=RATE" help:"Calls of a tool by all callers (repeatable), such as db_*=10/s."`
	ToolConcurrency          map[string]int `placeholder:"TOOL=N" help:"Most calls of a tool that wait or run at once (repeatable), such as db_*=5."`
	RequestCost              map[string]int `placeholder:"WHAT=N" help:"What a request counts for in --rate-limit, by method or tool:NAME (repeatable)."`
	MaxConnectionsPerAddress int            `default:"1024" help:"Most connections of one address, but for loopback and trusted proxies; 0 for no limit."`
	MaxInFlightPerPrincipal  int            `default:"512" help:"Most calls of one principal that wait or run at once; 0 for no limit."`
	MaxSessionsPerPrincipal  int            `default:"1000" help:"Most sessions of one principal; 0 for no limit."`
}

// limits reads the flags.
func (f *limitFlags) limits() (l server.Limits, err error) {
	if err := notNegative("max-connections-per-address", f.MaxConnectionsPerAddress); err != nil {
		return l, err
	}
	if err := notNegative("max-sessions-per-principal", f.MaxSessionsPerPrincipal); err != nil {
		return l, err
	}
	if err := notNegative("max-in-flight-per-principal", f.MaxInFlightPerPrincipal); err != nil {
		return l, err
	}
	// In the library 0 stands for the default, and less for none.
	l.ConnectionsPerAddress, l.SessionsPerPrincipal = orNone(f.MaxConnectionsPerAddress), orNone(f.MaxSessionsPerPrincipal)
	l.InFlightPerPrincipal = orNone(f.MaxInFlightPerPrincipal)
	if l.Requests, err = limit.ParseRate(f.RateLimit); err != nil {
		return l, usageError{fmt.Errorf("--rate-limit: %w", err)}
	}
	for _, text := range f.ToolRate {
		t, err := server.ParseToolLimit(text)
		if err != nil {
			return l, usageError{fmt.Errorf("--tool-rate: %w", err)}
		}
		l.Tools = append(l.Tools, t)
	}
	// The first that matches counts, and flags of this kind have no order: the longest
	// pattern says most.
	longest := func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }
	for _, pattern := range slices.SortedFunc(maps.Keys(f.ToolConcurrency), longest) {
		n := f.ToolConcurrency[pattern]
		if n < 1 {
			return l, usageError{fmt.Errorf("--tool-concurrency: %s=%d: want at least 1", pattern, n)}
		}
		l.Tools = append(l.Tools, server.ToolLimit{Pattern: pattern, Concurrent: n})
	}
	if len(f.RequestCost) > 0 && l.Requests.Unlimited() {
		return l, usageError{fmt.Errorf("--request-cost means nothing without --rate-limit")}
	}
	l.Costs = f.RequestCost
	return l, nil
}

func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
