package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
)

// ErrNoTask is what StartTask returns where a call cannot become a task: the
// client does not know the extension, or has too many tasks. The handler may go
// on and answer the call itself.
var ErrNoTask = errors.New("mcp: the call cannot become a task")

// TaskOptions configure a task.
type TaskOptions struct {
	// TTL is how long the task is kept, from its creation. Default:
	// ServerOptions.TaskTTL; negative: for ever. The handler's context ends with it.
	TTL time.Duration
	// PollInterval is how often clients should ask. Default:
	// ServerOptions.TaskPollInterval.
	PollInterval time.Duration
	// StatusMessage is told to the client while the task works.
	StatusMessage string
}

// StartTask makes the call a task: the client gets a handle at once, and the
// handler goes on, on the same goroutine. What it returns becomes the result of
// the task. The context it must use from then on ends when the task is
// cancelled, at the end of its time to live, and when the server stops; that of
// the call has ended. Questions to the client (Elicit and the others) wait for
// tasks/update.
//
// It is for the handlers of tools with TaskManual, after what had to be asked
// before (while such a question is open the error is ErrInputRequired), and
// returns ErrNoTask where there can be no task. In a call that is a
// task already it returns that one's context. options may be nil.
//
// It implements the creation of tasks of the tasks extension.
func (r *ServerRequest[P]) StartTask(_ context.Context, options *TaskOptions) (context.Context, error) {
	call := r.Session.call
	if call == nil || call.tool == nil || call.tool.tool.Task == TaskNever || call.host == nil {
		return nil, ErrNoTask
	}
	if t := call.task(); t != nil {
		return t.ctx, nil
	}
	if err := call.needTasks(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTask, err)
	}
	if call.questions() != nil { // the client will be asked by the result of the call
		return nil, ErrInputRequired
	}
	return call.startTask(options)
}

// SetTaskMessage changes what the client is told of a working task; it does
// nothing for a call that is not a task.
func (r *ServerRequest[P]) SetTaskMessage(ctx context.Context, message string) error {
	if r.Session.call == nil {
		return nil
	}
	t := r.Session.call.task()
	if t == nil {
		return nil
	}
	return t.change(ctx, func(rec *TaskRecord) bool {
		rec.StatusMessage = message
		return true
	})
}

// taskRun is a task whose handler is running in this process.
type taskRun struct {
	server *Server
	id     string
	call   *activeCall
	host   Host
	ctx    context.Context
	stop   context.CancelFunc

	mu   sync.Mutex // also keeps the writes to the store in order
	rec  TaskRecord
	open map[string]*taskQuestion
}

// taskQuestion is a question of a task that waits for its answer.
type taskQuestion struct {
	request  InputRequest
	asking   int           // how many wait; under mu of the task
	answered chan struct{} // closed when there is an answer
	answer   InputResponse
}

// task is the call's task; nil when it is none.
func (a *activeCall) task() *taskRun {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.run
}

// startTask creates the task, answers the call, and leaves the handler running.
func (a *activeCall) startTask(o *TaskOptions) (context.Context, error) {
	if o == nil {
		o = &TaskOptions{}
	}
	s := a.server
	now := time.Now()
	t := &taskRun{server: s, id: rand.Text(), call: a, host: a.host}
	t.rec = TaskRecord{
		ID: t.id, Principal: a.principal.ID, Tool: a.tool.tool.Name,
		Status: TaskWorking, StatusMessage: o.StatusMessage, Created: now, Updated: now,
		TTL: max(orDefault(o.TTL, s.opts.TaskTTL), 0), PollInterval: orDefault(o.PollInterval, s.opts.TaskPollInterval),
	}
	handle := t.rec // StopTasks may change t.rec from now on
	t.ctx, t.stop = context.WithCancel(context.Background())
	if t.rec.TTL > 0 {
		t.ctx, t.stop = context.WithDeadline(context.Background(), now.Add(t.rec.TTL))
	}
	// "A server MUST NOT return CreateTaskResult until the task is durably created".
	if err := s.tasks.start(t); err != nil {
		t.stop()
		return nil, err
	}
	a.mu.Lock()
	a.run = t
	a.mu.Unlock()
	msg := jsonrpc.AppendResultHead(nil, a.id)
	msg, err := s.appendResult(msg, &TaskResult{Task: &handle, handle: true}, a.rev)
	if err != nil || !a.host.Answer(append(msg, '}')) {
		// Nobody is left who could ask for the task.
		t.end(TaskCancelled, nil, nil)
		return nil, context.Canceled
	}
	return t.ctx, nil
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// finishTask ends the task of a call, if it is one, with what the handler
// returned. done is false when the handler did not come to its end.
func (a *activeCall) finishTask(res Result, failed error, done bool) {
	t := a.task()
	if t == nil {
		return
	}
	switch {
	case !done:
		failed = &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "the tool failed because of an internal error"}
	case failed == nil:
		raw, err := t.server.appendResult(nil, res, a.rev)
		switch {
		case err != nil:
			failed = errors.New("the tool returned a result that cannot be encoded as JSON")
		case len(raw) > maxTaskResult:
			failed = fmt.Errorf("the tool returned a result of %d bytes; %d can be kept", len(raw), maxTaskResult)
		default:
			t.end(TaskCompleted, raw, nil)
			return
		}
	}
	t.end(TaskFailed, nil, errorFor(failed, a.rev))
}

