package taskstore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"millrace/server/mcp"
)

// faulty is a directory in which operations fail when fail says so. A write that
// fails has written half.
type faulty struct {
	disk
	fail func(op, name string) error
}

func (d *faulty) names() ([]string, error) {
	if err := d.fail("names", ""); err != nil {
		return nil, err
	}
	return d.disk.names()
}

func (d *faulty) read(name string, limit int) ([]byte, error) {
	if err := d.fail("read", name); err != nil {
		return nil, err
	}
	return d.disk.read(name, limit)
}

func (d *faulty) write(name string, data []byte, sync bool) error {
	if err := d.fail("write", name); err != nil {
		d.disk.write(name, data[:len(data)/2], false)
		return err
	}
	return d.disk.write(name, data, sync)
}

func (d *faulty) rename(from, to string) error {
	if err := d.fail("rename", to); err != nil {
		return err
	}
	return d.disk.rename(from, to)
}

func (d *faulty) remove(name string) error {
	if err := d.fail("remove", name); err != nil {
		return err
	}
	return d.disk.remove(name)
}

func (d *faulty) sync() error {
	if err := d.fail("sync", ""); err != nil {
		return err
	}
	return d.disk.sync()
}

// openFaulty opens a store whose operations fail as fails says, by name of the
// operation, at any time.
func openFaulty(t *testing.T, o *Options) (f *File, dir string, fails map[string]error) {
	dir, fails = t.TempDir(), map[string]error{}
	f = open(t, dir, o)
	f.disk = &faulty{f.disk, func(op, _ string) error { return fails[op] }}
	return f, dir, fails
}

func TestPutFails(t *testing.T) {
	for _, op := range []string{"write", "rename", "sync"} {
		t.Run(op, func(t *testing.T) {
			f, dir, fails := openFaulty(t, &Options{Sync: true})
			a, b := testRecord(testID(0), 1), testRecord(testID(1), 1)
			put(t, f, a)
			fails[op] = syscall.ENOSPC
			for _, r := range []*mcp.TaskRecord{testRecord(a.ID, 2), b} {
				err := f.Put(t.Context(), r)
				if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "taskstore: ") {
					t.Errorf("Put: %v, want ENOSPC", err)
				}
			}
			if op == "sync" { // the one error after the new record is in place
				a = testRecord(a.ID, 2)
				wantRecord(t, f, b)
			} else {
				wantNone(t, f, b.ID)
				wantFiles(t, dir, a.ID+".json")
			}
			wantRecord(t, f, a)
			clear(fails)
			a = testRecord(a.ID, 3)
			put(t, f, a)
			wantRecord(t, f, a)
		})
	}
}

// What a failed Put could not remove is written over.
func TestPutFailsTwice(t *testing.T) {
	f, dir, fails := openFaulty(t, nil)
	put(t, f, testRecord(testID(0), 1))
	fails["write"], fails["remove"] = syscall.EIO, syscall.EIO
	if err := f.Put(t.Context(), testRecord(testID(0), 2)); !errors.Is(err, syscall.EIO) {
		t.Errorf("Put: %v", err)
	}
	wantFiles(t, dir, testID(0)+".json", testID(0)+".tmp")
	wantRecord(t, f, testRecord(testID(0), 1))
	clear(fails)
	put(t, f, &mcp.TaskRecord{ID: testID(0)}) // shorter than what was left
	wantRecord(t, f, &mcp.TaskRecord{ID: testID(0)})
	wantFiles(t, dir, testID(0)+".json")
}

func TestReadFails(t *testing.T) {
	// The disk fails: the task is put aside.
	for _, e := range []error{syscall.EIO, syscall.EBADMSG, syscall.EUCLEAN} {
		f, dir, fails := openFaulty(t, nil)
		put(t, f, testRecord(testID(0), 1))
		fails["read"] = &fs.PathError{Op: "read", Path: "x", Err: e}
		wantNone(t, f, testID(0))
		wantFiles(t, dir, testID(0)+".json.bad")
	}
	// This process fails: nothing is wrong with the task.
	f, dir, fails := openFaulty(t, nil)
	put(t, f, testRecord(testID(0), 1))
	fails["read"] = &fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}
	if _, err := f.Get(t.Context(), testID(0)); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Get: %v, want EMFILE", err)
	}
	if ids, errs := all(t, f); ids != nil || len(errs) != 1 || !errors.Is(errs[0], syscall.EMFILE) {
		t.Errorf("All yields %v, %v, want EMFILE", ids, errs)
	}
	wantFiles(t, dir, testID(0)+".json")
}

