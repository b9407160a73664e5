package taskstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/server/mcp"
)

// testID returns the id of the nth task of a test.
func testID(n int) string {
	return fmt.Sprintf("TASK%c", 'A'+n%26) + strings.Repeat(string(rune('A'+n/26%26)), 21)
}

// testRecord returns a record with every field set.
func testRecord(id string, seq int) *mcp.TaskRecord {
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC).Add(time.Duration(seq) * time.Second)
	return &mcp.TaskRecord{
		ID: id, Principal: "grüße <a&b>\u2028", Tool: "tool", Status: mcp.TaskInputRequired, StatusMessage: fmt.Sprint(seq),
		Created: at, Updated: at.Add(time.Minute), TTL: time.Hour, PollInterval: time.Second,
		InputRequests: json.RawMessage(`{"a":{"method":"<x>"}}`),
		Result:        json.RawMessage(fmt.Sprintf(`{"seq":%d,"fill":%q}`, seq, strings.Repeat("<", seq*7919%5000))),
		Error:         json.RawMessage(`{"code":-1}`),
	}
}

// same reports whether two records say the same.
func same(a, b *mcp.TaskRecord) bool {
	x, err := encode(a)
	y, err2 := encode(b)
	return err == nil && err2 == nil && bytes.Equal(x, y) && a.Created.Equal(b.Created)
}

func open(t *testing.T, dir string, o *Options) *File {
	t.Helper()
	f, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, f *File, r *mcp.TaskRecord) {
	t.Helper()
	if err := f.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// wantRecord fails unless the store has exactly this record under its id.
func wantRecord(t *testing.T, f *File, want *mcp.TaskRecord) {
	t.Helper()
	if got, err := f.Get(t.Context(), want.ID); err != nil {
		t.Errorf("Get(%s): %v", want.ID, err)
	} else if !same(got, want) {
		t.Errorf("Get(%s) = %.300v, want %.300v", want.ID, got, want)
	}
}

func wantNone(t *testing.T, f *File, id string) {
	t.Helper()
	if r, err := f.Get(t.Context(), id); err != mcp.ErrTaskNotFound || r != nil {
		t.Errorf("Get(%s) = %v, %v, want ErrTaskNotFound", id, r, err)
	}
}

// wantFiles fails unless the directory holds these files, besides the lock.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Name() != "lock" {
			got = append(got, e.Name())
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

// all returns the ids that All yields, sorted.
func all(t *testing.T, f *File) (ids []string, errs []error) {
	t.Helper()
	for r, err := range f.All(t.Context()) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids, errs
}

func TestStore(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("sync=%v", sync), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b", "tasks")
			f := open(t, dir, &Options{Sync: sync})
			a, b, c := testRecord(testID(0), 1), testRecord(testID(1), 2), &mcp.TaskRecord{ID: testID(2), Status: mcp.TaskWorking}
			for _, r := range []*mcp.TaskRecord{a, b, c} {
				wantNone(t, f, r.ID)
				put(t, f, r)
				wantRecord(t, f, r)
			}
			b = testRecord(b.ID, 3)
			put(t, f, b)
			for range 2 { // the second time it is unknown, which is no error
				if err := f.Delete(t.Context(), a.ID); err != nil {
					t.Fatal(err)
				}
			}
			f.Close()
			f = open(t, dir, nil)
			wantNone(t, f, a.ID)
			wantRecord(t, f, b)
			wantRecord(t, f, c)
			if ids, errs := all(t, f); !slices.Equal(ids, []string{b.ID, c.ID}) || errs != nil {
				t.Errorf("All yields %v, %v", ids, errs)
			}
			wantFiles(t, dir, b.ID+".json", c.ID+".json")
			for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, dir + "/lock": 0o600, dir + "/" + b.ID + ".json": 0o600} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s: mode %v, want %v, %v", path, info.Mode().Perm(), mode, err)
				}
			}
		})
	}
}

// What a caller does to a record afterwards is not in the store.
func TestOwnership(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	r := testRecord(testID(0), 1)
	put(t, f, r)
	r.Result[0], r.Tool = 'x', "other"
	wantRecord(t, f, testRecord(testID(0), 1))
	got, _ := f.Get(t.Context(), testID(0))
	got.Result[0] = 'x'
	wantRecord(t, f, testRecord(testID(0), 1))
}

