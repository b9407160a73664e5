package loop

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"millrace/codec/http1"
	"millrace/codec/websocket"
)

// Listener is one address to accept connections on.
type Listener struct {
	// Addr is "host:port"; port 0 picks a free one, which Engine.Addrs tells. Or it is
	// "unix:" and the absolute path of a socket, which is removed at the end. A socket
	// that nobody listens on is replaced; what is no socket is never touched.
	Addr string
	// Mode and Owner are of the unix socket. Default: 0600, and whoever we are.
	Mode  fs.FileMode
	Owner *Owner
	// TLS makes it a listener of TLS: 1.2 at least, and http/1.1 as the protocol,
	// whatever the configuration says. Client certificates count when it verifies them
	// (ClientAuth). Its callbacks run on the goroutines of handshakes; one that blocks
	// keeps a place of MaxHandshakes, and a processor.
	TLS *tls.Config
	// Proxy reports whether the peer at remote ("ip:port", or "unix") is a proxy that
	// begins each connection with a PROXY header, of version 1 or 2: the client is who
	// that names, and a connection without it is closed. Nil: no peer is. Any
	// goroutine; it must not block.
	Proxy func(remote string) bool
	// Tag is handed through to Conn.Tag; the loop gives it no meaning.
	Tag int
}

// Owner is who a file belongs to; -1 leaves one as it is.
type Owner struct{ UID, GID int }

// Config tunes an Engine. Every zero field stands for the default that its
// comment names.
type Config struct {
	// Listeners are the addresses to serve; at least one.
	Listeners []Listener
	// Loops is the number of event loops. Default: 1.
	Loops int
	// MaxConnections is how many connections may be open at once; the next one
	// is answered 503 and closed. Default: the soft limit of open files minus
	// max(64, 10 %). A larger value is an error at Start: peers could leave the
	// process without a descriptor for anything else.
	MaxConnections int
	// HTTP bounds request heads and bodies.
	HTTP http1.Limits
	// WebSocket bounds messages and control frames.
	WebSocket websocket.Limits
	// Binary has binary messages reach Handler.Message; Conn.MessageBinary tells
	// them from text. Default: a binary message is refused with 1003.
	Binary bool
	// HeadTimeout is how long a request head may take from its first byte.
	// Default: 10 s.
	HeadTimeout time.Duration
	// MaxHandshakes is how many TLS handshakes may be under way at once; more wait, and
	// those whose client has said nothing for a second give way. Each takes about 30
	// KiB. Default: 1024.
	MaxHandshakes int
	// HandshakeTimeout is how long a TLS handshake may take, waiting included.
	// Default: 10 s.
	HandshakeTimeout time.Duration
	// ProxyTimeout is how long a PROXY header may take. Default: 3 s.
	ProxyTimeout time.Duration
	// BodyGrace is how long a body may be slower than BodyRate. Default: 10 s.
	BodyGrace time.Duration
	// BodyRate is the least average speed of a body in bytes a second after
	// BodyGrace. Default: 1024.
	BodyRate int
	// IdleTimeout closes an HTTP connection without a request. Default: 75 s.
	IdleTimeout time.Duration
	// MessageTimeout bounds an incomplete WebSocket message. Default: 30 s.
	MessageTimeout time.Duration
	// PingInterval is the silence after which a WebSocket peer is pinged.
	// Default: 30 s; negative: no pings, and WebSocketIdle applies.
	PingInterval time.Duration
	// PongTimeout is how long the answer to a ping may take. Default: 10 s.
	PongTimeout time.Duration
	// WebSocketIdle closes a silent WebSocket when pings are off. Default: 5 min.
	WebSocketIdle time.Duration
	// MaxPinned bounds the bytes held for incomplete requests and messages of
	// all connections together. Default: 256 MiB.
	MaxPinned int64
	// MaxQueued bounds the bytes queued for one connection behind the message
	// that is being written: above it droppable messages are lost and reading
	// pauses. Default: 1 MiB.
	MaxQueued int64
	// StallTimeout closes a connection with more than MaxQueued bytes queued, or with
	// messages lost, that takes no byte for so long. A smaller backlog, such as the
	// rest of one large answer, may stand still six times as long. Default: 10 s.
	StallTimeout time.Duration
	// Logger receives diagnostics. Default: slog.Default().
	Logger *slog.Logger
}

// pauseAt is how many bytes of following requests a busy HTTP connection may
// hold before the loop stops reading from it: one socket buffer's worth.
const pauseAt = 64 << 10

// maxHeld is how many it may hold at all. Each time gnet has written out a
// backlog it lets one read through a pause (see Conn.applyPause), which a peer
// can make happen as often as it likes.
const maxHeld = 8 * pauseAt

func (c Config) withDefaults() Config {
	def(&c.Loops, 1)
	def(&c.HeadTimeout, 10*time.Second)
	def(&c.MaxHandshakes, 1024)
	def(&c.HandshakeTimeout, 10*time.Second)
	def(&c.ProxyTimeout, 3*time.Second)
	def(&c.BodyGrace, 10*time.Second)
	def(&c.BodyRate, 1024)
	def(&c.IdleTimeout, 75*time.Second)
	def(&c.MessageTimeout, 30*time.Second)
	def(&c.PingInterval, 30*time.Second)
	def(&c.PongTimeout, 10*time.Second)
	def(&c.WebSocketIdle, 5*time.Minute)
	def(&c.MaxPinned, 256<<20)
	def(&c.MaxQueued, 1<<20)
	def(&c.StallTimeout, 10*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Check reports what would keep Start from starting, but for the addresses: whether
// they can be had shows only when they are taken.
func (c Config) Check() error {
	_, err := c.prepare()
	return err
}

// prepare fills in the defaults, and fits them to the machine.
func (c Config) prepare() (Config, error) {
	c = c.withDefaults()
	if len(c.Listeners) == 0 {
		return c, errors.New("no listen address")
	}
	return c, cmp.Or(c.resolveMaxConnections(), c.prepareTLS())
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// resolveMaxConnections fits MaxConnections under the limit of open files.
func (c *Config) resolveMaxConnections() error {
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	most := connectionsUnder(rl.Cur)
	if c.MaxConnections <= 0 {
		c.MaxConnections = most
	}
	if c.MaxConnections > most {
		return fmt.Errorf("max connections %d does not fit under the limit of %d open files (%d at most): raise it with ulimit -n or LimitNOFILE=",
			c.MaxConnections, rl.Cur, most)
	}
	return nil
}

// connectionsUnder leaves room below a descriptor limit for what is not a
// connection: listeners, files and outbound connections of tools.
func connectionsUnder(files uint64) int {
	if files > math.MaxInt32 {
		files = math.MaxInt32
	}
	n := int(files) - max(64, int(files/10))
	return max(n, 1)
}
