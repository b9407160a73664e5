package loop

import (
	"errors"

	"millrace/codec/websocket"
	"millrace/pool/buffer"
)

// switchToWebSocket begins the frame protocol. The exchange stays the one that
// was switched, so its number stays valid for Send.
func (c *Conn) switchToWebSocket() {
	c.mode = modeWebSocket
	c.wsOpen, c.wsSwitched = true, true
	c.busy = false
	c.ws.Limits = c.loop.cfg.WebSocket
	c.times.active = c.loop.now
	c.times.alarm = zeroTime
	if held := c.in; held != nil && !c.reading {
		c.in = nil
		c.feedWebSocket(held.B)
		buffer.Put(held)
	}
	c.rearm()
}

// feedWebSocket decodes frames from b; the decoder keeps what is incomplete.
func (c *Conn) feedWebSocket(b []byte) {
	for len(b) > 0 && c.wsOpen && !c.aborted && c.mode == modeWebSocket {
		ev, n, err := c.ws.Next(b, c.loop.now)
		b = b[n:]
		if err != nil {
			c.failWebSocket(err)
			return
		}
		switch ev {
		case websocket.EventMessage:
			c.message()
		case websocket.EventPing:
			c.control(websocket.AppendPong(nil, c.ws.Payload()))
		case websocket.EventClose:
			c.peerClosed()
		}
	}
	c.trackPartial()
	c.account()
}

// trackPartial keeps the deadline of an incomplete message.
func (c *Conn) trackPartial() {
	switch {
	case !c.ws.Partial():
		c.times.message = zeroTime
	case c.times.message.IsZero():
		c.times.message = c.loop.now
		c.rearm()
	}
}

func (c *Conn) message() {
	c.loop.shared.messages.Add(1)
	if c.ws.Binary() {
		c.closeWebSocket(websocket.CloseUnsupported, "text messages only")
		return
	}
	c.loop.handler.Message(c, c.ws.Payload())
}

func (c *Conn) failWebSocket(err error) {
	var ce *websocket.CloseError
	if !errors.As(err, &ce) {
		ce = &websocket.CloseError{Code: websocket.CloseProtocol, Reason: "protocol error"}
	}
	c.closeWebSocket(ce.Code, ce.Reason)
}

// peerClosed answers the peer's close frame with its own code (RFC 6455
// section 5.5.1) and closes.
func (c *Conn) peerClosed() {
	code, _ := c.ws.CloseCode()
	c.closeWebSocket(code, "")
}

// CloseWebSocket begins the closing handshake: nothing is read or sent
// afterwards, and the connection ends when the peer has the close frame.
func (c *Conn) CloseWebSocket(code uint16, reason string) {
	if c.mode == modeWebSocket {
		c.closeWebSocket(code, reason)
	}
}

func (c *Conn) closeWebSocket(code uint16, reason string) {
	if !c.wsOpen {
		return
	}
	c.wsOpen = false
	c.control(websocket.AppendClose(nil, code, reason))
	c.closing = true
}

// control queues a control frame.
func (c *Conn) control(frame []byte) {
	c.queued.Add(int64(len(frame)))
	c.out = append(c.out, &buffer.Buffer{B: frame})
	c.loop.markDirty(c)
}
