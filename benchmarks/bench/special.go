package main

import (
	"maps"
	"runtime"
	"strconv"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/generator"
	"millrace/benchmarks/report"
)

// special are the scenarios that are about more than calls.
func special() []scenario {
	return []scenario{
		{
			name: "open-loop", title: "10,000 calls a second on 10,000 WebSockets", main: report.P99,
			// No SDK under test reaches this rate on one core.
			subjects: []subject{millrace, floorWebSocket}, window: 5 * time.Second, warmup: 2 * time.Second,
			groups: func(s *subject) []*generator.Group {
				return []*generator.Group{{
					Name: "calls", Conns: 10_000, Protocol: generator.WebSocket, Era: client.Modern, Ask: s.echo(size), Rate: 10_000,
				}}
			},
		},
		{
			name: "starve-cpu", title: "ping while a tool that computes for 5 ms has more calls than it can serve", main: report.P99,
			keep: latencyFigures, subjects: []subject{millrace, mcpGo, goSDK}, window: 4 * time.Second, rounds: 3,
			groups: pinged(generator.Burn(5)),
		},
		{
			name: "starve-sleep", title: "ping while a tool that waits for 50 ms has more calls than it can serve", main: report.P99,
			keep: latencyFigures, subjects: []subject{millrace, mcpGo, goSDK}, window: 4 * time.Second, rounds: 3,
			groups: pinged(generator.Sleep(50)),
		},
		{
			name: "slow-readers", title: "echo beside 200 WebSockets that have asked for 64 answers of 100 KiB each and never read", main: report.P99,
			keep: append([]report.Figure{report.RSS}, latencyFigures...), subjects: []subject{millrace, goSDKWebSocket.inFull()},
			// The warm-up is long enough for the server to make all of those answers: it is about connections that are stuck.
			window: 4 * time.Second, warmup: 8 * time.Second, groups: deafened, rounds: 2,
		},
		{
			name: "overload", title: "four times as many calls as a 1 ms tool can serve", main: report.Goodput,
			keep:     []report.Figure{report.Goodput, report.Rate, report.Refused, report.P50, report.P99, report.Max, report.Messages, report.Errors, report.LoadCPU},
			subjects: []subject{millrace}, measure: overload, window: 3 * time.Second,
		},
		{
			name: "progress", title: "event streams: a call over HTTP that reports progress ten times", main: report.CPU,
			subjects: []subject{millrace}, groups: calls(generator.HTTP, client.Modern, conns, 1, same(generator.Report(10))),
		},
		{
			name: "fanout", title: "one change told to 10,000 event streams (subscriptions/listen over HTTP)", main: report.CPU,
			subjects: []subject{millrace}, window: 4 * time.Second, groups: listeners(generator.HTTP),
		},
		{
			name: "fanout-ws", title: "one change told to 10,000 WebSockets (subscriptions/listen)", main: report.CPU,
			subjects: []subject{millrace}, window: 4 * time.Second, groups: listeners(generator.WebSocket), long: true,
		},
		{
			name: "idle", title: "15,000 idle WebSockets with a session each", main: report.PerConn,
			keep:     []report.Figure{report.PerConn, report.Goroutines, report.RSS, report.Errors, report.LoadCPU},
			subjects: []subject{millrace, goSDKWebSocket.inFull()}, measure: idle(15_000), rounds: 2,
		},
		{
			name: "loops", title: "tools/call over HTTP with more event loops; the server shares the cores with the load", main: report.CPU,
			subjects: severalLoops(), allCores: true,
			groups: calls(generator.HTTP, client.Modern, conns, 1, echo(size)),
		},
	}
}

// severalLoops is millrace with one loop, with two, and with one for each core.
func severalLoops() []subject {
	all := []subject{millraceLoops("1 loop", 1), millraceLoops("2 loops", 2)}
	if n := runtime.NumCPU(); n > 2 {
		all = append(all, millraceLoops(strconv.Itoa(n)+" loops", n))
	}
	return all
}

func millraceLoops(name string, n int) subject {
	return subject{name: name, kind: report.Ours, program: millrace.program, args: []string{"--loops", strconv.Itoa(n)}}
}

