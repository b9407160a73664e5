package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"millrace/codec/jsonrpc"
)

// taskTable knows the tasks of a server: those that are running here, and when
// those in the store may be forgotten. Any goroutine.
type taskTable struct {
	server *Server
	store  TaskStore

	mu      sync.Mutex
	running map[string]*taskRun
	busy    int // of those that run: their handlers have not returned
	// lost are tasks that are over, which the store has not been told of: it failed.
	lost      map[string]lostTask
	lostBytes int // of their results
	stored    map[string]storedTask
	count     map[string]int // of stored, by principal
	held      int            // bytes of the arguments of those that run
	workers   int            // that tasks may hold; 0: as many as there are
	stopped   bool
}

// storedTask is what is known of a task without asking the store.
type storedTask struct {
	principal string
	expires   time.Time // zero: never
}

// lostTask is how a task has ended.
type lostTask struct {
	run *taskRun
	rec *TaskRecord
}

func newTaskTable(s *Server, store TaskStore) *taskTable {
	if store == nil {
		store = &memoryTasks{records: make(map[string]TaskRecord)}
	} else {
		store = &guardedStore{store, s.log}
	}
	return &taskTable{
		server: s, store: store,
		running: make(map[string]*taskRun), lost: make(map[string]lostTask), stored: make(map[string]storedTask), count: make(map[string]int),
	}
}

// guardedStore makes an error of a panic in a store. It is called on goroutines that
// nobody else guards: of the sweep, and of the end of a drain.
type guardedStore struct {
	TaskStore
	log *slog.Logger
}

// Put implements TaskStore.
func (s *guardedStore) Put(ctx context.Context, r *TaskRecord) (err error) {
	defer s.recovered("Put", &err)
	return s.TaskStore.Put(ctx, r)
}

// Get implements TaskStore.
func (s *guardedStore) Get(ctx context.Context, id string) (r *TaskRecord, err error) {
	defer s.recovered("Get", &err)
	return s.TaskStore.Get(ctx, id)
}

// Delete implements TaskStore.
func (s *guardedStore) Delete(ctx context.Context, id string) (err error) {
	defer s.recovered("Delete", &err)
	return s.TaskStore.Delete(ctx, id)
}

var errStorePanicked = errors.New("the task store failed because of an internal error")

func (s *guardedStore) recovered(method string, err *error) {
	if v := recover(); v != nil {
		s.log.Error("mcp: the task store panicked", "method", method, "panic", panicText(v), "stack", string(debug.Stack()))
		*err = errStorePanicked
	}
}

// storeError is what a client is told when a store fails: what a store says may name
// paths and addresses of the server.
type storeError struct{ err error }

func (e storeError) Error() string { return "the task could not be stored" }
func (e storeError) Unwrap() error { return e.err }

func (tt *taskTable) notStored(err error) error {
	tt.server.log.Error("mcp: a task could not be stored", "err", err)
	return storeError{err}
}

// RecoverTasks takes over what the TaskStore holds from an earlier process:
// tasks that were working then have failed. The host calls it before it serves.
func (s *Server) RecoverTasks(ctx context.Context) error {
	for r, err := range s.tasks.store.All(ctx) {
		if err != nil {
			return fmt.Errorf("reading tasks: %w", err)
		}
		if s.tasks.isRunning(r.ID) {
			continue
		}
		if !r.Status.Final() {
			r.Status, r.InputRequests, r.Updated = TaskFailed, nil, time.Now()
			r.StatusMessage = "the server was restarted while the task was working"
			r.Error = errorObject(&jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: r.StatusMessage})
			if err := s.tasks.store.Put(ctx, r); err != nil {
				return fmt.Errorf("storing a task: %w", err)
			}
		}
		s.tasks.note(r)
	}
	return nil
}

// SweepTasks forgets tasks whose time to live is over at now. The host calls it
// about once a second; it may block on the store.
// What it failed to store of tasks that are over, it is told again.
func (s *Server) SweepTasks(ctx context.Context, now time.Time) {
	s.tasks.storeLost(ctx)
	for _, id := range s.tasks.expired(now) {
		if err := s.tasks.store.Delete(ctx, id); err != nil {
			s.log.Error("mcp: an expired task was not deleted", "err", err)
			continue
		}
		s.tasks.forget(id)
	}
}

// storeLost tells the store how tasks have ended that it was not told of.
func (tt *taskTable) storeLost(ctx context.Context) {
	tt.mu.Lock()
	var lost []TaskRecord
	for _, l := range tt.lost {
		lost = append(lost, *l.rec)
	}
	tt.mu.Unlock()
	for _, rec := range lost {
		if tt.store.Put(ctx, &rec) != nil {
			return // the failure is in the log
		}
		tt.mu.Lock()
		tt.found(rec.ID)
		tt.mu.Unlock()
	}
}

