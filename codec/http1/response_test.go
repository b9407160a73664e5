package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAppendStatusLine(t *testing.T) {
	for status, want := range map[int]string{
		200:  "HTTP/1.1 200 OK\r\n",
		101:  "HTTP/1.1 101 Switching Protocols\r\n",
		431:  "HTTP/1.1 431 Request Header Fields Too Large\r\n",
		299:  "HTTP/1.1 299 \r\n",
		99:   "HTTP/1.1 500 Internal Server Error\r\n",
		1000: "HTTP/1.1 500 Internal Server Error\r\n",
		-200: "HTTP/1.1 500 Internal Server Error\r\n",
	} {
		if got := string(AppendStatusLine(nil, status)); got != want {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
	}
}

// TestStatusText compares with net/http, but for the names that RFC 9110
// changed and the codes that are not of this package.
func TestStatusText(t *testing.T) {
	renamed := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
	for status := range 1000 {
		want := http.StatusText(status)
		if name, ok := renamed[status]; ok {
			want = name
		}
		if got := StatusText(status); got != "" && got != want {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
	}
	for _, err := range []*Error{errMethod, errMethodLength, errConnect, errTargetLength, errVersionUnknown, errHeadLength, errExpect, errBodyLength} {
		if StatusText(err.Status) == "" {
			t.Errorf("%d of %v has no text", err.Status, err)
		}
	}
}

// TestAppendField is H1-11: a value cannot end its line.
func TestAppendField(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{"v", "N: v\r\n"},
		{"", "N: \r\n"},
		{"a\tb \xc3\xa9", "N: a\tb \xc3\xa9\r\n"},
		{"a\r\nSet-Cookie: x", "N: a  Set-Cookie: x\r\n"},
		{"\r\n\r\n<script>", "N:     <script>\r\n"},
		{"a\nb\x00c\x7fd\x1be0123456789\r", "N: a b c d e0123456789 \r\n"},
	} {
		got := AppendField([]byte("keep\r\n"), "N", tt.value)
		if string(got) != "keep\r\n"+tt.want {
			t.Errorf("%q: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestAppendContentLength(t *testing.T) {
	for n, want := range map[int]string{0: "0", 42: "42", -1: "0"} {
		if got := string(AppendContentLength(nil, n)); got != "Content-Length: "+want+"\r\n" {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

// TestResponse reads responses back with net/http.
func TestResponse(t *testing.T) {
	var dst []byte
	dst = append(dst, Continue...)
	dst = AppendStatusLine(dst, 200)
	dst = AppendField(dst, "Content-Type", "text/plain")
	dst = AppendContentLength(dst, 5)
	dst = AppendEnd(dst)
	dst = append(dst, "hello"...)
	dst = AppendStatusLine(dst, 404)
	dst = AppendField(dst, "Transfer-Encoding", "chunked")
	dst = AppendEnd(dst)
	long := strings.Repeat("x", 300)
	dst = AppendChunk(dst, []byte("hello"))
	dst = AppendChunk(dst, nil)
	dst = AppendChunk(dst, []byte(long))
	dst = AppendLastChunk(dst)

	rd := bufio.NewReader(bytes.NewReader(dst))
	for _, want := range []struct {
		status int
		body   string
	}{{100, ""}, {200, "hello"}, {404, "hello" + long}} {
		res, err := http.ReadResponse(rd, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != want.status || string(body) != want.body {
			t.Errorf("got %d %q, %v, want %d %q", res.StatusCode, body, err, want.status, want.body)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if rest, _ := io.ReadAll(rd); len(rest) != 0 {
		t.Errorf("%q left, want nothing", rest)
	}
}

// TestChunkRoundTrip decodes what AppendChunk wrote.
func TestChunkRoundTrip(t *testing.T) {
	var src, want []byte
	for n := range 300 {
		data := bytes.Repeat([]byte{byte(n)}, n)
		src, want = AppendChunk(src, data), append(want, data...)
	}
	src = AppendLastChunk(src)
	out, n, err := newBody(t, te).Decode(nil, src)
	if !bytes.Equal(out, want) || n != len(src) || err != nil {
		t.Errorf("got %d bytes, used %d, %v, want %d, %d, nil", len(out), n, err, len(want), len(src))
	}
}
