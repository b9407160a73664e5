package mcp

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"millrace/codec/jsonrpc"
	"millrace/server/seal"
)

// pageBytes ends a page of a list. Clients cap what they read: 1 MiB in one
// event is a limit seen in practice.
const pageBytes = 512 << 10

// kind is one of the lists of a server.
type kind uint8

const (
	toolKind kind = iota
	promptKind
	resourceKind
	templateKind
	kinds
)

// feature is an entry of a list. It is immutable.
type feature interface {
	// key is unique in the list, which it sorts.
	key() string
	// appendFeature appends the entry as the list of rev has it.
	appendFeature(dst []byte, rev revision) []byte
	// size is how much appendFeature appends for the newest revision.
	size() int
}

// list is one list of features at one time. The pages that a client sees that
// starts at the beginning are encoded once, at the first request for them.
type list[F feature] struct {
	method  string // that asks for it
	member  string // of its result
	byKey   map[string]F
	sorted  []F
	cursors *seal.Box

	mu    sync.Mutex // for filling pages
	pages [revisions]atomic.Pointer[[]page]
}

// page is a stretch of a list with its whole encoded result.
type page struct {
	from, to int
	body     []byte
}

func newList[F feature](method, member string, features map[string]F, cursors *seal.Box) *list[F] {
	return &list[F]{
		method: method, member: member, cursors: cursors,
		byKey: maps.Clone(features), sorted: slices.SortedFunc(maps.Values(features), byKey[F]),
	}
}

func byKey[F feature](a, b F) int { return cmp.Compare(a.key(), b.key()) }

// after returns the index of the first feature whose key is behind key.
func after[F feature](sorted []F, key string) int {
	i, found := slices.BinarySearchFunc(sorted, key, func(f F, key string) int { return cmp.Compare(f.key(), key) })
	if found {
		i++
	}
	return i
}

// page returns the page that begins with the feature at index from.
func (l *list[F]) page(s *Server, rev revision, from int, c Cacheable) page {
	pages := l.pages[rev].Load()
	if pages == nil {
		pages = l.paginate(s, rev, c)
	}
	for i := range *pages {
		if (*pages)[i].from == from {
			return (*pages)[i]
		}
	}
	// The cursor is from before features came or went.
	return l.newPage(s, rev, from, c)
}

func (l *list[F]) paginate(s *Server, rev revision, c Cacheable) *[]page {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pages := l.pages[rev].Load(); pages != nil {
		return pages
	}
	var pages []page
	for from := 0; from == 0 || from < len(l.sorted); {
		p := l.newPage(s, rev, from, c)
		pages = append(pages, p)
		from = max(p.to, 1)
	}
	l.pages[rev].Store(&pages)
	return &pages
}

func (l *list[F]) newPage(s *Server, rev revision, from int, c Cacheable) page {
	features, more := cut(l.sorted[from:], s.opts.PageSize, nil)
	p := page{from: from, to: from + len(features)}
	p.body = l.appendPage(append(make([]byte, 0, 1<<10), '{'), s.head, features, l.next(features, more), c, rev)
	return p
}

// appendPage appends the members of the result that holds features, after the
// opening brace, and closes it.
func (l *list[F]) appendPage(dst, head []byte, features []F, next string, c Cacheable, rev revision) []byte {
	if rev.modern() {
		dst = append(append(dst, head...), `},`...)
	}
	dst = append(append(append(dst, '"'), l.member...), `":[`...)
	for i, f := range features {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.appendFeature(dst, rev)
	}
	return append(appendListTail(append(dst, ']'), next, c, rev), '}')
}

// appendListTail appends what follows the entries of a list.
func appendListTail(dst []byte, next string, c Cacheable, rev revision) []byte {
	dst = appendMember(dst, `,"nextCursor":`, next)
	if rev.modern() {
		dst = c.appendMembers(append(dst, ','))
	}
	return dst
}

// next is the cursor of what follows features; empty when nothing does.
func (l *list[F]) next(features []F, more bool) string {
	if !more {
		return ""
	}
	return sealCursor(l.cursors, l.method, features[len(features)-1].key())
}

// start returns the index at which the page of a cursor begins in features; the
// empty cursor is the beginning.
func (l *list[F]) start(features []F, cursor string) (int, *jsonrpc.Error) {
	if cursor == "" {
		return 0, nil
	}
	last, err := openCursor(l.cursors, l.method, cursor)
	if err != nil {
		return 0, err
	}
	return after(features, last), nil
}

// cut returns the features that fit on a page that begins with the first one, of
// those that visible admits (nil: all), and whether others follow.
func cut[F feature](features []F, most int, visible func(F) bool) (page []F, more bool) {
	size := 0
	for i, f := range features {
		if visible != nil && !visible(f) {
			continue
		}
		size += f.size()
		if n := len(page); n > 0 && (size > pageBytes || n >= most) {
			return page, true
		}
		if visible == nil {
			page = features[: i+1 : i+1]
		} else {
			page = append(page, f)
		}
	}
	return page, false
}
