// Package daemon builds, starts, watches and stops the server under test. It never leaves one behind:
// a started process is killed with its parent, whatever way the parent ends.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Module returns the folder of this module, found from the working directory, which go run keeps.
func Module(ctx context.Context) (dir string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	path, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || path != "millrace/benchmarks" {
		return "", errors.New("run it inside benchmarks, as go -C benchmarks run does")
	}
	return dir, nil
}

// Build compiles the package pkg of the module in dir, with more flags of go build, and returns the path of the binary
// in out.
func Build(ctx context.Context, dir, pkg, out string, flags ...string) (string, error) {
	bin := filepath.Join(out, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", bin, pkg)...)
	cmd.Dir = dir
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s in %s: %w\n%s", pkg, dir, err, msg)
	}
	return bin, nil
}

// Command says what to start.
type Command struct {
	Bin  string
	Args []string
	// MaxFiles is the descriptor limit of the process; 0 keeps the one of the load program.
	MaxFiles int
	// Cores are the processor cores that the process may use; nil means all of the load program's.
	Cores []int
	// Log receives the process's standard error and output.
	Log *os.File
	// Addr is where the server will listen for data, Admin for its admin endpoint (may be empty).
	Addr, Admin string
}

// Process is a server that was started here, or one that runs already (Attach). Its methods may be called from any goroutine.
type Process struct {
	PID         int
	Addr, Admin string

	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, readable once done is closed
	http http.Client
}

// Attach describes a running server. pid may be 0, then nothing of /proc is known about it.
func Attach(addr, admin string, pid int) *Process {
	return &Process{PID: pid, Addr: addr, Admin: admin, http: adminClient()}
}

// Every reading of the admin endpoint uses a connection of its own and ends it: a kept connection would count among
// the descriptors and goroutines that are being measured.
func adminClient() http.Client {
	return http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// Start starts the server. It does not wait until it is ready.
func Start(c Command) (*Process, error) {
	name, args := c.Bin, c.Args
	if c.MaxFiles > 0 {
		script := "ulimit -n " + strconv.Itoa(c.MaxFiles) + ` && exec "$0" "$@"`
		name, args = "/bin/sh", append([]string{"-c", script, c.Bin}, args...)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	// A group of its own: ^C on the terminal must reach the load program alone, which then stops the server by pid.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &Process{Addr: c.Addr, Admin: c.Admin, cmd: cmd, done: make(chan struct{}), http: adminClient()}
	started := make(chan error)
	go p.run(started, c.Cores)
	if err := <-started; err != nil {
		return nil, err
	}
	p.PID = cmd.Process.Pid
	return p, nil
}

// run starts the process and waits for its end on one locked thread, because prctl(2) PR_SET_PDEATHSIG counts the
// exit of the creating *thread* as the death of the parent.
//
// A process inherits the cores of the thread that creates it. A thread that was pinned ends with its goroutine.
func (p *Process) run(started chan<- error, cores []int) {
	runtime.LockOSThread()
	if cores == nil {
		defer runtime.UnlockOSThread()
	}
	err := pin(cores)
	if err == nil {
		err = p.cmd.Start()
	}
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// pin restricts the calling thread to the given cores, unless there are none.
func pin(cores []int) error {
	if len(cores) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pinning to cores %v: %w", cores, err)
	}
	return nil
}

// Ready waits until the server is ready: /readyz answers 200, or, without an admin endpoint, the data port accepts.
func (p *Process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		err := p.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("server ended before it was ready: %w", p.exitError())
		case <-ctx.Done():
			return fmt.Errorf("server not ready: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Process) probe(ctx context.Context) error {
	if p.Admin != "" {
		_, err := p.get(ctx, "/readyz")
		return err
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// get reads a path of the admin endpoint.
func (p *Process) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, res.Status, b)
	}
	return b, err
}

// Signal sends sig to the process.
func (p *Process) Signal(sig syscall.Signal) error { return syscall.Kill(p.PID, sig) }

// Done is closed when the process has ended. It is nil, and so blocks for ever, for an attached process.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive reports whether the process still runs.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return p.PID == 0 || syscall.Kill(p.PID, 0) == nil
	}
}

// ExitCode returns the exit code of a process that has ended, or -1 when a signal ended it.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

func (p *Process) exitError() error {
	if p.err == nil {
		return errors.New("exit code 0")
	}
	return p.err
}

// Stop ends a process that was started here: SIGTERM, and SIGKILL after grace. An attached process is left alone.
func (p *Process) Stop(grace time.Duration) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(grace):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// FreeAddrs returns n different loopback addresses nobody listens on at this moment.
func FreeAddrs(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // when all are chosen, or the second could be the first again
		addrs[i] = ln.Addr().String()
	}
	return addrs, nil
}
