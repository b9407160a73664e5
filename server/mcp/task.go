package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"time"

	"millrace/codec/jsonrpc"
)

// TasksExtension is the id of the tasks extension.
const TasksExtension = "io.modelcontextprotocol/tasks"

// TaskMode is whether a call of a tool may become a task: something that goes on
// after the call was answered with a handle, and whose result the client fetches
// later. Only clients that declare TasksExtension get tasks.
type TaskMode uint8

const (
	// TaskNever is for tools that answer their calls themselves. It is the default.
	TaskNever TaskMode = iota
	// TaskOptional makes every call a task whose client can handle one; for other
	// clients it is an ordinary call.
	TaskOptional
	// TaskRequired is TaskOptional for tools that cannot be called otherwise:
	// other clients get error -32021.
	TaskRequired
	// TaskManual leaves it to the handler, see ServerRequest.StartTask.
	TaskManual
)

// TaskStatus is the state of a task.
type TaskStatus string

// The states of a task. The last three are final.
const (
	TaskWorking       TaskStatus = "working"
	TaskInputRequired TaskStatus = "input_required"
	TaskCompleted     TaskStatus = "completed"
	TaskFailed        TaskStatus = "failed"
	TaskCancelled     TaskStatus = "cancelled"
)

// Final reports whether a task in state s does not change any more.
func (s TaskStatus) Final() bool {
	return s == TaskCompleted || s == TaskFailed || s == TaskCancelled
}

// Defaults of ServerOptions.
const (
	DefaultTaskTTL          = time.Hour
	DefaultTaskPollInterval = time.Second
	DefaultMaxTasks         = 1000
	DefaultMaxRunningTasks  = 256
)

// TaskRecord is a task as a TaskStore keeps it. It encodes as JSON.
type TaskRecord struct {
	ID string `json:"id"`
	// Principal is whose task it is: nobody else finds it.
	Principal     string     `json:"principal,omitempty"`
	Tool          string     `json:"tool"`
	Status        TaskStatus `json:"status"`
	StatusMessage string     `json:"statusMessage,omitempty"`
	Created       time.Time  `json:"created"`
	Updated       time.Time  `json:"updated"`
	// TTL is how long the task is kept after Created; 0: for ever.
	TTL          time.Duration `json:"ttl,omitempty"`
	PollInterval time.Duration `json:"pollInterval,omitempty"`
	// InputRequests is a JSON object while the status is TaskInputRequired.
	InputRequests json.RawMessage `json:"inputRequests,omitempty"`
	// Result is that of the tool when the status is TaskCompleted, Error a JSON-RPC
	// error object when it is TaskFailed.
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// ErrTaskNotFound is what TaskStore.Get returns for an id that it does not have.
var ErrTaskNotFound = errors.New("task not found")

// TaskStore keeps tasks. What a method was given is the caller's again when it
// returns, and what it returned is the caller's. All methods may be called by
// any goroutine and may block; they honour ctx.
type TaskStore interface {
	// Put adds a task, or replaces the one with the same id. When it returns, the
	// record is as durable as the store promises: only then clients are told.
	Put(ctx context.Context, r *TaskRecord) error
	// Get returns a task, or ErrTaskNotFound.
	Get(ctx context.Context, id string) (*TaskRecord, error)
	// Delete removes a task; an unknown id is no error.
	Delete(ctx context.Context, id string) error
	// All yields every task, in any order.
	All(ctx context.Context) iter.Seq2[*TaskRecord, error]
}

// GetTaskParams are the parameters of tasks/get.
type GetTaskParams struct {
	Meta   `json:"_meta,omitempty"`
	TaskID string `json:"taskId"`
}

// UpdateTaskParams are the parameters of tasks/update.
type UpdateTaskParams struct {
	Meta   `json:"_meta,omitempty"`
	TaskID string `json:"taskId"`
	// InputResponses are raw, by key.
	InputResponses map[string]json.RawMessage `json:"inputResponses"`
}

// CancelTaskParams are the parameters of tasks/cancel.
type CancelTaskParams struct {
	Meta   `json:"_meta,omitempty"`
	TaskID string `json:"taskId"`
}

// TaskResult is the result of tasks/get, and what receiving middleware sees of a
// call that has become a task.
type TaskResult struct {
	Meta `json:"_meta,omitempty"`
	// Task must not be changed.
	Task *TaskRecord

	handle bool // the answer to tools/call
}

func (*GetTaskParams) isParams()    {}
func (*UpdateTaskParams) isParams() {}
func (*CancelTaskParams) isParams() {}
func (*TaskResult) isResult()       {}

// needTasks is the error for a client that has not declared the extension: "A
// server MUST NOT return CreateTaskResult to a client that did not include the
// extension capability on its request" (ext-tasks).
func (a *activeCall) needTasks() error {
	if !a.rev.modern() {
		return errors.New("tasks need protocol version " + Version20260728)
	}
	if caps := a.capabilities(); caps != nil {
		if _, ok := caps.Extensions[TasksExtension]; ok {
			return nil
		}
	}
	return missingCapability(&ClientCapabilities{Extensions: map[string]any{TasksExtension: struct{}{}}})
}

// appendMembers appends the members of r that are its own.
func (r *TaskResult) appendMembers(dst []byte) []byte {
	return r.Task.appendMembers(dst, !r.handle)
}

// appendMembers appends the members of a task as clients see it, without braces;
// detailed with what its status brings.
func (r *TaskRecord) appendMembers(dst []byte, detailed bool) []byte {
	dst = jsonrpc.AppendString(append(dst, `"taskId":`...), r.ID)
	dst = jsonrpc.AppendString(append(dst, `,"status":`...), string(r.Status))
	dst = appendMember(dst, `,"statusMessage":`, r.StatusMessage)
	dst = appendTime(append(dst, `,"createdAt":`...), r.Created)
	dst = appendTime(append(dst, `,"lastUpdatedAt":`...), r.Updated)
	dst = append(dst, `,"ttlMs":`...)
	if r.TTL > 0 {
		dst = strconv.AppendInt(dst, r.TTL.Milliseconds(), 10)
	} else {
		dst = append(dst, `null`...)
	}
	if ms := r.PollInterval.Milliseconds(); ms > 0 {
		dst = strconv.AppendInt(append(dst, `,"pollIntervalMs":`...), ms, 10)
	}
	if !detailed {
		return dst
	}
	switch r.Status {
	case TaskInputRequired:
		dst = appendRaw(dst, `,"inputRequests":`, r.InputRequests)
	case TaskCompleted:
		dst = appendRaw(dst, `,"result":`, r.Result)
	case TaskFailed:
		dst = appendRaw(dst, `,"error":`, r.Error)
	}
	return dst
}

// appendTime appends t in ISO 8601, to the millisecond.
func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05.000Z07:00"), '"')
}

