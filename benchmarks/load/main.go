// Command load puts a Millrace daemon under load and checks every answer. It builds, starts and stops the daemon
// itself. See benchmarks/README.md for the scenarios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags of all scenarios; each reads those that concern it.
type options struct {
	bin, hogBin       string
	stressBin         string
	addr, admin, path string
	pid               int
	serverArgs        string
	json, out         string
	short             bool

	duration     time.Duration
	clients      int
	think        time.Duration
	rate, conns  int
	maxLatency   time.Duration
	noGate       bool
	drainTimeout time.Duration
	maxFiles     int
	flood        int
	seed         uint64
}

// A scenario loads one freshly started server and fills the report. Its error says that the run could not be made;
// what the server did wrong is a failed check.
type scenario func(context.Context, *options, *bench, *Report) error

var scenarios = []struct {
	name string
	run  scenario
}{
	{"churn", churn},
	{"rate", rate},
	{"drain", drain},
	{"fdlimit", fdlimit},
	{"idle", idle},
	{"atlimit", atlimit},
	{"slow", slow},
	{"overload", overload},
	{"badtokens", badtokens},
	{"kill", kill},
	{"rolling", rolling},
	{"soak", soak},
}

const usage = `usage: load SCENARIO[,SCENARIO...] [flags]

Scenarios:
  churn    WebSocket and HTTP clients come, call tools, leave and break off; then nothing of them may be left
  rate     a fixed rate of messages over WebSocket, open loop, with the latency histogram
  drain    SIGTERM under load: accepted requests are answered, streams end properly, exit code 0
  fdlimit  a flood of connections, and a tool that eats descriptors, under ulimit -n
  idle     idle connections: what each costs, and that it lives
  atlimit  one connection more than --max-connections
  slow     requests that never end, subscribers that never read
  overload four times as much as the server can do
  badtokens  a flood of bad tokens beside clients with a key
  kill     kill -9 while tasks are written; those that clients were told of are there after the restart
  rolling  two daemons behind HAProxy are restarted in turn; NOT run where there is no haproxy
  soak     an hour of half of the load that can be served, with faults; nothing may grow
  all      all of them

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 when every check passed, 1 when one failed or the run could not be made, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, names, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return 2
	}
	reports, err := runScenarios(ctx, o, names, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
	}
	if o.json != "" {
		if werr := writeJSON(o.json, reports); werr != nil {
			fmt.Fprintln(stderr, "load:", werr)
			return 1
		}
	}
	if err != nil || !passed(reports, args[0] == everything) {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, []string, error) {
	o := &options{}
	fs := o.flags(stderr)
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
		fs.Usage()
		return nil, nil, flag.ErrHelp
	}
	if err := fs.Parse(args[1:]); err != nil {
		return nil, nil, err
	}
	if fs.NArg() > 0 {
		return nil, nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.noGate = o.noGate || o.short
	names, err := choose(args[0])
	return o, names, err
}

// everything stands for all scenarios.
const everything = "all"

// choose returns the scenarios that a list such as churn,rate or the word all names.
func choose(list string) (names []string, err error) {
	all := make([]string, len(scenarios))
	for i, s := range scenarios {
		all[i] = s.name
	}
	if list == everything {
		return all, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("unknown scenario %q", name)
		}
		names = append(names, name)
	}
	return names, nil
}

func (o *options) flags(stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	fs.StringVar(&o.bin, "bin", "", "daemon `binary`; built from ../cmd/millrace when empty")
	fs.StringVar(&o.hogBin, "hog-bin", "", "`binary` for the second half of fdlimit; built from ./fdhog when empty")
	fs.StringVar(&o.stressBin, "stress-bin", "", "`binary` for slow and overload; built from ./stress when empty")
	fs.StringVar(&o.addr, "addr", "", "`host:port` of a running server, which is then not started or stopped (churn and rate only)")
	fs.StringVar(&o.admin, "admin", "", "`host:port` of the running server's admin endpoint")
	fs.IntVar(&o.pid, "pid", 0, "process `id` of the running server, for its descriptors and CPU time")
	fs.StringVar(&o.path, "path", "/mcp", "`path` of the endpoint")
	fs.StringVar(&o.serverArgs, "server-args", "", "more `flags` for millrace serve, separated by spaces")
	fs.StringVar(&o.json, "json", "", "write the reports to `file` as JSON")
	fs.BoolVar(&o.short, "short", false, "the small run for CI, without judging latencies")
	fs.DurationVar(&o.duration, "duration", 0, "how long churn, rate and soak last; 0: 1m, soak 1h; with --short 10s, 5s, soak 15s")
	fs.StringVar(&o.out, "out", "", "soak: write the table and the report to `file` as Markdown")
	fs.IntVar(&o.clients, "clients", 1000, "churn: `number` of WebSocket clients, and of HTTP clients")
	fs.DurationVar(&o.think, "think", 50*time.Millisecond, "churn: mean pause of a client between calls")
	fs.IntVar(&o.rate, "rate", 10000, "rate: messages per second")
	fs.IntVar(&o.conns, "conns", 100, "rate and soak: connections")
	fs.DurationVar(&o.maxLatency, "max-latency", 100*time.Millisecond, "rate: slowest answer allowed")
	fs.BoolVar(&o.noGate, "no-latency-gate", false, "print latencies, do not judge them")
	fs.DurationVar(&o.drainTimeout, "drain-timeout", 15*time.Second, "drain: the server's --drain-timeout")
	fs.IntVar(&o.maxFiles, "max-files", 256, "fdlimit: ulimit -n of the server")
	fs.IntVar(&o.flood, "flood", 1000, "fdlimit: connections of the flood")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of all random choices")
	return fs
}

// span returns how long a scenario lasts: what --duration says, or else its own time, full or short.
func (o *options) span(full, short time.Duration) time.Duration {
	if o.duration != 0 {
		return o.duration
	}
	return pick(o, full, short)
}

// pick returns the value for the full run or that for the short one.
func pick[T any](o *options, full, short T) T {
	if o.short {
		return short
	}
	return full
}

func runScenarios(ctx context.Context, o *options, names []string, stdout io.Writer) ([]*Report, error) {
	b, err := newBench(ctx, o, stdout)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var reports []*Report
	for _, s := range scenarios {
		if !slices.Contains(names, s.name) {
			continue
		}
		r := &Report{Scenario: s.name}
		started := time.Now()
		err := s.run(ctx, o, b, r)
		b.stopAll()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return reports, fmt.Errorf("%s: %w%s", s.name, err, b.logTail())
		}
		r.figure("wall clock", time.Since(started).Seconds(), "s")
		r.print(stdout)
		if !r.passed() && r.Skipped == "" {
			fmt.Fprint(stdout, b.logTail())
		}
		reports = append(reports, r)
	}
	return reports, nil
}
