package report

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestWriteTable(t *testing.T) {
	r := made()
	var b bytes.Buffer
	for i := range r.Scenarios {
		if err := r.WriteTable(&b, &r.Scenarios[i]); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
	}
	golden(t, "tables.txt", b.Bytes())
}

func TestWriteVerdicts(t *testing.T) {
	var b bytes.Buffer
	if err := made().WriteVerdicts(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "verdicts.txt", b.Bytes())
}

func TestWriteTableFails(t *testing.T) {
	r := made()
	for _, room := range []int{0, 1} {
		if err := r.WriteTable(&narrow{room}, &r.Scenarios[0]); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("room for %d writes: got %v", room, err)
		}
	}
}

// narrow is a writer that fails after so many writes.
type narrow struct{ room int }

func (n *narrow) Write(p []byte) (int, error) {
	if n.room--; n.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestWidth(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{nil, "-"}, {[]float64{1}, "-"}, {[]float64{0, 0}, "-"}, {[]float64{5, 5}, "±0.0%"}, {[]float64{9.9, 10.1}, "±1.0%"},
		{[]float64{5, 15}, "±50%"},
	} {
		s := of("s", tt.values...)
		if got := s.width(CPU); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.values, got, tt.want)
		}
	}
}

// TestTableAlone has neither a base nor anything to compare.
func TestTableAlone(t *testing.T) {
	s := Scenario{Main: CPU, Subjects: []Subject{of("millrace", 1)}}
	other := Scenario{Main: CPU, Subjects: []Subject{{Name: "a", Kind: Peer}, {Name: "b", Kind: Floor}}}
	for _, s := range []*Scenario{&s, &other} {
		var b bytes.Buffer
		if err := (&Run{}).WriteTable(&b, s); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "vs ") {
			t.Errorf("compares with nothing:\n%s", &b)
		}
	}
}

func TestMarkdownEscapes(t *testing.T) {
	g := &grid{head: []string{"a"}, left: 1}
	g.add("oh", "x|y")
	var b bytes.Buffer
	g.writeMarkdown(&b)
	want := "| a          |\n| ---------- |\n| x\\|y **!** |\n\n- **! x|y**: oh\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}
