package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"millrace/benchmarks/daemon"
)

// bench starts servers for scenarios and owns them.
type bench struct {
	opts    *options
	dir     string // temporary: binaries and logs
	module  string // folder of this module
	log     *os.File
	stdout  io.Writer
	running []*daemon.Process
}

func newBench(ctx context.Context, o *options, stdout io.Writer) (*bench, error) {
	if o.addr != "" {
		return &bench{opts: o, stdout: stdout}, nil
	}
	dir, err := os.MkdirTemp("", "millrace-load-")
	if err != nil {
		return nil, err
	}
	b := &bench{opts: o, dir: dir, stdout: stdout}
	if err := b.prepare(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context) (err error) {
	// Appending, because start empties the file while an old server may still have it open.
	if b.log, err = os.OpenFile(filepath.Join(b.dir, "server.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if b.opts.bin != "" {
		return nil
	}
	if err := b.findModule(ctx); err != nil {
		return err
	}
	b.opts.bin, err = daemon.Build(ctx, filepath.Dir(b.module), "./cmd/millrace", b.dir)
	return err
}

func (b *bench) findModule(ctx context.Context) (err error) {
	if b.module, err = daemon.Module(ctx); err != nil {
		return fmt.Errorf("%w, or name a binary with --bin", err)
	}
	return nil
}

// serve starts the daemon, under a descriptor limit unless maxFiles is 0, with more flags, and waits until it is ready.
func (b *bench) serve(ctx context.Context, maxFiles int, flags ...string) (*daemon.Process, error) {
	if b.opts.addr != "" {
		return daemon.Attach(b.opts.addr, b.opts.admin, b.opts.pid), nil
	}
	c, err := b.command(flags...)
	if err != nil {
		return nil, err
	}
	c.MaxFiles = maxFiles
	return b.start(ctx, c)
}

// command is how the daemon is started, on addresses that are free.
func (b *bench) command(flags ...string) (daemon.Command, error) {
	addrs, err := daemon.FreeAddrs(2)
	if err != nil {
		return daemon.Command{}, err
	}
	addr, admin := addrs[0], addrs[1]
	args := []string{"serve", "--demo", "--listen", addr, "--admin", admin,
		"--drain-timeout", b.opts.drainTimeout.String(), "--log-format", "json"}
	args = append(append(args, flags...), strings.Fields(b.opts.serverArgs)...)
	return daemon.Command{Bin: b.opts.bin, Args: args, Addr: addr, Admin: admin}, nil
}

// serveHog starts fdhog, which has no admin endpoint.
func (b *bench) serveHog(ctx context.Context, maxFiles int) (*daemon.Process, error) {
	bin := b.opts.hogBin
	if bin == "" {
		if err := b.findModule(ctx); err != nil {
			return nil, err
		}
		var err error
		if bin, err = daemon.Build(ctx, b.module, "./fdhog", b.dir); err != nil {
			return nil, err
		}
	}
	addrs, err := daemon.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	return b.start(ctx, daemon.Command{Bin: bin, Args: []string{"--listen", addrs[0]}, MaxFiles: maxFiles, Addr: addrs[0]})
}

// serveStress starts the program stress, on the given cores unless there are none.
func (b *bench) serveStress(ctx context.Context, cores ...int) (*daemon.Process, error) {
	bin := b.opts.stressBin
	if bin == "" {
		if err := b.findModule(ctx); err != nil {
			return nil, err
		}
		var err error
		if bin, err = daemon.Build(ctx, b.module, "./stress", b.dir); err != nil {
			return nil, err
		}
	}
	addrs, err := daemon.FreeAddrs(2)
	if err != nil {
		return nil, err
	}
	return b.start(ctx, daemon.Command{
		Bin: bin, Args: []string{"--listen", addrs[0], "--admin", addrs[1]}, Cores: cores, Addr: addrs[0], Admin: addrs[1],
	})
}

// start starts a server and waits until it is ready.
func (b *bench) start(ctx context.Context, c daemon.Command) (*daemon.Process, error) {
	p, err := b.launch(c)
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx)
}

// launch starts a server and does not wait.
func (b *bench) launch(c daemon.Command) (*daemon.Process, error) {
	if err := b.log.Truncate(0); err != nil {
		return nil, err
	}
	c.Log = b.log
	p, err := daemon.Start(c)
	if err != nil {
		return nil, err
	}
	b.running = append(b.running, p)
	return p, nil
}

// needOwn fails for scenarios that signal or limit the server, which must not happen to one that runs already.
func (b *bench) needOwn() error {
	if b.opts.addr != "" {
		return errors.New("this scenario starts the server itself, it does not go with --addr")
	}
	return nil
}

// stopAll stops what was started.
func (b *bench) stopAll() {
	for _, p := range b.running {
		p.Stop(3 * time.Second)
	}
	b.running = nil
}

func (b *bench) close() {
	b.stopAll()
	if b.log != nil {
		_ = b.log.Close()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// logTail returns the last lines of the server's log, for a failed run.
func (b *bench) logTail() string {
	if b.log == nil {
		return ""
	}
	const keep = 4000
	text, err := os.ReadFile(b.log.Name())
	if err != nil || len(text) == 0 {
		return ""
	}
	return fmt.Sprintf("\nlog of the server, its end:\n%s\n", text[max(0, len(text)-keep):])
}
