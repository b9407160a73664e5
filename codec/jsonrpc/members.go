package jsonrpc

import "iter"

// Members ranges over the members of obj, a JSON object out of a message that
// Parse or Validate accepted: the decoded name, a view unless it had escapes,
// and the raw value, a view. There are none when obj is not an object.
func Members(obj []byte) iter.Seq2[[]byte, []byte] {
	// A body this small is inlined into the caller's range loop, which then
	// allocates nothing.
	return func(yield func(name, value []byte) bool) { members(obj, yield) }
}

// MembersRepeated is Members, faster where obj holds known.
func MembersRepeated(obj []byte, known *Repeated) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) { membersRepeated(obj, known, yield) }
}

// Elements ranges over the raw elements, views, of arr, a JSON array out of a
// message that Parse or Validate accepted. There are none when arr is not an
// array.
func Elements(arr []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) { elements(arr, yield) }
}

// Member returns the raw value, a view, of the member of obj with the name
// key, or nil when there is none. See Members for what obj must be.
func Member(obj []byte, key string) []byte {
	for name, value := range Members(obj) {
		if string(name) == key {
			return value
		}
	}
	return nil
}

func members(obj []byte, yield func(name, value []byte) bool) { membersRepeated(obj, nil, yield) }

func membersRepeated(obj []byte, known *Repeated, yield func(name, value []byte) bool) {
	i := space(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return
	}
	for i = space(obj, i+1); i < len(obj) && obj[i] == '"'; {
		end := skipString(obj, i)
		if end < 0 {
			return
		}
		name := content(obj[i:end])
		i = space(obj, end)
		if i >= len(obj) || obj[i] != ':' {
			return
		}
		from := space(obj, i+1)
		to := from
		if known.starts(obj[from:]) {
			to += len(known.text)
		} else {
			to = skip(obj, from)
		}
		if to <= from || !yield(name, obj[from:to:to]) {
			return
		}
		i = space(obj, to)
		if i >= len(obj) || obj[i] != ',' {
			return
		}
		i = space(obj, i+1)
	}
}

func elements(arr []byte, yield func(value []byte) bool) {
	i := space(arr, 0)
	if i >= len(arr) || arr[i] != '[' {
		return
	}
	for {
		from := space(arr, i+1)
		to := skip(arr, from)
		if to <= from || !yield(arr[from:to:to]) {
			return
		}
		i = space(arr, to)
		if i >= len(arr) || arr[i] != ',' {
			return
		}
	}
}

// skip returns the index after the value that starts at b[i]. The text was
// checked before, so that brackets need only be counted; text that was not is
// skipped somehow, within b. It is i when no value starts there, and -1 when
// it does not end.
func skip(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	return skipScalar(b, i)
}

// skipNested returns the index after the object or array that starts at b[i].
func skipNested(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if i = skipString(b, i) - 1; i < 0 {
				return -1
			}
		case c < '[':
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// skipString returns the index after the string that starts at b[i], or -1
// when it does not end.
func skipString(b []byte, i int) int {
	for i++; ; i++ {
		i = plain(b, i)
		if i >= len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// skipScalar returns the index after the number or literal at b[i].
func skipScalar(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ']', '}', ':', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return i
}
