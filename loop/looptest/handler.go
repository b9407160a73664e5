package looptest

import (
	"fmt"
	"sync"

	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/loop"
	"millrace/pool/buffer"
)

// Handler is a scripted loop.Handler that records its events. A nil function
// stands for what its comment says. The functions are set before the first
// connection and called on its loop.
type Handler struct {
	OnOpened  func(c *loop.Conn) bool              // accepts
	OnRequest func(c *loop.Conn, r *http1.Request) // Serve: upgrades what asks for it, echoes the body else
	OnMessage func(c *loop.Conn, data []byte)      // echoes
	OnAlarm   func(c *loop.Conn)                   // does nothing
	OnDrain   func(c *loop.Conn)                   // does nothing
	OnClosed  func(c *loop.Conn, err error)        // does nothing

	mu     sync.Mutex
	events []string
}

var _ loop.Handler = (*Handler)(nil)

func (h *Handler) record(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, fmt.Sprintf(format, args...))
}

// Events returns what has happened since the last call: "opened", "request
// METHOD PATH BODY", "message DATA", "alarm", "drain", "closed ERROR". Any
// goroutine.
func (h *Handler) Events() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := h.events
	h.events = nil
	return events
}

// Opened implements loop.Handler.
func (h *Handler) Opened(c *loop.Conn) bool {
	h.record("opened")
	return h.OnOpened == nil || h.OnOpened(c)
}

// Request implements loop.Handler.
func (h *Handler) Request(c *loop.Conn, r *http1.Request) {
	h.record("request %s %s %s", r.MethodName(), r.Path(), r.Body)
	if h.OnRequest != nil {
		h.OnRequest(c, r)
		return
	}
	Serve(c, r)
}

// Message implements loop.Handler.
func (h *Handler) Message(c *loop.Conn, data []byte) {
	h.record("message %s", data)
	if h.OnMessage != nil {
		h.OnMessage(c, data)
		return
	}
	c.Write(c.Exchange(), TextFrame(string(data)), 0)
}

// Alarm implements loop.Handler.
func (h *Handler) Alarm(c *loop.Conn) {
	h.record("alarm")
	if h.OnAlarm != nil {
		h.OnAlarm(c)
	}
}

// Drain implements loop.Handler.
func (h *Handler) Drain(c *loop.Conn) {
	h.record("drain")
	if h.OnDrain != nil {
		h.OnDrain(c)
	}
}

// Closed implements loop.Handler.
func (h *Handler) Closed(c *loop.Conn, err error) {
	h.record("closed %v", err)
	if h.OnClosed != nil {
		h.OnClosed(c, err)
	}
}

// Serve answers r at once: an upgrade with a switch, anything else with its own
// body.
func Serve(c *loop.Conn, r *http1.Request) {
	if r.WantsUpgrade() {
		b := buffer.Get()
		b.B = websocket.AppendSwitching(b.B, r.Known(http1.HeaderSecWebSocketKey), "")
		c.Write(c.Exchange(), b, loop.Switch)
		return
	}
	c.Write(c.Exchange(), Answer(c, string(r.Body)), loop.Last)
}

// Answer builds a 200 response to the exchange that is open on c.
func Answer(c *loop.Conn, body string) *buffer.Buffer {
	b := buffer.Get()
	b.B = http1.AppendStatusLine(b.B, 200)
	b.B = http1.AppendContentLength(b.B, len(body))
	if !c.KeepAlive() || c.Draining() {
		b.B = http1.AppendField(b.B, "Connection", "close")
	}
	b.B = http1.AppendEnd(b.B)
	b.B = append(b.B, body...)
	return b
}

// TextFrame builds a text frame of the server.
func TextFrame(payload string) *buffer.Buffer {
	b := buffer.Get()
	b.B = websocket.AppendText(b.B, []byte(payload))
	return b
}
