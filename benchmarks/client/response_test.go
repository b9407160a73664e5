package client

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	const in = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n" +
		"TRANSFER-ENCODING:chunked\r\nMcp-Session-Id: \t abc \r\nConnection: Close\r\n\r\n"
	h, n, err := ParseHead([]byte(in + "5\r\n"))
	if err != nil || n != len(in) {
		t.Fatalf("ParseHead = %d, %v, want %d", n, err, len(in))
	}
	if h.Status != 200 || h.Length != -1 || !h.Chunked || !h.Close || !h.EventStream {
		t.Errorf("head = %+v", h)
	}
	if got := string(h.Get("mcp-session-id")); got != "abc" {
		t.Errorf("session = %q, want abc", got)
	}
	if got := h.Get("mcp"); got != nil {
		t.Errorf("Get of an absent field = %q", got)
	}
	for cut := range len(in) {
		if _, _, err := ParseHead([]byte(in[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("first %d bytes: %v, want %v", cut, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestParseHeadRejects(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.0 200 OK\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 2000\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nName : value\r\n\r\n",
		"HTTP/1.1 200 OK\r\n: value\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		strings.Repeat("x", maxHead+1),
	} {
		if _, _, err := ParseHead([]byte(in)); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%.60q: error = %v, want a protocol error", in, err)
		}
	}
}

// decode feeds in to the decoder, size bytes at a time, and returns the body and what is left behind it.
func decode(in string, size int) (body, rest string, err error) {
	var c Chunks
	var buf []byte
	for {
		data, n, done, err := c.Next(buf)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF) || err == nil && n == 0:
			if in == "" {
				return body, string(buf), io.ErrUnexpectedEOF
			}
			take := min(size, len(in))
			buf, in = append(buf, in[:take]...), in[take:]
			continue
		case err != nil:
			return body, string(buf), err
		}
		body += string(data)
		buf = buf[n:]
		if done {
			return body, string(buf) + in, nil
		}
	}
}

func TestChunks(t *testing.T) {
	const in = "5\r\nhello\r\n1\r\n,\r\n10\r\n0123456789abcdef\r\n0\r\n\r\nHTTP/1.1"
	for size := 1; size <= len(in); size++ {
		body, rest, err := decode(in, size)
		if err != nil || body != "hello,0123456789abcdef" || rest != "HTTP/1.1" {
			t.Fatalf("%d bytes at a time: %q, %q, %v", size, body, rest, err)
		}
	}
	for cut := range len(in) - len("HTTP/1.1") {
		if _, _, err := decode(in[:cut], 3); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("first %d bytes: %v, want %v", cut, err, io.ErrUnexpectedEOF)
		}
	}
	for _, in := range []string{"x\r\n", "-1\r\n", "\r\n", "2\r\nabcd\r\n", "0\r\nTrailer: x\r\n\r\n", strings.Repeat("0", 100)} {
		if _, _, err := decode(in, 100); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%.20q: error = %v, want a protocol error", in, err)
		}
	}
}

func TestParseEvent(t *testing.T) {
	for _, tt := range []struct{ name, in, event, id, data string }{
		{"data", "data: {}\n\n", "", "", "{}"},
		{"named", "event: message\nid: 7\ndata: {}\n\n", "message", "7", "{}"},
		{"crlf", "event: message\r\ndata: {}\r\n\r\n", "message", "", "{}"},
		{"no space", "data:{}\n\n", "", "", "{}"},
		{"lines", "data: a\ndata: b\n\n", "", "", "a\nb"},
		{"comment", ": ping\n\n", "", "", ""},
		{"retry", "retry: 10\ndata\n\n", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, n, err := ParseEvent([]byte(tt.in + "data: next"))
			if err != nil || n != len(tt.in) {
				t.Fatalf("ParseEvent = %d, %v, want %d", n, err, len(tt.in))
			}
			if string(e.Name) != tt.event || string(e.ID) != tt.id || string(e.Data) != tt.data {
				t.Errorf("event = %q %q %q", e.Name, e.ID, e.Data)
			}
			for cut := range len(tt.in) {
				if _, _, err := ParseEvent([]byte(tt.in[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("first %d bytes: %v", cut, err)
				}
			}
		})
	}
}
