// Command millrace serves Model Context Protocol tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something went wrong while running: a port in use, a drain that took too long
	exitUsage   = 2 // the command line is wrong
)

// cli is the command line. Every flag has a twin in the environment:
// --drain-timeout is MILLRACE_DRAIN_TIMEOUT.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Serve MCP over Streamable HTTP and WebSocket."`
	Check   checkCmd   `cmd:"" help:"Say what would keep serve from starting with the same flags, without taking an address."`
	Stdio   stdioCmd   `cmd:"" help:"Serve MCP on standard input and output."`
	Key     keyCmd     `cmd:"" help:"Make API keys."`
	Version versionCmd `cmd:"" help:"Show the version."`
}

// env is what a command sees of the world, so that tests can give it another.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	// force is closed by a second signal.
	force <-chan struct{}
	// hangups returns what receives on SIGHUP from then on; nil: nothing does.
	hangups func() <-chan struct{}
}

func main() {
	ctx, force := signals()
	os.Exit(run(os.Args[1:], &env{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, force: force, hangups: hangups}))
}

// run is the whole program.
func run(args []string, e *env) int {
	var c cli
	exited := false
	p, err := kong.New(&c,
		kong.Name("millrace"),
		kong.Description("A Model Context Protocol server engine."),
		kong.DefaultEnvars("MILLRACE"),
		kong.Vars{"state_directory": stateDirectory(os.Getenv("STATE_DIRECTORY"))},
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(int) { exited = true }),
	)
	if err != nil {
		fmt.Fprintln(e.stderr, "millrace:", err)
		return exitFailure
	}
	k, err := p.Parse(args)
	if exited { // --help
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(e.stderr, "millrace:", err)
		return exitUsage
	}
	if err := k.Run(e); err != nil {
		fmt.Fprintln(e.stderr, "millrace:", err)
		if errors.As(err, new(usageError)) {
			return exitUsage
		}
		return exitFailure
	}
	return exitOK
}

// usageError is a mistake on the command line that only shows when the flags
// are looked at together.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }
