package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"millrace/codec/jsonrpc"
)

// MetaKeySubscriptionID is the member of _meta that names the subscription of a
// notification.
const MetaKeySubscriptionID = "io.modelcontextprotocol/subscriptionId"

// NotificationSubscriptions are what a subscriptions/listen asks for, or what
// of it is granted.
type NotificationSubscriptions struct {
	ToolsListChanged      bool     `json:"toolsListChanged,omitempty"`
	PromptsListChanged    bool     `json:"promptsListChanged,omitempty"`
	ResourcesListChanged  bool     `json:"resourcesListChanged,omitempty"`
	ResourceSubscriptions []string `json:"resourceSubscriptions,omitempty"`
	// TaskIDs are of the tasks extension.
	TaskIDs []string `json:"taskIds,omitempty"`
}

// SubscriptionsListenParams are the parameters of subscriptions/listen.
type SubscriptionsListenParams struct {
	Meta          `json:"_meta,omitempty"`
	Notifications NotificationSubscriptions `json:"notifications"`
}

// SubscriptionsListenResult is what receiving middleware sees of a
// subscriptions/listen: that the subscription is open. The client is answered
// when it ends.
type SubscriptionsListenResult struct {
	Meta `json:"_meta,omitempty"`
}

func (*SubscriptionsListenParams) isParams() {}
func (*SubscriptionsListenResult) isResult() {}

// Subscription is an open subscriptions/listen of a client of 2026-07-28. The
// host keeps it until the client or the server ends it, then calls Close. Any
// goroutine.
type Subscription struct {
	server    *Server
	id        []byte // raw JSON
	principal string
	granted   NotificationSubscriptions
	host      Host

	mu     sync.Mutex
	closed bool
}

// Listen opens the subscription that c, a subscriptions/listen with a Host, asks
// for, and acknowledges it. No goroutine stays behind. When it is refused, the
// response is appended to dst instead, with its HTTP status. It runs where Plan
// says, and never panics.
func (s *Server) Listen(ctx context.Context, c *Call, dst []byte) (sub *Subscription, out []byte, status int) {
	s.resolve(c)
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(ctx, c, r)
			if c.listening != nil {
				c.listening.Close()
			}
			sub, out, status = nil, s.appendFailure(dst, c, "failed because of an internal error"), statusOK
		}
	}()
	if c.failure != nil {
		return nil, jsonrpc.AppendError(dst, c.ID, c.failure), c.status
	}
	req, wrong := c.method.decode(s, c)
	if wrong != nil {
		return nil, jsonrpc.AppendError(dst, c.ID, wrong), c.malformed()
	}
	handle := c.method.handle
	if chain := s.receiving.Load(); chain != nil {
		handle = *chain
	}
	if _, err := handle(ctx, c.Method, req); err != nil {
		if c.listening != nil {
			c.listening.Close()
		}
		return nil, jsonrpc.AppendError(dst, c.ID, errorFor(err, c.rev)), failureStatus(c.rev, err)
	}
	if c.listening == nil { // middleware kept it from being opened
		return nil, append(s.appendListenEnd(dst, c.ID), '}'), statusOK
	}
	return c.listening, dst, statusOK
}

func decodeListen(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[SubscriptionsListenParams](s, c)
	if err := f.decode(c); err != nil {
		return nil, err
	}
	if !isObject(jsonrpc.Member(c.Params, "notifications")) {
		return nil, wrongType("params.notifications", "an object")
	}
	n := &f.params.Notifications
	if len(n.ResourceSubscriptions) > maxWatched || len(n.TaskIDs) > maxWatched {
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: fmt.Sprintf("a subscription may name %d resources and %d tasks", maxWatched, maxWatched),
		}
	}
	size := 0
	for _, list := range [...][]string{n.ResourceSubscriptions, n.TaskIDs} {
		for _, key := range list {
			size += len(key)
		}
	}
	if size > maxWatchedBytes {
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: fmt.Sprintf("the URIs and task ids of a subscription have %d bytes together; %d are allowed", size, maxWatchedBytes),
		}
	}
	f.call.origin = c
	return &f.request, nil
}

// handleListen grants what the server supports and the caller may see,
// acknowledges, and lets notifications flow.
func handleListen(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*SubscriptionsListenRequest)
	s, c := req.Session.server, req.Session.call.origin
	if c.listening != nil { // middleware comes again
		return &SubscriptionsListenResult{}, nil
	}
	granted, err := s.grant(ctx, req)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{server: s, id: append([]byte(nil), c.ID...), principal: req.Extra.Principal.ID, granted: granted, host: c.Host}
	if !s.hub.reserve(sub.principal, s.opts.MaxSubscriptions) {
		return nil, &jsonrpc.Error{
			Code:    codeTooMany,
			Message: fmt.Sprintf("too many subscriptions: %d are allowed at once", s.opts.MaxSubscriptions),
		}
	}
	c.listening = sub // also for who closes it after a panic
	if err := sub.open(); err != nil {
		sub.Close()
		c.listening = nil
		return nil, err
	}
	sub.tellEnded(ctx)
	return &SubscriptionsListenResult{}, nil
}

// codeTooMany is for limits of ours in the stateless era, whose specification
// keeps the codes from -32000 to -32099 to itself.
const codeTooMany = -31003

