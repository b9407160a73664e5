package pool

// Suspend calls wait, and while wait runs the calling task is not counted: not
// as a task of class c and owner o, which must be those it was submitted with,
// nor its goroutine as a worker. A task that waits for a person does it with
// Suspend, so that a thousand of them do not keep others from running.
//
// When wait ends, by a return, a panic or runtime.Goexit, the task is counted
// again and goes on at once. There may then be more workers than Config allows:
// each ends with its task until there are not.
//
// Suspend returns ErrSuspended, and does not call wait, when Config.Suspended
// tasks are suspended. It works on while the pool drains: a drain waits for
// suspended tasks too. It allocates nothing unless it starts a worker.
//
// A task that waits on several goroutines may call Suspend on each; every call
// lets another task run, and takes a place of Config.Suspended. Such a goroutine
// may outlive its task: all counts are right again when its wait ends.
func (p *Pool) Suspend(c Class, o *Owner, wait func()) error {
	if !p.admit() {
		return ErrSuspended
	}
	q := p.queue(c)
	q.suspend(o)
	defer q.resume(o)
	wait()
	return nil
}

// admit takes a place among the suspended tasks.
func (p *Pool) admit() bool {
	for {
		n := p.suspended.Load()
		if n >= p.maxSuspended {
			return false
		}
		if p.suspended.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (q *queue) suspend(o *Owner) {
	o.release(q.class)
	q.load.Add(suspension - 1)
	if !q.retire() {
		go q.work()
	}
}

// resume undoes suspend. The load comes first: hire reads it last, and must not
// find this worker without its task, as one that were free.
func (q *queue) resume(o *Owner) {
	o.retake(q.class)
	q.load.Add(1 - suspension)
	q.workers.Add(1)
	q.pool.suspended.Add(-1)
	q.pool.settle() // if the task itself has ended
}

// unfinished returns how many tasks are queued, running or suspended.
func (q *queue) unfinished() int64 {
	n := q.load.Load()
	return active(n) + suspended(n)
}
