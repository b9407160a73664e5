package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"millrace/benchmarks/report"
)

// suite runs scenarios and keeps what they measured.
type suite struct {
	opts     *options
	builder  *builder
	out      io.Writer
	progress *progress
	result   report.Run
	measured bool // something was
	failed   bool
}

func newSuite(ctx context.Context, o *options, stdout, stderr io.Writer) (*suite, error) {
	b, err := newBuilder(ctx)
	if err != nil {
		return nil, err
	}
	s := &suite{opts: o, builder: b, out: stdout, progress: newProgress(stderr)}
	s.result = report.Run{
		Started: time.Now().UTC().Truncate(time.Second), Short: !o.full, Rounds: o.defaultRounds(),
		Command: strings.Join(append([]string{"bench"}, os.Args[1:]...), " "),
		Commit:  report.Commit(ctx, b.module), Machine: machine(ctx, o),
	}
	return s, nil
}

func (s *suite) close() { s.builder.close() }

// run measures every scenario that is wanted, and writes what was measured even when it is interrupted.
func (s *suite) run(ctx context.Context) error {
	defer s.progress.clear()
	var wanted []scenario
	for _, sc := range scenarios() {
		if s.opts.wants(&sc) {
			wanted = append(wanted, sc)
		}
	}
	if len(wanted) == 0 {
		return errors.New("no scenario has that name; --list shows all")
	}
	for i := range wanted {
		s.progress.scenario(i, len(wanted), wanted[i].name)
		if err := s.scenario(ctx, &wanted[i]); err != nil {
			return errors.Join(err, s.finish())
		}
	}
	if !s.measured {
		return errors.New("no scenario of these has a subject of that name; --list shows all")
	}
	return s.finish()
}

// scenario measures its subjects in turn, round by round, so that what changes on the machine meanwhile meets all.
func (s *suite) scenario(ctx context.Context, sc *scenario) error {
	rounds := s.opts.roundsOf(sc)
	r := report.Scenario{Name: sc.name, Title: sc.title, Main: sc.main, Method: s.method(sc, rounds)}
	if rounds != s.result.Rounds {
		r.Rounds = rounds
	}
	subjects := s.subjects(sc)
	for i := range subjects {
		sub := &subjects[i]
		r.Subjects = append(r.Subjects, report.Subject{Name: sub.name, Kind: sub.kind, Error: sub.runnable(s.builder.module)})
	}
	if len(subjects) == 0 {
		return nil
	}
	s.measured = true
	for round := range rounds {
		for i := range subjects {
			i = (i + round) % len(subjects)
			if r.Subjects[i].Error != "" {
				continue
			}
			s.progress.subject(subjects[i].name, round, rounds)
			m := s.measurement(ctx, sc, &subjects[i])
			err := s.round(m, sc)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.keep(sc, &r.Subjects[i], m, err)
		}
	}
	return s.tell(&r)
}

// subjects are those of a scenario that are wanted.
func (s *suite) subjects(sc *scenario) (wanted []subject) {
	all := sc.subjects
	if s.opts.compare != "" {
		all = compared(all, s.opts.compare)
	}
	for _, sub := range all {
		if s.opts.subjects == nil && sub.long && !s.opts.full {
			continue
		}
		if s.opts.subjects == nil || s.opts.subjects.MatchString(sub.name) {
			wanted = append(wanted, sub)
		}
	}
	return wanted
}

func (s *suite) measurement(ctx context.Context, sc *scenario, sub *subject) *measurement {
	window, warmup := s.opts.times(sc)
	return &measurement{
		ctx: ctx, subject: sub, workers: len(s.opts.loadCores), spin: s.spins(sc),
		window: window, warmup: max(warmup, sub.warmup), sample: report.Sample{}, profile: s.profiler(sc, sub.name),
		// A server that is starved does not get to its probe.
		probes: !sub.blind && slices.Contains(sc.figures(), report.Allocs),
	}
}

// tell keeps and prints what a scenario measured. The figures of a run with profiles are not worth it.
func (s *suite) tell(r *report.Scenario) error {
	s.progress.clear()
	if s.opts.pprof != "" {
		return nil
	}
	s.result.Scenarios = append(s.result.Scenarios, *r)
	if err := s.result.WriteTable(s.out, r); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out)
	return err
}

// keep keeps what a round measured, or why it could not.
func (s *suite) keep(sc *scenario, rs *report.Subject, m *measurement, err error) {
	s.progress.clear()
	for _, t := range m.trouble {
		fmt.Fprintf(s.out, "! %s: %s: %s\n", sc.name, rs.Name, t)
	}
	// What a peer cannot do is told, and no failure of the run.
	ours := rs.Kind != report.Peer
	if err != nil {
		rs.Error = err.Error()
		s.failed = s.failed || ours
		fmt.Fprintf(s.out, "! %s: %s: %v\n", sc.name, rs.Name, err)
		return
	}
	for f := range m.sample {
		if !slices.Contains(sc.figures(), f) && f != sc.main {
			delete(m.sample, f)
		}
	}
	s.failed = s.failed || ours && m.sample[report.Errors] > 0
	rs.Rounds = append(rs.Rounds, m.sample)
}

// spins reports whether the load may keep its cores busy: not when a server is there too.
func (s *suite) spins(sc *scenario) bool {
	return !sc.allCores && !slices.ContainsFunc(s.opts.loadCores, func(c int) bool { return slices.Contains(s.opts.serverCores, c) })
}

// round starts the server, measures it and stops it.
func (s *suite) round(m *measurement, sc *scenario) (err error) {
	cores := s.opts.serverCores
	if sc.allCores {
		cores = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(cores), s.opts.loadCores...))))
	}
	m.server, err = s.builder.start(m.ctx, m.subject, cores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.server.end()) }()
	if sc.measure != nil {
		return sc.measure(m)
	}
	return m.call(m.warmup, m.window, sc.groups(m.subject)...)
}

func (s *suite) profiler(sc *scenario, subject string) *profiler {
	if s.opts.pprof == "" {
		return nil
	}
	p := &profiler{dir: filepath.Join(s.opts.pprof, sc.name, strings.NewReplacer(" ", "-", "/", "-").Replace(subject))}
	fmt.Fprintln(s.out, p.explain())
	return p
}

// method says how the load of a scenario was made.
func (s *suite) method(sc *scenario, rounds int) string {
	window, _ := s.opts.times(sc)
	where := fmt.Sprintf("server on cores %s, load on %s", coreList(s.opts.serverCores), coreList(s.opts.loadCores))
	if sc.allCores {
		where = "server on the cores of the load too, which is on " + coreList(s.opts.loadCores)
	}
	text := fmt.Sprintf("%d rounds of %v, %s", rounds, window, where)
	if sc.groups == nil {
		return text
	}
	var parts []string
	for _, g := range sc.groups(&sc.subjects[0]) {
		parts = append(parts, g.String())
	}
	return strings.Join(parts, "; ") + "; " + text
}

// finish writes the results.
func (s *suite) finish() error {
	s.progress.clear()
	s.result.Seconds = time.Since(s.result.Started).Seconds()
	if s.opts.pprof != "" {
		return nil
	}
	if s.opts.benchfmt != "" {
		return writeBench(&s.result, s.opts.benchfmt)
	}
	err := s.result.WriteVerdicts(s.out)
	if s.opts.json != "" {
		err = errors.Join(err, s.result.Save(s.opts.json))
	}
	if s.opts.page != "" {
		err = errors.Join(err, s.result.WritePage(s.opts.page))
	}
	return err
}
