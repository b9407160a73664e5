package schema

// nameTable finds one of a fixed set of strings by the raw bytes of a JSON
// string, without allocating.
type nameTable struct {
	names  []string
	index  map[string]int // nil for a few names: comparing them is faster
	maxLen int
}

// fewNames is up to where a linear search wins.
const fewNames = 8

func newNameTable(names []string) nameTable {
	t := nameTable{names: names}
	if len(names) > fewNames {
		t.index = make(map[string]int, len(names))
	}
	for i, name := range names {
		t.maxLen = max(t.maxLen, len(name))
		if t.index != nil {
			t.index[name] = i
		}
	}
	return t
}

// find returns the place of the string in names, or -1.
func (t *nameTable) find(raw []byte, escaped bool) int {
	if escaped {
		var buf [128]byte
		text, ok := unescape(buf[:0], raw, t.maxLen)
		if !ok {
			return -1
		}
		return t.lookup(text)
	}
	return t.lookup(raw)
}

func (t *nameTable) lookup(text []byte) int {
	if t.index != nil {
		if i, ok := t.index[string(text)]; ok {
			return i
		}
		return -1
	}
	for i, name := range t.names {
		if string(text) == name {
			return i
		}
	}
	return -1
}
