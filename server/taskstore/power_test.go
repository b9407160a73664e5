package taskstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"testing"

	"millrace/server/mcp"
)

// volatile is a disk whose power fails after a number of operations. It knows
// what had reached the platter by then.
type volatile struct {
	left int // operations until the power fails

	files   map[string]*content // what the process sees
	durable map[string]*content // the names that were synced
}

type content struct {
	data   []byte
	synced bool
}

var errPower = errors.New("no power")

func newVolatile(left int) *volatile {
	return &volatile{left: left, files: map[string]*content{}, durable: map[string]*content{}}
}

func (d *volatile) step() error {
	if d.left == 0 {
		return errPower
	}
	d.left--
	return nil
}

func (d *volatile) names() (names []string, err error) {
	for name := range d.files {
		names = append(names, name)
	}
	return names, nil
}

func (d *volatile) read(name string, _ int) ([]byte, error) {
	c := d.files[name]
	if c == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(c.data), nil
}

// write is two operations when it syncs, and it makes the file anew although the
// real one may overwrite it: a partial file is never a record.
func (d *volatile) write(name string, data []byte, sync bool) error {
	if err := d.step(); err != nil {
		return err
	}
	c := &content{data: bytes.Clone(data)}
	d.files[name] = c
	if !sync {
		return nil
	}
	if err := d.step(); err != nil {
		return err
	}
	c.synced = true
	return nil
}

func (d *volatile) rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.files[to] = d.files[from]
	delete(d.files, from)
	return nil
}

func (d *volatile) remove(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	if d.files[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.files, name)
	return nil
}

func (d *volatile) sync() error {
	if err := d.step(); err != nil {
		return err
	}
	d.durable = maps.Clone(d.files)
	return nil
}

func (d *volatile) close() {}

// afterPowerLoss returns what the next process may find: each change of a name
// since the last sync of the directory may have reached the disk or not, and of
// content that was not synced nothing, the first half, or all.
func (d *volatile) afterPowerLoss() (found []*volatile) {
	var changed []string
	for name := range d.files {
		if d.files[name] != d.durable[name] {
			changed = append(changed, name)
		}
	}
	for name := range d.durable {
		if d.files[name] == nil {
			changed = append(changed, name)
		}
	}
	for set := range 1 << len(changed) {
		for part := range 3 {
			next := newVolatile(-1) // the power stays
			next.files = maps.Clone(d.durable)
			for i, name := range changed {
				if set>>i&1 == 0 {
					continue
				}
				if delete(next.files, name); d.files[name] != nil {
					next.files[name] = d.files[name]
				}
			}
			for name, c := range next.files {
				if !c.synced {
					next.files[name] = &content{data: c.data[:len(c.data)*part/2]}
				}
			}
			found = append(found, next)
		}
	}
	return found
}

// powerLoss lets the power fail at every operation of a few Puts, and returns
// how many of the states that a disk may be in afterwards lack something that was
// acknowledged, or hold something damaged.
func powerLoss(t *testing.T, sync bool) (states, lost int) {
	for left := 0; ; left++ {
		d := newVolatile(left)
		f := &File{sync: sync, log: slog.New(slog.DiscardHandler), disk: d}
		acked, tried := map[string]int{}, map[string]int{}
		var err error
		for seq := 1; seq <= 6 && err == nil; seq++ {
			id := testID(seq % 3)
			tried[id] = seq
			if err = f.Put(t.Context(), testRecord(id, seq)); err == nil {
				acked[id] = seq
			}
		}
		for _, next := range d.afterPowerLoss() {
			states++
			if why := survives(t, next, acked, tried); why != "" {
				lost++
				if sync {
					t.Errorf("power fails after %d operations: %s", left, why)
				}
			}
		}
		if err == nil {
			return states, lost
		}
	}
}

// survives opens a store after a loss of power and says what is wrong with it.
func survives(t *testing.T, d *volatile, acked, tried map[string]int) string {
	f := &File{log: slog.New(slog.DiscardHandler), disk: d}
	if err := f.removePartial(); err != nil {
		return err.Error()
	}
	for id, last := range tried {
		r, err := f.Get(t.Context(), id)
		switch {
		case err == mcp.ErrTaskNotFound && acked[id] == 0 && d.files[id+badExt] == nil:
		case err != nil:
			return fmt.Sprintf("task %s, of which record %d was acknowledged: %v", id, acked[id], err)
		case !same(r, testRecord(id, acked[id])) && !same(r, testRecord(id, last)):
			return fmt.Sprintf("task %s is neither record %d nor %d: %.100v", id, acked[id], last, r)
		}
	}
	return ""
}

func TestPowerLoss(t *testing.T) {
	states, _ := powerLoss(t, true)
	_, lost := powerLoss(t, false)
	if lost == 0 {
		t.Error("without Sync nothing is ever lost: the test shows nothing")
	}
	t.Logf("%d states of the disk, all right with Sync, %d lost something without", states, lost)
}
