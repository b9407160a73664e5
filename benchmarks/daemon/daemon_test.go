package daemon

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestGauges(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       Gauges
	}{
		{"nested", `{"connections":{"active":3,"total":9},"sessions":{"active":2},"runtime":{"goroutines":11}}`, Gauges{3, 2, 11, Unknown}},
		{"flat", `{"active_connections":4,"sessions":5,"Goroutines":6,"version":"x","loops":[1]}`, Gauges{4, 5, 6, Unknown}},
		{"silent", `{}`, Gauges{Unknown, Unknown, Unknown, Unknown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tt.body)) }))
			defer srv.Close()
			got, err := Attach("", strings.TrimPrefix(srv.URL, "http://"), 0).Gauges(t.Context())
			if err != nil || got != tt.want {
				t.Errorf("Gauges = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	before, err := ReadUsage(os.Getpid())
	if err != nil || before.RSS < 1<<20 || before.CPU <= 0 {
		t.Fatalf("own usage = %+v, %v", before, err)
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zero.Close()
	one := make([]byte, 1)
	for range 1000 {
		if _, err := zero.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	after, err := ReadUsage(os.Getpid())
	if n := after.Reads - before.Reads; err != nil || n < 1000 || n > 1100 || after.CPU <= before.CPU {
		t.Errorf("after 1000 reads: %+v, before %+v, %v", after, before, err)
	}
	if _, err := ReadUsage(1 << 30); err == nil {
		t.Error("usage of a process that cannot be")
	}
	if got := procNumber([]byte("Name:\tx\nVmRSS:\t    2 kB\n"), "VmRSS:"); got != 2 {
		t.Errorf("VmRSS = %d, want 2", got)
	}
	if got := procNumber([]byte("a: 1"), "b:"); got != 0 {
		t.Errorf("absent = %d, want 0", got)
	}
}

func TestCores(t *testing.T) {
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p, err := Start(Command{Bin: "/bin/sh", Args: []string{"-c", "grep Cpus_allowed_list /proc/self/status"}, Cores: []int{0}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if out, err := os.ReadFile(log.Name()); err != nil || string(out) != "Cpus_allowed_list:\t0\n" {
		t.Errorf("cores = %q, %v, want 0", out, err)
	}
	if _, err := Start(Command{Bin: "/bin/sh", Cores: []int{1023}, Log: log}); err == nil {
		t.Error("pinned to a core that does not exist")
	}
}

// start runs a shell script as the server.
func start(t *testing.T, maxFiles int, script string) (*Process, *os.File) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	p, err := Start(Command{Bin: "/bin/sh", Args: []string{"-c", script}, MaxFiles: maxFiles, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p, log
}

func TestProcess(t *testing.T) {
	p, log := start(t, 99, "ulimit -n; exit 3")
	if got := p.ExitCode(); got != 3 || p.Alive() {
		t.Errorf("exit code = %d, alive = %v, want 3 and false", got, p.Alive())
	}
	if out, err := os.ReadFile(log.Name()); err != nil || string(out) != "99\n" {
		t.Errorf("descriptor limit = %q, %v, want 99", out, err)
	}

	p, _ = start(t, 0, "trap '' TERM; while :; do sleep 1; done")
	if !p.Alive() {
		t.Error("process is not alive")
	}
	p.Stop(50 * time.Millisecond)
	if p.Alive() || syscall.Kill(p.PID, 0) == nil {
		t.Error("process survived Stop")
	}

	p, _ = start(t, 0, "exit 0")
	p.Addr = "127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Ready(ctx); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("Ready of a dead process = %v", err)
	}
}

func TestStartMissingBinary(t *testing.T) {
	if _, err := Start(Command{Bin: "/nonexistent"}); err == nil {
		t.Error("Start of a missing binary succeeded")
	}
}
