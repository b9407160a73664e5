// Command bench compares Millrace with other servers and with the floor of the kernel, in one run on one machine.
// benchmarks/README.md says how, and how to read what comes out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	full        bool
	only        *regexp.Regexp
	subjects    *regexp.Regexp
	rounds      int
	window      time.Duration
	json        string
	page        string
	pprof       string
	compare     string
	benchfmt    string
	serverCores []int
	loadCores   []int
	list        bool
}

const usage = `usage: bench [flags]

Runs every scenario of the short suite, or with --full of the whole one, and prints a table for each. Exit code 1 when
Millrace or a floor could not be measured or gave a wrong answer, 2 for wrong usage. What a peer cannot do, and a target
that is not met, is told, and no failure.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	case o.list:
		list(stdout)
		return 0
	}
	// The load runs on cores of its own. A process that is pinned from its start also knows how many it has.
	if err := pinSelf(o.loadCores); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	s, err := newSuite(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	defer s.close()
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if s.failed {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	only := fs.String("only", "", "run the scenarios whose name matches this `regexp`, whole or short suite")
	subjects := fs.String("subjects", "", "measure the subjects whose name matches this `regexp`")
	serverCores := fs.String("server-cores", "", "`cores` of the servers, as 0,2-3; default the first")
	loadCores := fs.String("load-cores", "", "`cores` of the load; default all but those of the servers")
	fs.BoolVar(&o.full, "full", false, "all scenarios, five rounds, longer windows: about an hour and a half")
	fs.IntVar(&o.rounds, "rounds", 0, "`number` of rounds, instead of 3 or 5, or fewer where rounds are long")
	fs.DurationVar(&o.window, "window", 0, "how long each round is measured, instead of 0.8s or 3s, or longer where it takes its time")
	fs.StringVar(&o.json, "json", "", "write everything measured to this `file`")
	fs.StringVar(&o.page, "report", "", "write a page with plots into this `folder`")
	fs.StringVar(&o.pprof, "pprof", "", "take profiles of the servers instead of figures, into this `folder`")
	fs.StringVar(&o.compare, "compare", "", "measure Millrace alone, in turn with the one in this `folder`, a checkout of another revision")
	fs.StringVar(&o.benchfmt, "benchfmt", "", "with --compare: write base.txt and head.txt for benchstat into this `folder`")
	fs.BoolVar(&o.list, "list", false, "list the scenarios")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, errors.Join(
		o.combined(),
		expression("only", *only, &o.only),
		expression("subjects", *subjects, &o.subjects),
		o.cores(*serverCores, *loadCores))
}

// combined refuses flags of which one would do nothing.
func (o *options) combined() error {
	writes := o.json != "" || o.page != ""
	switch {
	case (o.benchfmt != "") != (o.compare != ""):
		return errors.New("--compare and --benchfmt go together")
	case o.compare != "" && writes:
		return errors.New("--json and --report are not for --compare")
	case o.pprof != "" && (writes || o.compare != ""):
		return errors.New("--pprof takes profiles instead of figures: --json, --report and --compare do not go with it")
	}
	return nil
}

// defaultRounds is how many rounds a scenario has that does not say otherwise.
func (o *options) defaultRounds() int {
	switch {
	case o.rounds > 0:
		return o.rounds
	case o.pprof != "":
		return 1
	case o.full:
		return 5
	}
	return 3
}

// roundsOf is how many rounds a scenario has. The short suite makes two of those that take their time.
func (o *options) roundsOf(sc *scenario) int {
	n := o.defaultRounds()
	if o.rounds > 0 {
		return n
	}
	if sc.rounds > 0 {
		n = min(n, sc.rounds)
	}
	if !o.full && sc.window > 0 {
		n = min(n, 2)
	}
	return n
}

// times are how long a scenario is measured, and how long it runs before.
func (o *options) times(sc *scenario) (window, warmup time.Duration) {
	switch {
	case o.window > 0:
		window = o.window
	case sc.window > 0:
		window = sc.window
	case o.full || o.pprof != "":
		window = 3 * time.Second
	default:
		window = 800 * time.Millisecond
	}
	return window, max(window/2, sc.warmup)
}

func expression(name, text string, to **regexp.Regexp) (err error) {
	if text == "" {
		return nil
	}
	if *to, err = regexp.Compile("^(" + text + ")$"); err != nil {
		return fmt.Errorf("--%s: %w", name, err)
	}
	return nil
}

// wants reports whether a scenario belongs to the run.
func (o *options) wants(s *scenario) bool {
	if o.only != nil {
		return o.only.MatchString(s.name)
	}
	return o.full || !s.long
}

func list(w io.Writer) {
	for _, s := range scenarios() {
		var names []string
		for _, s := range s.subjects {
			names = append(names, s.name)
		}
		suite := "short"
		if s.long {
			suite = "full"
		}
		fmt.Fprintf(w, "%-16s %-5s  %s (%s)\n", s.name, suite, s.title, strings.Join(names, ", "))
	}
}
