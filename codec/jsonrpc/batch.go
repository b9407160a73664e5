package jsonrpc

// IsBatch tells whether b, if it is JSON, is an array: JSON-RPC 2.0,
// section 6.
func IsBatch(b []byte) bool {
	i := space(b, 0)
	return i < len(b) && b[i] == '['
}

// ParseBatch reads b, the whole text of one batch, and calls each with the
// JSON, a view, of every element in order. It calls it only once the whole
// text is known to be valid JSON with 1 to lim.Batch elements; lim may be nil.
//
// lim.Keys holds for the batch as a whole and lim.Depth for each element. The
// elements are not judged as messages: the caller gives each to Parse, which
// also finds duplicate names, so that one bad message does not spoil its
// neighbours.
//
// JSON-RPC 2.0, section 6: a batch that is not JSON is answered by one parse
// error, an empty one by one invalid request.
func ParseBatch(b []byte, lim *Limits, each func(raw []byte)) *Error {
	l := lim.orDefault()
	s := newScanner(b, l)
	s.anyNames = true
	s.depth++ // the array itself is no level of an element
	n := s.batch(l.Batch)
	switch {
	case s.err != nil:
		return s.err
	case n < 0:
		return invalid("not a batch")
	case n == 0:
		return invalid("empty batch")
	case n > l.Batch:
		return invalid("too many messages in a batch")
	}
	for raw := range Elements(b) {
		each(raw)
	}
	return nil
}

// batch scans the whole text and returns the number of elements, or -1 when it
// is no array. It gives up at the first element over limit.
func (s *scanner) batch(limit int) int {
	i := s.start()
	if i < 0 || i == len(s.b) || s.b[i] != '[' {
		if i >= 0 {
			s.finish(s.value(i))
		}
		return -1
	}
	i, last := s.enter(i, ']')
	n := 0
	for ; i >= 0 && !last; n++ {
		if n == limit {
			return n + 1
		}
		if i = s.value(i); i < 0 {
			return n
		}
		i, last = s.separator(i, ']')
	}
	s.finish(i)
	return n
}
