package server

import (
	"fmt"

	"millrace/server/auth"
	"millrace/server/transport"
)

// HTTP+SSE (2024-11-05) is a shared connection, as a WebSocket is, but for one
// thing: its messages come in by POSTs of their own, from anywhere. Who knows the
// URI of a session is not yet its client, so each of them is asked who it is.

// knownSender is who sends a request, when that need not be asked.
func (in *inbound) knownSender() *auth.Principal {
	if in.gate.auth != nil && in.byPost() {
		return nil
	}
	return in.conn.who.Load()
}

// owns reports whether who may send messages to the session: "authorization MUST
// be included in every HTTP request from client to server, even if they are part
// of the same logical session" (25:basic/authorization), and it must be the same.
// Everything but a POST of HTTP+SSE brings its sender along.
func (in *inbound) owns(who *auth.Principal) bool {
	if !in.byPost() {
		return true
	}
	owner := in.conn.who.Load()
	return owner != nil && owner.ID == who.ID
}

// byPost reports whether the request is a message of HTTP+SSE.
func (in *inbound) byPost() bool {
	return in.conn.link.Protocol == transport.SSE && in.req.Kind == transport.Message
}

// checkLegacySSE refuses an endpoint that would hide the paths of HTTP+SSE.
func (s *Server) checkLegacySSE() error {
	if s.LegacySSE && (s.Path == "/sse" || s.Path == "/messages") {
		return fmt.Errorf("path %s belongs to HTTP+SSE: choose another one, or turn --legacy-sse (Server.LegacySSE) off", s.Path)
	}
	return nil
}
