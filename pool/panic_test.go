package pool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// panicker panics in Run and hears of it.
type panicker struct {
	value any
	then  func()
	heard *PanicError
}

func (p *panicker) Run() { panic(p.value) }

func (p *panicker) Panicked(e *PanicError) {
	p.heard = e
	if p.then != nil {
		p.then()
	}
}

func TestPanic(t *testing.T) {
	var log bytes.Buffer
	p := New(Config{CPUWorkers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	var o Owner
	boom := &panicker{value: io.ErrUnexpectedEOF}
	plain := taskFunc(func() { panic("at the disco") })
	null := taskFunc(func() { var m map[string]int; m["x"] = 1 })
	again := &panicker{value: "one", then: func() { panic("two") }}
	ran := false
	for _, task := range []Task{boom, plain, null, again, nil, taskFunc(func() { ran = true })} {
		mustSubmit(t, p, CPU, &o, task)
	}
	drain(t, p)
	if st := p.Stats().CPU; st.Panics != 5 || st.Done != 6 || !ran {
		t.Errorf("%+v, last task ran: %v; want 5 panics of 6 tasks", st, ran)
	}
	if o.Held(CPU) != 0 {
		t.Errorf("owner still holds %d", o.Held(CPU))
	}
	if !errors.Is(boom.heard, io.ErrUnexpectedEOF) || !strings.Contains(string(boom.heard.Stack), "panicker).Run") {
		t.Errorf("Panicked got %v with stack\n%s", boom.heard, boom.heard.Stack)
	}
	if again.heard == nil || again.heard.Error() != "panic: one" || errors.Unwrap(again.heard) != nil {
		t.Errorf("Panicked got %v", again.heard)
	}
	for _, want := range []string{
		"level=ERROR", "class=cpu", "panic=\"unexpected EOF\"", "panic=\"at the disco\"", "nil map", "panic=two",
		"pool_test.go",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, log.String())
		}
	}
}

// brokenHandler is a log handler that panics.
type brokenHandler struct{ slog.Handler }

func (brokenHandler) Handle(context.Context, slog.Record) error { panic("log") }

func TestPanicInLogHandler(t *testing.T) {
	p := New(Config{Logger: slog.New(brokenHandler{slog.DiscardHandler})})
	boom := &panicker{value: "boom"}
	mustSubmit(t, p, Blocking, nil, boom)
	drain(t, p)
	if boom.heard == nil {
		t.Error("Panicked was not called")
	}
}

func TestGoexitKeepsTheWorker(t *testing.T) {
	for _, c := range []Class{Blocking, CPU} {
		p := quiet(Config{CPUWorkers: 2, BlockingWorkers: 2})
		var o Owner
		var ran atomic.Int32
		for range 20 {
			mustSubmit(t, p, c, &o, taskFunc(func() { ran.Add(1); runtime.Goexit() }))
			mustSubmit(t, p, c, &o, &panicker{value: "boom", then: runtime.Goexit})
			mustSubmit(t, p, c, &o, taskFunc(func() { ran.Add(1) }))
		}
		for p.class(c).Done < 60 {
			runtime.Gosched()
		}
		if n := p.class(c).Workers; n < 1 || n > 2 {
			t.Errorf("%v: %d workers, want 1 or 2", c, n)
		}
		drain(t, p)
		if ran.Load() != 40 || o.Held(c) != 0 {
			t.Errorf("%v: %d ran, %d held", c, ran.Load(), o.Held(c))
		}
	}
}
