package generator

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"millrace/benchmarks/client"
)

type state int

const (
	dialling state = iota
	upgrading
	initializing
	initialized // the notification is sent, and over HTTP not yet accepted
	open
	dead
)

// slot is room for one open request of a connection. Its index is id modulo the number of slots.
type slot struct {
	id int64 // 0 when free
	at int64 // when it was meant to be sent
}

// conn is one connection of a group. It belongs to its worker.
type conn struct {
	w     *worker
	group *Group
	tally *tally
	mark  [markDigits]byte
	n     int
	fd    int
	state state
	deaf  bool // does not read any more

	request template
	session string
	in      []byte // read and not yet understood
	res     response
	out     []byte // what is to be written
	written int    // of out, or of sealed, what the kernel has taken
	secure  *secure
	sealed  []byte // out on TLS
	writing bool   // waits for the socket to be writable
	last    bool   // the server closes behind the answer that is being read

	slots    []slot
	free     []int // indices of slots
	next     int64 // number of the next request
	due      []int64
	steps    int // the last progress of the open call
	answered int // since the connection was opened
	answer   client.Answer
}

func (c *conn) fail(format string, args ...any) {
	c.group.failed("connection %d: "+format, append([]any{c.n}, args...)...)
	c.tally.errors.Add(int64(max(1, c.inFlight())))
	c.w.lost(c)
}

// inFlight is how many requests wait for their answer.
func (c *conn) inFlight() int { return len(c.slots) - len(c.free) }

