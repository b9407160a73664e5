package loop

import (
	"errors"
	"testing"

	"millrace/codec/http1"
	"millrace/pool/buffer"
)

// echoing answers every request on the loop.
type echoing struct{ silent }

func (echoing) Request(c *Conn, _ *http1.Request) {
	c.Write(c.Exchange(), &buffer.Buffer{B: []byte("answer")}, Last)
}

// batchRig is a loop whose wake-ups are counted and come when the test says so.
type batchRig struct {
	*Memory
	woken int
}

func newBatchRig() *batchRig {
	r := &batchRig{Memory: NewMemory(Config{}, echoing{})}
	r.loop.wake = func() error { r.woken++; return nil }
	return r
}

func (r *batchRig) read(pipes ...*Pipe) {
	for _, p := range pipes {
		r.loop.traffic(p.Conn, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
}

// A client that is alone is answered at once, but for the answer that looks
// whether it still is.
func TestAloneIsAnsweredAtOnce(t *testing.T) {
	r := newBatchRig()
	p := r.Open("peer", 0)
	for i := 1; i <= 3*batchProbe; i++ {
		r.read(p)
		waits := p.Writes < i
		if waits != (i%batchProbe == 0) {
			t.Fatalf("answer %d: waits %v", i, waits)
		}
		if waits {
			r.loop.drainBox()
		}
		if p.Writes != i {
			t.Fatalf("answer %d: %d writes", i, p.Writes)
		}
	}
	if r.woken != 3 {
		t.Errorf("%d wake-ups for %d answers", r.woken, 3*batchProbe)
	}
}

// Once a batch had answers for two, those of the next one are written when all its
// connections have been read, until one is alone again.
func TestCrowdIsAnsweredTogether(t *testing.T) {
	r := newBatchRig()
	a, b := r.Open("a", 0), r.Open("b", 0)
	for a.Writes == b.Writes && a.Writes < 2*batchProbe { // until an answer waits
		r.read(a, b)
	}
	r.read(a) // joins it
	r.loop.drainBox()
	if a.Writes != b.Writes+1 {
		t.Fatalf("%d and %d writes", a.Writes, b.Writes)
	}
	before, woken := a.Writes+b.Writes, r.woken
	r.read(a, b)
	if n := a.Writes + b.Writes; n != before {
		t.Fatalf("%d answers are written before the batch ends", n-before)
	}
	if r.woken != woken+1 {
		t.Errorf("%d wake-ups for one batch", r.woken-woken)
	}
	r.loop.drainBox()
	if n := a.Writes + b.Writes; n != before+2 {
		t.Fatalf("%d answers are written when the batch ends, want 2", n-before)
	}
	r.read(a)
	r.loop.drainBox()
	before = a.Writes
	r.read(a)
	if a.Writes != before+1 {
		t.Error("a client that is alone again waits")
	}
}

// When the loop cannot be woken nothing waits.
func TestBatchWithoutWakeUp(t *testing.T) {
	r := newBatchRig()
	r.loop.wake = func() error { return errors.New("no descriptor") }
	p := r.Open("peer", 0)
	for i := 1; i <= 2*batchProbe; i++ {
		if r.read(p); p.Writes != i {
			t.Fatalf("answer %d waits", i)
		}
	}
}
