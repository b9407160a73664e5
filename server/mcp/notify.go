package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
)

// announceDelay gathers changes of a list that come together.
const announceDelay = 10 * time.Millisecond

// ToolListChangedParams are the parameters of notifications/tools/list_changed.
type ToolListChangedParams struct {
	Meta `json:"_meta,omitempty"`
}

// PromptListChangedParams are the parameters of
// notifications/prompts/list_changed.
type PromptListChangedParams struct {
	Meta `json:"_meta,omitempty"`
}

// ResourceListChangedParams are the parameters of
// notifications/resources/list_changed.
type ResourceListChangedParams struct {
	Meta `json:"_meta,omitempty"`
}

func (*ToolListChangedParams) isParams()     {}
func (*PromptListChangedParams) isParams()   {}
func (*ResourceListChangedParams) isParams() {}

// extra is that of a notification to the client of ss.
func (ss *ServerSession) extra() *RequestExtra {
	if ss.call != nil {
		return &RequestExtra{Principal: ss.call.principal}
	}
	return &RequestExtra{Principal: auth.Anonymous}
}

// send passes a notification through the sending middleware.
func (s *Server) send(ctx context.Context, method string, req Request) error {
	_, err := (*s.sending.Load())(ctx, method, req)
	return err
}

// transmit is the innermost sending MethodHandler.
func (s *Server) transmit(_ context.Context, method string, req Request) (Result, error) {
	ss, _ := req.GetSession().(*ServerSession)
	if ss == nil {
		return nil, fmt.Errorf("mcp: %s without a session", method)
	}
	switch p := req.GetParams().(type) {
	case *ProgressNotificationParams:
		if ss.call == nil || ss.call.progress == nil {
			return nil, errNoCall
		}
		return nil, ss.call.progress.report(p, ss.call.rev, time.Now())
	case *LoggingMessageParams:
		params, err := appendLogParams(nil, p)
		if err != nil {
			return nil, err
		}
		ss.notify(jsonrpc.AppendNotification(nil, method, params))
		return nil, nil
	default:
		params, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		if string(params) == "{}" {
			params = nil
		}
		ss.notify(jsonrpc.AppendNotification(nil, method, params))
		return nil, nil
	}
}

// notify sends a notification: on the stream of the call that ss is the view
// of, else on the session's own.
func (ss *ServerSession) notify(msg []byte) {
	switch {
	case ss.running() != nil && ss.call.notifier != nil:
		ss.call.notifier.Notify(msg)
	case ss.peer != nil:
		ss.peer.Notify(msg)
	}
}

// notifySession sends what the engine has to say outside of calls.
func (s *Server) notifySession(ss *ServerSession, n *news) {
	ctx := context.Background()
	c := &Call{Method: n.method}
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(ctx, c, r)
		}
	}()
	if err := s.send(ctx, n.method, n.request(ss)); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "mcp: a notification was not sent", c.attrs(err)...)
	}
}

// changeOf is the news of a change of a list.
func changeOf(method string) *news {
	n := &news{method: method}
	switch method {
	case methodPromptsChanged:
		n.request = func(ss *ServerSession) Request { return outgoing(ss, &PromptListChangedParams{}) }
	case methodResourcesChanged:
		n.request = func(ss *ServerSession) Request { return outgoing(ss, &ResourceListChangedParams{}) }
	default:
		n.request = func(ss *ServerSession) Request { return outgoing(ss, &ToolListChangedParams{}) }
	}
	return n
}

// changedMethod is the notification of a change of a list.
func changedMethod(k kind) string {
	switch k {
	case toolKind:
		return methodToolsChanged
	case promptKind:
		return methodPromptsChanged
	}
	return methodResourcesChanged
}

// changed drops what was made of the features, and tells who wants to know soon.
// s.mu is held.
func (s *Server) changed(k kind) {
	s.current.Store(nil)
	if !s.announces(k) || len(s.sessions) == 0 && s.hub.empty() {
		return
	}
	if s.due == nil {
		s.due = make(map[string]bool)
		time.AfterFunc(announceDelay, s.announce)
	}
	s.due[changedMethod(k)] = true
}

// announce tells sessions that are past their initialization, and subscriptions,
// which lists have changed.
func (s *Server) announce() {
	s.mu.Lock()
	due := s.due
	s.due = nil
	var sessions []*ServerSession
	for _, ss := range s.sessions {
		if ss.ready.Load() {
			sessions = append(sessions, ss)
		}
	}
	s.mu.Unlock()
	for _, method := range sortedKeys(due) {
		n := changeOf(method)
		for _, ss := range sessions {
			s.notifySession(ss, n)
		}
		s.publish("", n)
	}
}
