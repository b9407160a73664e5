package transport

import (
	"bytes"
	"iter"
	"net/netip"
)

// unixPeer is what the loop calls who has connected to a unix socket.
const unixPeer = "unix"

// clientAddr finds the client behind trusted proxies: walking X-Forwarded-For
// from the right, the first address that is not a trusted proxy. What stands
// further left was written by the client itself and proves nothing.
// trustUnix makes the peer of a unix socket one.
func clientAddr(peer string, lines iter.Seq[[]byte], trusted []netip.Prefix, trustUnix bool) string {
	if peer == unixPeer {
		if !trustUnix {
			return peer
		}
	} else if ap, err := netip.ParseAddrPort(peer); err != nil || !isTrusted(ap.Addr(), trusted) {
		return peer
	}
	var hops [][]byte
	for line := range lines {
		hops = append(hops, bytes.Split(line, []byte(","))...)
	}
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := parseHop(string(bytes.TrimSpace(hops[i])))
		if err != nil {
			break
		}
		client = addr.String()
		if !isTrusted(addr, trusted) {
			break
		}
	}
	return client
}

// parseHop reads one element of X-Forwarded-For: an address, with or without a
// port, in brackets or not. A zone is dropped: it means nothing on this machine,
// and it may hold any text.
func parseHop(s string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), nil
	}
	if n := len(s) - 1; n > 0 && s[0] == '[' && s[n] == ']' {
		s = s[1:n]
	}
	a, err := netip.ParseAddr(s)
	return plain(a), err
}

// plain is a without zone, and as IPv4 if that is what it stands for.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	a = plain(a)
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
