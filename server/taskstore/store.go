// Package taskstore keeps tasks in a directory, so that they survive the end of
// the process, in whatever way it ends.
//
// # Files
//
// Every task is a file of its own, named by its id: ABC….json holds its
// [mcp.TaskRecord] as JSON, with a format version and a checksum. A record is
// written to ABC….tmp and renamed, so that a reader, or the next process, finds
// the old record or the new one and nothing between them. What cannot be read is
// put aside as ABC….json.bad. The file named lock is locked while a process uses
// the directory. There are no sub-directories: among 100,000 tasks Get and Put take
// the time that they take among 100.
//
// # Durability
//
// When Put returns nil, a kill of the process does not lose the record: it is
// with the operating system. With Options.Sync a loss of power does not lose it
// either: it is on the disk, as far as the disk tells the truth. A deletion may
// come undone with the power; a task that is back has expired as it had before.
package taskstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"millrace/server/mcp"
)

// Options configure a File. The zero value is ready to use.
type Options struct {
	// Sync makes Put wait until the record is on the disk.
	Sync bool
	// Logger is told of files that were put aside. Default: none.
	Logger *slog.Logger
}

// ErrClosed is what the methods of a closed File return.
var ErrClosed = errors.New("taskstore: closed")

// Endings of the names of files.
const (
	recordExt  = ".json"
	partialExt = ".tmp"
	badExt     = ".json.bad"
)

// File is an mcp.TaskStore in a directory. Its methods may be called by any
// goroutine.
type File struct {
	dir    string
	sync   bool
	log    *slog.Logger
	disk   disk
	unlock func()

	ids keyed // who writes to a task

	// Whoever touches the directory holds mu for reading. For writing it is held to
	// list names, which a rename meanwhile may hide from the reader, and to close.
	mu     sync.RWMutex
	closed bool
}

var _ mcp.TaskStore = (*File)(nil)

// Open opens the store in dir, which is made when it does not exist; no other
// process can open it until Close. A directory that others may write to is
// refused. o may be nil.
func Open(dir string, o *Options) (*File, error) {
	if o == nil {
		o = &Options{}
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d, err := openDir(dir, o.Sync)
	if err != nil {
		return nil, fmt.Errorf("taskstore: %w", err)
	}
	unlock, err := d.lock()
	if err != nil {
		d.close()
		return nil, fmt.Errorf("taskstore: %w", err)
	}
	f := &File{dir: dir, sync: o.Sync, log: log, disk: d, unlock: unlock}
	if err := f.removePartial(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("taskstore: %w", err)
	}
	return f, nil
}

// removePartial removes what an earlier process was writing when it ended.
func (f *File) removePartial() error {
	names, err := f.disk.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, partialExt); ok && validID(id) {
			if err := f.disk.remove(name); err != nil {
				return err
			}
		}
	}
	if f.sync { // also shows whether this disk can do it
		return f.disk.sync()
	}
	return nil
}

// Close waits for calls that write or read, and lets other processes open the
// directory. A second Close does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	f.disk.close()
	f.unlock()
	return nil
}

// use holds the store open until done is called.
func (f *File) use() (done func(), err error) {
	f.mu.RLock()
	if f.closed {
		f.mu.RUnlock()
		return nil, ErrClosed
	}
	return f.mu.RUnlock, nil
}

// Put implements mcp.TaskStore. When it returns an error the record that was
// there before still is, with one exception: if the new record is in place but
// the directory cannot be synced, Get returns the new one, and which of the two
// survives a loss of power is open.
func (f *File) Put(ctx context.Context, r *mcp.TaskRecord) error {
	data, err := encode(r)
	if err != nil {
		return fmt.Errorf("taskstore: %w", err)
	}
	unlock, err := f.ids.lock(ctx, r.ID)
	if err != nil {
		return err
	}
	defer unlock()
	done, err := f.use()
	if err != nil {
		return err
	}
	defer done()
	if err := f.replace(r.ID, data); err != nil {
		return fmt.Errorf("taskstore: %w", err)
	}
	return nil
}

// replace makes data the file of a task. Its lock is held.
func (f *File) replace(id string, data []byte) error {
	partial := id + partialExt
	err := f.disk.write(partial, data, f.sync)
	if err == nil {
		err = f.disk.rename(partial, id+recordExt)
	}
	if err != nil {
		_ = f.disk.remove(partial) // makes room on a full disk; if it fails, the next Put writes over it
		return err
	}
	if f.sync {
		return f.disk.sync()
	}
	return nil
}

