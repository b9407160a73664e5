package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/benchmarks/client"
)

// vector is one case: what the client says on a new connection, and every frame the server must say, in order.
//
// The numbers are those of the cases of Autobahn|Testsuite's fuzzing client that ask the same; names without one are
// cases of our own. Where a case has a second outcome that Autobahn calls non-strict, or leaves open, or accepts beside
// the first, or stands for what an implementation may do by RFC 6455, it is in or.
type vector struct {
	name string
	send string
	want []frame
	or   []frame // nil: nothing but want
}

func frames(f ...frame) []frame { return f }

const hello = "Hello, world!"

// notText is no UTF-8.
const notText = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"

func x(n int) string { return strings.Repeat("x", n) }

func framing() (all []vector) {
	for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		star, fe := strings.Repeat("*", n), strings.Repeat("\xfe", n)
		all = append(all,
			vector{fmt.Sprintf("1.1.%d text of %d", i+1, n), text(star), frames(txt(star)), nil},
			vector{fmt.Sprintf("1.2.%d binary of %d", i+1, n), bin(fe), frames(blob(fe)), nil})
	}
	return append(all,
		vector{"text and binary in turn", text("a") + bin("b") + text("") + bin(""), frames(txt("a"), blob("b"), txt(""), blob("")), nil},
		vector{"mask of zero", "\x81\x85\x00\x00\x00\x00hello", frames(txt("hello")), nil},
		vector{"no mask", "\x81\x05hello", frames(closed(1002)), nil},
		vector{"length of 125 in 16 bits", "\x82\xfe\x00\x7d1234" + x(125), frames(closed(1002)), nil},
		vector{"length of 65535 in 64 bits", "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff1234", frames(closed(1002)), nil},
		vector{"length with the highest bit", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x001234", frames(closed(1002)), nil},
		vector{"length of 2^63-1", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff1234", frames(closed(1009)), nil},
	)
}

// pings has the only case with unanswered pings: RFC 6455 section 5.5.3 lets an endpoint answer just the latest.
func pings() []vector {
	var ten string
	var pongs []frame
	for i := range 10 {
		p := fmt.Sprintf("payload-%d", i)
		ten += ping(p)
		pongs = append(pongs, ponged(p))
	}
	return []vector{
		{"2.1 ping without payload", ping(""), frames(ponged("")), nil},
		{"2.2 ping with text", ping(hello), frames(ponged(hello)), nil},
		{"2.3 ping with bytes", ping(notText), frames(ponged(notText)), nil},
		{"2.4, 2.6 ping of 125", ping(x(125)), frames(ponged(x(125))), nil},
		{"2.5 ping of 126", ping(x(126)), frames(closed(1002)), nil},
		{"2.7 pong without payload", pong(""), nil, nil},
		{"2.8 pong with payload", pong("unsolicited pong payload"), nil, nil},
		{"2.9 pong, then ping", pong("unsolicited pong payload") + ping("ping payload"), frames(ponged("ping payload")), nil},
		{"2.10, 2.11 ten pings", ten, pongs, pongs[9:]},
		{"pong of 126", pong(x(126)), frames(closed(1002)), nil},
	}
}

// reservedBits and opcodes: Autobahn takes the loss of the first echo as non-strict.
func reservedBits() []vector {
	return []vector{
		{"3.1 RSV 1", raw(fin|rsv3|client.OpText, hello), frames(closed(1002)), nil},
		{"3.2 RSV 2 behind a text", text(hello) + raw(fin|rsv2|client.OpText, hello) + ping(""), frames(txt(hello), closed(1002)), frames(closed(1002))},
		{"3.3 RSV 3 behind a text", text(hello) + raw(fin|rsv2|rsv3|client.OpText, hello) + ping(""), frames(txt(hello), closed(1002)), frames(closed(1002))},
		{"3.4 RSV 4 behind a text", text(hello) + raw(fin|rsv1|client.OpText, hello) + ping(""), frames(txt(hello), closed(1002)), frames(closed(1002))},
		{"3.5 RSV 5, binary", raw(fin|rsv1|rsv3|client.OpBinary, notText), frames(closed(1002)), nil},
		{"3.6 RSV 6, ping", raw(fin|rsv1|rsv2|client.OpPing, hello), frames(closed(1002)), nil},
		{"3.7 RSV 7, close", raw(fin|rsv1|rsv2|rsv3|client.OpClose, ""), frames(closed(1002)), nil},
		{"RSV 4 in a continuation", first("a") + raw(fin|rsv1|client.OpContinuation, "b"), frames(closed(1002)), nil},
	}
}

func opcodes() (all []vector) {
	for i, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		id := fmt.Sprintf("4.%d.%d opcode %d", 1+i/5, 1+i%5, op)
		payload := ""
		if i%5%2 == 1 {
			payload = "reserved opcode payload"
		}
		bad := raw(fin|op, payload)
		if i%5 < 2 {
			all = append(all, vector{id, bad, frames(closed(1002)), nil})
		} else {
			all = append(all, vector{id + " behind a text", text(hello) + bad + ping(""), frames(txt(hello), closed(1002)), frames(closed(1002))})
		}
	}
	return all
}