// StopTasks fails the tasks that are running and takes no new ones; the host
// calls it at the end of a drain.
func (s *Server) StopTasks() {
	s.tasks.mu.Lock()
	s.tasks.stopped = true
	var running []*taskRun
	for _, t := range s.tasks.running {
		running = append(running, t)
	}
	s.tasks.mu.Unlock()
	for _, t := range running {
		_ = t.end(TaskFailed, nil, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "the server was stopped while the task was working"})
	}
}

// LimitTasks tells how many tasks of all callers together may run at once: the
// host leaves some of its workers to other calls. 0: no limit of the host's.
func (s *Server) LimitTasks(n int) {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	s.tasks.workers = n
}

// ResumeTasks undoes StopTasks, for a host that serves again.
func (s *Server) ResumeTasks() {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	s.tasks.stopped = false
}

// offered reports whether there are tasks, or a tool that can make one.
func (tt *taskTable) offered() bool {
	if tt.server.snapshot().tasks {
		return true
	}
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return len(tt.stored) > 0
}

func (tt *taskTable) isRunning(id string) bool {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.running[id] != nil
}

// note remembers a stored task. A second note of the same changes nothing.
func (tt *taskTable) note(r *TaskRecord) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	tt.noteLocked(r)
}

func (tt *taskTable) noteLocked(r *TaskRecord) {
	if _, ok := tt.stored[r.ID]; !ok {
		tt.count[r.Principal]++
	}
	st := storedTask{principal: r.Principal}
	if r.TTL > 0 {
		st.expires = r.Created.Add(r.TTL)
	}
	tt.stored[r.ID] = st
}

func (tt *taskTable) forget(id string) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	st, ok := tt.stored[id]
	if !ok {
		return
	}
	delete(tt.stored, id)
	tt.found(id)
	if tt.count[st.principal]--; tt.count[st.principal] <= 0 {
		delete(tt.count, st.principal)
	}
}

// expired lists the tasks that may be deleted: not those that still run, whose
// context ends at the same time.
func (tt *taskTable) expired(now time.Time) (ids []string) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	for id, st := range tt.stored {
		if !st.expires.IsZero() && now.After(st.expires) && tt.running[id] == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// start stores a new task.
func (tt *taskTable) start(t *taskRun) error {
	most, rec := tt.server.opts.MaxTasks, t.record()
	tt.mu.Lock()
	var refused string
	switch {
	case tt.stopped:
		refused = "the server is stopping and takes no new tasks"
	case tt.count[rec.Principal] >= most:
		refused = fmt.Sprintf("too many tasks: %d are kept", most)
	case tt.runningFor(rec.Principal) >= tt.server.opts.MaxRunningTasks || tt.workers > 0 && tt.busy >= tt.workers:
		refused = "too many tasks run at once"
	case !tt.holdLocked(t, len(t.call.arguments)):
		refused = "the arguments and answers of running tasks take too much memory"
	}
	if refused != "" {
		tt.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrNoTask, &jsonrpc.Error{Code: codeTooMany, Message: refused})
	}
	tt.noteLocked(rec)
	tt.running[t.id] = t
	tt.busy++
	tt.mu.Unlock()
	if err := t.create(); err != nil {
		tt.left(t)
		tt.forget(t.id)
		return tt.notStored(err)
	}
	return nil
}

// returned gives back the place of a task whose handler has returned, before the
// client can see that: it may start the next one at once. One that is over for its
// client counts until then, as its handler has a worker and its arguments.
func (tt *taskTable) returned(t *taskRun) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	tt.returnedLocked(t)
}

func (tt *taskTable) returnedLocked(t *taskRun) {
	if !t.returned {
		t.returned = true
		tt.busy--
		tt.held -= t.held
	}
}

// left takes a task that is over out of those that run.
func (tt *taskTable) left(t *taskRun) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	tt.returnedLocked(t)
	delete(tt.running, t.id)
}

// lose remembers how a task has ended, which the store was not told. It is false
// when results that were lost take too much memory.
func (tt *taskTable) lose(t *taskRun, rec *TaskRecord) bool {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	n := len(rec.Result)
	if n > 0 && tt.lostBytes+n > maxLostResults {
		return false
	}
	tt.lost[t.id] = lostTask{t, rec}
	tt.lostBytes += n
	return true
}

