package generator

import (
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"millrace/benchmarks/client"
)

// Protocol is what carries the messages.
type Protocol int

// The protocols. Bytes is bare TCP, for a server that sends every byte back.
const (
	HTTP Protocol = iota
	WebSocket
	Bytes
)

// Behaviour is what the connections of a group do once they are open.
type Behaviour int

const (
	// Call asks, at a Rate or as fast as answers come.
	Call Behaviour = iota
	// Idle says nothing, but answers pings.
	Idle
	// Subscribe listens for notifications, each of which counts as a message.
	Subscribe
	// Deaf asks Depth questions and never reads the answers.
	Deaf
)

// Group is connections that do the same.
type Group struct {
	Name      string
	Conns     int
	Protocol  Protocol
	Era       client.Era
	Behaviour Behaviour
	Ask       Ask
	// Depth is how many requests each connection has open, at most: 1 over HTTP. Default 1, with a Rate over WebSocket
	// 64. What is due while a connection has no room waits, and the wait counts as latency.
	Depth int
	// Rate is how many requests all connections together send in a second; 0 means as fast as answers come.
	Rate float64
	// Reconnect closes a connection after so many answers and opens another; 0 keeps it.
	Reconnect int
	// TLS has the connections speak TLS with this configuration; nil for none.
	TLS *tls.Config
	// Fields are header fields beside the usual, each with its line break: of a request, or of the upgrade.
	Fields string
	// After is a group of one connection whose requests each bring one notification to every connection of this one, and
	// whose last request is where their latency counts from. What has not come when the load is closed is an error.
	After *Group

	payload []byte // of a request, without framing
	pattern atomic.Pointer[pattern]
	asked   atomic.Int64 // when the last request was sent

	mu       sync.Mutex
	failures []string // the first few
}

// maxFailures is how many error texts are kept.
const maxFailures = 5

func (g *Group) prepare() error {
	if g.Reconnect > 0 && g.Depth > 1 {
		return fmt.Errorf("group %s: Reconnect would drop the other requests of Depth %d", g.Name, g.Depth)
	}
	if g.Depth == 0 {
		g.Depth = 1
		if g.Rate > 0 && g.Protocol == WebSocket {
			g.Depth = 64
		}
	}
	if g.Behaviour == Idle {
		return nil
	}
	g.payload = g.Ask.body(g.Era)
	if g.Ask.Mirror {
		p, _ := learn(g.payload, firstID, Mark)
		g.pattern.Store(p)
	}
	return nil
}

func (g *Group) failed(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failures) < maxFailures {
		g.failures = append(g.failures, fmt.Sprintf(format, args...))
	}
}

// Failures are the texts of the first few errors.
func (g *Group) Failures() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.failures...)
}

// Counts are what a group has counted since it was opened.
type Counts struct {
	Messages int64 // right answers; for Subscribe, notifications
	Errors   int64 // answers that were wrong, missing, or errors
	Refused  int64 // proper answers that said "overloaded"
	Dialled  int64 // connections opened
	Sent     int64 // requests sent
}

// Sub returns what was counted between o and c.
func (c Counts) Sub(o Counts) Counts {
	return Counts{c.Messages - o.Messages, c.Errors - o.Errors, c.Refused - o.Refused, c.Dialled - o.Dialled, c.Sent - o.Sent}
}

// tally is what one worker counts for one group. The worker alone writes it; anybody reads the counters.
type tally struct {
	messages, errors, refused, dialled, sent atomic.Int64
	open                                     atomic.Int64            // requests that wait for their answer
	latency                                  *hdrhistogram.Histogram // of the worker; others read it after the end
}

// Latencies are kept from a microsecond to a minute with three digits.
func newTally() *tally {
	return &tally{latency: hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)}
}

// record takes a latency; what lies outside of the bounds counts as the bound.
func (t *tally) record(d int64) {
	_ = t.latency.RecordValue(min(max(d, int64(time.Microsecond)), int64(time.Minute)))
}

// String says in words what the group does.
func (g *Group) String() string {
	protocol := [...]string{"HTTP", "WebSocket", "TCP"}[g.Protocol]
	if g.TLS != nil {
		protocol += " on TLS"
	}
	switch g.Behaviour {
	case Idle:
		return fmt.Sprintf("%d idle %s connections", g.Conns, protocol)
	case Subscribe:
		return fmt.Sprintf("%d %s connections that listen", g.Conns, protocol)
	case Deaf:
		return fmt.Sprintf("%d %s connections that ask %d questions and never read", g.Conns, protocol, g.Depth)
	}
	text := fmt.Sprintf("%s: %d %s connections", g.Name, g.Conns, protocol)
	switch {
	case g.Rate > 0:
		text += fmt.Sprintf(", %.0f requests a second in all", g.Rate)
	case g.Reconnect > 0:
		text += fmt.Sprintf(", each for %d requests", g.Reconnect)
	default:
		text += fmt.Sprintf(", %d requests open on each", max(1, g.Depth))
	}
	return text
}
