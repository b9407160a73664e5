package loop

import (
	"math/rand/v2"
	"testing"
	"time"
)

// wheelRig advances a wheel and notes when its nodes come up.
type wheelRig struct {
	wheel
	start moment
	came  map[*Conn]time.Duration
}

func newWheelRig() *wheelRig {
	r := &wheelRig{start: momentOf(time.Unix(1000, 0)), came: map[*Conn]time.Duration{}}
	r.init(r.start)
	return r
}

func (r *wheelRig) add(d time.Duration) *Conn {
	c := &Conn{}
	c.timer.conn = c
	r.schedule(&c.timer, r.start.add(d))
	return c
}

func (r *wheelRig) advanceTo(d time.Duration) {
	r.advance(r.start.add(d), func(c *Conn) { r.came[c] = time.Duration(r.now) * tick })
}

func TestWheelComesUpInTime(t *testing.T) {
	const horizon = (wheelSlots - 1) * tick
	tests := []struct{ deadline, want time.Duration }{
		{-time.Hour, tick}, // in the past: at the next tick
		{0, tick},
		{1, tick},
		{tick, tick},
		{tick + 1, 2 * tick},
		{10 * time.Second, 10 * time.Second},
		{horizon, horizon},
		{horizon + tick, horizon}, // too far: looked at earlier
		{24 * time.Hour, horizon},
	}
	for _, tt := range tests {
		r := newWheelRig()
		c := r.add(tt.deadline)
		for d := tick; d <= 2*horizon; d += tick {
			r.advanceTo(d)
		}
		if got, ok := r.came[c]; !ok || got != tt.want {
			t.Errorf("deadline %v came up at %v (%v), want %v", tt.deadline, got, ok, tt.want)
		}
	}
}

func TestWheelMovesEarlierOnly(t *testing.T) {
	r := newWheelRig()
	c := r.add(10 * time.Second)
	r.schedule(&c.timer, r.start.add(20*time.Second)) // lazily: looked at when the first time comes
	r.schedule(&c.timer, r.start.add(5*time.Second))
	r.advanceTo(30 * time.Second)
	if got := r.came[c]; got != 5*time.Second {
		t.Errorf("came up at %v, want 5s", got)
	}
}

func TestWheelRemove(t *testing.T) {
	r := newWheelRig()
	a, b, c := r.add(time.Second), r.add(time.Second), r.add(time.Second)
	r.remove(&b.timer)
	r.remove(&b.timer) // twice does no harm
	r.advanceTo(2 * time.Second)
	if len(r.came) != 2 || r.came[a] == 0 || r.came[c] == 0 {
		t.Errorf("%d nodes came up, want the two that were not removed", len(r.came))
	}
	r.schedule(&b.timer, r.start.add(3*time.Second))
	r.advanceTo(3 * time.Second)
	if r.came[b] != 3*time.Second {
		t.Errorf("filed again, came up at %v", r.came[b])
	}
}

// TestWheelRefilesWhileAdvancing: expire files nodes again and removes others,
// also in a jump over more than one turn of the wheel.
func TestWheelRefilesWhileAdvancing(t *testing.T) {
	r := newWheelRig()
	a, b := r.add(tick), r.add(tick)
	n := 0
	r.advance(r.start.add(3*wheelSlots*tick), func(c *Conn) {
		if c != a {
			t.Error("a removed node came up")
		}
		n++
		r.remove(&b.timer)
		r.schedule(&c.timer, r.start)
	})
	if n != 3*wheelSlots {
		t.Errorf("came up %d times, want at each of %d ticks", n, 3*wheelSlots)
	}
}

func TestWheelOfMany(t *testing.T) {
	r := newWheelRig()
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[*Conn]time.Duration{}
	for range 10_000 {
		d := time.Duration(rnd.Int64N(int64(50 * time.Second)))
		c := r.add(d)
		want[c] = max((d+tick-1)/tick*tick, tick)
		if rnd.IntN(3) == 0 {
			r.remove(&c.timer)
			delete(want, c)
		}
	}
	r.advanceTo(time.Minute)
	if len(r.came) != len(want) {
		t.Fatalf("%d came up, want %d", len(r.came), len(want))
	}
	for c, d := range want {
		if r.came[c] != d {
			t.Fatalf("came up at %v, want %v", r.came[c], d)
		}
	}
}
