package loop_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"millrace/loop"
	"millrace/loop/looptest"
)

// scarceEnv makes the test binary run serveWithFewFiles.
const scarceEnv = "MILLRACE_LOOP_SCARCE"

// TestScarceFiles: an engine whose process has no descriptor left goes on, and
// accepts again when there are some.
func TestScarceFiles(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "ulimit -n 128 && exec \"$0\" -test.run=^$", os.Args[0])
	cmd.Env = append(os.Environ(), scarceEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewScanner(stdout)
	line := func() string {
		if !out.Scan() {
			t.Fatalf("the server has ended: %v", out.Err())
		}
		return out.Text()
	}
	addr := line()
	old := dial(t, addr)
	old.echoes("before")

	// More connections than allowed: refused, one by one.
	var flood []*client
	for range 200 {
		flood = append(flood, dial(t, addr))
	}
	for _, c := range flood[100:] {
		if r := c.response(); r.Status != 503 {
			t.Fatalf("told %+v", r)
		}
	}
	for _, c := range flood {
		c.Close()
	}
	old.echoes("after the flood")

	// No descriptor for anyone.
	fmt.Fprintln(in, "hoard")
	if got := line(); got != "hoarded" {
		t.Fatalf("the server says %q", got)
	}
	waiting := dial(t, addr) // the kernel accepts, the engine cannot
	waiting.say(looptest.Request("POST", "/", "patience"))
	if got := line(); got != "accept failed" {
		t.Fatalf("the server says %q", got)
	}
	old.echoes("while nothing can be accepted")
	fmt.Fprintln(in, "release")
	if r := waiting.response(); r.Body != "patience" {
		t.Errorf("answered with %+v", r)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// serveWithFewFiles serves until its input ends, and does what it reads there.
func serveWithFewFiles() int {
	log := &noticing{what: "cannot accept connections", say: "accept failed"}
	e, err := loop.Start(loop.Config{Listeners: []loop.Listener{{Addr: "127.0.0.1:0"}}, Logger: log.logger()}, &looptest.Handler{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(e.Addrs()[0])
	var hoard []*os.File
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "hoard":
			for {
				f, err := os.Open(os.DevNull)
				if err != nil {
					break
				}
				hoard = append(hoard, f)
			}
			fmt.Println("hoarded")
		case "release":
			for _, f := range hoard {
				f.Close()
			}
		}
	}
	e.Stop()
	if err := e.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// noticing is a log that repeats one message on standard output in words of its
// own.
type noticing struct{ what, say string }

func (n *noticing) logger() *slog.Logger { return slog.New(slog.NewTextHandler(n, nil)) }

func (n *noticing) Write(p []byte) (int, error) {
	if strings.Contains(string(p), n.what) {
		fmt.Println(n.say)
	}
	return len(p), nil
}
