package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec/jsonrpc"
)

// taskView is what a client sees of a task.
type taskView struct {
	Result struct {
		ResultType, TaskID, Status, StatusMessage string
		CreatedAt, LastUpdatedAt                  time.Time
		TTLMs                                     *int64 `json:"ttlMs"`
		PollIntervalMs                            int64  `json:"pollIntervalMs"`
		InputRequests                             map[string]json.RawMessage
		Result                                    json.RawMessage
		Error                                     *jsonrpc.Error
	}
	Error *jsonrpc.Error
}

func (c *client) view(out string) (v taskView) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		c.t.Fatalf("%s: %v", out, err)
	}
	return v
}

func (c *client) get(id string) taskView {
	c.t.Helper()
	synctest.Wait()
	return c.view(c.ask("tasks/get", `"taskId":"`+id+`"`))
}

// expect checks the status of a task.
func (c *client) expect(step, id string, want TaskStatus) taskView {
	c.t.Helper()
	v := c.get(id)
	if v.Error != nil || v.Result.Status != string(want) || v.Result.ResultType != "complete" {
		c.t.Errorf("%s: %+v, want %s", step, v, want)
	}
	return v
}

// start runs a call that becomes a task, and returns its id.
func (c *client) start(params string) string {
	c.t.Helper()
	go c.ask("tools/call", params)
	synctest.Wait()
	answers := c.notifier.takeAnswers()
	if len(answers) != 1 {
		c.t.Fatalf("%s: answers %v", params, answers)
	}
	v := c.view(answers[0])
	if v.Result.ResultType != "task" || v.Result.TaskID == "" {
		c.t.Fatalf("%s: %s", params, answers[0])
	}
	return v.Result.TaskID
}

func (c *client) update(id, responses string) taskView {
	c.t.Helper()
	return c.view(c.ask("tasks/update", `"taskId":"`+id+`","inputResponses":`+responses))
}

type taskHandler func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error)

// tasker is a client of a server with one tool, job, whose calls are tasks.
func tasker(t testing.TB, o *ServerOptions, mode TaskMode, h taskHandler) *client {
	if o == nil {
		o = quiet()
	}
	s := empty(o)
	rawTool(s, &Tool{Name: "job", Task: mode}, h)
	return dialWith(t, s, Version20260728, capsTasks)
}

const job = `"name":"job"`

// untilCancelled is a handler that goes on for as long as it may.
func untilCancelled(ctx context.Context, _ *CallToolRequest) (*CallToolResult, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// brokenStore is a store in memory whose methods fail when a test wants that.
type brokenStore struct {
	memoryTasks
	mu    sync.Mutex
	fails func(method string, r *TaskRecord) bool
}

func newBrokenStore(fails func(string, *TaskRecord) bool) *brokenStore {
	b := &brokenStore{fails: fails}
	b.records = make(map[string]TaskRecord)
	return b
}

var errStore = errors.New("the store is broken")

func (b *brokenStore) err(method string, r *TaskRecord) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails != nil && b.fails(method, r) {
		return errStore
	}
	return nil
}

func (b *brokenStore) set(fails func(string, *TaskRecord) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = fails
}

func (b *brokenStore) Put(ctx context.Context, r *TaskRecord) error {
	if err := b.err("Put", r); err != nil {
		return err
	}
	return b.memoryTasks.Put(ctx, r)
}

func (b *brokenStore) Get(ctx context.Context, id string) (*TaskRecord, error) {
	if err := b.err("Get", nil); err != nil {
		return nil, err
	}
	return b.memoryTasks.Get(ctx, id)
}

func (b *brokenStore) Delete(ctx context.Context, id string) error {
	if err := b.err("Delete", nil); err != nil {
		return err
	}
	return b.memoryTasks.Delete(ctx, id)
}