func fragmentation() []vector {
	two := first("fragment1") + last("fragment2")
	stray := raw(client.OpContinuation, "non-continuation payload")
	strayLast := last("non-continuation payload")
	pinged := first("fragment1") + more("fragment2") + ping("pongme 1!") + more("fragment3") + more("fragment4") + ping("pongme 2!") + last("fragment5")
	return []vector{
		{"5.1 ping in two fragments", raw(client.OpPing, "fragment1") + last("fragment2"), frames(closed(1002)), nil},
		{"5.2 pong in two fragments", raw(client.OpPong, "fragment1") + last("fragment2"), frames(closed(1002)), nil},
		{"close in two fragments", raw(client.OpClose, status(1000)) + last(""), frames(closed(1002)), nil},
		{"5.3, 5.4, 5.5 text in two fragments", two, frames(txt("fragment1fragment2")), nil},
		{"binary in two fragments", raw(client.OpBinary, "\xff") + last("\xfe"), frames(blob("\xff\xfe")), nil},
		{"5.6, 5.7, 5.8 ping between two fragments", first("fragment1") + ping("ping payload") + last("fragment2"), frames(ponged("ping payload"), txt("fragment1fragment2")), nil},
		{"pong between two fragments", first("a") + pong("p") + last("b"), frames(txt("ab")), nil},
		{"5.9, 5.10, 5.11 last continuation of nothing", strayLast + text(hello), frames(closed(1002)), nil},
		{"5.12, 5.13, 5.14 continuation of nothing", stray + text(hello), frames(closed(1002)), nil},
		{"5.15 continuation behind a message", two + more("fragment3") + text("fragment4"), frames(txt("fragment1fragment2"), closed(1002)), frames(closed(1002))},
		{"5.16 continuation of nothing, then a message, twice", strings.Repeat(more("fragment1")+first("fragment2")+last("fragment3"), 2), frames(closed(1002)), nil},
		{"5.17 last continuation of nothing, then a message, twice", strings.Repeat(last("fragment1")+first("fragment2")+last("fragment3"), 2), frames(closed(1002)), nil},
		{"5.18 text inside a message", first("fragment1") + text("fragment2"), frames(closed(1002)), nil},
		{"binary inside a message", first("fragment1") + bin("fragment2"), frames(closed(1002)), nil},
		{"5.19, 5.20 five fragments and two pings", pinged, frames(ponged("pongme 1!"), ponged("pongme 2!"), txt("fragment1fragment2fragment3fragment4fragment5")), nil},
		{"6.1.1 empty text", text(""), frames(txt("")), nil},
		{"6.1.2 three empty fragments", first("") + more("") + last(""), frames(txt("")), nil},
		{"6.1.3 one fragment of three has bytes", first("") + more("middle frame payload") + last(""), frames(txt("middle frame payload")), nil},
		{"10.1.1 65536 in fragments of 1300", fragments(client.OpText, strings.Repeat("*", 65536), 1300), frames(txt(strings.Repeat("*", 65536))), nil},
		{"two messages, each in single bytes", fragments(client.OpText, "abcdef", 1) + fragments(client.OpBinary, notText, 1), frames(txt("abcdef"), blob(notText)), nil},
	}
}

