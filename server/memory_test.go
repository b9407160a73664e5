package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/server/mcp"
)

func TestMemoryJudgement(t *testing.T) {
	const limit = 1000 * 100
	m := &memory{limit: limit}
	for _, tt := range []struct {
		u    usage
		was  bool
		want bool
	}{
		{usage{live: 84_999}, false, false}, {usage{live: 85_000}, false, true}, {usage{live: 80_000, other: 5_001}, false, true},
		{usage{live: 74_999}, true, false}, {usage{live: 75_000}, true, true}, {usage{live: 75_001}, true, true},
		{usage{live: 10_000, total: 104_999}, false, false}, {usage{live: 10_000, total: 105_000}, false, false}, {usage{live: 10_000, total: 105_001}, false, true},
	} {
		if got := m.shortWith(tt.u, tt.was); got != tt.want {
			t.Errorf("%+v, was %v: short %v", tt.u, tt.was, got)
		}
	}
	now := time.Now()
	m.cycle, m.total, m.at = 7, 80_000, now
	for _, tt := range []struct {
		u    usage
		was  bool
		late time.Duration
		want bool
	}{
		{usage{cycle: 7, total: 84_999}, false, 0, false}, {usage{cycle: 7, total: 85_000}, false, 0, true}, {usage{cycle: 8, total: 99_000}, false, 0, false},
		{usage{cycle: 7}, true, time.Second - 1, false}, {usage{cycle: 7}, true, time.Second, true}, {usage{cycle: 8}, true, time.Second, false},
	} {
		if got := m.stale(tt.u, tt.was, now.Add(tt.late)); got != tt.want {
			t.Errorf("%+v, was %v, %v later: stale %v", tt.u, tt.was, tt.late, got)
		}
	}
	if none := (&memory{}); none.share(8) != 8 {
		t.Error("without a limit there is a share")
	}
	if got := m.share(limit); got != limit/4 {
		t.Errorf("share %d", got)
	}
}

func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	debug.SetMemoryLimit(5 << 30)
	for asked, want := range map[int64]int64{-1: 0, 0: 5 << 30, 3 << 30: 3 << 30} {
		m := newMemory(asked, quiet)
		undo := m.begin()
		if m.limit != want {
			t.Errorf("asked for %d: limit %d, want %d", asked, m.limit, want)
		}
		if told := debug.SetMemoryLimit(-1); asked > 0 && told != asked {
			t.Errorf("the runtime is told %d, want %d", told, asked)
		}
		if undo(); debug.SetMemoryLimit(-1) != 5<<30 {
			t.Errorf("asked for %d: the limit of the program is not restored", asked)
		}
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if m := newMemory(0, quiet); m.limit < 0 || m.limit > 0 && !m.tell {
		t.Errorf("%+v", m.limit)
	}
}

// TestShortOfMemory: what has begun and what frees memory goes on, new work does not.
func TestShortOfMemory(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp, MemoryLimit: -1})
	g := r.running.Load().gate
	ws := r.dial()
	handshake(t, ws, mcp.Version20251125)
	id := r.initialize(mcp.Version20251125)
	g.memory.short.Store(true)
	ask := func(method, name, params string) reply {
		return r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+join(params, modernMeta)+`}}`, modernFields(method, name)...)
	}
	refused := func(what, got string) {
		t.Helper()
		if !strings.Contains(got, "short of memory") {
			t.Errorf("%s: %s", what, got)
		}
	}
	for _, name := range []string{"echo", "now"} {
		rep := ask("tools/call", name, `"name":"`+name+`","arguments":{"text":"x"}`)
		refused(name, rep.body())
		if rep.status != 503 || rep.header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, Retry-After %q", name, rep.status, rep.header.Get("Retry-After"))
		}
	}
	refused("a subscription", ask("subscriptions/listen", "", `"notifications":{"toolsListChanged":true}`).body())
	refused("a session", r.do("POST", initializeMessage(mcp.Version20251125)).body())
	ws.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`)
	refused("a call over WebSocket", mustRead(t, ws))
	if _, res, err := r.upgrade(); err == nil || res == nil || res.StatusCode != 503 {
		t.Errorf("a new connection: %v %v", res, err)
	}
	ws.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, ws, `{"jsonrpc":"2.0","id":2,"result":{}}`)
	if rep := ask("tools/list", "", ""); rep.status != 200 {
		t.Errorf("a list: %d", rep.status)
	}
	if rep := r.do("DELETE", "", "Mcp-Session-Id: "+id); rep.status/100 != 2 {
		t.Errorf("the end of a session: %d", rep.status)
	}
	if !r.Stats().Memory.Short {
		t.Error("the statistics do not tell")
	}
	g.memory.short.Store(false)
	if rep := ask("tools/call", "echo", `"name":"echo","arguments":{"text":"back"}`); !strings.Contains(rep.body(), "back") {
		t.Errorf("with memory again: %s", rep.body())
	}
}

// pressedEnv has the test binary be a server that is short of memory.
const pressedEnv = "MILLRACE_TEST_PRESSED"

// TestMemoryPressure lets calls hold more memory than there is, in a process of its
// own: it must refuse some, stay near its limit, and serve again afterwards.
func TestMemoryPressure(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), pressedEnv+"=1", "GOMEMLIMIT=", "GOGC=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// pressed is that process.
func pressed() error {
	const limit, held = 256 << 20, 4 << 20
	release := make(chan struct{})
	s := mcp.NewServer(&mcp.Implementation{Name: "pressed", Version: "1"}, nil)
	s.AddTool(&mcp.Tool{Name: "hold", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		b := make([]byte, held)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		<-release
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: strconv.Itoa(int(b[0]))}}}, nil
	})
	started := make(chan struct{})
	srv := &Server{MCP: s, Addr: "127.0.0.1:0", MemoryLimit: limit, Logger: quiet, Hooks: Hooks{Started: func(Info) { close(started) }}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	<-started
	call := newHolder(srv.Endpoints()[0])
	results := make(chan int, 1000)
	asked, refused, peak := 0, 0, int64(0)
	for asked < 500 && refused == 0 { // 2 GiB in all
		asked++
		go func() { results <- call() }()
		time.Sleep(5 * time.Millisecond) // a rate that looking every 50 ms can keep up with
		peak = max(peak, readUsage().total)
		for len(results) > 0 {
			if <-results == 503 {
				refused++
			}
		}
	}
	close(release)
	served := 0
	for range asked - refused {
		switch <-results {
		case 200:
			served++
		case 503:
			refused++
		}
	}
	for end := time.Now().Add(10 * time.Second); srv.Stats().Memory.Short && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	after := call()
	fmt.Printf("limit %d MiB: %d calls of 4 MiB, %d served, %d refused, %d MiB in use at most; afterwards %d\n",
		limit>>20, asked, served, refused, peak>>20, after)
	stop()
	err := <-ended
	switch {
	case refused == 0:
		return fmt.Errorf("%d calls were let in", asked)
	case served+refused != asked || served < 30:
		return fmt.Errorf("%d served, %d refused of %d", served, refused, asked)
	case peak > limit*5/4:
		return fmt.Errorf("%d MiB were in use", peak>>20)
	case after != 200:
		return fmt.Errorf("afterwards a call is answered %d", after)
	}
	return err
}
