package metrics

import "sync/atomic"

// A Counter counts up. The zero value is ready; a Counter must not be copied
// after its first use. All methods are safe for any goroutine.
//
// It fills a cache line of 64 bytes, so counters that lie side by side and
// belong to different cores do not slow each other down.
type Counter struct {
	n atomic.Uint64
	_ [56]byte
}

// Inc adds 1.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Load returns the count.
func (c *Counter) Load() uint64 { return c.n.Load() }
