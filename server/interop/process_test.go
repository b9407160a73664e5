package interop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server of ours that the tests started and end, by its process id.
type process struct {
	cmd  *exec.Cmd
	addr string // HOST:PORT
	log  *logBuffer
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; read after done
}

// listen starts a program with a free address as its last argument and waits until it accepts connections.
func listen(bin string, args ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(bin, append(args, addr)...), addr: addr, log: &logBuffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.awaitPort(10 * time.Second); err != nil {
		_ = p.cmd.Process.Kill()
		<-p.done
		return nil, fmt.Errorf("%s: %w\n%s", p, err, p.log.tail())
	}
	return p, nil
}

func (p *process) awaitPort(limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-p.done:
			return fmt.Errorf("ended before it listened: %v", p.err)
		default:
		}
		if conn, err := net.Dial("tcp", p.addr); err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("does not listen after %v", limit)
}

// stop asks the process to end and reports one that does not, or ends with a failure.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%s ended before its time: %w", p, err)
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second): // the default drain of 15 s, and some
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within 20s of SIGTERM", p)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p, p.err)
	}
	return nil
}

func (p *process) url() string    { return "http://" + p.addr + "/mcp" }
func (p *process) sseURL() string { return "http://" + p.addr + "/sse" }
func (p *process) wsURL() string  { return "ws://" + p.addr + "/mcp" }
func (p *process) String() string { return strings.Join(p.cmd.Args, " ") }

// freeAddr returns a loopback address that nobody listens on, below 32768, where the ports of outgoing connections
// begin: one of those could take the port between our look and the server's bind.
func freeAddr() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port between 20000 and 32000")
}

// logBuffer keeps what a process wrote.
type logBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *logBuffer) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b[max(0, len(l.b)-8192):])
}
