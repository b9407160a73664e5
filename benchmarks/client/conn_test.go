package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// listen runs serve on the first connection and returns the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		serve(c)
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// trickle writes s one byte at a time, so that every boundary is met.
func trickle(c net.Conn, s string) {
	for i := range len(s) {
		if _, err := io.WriteString(c, s[i:i+1]); err != nil {
			return
		}
	}
}

// upgrade plays the server's half of the handshake and returns what it read with.
func upgrade(c net.Conn, extra string) *bufio.Reader {
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return in
	}
	trickle(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		AcceptKey(r.Header.Get("Sec-WebSocket-Key"))+"\r\n"+extra+"\r\n")
	return in
}

const mcpProtocol = "Sec-WebSocket-Protocol: mcp\r\n"

func TestWebSocketRead(t *testing.T) {
	frames := make(chan []byte, 2)
	addr := listen(t, func(c net.Conn) {
		in := upgrade(c, mcpProtocol)
		trickle(c, "\x81\x02hi\x01\x02ab\x89\x01p\x80\x02cd\x8a\x00\x88\x05\x03\xe9bye")
		for range 2 {
			b := make([]byte, 64)
			n, _ := io.ReadAtLeast(in, b[:7], 7)
			b = b[:n]
			frames <- b
			if b[0] == 0x88 {
				_, _ = in.Discard(1)
			}
		}
	})
	w, err := DialWebSocket(t.Context(), addr, "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, want := range []string{"hi", "abcd"} {
		if got, err := w.Read(); err != nil || string(got) != want {
			t.Errorf("Read = %q, %v, want %q", got, err, want)
		}
	}
	var closed *CloseError
	if _, err = w.Read(); !errors.As(err, &closed) || closed.Code != 1001 || closed.Reason != "bye" {
		t.Errorf("Read after Close = %v", err)
	}
	if pong := <-frames; pong[0] != 0x8a || pong[1] != 0x81 || pong[6]^pong[2] != 'p' {
		t.Errorf("pong = %x", pong)
	}
	if reply := <-frames; reply[0] != 0x88 || reply[1] != 0x82 || reply[6]^reply[2] != 0x03 {
		t.Errorf("reply to Close = %x", reply)
	}
	if err := w.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close = %v, want %v", err, net.ErrClosed)
	}
	if err := w.AwaitEOF(); err != nil {
		t.Error(err)
	}
}

func TestWebSocketReadRejects(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"end without Close", "", io.EOF},
		{"end inside a frame", "\x81\x05he", io.ErrUnexpectedEOF},
		{"binary", "\x82\x01x", nil},
		{"not UTF-8", "\x81\x01\xff", nil},
		{"fragments not UTF-8", "\x01\x01\xc3\x80\x01x", nil},
		{"stray continuation", "\x80\x01x", nil},
		{"text inside a message", "\x01\x01x\x81\x01y", nil},
		{"one byte Close", "\x88\x01x", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := DialWebSocket(t.Context(), listen(t, func(c net.Conn) { upgrade(c, mcpProtocol); trickle(c, tt.in) }), "/mcp")
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			_, err = w.Read()
			var closed *CloseError
			if err == nil || errors.As(err, &closed) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Read = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestWebSocketClose(t *testing.T) {
	addr := listen(t, func(c net.Conn) {
		in := upgrade(c, mcpProtocol)
		_, _ = in.Discard(8)
		trickle(c, "\x81\x02hi\x88\x02\x03\xe8")
	})
	w, err := DialWebSocket(t.Context(), addr, "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestDialWebSocketAs(t *testing.T) {
	seen := make(chan string, 1)
	raw := make(chan string, 1)
	addr := listen(t, func(c net.Conn) {
		var head bytes.Buffer
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &head)))
		if err != nil {
			return
		}
		seen <- r.Header.Get("Authorization")
		trickle(c, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: "+AcceptKey(r.Header.Get("Sec-WebSocket-Key"))+
			"\r\n"+mcpProtocol+"\r\n")
		b := make([]byte, 3)
		_, _ = io.ReadFull(c, b)
		raw <- string(b)
	})
	w, err := DialWebSocketAs(t.Context(), addr, "/mcp", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if got := <-seen; got != "Bearer secret" {
		t.Errorf("Authorization = %q", got)
	}
	if err := errors.Join(w.SetReadBuffer(4<<10), w.WriteRaw([]byte("raw"))); err != nil {
		t.Error(err)
	}
	if got := <-raw; got != "raw" {
		t.Errorf("raw bytes = %q", got)
	}
}

