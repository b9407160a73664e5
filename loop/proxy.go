package loop

import (
	"errors"
	"io"

	"millrace/codec/proxy"
	"millrace/pool/buffer"
)

// feedProxy reads the PROXY header of a trusted proxy, before TLS and HTTP. Then the
// connection is that of the client whom the header names.
func (c *Conn) feedProxy(b []byte) {
	if c.in == nil {
		c.in = buffer.Get()
	}
	c.in.B = append(c.in.B, b...)
	h, n, err := proxy.Parse(c.in.B)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		if !c.pin(len(c.in.B)) {
			c.Abort(ErrPinned)
		}
		return
	case err != nil:
		c.Abort(err)
		return
	}
	if h.Source.IsValid() {
		c.remote = h.Source.String()
	}
	rest := c.in
	c.in = nil
	c.pin(0)
	if c.introduce() {
		c.rearm()
		c.feed(rest.B[n:])
	} else {
		c.turnAway()
	}
	buffer.Put(rest)
}

// turnAway refuses a connection whose client the handler does not want.
func (c *Conn) turnAway() {
	c.loop.shared.turned.Add(1)
	if c.listener.TLS != nil {
		c.Abort(nil)
		return
	}
	b := buffer.Get()
	b.B = append(b.B, overloaded...)
	c.say(b)
	c.closing = true
}
