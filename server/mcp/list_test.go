package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/seal"
)

// listing is what a client reads of tools/list.
type listing struct {
	Result struct {
		Tools      []struct{ Name string }
		NextCursor *string
		TTLMs      *int `json:"ttlMs"`
		CacheScope string
	}
	Error *struct{ Code int }
}

func (c *client) list(cursor string) listing {
	c.t.Helper()
	params := ""
	if cursor != "" {
		params = `"cursor":"` + cursor + `"`
	}
	var l listing
	if err := json.Unmarshal([]byte(c.ask("tools/list", params)), &l); err != nil {
		c.t.Fatal(err)
	}
	return l
}

func (l listing) names() []string {
	var names []string
	for _, t := range l.Result.Tools {
		names = append(names, t.Name)
	}
	return names
}

func numbered(o *ServerOptions, names ...string) *Server {
	s := NewServer(&Implementation{Name: "x"}, o)
	for _, n := range names {
		AddTool(s, &Tool{Name: n}, echo)
	}
	return s
}

func TestPages(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	for size, pages := range map[int]int{1: 5, 2: 3, 4: 2, 5: 1, 6: 1} {
		o := quiet()
		o.PageSize = size
		s := numbered(o, "e", "c", "a", "b", "d")
		for _, hooked := range []bool{false, true} {
			if hooked {
				s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler { return h })
			}
			c := dial(t, s, Version20251125)
			var got []string
			n, cursor := 0, ""
			for {
				l := c.list(cursor)
				got = append(got, l.names()...)
				n++
				if l.Result.NextCursor == nil {
					break
				}
				cursor = *l.Result.NextCursor
			}
			if n != pages || !slices.Equal(got, all) {
				t.Errorf("page size %d: %d pages of %v", size, n, got)
			}
		}
	}
}

func TestPageBytes(t *testing.T) {
	o := quiet()
	o.Capabilities = &ServerCapabilities{Tools: &ToolCapabilities{}} // or tools/list would not be there yet
	s := NewServer(&Implementation{Name: "x"}, o)
	add := func(name string, size int) {
		AddTool(s, &Tool{Name: name, Description: strings.Repeat("d", size)}, echo)
	}
	c := dial(t, s, Version20260728)
	if l := c.list(""); l.Result.Tools == nil || len(l.Result.Tools) != 0 {
		t.Errorf("an empty list is %+v", l)
	}
	add("a", 2*pageBytes) // larger than a page: alone on one
	add("b", pageBytes/2)
	add("c", pageBytes/2-2000)
	add("d", 2000)
	var pages [][]string
	for cursor := ""; ; {
		l := c.list(cursor)
		pages = append(pages, l.names())
		if l.Result.NextCursor == nil {
			break
		}
		cursor = *l.Result.NextCursor
	}
	if got := fmt.Sprint(pages); got != "[[a] [b c] [d]]" {
		t.Errorf("pages %s", got)
	}
}

func TestCursorAfterChanges(t *testing.T) {
	o := quiet()
	o.PageSize = 2
	s := numbered(o, "a", "c", "e", "g")
	keys := seal.NewRandom()
	s.SetKeys(keys)
	c := dial(t, s, Version20260728)
	cursor := *c.list("").Result.NextCursor // after c
	s.RemoveTools("c", "no such tool")
	AddTool(s, &Tool{Name: "b"}, echo)
	AddTool(s, &Tool{Name: "d"}, echo)
	if got := fmt.Sprint(c.list(cursor).names()); got != "[d e]" {
		t.Errorf("after a change the cursor gives %s", got)
	}
	last := numbered(o, "a", "b")
	last.SetKeys(keys)
	if got := dial(t, last, Version20260728).list(cursor); got.Error != nil || len(got.Result.Tools) != 0 || got.Result.NextCursor != nil {
		t.Errorf("behind the end: %+v", got)
	}
	other := numbered(o, "a", "b", "c")
	if got := dial(t, other, Version20260728).list(cursor); got.Error == nil || got.Error.Code != -32602 {
		t.Errorf("a cursor of other keys: %+v", got)
	}
	if got := c.list(strings.Repeat("A", maxCursor+1)); got.Error == nil {
		t.Error("a very long cursor passes")
	}
	foreign := keys.Box(cursorPurpose).Seal(nil, []byte("a"), []byte("prompts/list"))
	if got := c.list(string(foreign)); got.Error == nil {
		t.Error("a cursor of another list passes")
	}
}

func TestCaching(t *testing.T) {
	o := quiet()
	o.ListTTL = 1500 * time.Millisecond
	s := numbered(o, "a")
	c := dial(t, s, Version20260728)
	if l := c.list(""); *l.Result.TTLMs != 1500 || l.Result.CacheScope != "public" {
		t.Errorf("ttlMs %d, cacheScope %s", *l.Result.TTLMs, l.Result.CacheScope)
	}
	if l := dial(t, s, Version20251125).list(""); l.Result.TTLMs != nil || l.Result.CacheScope != "" {
		t.Errorf("2025-11-25 is sent %+v", l.Result)
	}
	extra := &Tool{Name: "extra", InputSchema: rawJSON(`{"type":"object"}`)}
	s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, method string, req Request) (Result, error) {
			res, err := h(ctx, method, req)
			if l, ok := res.(*ListToolsResult); ok {
				l.Tools = append(l.Tools, extra)
			}
			return res, err
		}
	})
	if l := c.list(""); l.Result.CacheScope != "private" || fmt.Sprint(l.names()) != "[a extra]" {
		t.Errorf("under middleware: %+v", l.Result)
	}
	extra = &Tool{Name: "bad", InputSchema: make(chan int)}
	if out := c.ask("tools/list", ""); !strings.Contains(out, `"code":-32603`) {
		t.Errorf("a tool that cannot be encoded: %s", out)
	}
}

func TestPagesAreReused(t *testing.T) {
	s := numbered(quiet(), "a")
	first := func() page { return s.snapshot().tools.page(s, newest, 0, s.cacheable(toolKind)) }
	one, two := first(), first()
	if &one.body[0] != &two.body[0] {
		t.Error("the page is encoded twice")
	}
	AddTool(s, &Tool{Name: "b"}, echo)
	if three := first(); bytes.Equal(one.body, three.body) {
		t.Error("the page is not encoded again after a change")
	}
}

func TestConcurrentChanges(t *testing.T) {
	s := numbered(quiet(), "always")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				name := fmt.Sprintf("t%d-%d", i, n)
				AddTool(s, &Tool{Name: name}, echo)
				if n%2 == 0 {
					s.RemoveTools(name)
				}
			}
		})
		version := SupportedVersions()[i]
		wg.Go(func() {
			c := dial(t, s, version)
			s.Attach(s.NewSession("x", c.peer))
			for range 50 {
				names := c.list("").names()
				if !slices.IsSorted(names) || !slices.Contains(names, "always") {
					t.Errorf("list %v", names)
				}
				if out := c.ask("tools/call", `"name":"always","arguments":{"text":"x"}`); !strings.Contains(out, `"text":"x"`) {
					t.Errorf("call: %s", out)
				}
				c.ask("server/discover", "")
			}
		})
	}
	wg.Wait()
	if got := len(s.snapshot().tools.sorted); got != 1+4*25 {
		t.Errorf("%d tools are left", got)
	}
}
