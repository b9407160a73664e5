package report

import (
	"math"
	"testing"
)

func TestNewScale(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		lo, hi float64
		log    bool
	}{
		{"nothing", nil, 0, 1, false},
		{"zeros", []float64{0, 0}, 0, 1, false},
		{"near", []float64{3, 60}, 0, 60, false},
		{"far", []float64{3, 61}, 1, 61, true},
		{"far from five", []float64{11, 500}, 5, 500, true},
		{"far with a zero", []float64{0, 4, 400}, 2, 400, true},
	} {
		s := newScale(tt.values)
		if s.lo != tt.lo || s.hi != tt.hi || s.log != tt.log {
			t.Errorf("%s: got %+v, want %v to %v, log %v", tt.name, s, tt.lo, tt.hi, tt.log)
		}
	}
}

func TestScaleAt(t *testing.T) {
	linear := scale{lo: 0, hi: 10, left: 100, right: 200}
	log := scale{lo: 1, hi: 100, log: true, left: 100, right: 200}
	for _, tt := range []struct {
		scale    scale
		in, want float64
	}{
		{linear, 0, 100}, {linear, 5, 150}, {linear, 10, 200}, {linear, 11, 200}, {linear, -1, 100},
		{log, 1, 100}, {log, 10, 150}, {log, 100, 200}, {log, 0, 100}, {log, 1000, 200},
	} {
		if got := tt.scale.at(tt.in).Points(); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v on %+v: got %v, want %v", tt.in, tt.scale, got, tt.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		scale scale
		want  string
	}{
		{"linear", scale{hi: 57}, "0 20 40 "},
		{"small", scale{hi: 0.93}, "0 0.2 0.4 0.6 0.8 "},
		{"eights", scale{hi: 40}, "0 10 20 30 40 "},
		{"log", scale{lo: 1, hi: 120, log: true}, "1 2 5 10 20 50 100 "},
		{"log below one", scale{lo: 0.2, hi: 10, log: true}, "0.2 0.5 1 2 5 10 "},
		{"many decades", scale{lo: 1, hi: 1e5, log: true}, "1 10 100 1,000 10,000 100,000 "},
	} {
		got := ""
		for _, v := range tt.scale.ticks() {
			got += trimmed(v) + " "
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
