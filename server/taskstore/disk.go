package taskstore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// disk is the directory as File uses it; tests put one that fails in its place.
type disk interface {
	names() ([]string, error)
	// read returns the content of a file, or errDamaged when it cannot be one of ours.
	read(name string, limit int) ([]byte, error)
	// write makes or overwrites a file. After an error part of it may be there.
	write(name string, data []byte, sync bool) error
	rename(from, to string) error
	remove(name string) error
	// sync waits until renames are on the disk.
	sync() error
	close()
}

// directory is the disk of processes. Names cannot leave it.
type directory struct {
	path string
	root *os.Root
	self *os.File
}

// openDir opens dir, and makes it when it does not exist.
func openDir(dir string, sync bool) (*directory, error) {
	if dir == "" {
		return nil, errors.New("no directory given")
	}
	if err := makeDir(filepath.Clean(dir), sync); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	self, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	d := &directory{path: dir, root: root, self: self}
	if err := d.private(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// makeDir is os.MkdirAll that can wait for the disk.
func makeDir(dir string, sync bool) error {
	err := os.Mkdir(dir, 0o700)
	parent := filepath.Dir(dir)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeDir(parent, sync); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	there := errors.Is(err, fs.ErrExist) // opening it will show whether it is a directory
	if err != nil && !there {
		return err
	}
	if !sync {
		return nil
	}
	// Whoever made it may not have waited; but not everybody may read the parent of
	// the directory that was made for him.
	p, err := os.Open(parent)
	if err != nil {
		if there {
			return nil
		}
		return err
	}
	defer p.Close()
	return p.Sync()
}

// private finds out whether others may change what is in the directory.
func (d *directory) private() error {
	info, err := d.self.Stat()
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("%s may be changed by others (mode %04o): run chmod go-w on it, or choose one that does not exist yet", d.path, perm)
	}
	owner, us := info.Sys().(*syscall.Stat_t).Uid, os.Geteuid()
	if owner != 0 && int(owner) != us {
		return fmt.Errorf("%s belongs to user %d, who may change it, and this is user %d: run chown on it, or choose one that does not exist yet", d.path, owner, us)
	}
	return nil
}

// lock makes this process the only one that uses the directory.
func (d *directory) lock() (unlock func(), err error) {
	const name = "lock"
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", filepath.Join(d.path, name), err)
		}
		holder, _ := io.ReadAll(io.LimitReader(f, 256))
		return nil, fmt.Errorf("%s is in use by %s: every process needs a directory of its own",
			d.path, cmp.Or(strings.TrimSpace(string(holder)), "another process"))
	}
	// The content is for people: a full disk is no reason not to start.
	host, _ := os.Hostname()
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "process %d on %s\n", os.Getpid(), host)
	return func() {
		_ = f.Truncate(0)
		f.Close()
	}, nil
}

func (d *directory) names() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d *directory) read(name string, limit int) ([]byte, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > int64(limit) {
		return nil, fmt.Errorf("%w: mode %v, %d bytes", errDamaged, info.Mode(), info.Size())
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

func (d *directory) write(name string, data []byte, sync bool) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

func (d *directory) rename(from, to string) error { return d.root.Rename(from, to) }
func (d *directory) remove(name string) error     { return d.root.Remove(name) }
func (d *directory) sync() error                  { return d.self.Sync() }

func (d *directory) close() {
	d.self.Close()
	_ = d.root.Close()
}
