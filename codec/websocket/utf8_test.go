package websocket

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// The groups of the Autobahn test suite's section 6 (handling of UTF-8), after
// Markus Kuhn's decoder stress test. bad is how many bytes it takes to know
// that the text is invalid, -1 for valid, 0 for a text that ends inside a rune.
var utf8Cases = []struct {
	name string
	in   string
	bad  int
}{
	{"6.2 valid", "Hello-µ@ßöäüàá-UTF-8!!", -1},
	{"6.3 surrogate in text", "κόσμε\xed\xa0\x80edited", 12},
	{"6.4 over U+10FFFF", "κόσμε\xf4\x90\x80\x80edited", 12},
	{"6.5 short", "κόσμε", -1},
	{"6.6 cut after one byte", "\xce", 0},
	{"6.6 cut after a rune", "κ", -1},
	{"6.6 cut in the second rune", "κ\xe1\xbd", 0},
	{"6.7 first of length 1", "\x00", -1},
	{"6.7 first of length 2", "\xc2\x80", -1},
	{"6.7 first of length 3", "\xe0\xa0\x80", -1},
	{"6.7 first of length 4", "\xf0\x90\x80\x80", -1},
	{"6.8 length 5", "\xf8\x88\x80\x80\x80", 1},
	{"6.8 length 6", "\xfc\x84\x80\x80\x80\x80", 1},
	{"6.9 last of length 1", "\x7f", -1},
	{"6.9 last of length 2", "\xdf\xbf", -1},
	{"6.9 last of length 3", "\xef\xbf\xbf", -1},
	{"6.9 last of length 4", "\xf4\x8f\xbf\xbf", -1},
	{"6.10 last of 21 bits", "\xf7\xbf\xbf\xbf", 1},
	{"6.11 before surrogates", "\xed\x9f\xbf", -1},
	{"6.11 after surrogates", "\xee\x80\x80", -1},
	{"6.11 over the last", "\xf4\x90\x80\x80", 2},
	{"6.12 continuation byte", "\x80", 1},
	{"6.12 last continuation byte", "\xbf", 1},
	{"6.12 many", "\x80\xbf\x80\xbf", 1},
	{"6.13 starts of 2", "\xc2 \xc3 ", 2},
	{"6.13 starts of 3", "\xe1 \xe2 ", 2},
	{"6.13 starts of 4", "\xf1 \xf2 ", 2},
	{"6.14 last byte missing, 2", "\xc3", 0},
	{"6.14 last byte missing, 3", "\xef\xbf", 0},
	{"6.14 last byte missing, 4", "\xf3\xbf\xbf", 0},
	{"6.15 incomplete ones in a row", "\xc3\xef\xbf", 2},
	{"6.16 fe", "\xfe", 1},
	{"6.16 ff", "\xff", 1},
	{"6.17 overlong slash, 2", "\xc0\xaf", 1},
	{"6.17 overlong slash, 3", "\xe0\x80\xaf", 2},
	{"6.17 overlong slash, 4", "\xf0\x80\x80\xaf", 2},
	{"6.18 longest overlong, 2", "\xc1\xbf", 1},
	{"6.18 longest overlong, 3", "\xe0\x9f\xbf", 2},
	{"6.18 longest overlong, 4", "\xf0\x8f\xbf\xbf", 2},
	{"6.19 overlong NUL", "\xc0\x80", 1},
	{"6.20 single surrogate", "\xed\xbf\xbf", 2},
	{"6.21 paired surrogates", "\xed\xa0\x80\xed\xb0\x80", 2},
	{"6.22 not a character", "\xef\xbf\xbe\xf0\x9f\xbf\xbf", -1},
	{"6.23 replacement character", "\xef\xbf\xbd", -1},
}

func TestTextUTF8(t *testing.T) {
	for _, test := range utf8Cases {
		t.Run(test.name, func(t *testing.T) {
			var want uint16
			if test.bad >= 0 {
				want = CloseInvalidUTF8
			}
			frames := map[string][]byte{"one frame": text(test.in)}
			frames["a frame for each byte"] = byteFrames(test.in)
			for name, stream := range frames {
				for _, size := range []int{len(stream), 1, 2, 7} {
					var d Decoder
					events, err := feed(t, &d, slices.Collect(slices.Chunk(stream, size))...)
					if closeCode(err) != want {
						t.Errorf("%s, reads of %d: error = %v, want code %d", name, size, err, want)
					}
					if want == 0 && (len(events) != 1 || events[0].payload != test.in) {
						t.Errorf("%s, reads of %d: events = %v", name, size, events)
					}
				}
			}
		})
	}
}

// byteFrames returns a message with one frame for each byte of s.
func byteFrames(s string) []byte {
	b := masked(ws.OpText, false, "")
	for i := range len(s) {
		b = append(b, masked(ws.OpContinuation, false, s[i:i+1])...)
	}
	return append(b, masked(ws.OpContinuation, true, "")...)
}

// The connection fails at the first byte that cannot be right, although the
// frame declares more, and not before.
func TestTextFailsFast(t *testing.T) {
	for _, test := range utf8Cases {
		if test.bad <= 0 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			stream := text(test.in + strings.Repeat("x", 100))
			header := len(stream) - len(test.in) - 100
			var d Decoder
			if _, err := feed(t, &d, stream[:header+test.bad-1]); err != nil {
				t.Fatalf("before the invalid byte: %v", err)
			}
			if _, err := feed(t, &d, stream[header+test.bad-1:header+test.bad]); closeCode(err) != CloseInvalidUTF8 {
				t.Errorf("at the invalid byte: error = %v, want code 1007", err)
			}
		})
	}
}

// Runes cut at every place, and all pairs of bytes with what may follow them,
// agree with unicode/utf8.
func TestTextCheckAgrees(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r += 7 {
		s := []byte(string(r))
		for cut := range s {
			var c textCheck
			if !c.write(s[:cut]) || !c.write(s[cut:]) || !c.complete() {
				t.Fatalf("%U cut at %d refused", r, cut)
			}
		}
	}
	// The borders of the ranges that a later byte can be in.
	third := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff}
	for pair := range 1 << 16 {
		for _, last := range third {
			p := []byte{byte(pair >> 8), byte(pair), last}
			var c textCheck
			got := c.write(p[:1]) && c.write(p[1:2]) && c.write(p[2:]) && c.complete()
			if want := utf8.Valid(p); got != want {
				t.Fatalf("% x: valid = %v, want %v", p, got, want)
			}
		}
	}
}