func (b *brokenStore) All(ctx context.Context) iter.Seq2[*TaskRecord, error] {
	if err := b.err("All", nil); err != nil {
		return func(yield func(*TaskRecord, error) bool) { yield(nil, err) }
	}
	return b.memoryTasks.All(ctx)
}

func TestTaskLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.TaskTTL, o.TaskPollInterval = time.Minute, 500*time.Millisecond
		c := tasker(t, o, TaskRequired, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			time.Sleep(time.Second)
			if err := req.SetTaskMessage(ctx, "half"); err != nil {
				return nil, err
			}
			time.Sleep(time.Second)
			return said("whole"), nil
		})
		id := c.start(job)
		v := c.expect("at first", id, TaskWorking)
		if *v.Result.TTLMs != 60000 || v.Result.PollIntervalMs != 500 || v.Result.StatusMessage != "" || !v.Result.CreatedAt.Equal(time.Now()) {
			t.Errorf("at first: %+v", v.Result)
		}
		time.Sleep(1500 * time.Millisecond)
		v = c.expect("then", id, TaskWorking)
		if v.Result.StatusMessage != "half" || v.Result.LastUpdatedAt.Sub(v.Result.CreatedAt) != time.Second {
			t.Errorf("then: %+v", v.Result)
		}
		time.Sleep(time.Second)
		v = c.expect("in the end", id, TaskCompleted)
		if !strings.Contains(string(v.Result.Result), "whole") || v.Result.Error != nil {
			t.Errorf("in the end: %+v", v.Result)
		}
		if out := c.ask("tasks/cancel", `"taskId":"`+id+`"`); !strings.Contains(out, `"result"`) {
			t.Errorf("cancel: %s", out)
		}
		c.expect("cancelled too late", id, TaskCompleted)
	})
}

func TestTaskOutcomes(t *testing.T) {
	tests := []struct {
		name   string
		h      taskHandler
		status TaskStatus
		want   string
	}{
		{"result", func(context.Context, *CallToolRequest) (*CallToolResult, error) { return said("ok"), nil }, TaskCompleted, `"text":"ok"`},
		{"nil", func(context.Context, *CallToolRequest) (*CallToolResult, error) { return nil, nil }, TaskCompleted, `"content":[]`},
		{"tool error", func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			res := &CallToolResult{}
			res.SetError(errors.New("no luck"))
			return res, nil
		}, TaskCompleted, `"isError":true`},
		{"protocol error", func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			return nil, fmt.Errorf("x: %w", &jsonrpc.Error{Code: -31000, Message: "no", Data: rawJSON(`{"a":1}`)})
		}, TaskFailed, `"statusMessage":"no"` + `,"createdAt":"2000-01-01T00:00:00.000Z","lastUpdatedAt":"2000-01-01T00:00:00.000Z","ttlMs":3600000,"pollIntervalMs":1000,"error":{"code":-31000,"message":"no","data":{"a":1}}`},
		{"error", func(context.Context, *CallToolRequest) (*CallToolResult, error) { return nil, errors.New("boom") }, TaskFailed, `"error":{"code":-32603,"message":"boom"}`},
		{"panic", func(context.Context, *CallToolRequest) (*CallToolResult, error) { panic("secret") }, TaskFailed, `"message":"the tool failed because of an internal error"`},
		{"Goexit", func(context.Context, *CallToolRequest) (*CallToolResult, error) { runtime.Goexit(); return nil, nil }, TaskFailed, `"message":"the tool failed because of an internal error"`},
		{"unencodable", func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			return &CallToolResult{StructuredContent: make(chan int)}, nil
		}, TaskFailed, "cannot be encoded as JSON"},
		{"no capability to ask", func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, err := req.ListRoots(ctx, "roots")
			return nil, err
		}, TaskFailed, `"code":-32021`},
	}
	for _, tt := range tests {
		for _, mode := range []TaskMode{TaskOptional, TaskRequired, TaskManual} {
			synctest.Test(t, func(t *testing.T) {
				h := tt.h
				if mode == TaskManual {
					h = func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
						ctx, err := req.StartTask(ctx, nil)
						if err != nil {
							return nil, err
						}
						return tt.h(ctx, req)
					}
				}
				c := tasker(t, nil, mode, h)
				id := c.start(job)
				c.expect(tt.name, id, tt.status)
				if out := c.ask("tasks/get", `"taskId":"`+id+`"`); !strings.Contains(out, tt.want) || strings.Contains(out, "secret") {
					t.Errorf("%s, mode %d: %s", tt.name, mode, out)
				}
			})
		}
	}
}

func TestTaskOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var second context.Context
		c := tasker(t, nil, TaskManual, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			first, err := req.StartTask(ctx, &TaskOptions{TTL: -1, PollInterval: time.Minute, StatusMessage: "soon"})
			if err != nil {
				return nil, err
			}
			second, err = req.StartTask(ctx, nil)
			if second != first || err != nil {
				t.Errorf("StartTask for the second time: %v", err)
			}
			if _, ok := first.Deadline(); ok {
				t.Error("a task for ever has a deadline")
			}
			return untilCancelled(first, req)
		})
		id := c.start(job)
		v := c.expect("started", id, TaskWorking)
		if v.Result.TTLMs != nil || v.Result.PollIntervalMs != 60000 || v.Result.StatusMessage != "soon" {
			t.Errorf("%+v", v.Result)
		}
		time.Sleep(1000 * time.Hour)
		c.s.SweepTasks(t.Context(), time.Now())
		c.expect("much later", id, TaskWorking)
		c.ask("tasks/cancel", `"taskId":"`+id+`"`)
		c.expect("cancelled", id, TaskCancelled)
		if second.Err() == nil {
			t.Error("the context of a cancelled task goes on")
		}
	})
}

func TestTaskExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, untilCancelled)
		id := c.start(job)
		time.Sleep(DefaultTaskTTL - time.Nanosecond)
		c.expect("before", id, TaskWorking)
		time.Sleep(time.Nanosecond)
		if v := c.expect("at the end of its time", id, TaskFailed); !strings.Contains(v.Result.Error.Message, "deadline") {
			t.Errorf("error %+v", v.Result.Error)
		}
		c.s.SweepTasks(t.Context(), time.Now())
		c.expect("swept too early", id, TaskFailed)
		c.s.SweepTasks(t.Context(), time.Now().Add(1))
		if v := c.get(id); v.Error == nil || v.Error.Code != -32602 {
			t.Errorf("swept: %+v", v)
		}
		if n := len(c.s.tasks.stored) + len(c.s.tasks.count) + len(c.s.tasks.running); n != 0 {
			t.Errorf("%d things are left", n)
		}
	})
}

// A handler that does not end keeps its task from being forgotten.
func TestTaskOutlivesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		c := tasker(t, nil, TaskOptional, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			<-end
			return said("at last"), nil
		})
		id := c.start(job)
		time.Sleep(2 * DefaultTaskTTL)
		c.s.SweepTasks(t.Context(), time.Now())
		c.expect("still running", id, TaskWorking)
		close(end)
		c.expect("done", id, TaskCompleted)
		c.s.SweepTasks(t.Context(), time.Now())
		if v := c.get(id); v.Error == nil {
			t.Errorf("swept: %+v", v)
		}
	})
}

func TestTaskCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := tasker(t, nil, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, err := req.Elicit(ctx, "color", form("color"))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Elicit in a cancelled task: %v", err)
			}
			if err := req.SetTaskMessage(ctx, "too late"); err != nil {
				t.Error(err)
			}
			if _, err = req.Elicit(context.Background(), "size", form("size")); err == nil {
				t.Error("a question after the end is answered")
			}
			ended = true
			return said("too late"), nil
		})
		id := c.start(job)
		c.expect("asking", id, TaskInputRequired)
		if out, status := c.raw(c.message("tasks/cancel", `"taskId":"`+id+`"`)); status != 200 || !strings.Contains(out, `"resultType":"complete"`) {
			t.Errorf("cancel: %s", out)
		}
		v := c.expect("cancelled", id, TaskCancelled)
		if !ended || v.Result.InputRequests != nil || v.Result.Result != nil || v.Result.StatusMessage != "" {
			t.Errorf("ended %v, %+v", ended, v.Result)
		}
	})
}

func TestTaskQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			if _, err := req.Ask(ctx, InputRequestMap{"a": form("name"), "b": form("color")}); err != nil {
				return nil, err
			}
			again, err := req.Elicit(ctx, "a", form("name")) // known by now
			if err != nil {
				return nil, err
			}
			auto, err := req.Session.Elicit(ctx, form("size"))
			if err != nil {
				return nil, err
			}
			if req.Params.RequestState == "" {
				return &CallToolResult{InputRequests: InputRequestMap{"r": form("x")}, RequestState: "s"}, nil
			}
			return said("%v %v %v", again.Content["name"], auto.Content["size"], req.Params.InputResponses["r"].(*ElicitResult).Content["x"]), nil
		})
		id := c.start(job)
		keys := func(want string) {
			t.Helper()
			if got := strings.Join(sortedKeys(c.get(id).Result.InputRequests), " "); got != want {
				t.Errorf("asks for %q, want %q", got, want)
			}
		}
		keys("a b")
		if v := c.update(id, `{"a":{"action":"accept","content":{"name":"Ada"}},"b":{"action":"no"}}`); v.Error == nil || v.Error.Code != -32602 {
			t.Errorf("a wrong answer: %+v", v)
		}
		keys("a b")
		c.update(id, `{"unknown":5,"a":{"action":"accept","content":{"name":"Ada"}}}`)
		keys("b")
		c.update(id, `{"a":{"action":"cancel"}}`) // answered already
		keys("b")
		c.expect("partly answered", id, TaskInputRequired)
		c.update(id, `{"b":{"action":"decline"}}`)
		keys("question-1")
		c.update(id, `{"question-1":{"action":"accept","content":{"size":"L"}}}`)
		keys("r")
		c.update(id, `{"r":{"action":"accept","content":{"x":"y"}}}`)
		if v := c.expect("answered", id, TaskCompleted); !strings.Contains(string(v.Result.Result), "Ada L y") {
			t.Errorf("%s", v.Result.Result)
		}
		if v := c.update(id, `{"b":{"action":"decline"}}`); v.Error != nil {
			t.Errorf("an update after the end: %+v", v.Error)
		}
	})
}

// Two goroutines that ask the same get the same answer.
func TestTaskSameQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if res, err := req.Elicit(ctx, "k", form("name")); err != nil || res.Content["name"] != "Ada" {
						t.Errorf("%v, %v", res, err)
					}
				})
			}
			wg.Wait()
			return said("done"), nil
		})
		id := c.start(job)
		c.expect("asking", id, TaskInputRequired)
		c.update(id, `{"k":{"action":"accept","content":{"name":"Ada"}}}`)
		c.expect("answered", id, TaskCompleted)
	})
}

// A question that the handler does not wait for any more is withdrawn.
func TestTaskWithdraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			short, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if _, err := req.Elicit(short, "k", form("name")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Elicit: %v", err)
			}
			return untilCancelled(ctx, req)
		})
		id := c.start(job)
		c.expect("asking", id, TaskInputRequired)
		time.Sleep(time.Minute)
		if v := c.expect("given up", id, TaskWorking); v.Result.InputRequests != nil {
			t.Errorf("asks for %v", v.Result.InputRequests)
		}
		if v := c.update(id, `{"k":{"action":"cancel"}}`); v.Error != nil {
			t.Errorf("a late answer: %+v", v.Error)
		}
		c.s.StopTasks()
		if v := c.expect("stopped", id, TaskFailed); !strings.Contains(v.Result.StatusMessage, "stopped") {
			t.Errorf("%+v", v.Result)
		}
	})
}

func TestTaskBadQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			p := form("name")
			p.Meta = Meta{"x": make(chan int)}
			_, err := req.Elicit(ctx, "bad", p)
			if err == nil {
				t.Error("what cannot be encoded is asked")
			}
			res, err := req.Elicit(ctx, "good", form("name"))
			if err != nil {
				return nil, err
			}
			return said("%s", res.Action), nil
		})
		id := c.start(job)
		c.expect("asking", id, TaskInputRequired)
		c.update(id, `{"good":{"action":"cancel"}}`)
		c.expect("answered", id, TaskCompleted)
		c.notifier.busy = errors.New("too many wait")
		c.expect("a busy host", c.start(job), TaskFailed)
	})
}

// The error that asks for a URL is a question in a task, too.
func TestTaskURLRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
			if len(req.Params.InputResponses) > 0 {
				return said("connected"), nil
			}
			return nil, URLElicitationRequiredError([]*ElicitParams{{Message: "m", URL: "https://example.com", ElicitationID: "e"}})
		}
		c := tasker(t, nil, TaskOptional, h)
		c.caps = `{"elicitation":{"url":{}},"extensions":{"` + TasksExtension + `":{}}}`
		id := c.start(job)
		c.expect("asking", id, TaskInputRequired)
		c.update(id, `{"e":{"action":"accept"}}`)
		if v := c.expect("answered", id, TaskCompleted); !strings.Contains(string(v.Result.Result), "connected") {
			t.Errorf("%s", v.Result.Result)
		}
	})
}

// What is asked before the task is asked by the result of the call: until it is
// answered there is no task.
func TestTaskManualAsksBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskManual, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, asked := req.Elicit(ctx, "color", form("color"))
			tctx, err := req.StartTask(ctx, nil) // a careless handler
			if asked != nil && !errors.Is(err, ErrInputRequired) {
				t.Errorf("a task with an open question: %v", err)
			}
			if err != nil {
				return nil, err
			}
			return said("%v", tctx.Err()), nil
		})
		a := c.rounds("tools/call", job)
		if got := c.notifier.takeAnswers(); got != nil {
			t.Errorf("answered %v", got)
		}
		id := c.start(a.with(job) + "," + red)
		c.expect("after the answer", id, TaskCompleted)
	})
}

func TestTaskModesWithoutTasks(t *testing.T) {
	h := func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		_, err := req.StartTask(ctx, nil)
		return said("no task: %v", errors.Is(err, ErrNoTask)), req.SetTaskMessage(ctx, "x")
	}
	for mode, want := range map[TaskMode][2]string{
		TaskNever:    {"no task: true", "no task: true"},
		TaskOptional: {"no task: true", "no task: true"},
		TaskManual:   {"no task: true", "no task: true"},
		TaskRequired: {`"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`, "tasks need protocol version 2026-07-28"},
	} {
		c := tasker(t, nil, mode, h)
		c.caps = ""
		out, status := c.raw(c.message("tools/call", job))
		if !strings.Contains(out, want[0]) || (status == 400) != (mode == TaskRequired) {
			t.Errorf("mode %d, without the extension: %d %s", mode, status, out)
		}
		legacy := dialWith(t, c.s, Version20251125, `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`)
		if out := legacy.ask("tools/call", job); !strings.Contains(out, want[1]) {
			t.Errorf("mode %d, 2025-11-25: %s", mode, out)
		}
		if mode == TaskNever {
			continue
		}
		call, _ := c.parse(c.message("tools/call", job))
		call.Host = nil
		if out, _ := c.s.Serve(t.Context(), call, nil); mode != TaskRequired && !strings.Contains(string(out), "no task: true") {
			t.Errorf("mode %d, without a host: %s", mode, out)
		}
	}
	outside := &CallToolRequest{Session: empty(quiet()).NewSession("", nil)}
	if _, err := outside.StartTask(t.Context(), nil); !errors.Is(err, ErrNoTask) {
		t.Errorf("outside of a call: %v", err)
	}
	if err := outside.SetTaskMessage(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}

