package mcp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
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

	mu   sync.Mutex                 // also keeps the writes to the store in order
	rec  atomic.Pointer[TaskRecord] // changed under mu, never in place; read without, by event loops too
	open map[string]*taskQuestion

	// Of the table, under its mu.
	held     int  // bytes of its arguments and of the answers it was given
	returned bool // its handler has
}

// taskQuestion is a question of a task that waits for its answer.
type taskQuestion struct {
	request  InputRequest
	encoded  []byte
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
	rec := &TaskRecord{
		ID: t.id, Principal: a.principal.ID, Tool: a.tool.tool.Name,
		Status: TaskWorking, StatusMessage: o.StatusMessage, Created: now, Updated: now,
		TTL: max(cmp.Or(o.TTL, s.opts.TaskTTL), 0), PollInterval: cmp.Or(o.PollInterval, s.opts.TaskPollInterval),
	}
	t.rec.Store(rec)
	if rec.TTL > 0 {
		t.ctx, t.stop = context.WithDeadline(context.Background(), now.Add(rec.TTL))
	} else {
		t.ctx, t.stop = context.WithCancel(context.Background())
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
	msg, err := s.appendResult(msg, &TaskResult{Task: rec, handle: true}, a.rev)
	if err != nil || !a.host.Answer(append(msg, '}')) {
		// Nobody is left who could ask for the task.
		_ = t.end(TaskCancelled, nil, nil)
		s.tasks.left(t)
		return nil, context.Canceled
	}
	return t.ctx, nil
}

// finishTask ends the task of a call, if it is one, with what the handler
// returned. done is false when the handler did not come to its end.
func (a *activeCall) finishTask(res Result, failed error, done bool) {
	t := a.task()
	if t == nil {
		return
	}
	t.server.tasks.returned(t)
	defer t.server.tasks.left(t)
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
			if t.end(TaskCompleted, raw, nil) == nil {
				return
			}
			failed = errors.New("the result of the tool could not be kept")
		}
	}
	_ = t.end(TaskFailed, nil, errorFor(failed, a.rev)) // there is no result to lose
}

// maxTaskResult is how many bytes the result of a task may have, encoded: what a
// store is sure to take.
const maxTaskResult = 7 << 20

// end brings the task into a final state, unless it is in one. When it was not
// stored it counts in this process all the same, but for an error: then there is no
// room for its result, and the task is as it was.
func (t *taskRun) end(status TaskStatus, result json.RawMessage, failure *jsonrpc.Error) error {
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
	if !t.record().Status.Final() {
		return err
	}
	t.stop()
	return nil
}

// record is the task as it is now. It must not be changed.
func (t *taskRun) record() *TaskRecord { return t.rec.Load() }

// create stores a new task, unless it is over already.
func (t *taskRun) create() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	rec := *t.record()
	if rec.Status.Final() {
		return nil
	}
	return t.server.tasks.store.Put(t.ctx, &rec)
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
	next := *t.record()
	if next.Status.Final() {
		return nil
	}
	if !f(&next) {
		return nil
	}
	next.Updated = time.Now()
	err := t.server.tasks.store.Put(ctx, &next)
	// A final state counts in this process, stored or not, while there is room.
	counts := err == nil || next.Status.Final() && t.server.tasks.lose(t, &next)
	if !counts {
		return err
	}
	t.rec.Store(&next)
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
	// Before the lock: what encodes may be user code.
	encoded := make(map[string][]byte, len(questions))
	for key, q := range questions {
		if encoded[key], err = appendInputRequest(nil, q, newest); err != nil {
			return nil, nil, fmt.Errorf("inputRequests[%q]: %w", key, err)
		}
	}
	waiting = make(map[string]*taskQuestion)
	err = t.change(ctx, func(rec *TaskRecord) bool {
		if t.open == nil {
			t.open = make(map[string]*taskQuestion)
		}
		var missing InputRequestMap
		answers, missing = t.call.conversation().known(questions)
		for key, q := range missing {
			if t.open[key] == nil {
				t.open[key] = &taskQuestion{request: q, encoded: encoded[key], answered: make(chan struct{})}
			}
			t.open[key].asking++
			waiting[key] = t.open[key]
		}
		t.show(rec)
		return true
	})
	switch {
	case err != nil:
		return nil, waiting, t.server.tasks.notStored(err)
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
		t.show(rec)
		return withdrawn
	})
	if err != nil {
		t.server.log.Error("mcp: a task was not stored", "tool", t.call.tool.tool.Name, "err", err)
	}
}

// show puts the open questions into a record. Under mu.
func (t *taskRun) show(rec *TaskRecord) {
	if len(t.open) == 0 {
		rec.Status, rec.InputRequests = TaskWorking, nil
		return
	}
	raw := []byte{'{'}
	for _, key := range sortedKeys(t.open) {
		raw = append(jsonrpc.AppendString(raw, key), ':')
		raw = append(append(raw, t.open[key].encoded...), ',')
	}
	raw[len(raw)-1] = '}'
	rec.Status, rec.InputRequests = TaskInputRequired, raw
}

// answer takes the answers of a tasks/update: "A server SHOULD ignore any
// inputResponses responses mapped to a key that is not currently outstanding".
func (t *taskRun) answer(ctx context.Context, given map[string]json.RawMessage) error {
	t.mu.Lock()
	open := maps.Clone(t.open)
	t.mu.Unlock()
	parsed := make(map[string]InputResponse)
	for key, raw := range given { // without the lock: they may be long
		if q := open[key]; q != nil {
			answer, err := parseInputResponse(q.request, raw)
			if err != nil {
				return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("inputResponses[%q]: %v", key, err)}
			}
			parsed[key] = answer
		}
	}
	matched, err := t.accept(given, parsed, open)
	if err != nil || len(matched) == 0 {
		return err
	}
	err = t.change(ctx, func(rec *TaskRecord) bool { t.show(rec); return true })
	for key, q := range matched {
		q.answer = parsed[key]
		close(q.answered)
	}
	if err != nil {
		t.server.log.LogAttrs(ctx, slog.LevelError, "mcp: a task was not stored", slog.Any("err", err))
	}
	return nil
}

// accept remembers the answers to those questions of open that still are, and
// returns these. The error is for answers that there is no room for.
func (t *taskRun) accept(given map[string]json.RawMessage, parsed map[string]InputResponse, open map[string]*taskQuestion) (map[string]*taskQuestion, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	matched, size := make(map[string]*taskQuestion), 0
	for key := range parsed {
		if t.open[key] == open[key] {
			matched[key] = open[key]
			size += len(given[key])
		}
	}
	if !t.server.tasks.hold(t, size) {
		return nil, &jsonrpc.Error{Code: codeTooMany, Message: "the arguments and answers of running tasks take too much memory"}
	}
	for key := range matched {
		// In this order, or the same could be asked anew in between.
		t.call.conversation().remember(key, bytes.Clone(given[key]))
		delete(t.open, key)
	}
	return matched, nil
}
