package limit

import "sync"

// Counter bounds how many of something each key has at once: connections of a host,
// calls of a principal. Its memory is that of what is counted. Any goroutine.
type Counter[K comparable] struct {
	most int

	mu sync.Mutex
	n  map[K]int
}

// NewCounter returns a Counter that lets each key have most.
func NewCounter[K comparable](most int) *Counter[K] {
	return &Counter[K]{most: most, n: map[K]int{}}
}

// Enter counts one more, unless the key has most already.
func (c *Counter[K]) Enter(key K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key] >= c.most {
		return false
	}
	c.n[key]++
	return true
}

// Leave undoes one Enter.
func (c *Counter[K]) Leave(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key]--; c.n[key] <= 0 {
		delete(c.n, key)
	}
}

// Keys is how many keys have any.
func (c *Counter[K]) Keys() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.n)
}
