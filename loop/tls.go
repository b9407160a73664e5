package loop

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"slices"

	"millrace/pool/buffer"
)

// secure is the TLS of a connection: crypto/tls on memory. Its handshake needs a
// goroutine, as it cannot be left half way; records need none, because reading goes
// on after errAgain. Loop only, but for conn and wire while the handshake runs.
type secure struct {
	conn     *tls.Conn // nil until the ClientHello is whole
	wire     tlsWire
	began    moment // when the ClientHello was whole
	waits    int64  // of wire, at the last look, and
	since    moment // when it was found to have changed
	heard    bool   // the client has said something
	open     bool   // the handshake is done
	farewell bool   // close_notify has been sent
	peer     *x509.Certificate
}

// tlsConfig returns cfg as the loop wants it, in every configuration it may choose.
func tlsConfig(cfg *tls.Config) (*tls.Config, error) {
	if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
		return nil, errors.New("TLS needs a certificate")
	}
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	// Small records would save the peer some milliseconds of a slow line, and cost us
	// one encryption each.
	cfg.DynamicRecordSizingDisabled = true
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if choose := cfg.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return tlsConfig(chosen)
		}
	}
	return cfg, nil
}

// prepareTLS has every listener of TLS use what tlsConfig makes of its configuration.
func (c *Config) prepareTLS() error {
	c.Listeners = slices.Clone(c.Listeners)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.TLS == nil {
			continue
		}
		var err error
		if l.TLS, err = tlsConfig(l.TLS); err != nil {
			return fmt.Errorf("listen address %s: %w", l.Addr, err)
		}
	}
	return nil
}

// newTurns has as many handshakes compute at once as there are processors: the loops
// have a place of their own among what the Go scheduler runs.
func newTurns() chan struct{} { return make(chan struct{}, runtime.NumCPU()) }

// TLS reports whether the connection is one of TLS, and its handshake is done.
func (c *Conn) TLS() bool { return c.tls != nil && c.tls.open }

// PeerCertificate is the certificate of the client, nil if it has shown none or
// nobody has verified it. It is not to be changed.
func (c *Conn) PeerCertificate() *x509.Certificate {
	if c.tls == nil {
		return nil
	}
	return c.tls.peer
}

// feedHandshake takes bytes of the handshake: first until the ClientHello is whole,
// then for the goroutine.
func (c *Conn) feedHandshake(b []byte) {
	s := c.tls
	s.heard = true
	unread := 0
	if s.conn != nil {
		unread = s.wire.give(b)
	} else {
		if c.in == nil {
			c.in = buffer.Get()
		}
		c.in.B = append(c.in.B, b...)
		unread = len(c.in.B)
	}
	// What a client sends right behind its last flight waits: see applyPause.
	if !c.pin(unread) || unread > maxHeld {
		c.Abort(ErrPinned)
		return
	}
	if s.conn != nil || s.began != 0 {
		return
	}
	switch err := clientHello(c.in.B); {
	case err == nil:
		c.loop.handshake(c)
	case !errors.Is(err, io.ErrUnexpectedEOF):
		c.refuseHello(err)
	case len(c.in.B) > maxHello:
		c.refuseHello(errBadHello)
	}
}

// refuseHello ends a connection that does not begin as TLS does. Who speaks HTTP is
// told so.
func (c *Conn) refuseHello(err error) {
	if first := c.in.B[0]; first >= 'A' && first <= 'Z' {
		c.err = err
		c.refuse(400, "this address speaks TLS: use https:// or wss://")
		return
	}
	c.Abort(err)
}

// shake begins the handshake.
func (c *Conn) shake() {
	s := c.tls
	s.wire.more = make(chan struct{}, 1)
	s.wire.turns = c.loop.shared.turns
	s.wire.wake = func() { c.Post((*Conn).sendHandshake) }
	s.wire.in = append(s.wire.in, c.in.B...)
	buffer.Put(c.in)
	c.in = nil
	s.conn = tls.Server(&s.wire, c.listener.TLS)
	go func() {
		err := s.shake(c)
		c.loop.handshakes.ended.Add(1)
		if c.gone.Load() {
			_ = c.loop.wake() // there is room for another
		}
		c.Post(func(c *Conn) { c.shaken(err) })
	}()
}

