package reload

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func(text string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	f := File{What: "things", Path: path, Max: 4, Forbidden: 0o027}
	for _, tt := range []struct {
		text string
		mode fs.FileMode
		want string // in the error
	}{
		{"abc", 0o600, ""}, {"abcd", 0o640, ""}, {"", 0o400, ""},
		{"abcde", 0o600, "things: " + path + " is longer than 4 bytes"},
		{"abc", 0o644, "things: " + path + " has mode 0644, open to other users: run chmod 640 " + path},
		{"abc", 0o660, "run chmod 640"}, {"abc", 0o601, "run chmod 600"},
	} {
		write(tt.text, tt.mode)
		text, _, err := f.Read()
		if tt.want == "" && (err != nil || string(text) != tt.text) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q with mode %o: %q, %v; want %q", tt.text, tt.mode, text, err, tt.want)
		}
	}
	write("a", 0o600)
	_, a, _ := f.Read()
	write("b", 0o600)
	_, b, _ := f.Read()
	write("a", 0o600)
	if _, again, _ := f.Read(); a == b || a != again {
		t.Error("sums do not tell contents apart")
	}
	for _, path := range []string{filepath.Join(path, "none"), t.TempDir()} {
		if _, _, err := (File{What: "things", Path: path, Max: 9}).Read(); err == nil || !strings.HasPrefix(err.Error(), "things: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestWatch: sources are read in turn, and what is wrong with one is said once.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var failing atomic.Bool
		var calls, other atomic.Int32
		now := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Watch(ctx, time.Second, now, slog.New(slog.NewTextHandler(&log, nil)),
				Source{"keys", func() (bool, error) {
					if failing.Load() {
						return false, errors.New("broken")
					}
					return calls.Add(1) == 1, nil
				}},
				Source{"others", func() (bool, error) { other.Add(1); return false, nil }})
		}()
		wait := func(d time.Duration) string {
			time.Sleep(d + time.Millisecond) // of the bubble
			synctest.Wait()
			defer log.Reset()
			return log.String()
		}
		if got := wait(3 * time.Second); calls.Load() != 3 || other.Load() != 3 || strings.Count(got, "has been read again") != 1 || !strings.Contains(got, "what=keys") {
			t.Errorf("after 3 s: %d and %d calls, log %q", calls.Load(), other.Load(), got)
		}
		failing.Store(true)
		if got := wait(3 * time.Second); strings.Count(got, "err=broken") != 1 || other.Load() != 6 {
			t.Errorf("a fault is logged as %q", got)
		}
		now <- struct{}{} // who asks is told, whatever was said before
		if got := wait(0); strings.Count(got, "err=broken") != 1 || other.Load() != 7 {
			t.Errorf("when asked: %d calls, log %q", other.Load(), got)
		}
		failing.Store(false)
		wait(time.Second)
		failing.Store(true)
		if got := wait(time.Second); strings.Count(got, "err=broken") != 1 {
			t.Errorf("the same fault later is logged as %q", got)
		}
		cancel()
		<-done
	})
}
