package loop

import (
	"millrace/codec/websocket"
	"millrace/pool/buffer"
)

// timeUp does what the passed limit asks for.
func (c *Conn) timeUp() {
	_, kind := c.limit()
	switch kind {
	case limitHead, limitBody:
		c.err = ErrTimeout
		c.refuse(408, "request took too long")
	case limitIdle:
		if c.mode == modeWebSocket {
			c.closeWebSocket(websocket.CloseGoingAway, "idle for too long")
			return
		}
		c.closing = true
	case limitMessage:
		c.err = ErrTimeout
		c.closeWebSocket(websocket.ClosePolicy, "message took too long")
	case limitPing:
		c.times.ping = c.loop.at
		b := buffer.Get()
		b.B = websocket.AppendPing(b.B, nil)
		c.say(b)
	case limitPong:
		c.Abort(ErrNoPong)
	case limitBegin:
		c.Abort(ErrTimeout)
	case limitLinger:
		c.Abort(nil)
	}
}
