package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSessionSubscriptions(t *testing.T) {
	var calls []string
	o := quiet()
	refuse := false
	o.SubscribeHandler = func(_ context.Context, req *SubscribeRequest) error {
		calls = append(calls, "+"+req.Params.URI)
		if refuse {
			return errors.New("no")
		}
		return nil
	}
	o.UnsubscribeHandler = func(_ context.Context, req *UnsubscribeRequest) error {
		calls = append(calls, "-"+req.Params.URI)
		if refuse {
			return errors.New("no")
		}
		return nil
	}
	s := listenServer(o)
	c, other := dial(t, s, Version20251125), dial(t, s, Version20241105)
	for _, cl := range []*client{c, other} {
		s.Attach(cl.session)
	}
	got := func(cl *client, want int) {
		t.Helper()
		updated(t, s, "x:a")
		if sent := cl.peer.take(); len(sent) != want {
			t.Errorf("sent %v, want %d", sent, want)
		}
	}
	got(c, 0)
	for range 2 { // twice is once
		c.ask("resources/subscribe", `"uri":"x:a"`)
	}
	got(c, 1)
	got(other, 0)
	c.peer.take()
	refuse = true
	if out := other.ask("resources/subscribe", `"uri":"x:a"`); !strings.Contains(out, `"message":"no"`) {
		t.Errorf("refused: %s", out)
	}
	got(other, 0)
	c.peer.take()
	if out := c.ask("resources/unsubscribe", `"uri":"x:a"`); !strings.Contains(out, `"message":"no"`) {
		t.Errorf("refused: %s", out)
	}
	got(c, 1)
	refuse = false
	c.ask("resources/unsubscribe", `"uri":"x:a"`)
	got(c, 0)
	if want := "[+x:a +x:a +x:a -x:a -x:a]"; fmt.Sprint(calls) != want {
		t.Errorf("calls %v, want %s", calls, want)
	}
	c.ask("resources/subscribe", `"uri":"x:a"`)
	c.ask("resources/subscribe", `"uri":"y:1"`)
	s.Detach(c.session)
	got(c, 0)
	c.ask("resources/subscribe", `"uri":"x:a"`) // in flight when the session ended
	got(c, 0)
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
	peerless := &client{t: t, s: s, session: dialPeerless(t, s), notifier: &wire{}}
	peerless.ask("resources/subscribe", `"uri":"x:a"`)
	updated(t, s, "x:a")
}

func TestSessionSubscriptionLimit(t *testing.T) {
	s := listenServer(nil)
	c := dial(t, s, Version20251125)
	for i := range maxWatched {
		if out := c.ask("resources/subscribe", fmt.Sprintf(`"uri":"y:%d"`, i)); !strings.Contains(out, `"result":{}`) {
			t.Fatalf("subscription %d: %s", i, out)
		}
	}
	if out := c.ask("resources/subscribe", `"uri":"x:a"`); !strings.Contains(out, "may subscribe to 1000 resources") {
		t.Errorf("one too many: %s", out)
	}
	for _, uri := range []string{"y:0", "y:1"} {
		if out := c.ask("resources/subscribe", `"uri":"`+uri+`"`); !strings.Contains(out, `"result":{}`) {
			t.Errorf("again: %s", out)
		}
	}
	c.ask("resources/unsubscribe", `"uri":"y:0"`)
	if out := c.ask("resources/subscribe", `"uri":"x:a"`); !strings.Contains(out, `"result":{}`) {
		t.Errorf("after one has gone: %s", out)
	}
	for _, method := range []string{"resources/subscribe", "resources/unsubscribe"} {
		long := `"uri":"y:` + strings.Repeat("x", maxURI) + `"`
		if out := c.ask(method, long); !strings.Contains(out, "at most 8192 bytes") {
			t.Errorf("%s, long: %s", method, out)
		}
	}
	s.Detach(c.session)
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// Sending middleware sees what a session is told, and may change it.
func TestUpdatedThroughMiddleware(t *testing.T) {
	s := listenServer(nil)
	c := dial(t, s, Version20251125)
	c.ask("resources/subscribe", `"uri":"x:a"`)
	own := &ResourceUpdatedNotificationParams{URI: "x:a"}
	behave := func(p *ResourceUpdatedNotificationParams) error { p.Meta = Meta{"example.com/n": 1}; return nil }
	s.AddSendingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			if err := behave(req.GetParams().(*ResourceUpdatedNotificationParams)); err != nil {
				return nil, err
			}
			return h(ctx, method, req)
		}
	})
	if err := s.ResourceUpdated(t.Context(), own); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(c.peer.take()); !strings.Contains(got, `"_meta":{"example.com/n":1}`) || own.Meta != nil {
		t.Errorf("sent %s, params %v", got, own)
	}
	behave = func(*ResourceUpdatedNotificationParams) error { return errors.New("no") }
	updated(t, s, "x:a")
	behave = func(*ResourceUpdatedNotificationParams) error { panic("no") }
	updated(t, s, "x:a")
	if got := c.peer.take(); got != nil {
		t.Errorf("sent %v", got)
	}
}
