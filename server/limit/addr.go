package limit

import (
	"net/netip"
	"sync"
)

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

// Counter bounds how many of something each host has at once. Its memory is that of
// what is counted. Any goroutine.
type Counter struct {
	most int

	mu sync.Mutex
	n  map[netip.Prefix]int
}

// NewCounter returns a Counter that lets each host have most.
func NewCounter(most int) *Counter { return &Counter{most: most, n: map[netip.Prefix]int{}} }

// Enter counts one more, unless the host has most already.
func (c *Counter) Enter(host netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[host] >= c.most {
		return false
	}
	c.n[host]++
	return true
}

// Leave undoes one Enter.
func (c *Counter) Leave(host netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[host]--; c.n[host] <= 0 {
		delete(c.n, host)
	}
}

// Hosts is how many hosts have any.
func (c *Counter) Hosts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.n)
}
