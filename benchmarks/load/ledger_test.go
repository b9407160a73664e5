package main

import (
	"errors"
	"testing"
	"time"
)

func TestLedgerJudge(t *testing.T) {
	signal := time.Now()
	early, justBefore, late := signal.Add(-time.Second), signal.Add(-time.Millisecond), signal.Add(time.Millisecond)
	for _, tt := range []struct {
		name    string
		entries []entry
		want    tally
		faults  int
	}{
		{"answered", []entry{{written: early, fate: answered}, {written: late, fate: answered}}, tally{accepted: 1, late: 1, lateAnswered: 1}, 0},
		{"accepted without answer", []entry{{written: early}}, tally{accepted: 1}, 1},
		{"just before, without answer", []entry{{written: justBefore}}, tally{accepted: 1}, 1},
		{"accepted and refused", []entry{{written: early, fate: refused}}, tally{accepted: 1}, 1},
		{"overtaken by the signal", []entry{{written: justBefore, fate: refused}}, tally{overtaken: 1}, 0},
		{"late and refused", []entry{{written: late, fate: refused}}, tally{late: 1, lateRefused: 1}, 0},
		{"late and cut", []entry{{written: late, fate: answered}, {written: late}}, tally{late: 2, lateAnswered: 1, lateCut: 1}, 0},
		{"late, forgotten between", []entry{{written: late}, {written: late, fate: refused}}, tally{late: 2, lateRefused: 1}, 1},
		{"late, begun and dropped", []entry{{written: late, begun: true}}, tally{late: 1}, 1},
		{"not written", []entry{{fate: unsent}}, tally{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := ledger{entries: tt.entries}
			var got tally
			var f faults
			l.judge(signal, tt.name, &got, &f)
			if got != tt.want || f.n != tt.faults {
				t.Errorf("judge = %+v with %d faults %q, want %+v with %d", got, f.n, f.first, tt.want, tt.faults)
			}
		})
	}
}

func TestLedgerSettle(t *testing.T) {
	var l ledger
	first, second := l.begin(), l.begin()
	l.written(first, nil)
	l.written(second, errors.New("broken pipe"))
	if got := l.inFlight(); got != 1 {
		t.Errorf("in flight = %d, want 1", got)
	}
	if err := l.settle(first, answered); err != nil {
		t.Error(err)
	}
	for _, id := range []int64{first, second, -1, 2} {
		if err := l.settle(id, answered); err == nil {
			t.Errorf("id %d could be settled", id)
		}
	}
	if got := l.inFlight(); got != 0 {
		t.Errorf("in flight = %d, want 0", got)
	}
}