// opened is called when TCP is connected.
func (c *conn) opened() {
	c.tally.dialled.Add(1)
	if c.group.TLS != nil {
		var err error
		if c.secure, err = shake(c.fd, c.group.TLS); err != nil {
			c.fail("handshake: %v", err)
			return
		}
	}
	switch c.group.Protocol {
	case WebSocket:
		c.state = upgrading
		c.out = append(c.out, "GET "+c.w.load.Path+" HTTP/1.1\r\nHost: "+c.w.load.Addr+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: "+upgradeKey+"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mcp\r\n"+c.group.Fields+"\r\n"...)
	case HTTP:
		c.begin()
	case Bytes:
		c.ready()
	}
}

// begin opens the session of the older revisions.
func (c *conn) begin() {
	if c.group.Era == client.Modern || c.group.Ask.Fixed || c.group.Ask.Mirror {
		c.ready()
		return
	}
	c.state = initializing
	c.say("initialize", client.AppendInitialize(nil, 0))
}

// begun is called with the answer to initialize.
func (c *conn) begun() {
	c.state = initialized
	c.say("notifications/initialized", client.AppendInitialized(nil))
	if c.group.Protocol == WebSocket {
		c.ready()
	}
}

// say sends a message that is none of the group's requests.
func (c *conn) say(method string, body []byte) {
	if c.group.Protocol == WebSocket {
		c.out = client.AppendFrame(c.out, client.OpText, maskKey, body)
		return
	}
	r := c.head(method, "")
	c.out = r.Append(c.out, body)
}

func (c *conn) head(method, name string) client.Request {
	r := client.Request{Verb: "POST", Path: c.w.load.Path, Host: c.w.load.Addr, Version: c.group.Era.String(), Session: c.session, Fields: c.group.Fields}
	if c.group.Era == client.Modern {
		r.RPC, r.Name = method, name
	}
	return r
}

// ready makes the connection's own request and tells the worker that it can begin.
func (c *conn) ready() {
	c.state = open
	if c.group.Behaviour != Idle {
		c.makeRequest()
	}
	c.w.ready(c)
}

func (c *conn) makeRequest() {
	body := c.group.payload
	if at := offsets(body, 0, Mark); len(at) > 0 {
		body = append([]byte(nil), body...)
		for _, i := range at {
			copy(body[i:], c.mark[:])
		}
	}
	switch c.group.Protocol {
	case WebSocket:
		c.request = frameTemplate(body)
	case HTTP:
		r := c.head(c.group.Ask.Method, c.group.Ask.Name)
		c.request = httpTemplate(&r, body)
	case Bytes:
		c.request = template{b: body, ids: offsets(body, 0, firstIDText)}
	}
}

// ask sends one request that was meant to go out at the given time. There must be room.
func (c *conn) ask(at int64) {
	i := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	n := int64(len(c.slots))
	id := firstID + c.next*n + int64(i)
	c.next++
	c.slots[i] = slot{id: id, at: at}
	c.out = c.request.append(c.out, id)
	c.steps = 0
	c.tally.sent.Add(1)
	c.tally.open.Add(1)
	if c.group.Conns == 1 {
		c.group.asked.Store(c.w.now)
	}
}

// fill asks as much as there is room for.
func (c *conn) fill() {
	for len(c.free) > 0 && c.w.calling() {
		c.ask(c.w.now)
	}
}

// isDue sends a request that is due at the given time, or lets it wait for room.
func (c *conn) isDue(at int64) {
	if len(c.free) == 0 || c.state != open {
		c.due = append(c.due, at)
		return
	}
	c.ask(at)
}

// cutOff records how long everything that waits has waited by now. It ends the recording: without it the slowest
// server, which answers little within the window, would look best.
func (c *conn) cutOff() {
	for _, s := range c.slots {
		if s.id != 0 {
			c.tally.record(c.w.now - s.at)
		}
	}
	for _, at := range c.due {
		c.tally.record(c.w.now - at)
	}
}

// settled frees the slot of a request and goes on. right tells that its latency counts.
func (c *conn) settled(id int64, right bool) {
	i := int(id % int64(len(c.slots)))
	s := &c.slots[i]
	if right {
		c.tally.messages.Add(1)
		if c.w.load.recording.Load() {
			c.tally.record(c.w.now - s.at)
		}
	}
	*s = slot{}
	c.free = append(c.free, i)
	c.tally.open.Add(-1)
	c.answered++
	switch {
	case c.last, c.group.Reconnect > 0 && c.answered == c.group.Reconnect:
		c.w.renew(c)
	case len(c.due) > 0 && c.w.calling():
		at := c.due[0]
		c.due = c.due[:copy(c.due, c.due[1:])]
		c.ask(at)
	case c.group.Rate == 0 && c.w.calling():
		c.ask(c.w.now)
	}
}

// message takes a JSON-RPC message of the server.
func (c *conn) message(b []byte) error {
	if p := c.group.pattern.Load(); p != nil && c.state == open {
		if id, ok := p.match(b, &c.mark); ok && (id != 0 || c.group.Ask.Fixed) {
			return c.matched(id)
		}
	}
	if c.group.Ask.Mirror {
		return fmt.Errorf("not what was sent: %.200q", b)
	}
	if err := c.answer.Parse(b); err != nil {
		return err
	}
	if len(c.answer.Method) > 0 {
		return c.notified(b)
	}
	if c.state == initializing {
		if c.answer.Failed {
			return fmt.Errorf("initialize: %.200q", b)
		}
		c.begun()
		return nil
	}
	return c.examine(b)
}

// matched takes an answer that equals one that was found right.
func (c *conn) matched(id int64) error {
	if c.group.Ask.Fixed {
		id = c.slots[0].id
	}
	if id == 0 || c.slots[id%int64(len(c.slots))].id != id {
		return fmt.Errorf("answer to a request that is not open: id %d", id)
	}
	if c.steps != c.group.Ask.Progress {
		return fmt.Errorf("answer after progress %d, want %d", c.steps, c.group.Ask.Progress)
	}
	c.settled(id, true)
	return nil
}

// examine checks an answer in full.
func (c *conn) examine(b []byte) error {
	a := &c.answer
	id := a.ID
	if c.group.Ask.Fixed {
		id = c.slots[0].id
	}
	if id <= 0 || c.slots[id%int64(len(c.slots))].id != id {
		return fmt.Errorf("answer to a request that is not open: %.200q", b)
	}
	if a.Failed {
		return c.refusedOrWrong(id, b)
	}
	if err := c.group.Ask.Check(a, string(c.mark[:])); err != nil {
		c.wrong(id, "%v in %.200q", err, b)
		return nil
	}
	if c.group.pattern.Load() == nil {
		known := a.ID
		if c.group.Ask.Fixed {
			known = 0
		}
		if p, ok := learn(b, known, string(c.mark[:])); ok {
			c.group.pattern.Store(p)
		}
	}
	return c.matched(id)
}

// Codes that say "overloaded": what Millrace documents for both eras.
const (
	overloadedLegacy = -32000
	overloadedModern = -31000
)

// refusedOrWrong counts an error answer.
func (c *conn) refusedOrWrong(id int64, b []byte) error {
	if code := c.answer.Code; code == overloadedLegacy || code == overloadedModern {
		c.tally.refused.Add(1)
		c.settled(id, false)
		return nil
	}
	c.wrong(id, "error answer %.200q", b)
	return nil
}

func (c *conn) wrong(id int64, format string, args ...any) {
	c.tally.errors.Add(1)
	c.group.failed(format, args...)
	c.settled(id, false)
}

// notified takes a notification.
func (c *conn) notified(b []byte) error {
	switch method := string(c.answer.Method); {
	case method == "notifications/progress" && c.group.Ask.Progress > 0:
		if n := int64(len(c.slots)); c.answer.Token <= 0 || c.slots[c.answer.Token%n].id != c.answer.Token {
			return fmt.Errorf("progress of a request that is not open: %.200q", b)
		}
		// Of reports in quick succession a server may leave some out, but not the last.
		if c.answer.Progress <= float64(c.steps) {
			return fmt.Errorf("progress %v after %d", c.answer.Progress, c.steps)
		}
		c.steps = int(c.answer.Progress)
		return nil
	case method == "notifications/subscriptions/acknowledged" && c.group.Behaviour == Subscribe:
		c.w.load.ready.Add(1)
		return nil
	case method == "notifications/resources/updated" && c.group.Behaviour == Subscribe && bytes.Contains(b, watchedMember):
		c.tally.messages.Add(1)
		if c.group.After != nil && c.w.load.recording.Load() {
			c.tally.record(c.w.now - c.group.After.asked.Load())
		}
		return nil
	}
	return fmt.Errorf("unexpected message %.200q", b)
}

// flush writes what is to be said.
func (c *conn) flush() {
	out := &c.out
	if c.secure != nil && c.state != dead {
		if len(c.out) > 0 {
			var err error
			if c.sealed, err = c.secure.encrypt(c.sealed, c.out); err != nil {
				c.fail("writing: %v", err)
				return
			}
			c.out = c.out[:0]
		}
		out = &c.sealed
	}
	for c.written < len(*out) {
		n, err := unix.Write(c.fd, (*out)[c.written:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			c.wantWrite(true)
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			c.fail("writing: %v", err)
			return
		}
		c.written += n
	}
	*out, c.written = (*out)[:0], 0
	if cap(*out) > keptBuffer {
		*out = nil
	}
	c.wantWrite(false)
}

// keptBuffer is the largest buffer that a connection keeps while it has nothing to say.
const keptBuffer = 64 << 10

func (c *conn) wantWrite(want bool) {
	if c.writing == want || c.state == dead {
		return
	}
	c.writing = want
	c.w.watch(c, unix.EPOLL_CTL_MOD)
}

func markOf(n int) (m [markDigits]byte) {
	copy(m[:], Mark)
	putDigits(m[1:], int64(n))
	return m
}
