package mcp

import (
	"context"
	"fmt"
	"sync"

	"millrace/codec/jsonrpc"
)

const (
	// maxWatched is how many resources, and how many tasks, one subscription or
	// one session may watch.
	maxWatched = 1000
	// maxWatchedBytes bounds the URIs of them together.
	maxWatchedBytes = 256 << 10
	// DefaultMaxSubscriptions is the default of ServerOptions.MaxSubscriptions.
	DefaultMaxSubscriptions = 1000
)

// topic is something that can be watched: a list, a resource, a task.
type topic struct {
	method string // of the notification
	key    string // a URI or task id; empty for lists
}

// watcher is who is told of a topic.
type watcher interface {
	// tell sends a notification. It does not block.
	tell(s *Server, n *news)
}

// news is a notification to whoever watches a topic.
type news struct {
	method string
	// request makes it for a session, whose middleware may change it.
	request func(*ServerSession) Request
	// tail are the members of its params for a subscription, raw JSON without
	// braces; nil for none.
	tail []byte
	// scratch is memory for one message after the other: whoever publishes tells
	// the watchers one by one.
	scratch []byte
}

// outgoing is a notification to a session as sending middleware sees it.
func outgoing[P Params](ss *ServerSession, params P) Request {
	return &ServerRequest[P]{Session: ss, Params: params, Extra: ss.extra()}
}

// hub knows who watches what. Any goroutine.
type hub struct {
	mu       sync.Mutex
	watchers map[topic]map[watcher]struct{}
	held     map[string]int // subscriptions by principal
}

func (h *hub) add(t topic, w watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = make(map[topic]map[watcher]struct{})
	}
	set := h.watchers[t]
	if set == nil {
		set = make(map[watcher]struct{})
		h.watchers[t] = set
	}
	set[w] = struct{}{}
}

func (h *hub) remove(t topic, w watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[t], w)
	if len(h.watchers[t]) == 0 {
		delete(h.watchers, t)
	}
}

// of lists the watchers of a topic.
func (h *hub) of(t topic) []watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]watcher, 0, len(h.watchers[t]))
	for w := range h.watchers[t] {
		all = append(all, w)
	}
	return all
}

// reserve counts one more subscription of a principal, unless it has its share.
// Anonymous callers are told apart by nothing but their connections, which
// bound them: ours, or those of the http.Server that a Handler is used with.
func (h *hub) reserve(principal string, most int) bool {
	if principal == "" {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[principal] >= most {
		return false
	}
	if h.held == nil {
		h.held = make(map[string]int)
	}
	h.held[principal]++
	return true
}

func (h *hub) release(principal string) {
	if principal == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[principal]--; h.held[principal] <= 0 {
		delete(h.held, principal)
	}
}

// empty reports whether nobody watches anything.
func (h *hub) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers) == 0
}

// publish tells the watchers of a topic.
func (s *Server) publish(key string, n *news) {
	for _, w := range s.hub.of(topic{n.method, key}) {
		w.tell(s, n)
	}
}

// ResourceUpdatedNotificationParams are the parameters of
// notifications/resources/updated.
type ResourceUpdatedNotificationParams struct {
	// Meta is for sessions; notifications of a subscription carry none but its id.
	Meta `json:"_meta,omitempty"`
	// URI is the resource that has changed.
	URI string `json:"uri"`
}

// ResourceUpdated tells the clients that watch a resource that it has changed:
// those with a subscriptions/listen for it, and sessions that have subscribed.
// It does not wait for them. Any goroutine; the error is that of ctx.
func (s *Server) ResourceUpdated(ctx context.Context, params *ResourceUpdatedNotificationParams) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	own := *params
	s.publish(own.URI, &news{
		method:  methodResourceUpdated,
		request: func(ss *ServerSession) Request { p := own; return outgoing(ss, &p) },
		tail:    jsonrpc.AppendString([]byte(`"uri":`), own.URI),
	})
	return nil
}

// SubscribeParams are the parameters of resources/subscribe, which exists up to
// 2025-11-25.
type SubscribeParams struct {
	Meta `json:"_meta,omitempty"`
	URI  string `json:"uri"`
}

// UnsubscribeParams are the parameters of resources/unsubscribe, which exists up
// to 2025-11-25.
type UnsubscribeParams struct {
	Meta `json:"_meta,omitempty"`
	URI  string `json:"uri"`
}

