package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
)

// progressInterval is the least time between two progress notifications of a
// call. 2026-07-28, progress: "Both parties SHOULD implement rate limiting to
// prevent flooding".
const progressInterval = 20 * time.Millisecond

var (
	errNoCall   = errors.New("mcp: progress can only be reported on the session of a running call")
	errProgress = errors.New("mcp: progress and total must be finite numbers")
)

// ProgressNotificationParams report how far a call is.
type ProgressNotificationParams struct {
	Meta `json:"_meta,omitempty"`
	// ProgressToken may be left nil: a call's own token is always sent.
	ProgressToken any `json:"progressToken"`
	// Message is for people; from 2025-03-26 on.
	Message string `json:"message,omitempty"`
	// Progress must increase; a value that does not is dropped.
	Progress float64 `json:"progress"`
	// Total is what Progress will be at the end; 0 when unknown.
	Total float64 `json:"total,omitempty"`
}

func (*ProgressNotificationParams) isParams() {}

// NotifyProgress tells the client how far the call is that ss was handed to.
// It does nothing when the client has not asked for progress or the call is
// over. Of values in quick succession the first is sent at once, and then the
// latest every 20 ms at most, the last one right before the result.
//
// The error is that of ctx, of sending middleware, or of a wrong use.
func (ss *ServerSession) NotifyProgress(ctx context.Context, params *ProgressNotificationParams) error {
	if ss.call == nil {
		return errNoCall
	}
	if !finite(params.Progress) || !finite(params.Total) {
		return errProgress
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ss.call.progress == nil {
		return nil
	}
	return ss.server.send(ctx, methodProgress, outgoing(ss, params))
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// progress is what has been told of one call.
type progress struct {
	token    []byte // raw JSON
	notifier Notifier

	mu      sync.Mutex
	started bool
	ended   bool
	last    float64     // the greatest value reported
	sent    time.Time   // when a notification was sent
	pending []byte      // a notification that came too early
	later   *time.Timer // sends it, made when first needed
}

// report sends p, or keeps it for later.
func (s *progress) report(p *ProgressNotificationParams, rev revision, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.started && p.Progress <= s.last {
		return nil
	}
	msg, err := s.append(s.pending[:0], p, rev)
	if err != nil {
		return err
	}
	s.last = p.Progress
	wait := progressInterval - now.Sub(s.sent)
	if s.pending = msg; s.started && wait > 0 {
		s.sendLater(wait)
		return nil
	}
	s.started, s.sent = true, now
	s.flush()
	return nil
}

// sendLater sends what is pending when it may be sent, unless something newer
// is sent before.
func (s *progress) sendLater(wait time.Duration) {
	if s.later != nil {
		s.later.Reset(wait)
		return
	}
	s.later = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.ended && len(s.pending) > 0 {
			s.sent = time.Now()
			s.flush()
		}
	})
}

// end flushes what is pending. Nothing is sent afterwards: "Progress
// notifications MUST stop after completion".
func (s *progress) end() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		s.flush()
		if s.later != nil {
			s.later.Stop()
		}
	}
}

// flush sends what is pending. The lock is held so that values arrive in order.
func (s *progress) flush() {
	if len(s.pending) > 0 {
		s.notifier.Notify(s.pending)
		s.pending = s.pending[:0]
	}
}

func (s *progress) append(dst []byte, p *ProgressNotificationParams, rev revision) ([]byte, error) {
	params := append(make([]byte, 0, 128), `{"progressToken":`...)
	params = append(params, s.token...)
	params = append(params, `,"progress":`...)
	params = appendNumber(params, p.Progress)
	if p.Total != 0 {
		params = append(params, `,"total":`...)
		params = appendNumber(params, p.Total)
	}
	if rev >= rev20250326 {
		params = appendMember(params, `,"message":`, p.Message)
	}
	if len(p.Meta) > 0 {
		raw, err := json.Marshal(p.Meta)
		if err != nil {
			return dst, err
		}
		params = append(params, `,"_meta":`...)
		params = append(params, raw...)
	}
	return jsonrpc.AppendNotification(dst, methodProgress, append(params, '}')), nil
}

// appendNumber appends a finite f as a JSON number, with an exponent only when
// it is very large or small.
func appendNumber(dst []byte, f float64) []byte {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}