// closes: the server answers with the client's own code; Autobahn takes 1000 for any code too. What it leaves open are
// messages right before a Close (7.1.6) and codes above 4999 (7.13). A Close frame that is wrong may be answered by the
// end of the connection alone, which no vector here allows: our server says why.
func closes() (all []vector) {
	const long = 256 << 10
	big := strings.Repeat("BAsd7&jh23", long/10)
	all = []vector{
		{"7.1.1 text, then close", text("Hello World!") + closing(1000, ""), frames(txt("Hello World!"), closed(1000)), nil},
		{"7.1.2 two closes", closing(1000, "") + raw(fin|client.OpClose, ""), frames(closed(1000)), nil},
		{"7.1.3 ping behind the close", closing(1000, "") + ping(""), frames(closed(1000)), nil},
		{"7.1.4 text behind the close", closing(1000, "") + text("Hello World!"), frames(closed(1000)), nil},
		{"7.1.5 close inside a message", first("fragment1") + closing(1000, "") + last("fragment2"), frames(closed(1000)), nil},
		{"7.1.6 messages right before the close", text(big) + text("Hello World!") + closing(1000, "") + ping(""), frames(txt(big), txt("Hello World!"), closed(1000)), frames(closed(1000))},
		{"7.3.1 without code", raw(fin|client.OpClose, ""), frames(frame{client.OpClose, ""}), frames(closed(1000))},
		{"7.3.2 one byte", raw(fin|client.OpClose, "a"), frames(closed(1002)), nil},
		{"7.3.3 code", closing(1000, ""), frames(closed(1000)), nil},
		{"7.3.4 code and reason", closing(1000, "Hello World!"), frames(closed(1000)), nil},
		{"7.3.5 reason of 123", closing(1000, x(123)), frames(closed(1000)), nil},
		{"7.3.6 reason of 124", closing(1000, x(124)), frames(closed(1002)), nil},
		{"7.5.1 reason is not UTF-8", closing(1000, "κόσμε\xed\xa0\x80edited"), frames(closed(1007)), frames(closed(1002))},
		{"garbage behind a violation", "\xff\xff" + x(1000), frames(closed(1002)), nil},
	}
	for i, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999, 1012, 1013, 1014} {
		all = append(all, vector{fmt.Sprintf("7.7.%d close with %d", i+1, code), closing(code, ""), frames(closed(code)), frames(closed(1000))})
	}
	for i, code := range []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 1015} {
		all = append(all, vector{fmt.Sprintf("7.9.%d close with %d", i+1, code), closing(code, ""), frames(closed(1002)), nil})
	}
	for i, code := range []uint16{5000, 65535} {
		all = append(all, vector{fmt.Sprintf("7.13.%d close with %d", i+1, code), closing(code, ""), frames(closed(1002)), frames(closed(code))})
	}
	return all
}

// TestCases sends every vector whole, and again in pieces: octet by octet (Autobahn's "chops") when it is short, else in
// pieces of 997. The outcome is the same. When it is no Close frame, the client closes and the server must follow.
func TestCases(t *testing.T) {
	addr, _ := start(t)
	n := 0
	for _, chapter := range [][]vector{framing(), pings(), reservedBits(), opcodes(), fragmentation(), closes()} {
		for _, v := range chapter {
			n++
			chop := 997
			if len(v.send) < 1100 {
				chop = 1
			}
			t.Run(v.name, func(t *testing.T) {
				check(t, addr, v, len(v.send))
				check(t, addr, v, chop)
			})
		}
	}
	if n < 100 {
		t.Errorf("%d vectors", n)
	}
}

// check sends v in pieces of n bytes.
func check(t *testing.T, addr string, v vector, n int) {
	t.Helper()
	p := dial(t, addr)
	failing := endsInClose(v.want)
	written := make(chan struct{})
	go func() { // the server answers while the client writes
		defer close(written)
		p.chop(v.send, max(n, 1))
		if !failing {
			p.say(closing(1000, ""))
		}
	}()
	got, err := p.toEnd()
	<-written
	want, or := v.want, v.or
	if !failing {
		want = append(slices.Clip(want), closed(1000))
		if or != nil {
			or = append(slices.Clip(or), closed(1000))
		}
	}
	if err != nil || !slices.Equal(got, want) && (or == nil || !slices.Equal(got, or)) {
		t.Errorf("in pieces of %d: got %v, %v; want %v", n, got, err, want)
	}
}

func endsInClose(f []frame) bool { return len(f) > 0 && f[len(f)-1].op == client.OpClose }

// TestUTF8Valid has the valid strings of chapter 6: each is echoed, however it is cut.
func TestUTF8Valid(t *testing.T) {
	addr, _ := start(t)
	for _, s := range []string{
		"Hello-µ@ßöäüàá-UTF-8!!",                                   // 6.2
		"hello$world", "hello¢world", "hello€world", "hello𤭢world", // 6.5: 1 to 4 bytes
		"κ", "κό", "κόσ", "κόσμ", "κόσμε",
		"\x00", "\u0080", "\u0800", "\U00010000", // 6.6: the first of each length
		"\x7f", "\u07ff", "\uffff", "\U0010ffff", // 6.7: the last
		"\ud7ff", "\ue000", "\ufffd", // 6.11: around what is no code point
		"\ufeff", "\ufffe", "\ufdd0", "\U0001fffe", "\U0001ffff", "\U0010fffe", // 6.22, 6.23: noncharacters are valid
		"a\x00b\r\n\t",
	} {
		t.Run(fmt.Sprintf("%+q", s), func(t *testing.T) {
			p := dial(t, addr)
			p.say(text(s))
			p.chop(text(s), 1)
			p.say(fragments(client.OpText, s, 1))
			p.chop(fragments(client.OpText, s, 1), 1)
			p.say(fragments(client.OpText, s, 2))
			p.expect(txt(s), txt(s), txt(s), txt(s), txt(s))
			p.bye()
		})
	}
}

