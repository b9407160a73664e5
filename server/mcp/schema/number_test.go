package schema

import (
	"math/big"
	"testing"
)

func FuzzDecimal(f *testing.F) {
	for _, a := range []string{"0", "-0.0", "1", "1.0", "10e-1", "0.1e1", "-1.5E+2", "123456789012345678901234567890", "1e400", "1e-400", "99999999999999999e-17", "0.000e5"} {
		f.Add(a, "1")
		f.Add(a, "-0.25")
		f.Add("3e2", a)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if scanNumber([]byte(a), 0) != len(a) || scanNumber([]byte(b), 0) != len(b) {
			return
		}
		_, oka := numberCost([]byte(a))
		_, okb := numberCost([]byte(b))
		if !oka || !okb {
			return
		}
		ra, oka := new(big.Rat).SetString(a)
		rb, okb := new(big.Rat).SetString(b)
		if !oka || !okb {
			t.Fatalf("big.Rat refuses %q or %q", a, b)
		}
		da, db := parseDecimal([]byte(a)), parseDecimal([]byte(b))
		got := da.compare(&db)
		if want := ra.Cmp(rb); got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Errorf("%s compared to %s = %d, want %d", a, b, got, want)
		}
		if got, want := da.integral(), ra.IsInt(); got != want {
			t.Errorf("integral(%s) = %v, want %v", a, got, want)
		}
		lit := number{lit: []byte(a)}
		lit.small, lit.isSmall = smallInt(lit.lit)
		if got := lit.compare(newLimit(rb)); got < 0 != (ra.Cmp(rb) < 0) || got > 0 != (ra.Cmp(rb) > 0) {
			t.Errorf("%s compared to the limit %s = %d, want %d", a, b, got, ra.Cmp(rb))
		}
		if rb.Sign() > 0 {
			if div, ok := newDivisor(rb); ok {
				if got, want := lit.multipleOf(div), new(big.Rat).Quo(ra, rb).IsInt(); got != want {
					t.Errorf("%s is a multiple of %s = %v, want %v", a, b, got, want)
				}
			}
		}
	})
}

func TestSmallInt(t *testing.T) {
	tests := []struct {
		lit  string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"-12", -12, true}, {"999999999999999999", 999999999999999999, true},
		{"-999999999999999999", -999999999999999999, true}, {"1000000000000000000", 0, false}, {"1.0", 0, false}, {"1e2", 0, false},
	}
	for _, tt := range tests {
		if got, ok := smallInt([]byte(tt.lit)); got != tt.want || ok != tt.ok {
			t.Errorf("smallInt(%s) = %d, %v, want %d, %v", tt.lit, got, ok, tt.want, tt.ok)
		}
	}
}
