package server

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"millrace/loop"
)

// isLoopback reports whether a listen address is reachable from this machine
// alone. An empty host listens everywhere.
func isLoopback(addr string) (bool, error) {
	if _, ok := loop.IsUnix(addr); ok {
		return true, nil // the mode of the socket says who may connect
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("listen address %q: want host:port, such as 127.0.0.1:8080", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false, fmt.Errorf("listen address %q: %q is not a port", addr, port)
	}
	if strings.EqualFold(host, "localhost") {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback(), nil
}

// checkBind refuses to serve strangers without asking who they are: the most
// common way in which MCP servers have been taken over.
func (s *Server) checkBind(addr string) (loopback bool, err error) {
	loopback, err = isLoopback(addr)
	if err == nil && !loopback && s.Auth == nil && !s.Insecure {
		err = fmt.Errorf("refusing to listen on %s without authentication: bind 127.0.0.1, set Server.Auth, or allow it with --insecure (Server.Insecure)", addr)
	}
	return loopback, err
}