// found undoes lose: the store knows the task, or it is forgotten. Under mu.
func (tt *taskTable) found(id string) {
	if l, ok := tt.lost[id]; ok {
		tt.lostBytes -= len(l.rec.Result)
		delete(tt.lost, id)
	}
}

// maxLostResults bounds the results that are kept here until a store that fails
// takes them, in bytes.
const maxLostResults = 32 << 20

// runningFor counts a principal's tasks whose handlers run. Under mu.
func (tt *taskTable) runningFor(principal string) (n int) {
	for _, t := range tt.running {
		if !t.returned && t.call.principal.ID == principal {
			n++
		}
	}
	return n
}

// maxTaskHeld bounds the arguments of all running tasks together, and the answers
// they were given, in bytes.
const maxTaskHeld = 256 << 20

// hold counts n bytes more that a running task keeps; it is false when there is no
// room for them.
func (tt *taskTable) hold(t *taskRun, n int) bool {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return t.returned || tt.holdLocked(t, n) // it keeps nothing then
}

func (tt *taskTable) holdLocked(t *taskRun, n int) bool {
	if tt.held+n > maxTaskHeld {
		return false
	}
	t.held += n
	tt.held += n
	return true
}

// errUnknownTask is also for the tasks of others: which of the two, nobody
// learns.
func errUnknownTask(id string) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown task %q", shortName(id))}
}

// find returns a principal's task that this process knows best, or nil when it is
// in the store.
func (tt *taskTable) find(id, principal string) (*taskRun, error) {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	if st, ok := tt.stored[id]; ok && st.principal != principal {
		return nil, errUnknownTask(id)
	}
	if t := tt.running[id]; t != nil {
		return t, nil
	}
	return tt.lost[id].run, nil
}

func (tt *taskTable) get(ctx context.Context, id, principal string) (*TaskRecord, error) {
	t, err := tt.find(id, principal)
	if err != nil {
		return nil, err
	}
	if t != nil {
		rec := *t.record()
		return &rec, nil
	}
	rec, err := tt.store.Get(ctx, id)
	switch {
	case errors.Is(err, ErrTaskNotFound), err == nil && (rec == nil || rec.Principal != principal):
		return nil, errUnknownTask(id)
	case err != nil:
		return nil, fmt.Errorf("reading the task: %w", err)
	}
	return rec, nil
}

func (tt *taskTable) update(ctx context.Context, id, principal string, given map[string]json.RawMessage) error {
	t, err := tt.find(id, principal)
	if err != nil {
		return err
	}
	if t == nil {
		_, err := tt.get(ctx, id, principal) // nothing is open in a task that does not run
		return err
	}
	return t.answer(ctx, given)
}

func (tt *taskTable) cancel(ctx context.Context, id, principal string) error {
	t, err := tt.find(id, principal)
	if err != nil {
		return err
	}
	if t == nil {
		_, err := tt.get(ctx, id, principal)
		return err
	}
	return t.end(TaskCancelled, nil, nil)
}

// memoryTasks is the TaskStore of servers that have no other: what it holds ends
// with the process.
type memoryTasks struct {
	mu      sync.Mutex
	records map[string]TaskRecord
	bytes   int // of the records
}

// maxTaskMemory bounds the records that are kept in memory, in bytes.
const maxTaskMemory = 256 << 20

var errTaskMemory = fmt.Errorf("tasks have more than %d bytes together", maxTaskMemory)

// Put implements TaskStore.
func (m *memoryTasks) Put(_ context.Context, r *TaskRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.records[r.ID]
	more := r.size() - before.size()
	if more > 0 && m.bytes+more > maxTaskMemory {
		return errTaskMemory
	}
	m.bytes += more
	m.records[r.ID] = *r
	return nil
}

// size is how many bytes of a record clients and handlers decide on.
func (r *TaskRecord) size() int {
	return len(r.Result) + len(r.Error) + len(r.InputRequests) + len(r.StatusMessage)
}

// Get implements TaskStore.
func (m *memoryTasks) Get(_ context.Context, id string) (*TaskRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if !ok {
		return nil, ErrTaskNotFound
	}
	return &r, nil
}

// Delete implements TaskStore.
func (m *memoryTasks) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.records[id]
	m.bytes -= before.size()
	delete(m.records, id)
	return nil
}

// All implements TaskStore.
func (m *memoryTasks) All(context.Context) iter.Seq2[*TaskRecord, error] {
	m.mu.Lock()
	all := make([]TaskRecord, 0, len(m.records))
	for _, r := range m.records {
		all = append(all, r)
	}
	m.mu.Unlock()
	return func(yield func(*TaskRecord, error) bool) {
		for i := range all {
			if !yield(&all[i], nil) {
				return
			}
		}
	}
}
