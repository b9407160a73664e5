package main

import (
	"testing"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/generator"
	"millrace/benchmarks/report"
)

// TestGuard pins what a message costs by counts that do not depend on the machine: heap allocations and system calls
// of the server. They are measured on one connection, where it is known which answers share a write.
func TestGuard(t *testing.T) {
	s, _ := newTestSuite(t)
	for _, tt := range []struct {
		name                  string
		subject               *subject
		group                 *generator.Group
		allocs, reads, writes float64 // at most, for each message
	}{
		// The two writes are the answer and the wake-up of the loop by the worker, in which gnet allocates twice. Under
		// load one wake-up serves many answers. Of answers made on the loop every 64th waits for company, which costs a
		// write too and is within the slack.
		{"HTTP", &millrace, &generator.Group{Era: client.Modern, Ask: millrace.echo(size)}, 7 + 2, 1, 2},
		{"HTTP inline", &millraceInline, &generator.Group{Era: client.Modern, Ask: millraceInline.echo(size)}, 6, 1, 1},
		{"HTTP legacy", &millrace, &generator.Group{Era: client.Legacy, Ask: millrace.echo(size)}, 9 + 2, 1, 2},
		{"HTTP list", &millrace, &generator.Group{Era: client.Modern, Ask: generator.ListTools()}, 0, 1, 1},
		{"WebSocket", &millrace, &generator.Group{Protocol: generator.WebSocket, Era: client.Modern, Ask: millrace.echo(size)}, 7 + 2, 1, 2},
		{"ping", &millrace, &generator.Group{Protocol: generator.WebSocket, Era: client.Legacy, Ask: generator.Ping()}, 0, 1, 1},
		{"16 pings", &millrace, &generator.Group{Protocol: generator.WebSocket, Era: client.Legacy, Ask: generator.Ping(), Depth: 16}, 0, 1. / 16, 1. / 16},
		{"16 inline", &millraceInline, &generator.Group{Protocol: generator.WebSocket, Era: client.Modern, Ask: millraceInline.echo(size), Depth: 16}, 6, 1. / 16, 1. / 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.group
			g.Name, g.Conns = "calls", 1
			sc := &scenario{groups: func(*subject) []*generator.Group { return []*generator.Group{g} }}
			m := &measurement{
				ctx: t.Context(), subject: tt.subject, workers: 1, window: 500 * time.Millisecond, warmup: 200 * time.Millisecond,
				sample: report.Sample{}, probes: true,
			}
			if err := s.round(m, sc); err != nil {
				t.Fatal(err)
			}
			t.Logf("%.0f messages: %.3f allocations, %.3f reads, %.3f writes", m.sample[report.Messages],
				m.sample[report.Allocs], m.sample[report.Reads], m.sample[report.Writes])
			if m.sample[report.Errors] > 0 || m.sample[report.Messages] < 200 {
				t.Errorf("%v wrong of %v: %q", m.sample[report.Errors], m.sample[report.Messages], m.trouble)
			}
			// What the server does once in a while counts too: timers, the garbage collector, the probe itself.
			check := func(what string, got, most, slack float64) {
				if got > most+slack {
					t.Errorf("%.3f %s for each message, want at most %.3f", got, what, most)
				}
			}
			check("allocations", m.sample[report.Allocs], tt.allocs, 0.5)
			check("reads", m.sample[report.Reads], tt.reads, 0.05)
			check("writes", m.sample[report.Writes], tt.writes, 0.05)
		})
	}
}
