package main

import (
	"context"
	"fmt"
	"os/exec"

	"millrace/benchmarks/daemon"
)

// slowHTTPTest runs the public tool of that name: heads, bodies and reads that are slow.
func slowHTTPTest(ctx context.Context, o *options, b *bench, p *daemon.Process, r *Report) error {
	bin, err := exec.LookPath("slowhttptest")
	if err != nil {
		fmt.Fprintln(b.stdout, "slowhttptest is not installed (Debian has a package): its slow heads, bodies and reads are NOT run")
		return nil
	}
	url := "http://" + p.Addr + o.path
	for _, mode := range []struct {
		name string
		args []string
	}{
		{"slow heads", []string{"-H", "-i", "1", "-t", "POST"}},
		{"slow bodies", []string{"-B", "-i", "1", "-s", "8192", "-t", "POST"}},
		{"slow reads", []string{"-X", "-w", "1", "-y", "32", "-n", "1", "-z", "8", "-k", "3"}},
	} {
		args := append(mode.args, "-c", "500", "-r", "250", "-l", "8", "-u", url)
		s, err := watchSteady(ctx, p, o.path, "", func() error {
			cmd := exec.CommandContext(ctx, bin, args...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w: %.500s", cmd.Args, err, out)
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.report(r, "slowhttptest, "+mode.name)
	}
	return nil
}
