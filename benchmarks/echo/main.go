// Command echo is a WebSocket echo server on the engine's own loop and codec, for protocol test suites from outside:
// Autobahn's fuzzing client and the like. It serves /echo, sends every message back with the opcode it came with, and
// ends on SIGTERM as the engine does, by a drain.
//
// The tests beside it ask what Autobahn's fuzzing client asks in its chapters 1 to 7 and 10, without Autobahn. To let
// Autobahn itself ask, where it is installed, start the server as it is by default and run, in this folder,
//
//	wstest -m fuzzingclient -s testdata/fuzzingclient.json
//
// Chapters 12 and 13 are left out: they are about compression, which the codec does not offer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"millrace/loop"
)

// drainTimeout is how long clients have to take what was written for them, and to answer the Close frame.
const drainTimeout = 10 * time.Second

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // the port is in use, or the drain took too long
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends, then drains. It tells on log where it listens.
func run(ctx context.Context, args []string, log io.Writer) int {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.SetOutput(log)
	listen := flags.String("listen", "127.0.0.1:9001", "`host:port` to listen on")
	loops := flags.Int("loops", 1, "`number` of event loops")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0 || *loops < 1:
		fmt.Fprintln(log, "echo: wrong arguments: see -h")
		return exitUsage
	}
	cfg := config(*listen, *loops)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	if err := serve(ctx, cfg, log); err != nil {
		fmt.Fprintln(log, "echo:", err)
		return exitFailure
	}
	return exitOK
}

func serve(ctx context.Context, cfg loop.Config, log io.Writer) error {
	e, err := loop.Start(cfg, handler{})
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "echo: serving ws://%s%s\n", e.Addrs()[0], path)
	select {
	case <-ctx.Done():
	case <-e.Done():
		return fmt.Errorf("the event loops ended: %w", e.Err())
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return e.Drain(drain)
}
