package report

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadMachine tells what the figures of a run on this machine depend on. What cannot be found out stays empty.
func ReadMachine(ctx context.Context) Machine {
	m := Machine{Go: runtime.Version(), Cores: runtime.NumCPU()}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := bytes.Cut(info, []byte("model name"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		m.CPU = strings.Trim(string(line), ": \t")
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, rest, _ := bytes.Cut(info, []byte("MemTotal:"))
		if fields := bytes.Fields(rest); len(fields) > 0 {
			kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
			m.MemoryBytes = kib << 10
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	m.Node = output(ctx, ".", "node", "--version")
	return m
}

// Commit names the revision that is checked out in dir, with "+changes" when files differ from it.
func Commit(ctx context.Context, dir string) string {
	rev := output(ctx, dir, "git", "rev-parse", "--short=12", "HEAD")
	if rev != "" && output(ctx, dir, "git", "status", "--porcelain", "--untracked-files=no") != "" {
		rev += "+changes"
	}
	return rev
}

// output runs a command and returns what it prints, or nothing.
func output(ctx context.Context, dir, name string, args ...string) string {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
