package main

import (
	"math"

	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/loop"
	"millrace/pool/buffer"
)

// path is what is served; everything else is 404.
const path = "/echo"

// maxMessage is the longest message that is echoed; a longer one is refused with 1009.
const maxMessage = 16 << 20

// config is what a suite needs of the engine. Some of the engine's bounds are what such a suite would call a failure, and
// are out of its way here: it sends pings by the thousand, messages in tens of thousands of fragments, and expects the
// frames of its own case and no ping in between. The bounds have tests of their own in millrace/loop. What bounds memory
// (sizes, queues, bytes held for incomplete messages) stays.
func config(listen string, loops int) loop.Config {
	return loop.Config{
		Listeners: []loop.Listener{{Addr: listen}},
		Loops:     loops,
		Binary:    true,
		WebSocket: websocket.Limits{
			MessageBytes:     maxMessage,
			Fragments:        math.MaxInt32,
			ControlPerSecond: math.MaxInt32,
		},
		PingInterval: -1,
	}
}

// handler echoes. It has no state: the loop's Conn has all there is.
type handler struct{}

var _ loop.Handler = handler{}

// Opened implements loop.Handler.
func (handler) Opened(*loop.Conn) bool { return true }

// Request implements loop.Handler: it judges an opening handshake.
func (handler) Request(c *loop.Conn, r *http1.Request) {
	switch {
	case string(r.Path()) != path:
		refuse(c, r, 404, "not found: the endpoint is "+path)
		return
	case r.Method() != http1.MethodGet:
		refuse(c, r, 405, "method is not GET")
		return
	case !r.WantsUpgrade():
		refuse(c, r, 426, "this path speaks WebSocket only")
		return
	case c.Draining():
		refuse(c, r, 503, "server is shutting down")
		return
	}
	key := r.Known(http1.HeaderSecWebSocketKey)
	err := websocket.CheckUpgrade(&websocket.Upgrade{
		Method: r.MethodName(), HTTP11: r.Minor() == 1, Host: r.Known(http1.HeaderHost),
		Upgrade: []byte("websocket"), Connection: []byte("upgrade"), // WantsUpgrade has read all lines of both
		Version: r.Known(http1.HeaderSecWebSocketVersion), Key: key,
	})
	if err != nil {
		refuse(c, r, err.Status, err.Reason)
		return
	}
	b := buffer.Get()
	b.B = websocket.AppendSwitching(b.B, key, "")
	c.Write(c.Exchange(), b, loop.Switch)
}

// refuse answers a request that opens no WebSocket.
func refuse(c *loop.Conn, r *http1.Request, status int, reason string) {
	b := buffer.Get()
	b.B = http1.AppendStatusLine(b.B, status)
	b.B = http1.AppendField(b.B, "Content-Type", "text/plain; charset=utf-8")
	b.B = http1.AppendContentLength(b.B, len(reason)+1)
	b.B = http1.AppendField(b.B, "Date", c.Date())
	switch status {
	case 405:
		b.B = http1.AppendField(b.B, "Allow", "GET")
	case 426:
		b.B = http1.AppendField(b.B, "Upgrade", "websocket")
		b.B = http1.AppendField(b.B, "Connection", "Upgrade")
		b.B = http1.AppendField(b.B, "Sec-WebSocket-Version", "13")
	case 503:
		b.B = http1.AppendField(b.B, "Retry-After", "1")
	}
	if !c.KeepAlive() || c.Draining() {
		b.B = http1.AppendField(b.B, "Connection", "close")
	}
	b.B = http1.AppendEnd(b.B)
	if r.Method() != http1.MethodHead {
		b.B = append(append(b.B, reason...), '\n')
	}
	c.Write(c.Exchange(), b, loop.Last)
}

// Message implements loop.Handler.
func (handler) Message(c *loop.Conn, data []byte) {
	b := buffer.Get()
	if c.MessageBinary() {
		b.B = websocket.AppendBinary(b.B, data)
	} else {
		b.B = websocket.AppendText(b.B, data)
	}
	c.Write(c.Exchange(), b, 0)
}

// Alarm implements loop.Handler: none is set.
func (handler) Alarm(*loop.Conn) {}

// Drain implements loop.Handler.
func (handler) Drain(c *loop.Conn) {
	c.CloseWebSocket(websocket.CloseGoingAway, "server is shutting down")
}

// Closed implements loop.Handler.
func (handler) Closed(*loop.Conn, error) {}