func (*ResourceUpdatedNotificationParams) isParams() {}
func (*SubscribeParams) isParams()                   {}
func (*UnsubscribeParams) isParams()                 {}

func needsURI(method string) *jsonrpc.Error {
	return &jsonrpc.Error{
		Code:    jsonrpc.CodeInvalidParams,
		Message: fmt.Sprintf("%s needs params.uri, a string of at most %d bytes", method, maxURI),
	}
}

// ofURI decodes the params of a method that is about a URI.
func (f *frame[T, P]) ofURI(c *Call, uri *string) (Request, *jsonrpc.Error) {
	if err := f.decode(c); err != nil {
		return nil, err
	}
	if *uri == "" || len(*uri) > maxURI {
		return nil, needsURI(c.Method)
	}
	return &f.request, nil
}

func decodeSubscribe(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[SubscribeParams](s, c)
	return f.ofURI(c, &f.params.URI)
}

func decodeUnsubscribe(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[UnsubscribeParams](s, c)
	return f.ofURI(c, &f.params.URI)
}

func handleSubscribe(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*SubscribeRequest)
	s, uri := req.Session.server, req.Params.URI
	if !s.exists(ctx, req.caller(), uri) {
		return nil, notFoundFor(ResourceNotFoundError(uri), req.Session.call.rev)
	}
	if !req.Session.sessionState.mayWatch(uri) { // or what the handler does for it would have no bound
		return nil, errWatchesTooMuch()
	}
	if h := s.opts.SubscribeHandler; h != nil {
		if err := h(ctx, req); err != nil {
			return nil, err
		}
	}
	if !req.Session.sessionState.watch(s, uri) {
		return nil, errWatchesTooMuch()
	}
	return &emptyResult{}, nil
}

func errWatchesTooMuch() error {
	return &jsonrpc.Error{
		Code:    jsonrpc.CodeInvalidRequest,
		Message: fmt.Sprintf("a session may subscribe to %d resources, with URIs of %d bytes together", maxWatched, maxWatchedBytes),
	}
}

func handleUnsubscribe(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*UnsubscribeRequest)
	s := req.Session.server
	if h := s.opts.UnsubscribeHandler; h != nil {
		if err := h(ctx, req); err != nil {
			return nil, err
		}
	}
	req.Session.sessionState.unwatch(s, req.Params.URI)
	return &emptyResult{}, nil
}

// watch subscribes a session to a resource; it is false for one too many.
func (st *sessionState) watch(s *Server, uri string) bool {
	st.opening.Lock()
	defer st.opening.Unlock()
	if st.detached {
		return true // the session has ended meanwhile: nobody is left to tell
	}
	if !st.hasRoom(uri) {
		return false
	}
	if _, ok := st.watched[uri]; !ok {
		if st.watched == nil {
			st.watched = make(map[string]struct{})
		}
		st.watched[uri] = struct{}{}
		st.watchedBytes += len(uri)
	}
	s.hub.add(topic{methodResourceUpdated, uri}, st)
	return true
}

// mayWatch reports whether a session may subscribe to a resource as things are.
func (st *sessionState) mayWatch(uri string) bool {
	st.opening.Lock()
	defer st.opening.Unlock()
	return st.hasRoom(uri)
}

// hasRoom is mayWatch under opening.
func (st *sessionState) hasRoom(uri string) bool {
	_, ok := st.watched[uri]
	return ok || len(st.watched) < maxWatched && st.watchedBytes+len(uri) <= maxWatchedBytes
}

func (st *sessionState) unwatch(s *Server, uri string) {
	st.opening.Lock()
	defer st.opening.Unlock()
	if _, ok := st.watched[uri]; ok {
		delete(st.watched, uri)
		st.watchedBytes -= len(uri)
	}
	s.hub.remove(topic{methodResourceUpdated, uri}, st)
}

// unwatchAll is the end of a session's subscriptions.
func (st *sessionState) unwatchAll(s *Server) {
	st.opening.Lock()
	defer st.opening.Unlock()
	st.detached = true
	for uri := range st.watched {
		s.hub.remove(topic{methodResourceUpdated, uri}, st)
	}
	st.watched = nil
}

// tell implements watcher.
func (st *sessionState) tell(s *Server, n *news) {
	if st.peer != nil {
		s.notifySession(&ServerSession{sessionState: st}, n)
	}
}
