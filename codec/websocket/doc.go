// Package websocket is the server's half of RFC 6455: the handshake check, a
// decoder that turns the bytes of a connection into messages and control
// frames, and functions that append frames to a buffer.
//
// It is sans-IO: bytes in, events out. It never reads a socket, starts a
// goroutine or looks at a clock; the time is an argument. Nothing is allocated
// from a length that the peer declared. No extension is offered or accepted.
//
// The event loop calls it: CheckUpgrade and AppendSwitching once, then a
// Decoder for every connection.
package websocket
