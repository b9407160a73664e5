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
	c.wsSwitched = true
	c.busy = false
	c.resumable = c.in != nil
	c.ws = &websocket.Decoder{Limits: c.loop.cfg.WebSocket}
	c.times.active = c.loop.at
	c.times.alarm = 0
	c.rearm()
}

// feedWebSocket decodes frames from b; the decoder keeps what is incomplete.
func (c *Conn) feedWebSocket(b []byte) {
	c.req, c.decoder = nil, nil // thousands of idle connections need not keep them
	for len(b) > 0 && !c.closing && !c.aborted {
		ev, n, err := c.ws.Next(b, c.loop.now)
		b = b[n:]
		c.trackPartial()
		switch {
		case err != nil:
			c.failWebSocket(err)
		case ev == websocket.EventMessage:
			c.message()
		case ev == websocket.EventPing:
			pong := buffer.Get()
			pong.B = websocket.AppendPong(pong.B, c.ws.Payload())
			c.say(pong)
		case ev == websocket.EventClose:
			c.peerClosed()
		}
	}
	c.account()
}

// trackPartial keeps the deadline of an incomplete message. It looks after
// every event, or a peer whose reads always end inside of a frame would be taken
// for one that never completes any.
func (c *Conn) trackPartial() {
	switch {
	case !c.ws.Partial():
		c.times.message = 0
	case c.times.message.isZero():
		c.times.message = c.loop.at
		c.rearm()
	}
}

func (c *Conn) message() {
	c.loop.shared.messages.Add(1)
	if c.ws.Binary() && !c.loop.cfg.Binary {
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
	if c.closing {
		return
	}
	b := buffer.Get()
	b.B = websocket.AppendClose(b.B, code, reason)
	c.say(b)
	c.closing = true
}
