package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type taskFunc func()

func (f taskFunc) Run() { f() }

// gate is a task that runs until the gate is opened.
type gate chan struct{}

func (g gate) Run() { <-g }

func quiet(cfg Config) *Pool {
	cfg.Logger = slog.New(slog.DiscardHandler)
	return New(cfg)
}

func drain(t *testing.T, p *Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Drain(ctx); err != nil {
		t.Error(err)
	}
}

func mustSubmit(t *testing.T, p *Pool, c Class, o *Owner, task Task) {
	t.Helper()
	if err := p.Submit(c, o, task); err != nil {
		t.Fatalf("Submit: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	for _, cfg := range []Config{{}, {CPUWorkers: -1, BlockingWorkers: -1, Queue: -1, IdleTimeout: -1}} {
		p := New(cfg)
		b, c := &p.queues[Blocking], &p.queues[CPU]
		if b.maxWorkers != 1024 || b.limit != 1024+4096 || b.share != (1024+4096)/4 || b.idleTimeout != 10*time.Second {
			t.Errorf("%+v: blocking: %d workers, limit %d, share %d, idle %v", cfg, b.maxWorkers, b.limit, b.share, b.idleTimeout)
		}
		n := int64(runtime.NumCPU())
		if c.maxWorkers != n || c.limit != n+4096 || c.share != (n+4096)/4 || c.idleTimeout != 0 {
			t.Errorf("%+v: cpu: %d workers, limit %d, share %d, idle %v", cfg, c.maxWorkers, c.limit, c.share, c.idleTimeout)
		}
		if p.logger == nil {
			t.Errorf("%+v: no logger", cfg)
		}
		p.Close()
	}
}

func TestRunsEveryTaskOnce(t *testing.T) {
	p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 8, Queue: 4096})
	const submitters, each = 4, 500
	var ran [numClasses][submitters * each]atomic.Int32
	var wg sync.WaitGroup
	for s := range submitters {
		wg.Go(func() {
			for i := range each {
				c := Class(i % numClasses)
				mustSubmitRetry(t, p, c, taskFunc(func() { ran[c][s*each+i].Add(1) }))
			}
		})
	}
	wg.Wait()
	drain(t, p)
	for s := range submitters {
		for i := range each {
			if n := ran[i%numClasses][s*each+i].Load(); n != 1 {
				t.Fatalf("task %d of submitter %d ran %d times", i, s, n)
			}
		}
	}
	st := p.Stats()
	if st.Blocking.Done+st.CPU.Done != submitters*each || st.CPU.Done != submitters*each/2 {
		t.Errorf("Done = %d and %d, want %d together", st.Blocking.Done, st.CPU.Done, submitters*each)
	}
}

func mustSubmitRetry(t *testing.T, p *Pool, c Class, task Task) {
	for {
		err := p.Submit(c, nil, task)
		if err == nil {
			return
		}
		if !errors.Is(err, ErrFull) {
			t.Errorf("Submit: %v", err)
			return
		}
		runtime.Gosched()
	}
}

func TestQueueLimit(t *testing.T) {
	for _, c := range []Class{Blocking, CPU, 77} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 2, Queue: 3})
				g := make(gate)
				for i := range 5 {
					if err := p.Submit(c, nil, g); err != nil {
						t.Errorf("task %d of 5: %v", i+1, err)
					}
				}
				if err := p.Submit(c, nil, g); err != ErrFull {
					t.Errorf("task 6 of 5: %v, want ErrFull", err)
				}
				synctest.Wait()
				st := p.class(c)
				if st.Workers != 2 || st.Busy != 2 || st.Depth != 3 || st.Rejected != 1 || st.Done != 0 {
					t.Errorf("full: %+v", st)
				}
				g <- struct{}{} // one task ends: one more has room
				synctest.Wait()
				mustSubmit(t, p, c, nil, g)
				if err := p.Submit(c, nil, g); err != ErrFull {
					t.Errorf("Submit = %v, want ErrFull", err)
				}
				close(g)
				drain(t, p)
				st = p.class(c)
				if st.Busy != 0 || st.Depth != 0 || st.Done != 6 || st.Rejected != 2 {
					t.Errorf("drained: %+v", st)
				}
			})
		})
	}
}

func (p *Pool) class(c Class) ClassStats { return p.queue(c).stats() }

// A class that is full does not touch the other.
func TestClassesAreApart(t *testing.T) {
	p := quiet(Config{CPUWorkers: 1, BlockingWorkers: 1, Queue: 1})
	g := make(gate)
	for range 2 {
		mustSubmit(t, p, Blocking, nil, g)
	}
	if err := p.Submit(Blocking, nil, g); err != ErrFull {
		t.Errorf("Submit = %v, want ErrFull", err)
	}
	ran := make(chan bool)
	mustSubmit(t, p, CPU, nil, taskFunc(func() { ran <- true }))
	<-ran
	close(g)
	drain(t, p)
}

