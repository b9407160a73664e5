package pool

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

type pinger chan struct{}

func (p pinger) Run() { p <- struct{}{} }

// BenchmarkRoundTrip is one task at a time, there and back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, c := range []Class{Blocking, CPU} {
		b.Run(c.String(), func(b *testing.B) {
			p := New(Config{})
			defer p.Close()
			var o Owner
			done := make(pinger, 1)
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Submit(c, &o, done); err != nil {
					b.Fatal(err)
				}
				<-done
			}
		})
	}
}

// BenchmarkBurst is 64 tasks at a time, as an event loop submits them.
func BenchmarkBurst(b *testing.B) {
	for _, c := range []Class{Blocking, CPU} {
		b.Run(c.String(), func(b *testing.B) {
			p := New(Config{BlockingWorkers: 4})
			defer p.Close()
			done := make(pinger, 64)
			b.ReportAllocs()
			for n := 0; n < b.N; n += 64 {
				for range 64 {
					if err := p.Submit(c, nil, done); err != nil {
						b.Fatal(err)
					}
				}
				for range 64 {
					<-done
				}
			}
		})
	}
}

// BenchmarkBesideHogs is how long a task waits until it begins while four others
// compute on two processors without ever blocking, as undeclared tools may.
func BenchmarkBesideHogs(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	p := quiet(Config{})
	defer p.Close()
	var stop atomic.Bool
	defer stop.Store(true)
	for range 4 {
		if err := p.Submit(Blocking, nil, taskFunc(func() {
			for !stop.Load() {
			}
		})); err != nil {
			b.Fatal(err)
		}
	}
	var waited time.Duration
	for b.Loop() {
		start, begun := time.Now(), make(chan time.Duration)
		if err := p.Submit(Blocking, nil, taskFunc(func() { begun <- time.Since(start) })); err != nil {
			b.Fatal(err)
		}
		waited += <-begun
	}
	b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "µs-until-begin")
}

// BenchmarkSuspend is what a wait costs beside itself.
func BenchmarkSuspend(b *testing.B) {
	p := New(Config{})
	defer p.Close()
	done := make(chan bool)
	wait := func() {}
	err := p.Submit(Blocking, new(Owner), taskFunc(func() {
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Suspend(Blocking, nil, wait)
		}
		close(done)
	}))
	if err != nil {
		b.Fatal(err)
	}
	<-done
}