func TestIDs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tasks")
	f := open(t, dir, nil)
	for _, id := range []string{
		"", "A", strings.Repeat("A", 25), strings.Repeat("A", 27), strings.Repeat("a", 26), strings.Repeat("1", 26), strings.Repeat("8", 26),
		"../AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAA/AAAAAAAAAAAAA", "AAAAAAAAAAAA\x00AAAAAAAAAAAAA", strings.Repeat("é", 13),
		"lock", "../../etc/passwd", "/etc/passwd", strings.Repeat("A", 1<<20),
	} {
		wantNone(t, f, id)
		if err := f.Delete(t.Context(), id); err != nil {
			t.Errorf("Delete(%.40q): %v", id, err)
		}
		if err := f.Put(t.Context(), testRecord(id, 1)); err == nil || !strings.Contains(err.Error(), "no id of a task") || len(err.Error()) > 300 {
			t.Errorf("Put(%.40q): %v", id, err)
		}
	}
	wantFiles(t, dir)
	wantFiles(t, filepath.Dir(dir), "tasks")
}

func TestSize(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	r := &mcp.TaskRecord{ID: testID(0), Result: json.RawMessage(`""`)}
	small, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	empty := len(small) - len(seal(nil))
	r.Result = json.RawMessage(`"` + strings.Repeat("x", MaxRecord-empty) + `"`)
	put(t, f, r)
	wantRecord(t, f, r)
	big := *r
	big.Result = json.RawMessage(`"` + strings.Repeat("y", MaxRecord-empty+1) + `"`)
	if err := f.Put(t.Context(), &big); err == nil || !strings.Contains(err.Error(), "8388609 bytes is too large, the limit is 8388608") {
		t.Errorf("Put of a byte too many: %v", err)
	}
	wantRecord(t, f, r)
}

