package pool

import "time"

// Stats is the state of a Pool. Its numbers are read one after the other while
// the pool runs, so that they may differ by what happened in between.
type Stats struct {
	Blocking  ClassStats `json:"blocking"`
	CPU       ClassStats `json:"cpu"`
	Abandoned uint64     `json:"abandoned"` // calls of Abandon
	Suspended int        `json:"suspended"` // tasks that are suspended, of both classes
}

// ClassStats is the state of one class. Done, Rejected, Panics and Waited only
// grow.
type ClassStats struct {
	Limit   int `json:"limit"`   // most workers at once, but for resumed tasks
	Workers int `json:"workers"` // goroutines now, without those of suspended tasks
	Busy    int `json:"busy"`    // of them, those with a task
	Depth   int `json:"depth"`   // tasks that wait

	Done     uint64 `json:"done"`     // tasks that ended, also by a panic
	Rejected uint64 `json:"rejected"` // tasks that Submit did not take
	Panics   uint64 `json:"panics"`   // tasks that panicked

	// Waited is how long all tasks together waited until they started. It is
	// measured only for those that found all workers taken, so that a pool
	// that keeps up never reads the clock; the others count as zero.
	Waited time.Duration `json:"waitedNs"`
}

// Stats returns the state of p.
func (p *Pool) Stats() Stats {
	return Stats{
		Blocking:  p.queues[Blocking].stats(),
		CPU:       p.queues[CPU].stats(),
		Abandoned: p.abandoned.Load(),
		Suspended: int(p.suspended.Load()),
	}
}

func (q *queue) stats() ClassStats {
	depth := len(q.jobs)
	workers := int(q.workers.Load())
	return ClassStats{
		Limit:    int(q.maxWorkers),
		Workers:  workers,
		Busy:     max(0, min(workers, int(active(q.load.Load()))-depth)),
		Depth:    depth,
		Done:     q.done.Load(),
		Rejected: q.refused.Load(),
		Panics:   q.panicked.Load(),
		Waited:   time.Duration(q.waited.Load()),
	}
}