func TestOtherFailures(t *testing.T) {
	var logged bytes.Buffer
	f, dir, fails := openFaulty(t, &Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	put(t, f, testRecord(testID(0), 1))
	put(t, f, testRecord(testID(1), 1))
	fails["remove"] = syscall.EROFS
	if err := f.Delete(t.Context(), testID(0)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Delete: %v, want EROFS", err)
	}
	wantRecord(t, f, testRecord(testID(0), 1))
	if err := os.WriteFile(filepath.Join(dir, testID(0)+".tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.removePartial(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("removing what is left: %v, want EROFS", err)
	}
	// A damaged file that cannot be renamed does not keep the others from being served.
	if err := os.Truncate(filepath.Join(dir, testID(0)+".json"), 5); err != nil {
		t.Fatal(err)
	}
	fails["rename"] = syscall.EROFS
	if ids, errs := all(t, f); !slices.Equal(ids, []string{testID(1)}) || errs != nil {
		t.Errorf("All yields %v, %v", ids, errs)
	}
	if !strings.Contains(logged.String(), "read-only file system") {
		t.Errorf("logged %q", logged.String())
	}
	fails["names"] = syscall.EIO
	if ids, errs := all(t, f); ids != nil || len(errs) != 1 || !errors.Is(errs[0], syscall.EIO) {
		t.Errorf("All yields %v, %v", ids, errs)
	}
	if err := f.removePartial(); !errors.Is(err, syscall.EIO) {
		t.Errorf("listing: %v", err)
	}
}

// A record that was written anew while it was found to be damaged stays.
func TestPutAsideComesLate(t *testing.T) {
	f, dir, _ := openFaulty(t, nil)
	if err := os.WriteFile(filepath.Join(dir, testID(0)+".json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := true
	f.disk.(*faulty).fail = func(op, _ string) error {
		if op != "read" || !first {
			return nil
		}
		first = false
		put(t, f, testRecord(testID(0), 2))
		return syscall.EIO
	}
	wantRecord(t, f, testRecord(testID(0), 2))
	wantFiles(t, dir, testID(0)+".json")

	// Nor does it wait longer than its caller.
	if err := os.WriteFile(filepath.Join(dir, testID(1)+".json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := f.ids.lock(t.Context(), testID(1))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := f.Get(ctx, testID(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get: %v", err)
	}
	if err := f.Put(ctx, testRecord(testID(1), 1)); err != context.DeadlineExceeded {
		t.Errorf("Put: %v", err)
	}
}

// A real write that fails half-way, by the limit of the size of files.
func TestFileSizeLimit(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, &Options{Sync: true})
	before := testRecord(testID(0), 0)
	put(t, f, before)
	big := testRecord(testID(0), 1)
	big.Result = []byte(`"` + strings.Repeat("x", 100_000) + `"`)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8192, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	err := f.Put(t.Context(), big)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("Put: %v, want EFBIG", err)
	}
	wantRecord(t, f, before)
	wantFiles(t, dir, before.ID+".json")
	put(t, f, big)
	wantRecord(t, f, big)
}

// onOwnThread runs f on a thread that ends afterwards, so that what prepare does
// to the thread stays there. It skips the test when prepare fails.
func onOwnThread(t *testing.T, prepare func() error, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := prepare(); err != nil {
			done <- err
			return
		}
		f()
	}()
	if err := <-done; err != nil {
		t.Skip("needs root: ", err)
	}
}

// A real full disk, and a real read-only one.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	mount := func() error {
		return errors.Join(syscall.Unshare(syscall.CLONE_FS|syscall.CLONE_NEWNS), syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
			syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"))
	}
	onOwnThread(t, mount, func() {
		f, err := Open(filepath.Join(dir, "tasks"), nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		kept := 0
		for i := range 50 {
			r := testRecord(testID(i), 0)
			r.Result = []byte(`"` + strings.Repeat("x", 20_000) + `"`)
			if err = f.Put(t.Context(), r); err != nil {
				break
			}
			kept++
		}
		if !errors.Is(err, syscall.ENOSPC) || kept < 5 {
			t.Errorf("Put on a full disk: %v, after %d records", err, kept)
		}
		r := testRecord(testID(0), 1)
		r.Result = []byte(`"` + strings.Repeat("y", 20_000) + `"`)
		if err := f.Put(t.Context(), r); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("replacing on a full disk: %v", err)
		}
		ids, errs := all(t, f)
		if len(ids) != kept || errs != nil {
			t.Errorf("%d records and errors %v, want %d", len(ids), errs, kept)
		}
		if names, err := f.disk.names(); err != nil || len(names) != kept+1 {
			t.Errorf("names %v, %v, want %d records and a lock", names, err, kept)
		}
		if err := f.Delete(t.Context(), testID(1)); err != nil {
			t.Error(err)
		}
		if err := f.Put(t.Context(), r); err != nil {
			t.Errorf("Put when there is room again: %v", err)
		}
		wantRecord(t, f, r)

		f.Close() // a file open for writing is in the way of the remount
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Error(err)
		}
		if _, err := Open(filepath.Join(dir, "tasks"), nil); !errors.Is(err, syscall.EROFS) {
			t.Errorf("Open on a read-only disk: %v", err)
		}
	})
}

