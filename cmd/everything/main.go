// Command everything serves every feature of the protocol, on millrace's public
// API alone. It is the example to look things up in, a file for each feature,
// and what the official conformance suite is run against (make conformance):
// tools, prompts and resources whose names begin with test are the suite's
// fixtures, and say what its documentation wants them to say.
//
//	everything [--listen HOST:PORT | --stdio] [--dir DIR] [--page N] [--legacy-sse] [--log-level LEVEL]
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

	"millrace/server"
	"millrace/server/mcp"
)

// Exit codes, as those of millrace.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// options are the command line.
type options struct {
	listen    string
	stdio     bool
	dir       string
	page      int
	legacySSE bool
	logLevel  slog.Level
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole program.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.logLevel}))
	tools := newServer(ctx, o, log)
	if o.dir != "" {
		closeDir, err := addDirectory(tools, o.dir)
		if err != nil {
			fmt.Fprintln(stderr, "everything: --dir:", err)
			return exitFailure
		}
		defer closeDir()
	}
	srv := &server.Server{Addr: o.listen, MCP: tools, LegacySSE: o.legacySSE, Logger: log}
	srv.Hooks.Started = func(server.Info) {
		for _, url := range srv.Endpoints() {
			fmt.Fprintf(stderr, "endpoint   %s\n", url)
		}
	}
	if o.stdio {
		err = srv.RunStdio(ctx, stdin, stdout)
	} else {
		err = srv.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(stderr, "everything:", err)
		return exitFailure
	}
	return exitOK
}

// parse reads the command line. What is wrong with it has been written to
// stderr when it returns.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("everything", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` for HTTP and WebSocket")
	flags.BoolVar(&o.stdio, "stdio", false, "serve on standard input and output instead")
	flags.StringVar(&o.dir, "dir", "", "serve the files under this `directory` as file:///served/...")
	flags.IntVar(&o.page, "page", 0, "most entries on a page of a list (default 1000)")
	flags.BoolVar(&o.legacySSE, "legacy-sse", false, "serve the HTTP+SSE transport of 2024-11-05 too")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "least `level` to log: debug, info, warn, error")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.page < 0:
		err = fmt.Errorf("--page: %d is negative", o.page)
	}
	if err != nil {
		fmt.Fprintln(stderr, "everything:", err)
	}
	return o, err
}

// newServer returns the server with all features. What changes by itself stops
// changing when ctx ends.
func newServer(ctx context.Context, o options, log *slog.Logger) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "everything", Title: "Everything", Version: "1.0.0"}, &mcp.ServerOptions{
		Instructions: "Every feature of the protocol once. Call the tool about first.",
		Logger:       log,
		PageSize:     o.page,
		// Tools, prompts, resources, completions, tasks and skills are declared
		// because they are there. Logging is not: tools may log at any time.
		Capabilities:      &mcp.ServerCapabilities{Logging: &mcp.LoggingCapabilities{}},
		CompletionHandler: complete,
	})
	addAbout(s)
	addSchemaTools(s)
	addContentTools(s)
	addStreamTools(s)
	addAskingTools(s)
	addRoundTools(s)
	addTaskTools(s)
	addChangeTools(s)
	addPrompts(s)
	addResources(s)
	addWatchedResource(ctx, s)
	addSkills(s)
	addApps(s)
	addMethods(s)
	return s
}
