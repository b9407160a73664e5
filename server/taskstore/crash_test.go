package taskstore

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/server/mcp"
)

const crashEnv = "TASKSTORE_TEST_CRASH" // directory, sync and first number of a child to be killed

func TestMain(m *testing.M) {
	if arg := os.Getenv(crashEnv); arg != "" {
		crashChild(arg)
		return
	}
	os.Exit(m.Run())
}

const (
	crashWorkers = 4
	crashTasks   = 5 // of each worker
)

// crashRecord is the record of task that has number seq; most are small.
func crashRecord(task, seq int) *mcp.TaskRecord {
	r := testRecord(testID(task), seq)
	size := []int{10, 100, 4000, 70_000, 10, 100, 4000, 10, 100, 4000, 10, 100, 4000, 10, 100, 300_000}[seq%16]
	r.Result = json.RawMessage(`"` + strings.Repeat(string(rune('a'+seq%26)), size) + `"`)
	return r
}

// crashChild puts and deletes tasks until it is killed. It says on standard
// output what it is about to do, and when it has been done.
func crashChild(arg string) {
	part := strings.Split(arg, "|")
	first, err := strconv.Atoi(part[2])
	if err == nil {
		var f *File
		if f, err = Open(part[0], &Options{Sync: part[1] == "true"}); err == nil {
			for w := range crashWorkers {
				go crashWorker(f, w, first)
			}
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func crashWorker(f *File, worker, seq int) {
	for ; ; seq++ {
		task := worker*crashTasks + seq%crashTasks
		remove := seq%11 == 0
		// A line is one write of less than PIPE_BUF: it is there or it is not.
		fmt.Printf("begin %d %d %v\n", task, seq, remove)
		var err error
		if remove {
			err = f.Delete(context.Background(), testID(task))
		} else {
			err = f.Put(context.Background(), crashRecord(task, seq))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("done %d %d %v\n", task, seq, remove)
	}
}

// crashState is what is known of a task: the number of its last record that was
// acknowledged, 0 for none, and what the child was doing with it.
type crashState struct {
	seq   int
	doing bool
	next  int // 0: it was being deleted
}

// TestKill kills a process that writes, many times over, and finds everything
// that it had acknowledged.
func TestKill(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 6
	}
	dir := filepath.Join(t.TempDir(), "tasks")
	states := make([]crashState, crashWorkers*crashTasks)
	acks, cut, partial, first := 0, 0, 0, 1
	for round := range rounds {
		n, last := killOnce(t, dir, round%4 == 3, first, states)
		acks += n
		first = last + 1
		left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
		if err != nil {
			t.Fatal(err)
		}
		partial += len(left)
		cut += checkKilled(t, dir, states)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d kills, %d acknowledged changes, %d changes cut off, of which %d left a partial file", rounds, acks, cut, partial)
	if acks < rounds || cut == 0 {
		t.Error("the children did too little for the test to mean something")
	}
}

// killOnce runs a child for a moment and notes what it said.
func killOnce(t *testing.T, dir string, durable bool, first int, states []crashState) (acks, last int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%v|%d", crashEnv, dir, durable, first))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	last = first
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var what string
		var task, seq int
		var remove bool
		if _, err := fmt.Sscan(lines.Text(), &what, &task, &seq, &remove); err != nil {
			t.Fatalf("the child said %q", lines.Text())
		}
		last = max(last, seq)
		s := &states[task]
		if remove {
			seq = 0
		}
		if what == "begin" {
			s.doing, s.next = true, seq
			continue
		}
		s.doing, s.seq = false, seq
		acks++
		once.Do(func() { time.AfterFunc(rand.N(40*time.Millisecond), func() { cmd.Process.Kill() }) })
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the child ended with %v", err)
	}
	return acks, last
}

// checkKilled opens the store and compares it with what was acknowledged.
func checkKilled(t *testing.T, dir string, states []crashState) (cut int) {
	t.Helper()
	f, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]*mcp.TaskRecord{}
	for r, err := range f.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[r.ID] = r
	}
	for task := range states {
		s := &states[task]
		got := 0
		if r := seen[testID(task)]; r != nil {
			if got, err = strconv.Atoi(r.StatusMessage); err != nil || !same(r, crashRecord(task, got)) {
				t.Errorf("task %d is not whole: %.200v", task, r)
			}
		}
		delete(seen, testID(task))
		if got != s.seq && (!s.doing || got != s.next) {
			t.Errorf("task %d has record %d, acknowledged was %d; under way (%v): %d", task, got, s.seq, s.doing, s.next)
		}
		if s.doing {
			cut++
		}
		s.seq, s.doing = got, false
	}
	for id := range seen {
		t.Errorf("there is a task %s", id)
	}
	names, err := f.disk.names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name != "lock" && !strings.HasSuffix(name, recordExt) {
			t.Errorf("there is a file %s", name)
		}
	}
	return cut
}
