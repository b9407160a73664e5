package loop

import (
	"errors"
	"sync/atomic"
	"time"

	"millrace/codec/http1"
	"millrace/codec/websocket"
	"millrace/pool/buffer"
)

// Reasons a connection ends that Handler.Closed may be told.
var (
	ErrStalled  = errors.New("peer does not read")
	ErrTimeout  = errors.New("peer is too slow")
	ErrNoPong   = errors.New("peer does not answer pings")
	ErrDraining = errors.New("server is shutting down")
	ErrPinned   = errors.New("too many bytes of incomplete messages")
	ErrPanic    = errors.New("handler panicked")
)

// socket is the part of gnet.Conn that a Conn needs; tests put memory there.
type socket interface {
	// Write sends p or buffers what the kernel does not take. It may close the
	// connection, and so call Closed, before it returns.
	Write(p []byte) (int, error)
	// OutboundBuffered is the number of bytes Write still holds.
	OutboundBuffered() int
	// close closes at once.
	close()
	// shutdownWrite sends FIN.
	shutdownWrite()
	// listen says which events are wanted; false when the platform cannot.
	listen(read, write bool) bool
}

type mode uint8

const (
	modeHTTP mode = iota
	modeWebSocket
	// modeLinger: everything is sent, FIN too; input is discarded until the
	// peer closes. Closing with unread input would send RST, which can destroy
	// the answer on its way (RFC 9112 section 9.6).
	modeLinger
	modeClosed
	// modeProxy: a trusted proxy has yet to say whose connection it is. The handler
	// does not know of it.
	modeProxy
	// modeHandshake: TLS begins.
	modeHandshake
)

// Conn is one connection. See the package comment for who may call what.
type Conn struct {
	loop     *loopState
	sock     socket
	id       uint64
	remote   string
	listener *Listener

	// Any goroutine.
	queued  atomic.Int64 // bytes accepted for sending, behind the message being written
	gone    atomic.Bool  // set before Closed is called
	dropped atomic.Int64 // droppable messages lost to MaxQueued

	// Loop only, from here on.
	user       any
	mode       mode
	paused     bool
	closing    bool // close when everything queued is sent; nothing more is read
	aborted    bool // close without sending more
	wsSwitched bool // was a WebSocket, ever
	busy       bool // an exchange is open
	resumable  bool // in may be parsed on: what it waited for has come
	keepAlive  bool // the open exchange may be followed by another
	dirty      bool // in loop.dirty
	introduced bool // the handler knows it

	tls *secure // nil without TLS

	in        *buffer.Buffer     // bytes read and not yet parsed
	head      *buffer.Buffer     // the head of a request whose body is still coming
	body      *buffer.Buffer     // its body so far
	req       *http1.Request     // nil on a WebSocket
	decoder   *http1.Body        // of its body; nil with it
	ws        *websocket.Decoder // nil before the switch
	exchange  uint64
	discarded int // bytes thrown away while lingering
	pinned    int // bytes counted in Engine.pinned

	forgiven int64 // of dropped, those before the peer last took something

	out     []*buffer.Buffer // accepted, not yet handed to the socket
	backlog backlog

	timer timerNode
	times times
	err   error // why the connection is being closed
}

// times are the moments that deadlines are computed from. A message only
// stores the loop's coarse clock; the wheel looks at it when its slot comes.
type times struct {
	active  moment // last byte received
	head    moment // first byte of an incomplete head; start of what comes before HTTP
	body    moment // start of an incomplete body
	message moment // start of an incomplete WebSocket message
	ping    moment // unanswered ping
	linger  moment // start of the linger
	alarm   moment // Handler.Alarm is due
}

// ID is unique among the connections of a process. Any goroutine.
func (c *Conn) ID() uint64 { return c.id }

// RemoteAddr is the peer's "ip:port", or "unix". Any goroutine.
func (c *Conn) RemoteAddr() string { return c.remote }

// Tag is the Tag of the Listener that accepted the connection. Any goroutine.
func (c *Conn) Tag() int { return c.listener.Tag }

// Gone reports whether the connection has ended. Any goroutine; true is final.
func (c *Conn) Gone() bool { return c.gone.Load() }

