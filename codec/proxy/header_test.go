package proxy

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// v2 is a header of version 2: the bytes of command and kind, and a block.
func v2(command, kind byte, block string) string {
	return signature + string([]byte{command, kind, byte(len(block) >> 8), byte(len(block))}) + block
}

// vector is a type-length-value vector.
func vector(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// summed returns header with its checksum, four zeros for now, filled in.
func summed(header string) string {
	sum := crc32.Checksum([]byte(header), crc32.MakeTable(crc32.Castagnoli))
	empty := vector(typeCRC32C, "\x00\x00\x00\x00")
	return strings.Replace(header, empty, vector(typeCRC32C, string(binary.BigEndian.AppendUint32(nil, sum))), 1)
}

const (
	block4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb" // 192.0.2.1:56324 to 198.51.100.2:443
	block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x01\xbb"
	mapped6 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x01\xbb"
	emptySum = "\x03\x00\x04\x00\x00\x00\x00"
)

var blockUnix = "/run/a.sock" + strings.Repeat("\x00", 205)

// awsNLB is the example of the AWS Network Load Balancer in
// aws/elastic-load-balancing-tools: proof that our checksum is also theirs.
var awsNLB = v2(0x21, 0x11, "\xac\x1f\x07\x71\xac\x1f\x0a\x1f\xc8\xf2\x00\x50"+
	vector(typeCRC32C, "\xe8\xd6\x89\x2d")+vector(0xea, "\x01vpce-08d2bf15fac5001c9")+
	vector(0x04, strings.Repeat("\x00", 36)))

func from(version int, source, destination string) Header {
	return Header{
		Source:      netip.MustParseAddrPort(source),
		Destination: netip.MustParseAddrPort(destination),
		Version:     version,
	}
}

var (
	four  = from(1, "192.0.2.1:56324", "198.51.100.2:443")
	four2 = from(2, "192.0.2.1:56324", "198.51.100.2:443")
	six2  = from(2, "[2001:db8::1]:56324", "[2001:db8::2]:443")
	none  = Header{Version: 1}
	none2 = Header{Version: 2}
	local = Header{Version: 2, Local: true}
)

var good = []struct {
	name, in string
	want     Header
}{
	{"TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", four},
	{"TCP4 shortest", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", from(1, "0.0.0.0:0", "0.0.0.0:0")},
	{"TCP4 longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		from(1, "255.255.255.255:65535", "255.255.255.255:65535")},
	{"TCP4 zeros and tens", "PROXY TCP4 10.0.100.0 1.20.0.200 10 100\r\n", from(1, "10.0.100.0:10", "1.20.0.200:100")},
	{"TCP6", "PROXY TCP6 2001:db8::1 2001:DB8::aBcD 56324 443\r\n", from(1, "[2001:db8::1]:56324", "[2001:db8::abcd]:443")},
	{"TCP6 shortest", "PROXY TCP6 :: :: 0 0\r\n", from(1, "[::]:0", "[::]:0")},
	{"TCP6 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		from(1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")},
	{"TCP6 gap at the ends", "PROXY TCP6 ::1 fe80:: 1 2\r\n", from(1, "[::1]:1", "[fe80::]:2")},
	{"TCP6 gap of one group", "PROXY TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2\r\n", from(1, "[1:2:3:4:5:6:7:0]:1", "[0:2:3:4:5:6:7:8]:2")},
	{"TCP6 gap between", "PROXY TCP6 1::8 1:2:3::5:6:7:8 1 2\r\n", from(1, "[1::8]:1", "[1:2:3:0:5:6:7:8]:2")},
	{"TCP6 zeros written out", "PROXY TCP6 0001:0:00:000:0000:0:0:1 ::0:1 1 2\r\n", from(1, "[1::1]:1", "[::1]:2")},
	{"TCP6 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 1 2\r\n", from(1, "192.0.2.1:1", "198.51.100.2:2")},
	{"TCP6 one mapped", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n", from(1, "192.0.2.1:1", "[2001:db8::1]:2")},
	{"TCP6 quad", "PROXY TCP6 64:ff9b::192.0.2.1 1:2:3:4:5:6:7.8.9.10 1 2\r\n", from(1, "[64:ff9b::c000:201]:1", "[1:2:3:4:5:6:708:90a]:2")},
	{"TCP6 gap of one group before a quad", "PROXY TCP6 1:2:3:4:5::7.8.9.10 ::2:3:4:5:6:7.8.9.10 1 2\r\n",
		from(1, "[1:2:3:4:5:0:708:90a]:1", "[0:2:3:4:5:6:708:90a]:2")},
	{"UNKNOWN", "PROXY UNKNOWN\r\n", none},
	{"UNKNOWN and space", "PROXY UNKNOWN \r\n", none},
	{"UNKNOWN with addresses", "PROXY UNKNOWN ffff:f::ffff ffff:f::ffff 65535 65535\r\n", none},
	{"UNKNOWN with anything", "PROXY UNKNOWN \x00\xff\t TCP4 \r \n \r\r\n", none},

	{"v2 TCP4", v2(0x21, 0x11, block4), four2},
	{"v2 TCP6", v2(0x21, 0x21, block6), six2},
	{"v2 TCP6 mapped", v2(0x21, 0x21, mapped6), from(2, "192.0.2.1:56324", "[2001:db8::2]:443")},
	{"v2 UDP4", v2(0x21, 0x12, block4), none2},
	{"v2 UDP6", v2(0x21, 0x22, block6), none2},
	{"v2 UNIX stream", v2(0x21, 0x31, blockUnix), none2},
	{"v2 UNIX datagram", v2(0x21, 0x32, blockUnix+vector(1, "h2")), none2},
	{"v2 UNSPEC", v2(0x21, 0x00, ""), none2},
	{"v2 UNSPEC with a block", v2(0x21, 0x00, "what this is nobody knows"), none2},
	{"v2 family UNSPEC", v2(0x21, 0x01, "\x03"), none2},
	{"v2 transport UNSPEC", v2(0x21, 0x10, block4[:8]), none2},
	{"v2 LOCAL", v2(0x20, 0x00, ""), local},
	{"v2 LOCAL with addresses", v2(0x20, 0x11, block4), local},
	{"v2 LOCAL with a short block", v2(0x20, 0x21, block4), local},
	{"v2 LOCAL of an unknown kind", v2(0x20, 0xff, "x"), local},
	{"v2 vectors", v2(0x21, 0x11, block4+vector(0x01, "h2")+vector(0x04, "")+vector(0xea, strings.Repeat("x", 300))), four2},
	{"v2 smallest vector", v2(0x21, 0x21, block6+vector(0x04, "")), six2},
	{"v2 checksum", summed(v2(0x21, 0x11, block4+emptySum)), four2},
	{"v2 checksum between vectors", summed(v2(0x21, 0x21, block6+vector(1, "h2")+emptySum+vector(4, "\x00"))), six2},
	{"v2 checksum of UNIX", summed(v2(0x21, 0x31, blockUnix+emptySum)), none2},
	{"v2 checksum inside a value", v2(0x21, 0x11, block4+vector(0x20, emptySum)), four2},
	{"v2 of the AWS NLB", awsNLB, from(2, "172.31.7.113:51442", "172.31.10.31:80")},
}

func TestGood(t *testing.T) {
	for _, tt := range good {
		for _, more := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\r\n", tt.in} {
			h, n, err := Parse([]byte(tt.in + more))
			if h != tt.want || n != len(tt.in) || err != nil {
				t.Errorf("%s: %q before %q: got %+v, %d, %v, want %+v, %d", tt.name, tt.in, more, h, n, err, tt.want, len(tt.in))
			}
		}
	}
}

func TestEverySplit(t *testing.T) {
	for _, tt := range good {
		for i := range len(tt.in) {
			h, n, err := Parse([]byte(tt.in[:i]))
			if h != (Header{}) || n != 0 || err != io.ErrUnexpectedEOF {
				t.Errorf("%s: %q: got %+v, %d, %v, want more", tt.name, tt.in[:i], h, n, err)
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	for _, tt := range good {
		in := []byte(tt.in)
		if n := testing.AllocsPerRun(100, func() { Parse(in) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	for _, tt := range bad {
		in := []byte(tt.in)
		if n := testing.AllocsPerRun(100, func() { Parse(in) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
