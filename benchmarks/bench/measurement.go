package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/benchmarks/daemon"
	"millrace/benchmarks/generator"
	"millrace/benchmarks/report"
)

// measurement is one round of one subject.
type measurement struct {
	ctx     context.Context
	server  *server
	subject *subject
	workers int
	spin    bool // the load has its cores for itself
	probes  bool // the server's probe is asked
	window  time.Duration
	warmup  time.Duration
	profile *profiler // or nil
	load    *generator.Load
	sample  report.Sample
	trouble []string // texts of errors that were counted
}

// patience is how long answers may take after the end of a round. A slow server with many connections needs it.
const patience = 10 * time.Second

// openTime is how long the connections of a load may take to open.
const openTime = 60 * time.Second

func (m *measurement) open(groups ...*generator.Group) error {
	m.load = &generator.Load{Addr: m.server.Addr, Path: "/mcp", Groups: groups, Workers: m.workers, Spin: m.spin, Patience: patience}
	ctx, cancel := context.WithTimeout(m.ctx, openTime)
	defer cancel()
	return m.load.Open(ctx)
}

func (m *measurement) wait(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-m.server.Done():
		return errors.New("the server ended under load")
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
}

// call is the usual measurement: all groups at once, the first one counts.
func (m *measurement) call(warmup, window time.Duration, groups ...*generator.Group) error {
	if err := m.open(groups...); err != nil {
		return err
	}
	m.load.Start()
	err := m.wait(warmup)
	if err == nil {
		err = m.observe(groups[0], groups[1:], window)
	}
	err = errors.Join(err, m.load.Close(m.ctx))
	if err != nil {
		return err
	}
	m.latency(groups[0])
	for _, g := range groups {
		m.count(g, m.load.Counts(g))
	}
	return nil
}

// reading is the state of things at one moment.
type reading struct {
	at     time.Time
	counts generator.Counts
	beside int64 // answers to the other groups
	server daemon.Usage
	idle   time.Duration // of the load
}

func (m *measurement) read(g *generator.Group, others []*generator.Group) (r reading, err error) {
	if r.server, err = m.server.Usage(); err != nil {
		return r, err
	}
	for _, o := range others {
		r.beside += m.load.Counts(o).Messages
	}
	r.at, r.counts, r.idle = time.Now(), m.load.Counts(g), m.load.Idle()
	return r, nil
}

// observe lets the load run for the window and divides what the server used by what it answered. The probe is asked
// outside of the window, because its answer costs something too.
func (m *measurement) observe(g *generator.Group, others []*generator.Group, window time.Duration) error {
	statsBefore, mallocsFrom, err := m.probe(g)
	if err != nil {
		return err
	}
	m.load.Record(true)
	before, err := m.read(g, others)
	if err != nil {
		return err
	}
	if m.profile != nil {
		err = m.profile.take(m, window)
	} else {
		err = m.wait(window)
	}
	if err != nil {
		return err
	}
	after, err := m.read(g, others)
	if err != nil {
		return err
	}
	m.load.Record(false)
	statsAfter, mallocsTo, err := m.probe(g)
	if err != nil {
		return err
	}
	if after.counts.Messages == before.counts.Messages && m.subject.kind != report.Peer {
		return errors.New("no answer within the window")
	}
	m.usage(before, after)
	if n := mallocsTo - mallocsFrom; n > 0 && m.probes {
		m.sample[report.Allocs] = float64(statsAfter.Mallocs-statsBefore.Mallocs) / float64(n)
		m.sample[report.Goroutines] = float64(statsAfter.Goroutines)
	}
	return nil
}

// probe asks the server's probe, if that is wanted, and reads how many messages there were by then.
func (m *measurement) probe(g *generator.Group) (p probed, messages int64, err error) {
	if m.probes {
		p, err = m.server.stats(m.ctx)
	}
	return p, m.load.Counts(g).Messages, err
}

func (m *measurement) usage(before, after reading) {
	wall := after.at.Sub(before.at)
	c := after.counts.Sub(before.counts)
	n := float64(c.Messages)
	m.sample[report.Messages] = n
	m.sample[report.Rate] = n / wall.Seconds()
	m.sample[report.Beside] = float64(after.beside-before.beside) / wall.Seconds()
	m.sample[report.Refused] = float64(c.Refused)
	m.sample[report.RSS] = float64(after.server.RSS)
	m.sample[report.LoadCPU] = float64(m.workers) - (after.idle-before.idle).Seconds()/wall.Seconds()
	if n > 0 {
		m.sample[report.CPU] = micros(after.server.CPU-before.server.CPU) / n
		m.sample[report.Reads] = float64(after.server.Reads-before.server.Reads) / n
		m.sample[report.Writes] = float64(after.server.Writes-before.server.Writes) / n
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (m *measurement) latency(g *generator.Group) {
	h := m.load.Latency(g)
	if h.TotalCount() == 0 {
		return
	}
	for figure, percentile := range map[report.Figure]float64{report.P50: 50, report.P99: 99, report.P999: 99.9} {
		m.sample[figure] = micros(time.Duration(h.ValueAtQuantile(percentile)))
	}
	m.sample[report.Max] = micros(time.Duration(h.Max()))
}

// count adds up the errors of a group, from beginning to end.
func (m *measurement) count(g *generator.Group, c generator.Counts) {
	m.sample[report.Errors] += float64(c.Errors)
	for _, f := range g.Failures() {
		m.trouble = append(m.trouble, fmt.Sprintf("%s: %s", g.Name, f))
	}
}
