package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"millrace/codec/jsonrpc"
)

// announceDelay gathers changes of the tools that come together.
const announceDelay = 10 * time.Millisecond

// ToolListChangedParams are the parameters of notifications/tools/list_changed.
type ToolListChangedParams struct {
	Meta `json:"_meta,omitempty"`
}

func (*ToolListChangedParams) isParams() {}

// transmit is the innermost sending MethodHandler.
func (s *Server) transmit(_ context.Context, method string, req Request) (Result, error) {
	ss, _ := req.GetSession().(*ServerSession)
	if ss == nil {
		return nil, fmt.Errorf("mcp: %s without a session", method)
	}
	if p, ok := req.GetParams().(*ProgressNotificationParams); ok {
		if ss.call == nil || ss.call.progress.notifier == nil {
			return nil, errNoCall
		}
		return nil, ss.call.progress.report(p, ss.call.rev, time.Now())
	}
	if ss.peer == nil {
		return nil, nil
	}
	params, err := json.Marshal(req.GetParams())
	if err != nil {
		return nil, err
	}
	if string(params) == "{}" {
		params = nil
	}
	ss.peer.Notify(jsonrpc.AppendNotification(nil, method, params))
	return nil, nil
}

// changed drops what was made of the tools, and tells attached sessions soon.
// s.mu is held.
func (s *Server) changed() {
	s.current.Store(nil)
	if len(s.sessions) == 0 || s.announcing || !s.announces() {
		return
	}
	s.announcing = true
	time.AfterFunc(announceDelay, s.announce)
}

// announce tells the sessions that are past their initialization that the
// list of tools has changed.
func (s *Server) announce() {
	s.mu.Lock()
	s.announcing = false
	var sessions []*ServerSession
	for _, ss := range s.sessions {
		if ss.ready.Load() {
			sessions = append(sessions, ss)
		}
	}
	s.mu.Unlock()
	for _, ss := range sessions {
		s.announceTo(ss)
	}
}

func (s *Server) announceTo(ss *ServerSession) {
	ctx := context.Background()
	c := &Call{Method: methodListChanged}
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(ctx, c, r)
		}
	}()
	_, err := (*s.sending.Load())(ctx, methodListChanged, &ServerRequest[*ToolListChangedParams]{
		Session: ss, Params: &ToolListChangedParams{}, Extra: &RequestExtra{},
	})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "mcp: a notification was not sent", c.attrs(err)...)
	}
}
