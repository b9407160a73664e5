package server

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/seal"
)

const taskMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// addTasks adds "job", a task that runs until gate is closed, and "form", one
// that asks for a name.
func (tl *tools) addTasks() {
	task := func(name string, h mcp.ToolHandler) {
		tl.mcp.AddTool(&mcp.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`), Task: mcp.TaskRequired, Timeout: time.Second}, h)
	}
	task("job", func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tl.running <- struct{}{}
		select {
		case <-tl.gate:
			return said("done"), nil
		case <-ctx.Done():
			tl.ended <- ctx.Err()
			return nil, ctx.Err()
		}
	})
	task("form", func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		res, err := req.Elicit(ctx, "name", &mcp.ElicitParams{Message: "Who?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}}}`)})
		if err != nil {
			tl.ended <- err
			return nil, err
		}
		return said(fmt.Sprint(res.Action, " ", res.Content["name"])), nil
	})
}

func taskMessage(id, method, params string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + params + `,` + taskMeta + `}}`
}

// taskOf is the task in an answer.
func taskOf(t *testing.T, msg string) (task struct{ TaskID, Status string }) {
	t.Helper()
	var m struct {
		Result *struct{ TaskID, Status string }
	}
	if json.Unmarshal([]byte(msg), &m) != nil || m.Result == nil || m.Result.TaskID == "" {
		t.Fatalf("no task: %s", msg)
	}
	return *m.Result
}

// ask sends one request over HTTP as the stateless era wants it.
func (r *runningServer) modern(msg, method, name string, fields ...string) reply {
	r.t.Helper()
	return r.do("POST", msg, append(modernFields(method, name), fields...)...)
}

func (r *runningServer) task(method, id, more string, fields ...string) reply {
	r.t.Helper()
	return r.modern(taskMessage("1", method, `"taskId":"`+id+`"`+more), method, id, fields...)
}

// A task outlives the connection that has started it, and is fetched on others
// and other transports.
func TestTasks(t *testing.T) {
	tl := newTools()
	tl.addTasks()
	r := serve(t, &Server{MCP: tl.mcp, Workers: 2}) // a task that runs takes one
	p := r.dial()
	p.send(taskMessage("1", "tools/call", `"name":"job"`))
	job := taskOf(t, mustRead(t, p))
	if job.Status != "working" {
		t.Errorf("new task: %+v", job)
	}
	<-tl.running
	p.send(taskMessage("1", "tasks/get", `"taskId":"`+job.TaskID+`"`)) // the id is free
	if got := taskOf(t, mustRead(t, p)); got != job {
		t.Errorf("tasks/get: %+v", got)
	}
	watch := r.stream("POST", strings.Replace(listenMessage("9", `"taskIds":["`+job.TaskID+`"]`), modernMeta, taskMeta, 1), listenFields...)
	p.close()
	close(tl.gate)
	watch.want(acknowledged("9", `"taskIds":["`+job.TaskID+`"]`))
	await(t, "the task is done", func() bool {
		return taskOf(t, r.task("tasks/get", job.TaskID, "").body()).Status == "completed"
	})
	if got := r.task("tasks/get", job.TaskID, "").body(); !strings.Contains(got, `"text":"done"`) {
		t.Errorf("result: %s", got)
	}
	if rep := r.modern(modernCall("1", "job"), "tools/call", "job"); rep.status != 400 || !strings.Contains(rep.body(), `"code":-32021`) {
		t.Errorf("a client without tasks: %d %s", rep.status, rep.body())
	}
	if rep := r.task("tasks/get", "none", ""); !strings.Contains(rep.body(), `"code":-32602`) {
		t.Errorf("unknown task: %d %s", rep.status, rep.body())
	}
	form := taskOf(t, r.modern(taskMessage("1", "tools/call", `"name":"form"`), "tools/call", "form").body())
	await(t, "the task asks", func() bool {
		return taskOf(t, r.task("tasks/get", form.TaskID, "").body()).Status == "input_required"
	})
	if rep := r.task("tasks/update", form.TaskID, `,"inputResponses":{"name":{"action":"accept","content":{"name":"Ada"}}}`); rep.status != 200 {
		t.Errorf("tasks/update: %d %s", rep.status, rep.body())
	}
	await(t, "the task is done", func() bool {
		return strings.Contains(r.task("tasks/get", form.TaskID, "").body(), "accept Ada")
	})
	if n := r.Stats().Pool.Suspended; n != 0 {
		t.Errorf("%d suspended", n)
	}
}

// A task that is cancelled, one whose server stops, and new ones when the server
// runs again.
func TestTasksEnd(t *testing.T) {
	tl := newTools()
	tl.addTasks()
	srv := &Server{MCP: tl.mcp}
	r := serve(t, srv)
	start := func(r *runningServer, tool string) string {
		t.Helper()
		return taskOf(t, r.modern(taskMessage("1", "tools/call", `"name":"`+tool+`"`), "tools/call", tool).body()).TaskID
	}
	id := start(r, "job")
	<-tl.running
	if rep := r.task("tasks/cancel", id, ""); rep.status != 200 {
		t.Errorf("tasks/cancel: %d %s", rep.status, rep.body())
	}
	<-tl.ended
	if got := taskOf(t, r.task("tasks/get", id, "").body()).Status; got != "cancelled" {
		t.Errorf("status %s", got)
	}
	job, form := start(r, "job"), start(r, "form")
	<-tl.running
	await(t, "the task asks", func() bool { return r.Stats().Pool.Suspended == 1 })
	if err := r.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	<-tl.ended
	<-tl.ended
	again := serve(t, &Server{MCP: tl.mcp})
	for _, id := range []string{job, form} {
		if got := again.task("tasks/get", id, "").body(); !strings.Contains(got, `"status":"failed"`) {
			t.Errorf("after a restart: %s", got)
		}
	}
	start(again, "job")
	<-tl.running
	close(tl.gate)
}

