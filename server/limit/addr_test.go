package limit

import (
	"net/netip"
	"testing"
)

func TestHost(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "192.0.2.1:80": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "[::ffff:192.0.2.1]:80": "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:443": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
		"": "", "x": "", "192.0.2.1:x": "", "@": "",
	} {
		host, ok := Host(addr)
		if ok != (want != "") || ok && host.String() != want {
			t.Errorf("%q: %v %v, want %q", addr, host, ok, want)
		}
	}
}

// TestCounter at limit-1, limit and limit+1.
func TestCounter(t *testing.T) {
	c := NewCounter[netip.Prefix](3)
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	for i := 1; i <= 4; i++ {
		if ok := c.Enter(a); ok != (i <= 3) {
			t.Errorf("%d: %v", i, ok)
		}
	}
	if !c.Enter(b) {
		t.Error("another host is refused")
	}
	c.Leave(a)
	if !c.Enter(a) {
		t.Error("refused although one has left")
	}
	for range 3 {
		c.Leave(a)
	}
	c.Leave(b)
	if n := c.Keys(); n != 0 {
		t.Errorf("%d hosts are remembered", n)
	}
}
