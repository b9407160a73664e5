package main

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/gobwas/ws"

	"millrace/benchmarks/client"
	"millrace/benchmarks/servers/work"
)

// fixed answers every POST.
var fixed = []byte("HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: " +
	strconv.Itoa(len(work.Answer)) + "\r\n\r\n" + work.Answer)

func answerBytes(c *conn, in []byte) int {
	c.out = append(c.out, in...)
	return len(in)
}

var contentLength = []byte("\r\nContent-Length: ")

// answerHTTP answers each complete POST of in. It believes what the load sends: the one form of Content-Length, no
// chunks.
func answerHTTP(c *conn, in []byte) (used int) {
	for {
		b := in[used:]
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return used
		}
		length := 0
		if i := bytes.Index(b[:end], contentLength); i >= 0 {
			for i += len(contentLength); i < end && b[i] != '\r'; i++ {
				length = 10*length + int(b[i]-'0')
			}
		}
		if len(b) < end+4+length {
			return used
		}
		used += end + 4 + length
		c.out = append(c.out, fixed...)
	}
}

// answerWebSocket accepts the upgrade, then echoes frames unmasked (RFC 6455 section 5.1 has servers send them so).
func answerWebSocket(c *conn, in []byte) (used int) {
	if !c.upgraded {
		end := bytes.Index(in, []byte("\r\n\r\n"))
		if end < 0 {
			return 0
		}
		_, rest, _ := bytes.Cut(in[:end+2], []byte("Sec-WebSocket-Key: "))
		key, _, _ := bytes.Cut(rest, []byte("\r\n"))
		c.out = append(c.out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Protocol: mcp\r\nSec-WebSocket-Accept: "+client.AcceptKey(string(key))+"\r\n\r\n"...)
		c.upgraded = true
		used = end + 4
	}
	for {
		n := c.echoFrame(in[used:])
		if n <= 0 {
			return used + n // 0: incomplete; otherwise the loop closes
		}
		used += n
	}
}

// echoFrame appends the answer to the frame that b begins with and returns the bytes it took, 0 when it is incomplete.
func (c *conn) echoFrame(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	header, size := 2, int(b[1]&0x7f)
	switch {
	case size == 126 && len(b) >= 4:
		header, size = 4, int(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		header, size = 10, int(binary.BigEndian.Uint64(b[2:]))
	case size >= 126:
		return 0
	}
	total := header + 4 + size
	if len(b) < total {
		return 0
	}
	c.out = append(c.out, b[:header]...)
	c.out[len(c.out)-header+1] &= 0x7f
	c.out = append(c.out, b[header+4:total]...)
	ws.Cipher(c.out[len(c.out)-size:], [4]byte(b[header:]), 0)
	return total
}
