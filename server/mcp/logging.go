package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
)

// LoggingLevel is how severe a log message is, as in RFC 5424.
type LoggingLevel string

// loggingLevels are all levels, least severe first.
var loggingLevels = [...]LoggingLevel{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// rank is the place of l among the levels, from 1 on; 0 for what is no level.
func (l LoggingLevel) rank() int32 { return int32(slices.Index(loggingLevels[:], l) + 1) }

// SetLoggingLevelParams are the parameters of logging/setLevel, which exists up
// to 2025-11-25.
type SetLoggingLevelParams struct {
	Meta  `json:"_meta,omitempty"`
	Level LoggingLevel `json:"level"`
}

// LoggingMessageParams are the parameters of notifications/message.
type LoggingMessageParams struct {
	Meta `json:"_meta,omitempty"`
	// Data is any value that encoding/json encodes. It "MUST NOT contain
	// credentials or secrets, personal identifying information, internal system
	// details that could aid attacks" (server/utilities/logging).
	Data  any          `json:"data"`
	Level LoggingLevel `json:"level"`
	// Logger names who logs; optional.
	Logger string `json:"logger,omitempty"`
}

func (*SetLoggingLevelParams) isParams() {}
func (*LoggingMessageParams) isParams()  {}

// Log sends a log message to the client if it has asked for messages of this
// level: on 2026-07-28 with the request that is being handled, in a session
// with logging/setLevel. To others nothing is sent, and the error is nil.
// Messages to a client that reads too slowly are dropped. Any goroutine.
//
// The error is that of ctx, of sending middleware, or of a wrong use.
func (ss *ServerSession) Log(ctx context.Context, params *LoggingMessageParams) error {
	rank := params.Level.rank()
	if rank == 0 {
		return fmt.Errorf("mcp: %q is not a logging level; levels are %v", params.Level, loggingLevels)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if least := ss.logLevel(); least == 0 || rank < least {
		return nil
	}
	return ss.server.send(ctx, methodMessage, outgoing(ss, params))
}

// logLevel is the rank of the least severe message that the client wants; 0:
// none. 2026-07-28: without a level "the server MUST NOT send any
// notifications/message notifications for this request".
func (ss *ServerSession) logLevel() int32 {
	if ss.call != nil && ss.call.rev.modern() {
		return ss.call.logLevel
	}
	return ss.level.Load()
}

// appendLogParams encodes the params of a message.
func appendLogParams(dst []byte, p *LoggingMessageParams) ([]byte, error) {
	dst = append(dst, `{"level":`...)
	dst = jsonrpc.AppendString(dst, string(p.Level))
	dst = appendMember(dst, `,"logger":`, p.Logger)
	dst = append(dst, `,"data":`...)
	dst, err := appendValue(dst, p.Data)
	if err != nil {
		return dst, err
	}
	return appendTail(dst, nil, p.Meta, newest)
}

func decodeSetLevel(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[SetLoggingLevelParams](s, c)
	if err := f.decode(c); err != nil {
		return nil, err
	}
	if l := f.params.Level; l.rank() == 0 {
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: fmt.Sprintf("params.level must be one of %v", loggingLevels),
		}
	}
	return &f.request, nil
}

func handleSetLevel(_ context.Context, _ string, request Request) (Result, error) {
	req := request.(*ServerRequest[*SetLoggingLevelParams])
	req.Session.level.Store(req.Params.Level.rank())
	return &emptyResult{}, nil
}

// LoggingHandlerOptions configure a LoggingHandler.
type LoggingHandlerOptions struct {
	// LoggerName is sent as the logger of every message.
	LoggerName string
	// MinInterval is the least time between two messages; what comes sooner is
	// dropped. Default: 0, no limit.
	MinInterval time.Duration
}

// LoggingHandler is a slog.Handler that sends records to the client of a
// session, see ServerSession.Log.
type LoggingHandler struct {
	session *ServerSession
	opts    LoggingHandlerOptions
	encode  func(*bytes.Buffer) slog.Handler

	limit *logLimit
}

// logLimit is shared by the handlers that WithAttrs and WithGroup derive.
type logLimit struct {
	mu   sync.Mutex
	last time.Time
}

// NewLoggingHandler returns a slog.Handler that logs to the client of ss, within
// the handler of a call or, in sessions, for as long as the session lives.
// options may be nil.
func NewLoggingHandler(ss *ServerSession, options *LoggingHandlerOptions) *LoggingHandler {
	h := &LoggingHandler{session: ss, limit: &logLimit{}}
	if options != nil {
		h.opts = *options
	}
	h.encode = func(b *bytes.Buffer) slog.Handler {
		return slog.NewJSONHandler(b, &slog.HandlerOptions{
			Level: slog.Level(-100), // Enabled has decided
			ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
				if _, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey {
					return slog.Attr{} // the message has it
				}
				return a
			},
		})
	}
	return h
}

// Enabled implements slog.Handler.
func (h *LoggingHandler) Enabled(_ context.Context, level slog.Level) bool {
	least := h.session.logLevel()
	return least > 0 && levelOf(level).rank() >= least
}

// WithAttrs implements slog.Handler.
func (h *LoggingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *LoggingHandler) WithGroup(name string) slog.Handler {
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *LoggingHandler) with(wrap func(slog.Handler) slog.Handler) *LoggingHandler {
	derived := *h
	derived.encode = func(b *bytes.Buffer) slog.Handler { return wrap(h.encode(b)) }
	return &derived
}

// Handle implements slog.Handler.
func (h *LoggingHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.opts.MinInterval > 0 && !h.limit.pass(time.Now(), h.opts.MinInterval) {
		return nil
	}
	var b bytes.Buffer
	if err := h.encode(&b).Handle(ctx, r); err != nil {
		return err
	}
	return h.session.Log(ctx, &LoggingMessageParams{
		Level: levelOf(r.Level), Logger: h.opts.LoggerName, Data: json.RawMessage(bytes.TrimSpace(b.Bytes())),
	})
}

// pass reports whether a message may be sent at now.
func (l *logLimit) pass(now time.Time, interval time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.last) < interval {
		return false
	}
	l.last = now
	return true
}

// levelOf translates a level of slog.
func levelOf(l slog.Level) LoggingLevel {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelInfo+2:
		return "info"
	case l < slog.LevelWarn:
		return "notice"
	case l < slog.LevelError:
		return "warning"
	case l < slog.LevelError+4:
		return "error"
	case l < slog.LevelError+8:
		return "critical"
	case l < slog.LevelError+12:
		return "alert"
	}
	return "emergency"
}
