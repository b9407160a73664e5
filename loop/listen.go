package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// probe binds addr once without SO_REUSEPORT, which would let a second process
// share the port in silence, and returns the address with its real port.
func probe(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("listen address %s is already in use", addr)
	}
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w", addr, err)
	}
	host, _, err := net.SplitHostPort(addr)
	port := ln.Addr().(*net.TCPAddr).Port
	if cerr := ln.Close(); err == nil {
		err = cerr
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

// unlisten takes the listening sockets on addrs out of their epoll sets and
// shuts them down. gnet cannot close a listener without closing every
// connection; its own later close of the descriptor does no harm.
func unlisten(addrs []string) error {
	ports := map[int]bool{}
	for _, a := range addrs {
		_, p, err := net.SplitHostPort(a)
		if err != nil {
			return fmt.Errorf("listen address %s: %w", a, err)
		}
		n, err := strconv.Atoi(p)
		if err != nil {
			return fmt.Errorf("listen address %s: %w", a, err)
		}
		ports[n] = true
	}
	sets, err := epollSets()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range sets {
		for _, fd := range s.targets {
			if ports[listeningPort(fd)] {
				errs = append(errs,
					unix.EpollCtl(s.fd, unix.EPOLL_CTL_DEL, fd, nil),
					unix.Shutdown(fd, unix.SHUT_RDWR))
			}
		}
	}
	return errors.Join(errs...)
}

// listeningPort is the port that fd listens on; 0 if it is no listening socket.
func listeningPort(fd int) int {
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
		return 0
	}
	switch sa, _ := unix.Getsockname(fd); sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	return 0
}

// setKeepAlive lets the kernel find peers that vanished without a word. gnet's
// own option for it hides a port that is in use.
func setKeepAlive(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
}

// isOrdinaryEnd reports the ways in which peers leave every day.
func isOrdinaryEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
