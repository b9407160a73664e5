package mcp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// step is one NotifyProgress after a wait.
type step struct {
	after    time.Duration
	progress float64
}

func TestProgressThrottle(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		name  string
		steps []step
		want  string // values as sent
	}{
		{"none", nil, "[]"},
		{"one", []step{{0, 1}}, "[1]"},
		{"last is flushed", []step{{0, 1}, {ms, 2}, {ms, 3}}, "[1 3]"},
		{"just under the interval", []step{{0, 1}, {20*ms - 1, 2}, {0, 2.5}}, "[1 2.5]"},
		{"at the interval", []step{{0, 1}, {20 * ms, 2}, {20 * ms, 3}}, "[1 2 3]"},
		{"suppressed then due", []step{{0, 1}, {5 * ms, 2}, {16 * ms, 3}, {ms, 4}}, "[1 2 4]"},
		{"suppressed, then silence", []step{{0, 1}, {ms, 2}, {ms, 3}, {time.Second, 4}}, "[1 3 4]"},
		{"does not increase", []step{{0, 1}, {30 * ms, 1}, {30 * ms, 0.5}, {30 * ms, 2}}, "[1 2]"},
		{"from zero", []step{{0, 0}, {30 * ms, 0}, {30 * ms, 1e-9}}, "[0 1e-09]"},
		{"negative", []step{{0, -2}, {30 * ms, -1}}, "[-2 -1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testProgress(t, tt.steps, tt.want) })
		})
	}
}

func testProgress(t *testing.T, steps []step, want string) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	AddTool(s, &Tool{Name: "work"}, func(ctx context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		for _, st := range steps {
			time.Sleep(st.after)
			if err := req.Session.NotifyProgress(ctx, &ProgressNotificationParams{Progress: st.progress}); err != nil {
				t.Error(err)
			}
		}
		return nil, nil, nil
	})
	for _, version := range []string{Version20251125, Version20260728} {
		c := dial(t, s, version)
		c.ask("tools/call", `"name":"work","_meta":{"progressToken":"tok"}`)
		var got []string
		for _, m := range c.notifier.take() {
			_, v, _ := strings.Cut(m, `"progressToken":"tok","progress":`)
			got = append(got, strings.TrimRight(v, "}"))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: sent %v, want %v", version, got, want)
		}
	}
}

func TestProgressForm(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	var session *ServerSession
	p := &ProgressNotificationParams{ProgressToken: "ignored", Progress: 1, Total: 1e21, Message: "half\nway", Meta: Meta{"example.com/a": 1}}
	AddTool(s, &Tool{Name: "work"}, func(ctx context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		session = req.Session
		return nil, nil, session.NotifyProgress(ctx, p)
	})
	c := dial(t, s, Version20250326)
	c.ask("tools/call", `"name":"work","_meta":{"progressToken":7}`)
	want := `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1,"total":1e+21,"message":"half\nway","_meta":{"example.com/a":1}}}`
	if got := c.notifier.take(); !slices.Equal(got, []string{want}) {
		t.Errorf("sent %v", got)
	}
	old := dial(t, s, Version20241105)
	old.ask("tools/call", `"name":"work","_meta":{"progressToken":7}`)
	if got := old.notifier.take(); len(got) != 1 || strings.Contains(got[0], "message") {
		t.Errorf("2024-11-05 is sent %v", got)
	}

	p.Progress = 2 // after the end of the call
	if err := session.NotifyProgress(t.Context(), p); err != nil || old.notifier.take() != nil {
		t.Errorf("progress after the end: %v", err)
	}
	// No token, or no way back: nothing is sent.
	c.ask("tools/call", `"name":"work"`)
	c.ask("tools/call", `"name":"work","_meta":{"progressToken":1.5}`)
	if got := c.notifier.take(); got != nil {
		t.Errorf("without a token %v is sent", got)
	}
	c.notifier = nil
	if got := c.ask("tools/call", `"name":"work","_meta":{"progressToken":7}`); strings.Contains(got, "isError") {
		t.Errorf("without a notifier: %s", got)
	}
}

func TestProgressErrors(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	var errs []error
	AddTool(s, &Tool{Name: "work"}, func(ctx context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		notify := func(ctx context.Context, p *ProgressNotificationParams) {
			errs = append(errs, req.Session.NotifyProgress(ctx, p))
		}
		notify(ctx, &ProgressNotificationParams{Progress: math.NaN()})
		notify(ctx, &ProgressNotificationParams{Total: math.Inf(1)})
		notify(ctx, &ProgressNotificationParams{Meta: Meta{"x": make(chan int)}})
		ended, cancel := context.WithCancel(ctx)
		cancel()
		notify(ended, &ProgressNotificationParams{Progress: 5})
		return nil, nil, nil
	})
	c := dial(t, s, Version20260728)
	c.ask("tools/call", `"name":"work","_meta":{"progressToken":7}`)
	if len(errs) != 4 || !errors.Is(errs[0], errProgress) || !errors.Is(errs[1], errProgress) || errs[2] == nil || !errors.Is(errs[3], context.Canceled) {
		t.Errorf("errors %v", errs)
	}
	if got := c.notifier.take(); got != nil {
		t.Errorf("sent %v", got)
	}
	if err := s.NewSession("", nil).NotifyProgress(t.Context(), &ProgressNotificationParams{}); !errors.Is(err, errNoCall) {
		t.Errorf("outside of a call: %v", err)
	}
}

func TestProgressEndsWithPanic(t *testing.T) {
	s := NewServer(&Implementation{Name: "x"}, quiet())
	var session *ServerSession
	AddTool(s, &Tool{Name: "work"}, func(ctx context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		session = req.Session
		panic("x")
	})
	c := dial(t, s, Version20260728)
	c.ask("tools/call", `"name":"work","_meta":{"progressToken":7}`)
	if err := session.NotifyProgress(t.Context(), &ProgressNotificationParams{Progress: 1}); err != nil || c.notifier.take() != nil {
		t.Errorf("progress after a panic: %v", err)
	}
}
