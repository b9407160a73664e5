package loop

import (
	"testing"
	"time"
)

func TestBacklog(t *testing.T) {
	t0 := momentOf(time.Unix(1000, 0))
	type step struct {
		push    int // -1: none
		pending int // what the socket holds afterwards
		freed   int
		empty   bool
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"taken at once", []step{{100, 0, 100, true}, {50, 0, 50, true}}},
		{"being written is freed once", []step{{100, 100, 100, false}, {-1, 60, 0, false}, {-1, 0, 0, true}}},
		{"behind it waits", []step{{100, 100, 100, false}, {40, 140, 0, false}, {-1, 41, 0, false}, {-1, 40, 40, false}, {-1, 0, 0, true}}},
		{"several go out together", []step{{10, 10, 10, false}, {20, 30, 0, false}, {30, 60, 0, false}, {-1, 5, 50, false}, {-1, 0, 0, true}}},
		{"empty message", []step{{0, 0, 0, true}, {10, 10, 10, false}, {0, 10, 0, false}, {-1, 0, 0, true}}},
	}
	for _, tt := range tests {
		var b backlog
		for i, s := range tt.steps {
			if s.push >= 0 {
				b.push(s.push, t0)
			}
			if got := b.settle(s.pending, t0); got != int64(s.freed) || b.empty() != s.empty {
				t.Errorf("%s, step %d: freed %d, empty %v; want %d, %v", tt.name, i, got, b.empty(), s.freed, s.empty)
			}
		}
	}
}

func TestBacklogStalled(t *testing.T) {
	t0 := momentOf(time.Unix(1000, 0))
	at := func(s int) moment { return t0.add(time.Duration(s) * time.Second) }
	var b backlog
	if d := b.stalled(at(9)); d != 0 {
		t.Errorf("an empty backlog is stalled for %v", d)
	}
	b.push(10, at(0))
	b.settle(0, at(0))
	b.push(10, at(100)) // the wait begins now
	b.settle(10, at(100))
	if d := b.stalled(at(103)); d != 3*time.Second {
		t.Errorf("stalled for %v, want 3s", d)
	}
	b.push(10, at(104)) // more to write is no progress
	b.settle(20, at(104))
	if d := b.stalled(at(105)); d != 5*time.Second {
		t.Errorf("stalled for %v, want 5s", d)
	}
	b.settle(19, at(106))
	if d := b.stalled(at(106)); d != 0 {
		t.Errorf("stalled for %v right after progress", d)
	}
}

// TestBacklogStaysSmall: a backlog that never empties must not keep the sizes
// of all it ever had.
func TestBacklogStaysSmall(t *testing.T) {
	var b backlog
	now := momentOf(time.Unix(1000, 0))
	var freed int64
	b.push(10, now)
	for range 100_000 {
		b.push(10, now)
		freed += b.settle(15, now)
	}
	if n := cap(b.sizes); n > 1024 {
		t.Errorf("room for %d sizes", n)
	}
	for range 1000 {
		b.push(10, now)
	}
	if freed += b.settle(0, now); freed != 101_001*10 {
		t.Errorf("freed %d bytes in all, want %d", freed, 101_001*10)
	}
	if n := cap(b.sizes); n > keepEntries {
		t.Errorf("keeps room for %d sizes", n)
	}
}
