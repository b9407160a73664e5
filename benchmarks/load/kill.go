package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	// tasksPerKey is less than the 1,000 tasks that the server keeps for one principal; hence the keys.
	tasksPerKey    = 800
	killWriters    = 4  // connections of each key, which create one task after the other
	longTaskEvery  = 50 // tasks: one that still works when the process is killed
	mostStart      = 300 * time.Millisecond
	restartedWords = "restarted"
)

// taskMeta declares the extension with a request; without it a call is answered by its result.
const taskMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + client.VersionModern + `",` +
	`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// A task is one that a client was told of.
type task struct {
	id, key string
	long    bool
}

// killRun is what the writers share.
type killRun struct {
	addr, path string
	killing    atomic.Bool // from here on a connection may end
	inFlight   atomic.Int64
	acked      atomic.Int64
	enough     chan struct{} // closed when as many are told as were wanted
	want       int64

	mu     sync.Mutex
	tasks  []task
	faults faults
}

// kill ends the server with SIGKILL while clients create tasks, starts it again and looks for them.
func kill(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	want := pick(o, 5000, 200)
	keyFile, data := filepath.Join(b.dir, "kill.keys"), filepath.Join(b.dir, "kill.data")
	keys := make([]string, want/tasksPerKey+1)
	for i := range keys {
		var err error
		if keys[i], err = b.newKey(ctx, keyFile, fmt.Sprintf("key%d", i)); err != nil {
			return err
		}
	}
	flags := []string{"--data-dir", data, "--api-keys", keyFile, "--allow", "tool:*"}
	p, empty, err := b.startTimed(ctx, flags)
	if err != nil {
		return err
	}
	k := &killRun{addr: p.Addr, path: o.path, want: int64(want), enough: make(chan struct{})}
	inFlight, err := k.create(ctx, p, keys)
	if err != nil {
		return err
	}
	p, restart, err := b.startTimed(ctx, flags)
	if err != nil {
		return err
	}
	found := k.find(ctx, p.Addr, keys)
	bad, err := filepath.Glob(filepath.Join(data, "*", "*.bad"))
	if err != nil {
		return err
	}

	r.count("tasks that clients were told of", int64(len(k.tasks)))
	r.count("creations without an answer at the kill", inFlight)
	r.figure("start without tasks", float64(empty.Milliseconds()), "ms")
	k.faults.check(r, "nothing unexpected")
	r.check("killed in the middle of writes", inFlight > 0, "%d creations were open", inFlight)
	r.promise("R12", "tasks after kill -9", true, found == len(k.tasks) && len(k.tasks) >= want, "every one that a client was told of is readable",
		"%d of %d", found, len(k.tasks))
	r.check("no file of a task is damaged", len(bad) == 0, "%d put aside", len(bad))
	r.promise("R12", "restart", !o.noGate, restart <= mostStart, "<= 300 ms from exec to listening", "%.0f ms with %d tasks", millis(restart), len(k.tasks))
	return ctx.Err()
}

// startTimed starts the daemon and returns how long it took from exec until it took a connection.
func (b *bench) startTimed(ctx context.Context, flags []string) (*daemon.Process, time.Duration, error) {
	c, err := b.command(flags...)
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	p, err := b.launch(c)
	if err != nil {
		return nil, 0, err
	}
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr)
		took := time.Since(start)
		if err == nil {
			_ = conn.Close()
			return p, took, p.Ready(ctx)
		}
		if !p.Alive() || took > answerTime {
			return nil, took, fmt.Errorf("the server does not listen after %v: %w", took, err)
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return nil, took, err
		}
	}
}

// create has the writers work until enough tasks are told of, and kills the server while they go on. It returns how
// many creations were open then.
func (k *killRun) create(ctx context.Context, p *daemon.Process, keys []string) (inFlight int64, err error) {
	var wg sync.WaitGroup
	for _, key := range keys {
		for range killWriters {
			wg.Go(func() {
				if err := k.writer(ctx, key); err != nil && !k.killing.Load() && ctx.Err() == nil {
					k.faults.add("creating tasks: %v", err)
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	select {
	case <-k.enough:
	case <-ended:
		return 0, fmt.Errorf("the writers have given up after %d tasks: %v", k.acked.Load(), k.faults.first)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	k.killing.Store(true)
	inFlight = k.inFlight.Load()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return 0, err
	}
	<-p.Done()
	<-ended
	return inFlight, nil
}

// writer creates tasks, one after the other, until its connection ends. A task counts when the client was told of it.
func (k *killRun) writer(ctx context.Context, key string) error {
	p, err := dialWSAs(ctx, k.addr, k.path, key, client.Modern)
	if err != nil {
		return err
	}
	defer p.Abort()
	for id := int64(1); ctx.Err() == nil; id++ {
		long := id%longTaskEvery == 0
		seconds := "0"
		if long {
			seconds = "3600"
		}
		k.inFlight.Add(1)
		var told struct{ TaskID string }
		err := askTask(p, id, "tools/call", `"name":"sleep","arguments":{"seconds":`+seconds+`}`, &told)
		k.inFlight.Add(-1)
		if err == nil && told.TaskID == "" {
			err = fmt.Errorf("no task: %.200s", p.answer.Result)
		}
		if err != nil {
			return err
		}
		k.mu.Lock()
		k.tasks = append(k.tasks, task{told.TaskID, key, long})
		k.mu.Unlock()
		if k.acked.Add(1) == k.want {
			close(k.enough)
		}
	}
	return nil
}

// askTask sends a request of a client that knows tasks, and decodes the result.
func askTask(p *wsPeer, id int64, method, params string, result any) error {
	if err := p.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if err := p.Write(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s,%s}}`, id, method, params, taskMeta)); err != nil {
		return err
	}
	if _, err := p.receive(); err != nil {
		return err
	}
	a := &p.answer
	switch {
	case !a.HasID || a.ID != id:
		return fmt.Errorf("%s: answer for id %d, want %d", method, a.ID, id)
	case a.Failed:
		return fmt.Errorf("%s: %w", method, &refusal{a.Code, string(a.Message)})
	}
	return json.Unmarshal(a.Result, result)
}

// find asks for every task with the key that made it, and returns how many are as they must be.
func (k *killRun) find(ctx context.Context, addr string, keys []string) (found int) {
	peers := make(map[string]*wsPeer, len(keys))
	for _, key := range keys {
		p, err := dialWSAs(ctx, addr, k.path, key, client.Modern)
		if err != nil {
			k.faults.add("after the restart: %v", err)
			return 0
		}
		defer p.Abort()
		peers[key] = p
	}
	for i, t := range k.tasks {
		if err := t.check(peers[t.key], int64(i)); err != nil {
			k.faults.add("task %d of %d: %v", i, len(k.tasks), err)
			continue
		}
		found++
	}
	return found
}

// check asks for the task. A short one has completed, or was cut off as a long one was.
func (t *task) check(p *wsPeer, id int64) error {
	var got struct {
		TaskID, Status string
		Result         json.RawMessage
		Error          json.RawMessage
	}
	if err := askTask(p, id, "tasks/get", `"taskId":"`+t.id+`"`, &got); err != nil {
		return err
	}
	ok := got.TaskID == t.id
	switch got.Status {
	case "completed":
		ok = ok && !t.long && strings.Contains(string(got.Result), "slept 0s")
	case "failed":
		ok = ok && strings.Contains(string(got.Error), restartedWords)
	default:
		ok = false
	}
	if !ok {
		return errors.New("not as it must be: " + string(p.answer.Result))
	}
	return nil
}
