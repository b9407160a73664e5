package schema

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxInstanceDepth is how many arrays and objects a validated value may nest.
// It equals the cap of the message envelope.
const maxInstanceDepth = 64

// fault says why a scan stopped.
type fault uint8

const (
	faultNone fault = iota
	faultSyntax
	faultDepth
	faultNumber
)

// scanner walks over JSON without decoding it. Positions are byte offsets
// into b; a method that walks returns the offset behind what it read, or -1
// after recording the fault.
type scanner struct {
	b        []byte
	maxDepth int  // arrays and objects that may be open at once
	bounded  bool // refuse numbers that are too costly as big.Rat
	depth    int
	cost     int // values seen, containers included; long numbers count for more
	fault    fault
	at       int // where the fault is
}

func (s *scanner) fail(f fault, at int) int {
	if s.fault == faultNone {
		s.fault, s.at = f, at
	}
	return -1
}

// document walks over the one value that b holds.
func (s *scanner) document() bool {
	i := s.value(skipSpace(s.b, 0))
	if i < 0 {
		return false
	}
	if i = skipSpace(s.b, i); i != len(s.b) {
		s.fail(faultSyntax, i)
		return false
	}
	return true
}

// value walks over the value that starts at i.
func (s *scanner) value(i int) int {
	if i >= len(s.b) {
		return s.fail(faultSyntax, i)
	}
	s.cost++
	var end int
	switch c := s.b[i]; c {
	case '"':
		end, _ = scanString(s.b, i)
	case '{', '[':
		return s.container(i, c)
	case 't':
		end = scanWord(s.b, i, "true")
	case 'f':
		end = scanWord(s.b, i, "false")
	case 'n':
		end = scanWord(s.b, i, "null")
	default:
		end = scanNumber(s.b, i)
		if end >= 0 && s.bounded {
			cost, ok := numberCost(s.b[i:end])
			if !ok {
				return s.fail(faultNumber, i)
			}
			s.cost += cost
		}
	}
	if end < 0 {
		return s.fail(faultSyntax, i)
	}
	return end
}

// container walks over the object or array whose bracket is at i.
func (s *scanner) container(i int, open byte) int {
	if !s.enter() {
		return s.fail(faultDepth, i)
	}
	closing := open + 2 // '[' and ']', '{' and '}' are two apart
	i = skipSpace(s.b, i+1)
	if i < len(s.b) && s.b[i] == closing {
		s.depth--
		return i + 1
	}
	for more := true; more; {
		if open == '{' {
			var key member
			if key = scanKey(s.b, i); key.value < 0 {
				return s.fail(faultSyntax, i)
			}
			i = key.value
		}
		if i = s.value(i); i < 0 {
			return -1
		}
		at := i
		if i, more = scanNext(s.b, i, closing); i < 0 {
			return s.fail(faultSyntax, at)
		}
	}
	s.depth--
	return i
}

func (s *scanner) enter() bool {
	s.depth++
	return s.depth <= s.maxDepth
}

// member is the key of an object member: its bytes between the quotes and
// where its value starts (-1: malformed).
type member struct {
	name    []byte
	escaped bool
	value   int
}

// scanKey reads the key at i, the colon, and the white space behind it.
func scanKey(b []byte, i int) member {
	if i >= len(b) || b[i] != '"' {
		return member{value: -1}
	}
	end, escaped := scanString(b, i)
	if end < 0 {
		return member{value: -1}
	}
	m := member{name: b[i+1 : end-1], escaped: escaped}
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return member{value: -1}
	}
	m.value = skipSpace(b, i+1)
	return m
}

// scanNext reads what stands behind a member or an item: a comma (more is
// true and next is where the following one starts) or the closing bracket.
func scanNext(b []byte, i int, closing byte) (next int, more bool) {
	i = skipSpace(b, i)
	switch {
	case i >= len(b):
		return -1, false
	case b[i] == ',':
		return skipSpace(b, i+1), true
	case b[i] == closing:
		return i + 1, false
	}
	return -1, false
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func scanWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// scanString returns the offset behind the string whose quote is at i, and
// whether it has escapes. UTF-8 and bare control characters are not checked:
// the envelope has done so.
func scanString(b []byte, i int) (end int, escaped bool) {
	i++
	n := bytes.IndexByte(b[i:], '"')
	if n < 0 {
		return -1, false
	}
	esc := bytes.IndexByte(b[i:i+n], '\\')
	if esc < 0 {
		return i + n + 1, false
	}
	for i += esc; i < len(b); {
		switch b[i] {
		case '"':
			return i + 1, true
		case '\\':
			if i = scanEscape(b, i); i < 0 {
				return -1, true
			}
		default:
			i++
		}
	}
	return -1, true
}

func scanEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 6
		}
	}
	return -1
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanNumber returns the offset behind the number at i, or -1 (RFC 8259
// section 6: no leading zeros, no bare point, no plus sign).
func scanNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return -1
	case b[i] == '0':
		i++
	default:
		if i = scanDigits(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = scanDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return scanDigits(b, i)
	}
	return i
}

// scanDigits wants at least one digit at i.
func scanDigits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// unescape appends the text of a string's bytes to dst and gives up (false)
// once it is longer than limit bytes. As in encoding/json a lone surrogate
// becomes U+FFFD.
func unescape(dst, raw []byte, limit int) ([]byte, bool) {
	for i := 0; i < len(raw); {
		if len(dst) > limit {
			return dst, false
		}
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		r, n := escapedRune(raw[i:])
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst, len(dst) <= limit
}

// escapedRune decodes the escape that b starts with, a surrogate pair as one.
func escapedRune(b []byte) (r rune, n int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, _ = hex4(b, 2)
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			low, _ := hex4(b, 8)
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	}
	return rune(b[1]), 2
}

// countRunes is the length of a string in code points, which is what
// minLength and maxLength count (JSON Schema validation, section 6.3).
func countRunes(raw []byte, escaped bool) int {
	if !escaped {
		return utf8.RuneCount(raw)
	}
	n := 0
	for i := 0; i < len(raw); n++ {
		if raw[i] == '\\' {
			_, size := escapedRune(raw[i:])
			i += size
			continue
		}
		_, size := utf8.DecodeRune(raw[i:])
		i += size
	}
	return n
}

// decodeString is the text of a string's bytes as a string of its own.
func decodeString(raw []byte, escaped bool) string {
	if !escaped {
		return string(raw)
	}
	text, _ := unescape(nil, raw, len(raw))
	return string(text)
}
