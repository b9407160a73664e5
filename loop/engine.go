package loop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// Engine accepts connections and runs the loops. Its methods are for any
// goroutine.
type Engine struct {
	cfg     Config
	handler Handler
	shared  shared
	addrs   []string

	gnet   gnet.Engine
	booted chan struct{}
	done   chan struct{}
	err    error // of gnet.Run; read after done
	asked  sync.Once
	wanted bool // the end was asked for; guarded by mu

	mu    sync.Mutex
	loops map[gnet.EventLoop]*loopState
}

// Start opens the listeners and begins to serve. It returns when connections
// are accepted, or with an error and nothing left behind.
func Start(cfg Config, h Handler) (*Engine, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Listeners) == 0 {
		return nil, errors.New("no listen address")
	}
	if err := cfg.resolveMaxConnections(); err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, handler: h, loops: map[gnet.EventLoop]*loopState{},
		booted: make(chan struct{}), done: make(chan struct{}),
	}
	for _, l := range cfg.Listeners {
		addr, err := probe(l.Addr)
		if err != nil {
			return nil, err
		}
		e.addrs = append(e.addrs, addr)
	}
	go e.run()
	select {
	case <-e.booted:
		return e, nil
	case <-e.done:
		return nil, fmt.Errorf("starting the event loops: %w", e.err)
	}
}

// run lives as long as the gnet engine does.
func (e *Engine) run() {
	urls := make([]string, len(e.addrs))
	for i, a := range e.addrs {
		urls[i] = "tcp://" + a
	}
	err := gnet.Rotate(&events{engine: e}, urls,
		gnet.WithNumEventLoop(e.cfg.Loops),
		gnet.WithReusePort(true), // accept on the loop that serves: survives EMFILE floods
		gnet.WithReuseAddr(true), // or a restart after a crash fails on TIME_WAIT
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithTicker(true),
		gnet.WithLogger(gnetLogger{e.cfg.Logger}))
	e.mu.Lock()
	if err == nil && !e.wanted {
		err = errors.New("the event loops ended by themselves")
	}
	e.mu.Unlock()
	e.err = err
	close(e.done)
}

// Addrs are the addresses being served, in the order of Config.Listeners, with
// real port numbers.
func (e *Engine) Addrs() []string { return e.addrs }

// MaxConnections is the limit in force.
func (e *Engine) MaxConnections() int { return e.cfg.MaxConnections }

// Done is closed when the loops have ended; Err then says why.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Err is why the loops ended: nil after Stop or Drain. Valid after Done.
func (e *Engine) Err() error { return e.err }

// StopAccepting refuses new connections and keeps the open ones.
func (e *Engine) StopAccepting() error { return unlisten(e.addrs) }

// Drain ends the engine gently: it stops accepting, tells every connection,
// lets open exchanges finish, waits until what was written has been taken by
// the kernel, and stops. When ctx ends first the remaining connections are cut
// and ctx's error is returned.
func (e *Engine) Drain(ctx context.Context) error {
	if err := e.StopAccepting(); err != nil {
		e.cfg.Logger.Warn("listeners stay open while draining", "err", err)
	}
	e.shared.draining.Store(true)
	e.onLoops((*loopState).startDrain)
	defer e.Stop()
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
	e.asked.Do(func() {
		e.mu.Lock()
		e.wanted = true
		e.mu.Unlock()
		// Stop would poll until the end every half second; done tells sooner.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.gnet.Stop(ctx)
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
	var wg sync.WaitGroup
	for el, l := range loops {
		wg.Add(1)
		run := gnet.RunnableFunc(func(context.Context) error {
			defer wg.Done()
			f(l)
			return nil
		})
		if err := el.Execute(context.Background(), run); err != nil {
			wg.Done()
		}
	}
	ran := make(chan struct{})
	go func() { wg.Wait(); close(ran) }()
	select {
	case <-ran:
	case <-e.done: // an ended loop runs nothing any more
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
}

// Stats takes a snapshot.
func (e *Engine) Stats() Stats { return e.shared.stats(e.cfg.Loops) }

func (s *shared) stats(loops int) Stats {
	return Stats{
		Loops: loops, Active: s.open.Load(), Peak: s.peak.Load(), Accepted: s.accepted.Load(),
		TurnedAway: s.turned.Load(), Requests: s.requests.Load(), Messages: s.messages.Load(),
		Refused: s.refused.Load(), Dropped: s.dropped.Load(), PinnedBytes: s.pinned.Load(), Panics: s.panics.Load(),
	}
}
