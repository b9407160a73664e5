package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestSealOpen(t *testing.T) {
	b := NewRandom().Box("sess")
	for _, n := range []int{0, 1, 2, 3, 15, 16, 17, 100, 4096} {
		plain := bytes.Repeat([]byte{'p'}, n)
		token := b.Seal([]byte("id="), plain, []byte("alice"))
		if got, want := len(token), 3+TokenLen(n); got != want {
			t.Errorf("len(token of %d bytes) = %d, want %d", n, got, want)
		}
		rest, ok := bytes.CutPrefix(token, []byte("id="))
		if !ok {
			t.Fatalf("Seal did not append: %q", token)
		}
		for _, c := range rest {
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", rune(c)) {
				t.Fatalf("token has %q", c)
			}
		}
		got, err := b.Open([]byte("plain="), rest, []byte("alice"))
		if err != nil {
			t.Fatalf("Open of %d bytes: %v", n, err)
		}
		if want := "plain=" + string(plain); string(got) != want {
			t.Errorf("Open = %q, want %q", got, want)
		}
	}
}

func TestSealIsRandom(t *testing.T) {
	b := NewRandom().Box("sess")
	if x, y := b.Seal(nil, []byte("a"), nil), b.Seal(nil, []byte("a"), nil); bytes.Equal(x, y) {
		t.Errorf("two tokens of one plaintext are equal: %s", x)
	}
}

func TestMaxPlaintext(t *testing.T) {
	b := NewRandom().Box("rstate")
	for _, tt := range []struct {
		n    int
		want error
	}{{MaxPlaintext - 1, nil}, {MaxPlaintext, nil}, {MaxPlaintext + 1, ErrInvalid}} {
		plain := bytes.Repeat([]byte{'p'}, tt.n)
		got, err := b.Open(nil, b.Seal(nil, plain, nil), nil)
		if err != tt.want {
			t.Errorf("Open of %d bytes: error = %v, want %v", tt.n, err, tt.want)
		}
		if err == nil && !bytes.Equal(got, plain) {
			t.Errorf("Open of %d bytes differs from what was sealed", tt.n)
		}
	}
}

func TestRotation(t *testing.T) {
	a, b, c := line('a', keySize), line('b', keySize), line('c', keySize)
	sealed := map[string][]byte{}
	for name, text := range map[string]string{"a": a, "b": b, "c": c} {
		sealed[name] = loadText(t, text).Box("sess").Seal(nil, []byte(name), nil)
	}
	tests := []struct {
		name, file string
		opens      string
		sealer     string
	}{
		{"old alone", a, "a", "a"},
		{"new added behind", a + b, "ab", "a"},
		{"new moved to the front", b + a, "ab", "b"},
		{"old dropped", b, "b", "b"},
		{"three", c + a + b, "abc", "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			box := loadText(t, tt.file).Box("sess")
			for name, token := range sealed {
				got, err := box.Open(nil, token, nil)
				if want := strings.Contains(tt.opens, name); (err == nil) != want {
					t.Errorf("Open(token of %s): error = %v, want success %v", name, err, want)
				} else if want && string(got) != name {
					t.Errorf("Open(token of %s) = %q", name, got)
				}
			}
			only := loadText(t, line(tt.sealer[0], keySize)).Box("sess")
			if _, err := only.Open(nil, box.Seal(nil, nil, nil), nil); err != nil {
				t.Errorf("sealed with another key than %s", tt.sealer)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	k := NewRandom()
	b := k.Box("sess")
	token := b.Seal(nil, []byte("hello"), []byte("alice"))
	raw, err := base64.RawURLEncoding.DecodeString(string(token))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(raw []byte) []byte { return base64.RawURLEncoding.AppendEncode(nil, raw) }
	future := bytes.Clone(raw)
	future[0] = version + 1

	tests := []struct {
		name  string
		box   *Box
		token []byte
		aad   string
	}{
		{"wrong purpose", k.Box("cursor"), token, "alice"},
		{"purpose is a prefix", k.Box("ses"), token, "alice"},
		{"wrong aad", b, token, "bob"},
		{"no aad", b, token, ""},
		{"longer aad", b, token, "alice2"},
		{"other keys", NewRandom().Box("sess"), token, "alice"},
		{"empty", b, nil, "alice"},
		{"one character", b, []byte("A"), "alice"},
		{"header only", b, encode(raw[:headerSize]), "alice"},
		{"one byte short of the overhead", b, encode(raw[:overhead-1]), "alice"},
		{"overhead only", b, encode(raw[:overhead]), "alice"},
		{"last byte missing", b, encode(raw[:len(raw)-1]), "alice"},
		{"a byte more", b, encode(append(bytes.Clone(raw), 0)), "alice"},
		{"later version", b, encode(future), "alice"},
		{"standard alphabet", b, []byte(base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 60))), "alice"},
		{"padding", b, append(bytes.Clone(token), '='), "alice"},
		{"line feed inside", b, append(append(bytes.Clone(token[:8]), '\n'), token[8:]...), "alice"},
		{"line breaks behind", b, append(bytes.Clone(token), "\r\n\r\n"...), "alice"},
		{"space behind", b, append(bytes.Clone(token), ' '), "alice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.box.Open([]byte("dst"), tt.token, []byte(tt.aad))
			if err != ErrInvalid || got != nil {
				t.Errorf("Open = %q, %v, want nil, ErrInvalid", got, err)
			}
		})
	}
}

