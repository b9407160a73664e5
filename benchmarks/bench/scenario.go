package main

import (
	"fmt"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/generator"
	"millrace/benchmarks/report"
)

// scenario is one load for several subjects.
type scenario struct {
	name, title string
	main        report.Figure
	// keep are the figures beside main that mean something here; nil means those of a plain call.
	keep     []report.Figure
	subjects []subject
	// groups makes the load. The first group is the one that is measured.
	groups func(s *subject) []*generator.Group
	// measure replaces the usual measurement.
	measure func(m *measurement) error
	// window replaces the usual time, for loads that are slow; warmup is the least there is.
	window, warmup time.Duration
	// allCores lets the server use the cores of the load too.
	allCores bool
	// rounds is how many there are at most, unless the command line says how many; 0 is no limit.
	rounds int
	// long scenarios are part of the full run only.
	long bool
}

// figures are those that mean something in s, beside the main one.
func (s *scenario) figures() []report.Figure {
	if s.keep == nil {
		return callFigures
	}
	return s.keep
}

const (
	size  = 50 // bytes of text, unless a scenario says otherwise
	conns = 64
)

// callFigures are the figures of a scenario that calls.
var callFigures = []report.Figure{
	report.CPU, report.Rate, report.P50, report.P99, report.P999, report.Max, report.RSS, report.Allocs,
	report.Reads, report.Writes, report.Goroutines, report.Messages, report.Errors, report.LoadCPU,
}

// latencyFigures are those of a scenario whose server does other things beside.
var latencyFigures = []report.Figure{
	report.P50, report.P99, report.P999, report.Max, report.Rate, report.Beside, report.Messages, report.Errors, report.LoadCPU,
}

// calls is a group of callers in closed loop.
func calls(p generator.Protocol, era client.Era, conns, depth int, ask func(s *subject) generator.Ask) func(*subject) []*generator.Group {
	return func(s *subject) []*generator.Group {
		return []*generator.Group{s.dress(&generator.Group{
			Name: "calls", Conns: conns, Protocol: s.protocol(p), Era: era, Depth: depth, Ask: ask(s),
		})}
	}
}

func echo(size int) func(*subject) generator.Ask {
	return func(s *subject) generator.Ask { return s.echo(size) }
}

func same(a generator.Ask) func(*subject) generator.Ask {
	return func(s *subject) generator.Ask { return s.adapt(a) }
}

// scenarios returns all scenarios, in the order they run in.
func scenarios() []scenario {
	http, ws := generator.HTTP, generator.WebSocket
	modern, legacy := client.Modern, client.Legacy
	httpPeers := []subject{millrace, millraceGuard, millraceInline, mcpGo, goSDK, typeScript, netHTTP, floorHTTP}
	wsPeers := []subject{millrace, millraceGuard, millraceInline, goSDKWebSocket, floorWebSocket, floorBytes}
	all := []scenario{
		{name: "http-modern", title: "tools/call over HTTP, 2026-07-28", main: report.CPU, subjects: httpPeers,
			groups: calls(http, modern, conns, 1, echo(size))},
		{name: "http-legacy", title: "tools/call over HTTP, 2025-11-25", main: report.CPU,
			subjects: []subject{millrace, millraceInline, mcpGo, goSDK, goSDKStateful, typeScript, netHTTP, floorHTTP},
			groups:   calls(http, legacy, conns, 1, echo(size))},
		{name: "ws-1", title: "tools/call over WebSocket, one at a time", main: report.CPU, subjects: wsPeers,
			groups: calls(ws, modern, conns, 1, echo(size))},
		{name: "ws-16", title: "tools/call over WebSocket, 16 deep", main: report.CPU, subjects: wsPeers,
			groups: calls(ws, modern, conns, 16, echo(size))},
		{name: "ws-ping", title: "ping over WebSocket, 16 deep", main: report.CPU,
			subjects: []subject{millrace, goSDKWebSocket, floorWebSocket},
			groups:   calls(ws, legacy, conns, 16, same(generator.Ping()))},
		{name: "http-list", title: "tools/list over HTTP, 2026-07-28", main: report.CPU,
			subjects: []subject{millraceFew, mcpGo, goSDK}, groups: calls(http, modern, conns, 1, same(generator.ListTools()))},
		{name: "ws-list", title: "tools/list over WebSocket, 16 deep", main: report.CPU, long: true,
			subjects: []subject{millraceFew, goSDKWebSocket}, groups: calls(ws, modern, conns, 16, same(generator.ListTools()))},
	}
	all = append(all, sizes()...)
	all = append(all, connections()...)
	all = append(all, secured()...)
	return append(all, special()...)
}

