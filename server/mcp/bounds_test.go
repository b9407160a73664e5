package mcp

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The bounds of what one client may make a server keep, each at the limit and one
// beyond.

func TestInitializeBound(t *testing.T) {
	s := fixture(nil)
	for _, over := range []int{-1, 0, 1} {
		c := &client{t: t, s: s, session: s.NewSession("x", &wire{}), notifier: &wire{}}
		params := `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"","version":"1"}}`
		name := strings.Repeat("n", maxInitialize+over-len(params))
		params = strings.Replace(params, `"name":""`, `"name":"`+name+`"`, 1)
		out, _ := c.raw(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":` + params + `}`)
		if ok := strings.Contains(out, `"result"`); ok != (over <= 0) {
			t.Errorf("%d bytes over: %.200s", over, out)
		}
	}
}

func TestInitializeValuesBound(t *testing.T) {
	s := fixture(nil)
	for _, over := range []int{-1, 0, 1} {
		c := &client{t: t, s: s, session: s.NewSession("x", &wire{}), notifier: &wire{}}
		params := `{"protocolVersion":"2025-11-25","capabilities":{"experimental":{"x":[{}]}},"clientInfo":{"name":"n","version":"1"}}`
		more := maxInitializeValues + over - mostValues([]byte(params))
		params = strings.Replace(params, `[{}`, `[{}`+strings.Repeat(`,0`, more), 1)
		out, _ := c.raw(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":` + params + `}`)
		if ok := strings.Contains(out, `"result"`); ok != (over <= 0) {
			t.Errorf("%d values over: %.200s", over, out)
		}
	}
}

// Capabilities are declared in their exact names and types, or not at all.
func TestCapabilitiesAreStrict(t *testing.T) {
	for caps, want := range map[string]bool{
		`{"sampling":{}}`: true, `{"SAMPLING":{}}`: false, `{"sampling":true}`: false, `{"sampling":null}`: false, `{"sampling":[]}`: false,
	} {
		c := &ClientCapabilities{}
		err := c.UnmarshalJSON([]byte(caps))
		if got := err == nil && c.Sampling != nil; got != want {
			t.Errorf("%s: %v, %v", caps, got, err)
		}
		if err != nil && (c.Sampling != nil || c.RootsV2 != nil) {
			t.Errorf("%s: an error, and %+v", caps, c)
		}
	}
}

func TestWatchedBytes(t *testing.T) {
	o, subscribed := quiet(), 0
	o.SubscribeHandler = func(context.Context, *SubscribeRequest) error { subscribed++; return nil }
	s := fixture(o)
	s.AddResourceTemplate(&ResourceTemplate{Name: "all", URITemplate: "all:{+x}"},
		func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) { return nil, nil })
	uri := func(n, size int) string { return fmt.Sprintf("all:%0*d", size-len("all:"), n) }
	const size = 4 << 10
	session := dial(t, s, Version20251125)
	for i := range maxWatchedBytes/size + 1 {
		out := session.ask("resources/subscribe", `"uri":"`+uri(i, size)+`"`)
		if ok := strings.Contains(out, `"result"`); ok != (i < maxWatchedBytes/size) {
			t.Fatalf("resource %d: %.200s", i, out)
		}
	}
	if subscribed != maxWatchedBytes/size {
		t.Errorf("the handler was called %d times", subscribed)
	}
	session.ask("resources/unsubscribe", `"uri":"`+uri(0, size)+`"`)
	if out := session.ask("resources/subscribe", `"uri":"`+uri(0, size)+`"`); !strings.Contains(out, `"result"`) {
		t.Errorf("after one was given up: %.200s", out)
	}
	modern := dial(t, s, Version20260728)
	for _, over := range []int{-1, 0, 1} {
		var uris []string
		for i := range maxWatchedBytes/size - 1 {
			uris = append(uris, uri(i, size))
		}
		uris = append(uris, uri(0, size+over))
		sub, _, out, _ := modern.tryListen("1", `{"resourceSubscriptions":["`+strings.Join(uris, `","`)+`"]}`)
		if (sub != nil) != (over <= 0) {
			t.Errorf("%d bytes over: %.200s", over, out)
		}
		if sub != nil {
			sub.Close()
		}
	}
}

// taskLimits is a server whose tool "job" runs until its task is cancelled.
func taskLimits(t *testing.T, o *ServerOptions) *client {
	s := empty(o)
	rawTool(s, &Tool{Name: "job", Task: TaskRequired}, func(ctx context.Context, _ *CallToolRequest) (*CallToolResult, error) {
		<-ctx.Done()
		return said("done"), nil
	})
	t.Cleanup(s.StopTasks)
	return dialWith(t, s, Version20260728, `{"extensions":{"`+TasksExtension+`":{}}}`)
}

func TestRunningTasksBound(t *testing.T) {
	for name, limit := range map[string]func(*ServerOptions, *Server){
		"principal": func(o *ServerOptions, _ *Server) { o.MaxRunningTasks = 2 },
		"workers": func(_ *ServerOptions, s *Server) {
			if s != nil {
				s.LimitTasks(2)
			}
		},
	} {
		o := quiet()
		limit(o, nil)
		c := taskLimits(t, o)
		limit(o, c.s)
		for i := range 3 {
			answered := make(chan string, 1)
			go func() {
				call, _ := c.parse(c.message("tools/call", `"name":"job"`))
				call.Host = &early{wire: &wire{}, answered: answered}
				out, _ := c.s.Serve(context.Background(), call, nil)
				select {
				case answered <- string(out):
				default:
				}
			}()
			if out := <-answered; strings.Contains(out, `"resultType":"task"`) != (i < 2) {
				t.Errorf("%s: task %d: %s", name, i, out)
			}
		}
	}
}

// early is a host that tells of an early answer.
type early struct {
	*wire
	answered chan string
}

func (e *early) Answer(msg []byte) bool {
	e.answered <- string(msg)
	return true
}

func TestTaskMemoryBound(t *testing.T) {
	m := &memoryTasks{records: make(map[string]TaskRecord)}
	put := func(id string, size int) error {
		return m.Put(t.Context(), &TaskRecord{ID: id, Result: make([]byte, size)})
	}
	if err := put("a", maxTaskMemory-10); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]error{9: nil, 10: nil, 11: errTaskMemory} {
		if err := put("b", size); err != want {
			t.Errorf("%d bytes more: %v", size, err)
		}
		_ = m.Delete(t.Context(), "b")
	}
	_ = m.Delete(t.Context(), "a")
	_ = m.Delete(t.Context(), "a")
	if m.bytes != 0 {
		t.Errorf("%d bytes are left", m.bytes)
	}
}

