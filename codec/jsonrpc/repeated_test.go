package jsonrpc

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const repeatedMeta = `{"a":{"b":[1,{"c":"}"}]},"d":"e"}`

func TestNewRepeated(t *testing.T) {
	r := NewRepeated([]byte(repeatedMeta))
	if r == nil || string(r.Text()) != repeatedMeta || r.depth != 4 || r.keys != 4 {
		t.Errorf("NewRepeated = %+v, want depth 4 and 4 keys", r)
	}
	for _, text := range []string{``, `[]`, `1`, `{`, `{} `, ` {}`, `{"a":1,"a":2}`, `{"a":}`, "{\"a\":\"\xff\"}"} {
		if r := NewRepeated([]byte(text)); r != nil {
			t.Errorf("NewRepeated(%q) = %+v, want nil", text, r)
		}
	}
}

// Messages with and without the object, and nearly with it, are read as ever.
var repeatedMessages = []string{
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + repeatedMeta + `}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":1,"_meta":` + repeatedMeta + `,"y":2}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":` + repeatedMeta + `}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta" : ` + repeatedMeta + ` } }`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + repeatedMeta + repeatedMeta + `}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + repeatedMeta + `}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + repeatedMeta + `x}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + repeatedMeta + `,"_meta":` + repeatedMeta + `}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + strings.Replace(repeatedMeta, "e", "E", 1) + `}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":` + strings.TrimSuffix(repeatedMeta, "}") + `,"f":1}}}`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"s":"` + `{\"a\":` + `","_meta":` + repeatedMeta + `}}`,
	repeatedMeta,
	`[` + repeatedMeta + `]`,
}

func TestParseRepeated(t *testing.T) {
	known := NewRepeated([]byte(repeatedMeta))
	for _, text := range repeatedMessages {
		compareRepeated(t, []byte(text), nil, known)
	}
}

// compareRepeated fails when knowing an object changes what is read.
func compareRepeated(t *testing.T, text []byte, lim *Limits, known *Repeated) {
	t.Helper()
	m, err := Parse(text, lim)
	got, gotErr := ParseRepeated(text, lim, known)
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", m) || (err == nil) != (gotErr == nil) {
		t.Errorf("%s: %q, %v; without the known object %q, %v", text, got, gotErr, m, err)
	}
	var a, b []string
	for name, value := range Members(m.Params) {
		a = append(a, string(name)+" "+string(value))
	}
	for name, value := range MembersRepeated(m.Params, known) {
		b = append(b, string(name)+" "+string(value))
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("members of %s: %q, want %q", m.Params, b, a)
	}
}

// The limits hold for a known object as for any other.
func TestParseRepeatedLimits(t *testing.T) {
	known := NewRepeated([]byte(repeatedMeta))
	text := []byte(repeatedMessages[0])
	for _, tt := range []struct {
		name   string
		limits Limits
		ok     bool
	}{
		{"depth", Limits{Depth: 6}, true},
		{"depth exceeded", Limits{Depth: 5}, false},
		{"keys", Limits{Keys: 9}, true},
		{"keys exceeded", Limits{Keys: 8}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseRepeated(text, &tt.limits, known); (err == nil) != tt.ok {
				t.Errorf("error %v, want ok = %v", err, tt.ok)
			}
			compareRepeated(t, text, &tt.limits, known)
		})
	}
}

func FuzzParseRepeated(f *testing.F) {
	for _, text := range repeatedMessages {
		f.Add([]byte(text), []byte(repeatedMeta))
	}
	f.Fuzz(func(t *testing.T, text, object []byte) {
		known := NewRepeated(object)
		compareRepeated(t, text, nil, known)
		if known == nil {
			return
		}
		whole := bytes.Join([][]byte{[]byte(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":`), object, []byte(`}}`)}, nil)
		compareRepeated(t, whole, nil, known)
		for keys := range 12 {
			compareRepeated(t, whole, &Limits{Keys: keys + 1, Depth: 1 + keys/2}, known)
		}
	})
}

func BenchmarkParseRepeated(b *testing.B) {
	known := NewRepeated([]byte(repeatedMeta))
	text := []byte(repeatedMessages[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRepeated(text, nil, known); err != nil {
			b.Fatal(err)
		}
	}
}
