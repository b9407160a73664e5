package server

import (
	"bytes"
	"log/slog"
	"runtime"
	"time"

	"millrace/loop"
	"millrace/pool"
	"millrace/server/mcp"
	"millrace/server/metrics"
	"millrace/server/session"
)

// counters are what the gate counts. Any goroutine.
type counters struct {
	requests      metrics.Counter
	notifications metrics.Counter
	errors        metrics.Counter
	sent          metrics.Counter
	overloaded    metrics.Counter
	unauthorized  metrics.Counter
	forbidden     metrics.Counter
	limited       metrics.Counter
	timeouts      metrics.Counter
	canceled      metrics.Counter
	late          metrics.Counter
	latency       metrics.Histogram
}

// outcome is how a call ended.
type outcome uint8

const (
	outcomeOK outcome = iota
	outcomeError
	outcomeTimeout
	outcomeCanceled
)

func (o outcome) String() string {
	return [...]string{"ok", "error", "timeout", "canceled"}[o]
}

// outcomeOf tells an error from a result by the member that follows the id of a
// response: the status does not, an error of a legacy request is a 200 too.
func outcomeOf(response, id []byte) outcome {
	at := len(`{"jsonrpc":"2.0","id":`) + len(id)
	if at < len(response) && bytes.HasPrefix(response[at:], []byte(`,"error":`)) {
		return outcomeError
	}
	return outcomeOK
}

// finished counts a call that has ended, and tells who listens. It comes before
// the answer, so that a client that has it finds itself counted.
func (g *gate) finished(c *call, o outcome) {
	took := time.Since(c.started)
	n := &g.counters
	n.requests.Inc()
	if c.mcp.Method != mcp.MethodListen { // that took as long as its client wanted
		n.latency.Record(took - time.Duration(c.paused.Load()))
	}
	switch o {
	case outcomeOK:
		n.sent.Inc()
	case outcomeError:
		n.sent.Inc()
		n.errors.Inc()
	case outcomeTimeout:
		n.sent.Inc()
		n.timeouts.Inc()
	case outcomeCanceled:
		n.canceled.Inc()
	}
	if g.trace {
		g.log.Debug("request", "conn", c.conn.link.ID, "session", c.sessionTag(), "method", c.mcp.Method,
			"outcome", o.String(), "took", took)
	}
	if g.hooks.wantsRequests() {
		g.hooks.request(RequestEvent{
			Method: c.mcp.Method, Version: c.mcp.Version, Conn: c.conn.link.ID, Remote: c.conn.link.Remote,
			Principal: c.mcp.Principal.ID, Took: took, Outcome: o.String(),
		}, o != outcomeOK)
	}
}

// sessionTag shortens a session's id for logs: the whole of it is a credential.
func (c *call) sessionTag() string {
	if c.session == nil || c.session.reg == nil {
		return ""
	}
	return shortID(c.session.reg.ID())
}

// shortID is the part of a session id that may be logged.
func shortID(id string) string {
	const tail = 8
	if len(id) <= tail {
		return id
	}
	return "…" + id[len(id)-tail:]
}

// ConnectionStats counts connections.
type ConnectionStats struct {
	Active     int64 `json:"active"`
	Total      int64 `json:"total"`
	Peak       int64 `json:"peak"`
	TurnedAway int64 `json:"turnedAway"` // over the limit, or refused

	Handshakes      int64 `json:"handshakes"`      // of TLS, done
	HandshakeErrors int64 `json:"handshakeErrors"` // and failed, or never finished
}

// MessageStats counts messages.
type MessageStats struct {
	Processed     uint64 `json:"processed"`     // requests answered, by whatever outcome
	Notifications uint64 `json:"notifications"` // received from clients
	Errors        uint64 `json:"errors"`        // requests that ended in an error of the protocol
	Sent          uint64 `json:"sent"`          // answers and notifications
	Overloaded    uint64 `json:"overloaded"`    // requests refused for want of room
	Unauthorized  uint64 `json:"unauthorized"`  // requests whose sender could not be identified
	Forbidden     uint64 `json:"forbidden"`     // calls that the policy refused
	Limited       uint64 `json:"limited"`       // requests beyond a rate
	Timeouts      uint64 `json:"timeouts"`      // calls answered at their deadline
	Canceled      uint64 `json:"canceled"`      // calls whose client went away or changed its mind
	Late          uint64 `json:"late"`          // results that came after the end of their call
	Dropped       int64  `json:"dropped"`       // notifications lost to slow readers
	Malformed     int64  `json:"malformed"`     // HTTP requests refused by the parser
}