// Dropped counts the droppable messages lost because the peer reads too
// slowly. Any goroutine.
func (c *Conn) Dropped() int64 { return c.dropped.Load() }

// SetUser hangs the handler's own state on the connection.
func (c *Conn) SetUser(v any) { c.user = v }

// User returns what SetUser stored.
func (c *Conn) User() any { return c.user }

// Now is the loop's clock, read once per batch of events.
func (c *Conn) Now() time.Time { return c.loop.now }

// Draining reports whether the engine drains: an HTTP response should carry
// "Connection: close", because the connection ends with it. Any goroutine.
func (c *Conn) Draining() bool { return c.loop.shared.draining.Load() }

// IsWebSocket reports whether the connection has been switched.
func (c *Conn) IsWebSocket() bool { return c.mode == modeWebSocket }

// KeepAlive reports whether another request may follow the open exchange: if
// not, its response should carry "Connection: close".
func (c *Conn) KeepAlive() bool { return c.keepAlive }

// Exchange numbers the HTTP exchange that is open; Send takes it. A WebSocket
// keeps the number of the exchange that it was switched in.
func (c *Conn) Exchange() uint64 { return c.exchange }

// SetAlarm has Handler.Alarm called once at t or up to a tick later. The zero
// time clears it, and so does the end of the exchange. It replaces an earlier
// alarm.
func (c *Conn) SetAlarm(t time.Time) {
	c.times.alarm = 0
	if !t.IsZero() {
		c.times.alarm = momentOf(t)
	}
	c.rearm()
}

// TakeBody hands the body of the request in Handler.Request to the caller, who
// owns the Buffer. It copies only when the body still lies in the loop's own
// read buffer.
func (c *Conn) TakeBody() *buffer.Buffer {
	if b := c.body; b != nil {
		c.body = nil
		return b
	}
	return buffer.Copy(c.req.Body)
}

// TakeMessage does the same for the data of Handler.Message.
func (c *Conn) TakeMessage() *buffer.Buffer {
	if p := c.ws.Take(); p != nil {
		return &buffer.Buffer{B: p}
	}
	return buffer.Copy(c.ws.Payload())
}

// MessageBinary reports whether the data of Handler.Message is a binary
// message. Without Config.Binary it never is.
func (c *Conn) MessageBinary() bool { return c.ws.Binary() }

// Abort closes the connection when the current callback is done; what is queued
// is lost. err is what Handler.Closed will be told, unless the loop had a reason
// to end the connection before.
func (c *Conn) Abort(err error) {
	if c.mode == modeClosed || c.aborted {
		return
	}
	if c.err == nil {
		c.err = err
	}
	c.aborted = true
	c.loop.markDirty(c) // closed from proceed, never under the feet of a caller
}

// pin accounts for n bytes held for incomplete input and reports whether the
// engine's bound allows them.
func (c *Conn) pin(n int) bool {
	delta := n - c.pinned
	c.pinned = n
	if delta == 0 {
		return true
	}
	total := c.loop.shared.pinned.Add(int64(delta))
	return delta < 0 || total <= c.loop.cfg.MaxPinned
}

// ended releases what the connection holds. It runs once, from the socket's
// close event, and may run inside a Write.
func (c *Conn) ended(err error) {
	if c.mode == modeClosed {
		return
	}
	c.mode = modeClosed
	c.gone.Store(true)
	if c.err != nil {
		err = c.err
	}
	c.loop.wheel.remove(&c.timer)
	c.loop.unslow(c)
	c.dropInput()
	for _, b := range c.out {
		buffer.Put(b)
	}
	c.out = nil
	c.endHandshake()
	if c.introduced {
		c.loop.handler.Closed(c, err)
	}
}

// dropInput frees what was read and will not be parsed any more. It must not
// be called while a codec or the handler looks at that input.
func (c *Conn) dropInput() {
	buffer.Put(c.in)
	buffer.Put(c.head)
	buffer.Put(c.body)
	c.in, c.head, c.body = nil, nil, nil
	c.req, c.decoder, c.ws = nil, nil, nil
	c.times.head, c.times.body, c.times.message = 0, 0, 0
	c.pin(0)
}