// grant returns the part of a filter that is honoured: "Notification types the
// server does not support are omitted" (basic/patterns/subscriptions).
func (s *Server) grant(ctx context.Context, req *SubscriptionsListenRequest) (NotificationSubscriptions, error) {
	asked := req.Params.Notifications
	caps := s.capabilities(true)
	granted := NotificationSubscriptions{
		ToolsListChanged:     asked.ToolsListChanged && caps.Tools != nil && caps.Tools.ListChanged,
		PromptsListChanged:   asked.PromptsListChanged && caps.Prompts != nil && caps.Prompts.ListChanged,
		ResourcesListChanged: asked.ResourcesListChanged && caps.Resources != nil && caps.Resources.ListChanged,
	}
	if caps.Resources != nil && caps.Resources.Subscribe {
		for _, uri := range asked.ResourceSubscriptions {
			if s.exists(ctx, req.caller(), uri) {
				granted.ResourceSubscriptions = append(granted.ResourceSubscriptions, uri)
			}
		}
	}
	if len(asked.TaskIDs) > 0 {
		if err := req.Session.call.needTasks(); err != nil {
			return granted, err
		}
		for _, id := range asked.TaskIDs {
			if _, err := s.task(ctx, req.caller(), id); err == nil {
				granted.TaskIDs = append(granted.TaskIDs, id)
			}
		}
	}
	return granted, nil
}

// topics are what the subscription watches.
func (sub *Subscription) topics() []topic {
	g := &sub.granted
	var all []topic
	if g.ToolsListChanged {
		all = append(all, topic{method: methodToolsChanged})
	}
	if g.PromptsListChanged {
		all = append(all, topic{method: methodPromptsChanged})
	}
	if g.ResourcesListChanged {
		all = append(all, topic{method: methodResourcesChanged})
	}
	for _, uri := range g.ResourceSubscriptions {
		all = append(all, topic{methodResourceUpdated, uri})
	}
	for _, id := range g.TaskIDs {
		all = append(all, topic{methodTaskStatus, id})
	}
	return all
}

// open acknowledges the subscription and begins to watch. Notifications of what
// happens meanwhile wait for the lock: "The server MUST send
// notifications/subscriptions/acknowledged as the first message carrying the
// subscription's ID".
func (sub *Subscription) open() error {
	granted, err := json.Marshal(sub.granted)
	if err != nil {
		return err
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, t := range sub.topics() {
		sub.server.hub.add(t, sub)
	}
	tail := append([]byte(`"notifications":`), granted...)
	if !sub.host.Send(sub.appendNotification(nil, methodAcknowledged, tail)) {
		return &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidRequest,
			Message: "subscriptions/listen is answered with an event stream: Accept must include text/event-stream",
		}
	}
	return nil
}

// tellEnded tells of tasks that were over before the subscription was: a client
// that relies on notifications would wait for ever.
func (sub *Subscription) tellEnded(ctx context.Context) {
	for _, id := range sub.granted.TaskIDs {
		r, err := sub.server.tasks.get(ctx, id, sub.principal)
		if err == nil && r.Status.Final() {
			sub.tell(sub.server, &news{method: methodTaskStatus, tail: r.appendMembers(nil, true)})
		}
	}
}

// Close ends the subscription; nothing is sent afterwards. It may be called
// twice.
func (sub *Subscription) Close() {
	sub.mu.Lock()
	if sub.closed {
		sub.mu.Unlock()
		return
	}
	sub.closed = true
	sub.mu.Unlock()
	for _, t := range sub.topics() {
		sub.server.hub.remove(t, sub)
	}
	sub.server.hub.release(sub.principal)
}

// AppendEnd appends the response that ends the subscription on the server's
// initiative.
func (sub *Subscription) AppendEnd(dst []byte) []byte {
	return append(sub.server.appendListenEnd(dst, sub.id), '}')
}

func (s *Server) appendListenEnd(dst, id []byte) []byte {
	dst = jsonrpc.AppendResultHead(dst, id)
	dst = append(append(dst, '{'), s.head...)
	dst = append(append(dst, `,"`+MetaKeySubscriptionID+`":`...), id...)
	return append(dst, `}}`...)
}

// AppendCancelled appends the notification that comes before the response on a
// connection that carries other requests too: "A server MUST send
// notifications/cancelled referencing a subscriptions/listen request ID when it
// tears down that subscription stream" (basic/patterns/cancellation).
func (sub *Subscription) AppendCancelled(dst []byte, reason string) []byte {
	tail := append([]byte(`"requestId":`), sub.id...)
	tail = jsonrpc.AppendString(append(tail, `,"reason":`...), reason)
	return sub.appendNotification(dst, methodCancelled, tail)
}

// appendNotification appends a notification of the subscription.
func (sub *Subscription) appendNotification(dst []byte, method string, tail []byte) []byte {
	dst = jsonrpc.AppendNotificationHead(dst, method)
	dst = append(append(dst, `{"_meta":{"`+MetaKeySubscriptionID+`":`...), sub.id...)
	dst = append(dst, '}')
	if len(tail) > 0 {
		dst = append(append(dst, ','), tail...)
	}
	return append(dst, `}}`...)
}

// tell implements watcher.
func (sub *Subscription) tell(_ *Server, n *news) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if !sub.closed {
		n.scratch = sub.appendNotification(n.scratch[:0], n.method, n.tail)
		sub.host.Notify(n.scratch) // copies
	}
}