func TestPermissions(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode os.FileMode
		uid  int
		want string // in the error; empty: none
	}{
		{"private", 0o700, 0, ""},
		{"as systemd makes it", 0o755, 0, ""},
		{"group may write", 0o770, 0, "mode 0770): run chmod go-w"},
		{"all may write", 0o1777, 0, "may be changed by others (mode 0777)"},
		{"of somebody else", 0o700, 12345, "belongs to user 12345"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.uid != 0 && os.Chown(dir, tt.uid, -1) != nil {
				t.Skip("needs root")
			}
			if err := os.Chmod(dir, tt.mode); err != nil {
				t.Fatal(err)
			}
			f, err := Open(dir, nil)
			if err == nil {
				f.Close()
			}
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir)) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if tt.want != "" {
				wantFiles(t, dir)
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	base := t.TempDir()
	if err := os.WriteFile(base+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(base+"/locked/lock", 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"": "no directory given", base + "/file": "not a directory", base + "/file/x": "not a directory", base + "/locked": "is a directory", "/proc/none/x": "no such file",
	} {
		for _, sync := range []bool{false, true} {
			if _, err := Open(dir, &Options{Sync: sync}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "taskstore: ") {
				t.Errorf("Open(%q): %v, want %q", dir, err, want)
			}
		}
	}
}

// Without the rights of root.
func TestNobody(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{filepath.Dir(base), base} { // others may not enter what the testing package makes
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	mine, roots := filepath.Join(base, "mine"), filepath.Join(base, "roots")
	for _, dir := range []string{mine, roots} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Chown(mine, nobody, nobody) != nil {
		t.Skip("needs root")
	}
	dropRights := func() error {
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); e != 0 {
			return e
		}
		return nil
	}
	onOwnThread(t, dropRights, func() {
		if _, err := Open(roots, nil); !errors.Is(err, syscall.EACCES) {
			t.Errorf("Open of a directory of root: %v", err)
		}
		if _, err := Open(filepath.Join(roots, "x"), nil); !errors.Is(err, syscall.EACCES) {
			t.Errorf("Open of a directory that cannot be made: %v", err)
		}
		f, err := Open(mine, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		before := testRecord(testID(0), 1)
		if err := f.Put(t.Context(), before); err != nil {
			t.Error(err)
		}
		if err := os.Chmod(mine, 0o500); err != nil {
			t.Error(err)
		}
		if err := f.Put(t.Context(), testRecord(testID(0), 2)); !errors.Is(err, syscall.EACCES) {
			t.Errorf("Put in a directory without the right to write: %v", err)
		}
		wantRecord(t, f, before)
		if err := os.Chmod(filepath.Join(mine, testID(0)+".json"), 0); err != nil {
			t.Error(err)
		}
		if _, err := f.Get(t.Context(), testID(0)); !errors.Is(err, syscall.EACCES) {
			t.Errorf("Get of a file without the right to read: %v", err)
		}
	})
}

// A slow Put holds up nobody but those of its own task, who keep their order.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := openFaulty(t, nil)
		release := make(chan struct{})
		f.disk.(*faulty).fail = func(op, name string) error {
			if op == "write" && name == testID(0)+".tmp" {
				<-release
			}
			return nil
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { put(t, f, testRecord(testID(0), i)) })
			synctest.Wait()
		}
		put(t, f, testRecord(testID(1), 1))
		wantRecord(t, f, testRecord(testID(1), 1))
		for i := range 20 {
			release <- struct{}{}
			synctest.Wait()
			wantRecord(t, f, testRecord(testID(0), i))
		}
		wg.Wait()
		if len(f.ids.locks) != 0 {
			t.Errorf("%d locks are left", len(f.ids.locks))
		}
	})
}
