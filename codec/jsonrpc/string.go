package jsonrpc

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plain returns the index of the first byte from i on that cannot stand for
// itself in a JSON string: a quote, a backslash or a control character. It is
// len(b) when there is none.
//
// It looks at eight bytes at a time. x-lowBits borrows into the high bit of a
// byte that is zero; a borrow may also mark bytes above that one, but never
// one below, and only the lowest mark counts.
func plain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote := x ^ '"'*lowBits
		slash := x ^ '\\'*lowBits
		found := ((quote-lowBits)&^quote | (slash-lowBits)&^slash | (x-' '*lowBits)&^x) & highBits
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// escape reads the escape that starts with the backslash at b[i]. It returns
// the character and the index after it, or -1 when it is none.
//
// RFC 8259, section 8.2 leaves a lone surrogate "unpredictable"; it has no
// UTF-8 form, so it is refused.
func escape(b []byte, i int) (r rune, next int) {
	if i+1 >= len(b) {
		return 0, -1
	}
	switch c := b[i+1]; c {
	case '"', '\\', '/':
		return rune(c), i + 2
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		return escapeU(b, i)
	}
	return 0, -1
}

// escapeU is escape for `\uXXXX` and for the two of a surrogate pair.
func escapeU(b []byte, i int) (r rune, next int) {
	r = hex4(b, i)
	if r < 0 {
		return 0, -1
	}
	if !utf16.IsSurrogate(r) {
		return r, i + 6
	}
	r = utf16.DecodeRune(r, hex4(b, i+6))
	if r == utf8.RuneError {
		return 0, -1
	}
	return r, i + 12
}

// hex4 returns the value of the `\uXXXX` at b[i], or -1.
func hex4(b []byte, i int) rune {
	if len(b)-i < 6 || b[i] != '\\' || b[i+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[i+2 : i+6] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendUnescaped appends text, which is what stands between the quotes of a
// valid JSON string, with the escapes decoded. That is never longer than text.
func appendUnescaped(dst, text []byte) []byte {
	for {
		n := bytes.IndexByte(text, '\\')
		if n < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:n]...)
		r, next := escape(text, n)
		if next < 0 {
			return dst
		}
		dst = utf8.AppendRune(dst, r)
		text = text[next:]
	}
}

// content decodes a valid JSON string: a view unless it has escapes.
func content(raw []byte) []byte {
	text := raw[1 : len(raw)-1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		return appendUnescaped(make([]byte, 0, len(text)), text)
	}
	return text
}

// UnquoteView decodes raw, the text of one JSON string with its quotes and
// nothing around it. The result is a view into raw unless there are escapes.
// It is false when raw is anything else.
func UnquoteView(raw []byte) (text []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' || !utf8.Valid(raw) {
		return nil, false
	}
	s := scanner{b: raw}
	if end, _ := s.str(0); end != len(raw) {
		return nil, false
	}
	return content(raw), true
}

// Unquote is UnquoteView with a result that outlives raw.
func Unquote(raw []byte) (text string, ok bool) {
	view, ok := UnquoteView(raw)
	return string(view), ok
}

// AppendString appends s to dst as a JSON string. It escapes only what RFC
// 8259, section 7 demands, the quote, the backslash and the control
// characters, and writes U+FFFD for every byte that is not UTF-8. There is no
// CR or LF in what it appends.
func AppendString(dst []byte, s string) []byte {
	// AppendStringBytes only reads, so the bytes of a string will do.
	return AppendStringBytes(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// AppendStringBytes is AppendString for bytes.
func AppendStringBytes(dst, s []byte) []byte {
	if !utf8.Valid(s) {
		s = []byte(string([]rune(string(s)))) // the conversion writes U+FFFD
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		end := plain(s, i)
		dst = append(dst, s[i:end]...)
		if end == len(s) {
			break
		}
		dst = appendEscape(dst, s[end])
		i = end + 1
	}
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
