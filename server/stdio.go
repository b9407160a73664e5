package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"millrace/server/mcp"
	"millrace/server/transport"
)

// stdioGrace is how long requests that were read before the end of the input
// may still take: a client that closes our input wants us to exit promptly, but
// `echo ... | server` wants its answer.
const stdioGrace = 5 * time.Second

// flushGrace is how long the last answers may wait for the client to read.
const flushGrace = time.Second

// ServeStdio serves m on standard input and output until the input ends, ctx
// ends, or the client stops reading. It writes nothing but MCP messages to
// standard output, so nothing else in the program may.
func ServeStdio(ctx context.Context, m *mcp.Server) error {
	return (&Server{MCP: m}).RunStdio(ctx, os.Stdin, os.Stdout)
}

// RunStdio is Run over a pair of byte streams instead of a network: the same
// gate and pool, one client. r should end when ctx does; a read that is blocked
// then is left behind.
func (s *Server) RunStdio(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	if !s.busy.CompareAndSwap(false, true) {
		return ErrRunning
	}
	r, err := s.openRunState(ctx)
	if err != nil {
		s.busy.Store(false)
		return err
	}
	r.serve()
	s.running.Store(r)
	defer func() { r.stopped(err) }()
	defer r.release()
	r.began()
	conn := transport.NewStdio(in, out, transport.StdioConfig{MaxMessage: s.MaxBody}, r.gate)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-ctx.Done():
		case <-r.quit:
		case <-stop:
			return
		}
		r.draining.Store(true)
		conn.Link().Close(0, "")
	}()
	err = conn.Serve()
	grace := stdioGrace
	if r.draining.Load() {
		grace = s.drainTimeout()
	}
	if left := r.finishLink(conn.Link(), grace); left > 0 {
		r.log.Warn("calls cut: they took longer than the client or the drain would wait", "calls", left)
	}
	if !conn.Flush(flushGrace) {
		r.log.Warn("answers lost: the client does not read them")
	}
	if err != nil {
		return fmt.Errorf("serving stdio: %w", err)
	}
	return nil
}

// finishLink waits for the calls of a link that sends no more requests, then
// ends what is left of them.
// It returns how many were left.
func (r *runState) finishLink(l *transport.Link, grace time.Duration) (left int) {
	for _, c := range stateOf(l).hangUp() {
		c.endListen("server is shutting down")
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-stateOf(l).whenIdle():
	case <-t.C:
	case <-r.patience.Done():
	}
	left = stateOf(l).inFlight()
	r.gate.Closed(l, nil)
	return left
}
