// Package reload reads files, and reads them again when they may have changed: keys
// and certificates are renewed while the server runs.
package reload

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// File is a file that decides who may come in, or as whom we speak.
type File struct {
	// What it is, for errors: "API keys".
	What string
	// Path is where it is.
	Path string
	// Max is how long it may be, in bytes.
	Max int
	// Forbidden are the bits of its mode that would let others read or change it.
	Forbidden fs.FileMode
}

// ReadLines is Read for a file in which every line counts by itself: when the last one
// has no line break, it is still being written, and what is missing may matter.
func (f File) ReadLines() (text []byte, sum Sum, err error) {
	text, sum, err = f.Read()
	if err == nil && len(text) > 0 && text[len(text)-1] != '\n' {
		return nil, sum, fmt.Errorf("%s: the last line of %s has no line break: is it being written?", f.What, f.Path)
	}
	return text, sum, err
}

// Sum tells one content of a file from another. The time of a file does not: it may
// stand still, or go back.
type Sum [sha256.Size]byte

// Read returns what is in the file. No error quotes it. Any goroutine.
func (f File) Read() (text []byte, sum Sum, err error) {
	// Not to wait for who may write into a FIFO.
	file, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", f.What, err)
	}
	defer file.Close()
	// Asking the open file, not the path, leaves no gap to swap the file in.
	info, err := file.Stat()
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", f.What, err)
	}
	if !info.Mode().IsRegular() {
		return nil, sum, fmt.Errorf("%s: %s is no regular file", f.What, f.Path)
	}
	if mode := info.Mode().Perm(); mode&f.Forbidden != 0 {
		return nil, sum, fmt.Errorf("%s: %s has mode %#o, open to other users: run chmod %o %s",
			f.What, f.Path, mode, mode&^f.Forbidden, f.Path)
	}
	text, err = io.ReadAll(io.LimitReader(file, int64(f.Max)+1))
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", f.What, err)
	}
	if len(text) > f.Max {
		return nil, sum, fmt.Errorf("%s: %s is longer than %d bytes", f.What, f.Path, f.Max)
	}
	return text, sha256.Sum256(text), nil
}

// Source is what was read, and can be read again.
type Source struct {
	// Name is what the logs call it.
	Name string
	// Reload reads it again, and reports whether it has changed. On an error what
	// was read before stays. Only Watch calls it, once at a time.
	Reload func() (changed bool, err error)
}

// Watch reloads the sources every d, and at once when now receives, until ctx ends.
// An error is logged when it is another one than before. now may be nil.
func Watch(ctx context.Context, d time.Duration, now <-chan struct{}, log *slog.Logger, sources ...Source) {
	t := time.NewTicker(d)
	defer t.Stop()
	last := make([]string, len(sources))
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-now:
			asked = true
		case <-t.C:
		}
		for i, s := range sources {
			switch changed, err := s.Reload(); {
			case err != nil && (asked || err.Error() != last[i]):
				last[i] = err.Error()
				log.Error("cannot be read again, and stays as it was", "what", s.Name, "err", err)
			case err == nil:
				last[i] = ""
				if changed {
					log.Info("has been read again", "what", s.Name)
				}
			}
		}
	}
}
