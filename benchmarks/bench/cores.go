package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cores decides who runs where. The default gives the servers the first core that this process may use and the load
// the others; on a machine with one core both share it.
func (o *options) cores(server, load string) error {
	allowed, err := allowedCores()
	if err != nil {
		return err
	}
	if o.serverCores, err = parseCores(server, allowed[:1], allowed); err != nil {
		return fmt.Errorf("--server-cores: %w", err)
	}
	rest := slices.DeleteFunc(slices.Clone(allowed), func(c int) bool { return slices.Contains(o.serverCores, c) })
	if len(rest) == 0 {
		rest = o.serverCores
	}
	if o.loadCores, err = parseCores(load, rest, allowed); err != nil {
		return fmt.Errorf("--load-cores: %w", err)
	}
	return nil
}

// allowed remembers, across the exec of pinSelf, what the process might use at first.
const allowedVariable = "MILLRACE_BENCH_CORES"

func allowedCores() ([]int, error) {
	if text := os.Getenv(allowedVariable); text != "" {
		return parseCores(text, nil, nil)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cores []int
	for c := range 8 * len(set) * 8 {
		if set.IsSet(c) {
			cores = append(cores, c)
		}
	}
	return cores, nil
}

// parseCores reads a list as 0,2-3. The empty text is fallback; nil allowed allows everything.
func parseCores(text string, fallback, allowed []int) (cores []int, err error) {
	if text == "" {
		return fallback, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 0 || to < from || to > 4095 {
			return nil, fmt.Errorf("%q is no list of cores such as 0,2-3", text)
		}
		for c := from; c <= to; c++ {
			if allowed != nil && !slices.Contains(allowed, c) {
				return nil, fmt.Errorf("core %d is not among those of this process: %v", c, allowed)
			}
			cores = append(cores, c)
		}
	}
	return cores, nil
}

// pinSelf restricts this process to the given cores, by executing it anew: all threads of a process inherit from the
// one that is pinned before there are others.
func pinSelf(cores []int) error {
	if os.Getenv(allowedVariable) != "" {
		return nil
	}
	allowed, err := allowedCores()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pinning the load to cores %v: %w", cores, err)
	}
	err = unix.Exec(self, os.Args, append(os.Environ(), allowedVariable+"="+coreList(allowed)))
	return errors.Join(errors.New("starting anew on the cores of the load"), err)
}

func coreList(cores []int) string {
	var parts []string
	for _, c := range cores {
		parts = append(parts, strconv.Itoa(c))
	}
	return strings.Join(parts, ",")
}
