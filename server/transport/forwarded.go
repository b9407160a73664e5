package transport

import (
	"bytes"
	"iter"
	"net/netip"
)

// clientAddr finds the client behind trusted proxies: walking X-Forwarded-For
// from the right, the first address that is not a trusted proxy. What stands
// further left was written by the client itself and proves nothing.
func clientAddr(peer string, lines iter.Seq[[]byte], trusted []netip.Prefix) string {
	ap, err := netip.ParseAddrPort(peer)
	if err != nil || !isTrusted(ap.Addr(), trusted) {
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
// port.
func parseHop(s string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr(), nil
	}
	return netip.ParseAddr(s)
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	a = a.Unmap()
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