// maxTaskResult is how many bytes the result of a task may have, encoded: what a
// store is sure to take.
const maxTaskResult = 7 << 20

// end brings the task into a final state, unless it is in one.
func (t *taskRun) end(status TaskStatus, result json.RawMessage, failure *jsonrpc.Error) {
	err := t.change(context.Background(), func(rec *TaskRecord) bool {
		rec.Status, rec.Result, rec.InputRequests = status, result, nil
		if failure != nil {
			rec.Error = errorObject(failure)
			rec.StatusMessage = failure.Message
		}
		return true
	})
	if err != nil {
		t.server.log.Error("mcp: the end of a task was not stored", "tool", t.call.tool.tool.Name, "err", err)
	}
	t.stop()
	t.server.tasks.ended(t, err == nil)
}

// drop fails a task whose result there is no room for.
func (r *TaskRecord) drop(why error) {
	r.Status, r.Result, r.StatusMessage = TaskFailed, nil, why.Error()
	r.Error = errorObject(&jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: r.StatusMessage})
}

// record is the task as it is now.
func (t *taskRun) record() TaskRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rec
}

// size is the length of the task's result.
func (t *taskRun) size() int { return len(t.record().Result) }

// drop fails a task that is over, for want of room for its result.
func (t *taskRun) drop(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rec.drop(why)
}

// create stores a new task, unless it is over already.
func (t *taskRun) create() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rec.Status.Final() {
		return nil
	}
	return t.server.tasks.store.Put(t.ctx, &t.rec)
}

// errorObject is e as JSON.
func errorObject(e *jsonrpc.Error) json.RawMessage {
	msg := jsonrpc.AppendError(nil, jsonrpc.NullID, e)
	return append(json.RawMessage(nil), jsonrpc.Member(msg, "error")...)
}

// change changes a task that is not in a final state, stores it, and tells who
// listens. f is false when there is nothing to change.
func (t *taskRun) change(ctx context.Context, f func(*TaskRecord) bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rec.Status.Final() {
		return nil
	}
	next := t.rec
	if !f(&next) {
		return nil
	}
	next.Updated = time.Now()
	err := t.server.tasks.store.Put(ctx, &next)
	if errors.Is(err, errTaskMemory) {
		next.drop(err)
		err = t.server.tasks.store.Put(ctx, &next)
	}
	if err != nil && !next.Status.Final() {
		return err
	}
	t.rec = next // a final state counts in this process, stored or not
	t.server.publishTask(&next)
	return err
}

// publishTask tells subscriptions of a task.
func (s *Server) publishTask(r *TaskRecord) {
	s.publish(r.ID, &news{method: methodTaskStatus, tail: r.appendMembers(nil, true)})
}

// ask asks the client of a task and waits for tasks/update.
func (t *taskRun) ask(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	answers, missing := t.call.conversation().known(questions)
	if len(missing) == 0 {
		return answers, nil
	}
	var failed error
	if err := t.host.Wait(func() { answers, failed = t.await(ctx, questions) }); err != nil {
		return nil, err
	}
	return answers, failed
}

