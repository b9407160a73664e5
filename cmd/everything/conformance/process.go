package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// firstPort is tried first, then those above it. All are below 32768, where the ports of outgoing connections begin.
const firstPort, lastPort = 18080, 18180

// process is a server that was started here and is ended here, by its process id.
type process struct {
	cmd  *exec.Cmd
	addr string
	log  string        // file
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// startEverything builds cmd/everything, starts it and waits until it answers.
func startEverything(ctx context.Context, dir string) (*process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "everything")
	build := exec.CommandContext(ctx, "go", "build", "-C", "../../..", "-o", bin, "./cmd/everything")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(bin, "--listen", addr), addr: addr, log: filepath.Join(dir, "log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.awaitAnswer(ctx); err != nil {
		_ = p.cmd.Process.Kill()
		<-p.done
		return nil, p.failed(err)
	}
	return p, nil
}

func freeAddr() (string, error) {
	for port := firstPort; port <= lastPort; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

// awaitAnswer waits until the server answers a request, whatever it says.
func (p *process) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ; ; time.Sleep(20 * time.Millisecond) {
		select {
		case <-p.done:
			return fmt.Errorf("ended before it answered: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", ctx.Err())
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodOptions, p.url(), nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			return res.Body.Close()
		}
	}
}

// stop asks the process to end and reports one that does not, ended before, or says that something went wrong.
func (p *process) stop() error {
	http.DefaultClient.CloseIdleConnections()
	select {
	case <-p.done:
		return p.failed(fmt.Errorf("ended before its time: %w", p.err))
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return p.failed(err)
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second): // the default drain of 15 s, and some
		_ = p.cmd.Process.Kill()
		<-p.done
		return p.failed(fmt.Errorf("did not end within 20s of SIGTERM"))
	}
	if p.err != nil {
		return p.failed(p.err)
	}
	return nil
}

func (p *process) failed(err error) error {
	log, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s: %w\n%s", p.cmd, err, tail(log))
}

func (p *process) url() string { return "http://" + p.addr + "/mcp" }
