package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"
)

func TestLevels(t *testing.T) {
	for i, l := range loggingLevels {
		if int(l.rank()) != i+1 {
			t.Errorf("rank of %s is %d", l, l.rank())
		}
	}
	for _, l := range []LoggingLevel{"", "Info", "warn", "trace"} {
		if l.rank() != 0 {
			t.Errorf("%q is a level", l)
		}
	}
	for level, want := range map[slog.Level]LoggingLevel{
		-100: "debug", slog.LevelDebug: "debug", -1: "debug", slog.LevelInfo: "info", 1: "info", 2: "notice", 3: "notice",
		slog.LevelWarn: "warning", 7: "warning", slog.LevelError: "error", 11: "error", 12: "critical", 15: "critical",
		16: "alert", 19: "alert", 20: "emergency", 100: "emergency",
	} {
		if got := levelOf(level); got != want {
			t.Errorf("level %d is %s, want %s", level, got, want)
		}
	}
}

// logger is a server whose tool says everything, once for each level.
func logger(o *ServerOptions) *Server {
	s := empty(o)
	rawTool(s, &Tool{Name: "say"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		for _, l := range loggingLevels {
			if err := req.Session.Log(ctx, &LoggingMessageParams{Level: l, Data: "x"}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return s
}

func levelsOf(t *testing.T, msgs []string) (levels []string) {
	t.Helper()
	for _, msg := range msgs {
		var m struct {
			Method string
			Params struct{ Level string }
		}
		if err := json.Unmarshal([]byte(msg), &m); err != nil || m.Method != methodMessage {
			t.Errorf("%s: %v", msg, err)
		}
		levels = append(levels, m.Params.Level)
	}
	return levels
}

func TestLogLevels(t *testing.T) {
	s := logger(quiet())
	modern, legacy := dial(t, s, Version20260728), dial(t, s, Version20250326)
	for i, least := range append([]LoggingLevel{""}, loggingLevels[:]...) {
		want := fmt.Sprint(loggingLevels[max(i-1, 0):])
		meta := `,"_meta":{"` + MetaKeyLogLevel + `":"` + string(least) + `"}`
		if least == "" {
			want, meta = "[]", ""
		} else if out := legacy.ask("logging/setLevel", `"level":"`+string(least)+`"`); !strings.Contains(out, `"result":{}`) {
			t.Errorf("setLevel: %s", out)
		}
		modern.ask("tools/call", `"name":"say"`+meta)
		if got := fmt.Sprint(levelsOf(t, modern.notifier.take())); got != want {
			t.Errorf("2026-07-28, from %q on: %s", least, got)
		}
		// The level of a request is nothing to older revisions.
		legacy.ask("tools/call", `"name":"say","_meta":{"`+MetaKeyLogLevel+`":"debug"}`)
		if got := fmt.Sprint(levelsOf(t, legacy.notifier.take())); got != want {
			t.Errorf("2025-03-26, from %q on: %s", least, got)
		}
	}
	if out, status := modern.raw(modern.message("tools/call", `"name":"say","_meta":{"`+MetaKeyLogLevel+`":"loud"}`)); status != 400 || !strings.Contains(out, "-32602") {
		t.Errorf("an invalid level: %d %s", status, out)
	}
	if other := dial(t, s, Version20250326); other.session.logLevel() != 0 {
		t.Error("the level of one session is that of another")
	}
}

// A server that has not declared logging does not log to clients.
func TestLogUndeclared(t *testing.T) {
	o := quiet()
	o.Capabilities = &ServerCapabilities{}
	s := logger(o)
	for _, version := range []string{Version20260728, Version20251125} {
		c := dial(t, s, version)
		c.ask("logging/setLevel", `"level":"debug"`)
		c.ask("tools/call", `"name":"say","_meta":{"`+MetaKeyLogLevel+`":"debug"}`)
		if got := c.notifier.take(); got != nil {
			t.Errorf("%s: sent %v", version, got)
		}
	}
}

func TestLogErrors(t *testing.T) {
	s := logger(quiet())
	c := dial(t, s, Version20251125)
	c.ask("logging/setLevel", `"level":"debug"`)
	ss := c.session
	if err := ss.Log(t.Context(), &LoggingMessageParams{Level: "loud"}); err == nil {
		t.Error("an invalid level is sent")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ss.Log(ctx, &LoggingMessageParams{Level: "info"}); err == nil {
		t.Error("sent after the end")
	}
	for _, p := range []*LoggingMessageParams{{Level: "info", Data: make(chan int)}, {Level: "info", Meta: Meta{"x": make(chan int)}}, {Level: "info", Data: rawJSON("{")}} {
		if err := ss.Log(t.Context(), p); err == nil {
			t.Errorf("%v is encoded", p)
		}
	}
	if got := c.peer.take(); got != nil {
		t.Errorf("sent %v", got)
	}
	if err := ss.Log(t.Context(), &LoggingMessageParams{Level: "info"}); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(c.peer.take()); got != `[{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":null}}]` {
		t.Errorf("outside of a call: %s", got)
	}
	if err := dialPeerless(t, s).Log(t.Context(), &LoggingMessageParams{Level: "info"}); err != nil {
		t.Errorf("without a peer: %v", err)
	}
}

// What a handler has kept of its session logs on the session's own stream when
// the call is over.
func TestLogAfterTheCall(t *testing.T) {
	s := empty(quiet())
	var kept *ServerSession
	rawTool(s, &Tool{Name: "keep"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		kept = req.Session
		return nil, kept.Log(t.Context(), &LoggingMessageParams{Level: "info", Data: "within"})
	})
	c := dial(t, s, Version20251125)
	c.ask("logging/setLevel", `"level":"debug"`)
	c.ask("tools/call", `"name":"keep"`)
	if err := kept.Log(t.Context(), &LoggingMessageParams{Level: "info", Data: "after"}); err != nil {
		t.Error(err)
	}
	within, after := c.notifier.take(), c.peer.take()
	if len(within) != 1 || len(after) != 1 || !strings.Contains(after[0], "after") {
		t.Errorf("within %v, after %v", within, after)
	}
}

func TestLoggingHandler(t *testing.T) {
	s := empty(quiet())
	c := dial(t, s, Version20251125)
	h := NewLoggingHandler(c.session, &LoggingHandlerOptions{LoggerName: "db"})
	if h.Enabled(t.Context(), slog.LevelError) {
		t.Error("enabled before the client has asked")
	}
	c.ask("logging/setLevel", `"level":"notice"`)
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelInfo + 2: true, slog.LevelError: true} {
		if h.Enabled(t.Context(), level) != want {
			t.Errorf("%v enabled: %v", level, !want)
		}
	}
	l := slog.New(h).With("a", 1).WithGroup("g").With("b", 2)
	l.Info("no")
	l.Warn("yes", "c", 3, slog.Group("d", "level", 4))
	slog.New(h).Error("bad", "level", "mine")
	sent := c.peer.take()
	if len(sent) != 2 {
		t.Fatalf("sent %v", sent)
	}
	for i, want := range []struct{ level, data string }{
		{"warning", `{"a":1,"g":{"b":2,"c":3,"d":{"level":4}},"msg":"yes"}`},
		{"error", `{"level":"mine","msg":"bad"}`},
	} {
		var m struct {
			Params struct {
				Level, Logger string
				Data          map[string]any
			}
		}
		if err := json.Unmarshal([]byte(sent[i]), &m); err != nil {
			t.Fatal(err)
		}
		delete(m.Params.Data, "time")
		if data, _ := json.Marshal(m.Params.Data); string(data) != want.data || m.Params.Level != want.level || m.Params.Logger != "db" {
			t.Errorf("sent %s, want %+v", sent[i], want)
		}
	}
}

// The standard library's own tests for handlers.
func TestLoggingHandlerConforms(t *testing.T) {
	var c *client
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		c = dial(t, empty(quiet()), Version20251125)
		c.ask("logging/setLevel", `"level":"debug"`)
		return NewLoggingHandler(c.session, nil)
	}, func(t *testing.T) map[string]any {
		var m struct {
			Params struct {
				Level string
				Data  map[string]any
			}
		}
		if err := json.Unmarshal([]byte(c.peer.take()[0]), &m); err != nil {
			t.Fatal(err)
		}
		m.Params.Data[slog.LevelKey] = m.Params.Level
		return m.Params.Data
	})
}

func TestLoggingHandlerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, empty(quiet()), Version20251125)
		c.ask("logging/setLevel", `"level":"debug"`)
		h := NewLoggingHandler(c.session, &LoggingHandlerOptions{MinInterval: time.Second})
		l, derived := slog.New(h), slog.New(h).With("a", 1).WithGroup("g")
		for i := range 25 { // one each 100 ms, by turns
			[]*slog.Logger{l, derived}[i%2].Info("x")
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(c.peer.take()); n != 3 {
			t.Errorf("%d messages in 2.5 s", n)
		}
	})
}