// secured are the scenarios on TLS.
func secured() []scenario {
	return []scenario{
		{
			name: "http-tls", title: "tools/call over HTTP on TLS 1.3", main: report.CPU, subjects: []subject{millrace, millraceTLS, netHTTPTLS},
			groups: calls(generator.HTTP, client.Modern, conns, 1, echo(size)),
		},
		{
			name: "ws-16-tls", title: "tools/call over WebSocket on TLS 1.3, 16 deep", main: report.CPU, subjects: []subject{millrace, millraceTLS},
			groups: calls(generator.WebSocket, client.Modern, conns, 16, echo(size)),
		},
		{
			name: "connect-tls", title: "one connection on TLS 1.3, with a full handshake, for each HTTP call", main: report.CPU,
			subjects: []subject{millraceTLS, netHTTPTLS},
			groups: func(s *subject) []*generator.Group {
				return []*generator.Group{s.dress(&generator.Group{Name: "calls", Conns: conns, Era: client.Modern, Ask: s.echo(size), Reconnect: 1})}
			},
		},
		{
			name: "idle-tls", title: "4,000 idle WebSockets on TLS with a session each", main: report.PerConn, long: true,
			keep:     []report.Figure{report.PerConn, report.Goroutines, report.RSS, report.Errors, report.LoadCPU},
			subjects: []subject{millrace, millraceTLS}, measure: idle(4_000), rounds: 2,
		},
	}
}

// sizes are the payload sizes beside the usual one.
func sizes() (all []scenario) {
	for _, p := range []struct {
		name, title string
		size, conns int
		long        bool
	}{
		{"100b", "100 B", 100, conns, true},
		{"4k", "4 KiB", 4 << 10, conns, false},
		{"256k", "256 KiB", 256 << 10, 16, false},
		{"3900k", "3.9 MiB", 39 << 20 / 10, 8, true},
	} {
		all = append(all, scenario{
			name: "size-http-" + p.name, title: "tools/call over HTTP, " + p.title + " of text", main: report.CPU, long: p.long,
			subjects: []subject{millrace, mcpGo, goSDK}, groups: calls(generator.HTTP, client.Modern, p.conns, 1, echo(p.size)),
		}, scenario{
			name: "size-ws-" + p.name, title: "tools/call over WebSocket, " + p.title + " of text", main: report.CPU, long: true,
			subjects: []subject{millrace, goSDKWebSocket, floorWebSocket}, groups: calls(generator.WebSocket, client.Modern, p.conns, 1, echo(p.size)),
		})
	}
	return all
}

// connections are the numbers of connections beside the usual one, and loads of connections themselves.
func connections() (all []scenario) {
	for _, n := range []int{1, 1000, 10_000} {
		http, ws := []subject{millrace, mcpGo, goSDK, floorHTTP}, []subject{millrace, goSDKWebSocket, floorWebSocket}
		if n > 1000 {
			// With 10,000 requests open at all times the SDKs take longer than a round to answer each once, and do not
			// get to their probes.
			http, ws = []subject{millrace, floorHTTP}, []subject{millrace, floorWebSocket}
		}
		all = append(all, scenario{
			name: fmt.Sprintf("conns-http-%d", n), title: fmt.Sprintf("tools/call over HTTP, connections: %d", n), main: report.CPU,
			long: true, subjects: http, groups: calls(generator.HTTP, client.Modern, n, 1, echo(size)),
		}, scenario{
			name: fmt.Sprintf("conns-ws-%d", n), title: fmt.Sprintf("tools/call over WebSocket, connections: %d", n), main: report.CPU,
			long: true, subjects: ws, groups: calls(generator.WebSocket, client.Modern, n, 1, echo(size)),
		})
	}
	return append(all,
		scenario{
			name: "connect-http", title: "one connection for each HTTP call", main: report.CPU,
			subjects: []subject{millrace, mcpGo, goSDK, floorHTTP},
			groups: func(s *subject) []*generator.Group {
				return []*generator.Group{{Name: "calls", Conns: conns, Era: client.Modern, Ask: s.echo(size), Reconnect: 1}}
			},
		},
		scenario{
			name: "connect-ws", title: "one WebSocket for each call", main: report.CPU, long: true,
			subjects: []subject{millrace, goSDKWebSocket, floorWebSocket},
			groups: func(s *subject) []*generator.Group {
				return []*generator.Group{{Name: "calls", Conns: conns, Protocol: generator.WebSocket, Era: client.Modern, Ask: s.echo(size), Reconnect: 1}}
			},
		})
}