func TestDialWebSocketRejects(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"no subprotocol": func(c net.Conn) { upgrade(c, "") },
		"extension":      func(c net.Conn) { upgrade(c, mcpProtocol+"Sec-WebSocket-Extensions: x\r\n") },
		"wrong key": func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			trickle(c, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"+mcpProtocol+"\r\n")
		},
		"status": func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			trickle(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		},
		"end": func(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) },
	} {
		_, err := DialWebSocket(t.Context(), listen(t, serve), "/mcp")
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		var status *StatusError
		if name == "status" && (!errors.As(err, &status) || status.Status != 503) || name == "end" && !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// exchange sends one request to a server that writes out and closes, and returns the connection.
func exchange(t *testing.T, out string) *HTTP {
	t.Helper()
	addr := listen(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			trickle(c, out)
		}
	})
	h, err := DialHTTP(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	if err := h.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	get := Request{Verb: "GET", Path: "/mcp", Host: addr}
	if err := h.Write(get.Append(nil, nil)); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHTTPReadBody(t *testing.T) {
	for _, tt := range []struct{ name, out, want string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"},
		{"to the end", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello"},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := exchange(t, tt.out)
			head, err := h.ReadHead()
			if err != nil {
				t.Fatal(err)
			}
			if body, err := h.ReadBody(head); err != nil || string(body) != tt.want {
				t.Errorf("body = %q, %v, want %q", body, err, tt.want)
			}
			if _, err := h.ReadHead(); !errors.Is(err, ErrNoAnswer) {
				t.Errorf("second head = %v, want %v", err, ErrNoAnswer)
			}
		})
	}
}

func TestHTTPCutOff(t *testing.T) {
	for _, out := range []string{
		"HTTP/1.1 200",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
	} {
		h := exchange(t, out)
		head, err := h.ReadHead()
		if err == nil {
			_, err = h.ReadBody(head)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrNoAnswer) {
			t.Errorf("%q: %v, want %v", out, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestHTTPReadEvents(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name, out, want string
		ok              bool
	}{
		{"two events over three chunks", "9\r\ndata: a\n\n\r\n6\r\n: c\n\nd\r\n8\r\nata: b\n\n\r\n0\r\n\r\n", "a,b", true},
		{"no last chunk", "9\r\ndata: a\n\n\r\n", "a", false},
		{"ends inside an event", "8\r\ndata: a\n\r\n0\r\n\r\n", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := exchange(t, head+tt.out)
			head, err := h.ReadHead()
			if err != nil || !head.EventStream {
				t.Fatalf("head = %+v, %v", head, err)
			}
			var got []string
			err = h.ReadEvents(head, func(e Event) error { got = append(got, string(e.Data)); return nil })
			if strings.Join(got, ",") != tt.want || (err == nil) != tt.ok {
				t.Errorf("events = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	h := exchange(t, "HTTP/1.1 200 OK\r\n\r\nhello")
	if hd, err := h.ReadHead(); err != nil {
		t.Error(err)
	} else if _, err := h.ReadBody(hd); err == nil {
		t.Error("a body without length on a kept connection was accepted")
	}
}

func TestLeave(t *testing.T) {
	got := make(chan string, 1)
	serve := func(c net.Conn) {
		in := upgrade(c, mcpProtocol)
		b, err := io.ReadAll(in)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- string(b[:1])
	}
	w, err := DialWebSocket(t.Context(), listen(t, serve), "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePart([]byte("half of this")); err != nil {
		t.Error(err)
	}
	w.Abort()
	if s := <-got; s != "\x81" {
		t.Errorf("server read %q, want the start of a text frame", s)
	}
	if w, err = DialWebSocket(t.Context(), listen(t, serve), "/mcp"); err != nil {
		t.Fatal(err)
	}
	w.Reset()
	if s := <-got; !strings.Contains(s, "reset") {
		t.Errorf("server saw %q, want a reset", s)
	}
}

func TestAwaitEOF(t *testing.T) {
	for _, tt := range []struct {
		name, out string
		ok        bool
	}{
		{"end", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"more bytes", "HTTP/1.1 204 No Content\r\n\r\nmore", false},
	} {
		h := exchange(t, tt.out)
		if _, err := h.ReadHead(); err != nil {
			t.Fatal(err)
		}
		if err := h.AwaitEOF(); (err == nil) != tt.ok {
			t.Errorf("%s: AwaitEOF = %v", tt.name, err)
		}
	}
	addr := listen(t, func(c net.Conn) { _, _ = io.ReadAll(c) })
	h, err := DialHTTP(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := h.AwaitEOF(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("AwaitEOF of a connection that stays = %v", err)
	}
	h.Reset()
}

// TestBufferGrows reads a message that is larger than the first buffer and arrives with the next.
func TestBufferGrows(t *testing.T) {
	long := strings.Repeat("x", 3*keptBuffer)
	addr := listen(t, func(c net.Conn) {
		in := upgrade(c, mcpProtocol)
		_, _ = io.WriteString(c, "\x81\x7f\x00\x00\x00\x00\x00\x03\x00\x00"+long+"\x81\x02hi")
		_, _ = in.Discard(6)
		trickle(c, "\x81\x02ho")
	})
	w, err := DialWebSocket(t.Context(), addr, "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, want := range []string{long, "hi", "ho"} {
		if i == 2 {
			if err := w.Write(nil); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := w.Read(); err != nil || string(got) != want {
			t.Errorf("Read = %.20q of %d bytes, %v, want %.20q", got, len(got), err, want)
		}
	}
	if len(w.in.b) > keptBuffer {
		t.Errorf("kept a buffer of %d bytes, limit %d", len(w.in.b), keptBuffer)
	}
}
