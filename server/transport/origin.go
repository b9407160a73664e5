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
		h = strings.ToLower(h)
		if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
			h = h[1 : len(h)-1] // as hostName has it
		}
		g.hosts[h] = true
	}
	for _, o := range origins {
		o = strings.TrimSuffix(strings.ToLower(o), "/")
		if scheme, authority, ok := strings.Cut(o, "://"); ok {
			o = scheme + "://" + string(dropDefaultPort([]byte(scheme), []byte(authority)))
		}
		g.origins[o] = true
	}
	return g
}

// objection says why a request must not be served at all; "" when it may. origin
// and site, the Sec-Fetch-Site field, are nil when they are absent.
func (g *originGuard) objection(host, origin, site []byte, loopback bool) string {
	switch {
	case !g.hostAllowed(host, loopback):
		return "Host is not allowed here: name this server by its loopback name, or list the host in --allowed-hosts"
	case origin != nil && !g.originAllowed(origin, host):
		return "Origin is not allowed here: list it in --allowed-origins"
	case origin == nil && equalFold(site, "cross-site"):
		// A browser that fetches an image or follows a link sends no Origin.
		return "requests from pages of other sites are not allowed"
	}
	return ""
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
	scheme, authority, ok := bytes.Cut(origin, []byte("://"))
	if ok {
		authority = dropDefaultPort(scheme, authority)
		if isWebScheme(scheme) && len(host) > 0 && equalFold(authority, string(dropDefaultPort(scheme, host))) {
			return true
		}
	}
	if len(g.origins) == 0 {
		return false
	}
	listed := lowerString(origin)
	if ok {
		listed = listed[:len(scheme)+len("://")+len(authority)]
	}
	return g.origins["*"] || g.origins[listed]
}

func isWebScheme(s []byte) bool { return equalFold(s, "http") || equalFold(s, "https") }

// dropDefaultPort cuts off a port that the scheme implies: browsers leave it
// out, proxies may not.
func dropDefaultPort(scheme, authority []byte) []byte {
	switch {
	case equalFold(scheme, "http"):
		return bytes.TrimSuffix(authority, []byte(":80"))
	case equalFold(scheme, "https"):
		return bytes.TrimSuffix(authority, []byte(":443"))
	}
	return authority
}

// hostName cuts the port off a Host value, and the brackets off an IPv6 address.
func hostName(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		i := bytes.IndexByte(host, ']')
		if i < 0 || i+1 < len(host) && host[i+1] != ':' {
			return host // nobody's name
		}
		return host[1:i]
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