// Tasks of others are as unknown as those that never were.
func TestTasksOfOthers(t *testing.T) {
	tl := newTools()
	tl.addTasks()
	defer close(tl.gate)
	r := serve(t, &Server{MCP: tl.mcp, Auth: fakeAuth{make(chan auth.Credentials, 100)}, Policy: auth.AllowAll()})
	ann, bob := "Authorization: Bearer ann", "Authorization: Bearer bob"
	id := taskOf(t, r.modern(taskMessage("1", "tools/call", `"name":"job"`), "tools/call", "job", ann).body()).TaskID
	for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/update"} {
		other, none := r.task(method, id, `,"inputResponses":{}`, bob), r.task(method, "none", `,"inputResponses":{}`, bob)
		if other.status != none.status || strings.Replace(other.body(), id, "none", 1) != none.body() {
			t.Errorf("%s: %s, for no task %s", method, other.body(), none.body())
		}
	}
	if got := taskOf(t, r.task("tasks/get", id, "", ann).body()).Status; got != "working" {
		t.Errorf("status %s", got)
	}
}

// keptTasks is a store with one task.
type keptTasks struct {
	mu  sync.Mutex
	rec mcp.TaskRecord
}

func (k *keptTasks) Put(_ context.Context, r *mcp.TaskRecord) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rec = *r
	return nil
}

func (k *keptTasks) Get(_ context.Context, id string) (*mcp.TaskRecord, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rec.ID != id {
		return nil, mcp.ErrTaskNotFound
	}
	r := k.rec
	return &r, nil
}

func (k *keptTasks) Delete(context.Context, string) error { return nil }

func (k *keptTasks) All(context.Context) iter.Seq2[*mcp.TaskRecord, error] {
	return func(yield func(*mcp.TaskRecord, error) bool) {
		r := k.rec
		yield(&r, nil)
	}
}

// A task that another process was working on has failed.
func TestTasksAreRecovered(t *testing.T) {
	tl := newTools()
	store := &keptTasks{rec: mcp.TaskRecord{ID: "old", Tool: "job", Status: mcp.TaskWorking, Created: time.Now(), TTL: time.Hour}}
	tl.mcp = mcp.NewServer(&mcp.Implementation{Name: "test"}, &mcp.ServerOptions{Logger: quiet, TaskStore: store})
	tl.addTasks()
	r := serve(t, &Server{MCP: tl.mcp})
	if got := r.task("tasks/get", "old", "").body(); !strings.Contains(got, `"status":"failed"`) {
		t.Errorf("a task of an earlier process: %s", got)
	}
}

// The ids of questions are used once in a session, also when it goes on in
// another process.
func TestQuestionsOfARevivedSession(t *testing.T) {
	keys := seal.NewRandom()
	ask := func(r *runningServer, session string) string {
		s := r.stream("POST", toolCall("1", "ask"), session)
		s.prime()
		id := questionID(t, s.next().data)
		r.do("POST", accept(id, "Ada"), session)
		s.want(textResult("1", "accept Ada"))
		return id
	}
	tl := newTools()
	tl.addAsk(0)
	first := serve(t, &Server{MCP: tl.mcp, Keys: keys})
	session := first.initializeAs(mcp.Version20251125, asks)
	id := ask(first, session)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := serve(t, &Server{MCP: tl.mcp, Keys: keys})
	if other := ask(second, session); other == id {
		t.Errorf("the id %s is used again", id)
	}
}

// A handler that pings its client gives its worker up: where callers are
// authenticated the answer needs one.
func TestPingNeedsNoWorker(t *testing.T) {
	tl := newTools()
	tl.add("alive", time.Second, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, req.Session.Ping(ctx, nil)
	})
	inline := make(chan error, 1)
	tl.mcp.AddTool(&mcp.Tool{Name: "alive-now", InputSchema: json.RawMessage(`{"type":"object"}`), Class: mcp.ClassInline},
		func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			inline <- req.Session.Ping(ctx, nil)
			return nil, nil
		})
	r := serve(t, &Server{MCP: tl.mcp, Workers: 1, Auth: fakeAuth{make(chan auth.Credentials, 100)}, Policy: auth.AllowAll()})
	ann := "Authorization: Bearer ann"
	session := "Mcp-Session-Id: " + r.do("POST", initializeMessage(mcp.Version20251125), ann).header.Get("Mcp-Session-Id")
	s := r.stream("POST", toolCall("1", "alive"), session, ann)
	s.prime()
	id := questionID(t, s.next().data)
	if rep := r.do("POST", `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`, session, ann); rep.status != 202 {
		t.Errorf("answer: %d %s", rep.status, rep.body())
	}
	s.want(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	p := r.dial(ann)
	handshake(t, p, mcp.Version20251125)
	p.send(toolCall("1", "alive-now"))
	if err := <-inline; err == nil {
		t.Error("a handler on the event loop has waited for its client")
	}
	want(t, p, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
}
