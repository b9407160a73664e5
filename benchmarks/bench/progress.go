package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress is a line that tells, on a terminal, what is being measured.
type progress struct {
	w     io.Writer // nil when nobody looks
	start time.Time
	what  string
}

func newProgress(w io.Writer) *progress {
	p := &progress{start: time.Now()}
	if f, ok := w.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			p.w = w
		}
	}
	return p
}

func (p *progress) scenario(i, n int, name string) { p.what = fmt.Sprintf("%d/%d %s", i+1, n, name) }

func (p *progress) subject(name string, round, rounds int) {
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\033[K%s  %s: %s, round %d of %d", time.Since(p.start).Round(time.Second), p.what, name, round+1, rounds)
	}
}

func (p *progress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