// await shows questions to who looks at the task, and collects the answers.
func (t *taskRun) await(ctx context.Context, questions InputRequestMap) (InputResponseMap, error) {
	answers, waiting, err := t.pose(ctx, questions)
	defer t.withdraw(waiting)
	if err != nil {
		return nil, err
	}
	for key, q := range waiting {
		select {
		case <-q.answered:
			answers[key] = q.answer
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.ctx.Done():
			return nil, t.ctx.Err()
		}
	}
	return answers, nil
}

// pose makes questions the task's, unless they have been answered. Who asks for
// what is being asked already waits for the same answer: "A server ... MUST NOT
// use the same key to refer to two distinct requests over a task's lifetime".
func (t *taskRun) pose(ctx context.Context, questions InputRequestMap) (answers InputResponseMap, waiting map[string]*taskQuestion, err error) {
	waiting = make(map[string]*taskQuestion)
	var failed error
	err = t.change(ctx, func(rec *TaskRecord) bool {
		if t.open == nil {
			t.open = make(map[string]*taskQuestion)
		}
		var missing InputRequestMap
		answers, missing = t.call.conversation().known(questions)
		for key, q := range missing {
			if t.open[key] == nil {
				t.open[key] = &taskQuestion{request: q, answered: make(chan struct{})}
			}
			t.open[key].asking++
			waiting[key] = t.open[key]
		}
		failed = t.show(rec)
		return failed == nil
	})
	switch {
	case err != nil:
		return nil, waiting, fmt.Errorf("storing the task: %w", err)
	case failed != nil:
		return nil, waiting, failed
	case answers == nil: // the task is over, and its context ends
		return nil, nil, context.Canceled
	}
	return answers, waiting, nil
}

// withdraw takes back the questions among waiting that nobody waits for any more.
func (t *taskRun) withdraw(waiting map[string]*taskQuestion) {
	if len(waiting) == 0 {
		return
	}
	err := t.change(context.Background(), func(rec *TaskRecord) bool {
		withdrawn := false
		for key, q := range waiting {
			if q.asking--; q.asking == 0 && t.open[key] == q {
				delete(t.open, key)
				withdrawn = true
			}
		}
		return withdrawn && t.show(rec) == nil
	})
	if err != nil {
		t.server.log.Error("mcp: a task was not stored", "tool", t.call.tool.tool.Name, "err", err)
	}
}

// show puts the open questions into a record. Under mu.
func (t *taskRun) show(rec *TaskRecord) error {
	if len(t.open) == 0 {
		rec.Status, rec.InputRequests = TaskWorking, nil
		return nil
	}
	requests := make(InputRequestMap, len(t.open))
	for key, q := range t.open {
		requests[key] = q.request
	}
	raw, err := appendInputRequired(nil, requests, "", newest)
	if err != nil {
		return err
	}
	raw = raw[len(`"inputRequests":`) : len(raw)-1]
	rec.Status, rec.InputRequests = TaskInputRequired, raw
	return nil
}

// answer takes the answers of a tasks/update: "A server SHOULD ignore any
// inputResponses responses mapped to a key that is not currently outstanding".
func (t *taskRun) answer(ctx context.Context, given map[string]json.RawMessage) error {
	type match struct {
		key    string
		q      *taskQuestion
		answer InputResponse
	}
	t.mu.Lock()
	var matched []match
	for key, raw := range given {
		q := t.open[key]
		if q == nil {
			continue
		}
		answer, err := parseInputResponse(q.request, raw)
		if err != nil {
			t.mu.Unlock()
			return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("inputResponses[%q]: %v", key, err)}
		}
		matched = append(matched, match{key, q, answer})
	}
	for _, m := range matched {
		// In this order, or the same could be asked anew in between.
		t.call.conversation().remember(m.key, append(json.RawMessage(nil), given[m.key]...))
		delete(t.open, m.key)
	}
	t.mu.Unlock()
	if len(matched) == 0 {
		return nil
	}
	err := t.change(ctx, func(rec *TaskRecord) bool { return t.show(rec) == nil })
	for _, m := range matched {
		m.q.answer = m.answer
		close(m.q.answered)
	}
	if err != nil {
		t.server.log.LogAttrs(ctx, slog.LevelError, "mcp: a task was not stored", slog.Any("err", err))
	}
	return nil
}
