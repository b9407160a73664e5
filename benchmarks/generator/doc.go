// Package generator puts load on one MCP server: thousands of connections over HTTP/1.1 or WebSocket, driven by one
// epoll thread for each core it may use. Every answer is checked: that it answers a request that is open on its
// connection, and that it says what it must.
//
// A Load has Groups of connections that do the same: call as fast as answers come (closed loop), call at a fixed rate
// (open loop, latency counted from the moment a call was meant to be sent), come and go, listen, idle, or never read.
//
// The first answer of a group is parsed and checked in full; later ones are compared with it byte by byte, except for
// the request id and the mark of the connection, and are parsed in full again only when they differ. That is what
// lets one core check a million answers a second.
package generator
