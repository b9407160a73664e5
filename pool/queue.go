package pool

import (
	"sync/atomic"
	"time"
)

// job is a task on its way to a worker.
type job struct {
	task  Task
	owner *Owner
	since time.Time // when it was queued; zero when a worker was free
}

// queue is one class: its waiting tasks and its workers.
//
// There is no lock. The rule for starting a worker is: while there are tasks in
// the queue and no worker waits for one, and fewer workers are there than
// allowed and than unfinished tasks, start one, but no second one before the
// first has begun. Whoever queues a task or lowers workers checks it afterwards,
// and so does a worker that has taken a task, so that no task is left without a
// worker.
//
// One at a time is enough: the new worker begins when another blocks, or on a
// processor that is free. A thousand short tasks at once are then done by the few
// workers that there is a processor for, and not by a thousand goroutines.
type queue struct {
	pool  *Pool
	class Class

	share      int64 // tasks one owner may hold
	limit      int64 // tasks that may be unfinished: workers and queue
	maxWorkers int64

	idleTimeout time.Duration // 0: workers do not end before Close

	// jobs has room for whatever load admits: sending a job cannot block. Each
	// suspension may hide one task more than it should, see Pool.Suspend.
	jobs chan job

	// load counts the unfinished tasks in one word, so that there is no moment
	// at which one that is being suspended or resumed is in neither half: the
	// low half those that are queued, running or about to be queued, the high
	// half those that are suspended.
	load    atomic.Int64
	workers atomic.Int64 // without those whose task is suspended
	waiting atomic.Int64 // workers that wait for a task
	// starting is set from the moment a worker is hired until it looks for a task.
	// What is queued while it is set, that worker finds.
	starting atomic.Bool

	done     atomic.Uint64
	refused  atomic.Uint64
	panicked atomic.Uint64
	waited   atomic.Int64 // nanoseconds
}

// suspension is one suspended task in queue.load.
const suspension = 1 << 32

// active returns the low half of a queue.load, suspended the high half.
func active(load int64) int64    { return int64(int32(load)) }
func suspended(load int64) int64 { return (load - active(load)) / suspension }

func (q *queue) init(p *Pool, c Class, workers, backlog int) {
	q.pool = p
	q.class = c
	q.maxWorkers = int64(workers)
	q.limit = int64(workers) + int64(backlog)
	q.share = max(1, q.limit/4)
	q.jobs = make(chan job, q.limit+p.maxSuspended)
}

func (q *queue) refuse(err error) error {
	q.refused.Add(1)
	return err
}

// push queues a job that made the load n.
func (q *queue) push(j job, n int64) {
	if n > q.maxWorkers {
		j.since = time.Now()
	}
	q.jobs <- j
	if q.hire() {
		go q.work()
	}
}

// hire counts one more worker if the queue needs it. The caller then starts it,
// or goes on being it. It looks at the load of now, after the workers: of two
// Submits at once, the one that counted its task first may look last, and what it
// counted then would leave the other's task without a worker.
func (q *queue) hire() bool {
	if len(q.jobs) == 0 || q.waiting.Load() > 0 {
		return false
	}
	for {
		w := q.workers.Load()
		if w >= q.maxWorkers || w >= active(q.load.Load()) || !q.starting.CompareAndSwap(false, true) {
			return false
		}
		if q.workers.CompareAndSwap(w, w+1) {
			return true
		}
		q.starting.Store(false)
	}
}

// retire counts one worker less, unless a task came meanwhile.
func (q *queue) retire() bool {
	q.workers.Add(-1)
	return !q.hire()
}

// surplus counts one worker less if there are more than allowed, as there may
// be after a task was resumed. Then no task needs another.
func (q *queue) surplus() bool {
	for {
		w := q.workers.Load()
		if w <= q.maxWorkers {
			return false
		}
		if q.workers.CompareAndSwap(w, w-1) {
			return true
		}
	}
}

// work is the goroutine of one worker.
func (q *queue) work() {
	retired := false
	defer func() {
		// A task may end its goroutine with runtime.Goexit, as
		// testing.T.FailNow does. The place of the worker is taken by a new
		// one.
		if !retired {
			go q.work()
		}
	}()
	var idle *time.Timer
	if q.idleTimeout > 0 {
		idle = time.NewTimer(q.idleTimeout)
		defer idle.Stop()
	}
	q.starting.Store(false)
	for !retired {
		if q.surplus() {
			retired = true
		} else if j, ok := q.next(idle); ok {
			if q.hire() {
				go q.work()
			}
			q.run(j)
		} else if retired = q.retire(); !retired {
			q.starting.Store(false)
		}
	}
}

// next waits for a job. It is false when the worker should end.
func (q *queue) next(idle *time.Timer) (j job, ok bool) {
	// A receive alone costs a fraction of a select over three channels.
	select {
	case j = <-q.jobs:
		return j, true
	default:
	}
	var expired <-chan time.Time
	if idle != nil {
		idle.Reset(q.idleTimeout)
		expired = idle.C
	}
	q.waiting.Add(1)
	defer q.waiting.Add(-1)
	select {
	case j = <-q.jobs:
		return j, true
	case <-expired:
	case <-q.pool.closing:
	}
	return j, false
}

// run runs one job. Whatever the task does, it is counted as done and its
// owner gets its place back.
func (q *queue) run(j job) {
	if !j.since.IsZero() {
		q.waited.Add(int64(time.Since(j.since)))
	}
	defer q.finish(j.owner)
	defer q.rescue(j.task)
	j.task.Run()
}

func (q *queue) finish(o *Owner) {
	q.done.Add(1)
	q.release(o)
}

// release gives back what Submit took.
func (q *queue) release(o *Owner) {
	o.release(q.class)
	q.load.Add(-1)
	q.pool.settle()
}