func TestTaskModesRefused(t *testing.T) {
	for want, tool := range map[string]*Tool{
		"is not a TaskMode":        {Name: "x", Task: TaskManual + 1},
		"would hold up the event ": {Name: "x", Task: TaskOptional, Class: ClassInline},
	} {
		if msg := panics(func() { rawTool(empty(quiet()), tool, untilCancelled) }); !strings.Contains(msg, want) {
			t.Errorf("panic %q, want %q", msg, want)
		}
	}
}

func TestTaskLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.MaxTasks = 2
		c := tasker(t, o, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			if req.Session.call.task() == nil {
				return said("ordinary"), nil
			}
			return untilCancelled(ctx, req)
		})
		rawTool(c.s, &Tool{Name: "must", Task: TaskRequired}, untilCancelled)
		alice, bob := c.as("alice"), c.as("bob")
		first := alice.start(job)
		alice.start(job)
		if out := alice.ask("tools/call", job); !strings.Contains(out, "ordinary") {
			t.Errorf("beyond the limit: %s", out)
		}
		if out := alice.ask("tools/call", `"name":"must"`); !strings.Contains(out, `"code":-31003,"message":"too many tasks: 2 are kept"`) {
			t.Errorf("beyond the limit, required: %s", out)
		}
		bob.start(job)
		c.start(job) // and anonymous
		alice.ask("tasks/cancel", `"taskId":"`+first+`"`)
		synctest.Wait()
		if out := alice.ask("tools/call", job); !strings.Contains(out, "ordinary") {
			t.Errorf("a cancelled task is kept: %s", out)
		}
		time.Sleep(DefaultTaskTTL + 1)
		c.s.SweepTasks(t.Context(), time.Now())
		alice.start(job)
		c.s.StopTasks()
		if out := alice.ask("tools/call", `"name":"must"`); !strings.Contains(out, "the server is stopping") {
			t.Errorf("a stopped server: %s", out)
		}
		if out := alice.ask("tools/call", job); !strings.Contains(out, "ordinary") {
			t.Errorf("a stopped server, optional: %s", out)
		}
		c.s.ResumeTasks()
		alice.start(job)
		c.s.StopTasks()
		synctest.Wait()
	})
}

func TestTaskOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newBrokenStore(nil)
		o := quiet()
		o.TaskStore = store
		c := tasker(t, o, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, err := req.Elicit(ctx, "k", form("name"))
			return said("done"), err
		})
		alice, bob := c.as("alice"), c.as("bob")
		id := alice.start(job)
		check := func(step string) {
			t.Helper()
			for _, other := range []*client{bob, c} {
				for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/update"} {
					params := `"taskId":"` + id + `","inputResponses":{"k":{"action":"cancel"}}`
					unknown := other.ask(method, strings.Replace(params, id, "nope", 1))
					if out := other.ask(method, params); strings.Replace(out, id, "nope", 1) != unknown || !strings.Contains(out, `"code":-32602`) {
						t.Errorf("%s, %s: %s", step, method, out)
					}
				}
			}
		}
		check("running")
		alice.expect("running", id, TaskInputRequired)
		alice.update(id, `{"k":{"action":"cancel"}}`)
		alice.expect("done", id, TaskCompleted)
		check("done")
		// Another process with the same store knows no more of the task than that.
		o2 := quiet()
		o2.TaskStore = store
		c2 := tasker(t, o2, TaskOptional, untilCancelled)
		alice, bob, c = c2.as("alice"), c2.as("bob"), c2
		alice.expect("elsewhere", id, TaskCompleted)
		if v := alice.update(id, `{}`); v.Error != nil {
			t.Errorf("update elsewhere: %+v", v.Error)
		}
		check("elsewhere")
	})
}

func TestTaskStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newBrokenStore(nil)
		o := quiet()
		o.TaskStore = store
		c := tasker(t, o, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			if err := req.SetTaskMessage(ctx, "working"); !errors.Is(err, errStore) {
				t.Errorf("SetTaskMessage: %v", err)
			}
			store.set(func(_ string, r *TaskRecord) bool { return r != nil && r.Status == TaskInputRequired })
			if _, err := req.Elicit(ctx, "k", form("name")); !errors.Is(err, errStore) {
				t.Errorf("Elicit: %v", err)
			}
			store.set(nil)
			res, err := req.Elicit(ctx, "l", form("name"))
			if err != nil {
				return nil, err
			}
			store.set(func(method string, _ *TaskRecord) bool { return method == "Put" })
			return said("%s", res.Action), nil
		})
		all := func(string, *TaskRecord) bool { return true }
		store.set(all)
		if out := c.ask("tools/call", job); !strings.Contains(out, `"code":-32603,"message":"the task could not be stored"`) {
			t.Errorf("at creation: %s", out)
		}
		if got := c.notifier.takeAnswers(); got != nil || len(c.s.tasks.stored)+len(c.s.tasks.running)+len(c.s.tasks.count) != 0 {
			t.Errorf("a task that was not stored leaves something: %v", got)
		}
		first := true
		store.set(func(string, *TaskRecord) bool { was := first; first = false; return !was })
		id := c.start(job)
		v := c.expect("asking", id, TaskInputRequired)
		if keys := sortedKeys(v.Result.InputRequests); len(keys) != 1 || keys[0] != "l" {
			t.Errorf("asks for %v", keys)
		}
		c.update(id, `{"l":{"action":"cancel"}}`)
		// The end of the task counts, although it was not stored.
		c.expect("ended", id, TaskCompleted)
		c.ask("tasks/cancel", `"taskId":"`+id+`"`)
		c.expect("ended, and cancelled", id, TaskCompleted)
		if r, err := store.Get(t.Context(), id); err != nil || r.Status.Final() {
			t.Errorf("stored: %+v, %v", r, err)
		}
		c.s.SweepTasks(t.Context(), time.Now())
		c.expect("swept", id, TaskCompleted)
		store.set(nil)
		c.s.SweepTasks(t.Context(), time.Now()) // stores it
		if r, err := store.Get(t.Context(), id); err != nil || r.Status != TaskCompleted {
			t.Errorf("stored: %+v, %v", r, err)
		}
		store.set(func(method string, _ *TaskRecord) bool { return method == "Get" })
		if v := c.get(id); v.Error == nil || v.Error.Code != -32603 {
			t.Errorf("Get fails: %+v", v)
		}
		store.set(func(method string, _ *TaskRecord) bool { return method == "Delete" })
		time.Sleep(DefaultTaskTTL + 1)
		c.s.SweepTasks(t.Context(), time.Now())
		c.expect("Delete fails", id, TaskCompleted)
		store.set(nil)
		c.s.SweepTasks(t.Context(), time.Now())
		if v := c.get(id); v.Error == nil || v.Error.Code != -32602 {
			t.Errorf("deleted: %+v", v)
		}
	})
}

// A client that is gone when its call becomes a task has none.
func TestTaskOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			t.Error("the handler runs")
			return nil, nil
		})
		c.notifier.over = true
		c.ask("tools/call", job)
		for _, st := range c.s.tasks.stored {
			if st.principal != "" {
				t.Errorf("%+v", st)
			}
		}
		if len(c.s.tasks.running) != 0 {
			t.Error("the task runs")
		}
		time.Sleep(DefaultTaskTTL + 1)
		c.s.SweepTasks(t.Context(), time.Now())
		if len(c.s.tasks.stored) != 0 {
			t.Error("the task is kept")
		}
	})
}

func TestRecoverTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newBrokenStore(nil)
		o := quiet()
		o.TaskStore = store
		o.MaxTasks = 3
		c := tasker(t, o, TaskRequired, untilCancelled)
		now := time.Now()
		for _, r := range []TaskRecord{
			{ID: "done", Principal: "alice", Status: TaskCompleted, Result: rawJSON(`{"content":[]}`), Created: now, TTL: time.Hour},
			{ID: "was working", Principal: "alice", Status: TaskInputRequired, InputRequests: rawJSON(`{}`), Created: now},
		} {
			if err := store.Put(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
		}
		alice := c.as("alice")
		running := alice.start(job)
		if err := c.s.RecoverTasks(t.Context()); err != nil {
			t.Fatal(err)
		}
		alice.expect("done", "done", TaskCompleted)
		if v := alice.expect("was working", "was working", TaskFailed); v.Result.Error.Code != -32603 || v.Result.InputRequests != nil || !strings.Contains(v.Result.StatusMessage, "restarted") {
			t.Errorf("%+v", v.Result)
		}
		alice.expect("running", running, TaskWorking)
		if out := alice.ask("tools/call", job); !strings.Contains(out, "too many tasks") {
			t.Errorf("recovered tasks do not count: %s", out)
		}
		store.set(func(method string, _ *TaskRecord) bool { return method == "All" })
		if err := c.s.RecoverTasks(t.Context()); !errors.Is(err, errStore) {
			t.Errorf("All fails: %v", err)
		}
		store.set(func(method string, _ *TaskRecord) bool { return method == "Put" })
		store.records["new"] = TaskRecord{ID: "new", Status: TaskWorking}
		if err := c.s.RecoverTasks(t.Context()); !errors.Is(err, errStore) {
			t.Errorf("Put fails: %v", err)
		}
		store.set(nil)
		c.s.StopTasks()
		synctest.Wait()
		alice.expect("stopped", running, TaskFailed)
	})
}

// Tasks that begin while the server stops: the race detector watches.
func TestTasksStopWhileStarting(t *testing.T) {
	c := tasker(t, nil, TaskRequired, untilCancelled)
	var wg sync.WaitGroup
	for range 20 {
		other := c.as("alice")
		wg.Go(func() {
			for range 20 {
				other.ask("tools/call", job)
			}
		})
	}
	for range 200 {
		c.s.StopTasks()
		c.s.ResumeTasks()
		runtime.Gosched()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		select {
		case <-done:
			if n := len(c.s.tasks.running); n != 0 {
				t.Errorf("%d tasks run", n)
			}
			return
		default:
			c.s.StopTasks()
			runtime.Gosched()
		}
	}
}

func TestTaskNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskOptional, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, err := req.Elicit(ctx, "k", form("name"))
			return said("done"), err
		})
		id := c.start(job)
		synctest.Wait()
		sub, stream := c.listen(`{"taskIds":["` + id + `","nope"]}`)
		c.update(id, `{"k":{"action":"cancel"}}`)
		synctest.Wait()
		var states []string
		for _, msg := range stream.take()[1:] {
			var n struct {
				Method string
				Params struct {
					Meta   map[string]any `json:"_meta"`
					TaskID string
					Status string
				}
			}
			if err := json.Unmarshal([]byte(msg), &n); err != nil || n.Method != methodTaskStatus || n.Params.TaskID != id || n.Params.Meta[MetaKeySubscriptionID] == nil {
				t.Errorf("%s: %v", msg, err)
			}
			states = append(states, n.Params.Status)
		}
		if got := fmt.Sprint(states); got != "[working completed]" {
			t.Errorf("told of %s", got)
		}
		sub.Close()
	})
}
