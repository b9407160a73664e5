// Package client speaks MCP as a load generator needs it: plain connections, hand-written HTTP/1.1 and WebSocket
// framing, reused buffers. It is not a general client: it never follows redirects, never retries, and treats whatever
// a server may not send as an error. It shares no code with the server, so a mistake in the server's codecs
// cannot hide behind the same mistake here.
package client
