package pool

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// PanicError is a panic of a task.
type PanicError struct {
	Value any    // what the task panicked with
	Stack []byte // the stack of its goroutine at that time
}

// Error returns the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// rescue is deferred around Run: it stops a panic, counts it and reports it.
func (q *queue) rescue(t Task) {
	v := recover()
	if v == nil {
		return
	}
	q.panicked.Add(1)
	e := &PanicError{Value: v, Stack: debug.Stack()}
	q.logPanic("task panicked", e)
	if p, ok := t.(interface{ Panicked(*PanicError) }); ok {
		q.notify(p.Panicked, e)
	}
}

// notify calls panicked, whose own panic is only logged.
func (q *queue) notify(panicked func(*PanicError), e *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			q.logPanic("Panicked of a task panicked", &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	panicked(e)
}

// logPanic logs e. A log handler that panics must not end the process either.
func (q *queue) logPanic(msg string, e *PanicError) {
	defer func() { _ = recover() }()
	q.pool.logger.Error(msg,
		slog.String("class", q.class.String()),
		slog.String("panic", fmt.Sprint(e.Value)),
		slog.String("stack", string(e.Stack)))
}
