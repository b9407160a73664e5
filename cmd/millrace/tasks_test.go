package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDataDir(t *testing.T) {
	for _, tt := range []struct {
		name  string
		env   map[string]string
		flags []string
		want  string // directory that holds the tasks of serve; empty: none
		stdio string // the same of stdio
	}{
		{"nothing", nil, nil, "", ""},
		{"flag", nil, []string{"--data-dir=BASE/a", "--sync"}, "a", "a"},
		{"environment", map[string]string{"MILLRACE_DATA_DIR": "BASE/b"}, nil, "b", "b"},
		{"systemd", map[string]string{"STATE_DIRECTORY": "BASE/c"}, nil, "c", ""},
		{"systemd, several", map[string]string{"STATE_DIRECTORY": "BASE/d:BASE/e"}, []string{"--sync"}, "d", "error"},
		{"flag and systemd", map[string]string{"STATE_DIRECTORY": "BASE/f"}, []string{"--data-dir=BASE/g"}, "g", "g"},
		{"off, with systemd", map[string]string{"STATE_DIRECTORY": "BASE/h"}, []string{"--data-dir="}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, command := range []string{"serve", "stdio"} {
				base := t.TempDir()
				for k, v := range tt.env {
					t.Setenv(k, strings.ReplaceAll(v, "BASE", base))
				}
				var flags []string
				for _, f := range tt.flags {
					flags = append(flags, strings.ReplaceAll(f, "BASE", base))
				}
				var code int
				want := tt.want
				if command == "serve" {
					d := startDaemon(t, append(flags, "--listen=127.0.0.1:0", "--admin=")...)
					d.errs.find(t, `endpoint +(http://\S+)`)
					d.stop()
					code = d.wait(t)
				} else {
					want = tt.stdio
					code, _, _ = program(t, "", append([]string{"stdio"}, flags...)...)
				}
				if want == "error" { // --sync without a directory
					if code != exitUsage {
						t.Errorf("%s: exit code %d, want %d", command, code, exitUsage)
					}
					want = ""
				} else if code != exitOK {
					t.Errorf("%s: exit code %d", command, code)
				}
				got, err := filepath.Glob(base + "/*/*/lock")
				if err != nil || want == "" && got != nil || want != "" && (len(got) != 1 || got[0] != filepath.Join(base, want, "tasks", "lock")) {
					t.Errorf("%s: tasks are kept in %v, want %q", command, got, want)
				}
			}
		})
	}
}

// Two processes cannot use one directory, until the first has ended.
func TestDataDirInUse(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, "--listen=127.0.0.1:0", "--admin=", "--data-dir="+dir)
	d.errs.find(t, `endpoint +(http://\S+)`)
	for _, args := range [][]string{{"serve", "--listen=127.0.0.1:0", "--admin="}, {"stdio"}} {
		code, _, stderr := program(t, "", append(args, "--data-dir="+dir)...)
		if last := lastLine(stderr); code != exitFailure || !strings.Contains(last, "in use by process") || !strings.Contains(last, dir) {
			t.Errorf("%v: exit code %d, %q, want 1 and a line that names process and directory", args, code, last)
		}
	}
	d.stop()
	if code := d.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if code, _, stderr := program(t, "", "stdio", "--data-dir="+dir); code != exitOK {
		t.Errorf("after the first has ended: exit code %d, %s", code, stderr)
	}
}

func TestDataDirRefused(t *testing.T) {
	open, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.MkdirAll(open+"/tasks", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open+"/tasks", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--data-dir=" + open}, exitFailure, "run chmod go-w"},
		{[]string{"--data-dir=" + file}, exitFailure, "not a directory"},
		{[]string{"--sync"}, exitUsage, "set --data-dir"},
	} {
		for _, command := range [][]string{{"serve", "--listen=127.0.0.1:0", "--admin="}, {"stdio"}} {
			code, _, stderr := program(t, "", append(command, tt.args...)...)
			if last := lastLine(stderr); code != tt.code || !strings.Contains(last, tt.want) {
				t.Errorf("%v: exit code %d, %q, want %d and %q", append(command, tt.args...), code, last, tt.code, tt.want)
			}
		}
	}
}

// A finished task is there after a restart, one that was working has failed.
func TestTasksSurvive(t *testing.T) {
	dir := t.TempDir()
	const message = `{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}`
	var d *daemon
	var url string
	start := func() {
		d = startDaemon(t, "--demo", "--listen=127.0.0.1:0", "--admin=", "--drain-timeout=1s", "--data-dir="+dir)
		url = d.errs.find(t, `endpoint +(http://\S+)`)
	}
	create := func(seconds string) string {
		t.Helper()
		out := post(t, url, "tools/call", "sleep", fmt.Sprintf(message, "tools/call", `"name":"sleep","arguments":{"seconds":`+seconds+`}`))
		_, id, _ := strings.Cut(out, `"taskId":"`)
		id, _, _ = strings.Cut(id, `"`)
		if id == "" {
			t.Fatalf("no task: %s", out)
		}
		return id
	}
	get := func(id string) string {
		t.Helper()
		return post(t, url, "tasks/get", id, fmt.Sprintf(message, "tasks/get", `"taskId":"`+id+`"`))
	}
	start()
	short, long := create("0.01"), create("3600")
	for !strings.Contains(get(short), `"status":"completed"`) {
		time.Sleep(time.Millisecond)
	}
	if got := get(long); !strings.Contains(got, `"status":"working"`) {
		t.Errorf("a task that works: %s", got)
	}
	d.stop()
	d.wait(t)
	start()
	if got := get(short); !strings.Contains(got, `slept 10ms`) {
		t.Errorf("a finished task: %s", got)
	}
	if got := get(long); !strings.Contains(got, `"status":"failed"`) || !strings.Contains(got, "server was stopped") {
		t.Errorf("a task that was working: %s", got)
	}
	d.stop()
	d.wait(t)
}
