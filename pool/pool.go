// Package pool runs tasks on a bounded number of goroutines.
//
// A task belongs to one of two classes, each with its own workers and its own
// queue: Blocking for what waits, CPU for what computes. Submit never blocks:
// an event loop calls it and answers "overloaded" when it refuses. A panic in
// a task ends that task only. A task that waits for a person gives up its place
// meanwhile, with Suspend.
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Config.
const (
	DefaultBlockingWorkers = 1024
	DefaultQueue           = 4096
	DefaultSuspended       = 1000
	DefaultIdleTimeout     = 10 * time.Second
)

// Why Submit or Suspend refused a task.
var (
	// ErrFull means that every worker of the class is taken and its queue is
	// full.
	ErrFull = errors.New("pool: queue full")
	// ErrShare means that the owner holds a quarter of the class.
	ErrShare = errors.New("pool: owner holds its share")
	// ErrClosed means that Close or Drain was called.
	ErrClosed = errors.New("pool: closed")
	// ErrSuspended means that Config.Suspended tasks are suspended.
	ErrSuspended = errors.New("pool: too many suspended tasks")
)

// Class tells what a task mostly does. A value that is none of the constants
// counts as Blocking.
type Class uint8

// The classes of task.
const (
	// Blocking tasks wait for something: a network, a disk, a lock. They get
	// goroutines on demand.
	Blocking Class = iota
	// CPU tasks compute. They get as many goroutines as there are cores.
	CPU

	numClasses = iota
)

// String returns the name of c for logs and metrics.
func (c Class) String() string {
	if c == CPU {
		return "cpu"
	}
	return "blocking"
}

// Task is one piece of work. It is an interface, so that a caller who submits
// a pointer it has at hand allocates nothing.
//
// A task that has a method Panicked(*PanicError) gets it called, on the
// goroutine of Run, after Run panicked.
type Task interface {
	Run()
}

// Config sizes a Pool. The zero value works; zero or negative means the
// default.
type Config struct {
	CPUWorkers      int           // default runtime.NumCPU()
	BlockingWorkers int           // at most this many, started on demand; default 1024
	Queue           int           // tasks that may wait, per class; default 4096
	Suspended       int           // tasks that may be suspended, of both classes together; default 1000
	Logger          *slog.Logger  // for panics; default slog.Default()
	IdleTimeout     time.Duration // a blocking worker without a task for so long ends; default 10 s
}

// Pool is a bounded worker pool. Its methods may be called from any goroutine.
type Pool struct {
	queues    [numClasses]queue
	logger    *slog.Logger
	abandoned atomic.Uint64

	suspended    atomic.Int64 // places taken, see admit
	maxSuspended int64

	closed  atomic.Bool
	closing chan struct{} // closed by Close
	settled chan struct{} // closed after Close, once no task is left
	once    sync.Once
}

// New returns a Pool without any worker yet: each starts when a task needs it.
// The caller ends the pool with Close or Drain.
func New(cfg Config) *Pool {
	p := &Pool{
		logger:       cfg.Logger,
		maxSuspended: int64(orDefault(cfg.Suspended, DefaultSuspended)),
		closing:      make(chan struct{}),
		settled:      make(chan struct{}),
	}
	if p.logger == nil {
		p.logger = slog.Default()
	}
	backlog := orDefault(cfg.Queue, DefaultQueue)
	p.queues[Blocking].init(p, Blocking, orDefault(cfg.BlockingWorkers, DefaultBlockingWorkers), backlog)
	p.queues[Blocking].idleTimeout = orDefault(cfg.IdleTimeout, DefaultIdleTimeout)
	p.queues[CPU].init(p, CPU, orDefault(cfg.CPUWorkers, runtime.NumCPU()), backlog)
	return p
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Submit hands t to a worker of class c, or queues it while all are taken;
// queued tasks start in order. It never blocks, and allocates nothing unless
// it starts a worker. It returns ErrFull, ErrShare or ErrClosed when it does
// not take t. o may be nil for a task that counts for nobody; otherwise the
// pool keeps o until t is done.
func (p *Pool) Submit(c Class, o *Owner, t Task) error {
	q := p.queue(c)
	if p.closed.Load() {
		return q.refuse(ErrClosed)
	}
	if !o.take(q.class, q.share) {
		return q.refuse(ErrShare)
	}
	n := active(q.load.Add(1))
	var err error
	switch {
	case p.closed.Load():
		// Close looks at load after it has set closed, so that either it
		// sees this task or this task sees it.
		err = ErrClosed
	case n > q.limit:
		err = ErrFull
	}
	if err != nil {
		q.release(o)
		return q.refuse(err)
	}
	q.push(job{task: t, owner: o}, n)
	return nil
}

func (p *Pool) queue(c Class) *queue {
	if c >= numClasses {
		c = Blocking
	}
	return &p.queues[c]
}

// Close refuses new tasks from now on. Those already taken still run; the
// workers end when the queues are empty. It does not wait.
func (p *Pool) Close() {
	if p.closed.CompareAndSwap(false, true) {
		close(p.closing)
		p.settle()
	}
}

// Drain closes the pool and waits until all tasks, queued, running and
// suspended, are done. It returns an error that wraps ctx.Err() when ctx ends first; the
// tasks go on, and Drain may be called again.
func (p *Pool) Drain(ctx context.Context) error {
	p.Close()
	select {
	case <-p.settled:
		return nil
	default:
	}
	select {
	case <-p.settled:
		return nil
	case <-ctx.Done():
		left := p.queues[Blocking].unfinished() + p.queues[CPU].unfinished()
		return fmt.Errorf("pool: drain: %d tasks left: %w", left, ctx.Err())
	}
}

// settle ends the wait of Drain if the pool is closed and no task is left, in
// either half of a load.
func (p *Pool) settle() {
	if p.closed.Load() && p.queues[Blocking].load.Load() == 0 && p.queues[CPU].load.Load() == 0 {
		p.once.Do(func() { close(p.settled) })
	}
}

// Abandon counts a task whose caller stopped waiting, at a deadline for
// example, while it still runs. The task keeps its worker until it returns.
func (p *Pool) Abandon() { p.abandoned.Add(1) }
