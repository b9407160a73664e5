// Package http1 is the server side of HTTP/1.0 and HTTP/1.1 messages as RFC
// 9110 and RFC 9112 define them: it parses request heads, decodes bodies, and
// appends responses. It is sans-IO: bytes in, values out, no socket, goroutine
// or clock. Package loop calls it on the goroutine that owns the connection.
//
// It is strict on purpose. Where RFC 9112 lets a recipient be lenient (bare LF,
// empty lines before a request, folded fields, repeated Content-Length) it
// answers 400, because two parsers that repair the same bytes in different ways
// are what request smuggling needs. What it accepts, net/http accepts too, and
// reads in the same way.
//
// Errors of the caller's peer are of type *Error and name the status to answer
// with. The connection must be closed after such an answer: the bytes behind a
// broken request have no known beginning.
package http1
