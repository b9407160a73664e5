package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptors is how many goroutines accept on each listener. Handing a
// connection to its loop waits for the loop, so one would be slow to accept
// while a loop is busy.
const acceptors = 4

// keepAlive lets the kernel find peers that vanished without a word.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// listen opens a listener. Unlike gnet's own, it does not share its port, so a
// port in use is an error, and it can be closed while connections live on.
func listen(l *Listener) (net.Listener, error) {
	if path, ok := IsUnix(l.Addr); ok {
		return listenUnix(path, l)
	}
	addr := l.Addr
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen address %s is already in use", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return ln, nil
}

// lastCallFor is how long a listener still accepts what was queued when it was
// told to stop.
const lastCallFor = 50 * time.Millisecond

// lastCall lets ln accept what its queue holds, and no more. The kernel has told
// those clients that they are connected; closing the listener now would reset
// them. A backlog of zero makes it ignore new ones meanwhile.
func lastCall(ln net.Listener) {
	l, ok := ln.(interface {
		syscall.Conn
		SetDeadline(time.Time) error
	})
	if !ok {
		return
	}
	if raw, err := l.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Listen(int(fd), 0) })
	}
	_ = l.SetDeadline(time.Now().Add(lastCallFor))
}

// accept takes connections from ln until it is closed. A failure to accept is
// the machine's trouble, most often a want of descriptors, and passes: the loop
// waits and tries again, as long as it takes.
func (e *Engine) accept(ln net.Listener, l *Listener) {
	defer e.accepting.Done()
	var backoff backoff
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			if backoff.first() {
				e.cfg.Logger.Error("cannot accept connections", "addr", ln.Addr().String(), "err", err)
			}
			if !backoff.wait(e.closing) {
				return
			}
		default:
			backoff.reset()
			e.enroll(conn, l)
		}
	}
}

// enroll hands an accepted connection to a loop, or refuses it.
func (e *Engine) enroll(conn net.Conn, l *Listener) {
	if !e.shared.enter(int64(e.cfg.MaxConnections)) {
		e.shared.turned.Add(1)
		refuseConn(conn, l.refusal())
		return
	}
	a := &arrival{remote: remoteOf(conn), listener: l}
	dropZone(conn.LocalAddr())
	dropZone(conn.RemoteAddr())
	_, err := e.client.EnrollContext(conn, a) // closes conn in any case, and waits for OnOpen
	if err != nil || !a.taken {
		e.shared.leave()
		e.shared.turned.Add(1)
		e.cfg.Logger.Warn("connection refused", "remote", a.remote, "err", err)
	}
}

// remoteOf is the peer's address. Clients of a unix socket have none.
func remoteOf(conn net.Conn) string {
	if _, ok := conn.(*net.UnixConn); ok {
		return "unix"
	}
	return conn.RemoteAddr().String()
}

// dropZone takes the zone of a link-local address away. gnet recycles the bytes
// of that string when the connection ends, as if it had made it itself; net
// keeps it.
func dropZone(a net.Addr) {
	if t, ok := a.(*net.TCPAddr); ok {
		t.Zone = ""
	}
}

// arrival is what OnOpen needs to know of a connection, and its answer: gnet
// does not report when it fails to add the socket to its loop.
type arrival struct {
	remote   string
	listener *Listener
	taken    bool
}

// overloaded is what a connection over the limit is told.
var overloaded = []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n")

// refusal is that, or nothing where it could not be read.
func (l *Listener) refusal() []byte {
	if l.TLS != nil {
		return nil
	}
	return overloaded
}

// refuseConn tells a client that there is no room. The few bytes always fit
// into the send buffer of a new socket.
func refuseConn(conn net.Conn, refusal []byte) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(refusal)
	_ = conn.Close()
}

// backoff waits longer and longer between attempts that fail: 5 ms to 1 s, as
// net/http does.
type backoff struct{ delay time.Duration }

func (b *backoff) first() bool { return b.delay == 0 }
func (b *backoff) reset()      { b.delay = 0 }

// wait is false when stop was closed meanwhile.
func (b *backoff) wait(stop <-chan struct{}) bool {
	b.delay = min(max(2*b.delay, 5*time.Millisecond), time.Second)
	t := time.NewTimer(b.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}

// isOrdinaryEnd reports the ways in which peers leave every day.
func isOrdinaryEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