// shake runs on a goroutine of its own, whose only panics are those of callbacks.
func (s *secure) shake(c *Conn) (err error) {
	s.wire.turns <- struct{}{}
	defer func() {
		<-s.wire.turns
		if v := recover(); v != nil {
			c.loop.shared.panics.Add(1)
			c.loop.cfg.Logger.Error("panic in a TLS handshake; connection closed",
				"conn", c.id, "remote", c.remote, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = ErrPanic
		}
	}()
	return s.conn.Handshake()
}

// sendHandshake sends what the handshake has written.
func (c *Conn) sendHandshake() {
	if out := c.tls.wire.takeOut(); len(out) > 0 {
		c.record(out)
	}
}

// shaken goes on when the handshake is over.
func (c *Conn) shaken(err error) {
	c.loop.handshakes.done(c)
	defer c.loop.nextHandshakes()
	c.sendHandshake() // the last flight, or the alert that says why not
	if c.mode != modeHandshake || c.aborted {
		return
	}
	s := c.tls
	rest := s.wire.settle()
	c.pin(0)
	if err != nil {
		c.err = fmt.Errorf("TLS handshake: %w", err)
		c.closing = true
		return
	}
	c.loop.shared.handshaken.Add(1)
	if state := s.conn.ConnectionState(); len(state.VerifiedChains) > 0 {
		s.peer = state.VerifiedChains[0][0]
	}
	s.open = true
	c.mode = modeHTTP
	c.times.head = 0
	c.times.active = c.loop.at
	// A client of TLS 1.3 sends data right behind its last flight; crypto/tls may have
	// read it already.
	c.feedTLS(rest)
	c.rearm()
}

// endHandshake ends a handshake whose connection has ended. A client that never said a
// word, as those that only look whether a port is open, is no error.
func (c *Conn) endHandshake() {
	s := c.tls
	if s == nil || s.open || !s.heard {
		return
	}
	c.loop.shared.handshakeErrors.Add(1)
	switch {
	case s.wire.settled: // it was over
	case s.conn != nil:
		c.loop.handshakes.done(c)
		s.wire.fail(net.ErrClosed)
	case s.began != 0:
		c.loop.handshakes.left()
	}
}

// feedTLS decrypts b and feeds what is in it. The plain text lies in memory of the
// loop, which the codecs may change, as they do with what was read from a socket.
func (c *Conn) feedTLS(b []byte) {
	l, s := c.loop, c.tls
	if l.plain == nil {
		l.plain = make([]byte, 16<<10) // the most that one record holds
	}
	s.wire.in, s.wire.out = b, l.sealed[:0]
	var err error
	said := false
	for err == nil && !c.closing && !c.aborted {
		var n int
		n, err = s.conn.Read(l.plain)
		if n > 0 { // there may be some with an error, too
			said = true
			c.times.active, c.times.ping = l.at, 0
			c.feedPlain(l.plain[:n])
		}
	}
	if !said && len(b) > 0 {
		c.partialRecord()
	}
	out := s.wire.out // an answer to KeyUpdate, or an alert
	s.wire.in, s.wire.out = nil, nil
	if len(out) > 0 {
		l.sealed = out
		c.record(out)
	}
	switch {
	case err == nil || errors.Is(err, errAgain{}) || c.mode == modeClosed:
	case errors.Is(err, io.EOF): // close_notify: as with FIN, nobody waits for an answer any more
		c.closing = true
	default:
		if c.err == nil {
			c.err = fmt.Errorf("TLS: %w", err)
		}
		c.closing = true
	}
}

// partialRecord sets the time that a record may take which does not come to its end:
// it is a part of a head or of a message.
func (c *Conn) partialRecord() {
	var since *moment
	switch {
	case c.mode == modeWebSocket:
		since = &c.times.message
	case c.mode == modeHTTP && !c.busy && c.times.body.isZero():
		since = &c.times.head
	default:
		return
	}
	if since.isZero() {
		*since = c.loop.at
		c.rearm()
	}
}

// record sends TLS records that hold no message of ours. They count as one.
func (c *Conn) record(p []byte) {
	c.queued.Add(int64(len(p)))
	c.backlog.push(len(p), c.loop.at)
	if _, err := c.sock.Write(p); err != nil && c.mode != modeClosed {
		c.Abort(err)
	}
	c.loop.markDirty(c) // to settle
}

// put hands p, which is of messages in the backlog, to the socket.
func (c *Conn) put(p []byte) error {
	if !c.TLS() {
		_, err := c.sock.Write(p)
		return err
	}
	for len(p) > 0 && c.mode != modeClosed {
		n := min(len(p), gatherBytes)
		if err := c.seal(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// seal encrypts p and hands it to the socket. What that adds to p counts as a message
// of its own, so that the backlog counts the bytes of the socket.
func (c *Conn) seal(p []byte) error {
	l, s := c.loop, c.tls
	s.wire.out = l.sealed[:0]
	_, err := s.conn.Write(p)
	out := s.wire.out
	l.sealed, s.wire.out = out, nil
	if err != nil {
		return err
	}
	added := len(out) - len(p)
	c.queued.Add(int64(added))
	c.backlog.push(added, l.at)
	_, err = c.sock.Write(out)
	return err
}

// bidFarewell sends close_notify, once, and reports whether that has been done and
// taken: "Each party MUST send a "close_notify" alert before closing its write side
// of the connection" (RFC 8446, section 6.1).
func (c *Conn) bidFarewell() bool {
	s := c.tls
	if s == nil || !s.open || s.farewell {
		return true
	}
	s.farewell = true
	s.wire.out = nil
	_ = s.conn.CloseWrite()
	out := s.wire.out
	s.wire.out = nil
	if len(out) > 0 {
		c.record(out)
	}
	return c.mode != modeClosed && c.sock.OutboundBuffered() == 0
}
