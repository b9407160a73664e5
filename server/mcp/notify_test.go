package mcp

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

const listChanged = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`

func TestListChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fixture(nil)
		ready := dial(t, s, Version20251125)
		detached := dial(t, s, Version20251125)
		fresh := &client{t: t, s: s, peer: &wire{}}
		fresh.session = s.NewSession("fresh", fresh.peer)
		for _, c := range []*client{ready, detached, fresh} {
			s.Attach(c.session)
		}
		s.Attach(dialPeerless(t, s))
		s.Detach(detached.session)
		expect := func(step string, n int) {
			t.Helper()
			synctest.Wait()
			got := ready.peer.take()
			if len(got) != n || n > 0 && got[0] != listChanged {
				t.Errorf("%s: %v, want %d", step, got, n)
			}
		}
		time.Sleep(time.Second)
		expect("no change", 0)
		for i := range 100 { // one burst
			AddTool(s, &Tool{Name: fmt.Sprint("t", i)}, echo)
		}
		time.Sleep(announceDelay - 1)
		expect("before the delay", 0)
		time.Sleep(time.Nanosecond)
		expect("after the delay", 1)
		s.RemoveTools("t1", "t2")
		time.Sleep(announceDelay)
		expect("removal", 1)
		s.RemoveTools("t1")
		time.Sleep(time.Second)
		expect("removal of nothing", 0)
		if got := append(detached.peer.take(), fresh.peer.take()...); got != nil {
			t.Errorf("others got %v", got)
		}
	})
}

func dialPeerless(t *testing.T, s *Server) *ServerSession {
	c := dial(t, s, Version20251125)
	ss := s.NewSession("peerless", nil)
	ss.open(c.session.InitializeParams(), newestLegacy)
	ss.ready.Store(true)
	return ss
}

func TestListChangedConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.Capabilities = &ServerCapabilities{Tools: &ToolCapabilities{}, Extensions: map[string]any{"example.com/x": true}}
		s := fixture(o)
		c := dial(t, s, Version20251125)
		s.Attach(c.session)
		s.RemoveTools("echo")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.peer.take(); got != nil {
			t.Errorf("sent %v", got)
		}
		if caps := s.Capabilities(); caps.Tools.ListChanged || caps.Extensions != nil {
			t.Errorf("Capabilities = %+v", caps)
		}
	})
}

func TestListChangedThroughMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fixture(nil)
		c := dial(t, s, Version20251125)
		s.Attach(c.session)
		change := func() []string {
			s.RemoveTools(s.snapshot().tools.sorted[0].tool.Name)
			time.Sleep(time.Second)
			synctest.Wait()
			return c.peer.take()
		}
		var behave func(h MethodHandler, ctx context.Context, method string, req Request) (Result, error)
		s.AddSendingMiddleware(func(h MethodHandler) MethodHandler {
			return func(ctx context.Context, method string, req Request) (Result, error) {
				return behave(h, ctx, method, req)
			}
		})
		behave = func(h MethodHandler, ctx context.Context, method string, req Request) (Result, error) {
			req.GetParams().SetMeta(map[string]any{"example.com/n": 1})
			return h(ctx, method, req)
		}
		want := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"example.com/n":1}}}`
		if got := change(); len(got) != 1 || got[0] != want {
			t.Errorf("sent %v", got)
		}
		behave = func(MethodHandler, context.Context, string, Request) (Result, error) { panic("x") }
		change() // survives
		behave = func(MethodHandler, context.Context, string, Request) (Result, error) { return nil, errors.New("x") }
		if got := change(); got != nil {
			t.Errorf("sent %v", got)
		}
		behave = func(h MethodHandler, ctx context.Context, method string, req Request) (Result, error) {
			req.GetParams().SetMeta(map[string]any{"x": make(chan int)})
			return h(ctx, method, req)
		}
		if got := change(); got != nil {
			t.Errorf("sent %v", got)
		}
	})
}

func TestTransmitMisuse(t *testing.T) {
	s := fixture(nil)
	if _, err := s.transmit(t.Context(), "x", &ServerRequest[*PingParams]{}); err == nil {
		t.Error("a notification without a session is sent")
	}
	req := &ServerRequest[*ProgressNotificationParams]{Session: s.NewSession("", nil), Params: &ProgressNotificationParams{}}
	if _, err := s.transmit(t.Context(), methodProgress, req); !errors.Is(err, errNoCall) {
		t.Errorf("progress without a call: %v", err)
	}
}
