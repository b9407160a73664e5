// Package jsonrpc reads and writes JSON-RPC 2.0 envelopes
// (https://www.jsonrpc.org/specification).
//
// It is sans-IO: bytes in, values out, no sockets, goroutines or clocks.
// Reading is strict, so that no other parser on the path can see a different
// message in the same bytes: names are case-sensitive, a name may occur once
// in an object, text is valid UTF-8 without lone surrogates, nothing follows
// the value, and depth and number of keys are bounded. Every []byte that is
// handed out is a view into the input unless its doc says otherwise: it lives
// as long as the input does, and its capacity ends with it, so that an append
// copies.
//
// All functions may be called from any goroutine.
package jsonrpc