func TestShare(t *testing.T) {
	tests := []struct{ workers, queue, share int }{
		{1, 1, 1}, // never less than one
		{2, 6, 2},
		{2, 9, 2},
		{4, 12, 4},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d+%d", tt.workers, tt.queue), func(t *testing.T) {
			p := quiet(Config{CPUWorkers: tt.workers, BlockingWorkers: tt.workers, Queue: tt.queue})
			g := make(gate)
			var greedy, other Owner
			for range tt.share {
				mustSubmit(t, p, CPU, &greedy, g)
			}
			if err := p.Submit(CPU, &greedy, g); err != ErrShare {
				t.Errorf("task %d: %v, want ErrShare", tt.share+1, err)
			}
			if n := greedy.Held(CPU); n != tt.share {
				t.Errorf("holds %d, want %d", n, tt.share)
			}
			mustSubmit(t, p, CPU, &other, g)        // another owner
			mustSubmit(t, p, Class(9), &greedy, g)  // another class
			if n := greedy.Held(Class(8)); n != 1 { // any unknown class is Blocking
				t.Errorf("holds %d blocking tasks, want 1", n)
			}
			close(g)
			drain(t, p)
			if greedy.Held(CPU) != 0 || greedy.Held(Blocking) != 0 || other.Held(CPU) != 0 {
				t.Error("an owner still holds tasks after Drain")
			}
			if n := p.Stats().CPU.Rejected; n != 1 {
				t.Errorf("Rejected = %d, want 1", n)
			}
		})
	}
}

// Refused tasks must leave nothing behind in the owner.
func TestRefusedTaskIsNotHeld(t *testing.T) {
	p := quiet(Config{CPUWorkers: 1, Queue: 7})
	g := make(gate)
	for range 8 {
		mustSubmit(t, p, CPU, nil, g)
	}
	var o Owner
	if err := p.Submit(CPU, &o, g); err != ErrFull {
		t.Errorf("Submit = %v, want ErrFull", err)
	}
	p.Close()
	if err := p.Submit(CPU, &o, g); err != ErrClosed {
		t.Errorf("Submit = %v, want ErrClosed", err)
	}
	if n := o.Held(CPU); n != 0 {
		t.Errorf("holds %d, want 0", n)
	}
	close(g)
	drain(t, p)
}

func TestBlockingWorkersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{BlockingWorkers: 3, CPUWorkers: 2, IdleTimeout: time.Minute})
		workers := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := p.Stats().Blocking.Workers; got != want {
				t.Errorf("%d workers, want %d", got, want)
			}
		}
		workers(0)
		nothing := taskFunc(func() {})
		for range 5 { // one after the other: one worker is enough
			mustSubmit(t, p, Blocking, nil, nothing)
			workers(1)
		}
		g := make(gate)
		for i := range 5 { // at once: up to the cap
			mustSubmit(t, p, Blocking, nil, g)
			workers(min(i+1, 3))
		}
		close(g)
		workers(3)
		time.Sleep(time.Minute - 1)
		workers(3)
		mustSubmit(t, p, Blocking, nil, nothing) // keeps one of them
		time.Sleep(time.Nanosecond)
		workers(1)
		time.Sleep(time.Minute)
		workers(0)
		mustSubmit(t, p, Blocking, nil, nothing)
		workers(1)

		mustSubmit(t, p, CPU, nil, nothing)
		time.Sleep(time.Hour)
		if n := p.Stats().CPU.Workers; n != 1 {
			t.Errorf("%d cpu workers after an hour, want 1", n)
		}
		p.Close()
		workers(0)
	})
}

// A task that arrives as a worker gives up must still run.
func TestIdleTimeoutRace(t *testing.T) {
	p := quiet(Config{BlockingWorkers: 4, IdleTimeout: time.Microsecond})
	for range 2000 {
		ran := make(chan bool)
		mustSubmit(t, p, Blocking, nil, taskFunc(func() { close(ran) }))
		<-ran
	}
	drain(t, p)
}

// All tasks can run at once when they fit the workers: none waits behind a
// task that blocks.
func TestNoTaskWaitsWhileWorkersMayStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{BlockingWorkers: 64})
		for range 20 {
			g := make(gate)
			for range 64 {
				mustSubmit(t, p, Blocking, nil, g)
			}
			synctest.Wait()
			if st := p.Stats().Blocking; st.Busy != 64 || st.Depth != 0 {
				t.Errorf("%+v: want 64 busy", st)
			}
			close(g)
			synctest.Wait()
		}
		drain(t, p)
	})
}

