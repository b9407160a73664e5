package server

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
	"millrace/server/limit"
	"millrace/server/transport"
)

// Limits bound what one caller may do, so that the others get their share. The
// zero Limits are the defaults that the comments name.
type Limits struct {
	// Requests is how many JSON-RPC requests each principal may send, and who is
	// anonymous from each address (an IPv6 /64 counts as one; clients of a unix socket
	// have none, and are not counted). Credentials that are not known yet count too, by
	// address: each costs a signature or a question to an issuer. Notifications and
	// responses are not counted. More are answered 429, or -32003 (2026-07-28: -31003) with retryAfterMs. Default: no
	// limit.
	Requests limit.Rate
	// Tools are how many calls of tools all callers together may make; the first that
	// matches counts.
	Tools []ToolLimit
	// Costs are what a request counts for in Requests: by method, or "tool:" and the
	// name of a tool. Default 1. A cost above the burst can never be paid: it is an
	// error at start.
	Costs map[string]int
	// InFlightPerPrincipal is how many calls of one principal that is not anonymous may
	// wait or run at once, beside the bound of each connection. More are answered as
	// overload. Inline calls do not count. Default 512; negative: no limit.
	InFlightPerPrincipal int
	// ConnectionsPerAddress is how many connections one address may have open, not
	// counting loopback and trusted proxies. Default 1,024; negative: no limit.
	ConnectionsPerAddress int
	// SessionsPerPrincipal is how many legacy sessions one principal may have, not
	// counting anonymous ones. Default 1,000; negative: no limit.
	SessionsPerPrincipal int
}

// ToolLimit bounds tools by name.
type ToolLimit struct {
	// Pattern is a name, in which "*" stands for any characters. Each tool that
	// matches has the limit for itself.
	Pattern string
	// Rate is how many calls all callers together may make.
	Rate limit.Rate
	// Concurrent is how many may wait or run at once, those whose callers have given
	// up included; more are answered as overload. Inline tools run one at a time on
	// each loop. 0: no limit.
	Concurrent int
}

const (
	defaultConnectionsPerAddress = 1024
	defaultSessionsPerPrincipal  = 1000
	defaultInFlightPerPrincipal  = 512

	// How many callers and tools a limiter remembers, at 16 bytes each.
	limitedCallers = 64 << 10
	limitedTools   = 4 << 10

	codeRateLimited       = -32003
	codeRateLimitedModern = -31003
)

// orDefault resolves a limit where 0 stands for the default and less for none.
func orDefault(n, def, none int) int {
	switch {
	case n == 0:
		return def
	case n < 0:
		return none
	}
	return n
}

// rates are the limiters of a gate.
type rates struct {
	callers *limit.Limiter
	tools   []toolRate
	costs   map[string]int
}

type toolRate struct {
	pattern string
	calls   *limit.Limiter         // nil: no rate
	running *limit.Counter[string] // nil: any number
}

// newRates says what is wrong with l, or returns nil when nothing is limited.
func newRates(l *Limits, now time.Time) (*rates, error) {
	if err := l.Requests.Check(); err != nil {
		return nil, fmt.Errorf("rate of requests: %w", err)
	}
	r := &rates{callers: limit.New(l.Requests, limitedCallers, now), costs: l.Costs}
	for what, cost := range l.Costs {
		if cost < 1 || r.callers != nil && cost > r.callers.Burst() {
			return nil, fmt.Errorf("cost %d of %s: it must be from 1 to the burst of the rate", cost, what)
		}
	}
	for _, t := range l.Tools {
		if err := errors.Join(t.Rate.Check(), t.check()); err != nil {
			return nil, fmt.Errorf("limit of tool %q: %w", t.Pattern, err)
		}
		tr := toolRate{pattern: t.Pattern, calls: limit.New(t.Rate, limitedTools, now)}
		if t.Concurrent > 0 {
			tr.running = limit.NewCounter[string](t.Concurrent)
		}
		r.tools = append(r.tools, tr)
	}
	if r.callers == nil && len(r.tools) == 0 {
		return nil, nil
	}
	return r, nil
}

func (t *ToolLimit) check() error {
	switch {
	case t.Pattern == "":
		return errors.New("the pattern is empty")
	case t.Concurrent < 0:
		return errors.New("a negative number of calls")
	case t.Concurrent == 0 && t.Rate.Unlimited():
		return errors.New("it limits nothing")
	}
	return nil
}

// caller is whom a request of who on a connection counts for.
func (r *rates) caller(who *auth.Principal, cn *connection) limit.Key {
	if who.IsAnonymous() {
		return cn.host
	}
	return r.callers.Key(who.ID)
}

// host is whom anonymous requests on l count for.
func (r *rates) host(l *transport.Link) limit.Key {
	host, ok := limit.Host(l.Remote)
	if !ok {
		return 0 // a unix socket: who is behind it, a proxy or a user, we cannot tell
	}
	return r.callers.HostKey(host)
}

// admitStranger counts a request whose credential has yet to be judged. It is false
// when the request has been answered: there were too many from its address.
func (in *inbound) admitStranger() bool {
	r := in.gate.rates
	if r == nil || r.callers == nil || in.conn.host == 0 {
		return true
	}
	ok, wait := r.callers.Allow(r.caller(nil, in.conn), 1, time.Now())
	if !ok {
		in.failWith(in.gate.tooMany(wait), nil, rateError(in.headerIsModern(), "requests", wait))
	}
	return ok
}

