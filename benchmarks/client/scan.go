package client

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// The scanner finds members in JSON without decoding what nobody asked for. It accepts some texts that are not JSON
// (it does not look into numbers and literals); a caller that wants to know uses json.Valid beside it.

var errJSON = errors.New("client: malformed JSON")

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at b[i].
func skipString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1, nil
		}
	}
	return 0, errJSON
}

// skipValue returns the index behind the value that begins at b[i].
func skipValue(b []byte, i int) (int, error) {
	depth := 0
	for i < len(b) {
		switch c := b[i]; c {
		case '"':
			end, err := skipString(b, i)
			if err != nil || depth == 0 {
				return end, err
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return i, nil
			}
			if c != ',' {
				depth--
			}
			if depth == 0 {
				return i + 1, nil
			}
		case ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i, nil
			}
		}
		i++
	}
	if depth > 0 {
		return 0, errJSON
	}
	return i, nil
}

// members calls each for the members of the object that b holds. Keys are compared raw: none we look for needs an escape.
func members(b []byte, each func(key, value []byte) error) error {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return errJSON
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return nil
	}
	for i < len(b) {
		if b[i] != '"' {
			return errJSON
		}
		end, err := skipString(b, i)
		if err != nil {
			return err
		}
		key := b[i+1 : end-1]
		if i = skipSpace(b, end); i == len(b) || b[i] != ':' {
			return errJSON
		}
		start := skipSpace(b, i+1)
		if end, err = skipValue(b, start); err != nil || end == start {
			return errJSON
		}
		if err := each(key, b[start:end]); err != nil {
			return err
		}
		if i = skipSpace(b, end); i < len(b) && b[i] == '}' {
			return nil
		}
		if i == len(b) || b[i] != ',' {
			return errJSON
		}
		i = skipSpace(b, i+1)
	}
	return errJSON
}

// first returns the first element of the array that b holds, or nil when it is empty.
func first(b []byte) ([]byte, error) {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '[' {
		return nil, errJSON
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return nil, nil
	}
	end, err := skipValue(b, i)
	if err != nil || end == i {
		return nil, errJSON
	}
	return b[i:end], nil
}

// appendUnquoted appends the text of the JSON string that b holds, quotes included.
func appendUnquoted(dst, b []byte) ([]byte, error) {
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return dst, fmt.Errorf("client: %.40q is not a JSON string", b)
	}
	b = b[1 : len(b)-1]
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			dst = append(dst, b[i])
			continue
		}
		if i++; i == len(b) {
			return dst, errJSON
		}
		switch b[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, n, ok := escapedRune(b[i+1:])
			if !ok {
				return dst, errJSON
			}
			dst = utf8.AppendRune(dst, r)
			i += n
		case '"', '\\', '/':
			dst = append(dst, b[i])
		default:
			return dst, errJSON
		}
	}
	return dst, nil
}

// escapedRune reads what stands behind \u: four hexadecimal digits, and the second half of a surrogate pair.
func escapedRune(b []byte) (r rune, n int, ok bool) {
	if r, ok = hex4(b); !ok {
		return 0, 0, false
	}
	if !utf16.IsSurrogate(r) {
		return r, 4, true
	}
	if len(b) < 6 || b[4] != '\\' || b[5] != 'u' {
		return 0, 0, false
	}
	low, ok := hex4(b[6:])
	r = utf16.DecodeRune(r, low)
	return r, 10, ok && r != utf8.RuneError
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
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
