package server

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"

	"millrace/loop"
	"millrace/server/transport"
)

// Listener is an additional address to serve.
type Listener struct {
	// Addr is "host:port", or "unix:" and the absolute path of a socket: then Mode
	// says who may connect, 0600 by default, and Owner to whom it belongs. A socket
	// that nobody listens on is replaced, and what is no socket is left alone.
	Addr  string
	Mode  fs.FileMode
	Owner *Owner
	// HTTPOnly and WebSocketOnly restrict the address to one protocol.
	HTTPOnly, WebSocketOnly bool
	// TLS makes it an address of TLS. The versions are 1.2 and 1.3 and the protocol is
	// http/1.1, whatever it says. Clients whose certificate it verifies are known by it
	// to an Authenticator such as auth.Certificates. cert.Files makes one of files.
	TLS *tls.Config
	// ProxyProtocol has proxies in ProxyFrom, or on a unix socket everybody, begin each
	// connection with a PROXY header, of version 1 or 2: it names the client, in the
	// place of the proxy. Without the header their connections are closed.
	ProxyProtocol bool
	ProxyFrom     []netip.Prefix
}

// Owner is who a unix socket belongs to; -1 leaves one of the two as it is.
type Owner = loop.Owner

// Addrs are the addresses being served, with real port numbers; nil when the
// server does not run. Any goroutine.
func (s *Server) Addrs() []string {
	if r := s.running.Load(); r != nil && r.engine != nil {
		return r.engine.Addrs()
	}
	return nil
}

// listeners are all addresses in the order of Addrs.
func (s *Server) listeners() []Listener {
	var all []Listener
	switch {
	case s.Addr != "":
		all = append(all, Listener{Addr: s.Addr})
	case len(s.Listeners) == 0:
		all = append(all, Listener{Addr: "127.0.0.1:8080"})
	}
	return append(all, s.Listeners...)
}

// loopListeners are the listeners for the engine, and what the transport has to know
// of them.
func (s *Server) loopListeners() (all []loop.Listener, known []transport.Listener, err error) {
	for i, l := range s.listeners() {
		loopback, err := s.checkBind(l.Addr)
		if err != nil {
			return nil, nil, err
		}
		proxy, err := l.proxy()
		if err != nil {
			return nil, nil, err
		}
		known = append(known, transport.Listener{Loopback: loopback, HTTP: !l.WebSocketOnly, WebSocket: !l.HTTPOnly})
		all = append(all, loop.Listener{Addr: l.Addr, Tag: i, Mode: l.Mode, Owner: l.Owner, TLS: l.TLS, Proxy: proxy})
	}
	return all, known, nil
}

// proxy says which peers begin with a PROXY header; nil when none does.
func (l *Listener) proxy() (func(remote string) bool, error) {
	_, isUnix := loop.IsUnix(l.Addr)
	switch {
	case !l.ProxyProtocol && len(l.ProxyFrom) > 0:
		return nil, fmt.Errorf("listen address %s: ProxyFrom means nothing without ProxyProtocol", l.Addr)
	case !l.ProxyProtocol:
		return nil, nil
	case isUnix:
		return func(string) bool { return true }, nil
	case len(l.ProxyFrom) == 0:
		return nil, fmt.Errorf("listen address %s: ProxyProtocol needs the addresses of the proxies (ProxyFrom): anybody could claim to be anybody", l.Addr)
	}
	from := l.ProxyFrom
	return func(remote string) bool {
		ap, err := netip.ParseAddrPort(remote)
		if err != nil {
			return false
		}
		a := ap.Addr().Unmap().WithZone("")
		return slices.ContainsFunc(from, func(p netip.Prefix) bool { return p.Contains(a) })
	}, nil
}

// Endpoints are the URLs being served, for messages to people: http://... or
// https://... for every address that speaks HTTP, ws://... or wss://... for every one
// that speaks WebSocket,
// those of HTTP first, and unix sockets, which have no URL, as they are. Any
// goroutine.
func (s *Server) Endpoints() []string {
	path := s.Path
	if path == "" {
		path = "/mcp"
	}
	var urls, sockets, others []string
	listeners := s.listeners()
	for i, a := range s.Addrs() {
		if _, ok := loop.IsUnix(a); ok {
			others = append(others, a)
			continue
		}
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			continue
		}
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		at := net.JoinHostPort(host, port) + path
		secure := ""
		if listeners[i].TLS != nil {
			secure = "s"
		}
		if !listeners[i].WebSocketOnly {
			urls = append(urls, "http"+secure+"://"+at)
		}
		if !listeners[i].HTTPOnly {
			sockets = append(sockets, "ws"+secure+"://"+at)
		}
	}
	return slices.Concat(urls, sockets, others)
}

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
