package jsonrpc

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestUnquote(t *testing.T) {
	tests := []struct {
		in, want string
		ok       bool
	}{
		{`""`, "", true},
		{`"abc"`, "abc", true},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true},
		{`"\u0041\u00e9\u20AC\ud83d\uDE00\u0000"`, "Aé€😀\x00", true},
		{`"long enough for eight \u0041 at a time"`, "long enough for eight A at a time", true},
		{`"é€😀"`, "é€😀", true},
		{"", "", false},
		{`"`, "", false},
		{`"a`, "", false},
		{`a"`, "", false},
		{`"a" `, "", false},
		{` "a"`, "", false},
		{`"a""b"`, "", false},
		{`"a\"`, "", false},
		{"\"\n\"", "", false},
		{"\"\xff\"", "", false},
		{`"\ud800"`, "", false},
		{`"\ud83d\ude0"`, "", false},
		{"12", "", false},
		{"{}", "", false},
	}
	for _, tt := range tests {
		got, ok := Unquote([]byte(tt.in))
		if got != tt.want || ok != tt.ok {
			t.Errorf("Unquote(%q) = %q, %v; want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
		view, ok := UnquoteView([]byte(tt.in))
		if string(view) != tt.want || ok != tt.ok {
			t.Errorf("UnquoteView(%q) = %q, %v; want %q, %v", tt.in, view, ok, tt.want, tt.ok)
		}
	}
}

func TestUnquoteLifetimes(t *testing.T) {
	raw := []byte(`"abc"`)
	view, _ := UnquoteView(raw)
	text, _ := Unquote(raw)
	raw[1] = 'X'
	if string(view) != "Xbc" || text != "abc" {
		t.Errorf("view %q and copy %q, want Xbc and abc", view, text)
	}
}

// Every special byte is found at every place of the eight that are looked at
// together, whatever its neighbours.
func TestPlain(t *testing.T) {
	for _, filler := range []byte{' ', '!', '#', '[', ']', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
		for size := range 20 {
			b := []byte(strings.Repeat(string([]byte{filler}), size))
			if got := plain(b, 0); got != size {
				t.Errorf("plain(%q) = %d, want %d", b, got, size)
			}
			for at := range b {
				for _, c := range []byte{'"', '\\', 0, 1, '\n', 0x1f} {
					b[at] = c
					if got := plain(b, 0); got != at {
						t.Errorf("plain(%q) = %d, want %d", b, got, at)
					}
				}
				b[at] = filler
			}
		}
	}
}

func TestAppendString(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `""`},
		{"plain", `"plain"`},
		{"\"\\/", `"\"\\/"`},
		{"\b\f\n\r\t", `"\b\f\n\r\t"`},
		{"\x00\x1f\x7f", "\"\\u0000\\u001f\x7f\""},
		{"é😀\u2028<&>", "\"é😀\u2028<&>\""},
		{"a\xffb", "\"a\ufffdb\""},
		{"\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
		{"\xe2\x82", "\"\ufffd\ufffd\""},
		{"12345678\n12345678\"", `"12345678\n12345678\""`},
	}
	for _, tt := range tests {
		if got := string(AppendString([]byte("x"), tt.in)); got != "x"+tt.want {
			t.Errorf("AppendString(%q) = %s, want x%s", tt.in, got, tt.want)
		}
		if got := string(AppendStringBytes(nil, []byte(tt.in))); got != tt.want {
			t.Errorf("AppendStringBytes(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestAppendStringRoundTrip(t *testing.T) {
	for c := range rune(0x3000) {
		want := "before " + string(c) + " after"
		raw := AppendString(nil, want)
		var got string
		if err := json.Unmarshal(raw, &got); err != nil || got != want {
			t.Fatalf("encoding/json reads %q as %q, %v", raw, got, err)
		}
		if got, ok := Unquote(raw); !ok || got != want {
			t.Fatalf("Unquote(%q) = %q, %v", raw, got, ok)
		}
		if !SingleLine(raw) {
			t.Fatalf("%q is not a single line", raw)
		}
	}
}
