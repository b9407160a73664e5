package mcp

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// cleaned is r without the characters in its texts that make a terminal or an editor
// show something else than what is there: "Servers MUST: [...] Sanitize tool outputs"
// (26:server/tools, Security Considerations). r itself may be shared by calls, and
// stays as it is.
func (r *CallToolResult) cleaned() *CallToolResult {
	var clean *CallToolResult
	for i, c := range r.Content {
		t, ok := c.(*TextContent)
		if !ok || t == nil || !dirty(t.Text) {
			continue
		}
		if clean == nil {
			copied := *r
			copied.Content = slices.Clone(r.Content)
			clean = &copied
		}
		text := *t
		text.Text = withoutControls(t.Text)
		clean.Content[i] = &text
	}
	if clean == nil {
		return r
	}
	return clean
}

// isControl reports whether a terminal or editor would act on c: C0 and C1 controls
// but for tab, line feed and carriage return, DEL, and what overrides the direction of
// text (CVE-2021-42574).
func isControl(c rune) bool {
	switch {
	case c == '\t' || c == '\n' || c == '\r':
		return false
	case c < ' ' || c >= 0x7f && c < 0xa0:
		return true
	}
	return c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
}

// dirty reports whether s has such a character. Most texts have none, and no byte
// that could begin one: eight are looked at together.
func dirty(s string) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for len(b) > 0 {
		if len(b) >= 8 {
			x := binary.LittleEndian.Uint64(b)
			del := x ^ 0x7f*low
			if (x|(x-' '*low)&^x|(del-low)&^del)&high == 0 {
				b = b[8:]
				continue
			}
		}
		n := 0
		for n < 8 && n < len(b) {
			c, size := rune(b[n]), 1
			if c >= utf8.RuneSelf {
				c, size = utf8.DecodeRune(b[n:])
			}
			if isControl(c) {
				return true
			}
			n += size
		}
		b = b[n:]
	}
	return false
}

func withoutControls(s string) string {
	return strings.Map(func(c rune) rune {
		if isControl(c) {
			return -1
		}
		return c
	}, s)
}
