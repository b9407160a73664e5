package loop

import "time"

// keepEntries is how many entries a connection's queues keep room for: one that
// was slow once must not hold that memory for the rest of its life.
const keepEntries = 256

// backlog remembers the sizes of messages that the kernel has not taken yet.
// The first of them, the one being written, is not counted as queued: a single
// answer larger than the bound must not look like a slow reader.
type backlog struct {
	sizes    []int
	first    int   // index of the message being written
	released bool  // its size has been given back to the queue counter
	handed   int64 // bytes handed to the socket, ever
	base     int64 // offset in that stream where sizes[first] begins

	taken    int64  // bytes the kernel has taken, at the last settle
	progress moment // when that last grew
}

func (b *backlog) empty() bool { return b.first == len(b.sizes) }

// push adds a message of n bytes that is about to be handed to the socket. The
// wait of a first message begins now, not when the last one went out.
func (b *backlog) push(n int, now moment) {
	if b.empty() {
		b.progress = now
	}
	b.sizes = append(b.sizes, n)
	b.handed += int64(n)
}

// settle takes note that the socket still holds pending bytes. It returns how
// many bytes leave the queue counter: those of messages that have gone out,
// and of the one that is now being written.
func (b *backlog) settle(pending int, now moment) (freed int64) {
	taken := b.handed - int64(pending)
	if taken > b.taken {
		b.taken, b.progress = taken, now
	}
	for !b.empty() && b.base+int64(b.sizes[b.first]) <= taken {
		n := int64(b.sizes[b.first])
		if !b.released {
			freed += n
		}
		b.base += n
		b.first++
		b.released = false
	}
	if b.empty() {
		b.sizes, b.first = b.sizes[:0], 0
		if cap(b.sizes) > keepEntries {
			b.sizes = nil
		}
		return freed
	}
	if !b.released {
		b.released = true
		freed += int64(b.sizes[b.first])
	}
	b.compact()
	return freed
}

// compact keeps the slice from growing while the backlog never empties.
func (b *backlog) compact() {
	if b.first < 64 || b.first < len(b.sizes)/2 {
		return
	}
	b.sizes = b.sizes[:copy(b.sizes, b.sizes[b.first:])]
	b.first = 0
}

// stalled is how long the kernel has taken nothing although bytes wait.
func (b *backlog) stalled(now moment) time.Duration {
	if b.empty() {
		return 0
	}
	return now.sub(b.progress)
}
