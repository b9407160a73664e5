package main

import (
	"context"

	"millrace/benchmarks/report"
)

// machine tells what the figures depend on. What cannot be found out stays empty.
func machine(ctx context.Context, o *options) report.Machine {
	m := report.ReadMachine(ctx)
	m.ServerCores, m.LoadCores = o.serverCores, o.loadCores
	// This process may be pinned already, then its own count is too small.
	if allowed, err := allowedCores(); err == nil {
		m.Cores = len(allowed)
	}
	return m
}