func decodeGetTask(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[GetTaskParams](s, c)
	return f.ofTask(c, &f.params.TaskID)
}

func decodeCancelTask(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[CancelTaskParams](s, c)
	return f.ofTask(c, &f.params.TaskID)
}

func decodeUpdateTask(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[UpdateTaskParams](s, c)
	req, err := f.ofTask(c, &f.params.TaskID)
	if err == nil && f.params.InputResponses == nil {
		return nil, wrongType("params.inputResponses", "an object")
	}
	return req, err
}

// ofTask decodes the params of a method of the tasks extension.
func (f *frame[T, P]) ofTask(c *Call, id *string) (Request, *jsonrpc.Error) {
	if err := f.call.needTasks(); err != nil {
		return nil, asError(err)
	}
	if err := f.decode(c); err != nil {
		return nil, err
	}
	if *id == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: c.Method + " needs params.taskId, a string"}
	}
	return &f.request, nil
}

func handleGetTask(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*ServerRequest[*GetTaskParams])
	r, err := req.Session.server.task(ctx, req.caller(), req.Params.TaskID)
	if err != nil {
		return nil, err
	}
	return &TaskResult{Task: r}, nil
}

// task finds a task of its principal's. What came of a tool is for who may use the
// tool: a token with fewer scopes must not read it.
func (s *Server) task(ctx context.Context, c *Caller, id string) (*TaskRecord, error) {
	r, err := s.tasks.get(ctx, id, c.Principal.ID)
	if err == nil && !s.mayToolNamed(c, r.Tool) {
		return nil, errUnknownTask(id)
	}
	return r, err
}

func (s *Server) mayTask(ctx context.Context, c *Caller, id string) error {
	if s.guard.Load() == nil {
		return nil
	}
	_, err := s.task(ctx, c, id)
	return err
}

func handleUpdateTask(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*ServerRequest[*UpdateTaskParams])
	if err := req.Session.server.mayTask(ctx, req.caller(), req.Params.TaskID); err != nil {
		return nil, err
	}
	err := req.Session.server.tasks.update(ctx, req.Params.TaskID, req.Extra.Principal.ID, req.Params.InputResponses)
	return &emptyResult{}, err
}

func handleCancelTask(ctx context.Context, _ string, request Request) (Result, error) {
	req := request.(*ServerRequest[*CancelTaskParams])
	if err := req.Session.server.mayTask(ctx, req.caller(), req.Params.TaskID); err != nil {
		return nil, err
	}
	err := req.Session.server.tasks.cancel(ctx, req.Params.TaskID, req.Extra.Principal.ID)
	return &emptyResult{}, err
}
