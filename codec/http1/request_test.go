package http1

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parse returns the parsed head in, which must be accepted.
func parse(t *testing.T, in string) *Request {
	t.Helper()
	var r Request
	if n, err := r.Parse([]byte(in), nil); err != nil || n != len(in) {
		t.Fatalf("Parse(%q) = %d, %v, want %d, nil", in, n, err, len(in))
	}
	return &r
}

func TestRequestTarget(t *testing.T) {
	for _, tt := range []struct{ method, target, path, query string }{
		{"GET", "/", "/", ""},
		{"GET", "/a/b?c=d?e", "/a/b", "c=d?e"},
		{"GET", "/?", "/", ""},
		{"GET", "//a/b", "//a/b", ""},
		{"GET", "/a/../b/./c", "/a/../b/./c", ""},
		{"GET", "/a%2fb%252f%00", "/a%2fb%252f%00", ""}, // H1-13: raw, for the router to decode once
		{"GET", `/a\b|{"c"}`, `/a\b|{"c"}`, ""},
		{"OPTIONS", "*", "*", ""},
		{"GET", "http://a/b?c", "/b", "c"},
		{"GET", "http://a", "/", ""},
		{"GET", "http://a?c", "/", "c"},
		{"GET", "http://a?c/d", "/", "c/d"},
		{"OPTIONS", "https://a/", "/", ""},
	} {
		r := parse(t, tt.method+" "+tt.target+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if string(r.Path()) != tt.path || string(r.Query()) != tt.query {
			t.Errorf("%s %s: got path %q, query %q, want %q, %q", tt.method, tt.target, r.Path(), r.Query(), tt.path, tt.query)
		}
	}
}

func TestRequestMethod(t *testing.T) {
	for m := MethodGet; m <= MethodTrace; m++ {
		r := parse(t, m.String()+" / HTTP/1.1\r\nHost: a\r\n\r\n")
		if r.Method() != m || string(r.MethodName()) != m.String() {
			t.Errorf("%v: got %v, %q", m, r.Method(), r.MethodName())
		}
	}
	for _, name := range []string{"get", "BREW", "GETS", "!#$%&'*+-.^_`|~0aZ"} {
		r := parse(t, name+" / HTTP/1.1\r\nHost: a\r\n\r\n")
		if r.Method() != MethodOther || string(r.MethodName()) != name {
			t.Errorf("%s: got %v, %q, want MethodOther", name, r.Method(), r.MethodName())
		}
	}
	if got := Method(200).String(); got != "OTHER" {
		t.Errorf("Method(200) = %q, want OTHER", got)
	}
}

func TestRequestKnown(t *testing.T) {
	for h := headerNone + 1; h < headerCount; h++ {
		name := h.String()
		if h == HeaderHost || h == HeaderTransferEncoding || h == HeaderContentLength || h == HeaderExpect {
			continue
		}
		for _, spelled := range []string{name, strings.ToUpper(name)} {
			r := parse(t, "GET / HTTP/1.1\r\nHost: a\r\n"+spelled+": \t value \t\r\n\r\n")
			if string(r.Known(h)) != "value" || string(r.Get(name)) != "value" {
				t.Errorf("%s: got Known %q, Get %q, want \"value\"", spelled, r.Known(h), r.Get(name))
			}
		}
		for i := range len(name) {
			changed := name[:i] + "~" + name[i+1:]
			if got := lookupHeader([]byte(changed)); got != headerNone {
				t.Errorf("lookupHeader(%q) = %v, want none", changed, got)
			}
		}
	}
	r := parse(t, "GET / HTTP/1.1\r\nHost: a\r\nAccept:\r\n\r\n")
	if got := r.Known(HeaderAccept); got == nil || len(got) != 0 {
		t.Errorf("empty Accept = %#v, want empty and not nil", got)
	}
	for _, h := range []Header{HeaderOrigin, headerNone, headerCount, 255} {
		if got := r.Known(h); got != nil {
			t.Errorf("absent field %d = %q, want nil", h, got)
		}
	}
	if got := r.Get("x"); got != nil {
		t.Errorf("absent field x = %q, want nil", got)
	}
	if got := Header(255).String(); got != "" {
		t.Errorf("Header(255) = %q, want \"\"", got)
	}
}

func TestRequestValues(t *testing.T) {
	for h := headerNone + 1; h < headerCount; h++ {
		if mayRepeat&(1<<h) == 0 {
			continue
		}
		r := parse(t, fmt.Sprintf("GET / HTTP/1.1\r\n%[1]s: a\r\nHost: a\r\n%[1]s:\r\nX: y\r\n%[1]s: b, c\r\n\r\n", h))
		var got []string
		for v := range r.Values(h) {
			got = append(got, string(v))
		}
		if want := []string{"a", "", "b, c"}; !slices.Equal(got, want) || string(r.Known(h)) != "a" {
			t.Errorf("%v: got %q, first %q, want %q", h, got, r.Known(h), want)
		}
		for v := range r.Values(h) {
			if string(v) != "a" {
				t.Errorf("%v: got %q after break", h, v)
			}
			break
		}
		for range r.Fields() {
			break
		}
	}
	r := parse(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, h := range []Header{HeaderAccept, headerCount, 255} {
		for v := range r.Values(h) {
			t.Errorf("absent field %d has value %q", h, v)
		}
	}
}

func TestRequestConnection(t *testing.T) {
	for _, tt := range []struct {
		version, fields    string
		keepAlive, upgrade bool
	}{
		{"1.1", "", true, false},
		{"1.0", "", false, false},
		{"1.1", "Connection: close\r\n", false, false},
		{"1.1", "Connection: keep-alive, CLOSE\r\n", false, false},
		{"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false, false},
		{"1.1", "Connection: closed\r\n", true, false},
		{"1.0", "Connection: Keep-Alive\r\n", true, false},
		{"1.0", "Connection: keep-alive, close\r\n", false, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n", true, true},
		{"1.1", "Connection: keep-alive,\tupgrade ,\r\nUpgrade: h2c , websocket\r\n", true, true},
		{"1.1", "Connection: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n", true, true},
		{"1.1", "Upgrade: websocket\r\n", true, false},
		{"1.1", "Connection: upgrade\r\n", true, false},
		{"1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", true, false},
		{"1.1", "Connection: upgrade\r\nUpgrade: websockets\r\n", true, false},
		{"1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false, false},
	} {
		r := parse(t, "GET / HTTP/"+tt.version+"\r\nHost: a\r\n"+tt.fields+"\r\n")
		if r.KeepAlive() != tt.keepAlive || r.WantsUpgrade() != tt.upgrade {
			t.Errorf("%s %q: got keep-alive %v, upgrade %v, want %v, %v",
				tt.version, tt.fields, r.KeepAlive(), r.WantsUpgrade(), tt.keepAlive, tt.upgrade)
		}
	}
}

func TestRequestFraming(t *testing.T) {
	for _, tt := range []struct {
		version, fields string
		length          int64
		chunked, expect bool
	}{
		{"1.1", "", 0, false, false},
		{"1.1", "Content-Length: 0\r\n", 0, false, false},
		{"1.1", "Content-Length: 123\r\n", 123, false, false},
		{"1.1", "Transfer-Encoding: chunked\r\n", -1, true, false},
		{"1.1", "Transfer-Encoding:\tchunked \r\nExpect: 100-continue\r\n", -1, true, true},
		{"1.1", "Content-Length: 1\r\nExpect: 100-Continue\r\n", 1, false, true},
		{"1.1", "Expect: 100-continue\r\n", 0, false, false},
		{"1.0", "Content-Length: 1\r\nExpect: 100-continue\r\n", 1, false, false},
	} {
		r := parse(t, "POST / HTTP/"+tt.version+"\r\nHost: a\r\n"+tt.fields+"\r\n")
		if r.ContentLength() != tt.length || r.Chunked() != tt.chunked || r.ExpectContinue() != tt.expect {
			t.Errorf("%s %q: got length %d, chunked %v, expect %v, want %d, %v, %v", tt.version, tt.fields,
				r.ContentLength(), r.Chunked(), r.ExpectContinue(), tt.length, tt.chunked, tt.expect)
		}
	}
}

func TestRequestViewsCannotGrow(t *testing.T) {
	in := []byte(mcpHead)
	var r Request
	if _, err := r.Parse(in, nil); err != nil {
		t.Fatal(err)
	}
	_ = append(r.Path(), "overwritten"...)
	_ = append(r.Known(HeaderHost), "overwritten"...)
	if string(in) != mcpHead {
		t.Errorf("append to a view changed the head to %q", in)
	}
}

func TestRequestRebase(t *testing.T) {
	in := []byte(mcpHead)
	var r Request
	if _, err := r.Parse(in[:100], nil); err == nil {
		t.Fatal("Parse of a part: got nil")
	}
	r.Rebase(nil)
	if _, err := r.Parse(in, nil); err != nil {
		t.Fatal(err)
	}
	moved := []byte(mcpHead + "body")
	r.Rebase(moved)
	r.Rebase(moved[:r.HeadLen()-1])
	clear(in)
	if want := parse(t, mcpHead); !snapshot(&r).equal(snapshot(want)) {
		t.Errorf("after Rebase: got %+v, want %+v", snapshot(&r), snapshot(want))
	}
	again := []byte(mcpHead)
	if n, err := r.Parse(again, nil); n != len(mcpHead) || err != nil {
		t.Errorf("Parse of a parsed head = %d, %v, want %d, nil", n, err, len(mcpHead))
	}
	clear(moved)
	if string(r.Path()) != "/mcp" {
		t.Errorf("after Parse again: got path %q, want /mcp", r.Path())
	}
}

func TestRequestReset(t *testing.T) {
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "X-%d: y\r\n", i)
	}
	var r Request
	for _, in := range []string{mcpHead, "GET / HTTP/1.1\r\nHost: a\r\n" + many.String() + "\r\n", absoluteGet, mcpHead} {
		r.Reset()
		if r.Path() != nil && len(r.Path()) != 0 || r.Known(HeaderHost) != nil || r.HeadLen() != 0 || r.Body != nil {
			t.Errorf("after Reset: got %+v", snapshot(&r))
		}
		if c := cap(r.fields); c > maxKeptFields {
			t.Errorf("Reset kept %d fields, want at most %d", c, maxKeptFields)
		}
		if _, err := r.Parse([]byte(in), &Limits{Fields: 200}); err != nil {
			t.Fatal(err)
		}
		r.Body = []byte("x")
		want := parse0(in)
		want.body = "x"
		if got := snapshot(&r); !got.equal(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// parse0 is the snapshot of in as a fresh Request sees it.
func parse0(in string) message {
	var r Request
	_, _ = r.Parse([]byte(in), &Limits{Fields: 200})
	return snapshot(&r)
}

func TestErrorText(t *testing.T) {
	if got, want := errHost.Error(), "http1: 400: malformed Host"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestValueEnd compares the eight-bytes-at-a-time search with the definition.
func TestValueEnd(t *testing.T) {
	slow := func(b []byte, i int) int {
		for i < len(b) && (b[i] >= 0x20 && b[i] != 0x7f || b[i] == '\t') {
			i++
		}
		return i
	}
	for c := range 256 {
		for size := range 20 {
			for at := range size {
				b := []byte(strings.Repeat("\xff", size))
				b[at] = byte(c)
				if c&1 == 0 {
					b[size-1] = '\t'
				}
				for i := range size {
					if got, want := valueEnd(b, i), slow(b, i); got != want {
						t.Fatalf("valueEnd(%q, %d) = %d, want %d", b, i, got, want)
					}
				}
			}
		}
	}
}
