package server

import (
	"context"
	"fmt"
	"net/http"

	"millrace/server/mcp"
	"millrace/server/transport"
)

// Handler serves m inside of net/http, with the defaults of a Server:
//
//	http.Handle("/mcp", server.Handler(m))
//
// The handler lives as long as the process; one that ends is made by
// Server.Handler. It panics when m is nil.
func Handler(m *mcp.Server) http.Handler {
	_, h := mount(m)
	return h
}

// mount is Handler, with the Server behind it.
func mount(m *mcp.Server) (*Server, http.Handler) {
	s := &Server{MCP: m}
	h, err := s.Handler()
	if err != nil {
		panic("server.Handler: " + err.Error())
	}
	return s, h
}

// Handler is Run for who has an http.Server already, or wants HTTP/2, or TLS as
// net/http does it: the same gate, pool, sessions and deadlines, and Streamable
// HTTP only. It starts them, and Shutdown ends them; until then Run returns
// ErrRunning. Call Shutdown before, or beside, that of the http.Server, which
// waits for event streams but does not end them.
//
// The handler does not look at the path, and these fields mean nothing to it:
// Addr, Listeners, Path, Loops, MaxConnections, PingInterval, PongTimeout,
// Greeting, LegacySSE. Nobody can check that strangers are kept out where it is
// mounted, so Insecure means nothing either: set Auth wherever others can connect.
// Without AllowedHosts a request that comes in on a loopback address must name one
// in Host, and Origin must always be the same host or one of AllowedOrigins:
// "Servers MUST validate the Origin header on all incoming connections to prevent
// DNS rebinding attacks" (25:basic/transports).
//
// A limit of net/http for reading or writing a whole request is lifted while it
// waits for its answer; each write may then take 30 s.
func (s *Server) Handler() (http.Handler, error) {
	if !s.busy.CompareAndSwap(false, true) {
		return nil, ErrRunning
	}
	r, err := s.startHandler()
	if err != nil {
		s.busy.Store(false)
		return nil, err
	}
	r.began()
	go func() {
		<-r.quit
		r.stopped(r.drain(r.endHandler))
	}()
	return r.handler, nil
}

// startHandler brings everything up but a listener, or nothing.
func (s *Server) startHandler() (*runState, error) {
	r, err := s.openRunState(context.Background())
	if err != nil {
		return nil, err
	}
	if err := r.startAdmin(); err != nil {
		return nil, err
	}
	r.serve()
	r.handler = transport.NewHTTPHandler(transport.Config{
		AllowedHosts: s.AllowedHosts, AllowedOrigins: s.AllowedOrigins, TrustedProxies: s.TrustedProxies, MaxBody: s.MaxBody,
		Metadata: r.gate.resource.metadata,
	}, r.gate)
	s.running.Store(r)
	return r, nil
}

// endHandler waits for the requests that are open.
func (r *runState) endHandler(ctx context.Context) error {
	r.handler.Drain()
	if err := r.handler.Wait(ctx); err != nil {
		return fmt.Errorf("handler: %w", err)
	}
	return nil
}
