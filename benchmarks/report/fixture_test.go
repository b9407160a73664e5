package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (run with -update to accept); got:\n%s", path, got)
	}
}

// around makes three rounds with the median of each figure as given and 4 % of spread.
func around(medians Sample) []Sample {
	rounds := make([]Sample, 3)
	for i, by := range []float64{1.04, 0.96, 1} {
		rounds[i] = Sample{}
		for f, v := range medians {
			rounds[i][f] = v * by
		}
		for _, f := range []Figure{Goroutines, Errors} {
			if v, ok := medians[f]; ok {
				rounds[i][f] = v
			}
		}
	}
	return rounds
}

// call makes a subject that was put under calls, one server core wide.
func call(name string, kind Kind, cpu, allocs float64) Subject {
	return Subject{Name: name, Kind: kind, Rounds: around(Sample{
		CPU: cpu, Rate: 9e5 / cpu, P50: 60 * cpu, P99: 130 * cpu, RSS: 20 << 20, Allocs: allocs, Errors: 0, LoadCPU: 0.61,
	})}
}

// made is a made-up run that meets some targets and misses others.
func made() *Run {
	return &Run{
		Started: time.Date(2026, 11, 25, 20, 15, 0, 0, time.UTC), Seconds: 754.4, Rounds: 3,
		Command: "bench all --rounds 3", Commit: "a70dab9+changes",
		Machine: Machine{CPU: "AMD EPYC 7B13", Cores: 2, MemoryBytes: 8 << 30, Kernel: "6.1.0", Go: "go1.26.8",
			Node: "v24.1.0", ServerCores: []int{0}, LoadCores: []int{1}},
		Scenarios: []Scenario{modern(), legacy(), oneDeep(), sixteenDeep(), idle(), overload(), loops()},
	}
}

func modern() Scenario {
	failing := call("typescript", Peer, 693, 0)
	failing.Rounds = failing.Rounds[:2]
	failing.Rounds[1][Errors] = 1200
	failing.Error = "round 3: the server\nended: exit status 1"
	return Scenario{
		Name: "http-modern", Title: "HTTP tools/call of 2026-07-28, 64 connections", Main: CPU,
		Method: "One call at a time on each of 64 connections, for 5 s after a warm-up of 1 s.",
		Subjects: []Subject{
			call("millrace", Ours, 7.2, 7), call("millrace inline", Ours, 6.3, 5),
			call("mcp-go", Peer, 116, 190), call("go-sdk", Peer, 330, 540), failing,
			call("net/http", Floor, 12.8, 16), call("floor", Floor, 5.1, 0.01), call("floor bytes", Floor, 3.9, 0.01),
		},
	}
}

func legacy() Scenario {
	return Scenario{
		Name: "http-legacy", Title: "HTTP tools/call of 2025-11-25, 64 connections", Main: CPU,
		Method: "As http-modern, in the older protocol.",
		Subjects: []Subject{
			call("millrace", Ours, 7.4, 7), call("mcp-go", Peer, 58, 100), call("go-sdk", Peer, 212, 400),
			call("go-sdk stateful", Peer, 190, 380), call("floor", Floor, 5.1, 0.01),
		},
	}
}

func oneDeep() Scenario {
	return Scenario{
		Name: "ws-1", Title: "WebSocket tools/call, one at a time", Main: CPU, Method: "One call at a time.",
		Subjects: []Subject{
			call("millrace", Ours, 6.1, 6), call("millrace inline", Ours, 5.2, 4),
			call("go-sdk websocket", Peer, 171, 300), call("floor", Floor, 4, 0),
		},
	}
}

func sixteenDeep() Scenario {
	return Scenario{
		Name: "ws-16", Title: "WebSocket tools/call, 16 deep", Main: Rate, Method: "Sixteen calls in flight.",
		Subjects: []Subject{
			call("millrace", Ours, 2.24, 6), call("go-sdk websocket", Peer, 140, 300), call("floor", Floor, 0.32, 0),
		},
	}
}

func idle() Scenario {
	subject := func(name string, kind Kind, bytes, goroutines float64) Subject {
		return Subject{Name: name, Kind: kind, Rounds: around(Sample{PerConn: bytes, Goroutines: goroutines})}
	}
	return Scenario{
		Name: "idle", Title: "15,000 idle WebSockets", Main: PerConn, Method: "Opened, then left alone for 10 s.",
		Subjects: []Subject{
			subject("millrace", Ours, 4100, 14), subject("go-sdk websocket", Peer, 54_000, 45_012),
			{Name: "mcp-go", Kind: Peer, Error: "speaks no WebSocket"},
		},
	}
}

func overload() Scenario {
	ours := Subject{Name: "millrace", Kind: Ours, Rounds: []Sample{
		{Goodput: 0.93, Refused: 52_117, Errors: 0}, {Goodput: 0.91, Refused: 50_002, Errors: 0}, {Goodput: 0.92, Errors: 0},
	}}
	return Scenario{Name: "overload", Title: "Twice the load it can bear", Main: Goodput, Method: "Open loop.",
		Subjects: []Subject{ours}}
}

func loops() Scenario {
	return Scenario{
		Name: "loops", Title: "One event loop and two", Main: CPU, Method: "As http-modern.",
		Subjects: []Subject{call("1 loop", Ours, 7.2, 7), call("2 loops", Ours, 7.5, 7)},
	}
}
