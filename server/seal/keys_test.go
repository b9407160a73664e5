package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// line is the key file line of a key of n bytes of value b.
func line(b byte, n int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, n)) + "\n"
}

func manyLines(n int) string {
	var sb strings.Builder
	for i := range n {
		sb.WriteString(line(byte(i+1), keySize))
	}
	return sb.String()
}

func writeFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadText(t *testing.T, text string) *Keys {
	t.Helper()
	k, err := LoadFile(writeFile(t, text, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestLoadFile(t *testing.T) {
	tests := []struct {
		name, text string
		mode       os.FileMode
		keys       int
		err        string
	}{
		{"one", line(1, 32), 0o600, 1, ""},
		{"read-only", line(1, 32), 0o400, 1, ""},
		{"no line break", strings.TrimSpace(line(1, 32)), 0o600, 1, ""},
		{"comments, blanks, CRLF", "# a\r\n\r\n  " + line(1, 32) + "\t# b\n" + line(2, 32), 0o600, 2, ""},
		{"keys, limit-1", manyLines(MaxKeys - 1), 0o600, MaxKeys - 1, ""},
		{"keys, limit", manyLines(MaxKeys), 0o600, MaxKeys, ""},
		{"keys, limit+1", manyLines(MaxKeys + 1), 0o600, 0, "line 17: more than 16 keys"},
		{"empty", "", 0o600, 0, "no key in it"},
		{"comments only", "# nothing\n", 0o600, 0, "no key in it"},
		{"31 bytes", line(1, 31), 0o600, 0, "line 1: a key of 31 bytes, want 32"},
		{"33 bytes", line(1, 33), 0o600, 0, "line 1: a key of 33 bytes, want 32"},
		{"16 bytes, second", line(1, 32) + line(2, 16), 0o600, 0, "line 2: a key of 16 bytes"},
		{"not base64", "secret!\n", 0o600, 0, "line 1: not a key in standard base64"},
		{"no padding", strings.TrimRight(line(1, 32), "=\n"), 0o600, 0, "not a key"},
		{"trailing bits", strings.Replace(line(0, 32), "AAA=", "AAB=", 1), 0o600, 0, "not a key"},
		{"duplicate", line(1, 32) + "# same\n" + line(1, 32), 0o600, 0, "line 3: the key is there already"},
		{"group reads", line(1, 32), 0o640, 0, "chmod 600"},
		{"others read", line(1, 32), 0o604, 0, "chmod 600"},
		{"group writes", line(1, 32), 0o620, 0, "chmod 600"},
		{"size, limit", strings.Repeat("#", maxFileSize-45) + "\n" + strings.TrimSpace(line(1, 32)), 0o600, 1, ""},
		{"size, limit+1", strings.Repeat("#", maxFileSize-45) + "\n" + line(1, 32), 0o600, 0, "longer than 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := LoadFile(writeFile(t, tt.text, tt.mode))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("LoadFile error = %v, want one with %q", err, tt.err)
				}
				for l := range strings.Lines(tt.text) {
					if l = strings.TrimSpace(l); len(l) > 6 && l[0] != '#' && strings.Contains(err.Error(), l) {
						t.Errorf("error %q quotes the file", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatalf("LoadFile: %v", err)
			}
			if len(k.set.Load().keys) != tt.keys {
				t.Errorf("keys = %d, want %d", len(k.set.Load().keys), tt.keys)
			}
		})
	}
}

func TestLoadFileUnreadable(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LoadFile(missing) error = %v, want os.ErrNotExist", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(dir); err == nil {
		t.Error("LoadFile(directory) = nil error")
	}
}

func TestWriteRandom(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	if err := WriteRandom(path); err != nil {
		t.Fatal(err)
	}
	k, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %v, want 0600", got)
	}
	token := k.Box("p").Seal(nil, []byte("x"), nil)

	if err := WriteRandom(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("second WriteRandom error = %v, want os.ErrExist", err)
	}
	again, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Box("p").Open(nil, token, nil); err != nil {
		t.Errorf("Open after a second WriteRandom: %v", err)
	}

	other := filepath.Join(dir, "other")
	if err := WriteRandom(other); err != nil {
		t.Fatal(err)
	}
	o, err := LoadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if o.set.Load().keys[0].secret == k.set.Load().keys[0].secret {
		t.Error("two files hold the same key")
	}
}

func TestFormatShowsNoKey(t *testing.T) {
	k := loadText(t, line('A', keySize)+line('B', keySize))
	want := fmt.Sprintf("seal.Keys(2, sealing with %x)", k.set.Load().keys[0].id)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != want {
			t.Errorf("%s = %q, want %q", verb, got, want)
		}
		if got := fmt.Sprintf(verb, struct{ K *Keys }{k}); strings.Contains(got, "65 65") || strings.Contains(got, "AAAA") {
			t.Errorf("%s inside a struct shows the key: %q", verb, got)
		}
	}
	if got, want := fmt.Sprint((*Keys)(nil)), "seal.Keys(none)"; got != want {
		t.Errorf("nil = %q, want %q", got, want)
	}
}

// TestReload changes keys while boxes are in use.
func TestReload(t *testing.T) {
	a, b := line('a', keySize), line('b', keySize)
	path := writeFile(t, a, 0o600)
	k, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	box := k.Box("sess")
	old := box.Seal(nil, []byte("old"), nil)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opens := func(token []byte) bool {
		_, err := box.Open(nil, token, nil)
		return err == nil
	}
	if changed, err := k.Reload(); changed || err != nil {
		t.Errorf("an unchanged file: %v, %v", changed, err)
	}
	write(a + b) // step 1: the new key opens
	if changed, err := k.Reload(); !changed || err != nil || !opens(old) {
		t.Errorf("a second key: %v, %v", changed, err)
	}
	write(b + a) // step 2: it seals
	if changed, err := k.Reload(); !changed || err != nil || !opens(old) {
		t.Errorf("keys in another order: %v, %v", changed, err)
	}
	fresh := box.Seal(nil, []byte("new"), nil)
	write("nonsense")
	if changed, err := k.Reload(); changed || err == nil || !opens(old) || !opens(fresh) {
		t.Errorf("a broken file: %v, %v", changed, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(); changed || err == nil || !opens(fresh) {
		t.Errorf("no file: %v, %v", changed, err)
	}
	write(b) // step 3: the old one is gone
	if changed, err := k.Reload(); !changed || err != nil || opens(old) || !opens(fresh) {
		t.Errorf("the old key dropped: %v, %v", changed, err)
	}
	if later := k.Box("sess"); !bytes.Equal(must(later.Open(nil, fresh, nil)), []byte("new")) {
		t.Error("a later box has other keys")
	}
	if changed, err := NewRandom().Reload(); changed || err != nil {
		t.Errorf("random keys: %v, %v", changed, err)
	}
}