func TestTaskResultBound(t *testing.T) {
	for _, over := range []int{-1, 0, 1} {
		s := empty(quiet())
		frame := len(`{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"empty","version":""}},"content":[{"type":"text","text":""}]}`)
		rawTool(s, &Tool{Name: "big", Task: TaskRequired}, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			return said("%s", strings.Repeat("x", maxTaskResult-frame+over)), nil
		})
		c := dialWith(t, s, Version20260728, `{"extensions":{"`+TasksExtension+`":{}}}`)
		answered := make(chan string, 1)
		call, _ := c.parse(c.message("tools/call", `"name":"big"`))
		call.Host = &early{wire: &wire{}, answered: answered}
		s.Serve(t.Context(), call, nil)
		_, id, _ := strings.Cut(<-answered, `"taskId":"`)
		id, _, _ = strings.Cut(id, `"`)
		r, err := s.tasks.get(t.Context(), id, "")
		if err != nil || (r.Status == TaskCompleted) != (over <= 0) {
			t.Errorf("%d bytes over: %v, %v", over, r.Status, err)
		}
	}
}

// A subscription to a task that is over says so at once.
func TestListenToEndedTask(t *testing.T) {
	s := empty(quiet())
	rawTool(s, &Tool{Name: "job", Task: TaskRequired}, func(context.Context, *CallToolRequest) (*CallToolResult, error) { return said("done"), nil })
	c := dialWith(t, s, Version20260728, `{"extensions":{"`+TasksExtension+`":{}}}`)
	now := time.Now()
	r := TaskRecord{ID: "T", Status: TaskCompleted, Created: now, Updated: now, Result: rawJSON(`{"content":[]}`)}
	if err := s.tasks.store.Put(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	s.tasks.note(&r)
	sub, got, out, _ := c.tryListen("1", `{"taskIds":["T"]}`)
	if sub == nil {
		t.Fatal(out)
	}
	defer sub.Close()
	told := got.take()
	if len(told) != 2 || !strings.Contains(told[0], "acknowledged") || !strings.Contains(told[1], `"notifications/tasks"`) || !strings.Contains(told[1], `"completed"`) {
		t.Errorf("told %v", told)
	}
}

// A handler that does not look at its context keeps its place among the running
// tasks when its task is cancelled: it still has a worker.
func TestCancelledTaskKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.MaxRunningTasks = 1
		end := make(chan struct{})
		c := tasker(t, o, TaskRequired, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			<-end
			return said("done"), nil
		})
		id := c.start(job)
		c.ask("tasks/cancel", `"taskId":"`+id+`"`)
		c.expect("cancelled", id, TaskCancelled)
		if out := c.ask("tools/call", job); !strings.Contains(out, "too many tasks run at once") {
			t.Errorf("beside a handler that goes on: %s", out)
		}
		close(end)
		synctest.Wait()
		c.expect("still cancelled", id, TaskCancelled)
		c.start(job)
		synctest.Wait()
		if tt := c.s.tasks; len(tt.running) != 0 || tt.held != 0 {
			t.Errorf("%d tasks run, %d bytes are held", len(tt.running), tt.held)
		}
	})
}