// TestTamper changes every character into every other one of the alphabet, and
// puts others between: a token has one spelling.
func TestTamper(t *testing.T) {
	b := NewRandom().Box("sess")
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for n := range 3 { // all three remainders of base64
		token := b.Seal(nil, bytes.Repeat([]byte{'p'}, n), nil)
		for i := range token {
			for _, c := range []byte(alphabet) {
				if token[i] == c {
					continue
				}
				bad := bytes.Clone(token)
				bad[i] = c
				if _, err := b.Open(nil, bad, nil); !errors.Is(err, ErrInvalid) {
					t.Fatalf("character %d %q → %q: error = %v, want ErrInvalid", i, token[i], c, err)
				}
			}
		}
		for i := range len(token) + 1 {
			for _, extra := range []string{"\n", "\r", "\r\n", "\n\n\n", "\n\n\n\n", "A", "=", " "} {
				bad := []byte(string(token[:i]) + extra + string(token[i:]))
				if _, err := b.Open(nil, bad, nil); !errors.Is(err, ErrInvalid) {
					t.Fatalf("%q before character %d: error = %v, want ErrInvalid", extra, i, err)
				}
			}
		}
		for i := range token {
			if _, err := b.Open(nil, token[:i], nil); !errors.Is(err, ErrInvalid) {
				t.Fatalf("cut to %d characters: error = %v, want ErrInvalid", i, err)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	b := NewRandom().Box("sess")
	plain, aad := bytes.Repeat([]byte{'p'}, 200), []byte("alice")
	token := b.Seal(nil, plain, aad)
	buf := make([]byte, 0, 1024)
	if got := testing.AllocsPerRun(100, func() { b.Seal(buf, plain, aad) }); got != 0 {
		t.Errorf("Seal into room allocates %v times, want 0", got)
	}
	if got := testing.AllocsPerRun(100, func() { b.Open(buf, token, aad) }); got != 0 {
		t.Errorf("Open into room allocates %v times, want 0", got)
	}
	if got := testing.AllocsPerRun(100, func() { b.Open(buf, token, nil) }); got > 1 {
		t.Errorf("Open that fails allocates %v times, want at most 1", got)
	}
}

func FuzzOpen(f *testing.F) {
	keys, err := parse([]byte(line('k', keySize)))
	if err != nil {
		f.Fatal(err)
	}
	b := &Box{purpose: "sess"}
	b.use(keys)
	f.Add(b.Seal(nil, []byte("hello"), nil), []byte(nil))
	f.Add(b.Seal(nil, nil, []byte("a")), []byte("a"))
	f.Add([]byte("AQ"), []byte("a"))
	f.Add([]byte(strings.Repeat("A", 60)), []byte(nil))
	f.Fuzz(func(t *testing.T, token, aad []byte) {
		got, err := b.Open([]byte("x"), token, aad)
		if err != nil {
			if err != ErrInvalid || got != nil {
				t.Fatalf("Open = %q, %v", got, err)
			}
		} else if len(got) == 0 || got[0] != 'x' || TokenLen(len(got)-1) != len(token) {
			t.Fatalf("Open = %q of a token of %d characters", got, len(token))
		} else if i := bytes.IndexFunc(token, func(c rune) bool { return c < '-' || c > 'z' }); i >= 0 {
			t.Fatalf("a token with %q opened", token[i])
		}
		again, err := b.Open(nil, b.Seal(nil, token, aad), aad)
		if err != nil || !bytes.Equal(again, token) {
			t.Fatalf("round trip = %q, %v, want %q", again, err, token)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	box := NewRandom().Box("sess")
	plain, aad := bytes.Repeat([]byte{'p'}, 150), []byte("alice")
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		box.Seal(buf, plain, aad)
	}
}

func BenchmarkOpen(b *testing.B) {
	box := NewRandom().Box("sess")
	aad := []byte("alice")
	token := box.Seal(nil, bytes.Repeat([]byte{'p'}, 150), aad)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := box.Open(buf, token, aad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenForged(b *testing.B) {
	box := NewRandom().Box("sess")
	token := box.Seal(nil, bytes.Repeat([]byte{'p'}, 150), nil)
	buf, aad := make([]byte, 0, 1024), []byte("mallory")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := box.Open(buf, token, aad); err == nil {
			b.Fatal("forged token opened")
		}
	}
}
