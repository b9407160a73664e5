package loop

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// events is the gnet event handler of an Engine. OnOpen, OnTraffic and OnClose
// run on the connection's loop; OnTick has a goroutine of its own.
type events struct {
	gnet.BuiltinEventEngine
	engine *Engine
}

func (h *events) OnOpen(gc gnet.Conn) (out []byte, action gnet.Action) {
	a, ok := gc.Context().(*arrival)
	if !ok {
		return nil, gnet.Close
	}
	a.taken = true
	gc.SetContext(nil)
	l := h.engine.loopOf(gc)
	l.look()
	c := l.opened(&gnetSocket{conn: gc, loop: l}, a.remote, a.listener)
	if c == nil {
		return a.listener.refusal(), gnet.Close
	}
	gc.SetContext(c)
	l.flushDirty() // Opened may have had enough already
	return nil, gnet.None
}

func (h *events) OnTraffic(gc gnet.Conn) gnet.Action {
	c, _ := gc.Context().(*Conn)
	b, err := gc.Peek(-1)
	if c == nil || err != nil {
		return gnet.Close
	}
	l := c.loop
	l.look()
	l.traffic(c, b)
	if c.mode != modeClosed {
		_, _ = gc.Discard(-1) // everything was parsed or copied: gnet's own buffer stays empty for ever
	}
	return gnet.None
}

func (h *events) OnClose(gc gnet.Conn, err error) gnet.Action {
	if c, _ := gc.Context().(*Conn); c != nil {
		c.loop.look()
		c.loop.closed(c, closeReason(err))
	}
	return gnet.None
}

// OnTick hands the tick to every loop.
func (h *events) OnTick() (time.Duration, gnet.Action) {
	e := h.engine
	e.ticks.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	for el, l := range e.loops {
		_ = el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			l.onTick()
			return nil
		}))
	}
	return tick, gnet.None
}

// loopOf finds or makes the state of gc's loop. Its epoll descriptor is looked
// up once, when the loop opens its first connection.
func (e *Engine) loopOf(gc gnet.Conn) *loopState {
	el := gc.EventLoop()
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.loops[el]; l != nil {
		return l
	}
	var l *loopState
	l = newLoopState(e.cfg, e.handler, &e.shared, time.Now, func() error {
		return el.Execute(context.Background(), l)
	})
	epoll, err := epollOf(gc.Fd())
	if err != nil {
		e.cfg.Logger.Warn("reading cannot be paused yet: slow or flooding peers may be closed instead", "err", err)
	}
	l.epoll = epoll
	e.loops[el] = l
	return l
}

// closeReason hides the ordinary ends of a connection.
func closeReason(err error) error {
	if err == nil || isOrdinaryEnd(err) {
		return nil
	}
	return err
}

// gnetSocket is a socket on a gnet connection. Loop only.
type gnetSocket struct {
	conn gnet.Conn
	loop *loopState
}

func (s *gnetSocket) Write(p []byte) (int, error) { return s.conn.Write(p) }
func (s *gnetSocket) OutboundBuffered() int       { return s.conn.OutboundBuffered() }
func (s *gnetSocket) close()                      { _ = s.conn.EventLoop().Close(s.conn) }
func (s *gnetSocket) shutdownWrite()              { _ = unix.Shutdown(s.conn.Fd(), unix.SHUT_WR) }

func (s *gnetSocket) listen(read, write bool) bool {
	if s.loop.epoll < 0 { // it was not found when the loop began, for want of a descriptor perhaps
		s.loop.epoll, _ = epollOf(s.conn.Fd())
	}
	return s.loop.epoll >= 0 && setEvents(s.loop.epoll, s.conn.Fd(), read, write) == nil
}

// gnetLogger hands gnet's diagnostics to slog; by default they would go to
// standard output, which belongs to MCP messages in stdio mode.
type gnetLogger struct{ log *slog.Logger }

func (g gnetLogger) Debugf(f string, a ...any) { g.log.Debug("gnet: " + fmt.Sprintf(f, a...)) }
func (g gnetLogger) Infof(f string, a ...any)  { g.log.Debug("gnet: " + fmt.Sprintf(f, a...)) }
func (g gnetLogger) Warnf(f string, a ...any)  { g.log.Warn("gnet: " + fmt.Sprintf(f, a...)) }
func (g gnetLogger) Errorf(f string, a ...any) { g.log.Error("gnet: " + fmt.Sprintf(f, a...)) }
func (g gnetLogger) Fatalf(f string, a ...any) { g.log.Error("gnet: " + fmt.Sprintf(f, a...)) }
