package loop

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Engine accepts connections and runs the loops. Its methods are for any
// goroutine.
//
// Connections are accepted by listeners of our own and then enrolled in gnet's
// loops. gnet's own acceptor ends the whole engine when accept fails, which
// any tool that runs out of descriptors can cause, and cannot stop accepting
// without closing every connection.
type Engine struct {
	cfg     Config
	handler Handler
	shared  shared
	client  *gnet.Client

	listeners []net.Listener
	accepting sync.WaitGroup
	closing   chan struct{} // closed when no more connections are wanted
	closeOnce sync.Once
	stopOnce  sync.Once
	stopping  chan struct{} // closed when the end begins
	ticks     atomic.Int64  // of gnet's ticker, for watch
	done      chan struct{}
	err       error // of the loops' end; read after done

	mu    sync.Mutex
	loops map[gnet.EventLoop]*loopState
}

// Start opens the listeners and begins to serve. It returns when connections
// are accepted, or with an error and nothing left behind.
func Start(cfg Config, h Handler) (*Engine, error) {
	cfg, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		shared: shared{turns: newTurns()},
		cfg:    cfg, handler: h, loops: map[gnet.EventLoop]*loopState{},
		closing: make(chan struct{}), stopping: make(chan struct{}), done: make(chan struct{}),
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	for i, ln := range e.listeners {
		for range acceptors {
			e.accepting.Add(1)
			go e.accept(ln, &e.cfg.Listeners[i])
		}
	}
	go e.watch(&e.ticks, time.Second)
	return e, nil
}

// open opens the listeners and starts the loops, or undoes what it did.
func (e *Engine) open() (err error) {
	defer func() {
		if err != nil {
			e.closeListeners()
		}
	}()
	for i := range e.cfg.Listeners {
		ln, err := listen(&e.cfg.Listeners[i])
		if err != nil {
			return err
		}
		e.listeners = append(e.listeners, ln)
	}
	e.client, err = gnet.NewClient(&events{engine: e},
		gnet.WithNumEventLoop(e.cfg.Loops),
		gnet.WithTicker(true),
		gnet.WithLogger(gnetLogger{e.cfg.Logger}))
	if err == nil {
		err = e.client.Start()
	}
	if err != nil {
		return fmt.Errorf("starting the event loops: %w", err)
	}
	return nil
}

func (e *Engine) closeListeners() {
	for _, ln := range e.listeners {
		_ = ln.Close()
	}
}

// Addrs are the addresses being served, in the order of Config.Listeners, with
// real port numbers.
func (e *Engine) Addrs() []string {
	addrs := make([]string, len(e.listeners))
	for i, ln := range e.listeners {
		addrs[i] = ln.Addr().String()
	}
	return addrs
}

// MaxConnections is the limit in force.
func (e *Engine) MaxConnections() int { return e.cfg.MaxConnections }

// Done is closed when the loops have ended; Err then says why.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Err is why the loops ended: nil after Stop or Drain. Valid after Done.
func (e *Engine) Err() error { return e.err }

// StopAccepting takes the connections that the kernel has already accepted for
// us, refuses new ones, and keeps the open ones. The ports are
// free when it returns.
func (e *Engine) StopAccepting() {
	e.closeOnce.Do(func() {
		close(e.closing)
		for _, ln := range e.listeners {
			lastCall(ln)
		}
		e.accepting.Wait()
		e.closeListeners()
	})
}

// Drain ends the engine gently: it stops accepting, tells every connection,
// lets open exchanges finish, waits until what was written has been taken by
// the kernel, and stops. When ctx ends first the remaining connections are cut
// and ctx's error is returned.
func (e *Engine) Drain(ctx context.Context) error {
	defer e.Stop()
	if e.shared.draining.CompareAndSwap(false, true) {
		e.StopAccepting()
		e.onLoops((*loopState).startDrain)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for e.shared.open.Load() > 0 {
		select {
		case <-ctx.Done():
			n := e.shared.open.Load()
			e.onLoops((*loopState).abortAll)
			return fmt.Errorf("%d connections cut: %w", n, ctx.Err())
		case <-e.done:
			return e.err
		case <-poll.C:
		}
	}
	return nil
}

// Stop ends the engine at once; what is queued is lost. It returns when the
// loops have ended. Calling it again waits for the same end.
func (e *Engine) Stop() {
	e.stopOnce.Do(func() {
		close(e.stopping)
		e.StopAccepting()
		e.err = e.client.Stop()
		close(e.done)
	})
	<-e.done
}

// onLoops runs f once on every loop that has had a connection, and waits.
func (e *Engine) onLoops(f func(*loopState)) {
	e.mu.Lock()
	loops := make(map[gnet.EventLoop]*loopState, len(e.loops))
	for el, l := range e.loops {
		loops[el] = l
	}
	e.mu.Unlock()
	ran := make(chan struct{}, len(loops))
	waiting := 0
	for el, l := range loops {
		run := gnet.RunnableFunc(func(context.Context) error {
			f(l)
			ran <- struct{}{}
			return nil
		})
		if el.Execute(context.Background(), run) == nil {
			waiting++
		}
	}
	for range waiting {
		select {
		case <-ran:
		case <-e.done: // an ended loop runs nothing any more
			return
		}
	}
}

// Stats is a snapshot of an Engine's counters.
type Stats struct {
	Loops       int   // event loops
	Active      int64 // open connections
	Peak        int64 // most ever open at once
	Accepted    int64 // ever accepted
	TurnedAway  int64 // refused: over the limit, or by the handler
	Requests    int64 // HTTP requests read
	Messages    int64 // WebSocket messages read
	Refused     int64 // malformed or oversized requests answered by the loop
	Dropped     int64 // notifications lost to slow readers
	PinnedBytes int64 // bytes held for incomplete requests and messages
	Panics      int64 // panics caught on loops

	Handshakes      int64 // TLS handshakes done
	HandshakeErrors int64 // and those that failed, or were never finished
}

// Stats takes a snapshot.
func (e *Engine) Stats() Stats { return e.shared.stats(e.cfg.Loops) }

func (s *shared) stats(loops int) Stats {
	return Stats{
		Loops: loops, Active: s.open.Load(), Peak: s.peak.Load(), Accepted: s.accepted.Load(),
		TurnedAway: s.turned.Load(), Requests: s.requests.Load(), Messages: s.messages.Load(),
		Refused: s.refused.Load(), Dropped: s.dropped.Load(), PinnedBytes: s.pinned.Load(), Panics: s.panics.Load(),
		Handshakes: s.handshaken.Load(), HandshakeErrors: s.handshakeErrors.Load(),
	}
}