// Get implements mcp.TaskStore. A task whose file is damaged is unknown.
func (f *File) Get(ctx context.Context, id string) (*mcp.TaskRecord, error) {
	if !validID(id) {
		return nil, mcp.ErrTaskNotFound
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := f.load(id)
	if isDamage(err) {
		r, err = f.putAside(ctx, id)
	}
	if err != nil && !errors.Is(err, mcp.ErrTaskNotFound) && !errors.Is(err, ErrClosed) {
		return nil, fmt.Errorf("taskstore: %w", err)
	}
	return r, err
}

// load reads the record of a task.
func (f *File) load(id string) (*mcp.TaskRecord, error) {
	done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := f.disk.read(id+recordExt, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mcp.ErrTaskNotFound
	}
	if err != nil {
		return nil, err
	}
	r, err := decode(id, data)
	if errors.Is(err, errNewer) {
		return nil, fmt.Errorf("%s/%s%s: %w", f.dir, id, recordExt, err)
	}
	return r, err
}

// isDamage reports whether err is about what the disk has made of one file,
// rather than about the directory or this process.
func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, syscall.EIO) ||
		errors.Is(err, syscall.EBADMSG) || errors.Is(err, syscall.EUCLEAN) // two names that file systems have for a wrong checksum
}

// putAside renames a damaged file, so that somebody can have a look at it and
// the store need not.
func (f *File) putAside(ctx context.Context, id string) (*mcp.TaskRecord, error) {
	unlock, err := f.ids.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, damage := f.load(id) // a Put may have come first
	if !isDamage(damage) {
		return r, damage
	}
	done, err := f.use()
	if err != nil {
		return nil, err
	}
	defer done()
	attrs := []slog.Attr{slog.String("dir", f.dir), slog.String("file", id+badExt), slog.Any("err", damage)}
	if err := f.disk.rename(id+recordExt, id+badExt); err != nil {
		attrs = append(attrs, slog.Any("rename", err))
	}
	f.log.LogAttrs(ctx, slog.LevelError, "taskstore: a damaged task was put aside", attrs...)
	return nil, mcp.ErrTaskNotFound
}

// Delete implements mcp.TaskStore.
func (f *File) Delete(ctx context.Context, id string) error {
	if !validID(id) {
		return nil
	}
	unlock, err := f.ids.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	done, err := f.use()
	if err != nil {
		return err
	}
	defer done()
	if err := f.disk.remove(id + recordExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taskstore: %w", err)
	}
	return nil
}

// All implements mcp.TaskStore. It yields every task that is there when the loop
// begins and is not deleted long before its turn, as it was shortly before: a few are
// read ahead. The loop may use the store. Damaged tasks are left
// out; a task of a newer version of the program is an error, after which the loop may
// go on.
func (f *File) All(ctx context.Context) iter.Seq2[*mcp.TaskRecord, error] {
	return func(yield func(*mcp.TaskRecord, error) bool) {
		ids, err := f.list()
		if err != nil {
			yield(nil, err)
			return
		}
		found, stop := f.readAll(ctx, ids)
		defer stop()
		for t := range found {
			switch err := cmp.Or(ctx.Err(), f.usable()); {
			case err != nil:
				yield(nil, err) // what was read ahead does not count any more
				return
			case errors.Is(t.err, mcp.ErrTaskNotFound):
				continue
			}
			if !yield(t.rec, t.err) {
				return
			}
		}
	}
}

// usable is ErrClosed when the store is closed.
func (f *File) usable() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return ErrClosed
	}
	return nil
}

// readers is how many records are read at once: a start with thousands of tasks waits
// for nothing else.
const readers = 4

type foundTask struct {
	rec *mcp.TaskRecord
	err error
}

// readAll reads tasks, in no order. stop ends it and waits for its goroutines; it must
// be called.
func (f *File) readAll(ctx context.Context, ids []string) (found <-chan foundTask, stop func()) {
	out, stopped := make(chan foundTask), make(chan struct{})
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(readers, len(ids)) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(len(ids)); i = next.Add(1) {
				rec, err := f.Get(ctx, ids[i-1])
				select {
				case out <- foundTask{rec, err}:
				case <-stopped:
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(out)
		close(ended)
	}()
	return out, func() {
		close(stopped)
		<-ended
	}
}

// list returns the ids of all tasks.
func (f *File) list() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	names, err := f.disk.names()
	if err != nil {
		return nil, fmt.Errorf("taskstore: %w", err)
	}
	ids := names[:0]
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, recordExt); ok && validID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
