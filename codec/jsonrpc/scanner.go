package jsonrpc

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// scanner checks JSON text against RFC 8259. Its methods take the index of a
// token's first byte and return the index after its last one, or -1 after the
// first fault, which is then in err.
type scanner struct {
	b []byte

	depth int // levels still allowed
	keys  int // members still allowed

	// anyNames turns the search for duplicate names off: ParseBatch leaves it
	// to the Parse of each element.
	anyNames bool
	// known is an object that need not be scanned again; see Repeated.
	known *Repeated
	// decoded holds the names that had escapes, one after the other.
	decoded []byte
	// duplicate notes that a name occurred twice in an object. It is no fault
	// of its own, because text that is not JSON at all is reported first.
	duplicate bool

	err     *Error
	limited bool // err is a limit, not bad syntax
}

func newScanner(b []byte, lim Limits) scanner {
	return scanner{b: b, depth: lim.Depth, keys: lim.Keys}
}

// fault records err for the byte at i and returns -1.
func (s *scanner) fault(i int, what string) int {
	if i >= len(s.b) {
		what = "unexpected end"
	}
	s.err = &Error{Code: CodeParse, Message: "Parse error: " + what + " at byte " + strconv.Itoa(i)}
	return -1
}

func (s *scanner) limit(i int, what string) int {
	s.limited = true
	return s.fault(i, what)
}

// start checks what holds for the whole text and returns the index of its
// first token.
//
// RFC 8259, section 8.1: "JSON text exchanged between systems that are not
// part of a closed ecosystem MUST be encoded using UTF-8". A byte order mark
// is no white space, so that the first token refuses it.
func (s *scanner) start() int {
	if len(s.b) > math.MaxInt32 {
		return s.limit(0, "text too long") // name has indices of 32 bits
	}
	if !utf8.Valid(s.b) {
		return s.fault(0, "text is not UTF-8")
	}
	return space(s.b, 0)
}

// finish makes sure that only white space is left from i on.
func (s *scanner) finish(i int) int {
	if i < 0 {
		return i
	}
	if i = space(s.b, i); i < len(s.b) {
		return s.fault(i, "data after the value")
	}
	return i
}

// value scans any value.
func (s *scanner) value(i int) int {
	if i >= len(s.b) {
		return s.fault(i, "")
	}
	switch c := s.b[i]; c {
	case '"':
		end, _ := s.str(i)
		return end
	case '{':
		return s.object(i)
	case '[':
		return s.array(i)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c == '-' || isDigit(c) {
			return s.number(i)
		}
		return s.fault(i, "unexpected character")
	}
}

// enter starts an object or array. empty tells that it holds nothing, and then
// the returned index is the one after its end.
func (s *scanner) enter(i int, closer byte) (next int, empty bool) {
	if s.depth == 0 {
		return s.limit(i, "nesting too deep"), false
	}
	i = space(s.b, i+1)
	if i < len(s.b) && s.b[i] == closer {
		return i + 1, true
	}
	s.depth--
	return i, false
}

// separator scans what follows a member or an element: a comma, or the closer,
// which ends the object or array.
func (s *scanner) separator(i int, closer byte) (next int, last bool) {
	i = space(s.b, i)
	if i < len(s.b) {
		switch s.b[i] {
		case ',':
			return space(s.b, i+1), false
		case closer:
			s.depth++
			return i + 1, true
		}
	}
	return s.fault(i, "unexpected character"), false
}

func (s *scanner) object(i int) int {
	if s.known != nil {
		if end, ok := s.repeated(i); ok {
			return end
		}
	}
	i, last := s.enter(i, '}')
	if last {
		return i
	}
	var few [fewNames]name
	seen := few[:0]
	for i >= 0 && !last {
		n, _, end := s.member(i)
		if end < 0 {
			return end
		}
		seen = s.see(seen, n)
		i, last = s.separator(end, '}')
	}
	s.seenAll(seen)
	return i
}

func (s *scanner) array(i int) int {
	i, last := s.enter(i, ']')
	for i >= 0 && !last {
		if i = s.value(i); i < 0 {
			return i
		}
		i, last = s.separator(i, ']')
	}
	return i
}

// member scans `"name" : value` and returns the name and the indices of the
// value.
func (s *scanner) member(i int) (n name, from, to int) {
	if i >= len(s.b) || s.b[i] != '"' {
		return n, 0, s.fault(i, "no member name")
	}
	if s.keys == 0 {
		return n, 0, s.limit(i, "too many keys")
	}
	s.keys--
	end, escaped := s.str(i)
	if end < 0 {
		return n, 0, end
	}
	n = name{int32(i + 1), int32(end - i - len(`""`))}
	if escaped {
		n = s.decode(n)
	}
	if i = end; i >= len(s.b) || s.b[i] != ':' {
		i = space(s.b, i)
		if i >= len(s.b) || s.b[i] != ':' {
			return n, 0, s.fault(i, "no colon")
		}
	}
	from = space(s.b, i+1)
	return n, from, s.value(from)
}

// str scans a string and tells whether it holds escapes.
func (s *scanner) str(i int) (end int, escaped bool) {
	for i = plain(s.b, i+1); i < len(s.b); i = plain(s.b, i) {
		switch s.b[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			_, next := escape(s.b, i)
			if next < 0 {
				return s.fault(i, "bad escape"), false
			}
			i = next
		default:
			return s.fault(i, "control character in a string"), false
		}
	}
	return s.fault(i, ""), false
}

func (s *scanner) literal(i int, word string) int {
	if len(s.b)-i < len(word) || string(s.b[i:i+len(word)]) != word {
		return s.fault(i, "unexpected character")
	}
	return i + len(word)
}

// number scans the grammar of RFC 8259, section 6:
//
//	number = [ minus ] int [ frac ] [ exp ]
//	int = zero / ( digit1-9 *DIGIT )
func (s *scanner) number(i int) int {
	b := s.b
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return i
	}
	if i < len(b) && b[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		i = s.digits(i)
	}
	return i
}

// digits scans 1*DIGIT.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.b) && isDigit(s.b[i]) {
		i++
	}
	if i == from {
		return s.fault(i, "no digit")
	}
	return i
}

// space returns the index of the first byte from i on that is no white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
