package proxy

import (
	"io"
	"strings"
	"testing"
)

const (
	to4   = "PROXY TCP4 "
	to6   = "PROXY TCP6 "
	port4 = to4 + "192.0.2.1 198.51.100.2 "
	port6 = to6 + "::1 ::2 "
)

// bad holds headers that are cut behind the byte that spoils them: without it
// they are the beginning of a good one.
var bad = []struct{ name, in, want string }{
	// Not the protocol at all.
	{"HTTP", "G", "proxy: not a PROXY header"},
	{"HTTP POST", "PO", "proxy: not a PROXY header"},
	{"HTTP PROPFIND", "PROP", "proxy: not a PROXY header"},
	{"TLS", "\x16", "proxy: not a PROXY header"},
	{"NUL", "\x00", "proxy: not a PROXY header"},
	{"LF", "\n", "proxy: not a PROXY header"},
	{"space first", " ", "proxy: not a PROXY header"},
	{"lower case", "p", "proxy: not a PROXY header"},
	{"lower case behind P", "Pr", "proxy: not a PROXY header"},
	{"tab for space", "PROXY\t", "proxy: not a PROXY header"},
	{"PROXY alone", "PROXY\r", "proxy: not a PROXY header"},
	{"PROXY2", "PROXY2", "proxy: not a PROXY header"},
	{"empty lines", "\r\n\r\n\r", "proxy: not a PROXY header"},
	{"CR CR", "\r\r", "proxy: not a PROXY header"},
	{"signature, last byte", signature[:11] + "\r", "proxy: not a PROXY header"},
	{"signature, QUIT", signature[:9] + "i", "proxy: not a PROXY header"},

	// Version 1: the protocol.
	{"two spaces", "PROXY  ", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"no protocol", "PROXY \r", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"UDP4", "PROXY UD", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"lower case protocol", "PROXY t", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"TCP5", "PROXY TCP5", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"TCP", "PROXY TCP ", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"TCP46", "PROXY TCP46", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"TCP4 and CRLF", "PROXY TCP4\r", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"UNKNOWS", "PROXY UNKNOWS", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"UNKNOWNS", "PROXY UNKNOWNS", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"UNKNOWN and LF", "PROXY UNKNOWN\n", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"UNKNOWN and tab", "PROXY UNKNOWN\t", "proxy: protocol is not TCP4, TCP6 or UNKNOWN"},
	{"UNKNOWN and CR", "PROXY UNKNOWN\r ", "proxy: line does not end with CRLF"},
	{"UNKNOWN without end", "PROXY UNKNOWN " + strings.Repeat("x", 92), "proxy: line longer than 107 bytes"},
	{"UNKNOWN with LF", "PROXY UNKNOWN " + strings.Repeat("\n", 92), "proxy: line longer than 107 bytes"},
	{"UNKNOWN, CR and no LF", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\rx", "proxy: line longer than 107 bytes"},

	// Version 1: IPv4 addresses.
	{"two spaces", to4 + " ", "proxy: malformed IPv4 address"},
	{"no address", to4 + "\r", "proxy: malformed IPv4 address"},
	{"IPv6 in TCP4", to4 + ":", "proxy: malformed IPv4 address"},
	{"IPv6 in TCP4, digits", to4 + "1:", "proxy: malformed IPv4 address"},
	{"name", to4 + "l", "proxy: malformed IPv4 address"},
	{"minus", to4 + "-", "proxy: malformed IPv4 address"},
	{"plus", to4 + "1.+", "proxy: malformed IPv4 address"},
	{"256", to4 + "256", "proxy: malformed IPv4 address"},
	{"999", to4 + "1.2.3.999", "proxy: malformed IPv4 address"},
	{"4 digits", to4 + "1000", "proxy: malformed IPv4 address"},
	{"leading zero", to4 + "01", "proxy: malformed IPv4 address"},
	{"00", to4 + "1.00", "proxy: malformed IPv4 address"},
	{"hex", to4 + "0x", "proxy: malformed IPv4 address"},
	{"empty number", to4 + "1..", "proxy: malformed IPv4 address"},
	{"3 numbers", to4 + "1.2.3 ", "proxy: malformed IPv4 address"},
	{"5 numbers", to4 + "1.2.3.4.", "proxy: malformed IPv4 address"},
	{"prefix length", to4 + "1.2.3.4/", "proxy: malformed IPv4 address"},
	{"tab behind address", to4 + "1.2.3.4\t", "proxy: malformed IPv4 address"},
	{"one address", to4 + "1.2.3.4\r", "proxy: malformed IPv4 address"},
	{"IPv6 destination", to4 + "1.2.3.4 20:", "proxy: malformed IPv4 address"},
	{"two spaces between", to4 + "1.2.3.4  ", "proxy: malformed IPv4 address"},
	{"other digits", to4 + "\xd9", "proxy: malformed IPv4 address"},

	// Version 1: IPv6 addresses.
	{"no address", to6 + "\r", "proxy: malformed IPv6 address"},
	{"IPv4 in TCP6", to6 + "192.", "proxy: malformed IPv6 address"},
	{"bracket", to6 + "[", "proxy: malformed IPv6 address"},
	{"5 digits", to6 + "12345", "proxy: malformed IPv6 address"},
	{"not hex", to6 + "g", "proxy: malformed IPv6 address"},
	{"one colon first", to6 + ":1", "proxy: malformed IPv6 address"},
	{"one colon last", to6 + "1: ", "proxy: malformed IPv6 address"},
	{"three colons", to6 + ":::", "proxy: malformed IPv6 address"},
	{"three colons inside", to6 + "1:::", "proxy: malformed IPv6 address"},
	{"two gaps", to6 + "1::2::", "proxy: malformed IPv6 address"},
	{"gap and a colon last", to6 + "::1: ", "proxy: malformed IPv6 address"},
	{"7 groups", to6 + "1:2:3:4:5:6:7 ", "proxy: malformed IPv6 address"},
	{"9 groups", to6 + "1:2:3:4:5:6:7:8:", "proxy: malformed IPv6 address"},
	{"gap of nothing last", to6 + "::1:2:3:4:5:6:7:", "proxy: malformed IPv6 address"},
	{"gap of nothing inside", to6 + "1:2:3::5:6:7:8:", "proxy: malformed IPv6 address"},
	{"group behind the last gap", to6 + "1:2:3:4:5:6:7::8", "proxy: malformed IPv6 address"},
	{"zone", to6 + "fe80::1%", "proxy: malformed IPv6 address"},
	{"quad too early", to6 + "1:2:3:4:5:6.", "proxy: malformed IPv6 address"},
	{"quad too late", to6 + "1:2:3:4:5:6:7:8.", "proxy: malformed IPv6 address"},
	{"quad and a gap of nothing", to6 + "1:2:3:4:5:6::8.", "proxy: malformed IPv6 address"},
	{"quad of 3", to6 + "::1.2.3 ", "proxy: malformed IPv6 address"},
	{"quad of 5", to6 + "::1.2.3.4.", "proxy: malformed IPv6 address"},
	{"quad and group", to6 + "::1.2.3.4:", "proxy: malformed IPv6 address"},
	{"quad with leading zero", to6 + "::01.", "proxy: malformed IPv6 address"},
	{"quad with 256", to6 + "::256.", "proxy: malformed IPv6 address"},
	{"quad with hex", to6 + "::1.a", "proxy: malformed IPv6 address"},
	{"quad that begins with hex", to6 + "::a.", "proxy: malformed IPv6 address"},
	{"IPv4 destination", to6 + "::1 1.", "proxy: malformed IPv6 address"},
	{"LF behind address", to6 + "::1\n", "proxy: malformed IPv6 address"},

	// Version 1: ports and the end.
	{"no ports", port4 + "\r", "proxy: malformed port"},
	{"two spaces", port4 + " ", "proxy: malformed port"},
	{"minus", port4 + "-", "proxy: malformed port"},
	{"plus", port4 + "+", "proxy: malformed port"},
	{"65536", port4 + "65536", "proxy: malformed port"},
	{"6 digits", port6 + "100000", "proxy: malformed port"},
	{"leading zero", port4 + "08", "proxy: malformed port"},
	{"hex", port4 + "0x", "proxy: malformed port"},
	{"name", port6 + "h", "proxy: malformed port"},
	{"one port", port4 + "1\r", "proxy: malformed port"},
	{"comma", port4 + "1,", "proxy: malformed port"},
	{"no second port", port6 + "1 \r", "proxy: malformed port"},
	{"second 65536", port6 + "1 65536", "proxy: malformed port"},
	{"second with leading zero", port6 + "1 00", "proxy: malformed port"},
	{"space last", port4 + "1 2 ", "proxy: line does not end with CRLF"},
	{"LF", port4 + "1 2\n", "proxy: line does not end with CRLF"},
	{"CR and more", port4 + "1 2\rG", "proxy: line does not end with CRLF"},
	{"CR CR LF", port4 + "1 2\r\r", "proxy: line does not end with CRLF"},
	{"NUL", port6 + "1 2\x00", "proxy: line does not end with CRLF"},
	{"two long addresses", to6 + strings.Repeat("0000:0000:0000:0000:0000:ffff:192.168.100.100 ", 2) + "1 2",
		"proxy: line longer than 107 bytes"},

	// Version 2: the head.
	{"version 1", signature + "\x11", "proxy: version is not 2"},
	{"version 3", signature + "\x31", "proxy: version is not 2"},
	{"version 0 LOCAL", signature + "\x00", "proxy: version is not 2"},
	{"version before command", signature + "\xff", "proxy: version is not 2"},
	{"command 2", signature + "\x22", "proxy: unknown command"},
	{"command 15", signature + "\x2f", "proxy: unknown command"},
	{"family 4", signature + "\x21\x41", "proxy: unknown address family"},
	{"family 15", signature + "\x21\xf0", "proxy: unknown address family"},
	{"transport 3", signature + "\x21\x13", "proxy: unknown transport protocol"},
	{"transport 15 without family", signature + "\x21\x0f", "proxy: unknown transport protocol"},
	{"4352 bytes", signature + "\x21\x11\x11", "proxy: block longer than 4096 bytes"},
	{"65535 bytes", signature + "\x21\x11\xff", "proxy: block longer than 4096 bytes"},
	{"LOCAL and 65280 bytes", signature + "\x20\x00\xff", "proxy: block longer than 4096 bytes"},
	{"TCP4 of 0 bytes", signature + "\x21\x11\x00\x00", "proxy: block shorter than its addresses"},
	{"TCP4 of 11 bytes", signature + "\x21\x11\x00\x0b", "proxy: block shorter than its addresses"},
	{"UDP4 of 11 bytes", signature + "\x21\x12\x00\x0b", "proxy: block shorter than its addresses"},
	{"TCP6 of 35 bytes", signature + "\x21\x21\x00\x23", "proxy: block shorter than its addresses"},
	{"UNIX of 215 bytes", signature + "\x21\x31\x00\xd7", "proxy: block shorter than its addresses"},

	// Version 2: the vectors.
	{"1 byte left", signature + "\x21\x11\x00\x0d", "proxy: vector does not fit the block"},
	{"2 bytes left", signature + "\x21\x21\x00\x26", "proxy: vector does not fit the block"},
	{"2 bytes left behind a vector", v2(0x21, 0x11, block4+vector(4, "")+"\x01\x00")[:31], "proxy: vector does not fit the block"},
	{"1 byte too long", v2(0x21, 0x11, block4+"\x01\x00\x03h2")[:31], "proxy: vector does not fit the block"},
	{"256 bytes too long", v2(0x21, 0x11, block4+"\x01\x01\x02h2")[:30], "proxy: vector does not fit the block"},
	{"second too long", v2(0x21, 0x11, block4+vector(4, "")+"\x01\x00\x01")[:34], "proxy: vector does not fit the block"},
	{"checksum of 0 bytes", v2(0x21, 0x11, block4+"\x03\x00\x00"), "proxy: checksum is not 4 bytes long"},
	{"checksum of 3 bytes", v2(0x21, 0x11, block4+vector(3, "abc"))[:31], "proxy: checksum is not 4 bytes long"},
	{"checksum of 8 bytes", v2(0x21, 0x21, block6+vector(3, "abcdefgh"))[:55], "proxy: checksum is not 4 bytes long"},
	{"two checksums", v2(0x21, 0x11, block4+emptySum+emptySum)[:36], "proxy: repeated checksum"},
	{"checksum 0", v2(0x21, 0x11, block4+emptySum), "proxy: wrong checksum"},
	{"checksum off by one bit", spoil(summed(v2(0x21, 0x11, block4+emptySum)), 34), "proxy: wrong checksum"},
	{"address off by one bit", spoil(summed(v2(0x21, 0x11, block4+emptySum)), 16), "proxy: wrong checksum"},
	{"value off by one bit", spoil(awsNLB, 44), "proxy: wrong checksum"},
	{"last byte off by one bit", spoil(awsNLB, len(awsNLB)-1), "proxy: wrong checksum"},
	{"UNIX with a wrong checksum", v2(0x21, 0x31, blockUnix+emptySum), "proxy: wrong checksum"},
}

// spoil changes one bit of the byte at i.
func spoil(s string, i int) string { return s[:i] + string([]byte{s[i] ^ 1}) + s[i+1:] }

func TestBad(t *testing.T) {
	for _, tt := range bad {
		for _, more := range []string{"", "\r\n", " ", "\x00", strings.Repeat("\r\n", 3000)} {
			h, n, err := Parse([]byte(tt.in + more))
			if h != (Header{}) || n != 0 || err == nil || err == io.ErrUnexpectedEOF || more == "" && err.Error() != tt.want {
				t.Errorf("%s: %q before %.9q: got %+v, %d, %v, want %s", tt.name, tt.in, more, h, n, err, tt.want)
			}
		}
		// Refused as soon as possible, and not sooner.
		before := tt.in[:len(tt.in)-1]
		if _, _, err := Parse([]byte(before)); err != io.ErrUnexpectedEOF {
			t.Errorf("%s: %q: got %v, want more", tt.name, before, err)
		}
	}
}

func TestErrorType(t *testing.T) {
	_, _, err := Parse([]byte("GET"))
	if e, ok := err.(*Error); !ok || e.Reason != "not a PROXY header" {
		t.Errorf("got %#v, want an *Error with its reason", err)
	}
}
