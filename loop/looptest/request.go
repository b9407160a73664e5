// Package looptest has what tests of package loop, and of handlers above it,
// say and hear as a client: requests and masked frames to feed to a
// loop.Memory or to write to a socket, readers for what comes back, and a
// scripted loop.Handler that records its events. It trusts its input: it is for
// tests alone.
package looptest

import (
	"fmt"
	"strings"
)

// Request returns an HTTP/1.1 request with the given extra field lines
// ("Name: value"). A body that is not empty gets a Content-Length.
func Request(method, target, body string, fields ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, target)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}

// Chunked returns an HTTP/1.1 POST whose body comes in the given chunks.
func Chunked(target string, chunks ...string) []byte {
	b := Request("POST", target, "", "Transfer-Encoding: chunked")
	for _, c := range chunks {
		b = fmt.Appendf(b, "%x\r\n%s\r\n", len(c), c)
	}
	return append(b, "0\r\n\r\n"...)
}

// Upgrade returns the opening handshake of a WebSocket. Its key is the one of
// RFC 6455 section 1.3.
func Upgrade(target string, fields ...string) []byte {
	fields = append(fields, "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	return Request("GET", target, "", fields...)
}
