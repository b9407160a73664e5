package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// waiter returns a task that is suspended until g is opened, and tells what
// Suspend returned.
func waiter(p *Pool, c Class, o *Owner, g gate, result *error) Task {
	return taskFunc(func() {
		if err := p.Suspend(c, o, g.Run); result != nil {
			*result = err
		}
	})
}

// A suspended task is not counted: its class, queue and owner are as if it were
// not there, and they are again when it goes on.
func TestSuspendFreesItsPlace(t *testing.T) {
	for _, c := range []Class{Blocking, CPU, 77} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 2, Queue: 3}) // a share of 1
				var o Owner
				asked, g := make(gate), make(gate)
				err := errors.New("not run")
				mustSubmit(t, p, c, &o, waiter(p, c, &o, asked, &err))
				synctest.Wait()
				if st := p.class(c); st.Workers != 0 || st.Busy != 0 || st.Depth != 0 || p.Stats().Suspended != 1 || o.Held(c) != 0 {
					t.Errorf("suspended: %+v, held %d", p.Stats(), o.Held(c))
				}
				mustSubmit(t, p, c, &o, g)
				if err := p.Submit(c, &o, g); err != ErrShare {
					t.Errorf("Submit = %v, want ErrShare", err)
				}
				for range 4 {
					mustSubmit(t, p, c, nil, g)
				}
				if err := p.Submit(c, nil, g); err != ErrFull {
					t.Errorf("task 6 of 5: %v, want ErrFull", err)
				}
				synctest.Wait()
				if st := p.class(c); st.Workers != 2 || st.Busy != 2 || st.Depth != 3 {
					t.Errorf("full: %+v", st)
				}
				close(asked) // goes on though all workers are taken
				synctest.Wait()
				if err != nil {
					t.Errorf("Suspend = %v", err)
				}
				if st := p.class(c); st.Workers != 2 || st.Done != 1 || p.Stats().Suspended != 0 || o.Held(c) != 1 {
					t.Errorf("resumed: %+v, held %d", p.Stats(), o.Held(c))
				}
				close(g)
				drain(t, p)
				checkEmpty(t, p, &o)
			})
		})
	}
}

// checkEmpty finds counts that do not fit a pool whose tasks are done.
func checkEmpty(t *testing.T, p *Pool, owners ...*Owner) {
	t.Helper()
	for i := range p.queues {
		q := &p.queues[i]
		if n := q.load.Load(); n != 0 {
			t.Errorf("%v: load %d active, %d suspended, want 0", q.class, active(n), suspended(n))
		}
		if n := q.workers.Load(); n < 0 || n > q.maxWorkers {
			t.Errorf("%v: %d workers of %d", q.class, n, q.maxWorkers)
		}
		for _, o := range owners {
			if n := o.Held(q.class); n != 0 {
				t.Errorf("%v: an owner holds %d, want 0", q.class, n)
			}
		}
	}
	if n := p.Stats().Suspended; n != 0 {
		t.Errorf("%d suspended, want 0", n)
	}
}

func TestSuspendLimit(t *testing.T) {
	for _, tt := range []struct{ cfg, want int }{{-1, 1000}, {0, 1000}, {1, 1}, {3, 3}} {
		t.Run(fmt.Sprint(tt.cfg), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := quiet(Config{CPUWorkers: 1, BlockingWorkers: 1, Suspended: tt.cfg})
				g := make(gate)
				errs := make([]error, tt.want+1)
				for i := range errs { // both classes share the places
					mustSubmit(t, p, Class(i%2), nil, waiter(p, Class(i%2), nil, g, &errs[i]))
					synctest.Wait()
					if n := p.Stats().Suspended; n != min(i+1, tt.want) {
						t.Fatalf("task %d: %d suspended", i+1, n)
					}
				}
				if err := errs[tt.want]; err != ErrSuspended {
					t.Errorf("task %d of %d: %v, want ErrSuspended", tt.want+1, tt.want, err)
				}
				if st := p.Stats(); st.Blocking.Done+st.CPU.Done != 1 {
					t.Errorf("%+v: the refused task has not gone on", st)
				}
				g <- struct{}{} // one goes on: one more has room
				synctest.Wait()
				mustSubmit(t, p, CPU, nil, waiter(p, CPU, nil, g, &errs[tt.want]))
				synctest.Wait()
				if n := p.Stats().Suspended; n != tt.want {
					t.Errorf("%d suspended, want %d", n, tt.want)
				}
				close(g)
				drain(t, p)
				for i, err := range errs {
					if err != nil {
						t.Errorf("task %d: %v", i+1, err)
					}
				}
				checkEmpty(t, p)
			})
		})
	}
}

