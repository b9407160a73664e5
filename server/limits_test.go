package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/limit"
	"millrace/server/mcp"
)

// slow is a rate that nothing comes back from within a test.
func slow(burst int) limit.Rate { return limit.Rate{Events: 1, Per: time.Hour, Burst: burst} }

// TestRequestRate at limit-1, limit and limit+1, on every transport and in both
// eras: each caller has his own.
func TestRequestRate(t *testing.T) {
	s := guarded(t)
	s.Policy, s.Limits.Requests = auth.AllowAll(), slow(5)
	r := serve(t, s)
	ann, bob := "Authorization: Bearer low", "Authorization: Bearer right"
	call := func(field string) reply {
		return r.do("POST", modernCall("1", "echo"), append(modernFields("tools/call", "echo"), field)...)
	}
	// Not known yet, each has cost its address one credential; so has what follows.
	for i := 1; i <= 6; i++ {
		rep := call(ann)
		if limited := rep.status == 429; limited != (i > 5) {
			t.Errorf("request %d: %d %s", i, rep.status, rep.body())
		}
		if i > 5 && (rep.header.Get("Retry-After") != "3600" || !strings.Contains(rep.body(), `"id":1,"error":{"code":-31003`) ||
			!strings.Contains(rep.body(), `"data":{"type":"rate_limited","retryAfterMs":3`)) {
			t.Errorf("request %d: %v %s", i, rep.header, rep.body())
		}
	}
	ws := r.dial(bob)
	handshake(t, ws, mcp.Version20251125) // one request
	for i := 2; i <= 6; i++ {
		ws.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
		got := mustRead(t, ws)
		if limited := strings.Contains(got, `"id":2,"error":{"code":-32003`) && strings.Contains(got, "retryAfterMs"); limited != (i > 5) {
			t.Errorf("request %d of another caller: %s", i, got)
		}
	}
	if n := r.Stats().Messages.Limited; n != 2 {
		t.Errorf("%d requests are counted as limited", n)
	}
}

// A flood of credentials that nobody knows costs no signatures beyond the rate.
func TestCredentialRate(t *testing.T) {
	s := guarded(t)
	s.Limits.Requests = slow(3)
	r := serve(t, s)
	for i := 1; i <= 5; i++ {
		rep := r.do("POST", listMessage, fmt.Sprintf("Authorization: Bearer bad%d", i))
		want := 401
		if i > 3 {
			want = 429
		}
		if rep.status != want {
			t.Errorf("credential %d: %d, want %d", i, rep.status, want)
		}
	}
	if rep := r.do("POST", listMessage, "Authorization: Bearer bad1"); rep.status != 401 {
		t.Errorf("one that is known to be bad: %d", rep.status)
	}
}

// Anonymous callers are counted by address, tools by name.
func TestToolRate(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, Limits: Limits{Tools: []ToolLimit{{Pattern: "ec*", Rate: slow(2)}, {Pattern: "*", Rate: slow(3)}}}})
	call := func(tool string) int {
		return r.do("POST", modernCall("1", tool), modernFields("tools/call", tool)...).status
	}
	for i := 1; i <= 4; i++ {
		for tool, most := range map[string]int{"echo": 2, "now": 3, "compute": 3} {
			if limited := call(tool) == 429; limited != (i > most) {
				t.Errorf("call %d of %s: limited %v", i, tool, limited)
			}
		}
	}
	if rep := r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+modernMeta+`}}`, modernFields("tools/list", "")...); rep.status != 200 {
		t.Errorf("a list: %d", rep.status)
	}
	p := serveStdio(t, &Server{MCP: newTools().mcp, Limits: Limits{Requests: slow(1), Tools: []ToolLimit{{Pattern: "echo", Rate: slow(1)}}}})
	for i, want := range []bool{false, true, true} {
		p.send(modernCall("1", "echo"))
		if got := mustRead(t, p); strings.Contains(got, "-31003") != want {
			t.Errorf("stdio, call %d: %s", i, got)
		}
	}
	p.send(modernCall("1", "now"))
	if got := mustRead(t, p); strings.Contains(got, "-31003") {
		t.Errorf("the user's own process is limited: %s", got)
	}
}

func TestRequestCosts(t *testing.T) {
	r := serve(t, &Server{MCP: newTools().mcp, Limits: Limits{Requests: slow(10), Costs: map[string]int{"tools/call": 3, "tool:now": 7}}})
	call := func(tool string) int {
		return r.do("POST", modernCall("1", tool), modernFields("tools/call", tool)...).status
	}
	if a, b, c := call("now"), call("echo"), call("echo"); a == 429 || b == 429 || c != 429 {
		t.Errorf("7 + 3 + 3 of 10: %d %d %d", a, b, c)
	}
}