// The answers that a running task was given are bounded with its arguments.
func TestTaskAnswersBound(t *testing.T) {
	for _, over := range []int{-1, 0, 1} {
		synctest.Test(t, func(t *testing.T) {
			c := tasker(t, nil, TaskRequired, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
				if _, err := req.Elicit(ctx, "a", form("name")); err != nil {
					return nil, err
				}
				return untilCancelled(ctx, req)
			})
			id := c.start(job)
			const answer = `{"action":"cancel"}`
			tt := c.s.tasks
			tt.mu.Lock()
			other := maxTaskHeld - tt.held - len(answer) + over
			tt.held += other
			tt.mu.Unlock()
			if v := c.update(id, `{"a":`+answer+`}`); (v.Error == nil) != (over <= 0) {
				t.Errorf("%d bytes over: %+v", over, v.Error)
			}
			want := TaskWorking
			if over > 0 {
				want = TaskInputRequired // it can be answered again
			}
			c.expect("answered", id, want)
			c.ask("tasks/cancel", `"taskId":"`+id+`"`)
			synctest.Wait()
			if tt.held != other {
				t.Errorf("%d bytes over: %d bytes stay held", over, tt.held-other)
			}
		})
	}
}

// Results that a store does not take are kept until it does, within a bound; then
// their task fails.
func TestLostResultsBound(t *testing.T) {
	for _, over := range []int{-1, 0, 1} {
		synctest.Test(t, func(t *testing.T) {
			store := newBrokenStore(nil)
			o := quiet()
			o.TaskStore = store
			end := make(chan struct{})
			c := tasker(t, o, TaskRequired, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
				<-end
				return said("done"), nil
			})
			raw, _ := c.s.appendResult(nil, said("done"), newest)
			size := len(raw)
			id := c.start(job)
			tt := c.s.tasks
			tt.lostBytes = maxLostResults - size + over
			store.set(func(method string, _ *TaskRecord) bool { return method == "Put" })
			close(end)
			want := TaskCompleted
			if over > 0 {
				want = TaskFailed
			}
			v := c.expect("lost", id, want)
			if over > 0 && (v.Result.Error == nil || strings.Contains(v.Result.Error.Message, errStore.Error())) {
				t.Errorf("error: %+v", v.Result.Error)
			}
			store.set(nil)
			c.s.SweepTasks(t.Context(), time.Now())
			if tt.lostBytes != maxLostResults-size+over || len(tt.lost) != 0 {
				t.Errorf("%d bytes over: %d tasks are lost, %d bytes", over, len(tt.lost), tt.lostBytes-(maxLostResults-size+over))
			}
			c.expect("stored", id, want)
		})
	}
}

// Who looks at a task waits for nobody that changes it: that may be a store.
func TestTaskIsReadWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tasker(t, nil, TaskRequired, untilCancelled)
		id := c.start(job)
		run, _ := c.s.tasks.find(id, "")
		run.mu.Lock()
		c.expect("while it is changed", id, TaskWorking)
		run.mu.Unlock()
		c.s.StopTasks()
	})
}
