package mcp

import "strings"

// listen opens a subscription with a stream of its own.
func (c *client) listen(filter string) (*Subscription, *wire) {
	c.t.Helper()
	sub, stream, out, status := c.tryListen("1", filter)
	if sub == nil {
		c.t.Fatalf("listen %s: %d %s", filter, status, out)
	}
	return sub, stream
}

func (c *client) tryListen(id, filter string) (*Subscription, *wire, string, int) {
	c.t.Helper()
	call, err := c.parse(strings.Replace(c.message(MethodListen, `"notifications":`+filter), `"id":1`, `"id":`+id, 1))
	if err != nil {
		c.t.Fatal(err)
	}
	stream := &wire{}
	call.Host, call.Notifier = stream, stream
	c.s.Plan(call)
	sub, out, status := c.s.Listen(c.t.Context(), call, nil)
	return sub, stream, string(out), status
}
