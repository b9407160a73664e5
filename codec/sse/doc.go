// Package sse writes and reads server-sent events: the text/event-stream
// format of the WHATWG HTML standard, section 9.2.
//
// It is sans-IO: bytes in, values out. It reads no socket, starts no goroutine
// and looks at no clock. The transport appends events with it; Parser serves
// clients, tests and the replay of streams.
package sse