func TestCannotEncode(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	before := testRecord(testID(0), 1)
	put(t, f, before)
	for name, change := range map[string]func(*mcp.TaskRecord){
		"result":    func(r *mcp.TaskRecord) { r.Result = json.RawMessage(`{"a":`) },
		"year":      func(r *mcp.TaskRecord) { r.Created = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"principal": func(r *mcp.TaskRecord) { r.Principal = "a\xff" },
	} {
		r := testRecord(testID(0), 2)
		change(r)
		if err := f.Put(t.Context(), r); err == nil || !strings.Contains(err.Error(), r.ID) {
			t.Errorf("Put with a bad %s: %v, want an error with the id", name, err)
		}
	}
	wantRecord(t, f, before)
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	keep := []string{"notes.tmp", "x", testID(3) + ".json.bad", strings.ToLower(testID(4)) + ".json"}
	for _, name := range append(keep, testID(0)+".tmp", testID(1)+".tmp") {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := open(t, dir, nil)
	wantFiles(t, dir, keep...)
	if ids, errs := all(t, f); ids != nil || errs != nil {
		t.Errorf("All yields %v, %v", ids, errs)
	}
}

func TestDamaged(t *testing.T) {
	good, err := encode(testRecord(testID(0), 5))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"empty": {}, "zeros": make([]byte, 4096), "truncated": good[:len(good)/2], "one byte less": good[:len(good)-2], "one bit": flipped,
		"appended": append(bytes.Clone(good), good...), "no JSON": []byte("hello"), "other JSON": []byte(`[1]`), "no task": []byte(`{"version":1}`),
		"version 0":    bytes.Replace(good, []byte(`"version":1`), []byte(`"version":0`), 1),
		"other id":     bytes.Replace(good, good, mustEncode(t, testRecord(testID(7), 5)), 1),
		"not a record": seal([]byte(`{"id":1}`)),
		"too large":    make([]byte, maxFile+1),
	} {
		t.Run(name, func(t *testing.T) {
			for _, how := range []string{"All", "Get"} {
				dir := t.TempDir()
				var logged bytes.Buffer
				f := open(t, dir, &Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
				id := testID(0)
				put(t, f, testRecord(testID(1), 1))
				put(t, f, testRecord(testID(2), 2))
				if err := os.WriteFile(filepath.Join(dir, id+".json"), content, 0o600); err != nil {
					t.Fatal(err)
				}
				if how == "Get" {
					wantNone(t, f, id)
				}
				if ids, errs := all(t, f); !slices.Equal(ids, []string{testID(1), testID(2)}) || errs != nil {
					t.Errorf("All yields %v, %v", ids, errs)
				}
				wantFiles(t, dir, id+".json.bad", testID(1)+".json", testID(2)+".json")
				if lines := strings.Count(logged.String(), "\n"); lines != 1 || !strings.Contains(logged.String(), id+".json.bad") {
					t.Errorf("logged %q, want one line with the name", logged.String())
				}
				if kept, err := os.ReadFile(filepath.Join(dir, id+".json.bad")); err != nil || !bytes.Equal(kept, content) {
					t.Errorf("what was put aside is not what was there: %v", err)
				}
				put(t, f, testRecord(id, 9))
				wantRecord(t, f, testRecord(id, 9))
			}
		})
	}
	t.Run("directory", func(t *testing.T) {
		dir := t.TempDir()
		f := open(t, dir, nil)
		if err := os.MkdirAll(filepath.Join(dir, testID(0)+".json", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		wantNone(t, f, testID(0))
		wantFiles(t, dir, testID(0)+".json.bad")
	})
	t.Run("link", func(t *testing.T) { // os.Root does not follow it; that is an error, and the file is left alone
		dir := t.TempDir()
		f := open(t, dir, nil)
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, testID(0)+".json")); err != nil {
			t.Fatal(err)
		}
		if r, err := f.Get(t.Context(), testID(0)); r != nil || err == nil || err == mcp.ErrTaskNotFound {
			t.Errorf("Get through a link out of the directory: %v, %v", r, err)
		}
	})
}

func mustEncode(t *testing.T, r *mcp.TaskRecord) []byte {
	t.Helper()
	b, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewerVersion(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	put(t, f, testRecord(testID(1), 1))
	newer := filepath.Join(dir, testID(0)+".json")
	if err := os.WriteFile(newer, []byte(`{"version":2,"records":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ids, errs := all(t, f)
	if !slices.Equal(ids, []string{testID(1)}) || len(errs) != 1 {
		t.Fatalf("All yields %v, %v, want the other one and an error", ids, errs)
	}
	for _, part := range []string{newer, "version 2", "run that version", "move the directory"} {
		if !strings.Contains(errs[0].Error(), part) {
			t.Errorf("the error %q lacks %q", errs[0], part)
		}
	}
	wantFiles(t, dir, testID(0)+".json", testID(1)+".json")
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tasks")
	f := open(t, dir, nil)
	_, err := Open(dir, nil)
	if err == nil || !strings.Contains(err.Error(), dir+" is in use by process "+fmt.Sprint(os.Getpid())) {
		t.Errorf("a second Open: %v, want an error that names directory and process", err)
	}
	put(t, f, testRecord(testID(0), 1)) // the first is not disturbed
	f.Close()
	open(t, dir, nil)
	if err := os.Truncate(dir+"/lock", 0); err != nil { // as if the disk were full
		t.Fatal(err)
	}
	if _, err := Open(dir, nil); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second Open: %v", err)
	}
}

func TestClosed(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	put(t, f, testRecord(testID(0), 1))
	put(t, f, testRecord(testID(1), 1))
	var got []error
	for _, err := range f.All(t.Context()) { // closed in the middle of a loop
		got = append(got, err)
		f.Close()
	}
	if !slices.Equal(got, []error{nil, ErrClosed}) {
		t.Errorf("All yields errors %v, want one record and ErrClosed", got)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := f.Put(t.Context(), testRecord(testID(0), 1)); err != ErrClosed {
		t.Errorf("Put: %v", err)
	}
	if _, err := f.Get(t.Context(), testID(0)); err != ErrClosed {
		t.Errorf("Get: %v", err)
	}
	if err := f.Delete(t.Context(), testID(0)); err != ErrClosed {
		t.Errorf("Delete: %v", err)
	}
	if _, errs := all(t, f); len(errs) != 1 || errs[0] != ErrClosed {
		t.Errorf("All: %v", errs)
	}
}

func TestContext(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	for i := range 3 {
		put(t, f, testRecord(testID(i), 1))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []error
	for _, err := range f.All(ctx) {
		got = append(got, err)
		cancel()
	}
	if len(got) != 2 || got[0] != nil || !errors.Is(got[1], context.Canceled) {
		t.Errorf("All yields errors %v, want one record and Canceled", got)
	}
	if err := f.Put(ctx, testRecord(testID(0), 2)); err != context.Canceled {
		t.Errorf("Put: %v", err)
	}
	if _, err := f.Get(ctx, testID(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	if err := f.Delete(ctx, testID(0)); err != context.Canceled {
		t.Errorf("Delete: %v", err)
	}
	wantRecord(t, f, testRecord(testID(0), 1))
}

// A server changes and deletes tasks while it goes through them.
func TestAllWhileChanging(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	for i := range 26 {
		put(t, f, testRecord(testID(i), 1))
	}
	seen := map[string]int{}
	for r, err := range f.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[r.ID]++
		put(t, f, testRecord(r.ID, 2))
		put(t, f, testRecord(testID(26+len(seen)), 1)) // new ones may or may not be yielded
	}
	for i := range 26 {
		if seen[testID(i)] != 1 {
			t.Errorf("task %d was yielded %d times", i, seen[testID(i)])
		}
	}
	for r := range f.All(t.Context()) {
		for i := range 60 {
			if id := testID(i); id != r.ID {
				f.Delete(t.Context(), id)
			}
		}
	}
	// A few are read ahead, and yielded although they have been deleted since.
	if ids, errs := all(t, f); len(ids) > 1 || errs != nil {
		t.Errorf("%v, %v are left, want one at most", ids, errs)
	}
	for range f.All(t.Context()) {
		break
	}
}