// pinged keeps a tool busy from 256 connections while 8 others ping 1,000 times a second.
func pinged(busy generator.Ask) func(*subject) []*generator.Group {
	return func(*subject) []*generator.Group {
		return []*generator.Group{
			{Name: "ping", Conns: 8, Era: client.Legacy, Ask: generator.Ping(), Rate: 1000},
			{Name: "busy", Conns: 256, Era: client.Legacy, Ask: busy},
		}
	}
}

// deafened measures 64 callers, a thousand calls a second, beside 200 connections that do not read.
func deafened(s *subject) []*generator.Group {
	return []*generator.Group{
		{Name: "calls", Conns: conns, Protocol: generator.WebSocket, Era: client.Modern, Ask: s.echo(size), Rate: 1000},
		{
			Name: "deaf", Conns: 200, Protocol: generator.WebSocket, Era: client.Modern, Ask: s.echo(100 << 10),
			Behaviour: generator.Deaf, Depth: 64,
		},
	}
}

// listeners has one connection change a resource twice a second, and 10,000 that are told.
func listeners(p generator.Protocol) func(*subject) []*generator.Group {
	return func(*subject) []*generator.Group {
		touch := &generator.Group{Name: "touch", Conns: 1, Protocol: p, Era: client.Modern, Ask: generator.Touch(), Rate: 2}
		return []*generator.Group{
			{
				Name: "listeners", Conns: 10_000, Protocol: p, Era: client.Modern, Ask: generator.Listen(),
				Behaviour: generator.Subscribe, After: touch,
			},
			touch,
		}
	}
}

// idle opens sessions, lets them be for a while, and divides the memory that they took.
func idle(conns int) func(*measurement) error {
	return func(m *measurement) error { return m.idle(conns) }
}

func (m *measurement) idle(conns int) error {
	before, err := m.server.Usage()
	if err != nil {
		return err
	}
	g := m.subject.dress(&generator.Group{Name: "idle", Conns: conns, Protocol: generator.WebSocket, Era: client.Legacy, Behaviour: generator.Idle})
	if err := m.open(g); err != nil {
		return err
	}
	m.load.Start()
	if err := m.wait(m.window + 5*time.Second); err != nil {
		return err
	}
	if m.profile != nil {
		if err := m.profile.take(m, m.window); err != nil {
			return err
		}
	}
	after, err := m.server.Usage()
	if err != nil {
		return err
	}
	stats, err := m.server.stats(m.ctx)
	if err != nil {
		return err
	}
	if err := m.load.Close(m.ctx); err != nil {
		return err
	}
	m.sample[report.PerConn] = float64(after.RSS-before.RSS) / float64(conns)
	m.sample[report.RSS] = float64(after.RSS)
	m.sample[report.Goroutines] = float64(stats.Goroutines)
	m.count(g, m.load.Counts(g))
	return nil
}

// overload asks four times as much of a tool as the server can do, for long enough that every queue is full, and
// divides what it did then by the most it can do, which is measured before and after.
func overload(m *measurement) error {
	calls := func(rate float64, warmup, window time.Duration) (float64, error) {
		g := &generator.Group{
			Name: "calls", Conns: 256, Protocol: generator.WebSocket, Era: client.Modern, Ask: generator.Burn(1), Rate: rate,
		}
		errors := m.sample[report.Errors]
		clear(m.sample)
		m.sample[report.Errors] = errors
		err := m.call(warmup, window, g)
		return m.sample[report.Rate], err
	}
	profile := m.profile // of the overload, not of what comes before and after
	m.profile = nil
	before, err := calls(0, time.Second, m.window)
	if err != nil {
		return err
	}
	// The queue holds 4,096 calls, which at three times too many fill in a second or two.
	m.profile = profile
	good, err := calls(4*before, 4*time.Second, 2*m.window)
	m.profile = nil
	if err != nil {
		return err
	}
	told := maps.Clone(m.sample)
	after, err := calls(0, time.Second, m.window)
	told[report.Errors] = m.sample[report.Errors]
	told[report.Goodput] = 2 * good / (before + after)
	m.sample = told
	return err
}
