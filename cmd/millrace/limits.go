package main

import (
	"fmt"

	"millrace/server"
	"millrace/server/limit"
)

// limitFlags bound what one caller may do.
type limitFlags struct {
	RateLimit                string         `default:"none" placeholder:"RATE" help:"Requests of each caller, by principal or else by address: EVENTS/UNIT[:BURST], such as 100/s:200. Default: ${default}."`
	ToolRate                 []string       `sep:";" placeholder:"TOOL=RATE" help:"Calls of a tool by all callers (repeatable), such as db_*=10/s."`
	RequestCost              map[string]int `placeholder:"WHAT=N" help:"What a request counts for in --rate-limit, by method or tool:NAME (repeatable)."`
	MaxConnectionsPerAddress int            `default:"1024" help:"Most connections of one address, but for loopback and trusted proxies; 0 for no limit."`
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
	// In the library 0 stands for the default, and less for none.
	l.ConnectionsPerAddress, l.SessionsPerPrincipal = orNone(f.MaxConnectionsPerAddress), orNone(f.MaxSessionsPerPrincipal)
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
