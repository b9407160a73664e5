package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// message is all that can be seen of one request.
type message struct {
	method, path, query string
	minor               int
	fields              []string // "name: value"
	length              int64
	keepAlive           bool
	body                string
	used                int // bytes of the stream
	status              int // of the *Error, 0 when accepted
}

// readMessage feeds stream to a Request and a Body as a connection would: the
// pieces end at the cuts, each arrives in a buffer grown to a new address, and
// the old one is overwritten. It returns io.ErrUnexpectedEOF when the stream
// ends too early.
func readMessage(stream []byte, lim *Limits, cuts ...int) (m message, err error) {
	var r Request
	var buf []byte
	from := 0
	grow := func(to int) {
		old := buf
		buf = slices.Concat(old, stream[from:to])
		from = to
		for i := range old {
			old[i] = 0xAA
		}
	}
	cuts = append(slices.Clone(cuts), len(stream))
	var n int
	for {
		grow(cuts[0])
		cuts = cuts[1:]
		if n, err = r.Parse(buf, lim); err != io.ErrUnexpectedEOF || len(cuts) == 0 {
			break
		}
	}
	if err != nil {
		return refusal(m, err)
	}

	var d Body
	d.Reset(&r, lim)
	used := n
	for {
		var k int
		r.Body, k, err = d.Decode(r.Body, buf[used:])
		used += k
		if err != io.ErrUnexpectedEOF || len(cuts) == 0 {
			break
		}
		if used != len(buf) {
			return m, fmt.Errorf("Decode wants more and left %d bytes", len(buf)-used)
		}
		grow(cuts[0])
		cuts = cuts[1:]
		r.Rebase(buf)
	}
	if err != nil {
		return refusal(m, err)
	}
	m = snapshot(&r)
	m.used = used
	return m, nil
}

func refusal(m message, err error) (message, error) {
	var refused *Error
	if errors.As(err, &refused) {
		m.status = refused.Status
		return m, nil
	}
	return m, err
}

func snapshot(r *Request) message {
	m := message{
		method:    string(r.MethodName()),
		path:      string(r.Path()),
		query:     string(r.Query()),
		minor:     r.Minor(),
		length:    r.ContentLength(),
		keepAlive: r.KeepAlive(),
		body:      string(r.Body),
	}
	for name, value := range r.Fields() {
		m.fields = append(m.fields, string(name)+": "+string(value))
	}
	return m
}

func (m message) equal(o message) bool {
	return fmt.Sprintf("%#v", m) == fmt.Sprintf("%#v", o)
}

const chunkedPost = "POST /mcp?a=b HTTP/1.1\r\nHost: a.example:80\r\nX-Empty:\r\nX-Tab:\ta\tb \t\r\n" +
	"Transfer-Encoding: chunked\r\n\r\n" +
	"5\r\nhello\r\n00a;x=\"y\"\r\n, world!!!\r\n0\r\nX-Sum: 12\r\nX-Very-Long-Trailer-Field-Name-0123456789: \r\n\r\n"

const absoluteGet = "GET http://A.example/p?q HTTP/1.1\r\nHost: a.Example\r\nConnection: x\r\nConnection: close\r\n\r\n"

var whole = []struct {
	name, in string
	want     message
}{
	{"mcp post", string(mcpPost), message{
		method: "POST", path: "/mcp", minor: 1, length: int64(len(mcpBody)), keepAlive: true, body: mcpBody, used: len(mcpPost),
		fields: strings.Split(mcpHead, "\r\n")[1:11],
	}},
	{"chunked", chunkedPost, message{
		method: "POST", path: "/mcp", query: "a=b", minor: 1, length: -1, keepAlive: true, body: "hello, world!!!", used: len(chunkedPost),
		fields: []string{"Host: a.example:80", "X-Empty: ", "X-Tab: a\tb", "Transfer-Encoding: chunked"},
	}},
	{"absolute form", absoluteGet, message{
		method: "GET", path: "/p", query: "q", minor: 1, used: len(absoluteGet),
		fields: []string{"Host: a.Example", "Connection: x", "Connection: close"},
	}},
	{"http 1.0", "GET / HTTP/1.0\r\n\r\n", message{method: "GET", path: "/", used: 18}},
}

func TestMessageWhole(t *testing.T) {
	for _, tt := range whole {
		got, err := readMessage([]byte(tt.in), nil)
		if err != nil || !got.equal(tt.want) {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestMessageEveryPrefix(t *testing.T) {
	for _, tt := range whole {
		for n := range len(tt.in) {
			if got, err := readMessage([]byte(tt.in[:n]), nil); err != io.ErrUnexpectedEOF || got.status != 0 {
				t.Fatalf("%s: prefix of %d bytes: got %+v, %v, want io.ErrUnexpectedEOF", tt.name, n, got, err)
			}
		}
	}
}

func TestMessageSplitAtEveryByte(t *testing.T) {
	for _, tt := range whole {
		in := []byte(tt.in + "GET /next HTTP/1.1\r\n")
		for n := range len(in) {
			got, err := readMessage(in, nil, n)
			if err != nil || !got.equal(tt.want) {
				t.Fatalf("%s: cut at %d: got %+v, %v, want %+v", tt.name, n, got, err, tt.want)
			}
		}
		got, err := readMessage(in, nil, everyCut(len(in))...)
		if err != nil || !got.equal(tt.want) {
			t.Errorf("%s: byte by byte: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func everyCut(n int) []int {
	var cuts []int
	for i := range n {
		cuts = append(cuts, i)
	}
	return cuts
}

// TestParseScansOnce feeds a head byte by byte whose bytes already seen are
// destroyed: a parser that looked at them again would fail.
func TestParseScansOnce(t *testing.T) {
	in := "POST /" + strings.Repeat("a", 100) + " HTTP/1.1\r\nX-" + strings.Repeat("b", 100) + ": " + strings.Repeat("c", 100)
	var r Request
	buf := bytes.Clone([]byte(in))
	for n := range len(in) {
		if _, err := r.Parse(buf[:n], nil); err != io.ErrUnexpectedEOF {
			t.Fatalf("after %d bytes: got %v, want io.ErrUnexpectedEOF", n, err)
		}
		if n > 0 && in[n-1] >= 'a' {
			buf[n-1] = 0
		}
	}
}

func TestParsePipelined(t *testing.T) {
	in := []byte(string(mcpPost) + chunkedPost + absoluteGet)
	for _, want := range []string{mcpBody, "hello, world!!!", ""} {
		got, err := readMessage(in, nil)
		if err != nil || got.status != 0 || got.body != want {
			t.Fatalf("got %+v, %v, want body %q", got, err, want)
		}
		in = in[got.used:]
	}
	if len(in) != 0 {
		t.Errorf("%d bytes left, want 0", len(in))
	}
}
