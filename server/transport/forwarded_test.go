package transport

import (
	"net/netip"
	"slices"
	"testing"
)

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10")}
	tests := []struct {
		peer  string
		lines []string
		want  string
	}{
		{"192.0.2.1:5", []string{"203.0.113.1"}, "192.0.2.1:5"}, // not a proxy of ours: it may write what it likes
		{"10.0.0.1:5", nil, "10.0.0.1:5"},
		{"10.0.0.1:5", []string{"203.0.113.1"}, "203.0.113.1"},
		{"10.0.0.1:5", []string{"1.1.1.1, 203.0.113.1, 10.9.9.9"}, "203.0.113.1"},
		{"10.0.0.1:5", []string{"1.1.1.1", "203.0.113.1", " 10.9.9.9 "}, "203.0.113.1"},
		{"10.0.0.1:5", []string{"10.1.1.1, 10.2.2.2"}, "10.1.1.1"},
		{"10.0.0.1:5", []string{"203.0.113.1, garbage"}, "10.0.0.1:5"},
		{"10.0.0.1:5", []string{"garbage, 203.0.113.1"}, "203.0.113.1"},
		{"10.0.0.1:5", []string{"1.1.1.1, unknown, 10.2.2.2"}, "10.2.2.2"},
		{"10.0.0.1:5", []string{""}, "10.0.0.1:5"},
		{"10.0.0.1:5", []string{"203.0.113.1:4711"}, "203.0.113.1"},
		{"10.0.0.1:5", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"10.0.0.1:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1:5", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:5", []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{"10.0.0.1:5", []string{"fe80::1%\x1b[2J, 10.1.1.1"}, "fe80::1"},
		{"10.0.0.1:5", []string{"[]"}, "10.0.0.1:5"},
		{"[::ffff:10.0.0.1]:5", []string{"203.0.113.1"}, "203.0.113.1"},
		{"[fd00::1]:5", []string{"203.0.113.1"}, "203.0.113.1"},
		{"[fe80::1%eth0]:5", []string{"203.0.113.1"}, "203.0.113.1"},
		{"", []string{"203.0.113.1"}, ""},
		{"unix", []string{"203.0.113.1"}, "unix"},
	}
	for _, tt := range tests {
		var lines [][]byte
		for _, l := range tt.lines {
			lines = append(lines, []byte(l))
		}
		if got := clientAddr(tt.peer, slices.Values(lines), trusted, false); got != tt.want {
			t.Errorf("clientAddr(%q, %q) = %q, want %q", tt.peer, tt.lines, got, tt.want)
		}
	}
}

func TestClientAddrUnix(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for line, want := range map[string]string{
		"": "unix", "203.0.113.1": "203.0.113.1", "1.1.1.1, 203.0.113.1, 10.9.9.9": "203.0.113.1", "garbage": "unix",
	} {
		if got := clientAddr("unix", slices.Values([][]byte{[]byte(line)}), trusted, true); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	if got := clientAddr("203.0.113.9:1", slices.Values([][]byte{[]byte("1.1.1.1")}), nil, true); got != "203.0.113.9:1" {
		t.Errorf("a peer of a TCP socket is trusted: %q", got)
	}
}

func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"203.0.113.1", "a, b", "[::1]:1, 10.0.0.1", "fe80::1%x", ",,,", "[", "[]"} {
		f.Add("10.0.0.1:5", s)
		f.Add(s, "1.1.1.1")
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, peer, line string) {
		got := clientAddr(peer, slices.Values([][]byte{[]byte(line)}), trusted, false)
		if got == peer {
			return
		}
		a, err := netip.ParseAddr(got)
		if err != nil || a.Zone() != "" {
			t.Errorf("client %q of %q, %q is no address", got, peer, line)
		}
		if ap, err := netip.ParseAddrPort(peer); err != nil || !isTrusted(ap.Addr(), trusted) {
			t.Errorf("peer %q is not trusted, and yet client is %q", peer, got)
		}
		// What the client wrote itself, further left, changes nothing.
		if !isTrusted(a, trusted) {
			if again := clientAddr(peer, slices.Values([][]byte{[]byte("1.2.3.4, "), []byte(line)}), trusted, false); again != got {
				t.Errorf("a spoofed hop changes %q to %q", got, again)
			}
		}
	})
}