// LatencyStats describes the time from reading a request to its answer, without
// that in which a handler waited for a person. Subscriptions do not count.
type LatencyStats struct {
	Count uint64        `json:"count"`
	Mean  time.Duration `json:"meanNs"`
	P50   time.Duration `json:"p50Ns"`
	P95   time.Duration `json:"p95Ns"`
	P99   time.Duration `json:"p99Ns"`
	Max   time.Duration `json:"maxNs"`
}

// MemoryStats describes the memory of the process in bytes.
type MemoryStats struct {
	HeapAlloc uint64 `json:"heapAlloc"` // live and not yet collected objects
	Sys       uint64 `json:"sys"`       // obtained from the operating system
	Pinned    int64  `json:"pinned"`    // held for incomplete requests and messages
	GCCycles  uint32 `json:"gcCycles"`
	Limit     int64  `json:"limit"` // 0: none
	Short     bool   `json:"short"` // so near to it that new work is refused
}

// Stats is a snapshot of a running server.
type Stats struct {
	Uptime      time.Duration   `json:"uptimeNs"`
	Connections ConnectionStats `json:"connections"`
	Messages    MessageStats    `json:"messages"`
	Latency     LatencyStats    `json:"latency"`
	Sessions    session.Stats   `json:"sessions"`
	Pool        pool.Stats      `json:"pool"`
	Memory      MemoryStats     `json:"memory"`
	Loops       int             `json:"loops"`
	LoopPanics  int64           `json:"loopPanics"`
	Goroutines  int             `json:"goroutines"`
	GOMAXPROCS  int             `json:"gomaxprocs"`
	HooksLost   uint64          `json:"hooksLost"` // hook calls dropped because hooks are too slow
}

// Stats takes a snapshot; it is the zero Stats when the server does not run.
// Any goroutine. It reads the memory statistics of the runtime, which stops the
// world for some microseconds: not for a hot path.
func (s *Server) Stats() Stats {
	r := s.running.Load()
	if r == nil {
		return Stats{}
	}
	var engine loop.Stats
	if r.engine != nil {
		engine = r.engine.Stats()
	}
	if r.handler != nil {
		open, total := r.handler.Stats()
		engine.Active, engine.Accepted = int64(open), total // requests: their connections are net/http's
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	n := &r.gate.counters
	lat := n.latency.Snapshot()
	return Stats{
		Uptime:      time.Since(r.started),
		Connections: ConnectionStats{engine.Active, engine.Accepted, engine.Peak, engine.TurnedAway, engine.Handshakes, engine.HandshakeErrors},
		Messages: MessageStats{
			Processed: n.requests.Load(), Notifications: n.notifications.Load(), Errors: n.errors.Load(),
			Sent: n.sent.Load(), Overloaded: n.overloaded.Load(), Unauthorized: n.unauthorized.Load(),
			Forbidden: n.forbidden.Load(), Limited: n.limited.Load(), Timeouts: n.timeouts.Load(),
			Canceled: n.canceled.Load(), Late: n.late.Load(), Dropped: engine.Dropped, Malformed: engine.Refused,
		},
		Latency:  LatencyStats{lat.Count, lat.Mean, lat.P50, lat.P95, lat.P99, lat.Max},
		Sessions: r.gate.sessions.Stats(),
		Pool:     r.gate.pool.Stats(),
		Memory:   MemoryStats{mem.HeapAlloc, mem.Sys, engine.PinnedBytes, mem.NumGC, r.memory.limit, r.memory.short.Load()},
		Loops:    engine.Loops, LoopPanics: engine.Panics,
		Goroutines: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		HooksLost: r.gate.hooks.lost.Load(),
	}
}

// logAttrs are what a start-up log line names: where it serves, and its limits.
func (r *runState) logAttrs() []slog.Attr {
	return []slog.Attr{
		slog.Any("addrs", r.engine.Addrs()),
		slog.Int("loops", r.cfg.loops()), slog.Int("gomaxprocs", runtime.GOMAXPROCS(0)),
		slog.Int("max_connections", r.maxConnections()),
	}
}
