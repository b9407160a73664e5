// Conformance runs the official MCP conformance suite against cmd/everything and judges what the suite writes, because its
// exit status ignores warnings, skipped checks and scenarios that it does not score. Usage: make conformance, or here
//
//	go run . [--only SCENARIO] [--url URL] [--keep]
//
// The npm packages must be installed (npm ci). It is a module of its own, so that node_modules is no part of millrace.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

type options struct {
	only string // one scenario instead of the suites
	url  string // of a server that runs already
	keep bool   // the files that the suite wrote
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "run one `scenario`, at each revision that has it")
	flag.StringVar(&o.url, "url", "", "test the server at this `URL` instead of starting one")
	flag.BoolVar(&o.keep, "keep", false, "keep the files that the suite writes, and the log of the server")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "conformance: unexpected argument %q\n", flag.Arg(0))
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	problems, err := conformance(ctx, o, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(exitFailure)
	case problems > 0:
		os.Exit(exitFailure)
	}
	os.Exit(exitOK)
}

// conformance runs what o asks for and returns the number of problems.
func conformance(ctx context.Context, o options, w io.Writer) (problems int, err error) {
	dir, err := os.MkdirTemp("", "millrace-conformance-")
	if err != nil {
		return 0, err
	}
	if o.keep {
		fmt.Fprintf(w, "the files are kept in %s\n", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }() // what is left of it harms nobody
	}
	st, err := newSuite(ctx, dir)
	if err != nil {
		return 0, err
	}
	runs := suites
	if o.only != "" {
		if runs, err = st.runsOf(o.only); err != nil {
			return 0, err
		}
	}
	if o.url == "" {
		p, failed := startEverything(ctx, filepath.Join(dir, "server"))
		if failed != nil {
			return 0, failed
		}
		o.url = p.url()
		defer func() { err = errors.Join(err, p.stop()) }()
	}
	fmt.Fprintf(w, "%s against %s\n", st.version, o.url)
	var rep report
	for _, r := range runs {
		start := time.Now()
		out, err := st.run(ctx, r, o.url)
		if err != nil {
			return 0, err
		}
		fmt.Fprintf(w, "ran %-16s %2d scenarios in %.1fs\n", r.name, len(out), time.Since(start).Seconds())
		rep.add(r, out)
	}
	rep.writeProblems(w)
	rep.writeNotes(w)
	rep.writeTable(w, o.only == "")
	return len(rep.problems), nil
}
