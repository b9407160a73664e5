package mcptest

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// awaitTimeout is how long Await waits.
const awaitTimeout = 10 * time.Second

// Notification is something that the server has sent outside of responses.
type Notification struct {
	Method string
	Params json.RawMessage // nil when there are none
}

// record keeps what a client was told, in order.
type record struct {
	mu      sync.Mutex
	all     []Notification
	taken   []bool        // by Await
	changed chan struct{} // closed at the next one; made when somebody waits
}

func (r *record) add(n Notification) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.taken = append(r.all, n), append(r.taken, false)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// take returns the first notification of a method that has not been taken, or a
// channel that is closed when there is more.
func (r *record) take(method string) (n Notification, ok bool, changed chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		if !r.taken[i] && r.all[i].Method == method {
			r.taken[i] = true
			return r.all[i], true, nil
		}
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return Notification{}, false, r.changed
}

// told takes a notification of the server.
func (c *Client) told(msg []byte) {
	m, err := jsonrpc.Parse(bytes.Clone(msg), &answerLimits)
	if err != nil || m.Kind != jsonrpc.KindNotification {
		c.t.Errorf("mcptest: the server sent what is no notification: %s", msg)
		return
	}
	n := Notification{Method: string(m.Method), Params: json.RawMessage(m.Params)}
	if c.o.OnNotification != nil {
		c.o.OnNotification(n.Method, n.Params)
	}
	c.record.add(n)
}

// Notifications returns what the server has sent outside of responses so far, in
// order: progress, log messages, changes. What belongs to a call is there before
// its result.
func (c *Client) Notifications() []Notification {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	return slices.Clone(c.record.all)
}

// Await waits for a notification, and returns its params, at most ten seconds:
// then the test fails. Each call returns the next one of that method, beginning
// with the first that the client ever got.
func (c *Client) Await(method string) json.RawMessage {
	c.t.Helper()
	timeout := time.NewTimer(awaitTimeout)
	defer timeout.Stop()
	for {
		n, ok, changed := c.record.take(method)
		if ok {
			return n.Params
		}
		select {
		case <-changed:
		case <-timeout.C:
			c.t.Fatalf("mcptest: no %s within %v", method, awaitTimeout)
		case <-c.ctx.Done():
			c.t.Fatalf("mcptest: no %s: %v", method, errClosed)
		}
	}
}

// Progress returns the progress notifications so far. Of values in quick
// succession servers send the first and the last, and one every 20 ms.
func (c *Client) Progress() []*mcp.ProgressNotificationParams {
	return decodeAll[mcp.ProgressNotificationParams](c, "notifications/progress")
}

// Logs returns the log messages so far; see Options.LogLevel.
func (c *Client) Logs() []*mcp.LoggingMessageParams {
	return decodeAll[mcp.LoggingMessageParams](c, "notifications/message")
}

func decodeAll[P any](c *Client, method string) []*P {
	var all []*P
	for _, n := range c.Notifications() {
		if n.Method != method {
			continue
		}
		p := new(P)
		if err := json.Unmarshal(n.Params, p); err != nil {
			c.t.Errorf("mcptest: %s: %v", method, err)
			continue
		}
		all = append(all, p)
	}
	return all
}