// admitCall counts a call for its caller. It is false when the call has been
// answered: there were too many. stdio is the user's own process.
func (in *inbound) admitCall(c *call) bool {
	r := in.gate.rates
	if r.callers == nil || in.conn.link.Protocol == transport.Stdio {
		return true
	}
	key := r.caller(in.who, in.conn)
	if key == 0 {
		return true
	}
	ok, wait := r.callers.Allow(key, r.cost(c.mcp.Method, in.gate.toolOf(c)), c.started)
	if !ok {
		in.refuseRate(c, "requests", wait)
	}
	return ok
}

// toolOf is the name of the tool that c calls; "" when it calls none.
func (g *gate) toolOf(c *call) string {
	if c.mcp.Method != methodCallTool {
		return ""
	}
	raw, _ := jsonrpc.UnquoteView(c.mcp.Meta.Name())
	name, _, _ := g.mcp.Effects(raw)
	return name
}

// limitedTool is the tool that c calls, if it counts: what a caller may not use must
// not use up what others may, nor show by its limit that it exists.
func (g *gate) limitedTool(c *call) string {
	if g.rates == nil || len(g.rates.tools) == 0 || g.policy != nil && !c.mcp.Permitted {
		return ""
	}
	return g.toolOf(c)
}

// admitTool counts a call for its tool. It is false when the call has been answered.
func (in *inbound) admitTool(c *call) bool {
	tool := in.gate.limitedTool(c)
	if tool == "" {
		return true
	}
	r := in.gate.rates
	if t := r.tool(tool, func(t *toolRate) bool { return t.calls != nil }); t != nil {
		if ok, wait := t.calls.Allow(t.calls.Key(tool), 1, c.started); !ok {
			in.refuseRate(c, "calls of this tool", wait)
			return false
		}
	}
	return true
}

// tool is the first limit of a tool that has what is asked for; nil when none has.
func (r *rates) tool(name string, has func(*toolRate) bool) *toolRate {
	for i := range r.tools {
		if t := &r.tools[i]; has(t) && auth.Match(t.pattern, name) {
			return t
		}
	}
	return nil
}

// seat is the place of a call among those of its principal and its tool. It is given
// back when the handler has returned, or will never run.
type seat struct {
	principals, tools *limit.Counter[string] // nil: not counted
	tool              string
}

var (
	errPrincipalBusy = errors.New("too many requests of this principal in flight")
	errToolBusy      = errors.New("too many calls of this tool at once")
)

// sit gives c a place, or says why there is none.
func (g *gate) sit(c *call) error {
	if g.principals != nil && !c.who.IsAnonymous() {
		if !g.principals.Enter(c.who.ID) {
			return errPrincipalBusy
		}
		c.seat.principals = g.principals
	}
	name := g.limitedTool(c)
	if name == "" {
		return nil
	}
	if t := g.rates.tool(name, func(t *toolRate) bool { return t.running != nil }); t != nil {
		if !t.running.Enter(name) {
			c.stand()
			return errToolBusy
		}
		c.seat.tools, c.seat.tool = t.running, name
	}
	return nil
}

// stand gives the place of c back, if it has one. Only by whoever ends the work of c.
func (c *call) stand() {
	if s := &c.seat; s.principals != nil {
		s.principals.Leave(c.who.ID)
	}
	if s := &c.seat; s.tools != nil {
		s.tools.Leave(s.tool)
	}
	c.seat = seat{}
}

func (r *rates) cost(method, tool string) int {
	if len(r.costs) == 0 {
		return 1
	}
	if tool != "" {
		if n := r.costs["tool:"+tool]; n > 0 {
			return n
		}
	}
	return max(1, r.costs[method])
}

func (in *inbound) refuseRate(c *call, what string, wait time.Duration) {
	c.reject(in, in.gate.tooMany(wait), rateError(c.modern, what, wait))
}

// tooMany is the answer to a request beyond a rate (RFC 6585, section 4).
func (g *gate) tooMany(wait time.Duration) transport.Response {
	g.counters.limited.Inc()
	return transport.Response{Status: 429, RetryAfter: max(1, int((wait+time.Second-1)/time.Second))}
}

func rateError(modern bool, what string, wait time.Duration) *jsonrpc.Error {
	e := &jsonrpc.Error{
		Code: codeRateLimited, Message: "too many " + what + ": try again later",
		Data: errorData{Type: "rate_limited", RetryAfterMs: max(1, int((wait+time.Millisecond-1)/time.Millisecond))},
	}
	if modern {
		e.Code = codeRateLimitedModern
	}
	return e
}

// ParseToolLimit reads a limit as flags have it: "db_*=10/s:20".
func ParseToolLimit(s string) (ToolLimit, error) {
	pattern, rate, ok := strings.Cut(s, "=")
	if !ok || pattern == "" {
		return ToolLimit{}, fmt.Errorf("tool rate %q: want TOOL=RATE, such as db_*=10/s", s)
	}
	r, err := limit.ParseRate(rate)
	return ToolLimit{Pattern: pattern, Rate: r}, err
}
