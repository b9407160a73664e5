// Package loop owns sockets. A gnet event loop reads bytes, feeds them to the
// codecs, and hands whole requests and messages to a Handler; what the rest of
// the program wants to say goes back through Conn.Send to the loop that owns
// the connection. It is the only package that imports gnet.
//
// # Goroutines and ownership
//
// Every connection belongs to one loop, and a loop is one goroutine. All
// methods of Conn are for that goroutine, that is, for use inside the
// callbacks of Handler, except those whose comment says "any goroutine".
// Callbacks must not block: whatever takes longer than microseconds belongs on
// a worker.
//
// # HTTP and WebSocket
//
// A connection starts as HTTP/1.1 and serves one exchange at a time; bytes of
// the next request wait in its buffer. An exchange has a number, and an answer
// that names an older exchange is dropped, so a late worker can never answer
// somebody else's request. Sending with Switch turns the connection into a
// WebSocket. Its messages are text; Config.Binary admits binary ones too.
//
// # Bounds
//
// Everything that a peer can make grow is bounded by Config: connections,
// request heads, bodies, messages, bytes held for incomplete ones, bytes queued
// for a reader that does not read, and the time each of these may take.
package loop
