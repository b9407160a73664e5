// Package report keeps what a run of the bench suite measured, computes medians and ratios from it, and renders
// them: a table for the terminal, JSON, and a page with plots. It measures nothing itself.
package report

import (
	"slices"
	"time"
)

// Run is one run of the suite, as it stands in the JSON file.
type Run struct {
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Short   bool      `json:"short"`
	// Command is the command line; Commit the revision of this repository, with "+changes" when files differed from it.
	Command string  `json:"command"`
	Commit  string  `json:"commit"`
	Machine Machine `json:"machine"`
	// Rounds is how often each subject of a scenario was measured, in turn with the others.
	Rounds    int        `json:"rounds"`
	Scenarios []Scenario `json:"scenarios"`
}

// Machine is what a figure depends on.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memoryBytes"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	Node        string `json:"node,omitempty"`
	ServerCores []int  `json:"serverCores"`
	LoadCores   []int  `json:"loadCores"`
}

// Scenario is one load, put on several subjects in turn.
type Scenario struct {
	// Name is short and stable ("http-call"), Title a line for people, Method how the load was made.
	Name   string `json:"name"`
	Title  string `json:"title"`
	Method string `json:"method"`
	// Main is the figure that the scenario is about; plots show it.
	Main Figure `json:"main"`
	// Rounds is how many there were to be, if not as many as the run has.
	Rounds   int       `json:"rounds,omitempty"`
	Subjects []Subject `json:"subjects"`
}

// Kind says what a subject is for.
type Kind string

// The kinds of subjects.
const (
	Ours  Kind = "ours"
	Peer  Kind = "peer"
	Floor Kind = "floor"
)

// Subject is a server under one scenario.
type Subject struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Rounds has a sample for every round that could be made; Error says why there are fewer, or none.
	Rounds []Sample `json:"rounds"`
	Error  string   `json:"error,omitempty"`
}

// Sample is what one round measured, in finite numbers. Figures that a scenario does not measure, or a subject does not
// tell, are absent; Errors is there with 0 when answers were checked and none was wrong.
type Sample map[Figure]float64

// Figure names a measured value; its unit is part of its meaning.
type Figure string

// The figures.
const (
	CPU        Figure = "cpu"        // server CPU (user + system) per message, microseconds
	Rate       Figure = "rate"       // messages per second
	P50        Figure = "p50"        // latency, microseconds
	P99        Figure = "p99"        // latency, microseconds
	P999       Figure = "p999"       // latency, microseconds
	Max        Figure = "max"        // latency, microseconds
	RSS        Figure = "rss"        // resident memory of the server, bytes
	Allocs     Figure = "allocs"     // heap allocations per message
	Reads      Figure = "reads"      // read(2) and its kin per message
	Writes     Figure = "writes"     // write(2) and its kin per message
	Goroutines Figure = "goroutines" // of the server, at the end of the round
	PerConn    Figure = "perconn"    // growth of resident memory per connection, bytes
	Messages   Figure = "messages"   // answers counted
	Errors     Figure = "errors"     // answers that were wrong, missing or errors
	Refused    Figure = "refused"    // proper "overloaded" answers
	Beside     Figure = "beside"     // answers per second to the load beside the one that is measured
	Goodput    Figure = "goodput"    // right answers per second under overload over the maximum without
	LoadCPU    Figure = "loadcpu"    // CPU of the load generator over wall time, 1 is one core
)

// rounds is how many rounds s was to have in r.
func (r *Run) rounds(s *Scenario) int {
	if s.Rounds > 0 {
		return s.Rounds
	}
	return r.Rounds
}

// Find returns the scenario called name, or nil.
func (r *Run) Find(name string) *Scenario {
	for i := range r.Scenarios {
		if r.Scenarios[i].Name == name {
			return &r.Scenarios[i]
		}
	}
	return nil
}

// Find returns the subject called name, or nil.
func (s *Scenario) Find(name string) *Subject {
	for i := range s.Subjects {
		if s.Subjects[i].Name == name {
			return &s.Subjects[i]
		}
	}
	return nil
}

// Spread is a figure over the rounds of a subject.
type Spread struct{ Min, Median, Max float64 }

// Spread returns the median and the extremes of f; ok is false when no round has it.
func (s *Subject) Spread(f Figure) (sp Spread, ok bool) {
	var v []float64
	for _, r := range s.Rounds {
		if x, ok := r[f]; ok {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return Spread{}, false
	}
	slices.Sort(v)
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (mid + v[len(v)/2-1]) / 2
	}
	return Spread{Min: v[0], Median: mid, Max: v[len(v)-1]}, true
}

// Ratio divides the median of f of subject a by that of b; ok is false when either is missing or b's is zero.
// See [Scenario.Factor] for the ratio to the base, which minds the direction of f.
func (s *Scenario) Ratio(f Figure, a, b string) (ratio float64, ok bool) {
	sa, sb := s.Find(a), s.Find(b)
	if sa == nil || sb == nil {
		return 0, false
	}
	x, okA := sa.Spread(f)
	y, okB := sb.Spread(f)
	if !okA || !okB || y.Median == 0 {
		return 0, false
	}
	return x.Median / y.Median, true
}