// TestUTF8Invalid has the invalid strings of chapter 6. fails is after how many bytes it is certain that no byte can make
// the string valid; 0 when only its end makes it invalid. The engine fails there, before the rest has come; RFC 6455 does
// not ask for that, and Autobahn calls a later failure non-strict.
func TestUTF8Invalid(t *testing.T) {
	addr, _ := start(t)
	for _, tt := range []struct {
		s     string
		fails int
	}{
		{"\xce", 0}, {"\xce\xba\xe1", 0}, {"\xce\xba\xe1\xbd", 0}, // 6.5: the string ends inside of a rune
		{"\xf0\x90\x80", 0}, {"\xf4\x8f\xbf", 0},
		{"κόσμε\xed\xa0\x80edited", 12}, // 6.3
		{"κόσμε\xf4\x90\x80\x80edited", 12},
		{"\xf8\x88\x80\x80\x80", 1}, {"\xfc\x84\x80\x80\x80\x80", 1}, // 6.6: 5 and 6 bytes
		{"\xf7\xbf\xbf\xbf", 1}, {"\xfb\xbf\xbf\xbf\xbf", 1}, {"\xfd\xbf\xbf\xbf\xbf\xbf", 1}, // 6.8
		{"\xf4\x90\x80\x80", 2},                                                        // 6.11: above U+10FFFF
		{"\x80", 1}, {"\xbf", 1}, {"\x80\xbf", 1}, {"\x80\xbf\x80\xbf\x80\xbf\x80", 1}, // 6.12: continuations alone
		{"\xc2\x20", 2}, {"\xdf\x20", 2}, {"\xe0\x20", 2}, {"\xef\x20", 2}, {"\xf0\x20", 2}, {"\xf4\x20", 2}, // 6.13: starts alone
		{"\xe1\x80\x20", 3}, {"\xf1\x80\x80\x20", 4}, // 6.14, 6.15: the last byte is missing
		{"\xce\xba\xce", 0}, {"a\xe1\x80\xe1\x80\x80", 4},
		{"\xfe", 1}, {"\xff", 1}, {"a\xfe\xfe\xff\xff", 2}, // 6.16: bytes that do not occur
		{"\xc0\xaf", 1}, {"\xe0\x80\xaf", 2}, {"\xf0\x80\x80\xaf", 2}, // 6.17: overlong
		{"\xc1\xbf", 1}, {"\xe0\x9f\xbf", 2}, {"\xf0\x8f\xbf\xbf", 2}, // 6.18
		{"\xc0\x80", 1}, {"\xe0\x80\x80", 2}, {"\xf0\x80\x80\x80", 2}, // 6.19: overlong NUL
		{"\xed\xa0\x80", 2}, {"\xed\xad\xbf", 2}, {"\xed\xae\x80", 2}, {"\xed\xb0\x80", 2}, {"\xed\xbf\xbf", 2}, // 6.20: surrogates
		{"\xed\xa0\x80\xed\xb0\x80", 2}, {"\xed\xaf\xbf\xed\xbf\xbf", 2}, // 6.21: pairs of them
	} {
		t.Run(fmt.Sprintf("%+q", tt.s), func(t *testing.T) {
			whole := text(tt.s)
			sends := map[string]string{"whole": whole, "in fragments": fragments(client.OpText, tt.s, 1)}
			if tt.fails > 0 {
				// 6.4.1, 6.4.2: fragments that do not end; 6.4.3, 6.4.4: a frame that does not end.
				open := first("")
				for i := range tt.fails {
					open += more(tt.s[i : i+1])
				}
				sends["at once in fragments"] = open
				sends["at once in a frame"] = text(tt.s + x(50))[:6+tt.fails]
			}
			for name, send := range sends {
				for _, chop := range []int{1, len(send)} {
					check(t, addr, vector{name, send, frames(closed(1007)), nil}, chop)
				}
			}
			valid := dial(t, addr) // the bytes before are no reason
			if n := tt.fails - 1; n > 0 {
				valid.say(first(tt.s[:n]) + ping("fine so far"))
				valid.expect(ponged("fine so far"))
			}
		})
	}
}