func TestLimitsConfig(t *testing.T) {
	for name, l := range map[string]Limits{
		"rate":           {Requests: limit.Rate{Events: -1, Per: time.Second}},
		"cost":           {Requests: slow(5), Costs: map[string]int{"tools/call": 6}},
		"cost of 0":      {Requests: slow(5), Costs: map[string]int{"tools/call": 0}},
		"tool":           {Tools: []ToolLimit{{Rate: slow(1)}}},
		"rate of a tool": {Tools: []ToolLimit{{Pattern: "a", Rate: limit.Rate{Events: 1}}}},
		"calls at once":  {Tools: []ToolLimit{{Pattern: "a", Concurrent: -1}}},
	} {
		s := &Server{MCP: newTools().mcp, Addr: "127.0.0.1:0", Logger: quiet, Limits: l}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := s.Run(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	if l, err := ParseToolLimit("db_*=10/s:20"); err != nil || l.Pattern != "db_*" || l.Rate.Burst != 20 {
		t.Errorf("%+v %v", l, err)
	}
	for _, s := range []string{"", "a", "=1/s", "a=", "a=x"} {
		if l, err := ParseToolLimit(s); err == nil {
			t.Errorf("%q: %+v", s, l)
		}
	}
}

// TestSessionsPerPrincipal at limit and limit+1; anonymous callers share no limit.
func TestSessionsPerPrincipal(t *testing.T) {
	s := guarded(t)
	s.Policy, s.Limits.SessionsPerPrincipal = auth.AllowAll(), 2
	r := serve(t, s)
	for i := 1; i <= 3; i++ {
		if rep := r.do("POST", initializeMessage(mcp.Version20251125), "Authorization: Bearer low"); (rep.status == 503) != (i > 2) {
			t.Errorf("session %d: %d %s", i, rep.status, rep.body())
		}
	}
	r.initialize(mcp.Version20251125, "Authorization: Bearer right")
}

// TestInFlightPerPrincipal at limit-1, limit and limit+1, over two connections.
func TestInFlightPerPrincipal(t *testing.T) {
	s := guarded(t)
	tl := newTools()
	s.MCP, s.Policy, s.Limits.InFlightPerPrincipal = tl.mcp, auth.AllowAll(), 3
	r := serve(t, s)
	a, b, other := r.dial("Authorization: Bearer low"), r.dial("Authorization: Bearer low"), r.dial("Authorization: Bearer right")
	for i, p := range []*wsPeer{a, b, a} {
		p.send(modernCall(fmt.Sprint(i), "hold"))
		<-tl.running
	}
	b.send(modernCall("9", "echo"))
	if got := mustRead(t, b); !strings.Contains(got, `"id":9,"error":{"code":-31000`) || !strings.Contains(got, "of this principal") {
		t.Errorf("the fourth call: %s", got)
	}
	b.send(modernCall("10", "now"))
	if got := mustRead(t, b); strings.Contains(got, "-31000") {
		t.Errorf("an inline call: %s", got)
	}
	other.send(modernCall("1", "echo"))
	if got := mustRead(t, other); strings.Contains(got, "-31000") {
		t.Errorf("another principal: %s", got)
	}
	close(tl.gate)
	for range 2 {
		mustRead(t, a)
	}
	mustRead(t, b)
	for i := range 20 { // each call finds the place of the one before
		a.send(modernCall(fmt.Sprint(100+i), "echo"))
		if got := mustRead(t, a); strings.Contains(got, "-31000") {
			t.Fatalf("call %d after the others: %s", i, got)
		}
	}
	if n := r.running.Load().gate.principals.Keys(); n != 0 {
		t.Errorf("%d principals are counted", n)
	}
}

// TestToolConcurrency at limit-1, limit and limit+1; a call whose client has given
// up goes on counting until its handler returns.
func TestToolConcurrency(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp, Limits: Limits{Tools: []ToolLimit{{Pattern: "echo", Rate: slow(1000)}, {Pattern: "ho*", Concurrent: 2}, {Pattern: "*", Concurrent: 1}}}})
	p := r.dial()
	for i := range 2 {
		p.send(modernCall(fmt.Sprint(i), "hold"))
		<-tl.running
	}
	busy := func(id int) bool {
		p.send(modernCall(fmt.Sprint(id), "hold"))
		got := mustRead(t, p)
		return strings.Contains(got, fmt.Sprintf(`"id":%d,"error":{"code":-31000`, id)) && strings.Contains(got, "calls of this tool at once")
	}
	if !busy(3) {
		t.Error("the third call is let in")
	}
	p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}`)
	if !busy(4) {
		t.Error("a handler that still runs does not count")
	}
	p.send(modernCall("5", "hold_for_ever")) // the limit is each tool's own
	<-tl.running
	close(tl.gate)
	for range 2 {
		mustRead(t, p)
	}
	for i := range 20 {
		p.send(modernCall(fmt.Sprint(100+i), "compute"))
		if got := mustRead(t, p); strings.Contains(got, "-31000") {
			t.Fatalf("call %d of a tool for one at a time: %s", i, got)
		}
	}
	await(t, "nobody sits", func() bool {
		n := 0
		for _, tr := range r.running.Load().gate.rates.tools {
			if tr.running != nil {
				n += tr.running.Keys()
			}
		}
		return n == 0
	})
}
