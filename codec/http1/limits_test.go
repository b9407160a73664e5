package http1

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

// TestLimits is H1-7: each limit passes at limit-1 and limit and refuses at
// limit+1, as a default and as an option.
func TestLimits(t *testing.T) {
	head := func(n int) string {
		const around = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
		return "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", n-len(around)) + "\r\n\r\n"
	}
	fields := func(n int) string {
		return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", n-1) + "\r\n"
	}
	target := func(n int) string {
		return "GET /" + strings.Repeat("x", n-1) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	}
	length := func(n int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
	}
	chunked := func(n int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\n"+te+"\r\n1\r\nx\r\n%x\r\n%s\r\n0\r\n\r\n", n-1, strings.Repeat("x", n-1))
	}
	method := func(n int) string {
		return strings.Repeat("M", n) + " / HTTP/1.1\r\nHost: a\r\n\r\n"
	}
	chunkLine := func(n int) string {
		return "POST / HTTP/1.1\r\nHost: a\r\n" + te + "\r\n1;" + strings.Repeat("e", n-4) + "\r\nx\r\n0\r\n\r\n"
	}
	extensions := func(n int) string {
		const each = 40
		s := "POST / HTTP/1.1\r\nHost: a\r\n" + te + "\r\n"
		s += strings.Repeat("1;"+strings.Repeat("e", each)+"\r\nx\r\n", n/each)
		return s + "1;" + strings.Repeat("e", n%each) + "\r\nx\r\n0\r\n\r\n"
	}
	trailer := func(n int) string {
		const around = "X: y\r\nY: \r\n"
		return "POST / HTTP/1.1\r\nHost: a\r\n" + te + "\r\n0\r\nX: y\r\nY: " + strings.Repeat("y", n-len(around)) + "\r\n\r\n"
	}
	for _, tt := range []struct {
		id, name string
		lim      *Limits
		limit    int
		make     func(int) string
		status   int
	}{
		{"H1-7", "HeadBytes default", nil, 16384, head, 431},
		{"H1-7", "HeadBytes", &Limits{HeadBytes: 100}, 100, head, 431},
		{"H1-7", "Fields default", nil, 64, fields, 431},
		{"H1-7", "Fields", &Limits{Fields: 5}, 5, fields, 431},
		{"H1-7", "TargetBytes default", nil, 4096, target, 414},
		{"H1-7", "TargetBytes", &Limits{TargetBytes: 50}, 50, target, 414},
		{"H1-7", "BodyBytes default", nil, 4 << 20, length, 413},
		{"H1-7", "BodyBytes", &Limits{BodyBytes: 50}, 50, length, 413},
		{"H1-7", "BodyBytes default, chunked", nil, 4 << 20, chunked, 413},
		{"H1-7", "BodyBytes, chunked", &Limits{BodyBytes: 50}, 50, chunked, 413},
		{"H1-7", "method", nil, maxMethod, method, 501},
		{"H1-3", "chunk size line", nil, maxSizeLine, chunkLine, 400},
		{"H1-3", "chunk extensions", nil, maxExtensionBytes, extensions, 400},
		{"H1-3", "trailer", nil, maxTrailerBytes, trailer, 400},
	} {
		for n, want := range map[int]int{tt.limit - 1: 0, tt.limit: 0, tt.limit + 1: tt.status} {
			in := tt.make(n)
			got, err := readMessage([]byte(in), tt.lim, len(in)/2)
			if err != nil || got.status != want {
				t.Errorf("%s %s of %d: got status %d, %v, want %d", tt.id, tt.name, n, got.status, err, want)
			}
		}
	}
}

