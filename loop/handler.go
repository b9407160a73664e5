package loop

import "millrace/codec/http1"

// Handler is what stands above the loop. Its methods are called on c's loop,
// one at a time for each connection, and must not block.
type Handler interface {
	// Opened is called once for a new connection. False refuses it: the peer is
	// told 503, and Closed is not called.
	Opened(c *Conn) bool
	// Request is called for a complete request. r, its views and its body are
	// valid until Request returns; Conn.TakeBody keeps the body longer. The
	// exchange stays open until something is sent with Last or Switch.
	Request(c *Conn, r *http1.Request)
	// Message is called for a complete WebSocket message: of text, unless
	// Config.Binary is set. data is valid until Message returns;
	// Conn.TakeMessage keeps it longer.
	Message(c *Conn, data []byte)
	// Alarm is called once when the time set with Conn.SetAlarm has come.
	Alarm(c *Conn)
	// Drain is called once when the engine starts to drain. An HTTP exchange
	// that is open may be finished; a WebSocket is the handler's to close.
	Drain(c *Conn)
	// Closed is called exactly once for every connection for which Opened
	// returned true. err is nil after an orderly end.
	Closed(c *Conn, err error)
}
