package transport

import (
	"net/netip"
	"strings"
	"testing"
)

// TestConnectionsPerAddress at limit-1, limit and limit+1.
func TestConnectionsPerAddress(t *testing.T) {
	for _, tt := range []struct {
		remote  string
		limited bool
	}{
		{"192.0.2.1:#", true}, {"[2001:db8::#]:1", true}, {"[::ffff:192.0.2.1]:#", true},
		{"127.0.0.1:#", false}, {"[::1]:#", false}, {"[::ffff:127.0.0.1]:#", false}, {"10.0.0.1:#", false}, {"@", false},
	} {
		r := newRig(Config{ConnectionsPerAddress: 3, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, &script{})
		open := func(n int) bool {
			p := r.Open(strings.ReplaceAll(tt.remote, "#", string(rune('0'+n))), 0)
			if p.Conn != nil && n == 3 {
				defer p.Hangup()
			}
			return p.Conn != nil
		}
		for n := 1; n <= 3; n++ {
			if !open(n) {
				t.Errorf("%s: connection %d is refused", tt.remote, n)
			}
		}
		if !open(4) { // the third has gone
			t.Errorf("%s: refused although one has left", tt.remote)
		}
		if open(5) == tt.limited {
			t.Errorf("%s: a connection over the limit: open %v", tt.remote, !tt.limited)
		}
		if other := r.Open("198.51.100.7:1", 0); other.Conn == nil {
			t.Errorf("%s: another address is refused", tt.remote)
		}
	}
	r := newRig(Config{}, &script{})
	for range 2000 {
		if r.Open("192.0.2.1:1", 0).Conn == nil {
			t.Fatal("refused without a limit")
		}
	}
}