// TestLimitsUnfinished refuses what can no longer end within its limit, before
// its end is there.
func TestLimitsUnfinished(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		lim      Limits
		status   int
	}{
		{"method", strings.Repeat("M", 33), Limits{}, 501},
		{"target", "GET /" + strings.Repeat("x", 50), Limits{TargetBytes: 50}, 414},
		{"target beyond head", "GET /" + strings.Repeat("x", 50), Limits{HeadBytes: 50}, 414},
		{"version beyond head", "GET / HTTP/1.1", Limits{HeadBytes: 14}, 431},
		{"name", line + strings.Repeat("x", 50), Limits{HeadBytes: 50}, 431},
		{"value", line + "X: " + strings.Repeat("x", 50), Limits{HeadBytes: 50}, 431},
		{"last line", line + host + "\r", Limits{HeadBytes: len(line + host + "\r")}, 431},
		{"fields", line + host + "X", Limits{Fields: 1}, 431},
		{"length", line + host + "Content-Length: 51\r\n\r\n", Limits{BodyBytes: 50}, 413},
		{"chunk", line + host + te + "\r\n33\r\n", Limits{BodyBytes: 50}, 413},
		{"huge chunk", line + host + te + "\r\nffffffff\r\n", Limits{}, 413},
	} {
		got, err := readMessage([]byte(tt.in), &tt.lim)
		if err != nil || got.status != tt.status {
			t.Errorf("%s: got status %d, %v, want %d", tt.name, got.status, err, tt.status)
		}
		got, err = readMessage([]byte(tt.in), &tt.lim, everyCut(len(tt.in))...)
		if err != nil || got.status != tt.status {
			t.Errorf("%s, byte by byte: got status %d, %v, want %d", tt.name, got.status, err, tt.status)
		}
	}
}

// TestLimitsShrink lowers the limits between two calls for one head.
func TestLimitsShrink(t *testing.T) {
	for n := range len(mcpHead) {
		for _, lim := range []Limits{{HeadBytes: 1}, {HeadBytes: 20}, {TargetBytes: 1}, {Fields: 1}} {
			var r Request
			_, _ = r.Parse([]byte(mcpHead[:n]), nil)
			if _, err := r.Parse([]byte(mcpHead), &lim); err == nil && lim.TargetBytes == 0 && n < 100 {
				t.Errorf("after %d bytes: %+v not enforced", n, lim)
			}
		}
	}
}

func TestLimitsShorterInput(t *testing.T) {
	var r Request
	if _, err := r.Parse([]byte(mcpHead[:100]), nil); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	if _, err := r.Parse([]byte(mcpHead[:50]), nil); err != io.ErrUnexpectedEOF {
		t.Errorf("fewer bytes than before: got %v, want io.ErrUnexpectedEOF", err)
	}
	if _, err := r.Parse([]byte(mcpHead), nil); err != nil {
		t.Errorf("all bytes: got %v, want nil", err)
	}
}

func TestLimitsHuge(t *testing.T) {
	lim := &Limits{HeadBytes: math.MaxInt, Fields: math.MaxInt, TargetBytes: math.MaxInt, BodyBytes: math.MaxInt64}
	in := []byte("POST / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 65532) + "Content-Length: 999999999999999\r\n\r\n")
	var r Request
	if _, err := r.Parse(in, lim); err != nil || r.ContentLength() != 999999999999999 {
		t.Errorf("got length %d, %v, want 999999999999999", r.ContentLength(), err)
	}
	in = []byte("POST / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 65535) + "\r\n")
	r.Reset()
	if _, err := r.Parse(in, lim); err != errFieldCount {
		t.Errorf("65535 fields: got %v, want %v", err, errFieldCount)
	}
}

// TestBodyLimitOfItsOwn gives the body a lower limit than the head was judged by.
func TestBodyLimitOfItsOwn(t *testing.T) {
	r := parse(t, line+host+"Content-Length: 51\r\n\r\n")
	var d Body
	d.Reset(r, &Limits{BodyBytes: 50})
	if _, n, err := d.Decode(nil, []byte("x")); n != 0 || err != errBodyLength {
		t.Errorf("got %d, %v, want 0, %v", n, err, errBodyLength)
	}
}