// A thousand tools that wait leave all workers to others.
func TestSuspendedDoNotStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{BlockingWorkers: 2, Queue: 2})
		asked := make(gate)
		for range 1000 {
			mustSubmit(t, p, Blocking, nil, waiter(p, Blocking, nil, asked, nil))
			synctest.Wait()
		}
		g := make(gate)
		mustSubmit(t, p, Blocking, nil, g)
		mustSubmit(t, p, Blocking, nil, g)
		synctest.Wait()
		if st := p.Stats().Blocking; st.Busy != 2 || st.Depth != 0 {
			t.Errorf("%+v: want 2 busy", st)
		}
		close(g)
		close(asked)
		drain(t, p)
		checkEmpty(t, p)
	})
}

// A queued task gets the place of one that is suspended, without any Submit.
func TestSuspendHires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{CPUWorkers: 1})
		asked, g := make(gate), make(gate)
		start := make(gate)
		mustSubmit(t, p, CPU, nil, taskFunc(func() { <-start; p.Suspend(CPU, nil, asked.Run) }))
		mustSubmit(t, p, CPU, nil, g)
		synctest.Wait()
		if st := p.Stats().CPU; st.Busy != 1 || st.Depth != 1 {
			t.Errorf("before: %+v", st)
		}
		close(start)
		synctest.Wait()
		if st := p.Stats().CPU; st.Busy != 1 || st.Depth != 0 {
			t.Errorf("suspended: %+v", st)
		}
		close(asked)
		close(g)
		drain(t, p)
		checkEmpty(t, p)
	})
}

// Resumed tasks go on beside those that took their workers; workers above the
// maximum end with their task, also when it ends its goroutine.
func TestResumeOverMaximum(t *testing.T) {
	for _, c := range []Class{Blocking, CPU} {
		for _, exit := range []bool{false, true} {
			t.Run(fmt.Sprint(c, exit), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 2})
					workers := func(want int) {
						t.Helper()
						synctest.Wait()
						if st := p.class(c); st.Workers != want {
							t.Errorf("%+v: want %d workers", st, want)
						}
					}
					asked, own, g := make(gate), make(gate), make(gate)
					for range 3 {
						mustSubmit(t, p, c, nil, taskFunc(func() {
							p.Suspend(c, nil, asked.Run)
							<-own
							if exit {
								runtime.Goexit()
							}
						}))
					}
					workers(0)
					for range 3 {
						mustSubmit(t, p, c, nil, g)
					}
					workers(2)
					close(asked)
					workers(5)
					if st := p.class(c); st.Busy != 5 || st.Depth != 1 {
						t.Errorf("resumed: %+v, want 5 busy, 1 queued", st)
					}
					own <- struct{}{}
					workers(4)
					if st := p.class(c); st.Depth != 1 {
						t.Errorf("a worker above the maximum took a task: %+v", st)
					}
					close(own)
					workers(2)
					close(g)
					drain(t, p)
					workers(0)
					checkEmpty(t, p)
				})
			})
		}
	}
}

// However the wait ends, the counts are right.
func TestSuspendEnds(t *testing.T) {
	tests := []struct {
		name   string
		wait   func()
		panics uint64
	}{
		{"return", func() {}, 0},
		{"panic", func() { panic("boom") }, 1},
		{"goexit", runtime.Goexit, 0},
	}
	for _, tt := range tests {
		for _, c := range []Class{Blocking, CPU} {
			t.Run(fmt.Sprint(tt.name, " ", c), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := quiet(Config{CPUWorkers: 1, BlockingWorkers: 1, Suspended: 2})
					var o Owner
					for range 10 {
						mustSubmit(t, p, c, &o, taskFunc(func() { p.Suspend(c, &o, tt.wait) }))
					}
					synctest.Wait()
					if st := p.class(c); st.Done != 10 || st.Panics != 10*tt.panics || st.Workers != 1 || st.Busy != 0 {
						t.Errorf("%+v", st)
					}
					drain(t, p)
					checkEmpty(t, p, &o)
				})
			})
		}
	}
}

func TestDrainWaitsForSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{CPUWorkers: 1, BlockingWorkers: 1})
		asked := make(gate)
		var err error
		mustSubmit(t, p, CPU, nil, waiter(p, CPU, nil, asked, nil))
		mustSubmit(t, p, Blocking, nil, taskFunc(func() {
			time.Sleep(time.Second)
			err = p.Suspend(Blocking, nil, asked.Run) // the pool is closed by now
		}))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := p.Drain(ctx)
		if !errors.Is(got, context.DeadlineExceeded) || !strings.Contains(got.Error(), "2 tasks left") {
			t.Errorf("Drain = %v, want a deadline with 2 tasks left", got)
		}
		if n := p.Stats().Suspended; n != 2 {
			t.Errorf("%d suspended, want 2", n)
		}
		asked <- struct{}{}
		synctest.Wait()
		select {
		case <-p.settled:
			t.Error("settled while a task is suspended")
		default:
		}
		close(asked)
		drain(t, p)
		if err != nil {
			t.Errorf("Suspend while draining = %v", err)
		}
		checkEmpty(t, p)
	})
}