// Nor does one that was submitted at the same moment.
func TestSubmitsAtOnceGetWorkersEach(t *testing.T) {
	for range 5000 {
		p := quiet(Config{BlockingWorkers: 8})
		g := make(gate)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { mustSubmit(t, p, Blocking, nil, g) })
		}
		wg.Wait()
		// No worker can end before the gate opens.
		for end := time.Now().Add(10 * time.Second); p.Stats().Blocking.Busy != 2; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%+v: want 2 workers busy", p.Stats().Blocking)
			}
		}
		close(g)
		drain(t, p)
	}
}

// Short tasks at once are done by the workers that there are processors for.
func TestBurstStartsFewWorkers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := quiet(Config{})
	for range 1000 {
		mustSubmit(t, p, Blocking, nil, taskFunc(func() {}))
	}
	if n := p.Stats().Blocking.Workers; n > 50 { // preemption may start some
		t.Errorf("%d workers for 1000 short tasks on one processor", n)
	}
	drain(t, p)
}

func TestWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{CPUWorkers: 1})
		for range 3 {
			mustSubmit(t, p, CPU, nil, taskFunc(func() { time.Sleep(time.Second) }))
		}
		drain(t, p)
		// 0 s, 1 s and 2 s.
		if got := p.Stats().CPU.Waited; got != 3*time.Second {
			t.Errorf("Waited = %v, want 3s", got)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := quiet(Config{CPUWorkers: 1, BlockingWorkers: 1})
		var ran atomic.Int32
		for _, c := range []Class{CPU, Blocking} {
			for range 3 {
				mustSubmit(t, p, c, nil, taskFunc(func() { time.Sleep(time.Second); ran.Add(1) }))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		err := p.Drain(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 tasks left") {
			t.Errorf("Drain = %v, want a deadline with 4 tasks left", err)
		}
		if err := p.Submit(CPU, nil, taskFunc(func() {})); err != ErrClosed {
			t.Errorf("Submit while draining = %v, want ErrClosed", err)
		}
		start := time.Now()
		if err := p.Drain(t.Context()); err != nil {
			t.Errorf("second Drain = %v", err)
		}
		if ran.Load() != 6 || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("%d tasks ran, the last after %v", ran.Load(), time.Since(start))
		}
		// A pool that is already empty does not care about the context.
		for range 50 {
			if err := p.Drain(ctx); err != nil {
				t.Fatalf("third Drain = %v", err)
			}
		}
	})
}

func TestDrainOfUnusedPool(t *testing.T) {
	p := quiet(Config{})
	p.Close()
	p.Close()
	drain(t, p)
}

// Close lets queued tasks run, however it falls between Submits.
func TestCloseKeepsTasks(t *testing.T) {
	for range 200 {
		p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 2})
		var taken, ran atomic.Int64
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for {
					if err := p.Submit(Class(i%2), nil, taskFunc(func() { ran.Add(1) })); err == ErrClosed {
						return
					} else if err == nil {
						taken.Add(1)
					}
				}
			})
		}
		runtime.Gosched()
		p.Close()
		drain(t, p)
		wg.Wait()
		if taken.Load() != ran.Load() {
			t.Fatalf("%d tasks taken, %d ran before Drain returned", taken.Load(), ran.Load())
		}
	}
}

func TestAbandon(t *testing.T) {
	p := quiet(Config{})
	p.Abandon()
	p.Abandon()
	if n := p.Stats().Abandoned; n != 2 {
		t.Errorf("Abandoned = %d, want 2", n)
	}
	p.Close()
}

func TestClassString(t *testing.T) {
	for c, want := range map[Class]string{Blocking: "blocking", CPU: "cpu", 9: "blocking"} {
		if got := c.String(); got != want {
			t.Errorf("Class(%d) = %s, want %s", c, got, want)
		}
	}
}

type counter struct{ n atomic.Int64 }

func (c *counter) Run() { c.n.Add(1) }

func TestSubmitAllocs(t *testing.T) {
	p := quiet(Config{CPUWorkers: 1, BlockingWorkers: 1})
	var o Owner
	c := new(counter)
	for _, class := range []Class{Blocking, CPU} {
		got := testing.AllocsPerRun(1000, func() {
			want := c.n.Load() + 1
			if err := p.Submit(class, &o, c); err != nil {
				t.Fatal(err)
			}
			for c.n.Load() < want {
				runtime.Gosched()
			}
		})
		if got != 0 {
			t.Errorf("%v: Submit and Run allocate %v times, want 0", class, got)
		}
	}
	drain(t, p)
}
