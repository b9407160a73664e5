package generator

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"millrace/benchmarks/client"
)

// upgradeKey is the nonce of RFC 6455; the one of its example.
const upgradeKey = "dGhlIHNhbXBsZSBub25jZQ=="

// feed takes what was read and returns the bytes that were understood.
func (c *conn) feed(b []byte) (used int, err error) {
	for c.state != dead && c.state != dialling {
		var n int
		switch {
		case c.state == upgrading:
			n, err = c.upgraded(b[used:])
		case c.group.Protocol == WebSocket:
			n, err = c.frame(b[used:])
		case c.group.Protocol == HTTP:
			n, err = c.http(b[used:])
		default:
			n, err = c.bytes(b[used:])
		}
		used += n
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return used, nil
		}
		if err != nil {
			return used, err
		}
	}
	return used, nil
}

func (c *conn) upgraded(b []byte) (int, error) {
	head, n, err := client.ParseHead(b)
	if err != nil {
		return 0, err
	}
	if head.Status != 101 || string(head.Get("sec-websocket-accept")) != client.AcceptKey(upgradeKey) {
		return 0, fmt.Errorf("upgrade refused: %.300q", b)
	}
	c.begin()
	return n, nil
}

// frame takes one frame. Servers under test do not fragment what they send.
func (c *conn) frame(b []byte) (int, error) {
	f, n, err := client.ParseFrame(b)
	if err != nil {
		return 0, err
	}
	switch {
	case f.Opcode == client.OpText && f.Fin:
		return n, c.message(f.Payload)
	case f.Opcode == client.OpPing:
		c.out = client.AppendFrame(c.out, client.OpPong, maskKey, f.Payload)
		return n, nil
	case f.Opcode == client.OpPong:
		return n, nil
	}
	return 0, fmt.Errorf("unexpected frame: opcode %d, fin %v, %.100q", f.Opcode, f.Fin, f.Payload)
}

func (c *conn) bytes(b []byte) (int, error) {
	n := len(c.request.b)
	if len(b) < n {
		return 0, io.ErrUnexpectedEOF
	}
	return n, c.message(b[:n])
}

// response is an HTTP response that is being read.
type response struct {
	open   bool // the head is read
	head   client.Head
	retry  bool // it has Retry-After
	left   int64
	chunks client.Chunks
	body   []byte // what came in pieces; of an event stream, what is not yet a whole event
}

// http takes the head of a response, or the next piece of its body.
func (c *conn) http(b []byte) (int, error) {
	r := &c.res
	if !r.open {
		head, n, err := client.ParseHead(b)
		if err != nil {
			return 0, err
		}
		if c.state == initializing {
			c.session = string(head.Get("mcp-session-id"))
		}
		// The fields of head alias b, and are not looked at behind this point.
		*r = response{open: true, head: head, retry: head.Get("retry-after") != nil, left: max(0, head.Length), body: r.body[:0]}
		return n, c.endOfBody(nil)
	}
	if len(b) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if r.head.Chunked {
		return c.chunk(b)
	}
	if n := int(r.left); len(r.body) == 0 && len(b) >= n {
		r.left = 0
		return n, c.endOfBody(b[:n])
	}
	n := int(min(int64(len(b)), r.left))
	r.body = append(r.body, b[:n]...)
	r.left -= int64(n)
	return n, c.endOfBody(r.body)
}

func (c *conn) chunk(b []byte) (int, error) {
	r := &c.res
	data, n, done, err := r.chunks.Next(b)
	if err != nil {
		return 0, err
	}
	if n == 0 && !done {
		return 0, io.ErrUnexpectedEOF
	}
	r.body = append(r.body, data...)
	if r.head.EventStream {
		if err := c.events(); err != nil {
			return n, err
		}
	}
	if !done {
		return n, nil
	}
	r.open = false
	if r.head.EventStream {
		if len(r.body) > 0 {
			return n, fmt.Errorf("event stream ended inside an event: %.100q", r.body)
		}
		return n, nil
	}
	return n, c.responded(r.body)
}

// events takes the whole events of an event stream.
func (c *conn) events() error {
	r := &c.res
	rest := r.body
	for c.state != dead {
		e, n, err := client.ParseEvent(rest)
		if err != nil {
			break
		}
		rest = rest[n:]
		if len(e.Data) == 0 {
			continue
		}
		if err := c.message(e.Data); err != nil {
			return err
		}
	}
	r.body = r.body[:copy(r.body, rest)]
	return nil
}

// endOfBody ends a response whose length was told when nothing of it is left.
func (c *conn) endOfBody(body []byte) error {
	r := &c.res
	if r.head.Chunked || r.left > 0 {
		return nil
	}
	if r.head.Length < 0 && r.head.Status != 202 && r.head.Status != 204 {
		return fmt.Errorf("response without length: status %d", r.head.Status)
	}
	r.open = false
	return c.responded(body)
}

// responded takes a whole response that is no event stream.
func (c *conn) responded(body []byte) error {
	r := &c.res
	defer func() {
		if cap(r.body) > keptBuffer {
			r.body = nil
		}
	}()
	switch {
	case c.state == initialized && r.head.Status/100 == 2:
		c.ready()
		return nil
	case r.head.Status == 503 && !r.retry:
		return fmt.Errorf("503 without Retry-After: %.200q", body)
	case r.head.Status != 200 && r.head.Status != 503:
		return fmt.Errorf("status %d: %.200q", r.head.Status, body)
	}
	c.last = r.head.Close && c.state == open
	return c.message(bytes.TrimRight(body, "\n"))
}
