package transport

import (
	"bytes"
	"net/netip"
	"strings"
)

// originGuard protects against DNS rebinding and cross-site requests by Host
// and Origin (26:basic/transports/streamable-http, "Security & Endpoint").
// It is immutable.
type originGuard struct {
	hosts   map[string]bool // lower case
	origins map[string]bool // lower case scheme://host[:port]
}

func newOriginGuard(hosts, origins []string) originGuard {
	g := originGuard{hosts: map[string]bool{}, origins: map[string]bool{}}
	for _, h := range hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	for _, o := range origins {
		g.origins[strings.TrimSuffix(strings.ToLower(o), "/")] = true
	}
	return g
}

// hostAllowed judges a Host field. A page in a browser that resolves its own
// name to 127.0.0.1 still sends that name, so on a loopback address only
// loopback names are let in unless a list says otherwise.
func (g *originGuard) hostAllowed(host []byte, loopback bool) bool {
	if len(g.hosts) > 0 {
		h := lowerString(host)
		return g.hosts[h] || g.hosts[string(hostName([]byte(h)))]
	}
	return !loopback || isLoopbackName(hostName(host))
}

// originAllowed judges a present Origin field: it must be this very host, or
// listed. "null" (sandboxed frames, files) is neither.
func (g *originGuard) originAllowed(origin, host []byte) bool {
	_, authority, ok := bytes.Cut(origin, []byte("://"))
	if ok && len(host) > 0 && equalFold(authority, string(host)) && isWebScheme(origin[:len(origin)-len(authority)-3]) {
		return true
	}
	return len(g.origins) > 0 && (g.origins["*"] || g.origins[lowerString(origin)])
}

func isWebScheme(s []byte) bool { return equalFold(s, "http") || equalFold(s, "https") }

// hostName cuts the port off a Host value.
func hostName(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		if i := bytes.IndexByte(host, ']'); i > 0 {
			return host[1:i]
		}
		return host
	}
	name, _, _ := bytes.Cut(host, []byte(":"))
	return name
}

// isLoopbackName reports whether a host name can only mean this machine.
func isLoopbackName(name []byte) bool {
	if equalFold(name, "localhost") || string(name) == "127.0.0.1" {
		return true
	}
	addr, err := netip.ParseAddr(string(name))
	return err == nil && addr.Unmap().IsLoopback()
}
