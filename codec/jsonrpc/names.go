package jsonrpc

import "hash/maphash"

// fewNames is up to how many names an object may have for the search of
// duplicates to compare each with each.
const fewNames = 16

// name is where the text of a member name stands: size bytes from at on in
// scanner.b, or from ^at on in scanner.decoded. It holds no pointer, so that
// the names of a large object cost the garbage collector nothing.
type name struct{ at, size int32 }

// text returns the decoded name.
func (s *scanner) text(n name) []byte {
	if n.at < 0 {
		return s.decoded[^n.at:][:n.size]
	}
	return s.b[n.at:][:n.size]
}

// decode returns the name n, which has escapes, without them.
func (s *scanner) decode(n name) name {
	at := len(s.decoded)
	s.decoded = appendUnescaped(s.decoded, s.text(n))
	return name{^int32(at), int32(len(s.decoded) - at)}
}

// see adds n to the names of an object and notes a duplicate.
//
// RFC 8259, section 4: "When the names within an object are not unique, the
// behavior of software that receives such an object is unpredictable", so that
// two parsers on the path may act on different values.
func (s *scanner) see(seen []name, n name) []name {
	if s.anyNames || s.duplicate {
		return seen
	}
	if len(seen) < fewNames {
		text := s.text(n)
		for _, other := range seen {
			if other.size == n.size && string(s.text(other)) == string(text) {
				s.duplicate = true
			}
		}
	}
	return append(seen, n)
}

// seenAll completes the search at the end of an object.
func (s *scanner) seenAll(seen []name) {
	if len(seen) > fewNames && !s.duplicate {
		s.duplicate = !s.distinct(seen)
	}
}

var seed = maphash.MakeSeed()

// distinct looks the names up in an open-addressed table that is at most half
// full, so that the cost is linear in their number. The hash has a seed of
// this process: a peer cannot aim at one slot.
func (s *scanner) distinct(seen []name) bool {
	size := 4 * fewNames
	for size < 2*len(seen) {
		size *= 2
	}
	table := make([]uint32, size) // index into seen, plus 1
	for i, n := range seen {
		text := s.text(n)
		slot := maphash.Bytes(seed, text) & uint64(size-1)
		for table[slot] != 0 {
			if string(s.text(seen[table[slot]-1])) == string(text) {
				return false
			}
			slot = (slot + 1) & uint64(size-1)
		}
		table[slot] = uint32(i + 1)
	}
	return true
}
