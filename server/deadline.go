package server

import (
	"sync"
	"time"
)

// deadlineGrain is how late a call's deadline may be noticed.
const deadlineGrain = 10 * time.Millisecond

// deadlines ends calls whose time is up. One goroutine looks at the clock every
// deadlineGrain while there are calls in flight, and at the calls when the time
// of one may be up: a timer for each would cost more than most calls take. start
// comes first, close last.
type deadlines struct {
	mu    sync.Mutex
	head  deadlineNode // ring
	count int
	next  time.Time // no call is late before; zero: none is, ever
	wake  chan struct{}
	stop  chan struct{}
	over  chan struct{}
}

type deadlineNode struct {
	prev, next *deadlineNode
	call       *call
}

// start begins the watch.
func (d *deadlines) start() {
	d.wake, d.stop, d.over = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	d.head.prev, d.head.next = &d.head, &d.head
	go d.run()
}

// run looks until close is called.
func (d *deadlines) run() {
	defer close(d.over)
	for {
		select {
		case <-d.stop:
			return
		case <-d.wake:
		}
		if !d.watch() {
			return
		}
	}
}

// watch ticks while calls are in flight; false when told to stop.
func (d *deadlines) watch() bool {
	t := time.NewTicker(deadlineGrain)
	defer t.Stop()
	for {
		select {
		case <-d.stop:
			return false
		case now := <-t.C:
			late, left := d.take(now)
			for _, c := range late {
				c.expire()
			}
			if left == 0 {
				return true
			}
		}
	}
}

// take finds the calls that are late, and how many are in flight.
func (d *deadlines) take(now time.Time) (late []*call, left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next.IsZero() || !now.After(d.next) {
		return nil, d.count
	}
	d.next = time.Time{}
	for n := d.head.next; n != &d.head; n = n.next {
		if n.call.late(now) {
			late = append(late, n.call)
		} else {
			d.expect(n.call, now)
		}
	}
	return late, d.count
}

// expect notes when c may be late. The clock of a call that waits for a person
// may go on at any moment, with little time left. Under mu.
func (d *deadlines) expect(c *call, now time.Time) {
	at, limited := c.Deadline()
	if !limited {
		return
	}
	if c.waiting.Load() > 0 {
		at = now
	}
	if d.next.IsZero() || at.Before(d.next) {
		d.next = at
	}
}

// all lists the calls in flight.
func (d *deadlines) all() (calls []*call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := d.head.next; n != &d.head; n = n.next {
		calls = append(calls, n.call)
	}
	return calls
}

// add begins to watch c; one without a limit for the sake of all.
func (d *deadlines) add(c *call) {
	n := &c.node
	d.mu.Lock()
	n.call = c
	n.prev, n.next = d.head.prev, &d.head
	d.head.prev.next = n
	d.head.prev = n
	d.count++
	d.expect(c, c.started)
	first := d.count == 1
	d.mu.Unlock()
	if first {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// remove ends the watch. It may be called twice.
func (d *deadlines) remove(c *call) {
	n := &c.node
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.next == nil {
		return
	}
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil
	d.count--
}

// close ends the goroutine.
func (d *deadlines) close() {
	close(d.stop)
	<-d.over
}
