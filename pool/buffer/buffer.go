// Package buffer hands out pooled byte buffers.
//
// A Buffer has one owner at a time. Passing it to a function that "takes" it
// passes the ownership on; the last owner calls Put exactly once and touches
// it no more. Race builds overwrite returned bytes, so that a view kept too
// long reads poison and a test notices.
package buffer

import "github.com/valyala/bytebufferpool"

// MaxRecycled is the largest capacity in bytes that goes back to the pool.
// A larger buffer is left to the garbage collector, so that one big message
// does not pin its memory for ever.
const MaxRecycled = 1 << 20

// Buffer is a pooled byte slice. Its owner may append to B and reslice it
// freely.
type Buffer = bytebufferpool.ByteBuffer

// Get returns an empty Buffer owned by the caller. Any goroutine.
func Get() *Buffer { return bytebufferpool.Get() }

// Copy returns a Buffer that holds a copy of p, owned by the caller.
func Copy(p []byte) *Buffer {
	b := bytebufferpool.Get()
	b.B = append(b.B, p...)
	return b
}

// Put takes b back. b and every view of b.B are dead afterwards. A nil Buffer
// is ignored, so that cleanup needs no branch.
func Put(b *Buffer) {
	if b == nil {
		return
	}
	poison(b.B)
	if cap(b.B) <= MaxRecycled {
		bytebufferpool.Put(b)
	}
}
