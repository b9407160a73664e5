package generator

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// again tells crypto/tls that there is nothing to read now, without ending the connection.
type again struct{}

func (again) Error() string   { return "nothing to read now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// secure is the TLS of a connection. The handshake blocks the worker, which is why opening connections on TLS is slow;
// what follows runs in memory.
type secure struct {
	tls  *tls.Conn
	fd   int
	in   []byte // read from the socket
	out  []byte // to be written to it
	open bool
}

// shake does the handshake on fd, which is connected.
func shake(fd int, cfg *tls.Config) (*secure, error) {
	s := &secure{fd: fd}
	s.tls = tls.Client(s, cfg)
	if err := s.tls.Handshake(); err != nil {
		return nil, err
	}
	s.open = true
	return s, nil
}

// decrypt calls f with what is in b; plain is room for it.
func (s *secure) decrypt(b, plain []byte, f func([]byte) bool) error {
	s.in = b
	for {
		n, err := s.tls.Read(plain)
		if n > 0 && !f(plain[:n]) {
			return nil
		}
		if errors.Is(err, again{}) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// encrypt appends the records of b to dst.
func (s *secure) encrypt(dst, b []byte) ([]byte, error) {
	s.out = dst
	_, err := s.tls.Write(b)
	dst, s.out = s.out, nil
	return dst, err
}

// wait blocks until the socket is ready, for a few seconds at most.
func (s *secure) wait(events int16) error {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
	for {
		n, err := unix.Poll(fds, 10_000)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return errors.New("the server does not answer during the handshake")
		default:
			return nil
		}
	}
}

// Read implements net.Conn.
func (s *secure) Read(p []byte) (int, error) {
	if s.open {
		if len(s.in) == 0 {
			return 0, again{}
		}
		n := copy(p, s.in)
		s.in = s.in[n:]
		return n, nil
	}
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := s.wait(unix.POLLIN); err != nil {
				return 0, err
			}
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errors.New("closed during the handshake")
		default:
			return n, nil
		}
	}
}

// Write implements net.Conn.
func (s *secure) Write(p []byte) (int, error) {
	if s.open {
		s.out = append(s.out, p...)
		return len(p), nil
	}
	for done := 0; done < len(p); {
		n, err := unix.Write(s.fd, p[done:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := s.wait(unix.POLLOUT); err != nil {
				return done, err
			}
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, err
		default:
			done += n
		}
	}
	return len(p), nil
}

// Close implements net.Conn: the worker closes the socket.
func (s *secure) Close() error { return nil }

// LocalAddr implements net.Conn.
func (s *secure) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (s *secure) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn.
func (s *secure) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (s *secure) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (s *secure) SetWriteDeadline(time.Time) error { return nil }
