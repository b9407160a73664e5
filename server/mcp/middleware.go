package mcp

import (
	"context"
	"slices"
)

// MethodHandler handles one message: a request or notification of a client
// (receiving), or a notification to one (sending). The result of a
// notification is ignored.
type MethodHandler func(ctx context.Context, method string, req Request) (result Result, err error)

// Middleware wraps a MethodHandler.
type Middleware func(MethodHandler) MethodHandler

// AddReceivingMiddleware wraps the handling of requests and notifications of
// clients, of those that name a known method and have params of the right
// type. The first middleware is the outermost; middleware of earlier calls
// stays inside. From then on nothing is answered on the event loop.
func (s *Server) AddReceivingMiddleware(middleware ...Middleware) {
	if len(middleware) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := MethodHandler(s.dispatch)
	if inner := s.receiving.Load(); inner != nil {
		h = *inner
	}
	h = wrap(h, middleware)
	s.receiving.Store(&h)
}

// AddSendingMiddleware wraps the sending of notifications to sessions and on the
// streams of calls. The order is that of AddReceivingMiddleware. Notifications of
// a subscriptions/listen, which are encoded once for all subscriptions, and
// requests to clients do not pass it.
func (s *Server) AddSendingMiddleware(middleware ...Middleware) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := wrap(*s.sending.Load(), middleware)
	s.sending.Store(&h)
}

func wrap(h MethodHandler, middleware []Middleware) MethodHandler {
	for _, m := range slices.Backward(middleware) {
		h = m(h)
	}
	return h
}
