package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"millrace/benchmarks/daemon"
	"millrace/benchmarks/report"
)

// A comparison measures Millrace as it is here ("head") in turn with a checkout of another revision ("base"), under
// the same load: both are built into the programs of this module.

const baseSuffix, headSuffix = " base", " head"

// compared are the subjects of ours, each twice.
func compared(subjects []subject, base string) (all []subject) {
	for _, s := range subjects {
		if s.kind != report.Ours {
			continue
		}
		old := s
		old.name, old.base = s.name+baseSuffix, base
		s.name += headSuffix
		all = append(all, old, s)
	}
	return all
}

// buildBase builds a program of this module with the module millrace in dir instead of the one above.
func (b *builder) buildBase(ctx context.Context, program, dir string) (bin string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	mod := filepath.Join(b.dir, "base.mod")
	for _, name := range []string{"mod", "sum"} {
		text, err := os.ReadFile(filepath.Join(b.module, "go."+name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(b.dir, "base."+name), text, 0o600); err != nil {
			return "", err
		}
	}
	edit := exec.CommandContext(ctx, "go", "mod", "edit", "-replace", "millrace="+dir, mod)
	edit.Dir = b.module
	if out, err := edit.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go mod edit: %w: %s", err, out)
	}
	out := filepath.Join(b.dir, "base")
	if err := os.MkdirAll(out, 0o700); err != nil {
		return "", err
	}
	bin, err = daemon.Build(ctx, b.module, "./servers/"+program, out, "-modfile", mod)
	if err != nil {
		return "", fmt.Errorf("building against %s, whose API may differ: %w", dir, err)
	}
	return bin, nil
}

// benchUnits are the figures that a comparison writes, by the units that benchstat prints.
var benchUnits = []struct {
	figure report.Figure
	unit   string
}{
	{report.CPU, "cpu-µs/msg"}, {report.Rate, "msg/s"}, {report.P99, "p99-µs"}, {report.Allocs, "allocs/msg"},
	{report.Reads, "reads/msg"}, {report.Writes, "writes/msg"}, {report.RSS, "rss-B"}, {report.PerConn, "B/conn"},
}

// writeBench writes base.txt and head.txt in the format of Go's benchmarks, a line for each round.
func writeBench(r *report.Run, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var base, head bytes.Buffer
	for _, sc := range r.Scenarios {
		for _, sub := range sc.Subjects {
			out, name := &head, strings.TrimSuffix(sub.Name, headSuffix)
			if old, ok := strings.CutSuffix(sub.Name, baseSuffix); ok {
				out, name = &base, old
			}
			for _, sample := range sub.Rounds {
				fmt.Fprintf(out, "BenchmarkMessage/%s/%s 1", sc.Name, strings.ReplaceAll(name, " ", "-"))
				for _, u := range benchUnits {
					if v, ok := sample[u.figure]; ok {
						fmt.Fprintf(out, " %g %s", v, u.unit)
					}
				}
				fmt.Fprintln(out)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "base.txt"), base.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "head.txt"), head.Bytes(), 0o644)
}
