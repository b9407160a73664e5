package limit

import "net/netip"

// Host is who stands behind an address, given with or without a port: an IPv4
// address, or the /64 of an IPv6 address, of which anybody has a whole one. ok is
// false when addr is no address.
func Host(addr string) (host netip.Prefix, ok bool) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			return netip.Prefix{}, false
		}
		a = ap.Addr()
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	host, err = a.Prefix(bits)
	return host, err == nil
}
