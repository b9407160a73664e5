package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// Subscription is what a client has subscribed to; it ends with the test at the
// latest. What comes of it is among Client.Notifications, see also Client.Await.
type Subscription struct {
	// Granted is what the server agreed to.
	Granted mcp.NotificationSubscriptions

	client *Client
	open   *mcp.Subscription // subscriptions/listen
	once   sync.Once
}

// Subscribe subscribes to changes, on 2026-07-28 with subscriptions/listen. In a
// session it sends resources/subscribe for each resource; sessions are told of
// changes of the lists anyway, and know no tasks.
func (c *Client) Subscribe(n mcp.NotificationSubscriptions) *Subscription {
	c.t.Helper()
	sub, err := c.TrySubscribe(c.ctx, n)
	if err != nil {
		c.t.Fatalf("mcptest: subscribing: %v", err)
	}
	return sub
}

// TrySubscribe is Subscribe with an error, see TryRequest.
func (c *Client) TrySubscribe(ctx context.Context, n mcp.NotificationSubscriptions) (*Subscription, error) {
	sub := &Subscription{client: c}
	var err error
	if c.modern() {
		err = sub.listen(n)
	} else {
		err = sub.subscribe(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	closed := c.closed
	c.subs[sub] = struct{}{}
	c.mu.Unlock()
	if closed {
		sub.Close()
		return nil, errClosed
	}
	return sub, nil
}

// listen opens a subscriptions/listen.
func (s *Subscription) listen(n mcp.NotificationSubscriptions) error {
	running, err := s.client.newCall(mcp.MethodListen, mcp.MethodListen, &mcp.SubscriptionsListenParams{Notifications: n})
	if err != nil {
		return err
	}
	defer running.cancel()
	ear := &listener{call: running}
	running.mcp.Notifier, running.mcp.Host = ear, ear
	s.client.server.Plan(running.mcp)
	open, out, _ := s.client.server.Listen(running.ctx, running.mcp, nil)
	if open == nil {
		_, err := running.result(out)
		return err
	}
	s.open, s.Granted = open, ear.granted
	return nil
}

// subscribe is for sessions.
func (s *Subscription) subscribe(ctx context.Context, n mcp.NotificationSubscriptions) error {
	caps := s.client.opened.Capabilities
	s.Granted = mcp.NotificationSubscriptions{
		ToolsListChanged:     n.ToolsListChanged && caps.Tools != nil && caps.Tools.ListChanged,
		PromptsListChanged:   n.PromptsListChanged && caps.Prompts != nil && caps.Prompts.ListChanged,
		ResourcesListChanged: n.ResourcesListChanged && caps.Resources != nil && caps.Resources.ListChanged,
	}
	for _, uri := range n.ResourceSubscriptions {
		if _, err := s.client.TryRequest(ctx, "resources/subscribe", &mcp.SubscribeParams{URI: uri}); err != nil {
			s.unsubscribe()
			return err
		}
		s.Granted.ResourceSubscriptions = append(s.Granted.ResourceSubscriptions, uri)
	}
	return nil
}

// unsubscribe takes back what subscribe did.
func (s *Subscription) unsubscribe() {
	for _, uri := range slices.Backward(s.Granted.ResourceSubscriptions) {
		_, err := s.client.TryRequest(s.client.ctx, "resources/unsubscribe", &mcp.UnsubscribeParams{URI: uri})
		if err != nil && !errors.Is(err, errClosed) { // the session ends next
			s.client.t.Errorf("mcptest: unsubscribing from %s: %v", uri, err)
		}
	}
}

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() {
	s.once.Do(func() {
		s.client.mu.Lock()
		delete(s.client.subs, s)
		s.client.mu.Unlock()
		if s.open != nil {
			s.open.Close()
		} else {
			s.unsubscribe()
		}
	})
}

// listener is the mcp.Host of a subscription, which outlives its call.
type listener struct {
	*call
	granted mcp.NotificationSubscriptions // written before Listen returns
}

// Notify implements mcp.Notifier.
func (l *listener) Notify(msg []byte) { l.client.told(msg) }

// Send implements mcp.Host: it is for the acknowledgement.
func (l *listener) Send(msg []byte) bool {
	l.client.told(msg)
	var p mcp.SubscriptionsListenParams
	if err := json.Unmarshal(jsonrpc.Member(msg, "params"), &p); err != nil {
		l.client.t.Errorf("mcptest: the acknowledgement of a subscription: %v", err)
	}
	l.granted = p.Notifications
	return true
}
