package loop

// batch decides when the answers that were made on the loop itself are written:
// each behind the call that it answers, or together, when every connection that
// had something to say has been read. In the second way the processor stays in
// one piece of code for longer, and finds it in its caches; a call of an inline
// tool costs a fifth less (ARCHITECTURE.md, 2026-11-25). But it takes a wake-up,
// so a client that is alone is answered at once. Loop only.
type batch struct {
	waiting bool // a wake-up is on its way
	crowd   bool // the last batch had answers for more than one connection
	alone   uint // answers written at once
}

// batchProbe is how many answers are written at once before one waits, to see
// whether there are others by now.
const batchProbe = 64

// end takes note that a batch with n connections is being written.
func (b *batch) end(n int) {
	if b.waiting {
		b.waiting, b.crowd = false, n > 1
	}
}

// postpone reports whether what c has to write can wait for the end of the batch.
// From the first connection that waits on, all do.
func (l *loopState) postpone(c *Conn) bool {
	b := &l.batch
	if b.waiting || len(c.out) == 0 {
		return b.waiting
	}
	if !b.crowd {
		b.alone++
		if b.alone%batchProbe != 0 {
			return false
		}
	}
	b.waiting = l.wake() == nil
	return b.waiting
}