// Goroutines of one task may wait at once and outlive it.
func TestSuspendBesideTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{CPUWorkers: 1, Queue: 1, Suspended: 3})
		asked, own, g := make(gate), make(gate), make(gate)
		var o Owner
		mustSubmit(t, p, CPU, &o, taskFunc(func() {
			for range 3 {
				go p.Suspend(CPU, &o, asked.Run)
			}
			<-own
		}))
		synctest.Wait()
		taken := 0
		for p.Submit(CPU, nil, g) == nil { // none of them blocks
			taken++
		}
		if taken > 2+3 {
			t.Errorf("%d tasks taken, want at most 5", taken)
		}
		close(own)
		synctest.Wait()
		for p.Submit(CPU, nil, g) == nil {
			taken++
		}
		close(g)
		synctest.Wait()
		p.Close()
		select {
		case <-p.settled:
			t.Error("settled while goroutines of a task wait")
		default:
		}
		close(asked)
		drain(t, p)
		if n := p.Stats().CPU.Done; int(n) != taken+1 {
			t.Errorf("Done = %d, want %d", n, taken+1)
		}
		checkEmpty(t, p, &o)
	})
}

// Submits, suspensions of all endings and Close in any order: no task is lost,
// no count is left, and Drain returns after the last task.
func TestSuspendStress(t *testing.T) {
	for range 60 {
		p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 3, Queue: 8, Suspended: 5, IdleTimeout: 50 * time.Microsecond})
		var owners [3]Owner
		var taken, left, refused atomic.Int64
		task := func(c Class, o *Owner, r uint64) Task {
			return taskFunc(func() {
				defer left.Add(1)
				for range r % 3 {
					err := p.Suspend(c, o, func() {
						switch r >> 8 % 8 {
						case 0:
							panic("boom")
						case 1:
							runtime.Goexit()
						case 2:
							time.Sleep(time.Duration(r >> 16 % 100_000))
						default:
							runtime.Gosched()
						}
					})
					if err != nil {
						refused.Add(1)
					}
				}
			})
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for {
					c, o := Class(rand.IntN(2)), &owners[rand.IntN(3)]
					switch err := p.Submit(c, o, task(c, o, rand.Uint64())); err {
					case nil:
						taken.Add(1)
					case ErrClosed:
						return
					default:
						runtime.Gosched()
					}
					if i == 0 && taken.Load() > 500 {
						p.Close()
					}
				}
			})
		}
		wg.Wait()
		drain(t, p)
		if taken.Load() != left.Load() {
			t.Fatalf("%d tasks taken, %d ended before Drain returned", taken.Load(), left.Load())
		}
		if st := p.Stats(); int64(st.Blocking.Done+st.CPU.Done) != taken.Load() {
			t.Fatalf("%+v: %d taken", st, taken.Load())
		}
		for p.Stats().Blocking.Workers+p.Stats().CPU.Workers > 0 {
			runtime.Gosched()
		}
		checkEmpty(t, p, &owners[0], &owners[1], &owners[2])
	}
}

// Tasks that are submitted and resumed at once each have a worker: none waits
// behind one that blocks.
func TestResumeAndSubmitAtOnce(t *testing.T) {
	for range 2000 {
		p := quiet(Config{BlockingWorkers: 8})
		asked, resumed, g := make(gate), make(chan bool), make(gate)
		mustSubmit(t, p, Blocking, nil, taskFunc(func() {
			p.Suspend(Blocking, nil, asked.Run)
			resumed <- true
			<-g
		}))
		for p.Stats().Suspended == 0 {
			runtime.Gosched()
		}
		ran := make(chan bool)
		go close(asked)
		mustSubmit(t, p, Blocking, nil, taskFunc(func() { close(ran) }))
		<-resumed
		<-ran // while the resumed task waits for g
		close(g)
		drain(t, p)
	}
}

func TestSuspendAllocs(t *testing.T) {
	p := quiet(Config{CPUWorkers: 1})
	ran := make(chan float64)
	wait := func() {}
	mustSubmit(t, p, CPU, nil, taskFunc(func() {
		ran <- testing.AllocsPerRun(1000, func() { p.Suspend(CPU, nil, wait) })
	}))
	if got := <-ran; got != 0 {
		t.Errorf("Suspend allocates %v times, want 0", got)
	}
	drain(t, p)
}
