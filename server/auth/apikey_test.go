package auth

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/server/reload"
)

// keyFile writes a file of whole lines.
func keyFile(t *testing.T, text string) string {
	t.Helper()
	return rawFile(t, strings.TrimSuffix(text, "\n")+"\n")
}

func rawFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T, name string, scopes ...string) (key, line string) {
	t.Helper()
	key, line, err := NewKey(name, scopes, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return key, line
}

func TestAPIKeys(t *testing.T) {
	key1, line1 := newKey(t, "ci", "read", "write")
	key2, line2 := newKey(t, "ops")
	if key1 == key2 || !strings.HasPrefix(key1, "mrk_") || len(key1) < 47 || strings.Contains(line1, key1[4:]) {
		t.Fatalf("%s %s", key1, line1)
	}
	k, err := LoadKeys(keyFile(t, "# people\n\n"+line1+"\n  "+line2+" expires=2027-01-31"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)
	k.now = func() time.Time { return now }
	p, err := k.Verify(t.Context(), key1)
	if err != nil || p.ID != "key:ci" || !p.HasScope("write") || !p.Expires.IsZero() {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := k.Verify(t.Context(), key2); err != nil || p.ID != "key:ops" || len(p.Scopes) != 0 || p.Expires.IsZero() {
		t.Errorf("on its last day: %+v %v", p, err)
	}
	now = now.Add(time.Second)
	for name, token := range map[string]string{
		"expired": key2, "unknown": "mrk_" + strings.Repeat("A", 43), "cut": key1[:len(key1)-1], "longer": key1 + "A", "prefix": "mrk_",
	} {
		if p, err := k.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) || p != nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := k.Verify(t.Context(), "a.b.c"); !errors.Is(err, ErrNotMine) {
		t.Errorf("another kind of token: %v", err)
	}
}

func TestAPIKeyFile(t *testing.T) {
	_, line := newKey(t, "ci")
	hash := strings.Fields(line)[1]
	for name, text := range map[string]string{
		"no hash":        "ci",
		"short hash":     "ci sha256:abcd",
		"another hash":   "ci md5:" + hash[7:],
		"no hexadecimal": "ci sha256:" + strings.Repeat("g", 64),
		"bad name":       "c/i " + hash,
		"long name":      strings.Repeat("n", 65) + " " + hash,
		"same name":      line + "\nci sha256:" + strings.Repeat("0", 64),
		"same hash":      line + "\nops " + hash,
		"unknown word":   line + " role=admin",
		"empty scope":    line + " scope=",
		"quoted scope":   line + ` scope="a"`,
		"bad expiry":     line + " expires=soon",
		"too long":       strings.Repeat("#", maxKeyFile+1),
	} {
		if _, err := LoadKeys(keyFile(t, text)); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), hash[7:]) {
			t.Errorf("%s: the error quotes a hash: %v", name, err)
		}
	}
	path := keyFile(t, line)
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(path); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a file that others may write: %v", err)
	}
	if _, err := LoadKeys(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, bad := range []struct{ name, scope string }{{"", "a"}, {"a b", "a"}, {"a", "b c"}, {"a", ""}} {
		if _, _, err := NewKey(bad.name, []string{bad.scope}, time.Time{}); err == nil {
			t.Errorf("NewKey(%q, %q): no error", bad.name, bad.scope)
		}
	}
}

// TestAPIKeysWatch: keys that are added are let in, those that are taken out are
// revoked, others are not disturbed, and a file that is broken changes nothing.
// A line that is being written may yet get an expiry, or other scopes.
func TestAPIKeyHalfLine(t *testing.T) {
	_, line := newKey(t, "ci")
	if _, err := LoadKeys(rawFile(t, line)); err == nil || !strings.Contains(err.Error(), "no line break") {
		t.Errorf("half a line: %v", err)
	}
	if k, err := LoadKeys(rawFile(t, "")); err != nil || k.Len() != 0 {
		t.Errorf("an empty file, which lets nobody in: %v", err)
	}
}

func TestAPIKeysWatch(t *testing.T) {
	_, line1 := newKey(t, "ci", "read")
	key2, line2 := newKey(t, "ops")
	key3, line3 := newKey(t, "new")
	path := keyFile(t, line1+"\n"+line2)
	k, err := LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	ci, ops := k.set.Load().byName["key:ci"], k.set.Load().byName["key:ops"]
	stamp := time.Now()
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, stamp, stamp); err != nil { // as some deployments do
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go reload.Watch(ctx, time.Second, nil, slog.New(slog.DiscardHandler), reload.Source{Name: "API keys", Reload: k.Reload})
		step := func(text string) {
			t.Helper()
			write(text)
			time.Sleep(3 * time.Second) // of the bubble: Watch has looked by then
			synctest.Wait()
		}
		step(line1 + "\n" + line3)
		if k.Revoked(ci) || !k.Revoked(ops) {
			t.Errorf("revoked: ci %v, ops %v; want ops alone", k.Revoked(ci), k.Revoked(ops))
		}
		if _, err := k.Verify(t.Context(), key2); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("a key that is gone: %v", err)
		}
		if _, err := k.Verify(t.Context(), key3); err != nil {
			t.Errorf("a new key: %v", err)
		}
		step("broken")
		if _, err := k.Verify(t.Context(), key3); err != nil {
			t.Errorf("behind a broken file: %v", err)
		}
		step(line1 + " scope=admin\n" + line3)
		if !k.Revoked(ci) {
			t.Error("a key with other scopes still has its old ones")
		}
		if k.Revoked(&Principal{ID: "https://as.example.com#ann"}) || k.Revoked(&Principal{ID: "key:other", from: new(Keys)}) {
			t.Error("a principal of another verifier is revoked")
		}
	})
}
