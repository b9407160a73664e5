package auth

import (
	"net/netip"
	"testing"
)

// TestJudgeAddr: a name that an issuer's metadata gives leads to the public net, or
// nowhere.
func TestJudgeAddr(t *testing.T) {
	for _, tt := range []struct {
		addr          string
		public, named bool // allowed for a host that nobody has named, and for one that the operator has
	}{
		{"93.184.216.34", true, true}, {"2606:2800:220:1::1", true, true},
		{"127.0.0.1", false, true}, {"::1", false, true}, {"10.1.2.3", false, true}, {"192.168.0.1", false, true}, {"fd00::1", false, true},
		{"172.16.0.1", false, true}, {"::ffff:10.0.0.1", false, true}, {"100.64.0.1", false, true}, {"198.18.0.1", false, true},
		{"169.254.169.254", false, false}, {"::ffff:169.254.169.254", false, false}, {"fe80::1", false, false},
		{"0.0.0.0", false, false}, {"::", false, false}, {"224.0.0.1", false, false}, {"ff02::1", false, false},
		{"64:ff9b::a00:1", false, true}, {"2002:a00:1::1", false, true}, {"fec0::1", false, true}, {"::a00:1", false, true},
		{"255.255.255.255", false, true},
	} {
		a := netip.MustParseAddr(tt.addr)
		if err := judgeAddr(a, false); (err == nil) != tt.public {
			t.Errorf("%s: %v, want allowed %v", a, err, tt.public)
		}
		if err := judgeAddr(a, true); (err == nil) != tt.named {
			t.Errorf("%s, named by the operator: %v, want allowed %v", a, err, tt.named)
		}
	}
}

func TestMetadataURLs(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://as.example.com":         {"https://as.example.com/.well-known/oauth-authorization-server", "https://as.example.com/.well-known/openid-configuration"},
		"https://as.example.com/":        {"https://as.example.com/.well-known/oauth-authorization-server", "https://as.example.com/.well-known/openid-configuration"},
		"https://as.example.com/realm/a": {"https://as.example.com/.well-known/oauth-authorization-server/realm/a", "https://as.example.com/.well-known/openid-configuration/realm/a", "https://as.example.com/realm/a/.well-known/openid-configuration"},
	} {
		got, err := metadataURLs(issuer)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %q %v", issuer, got, err)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %s, want %s", issuer, got[i], want[i])
			}
		}
	}
}
