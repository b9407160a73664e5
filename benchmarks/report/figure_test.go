package report

import (
	"math"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		figure Figure
		value  float64
		want   string
	}{
		{CPU, 7.2, "7.20 µs"},
		{CPU, 0.3456, "0.346 µs"},
		{CPU, 9.996, "10.0 µs"},
		{CPU, 99.96, "100 µs"},
		{CPU, 693.4, "693 µs"},
		{P99, 9999.6, "10,000 µs"},
		{Max, 1234567, "1,234,567 µs"},
		{Rate, 182_400, "182 k/s"},
		{Rate, 2_900_000, "2,900 k/s"},
		{Rate, 100, "0.100 k/s"},
		{RSS, 20 << 20, "20.0 MiB"},
		{PerConn, 4096, "4.00 KiB"},
		{Allocs, 0, "0"},
		{Allocs, 0.0123, "0.0123"},
		{Goroutines, 14, "14"},
		{Goroutines, 50.5, "50.5"},
		{Messages, 1_234_567, "1,234,567"},
		{Goodput, 0.85, "0.850"},
		{LoadCPU, 0.5, "0.500 cores"},
		{"new", 3, "3.00"},
		{CPU, -1234, "-1,234 µs"},
		{CPU, math.Inf(1), "+Inf µs"},
	} {
		if got := tt.figure.Format(tt.value); got != tt.want {
			t.Errorf("%s of %v: got %q, want %q", tt.figure, tt.value, got, tt.want)
		}
	}
}

func TestTraits(t *testing.T) {
	for _, f := range Figures() {
		if f.Title() == "" || f.Label() == "" || f.Title() == string(f) && f != Goroutines {
			t.Errorf("%s: title %q, label %q", f, f.Title(), f.Label())
		}
	}
	directions := map[Figure]Direction{CPU: Lower, P99: Lower, Rate: Higher, Goodput: Higher, Messages: Neutral, "new": Neutral}
	for f, want := range directions {
		if got := f.Direction(); got != want {
			t.Errorf("%s: direction %v, want %v", f, got, want)
		}
	}
}

func TestOccurring(t *testing.T) {
	s := Scenario{Main: P99, Subjects: []Subject{
		{Rounds: []Sample{{"zebra": 1, Rate: 1}, {CPU: 1}}},
		{Rounds: []Sample{{P99: 1, "apple": 1}}},
	}}
	want := []Figure{P99, CPU, Rate, "apple", "zebra"}
	got := s.occurring()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestTrimmed(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0", 0.1 + 0.2: "0.3", 1.45: "1.45", 10_000: "10,000", 1e6: "1,000,000", 999: "999", -1e3: "-1,000", -100: "-100",
	} {
		if got := trimmed(in); got != want {
			t.Errorf("%v: got %q, want %q", in, got, want)
		}
	}
}

func TestFactorText(t *testing.T) {
	for in, want := range map[float64]string{
		1: "x 1.00", 0.875: "x 0.88", 0.1: "x 0.10", 0.0345: "x 0.035", 9.99: "x 9.99", 9.996: "x 10.0", 12.34: "x 12.3",
		123.4: "x 123", 1234.5: "x 1,234",
	} {
		if got := factor("x", in); got != want {
			t.Errorf("%v: got %q, want %q", in, got, want)
		}
	}
}
