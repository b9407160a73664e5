package pool

import "sync/atomic"

// Owner counts what one party, a connection for example, holds in each class,
// queued and running, so that no party can take a whole class. The zero value
// is ready. It must not be copied after first use; all methods may be called
// from any goroutine.
type Owner struct {
	held [numClasses]atomic.Int64
}

// Held returns how many tasks of class c are queued or running for o. A
// suspended task is neither.
func (o *Owner) Held(c Class) int {
	if c >= numClasses {
		c = Blocking
	}
	return int(o.held[c].Load())
}

// take counts one more task unless o holds its share.
func (o *Owner) take(c Class, share int64) bool {
	if o == nil {
		return true
	}
	if o.held[c].Add(1) > share {
		o.held[c].Add(-1)
		return false
	}
	return true
}

// retake counts a task that is resumed, whatever o holds meanwhile.
func (o *Owner) retake(c Class) {
	if o != nil {
		o.held[c].Add(1)
	}
}

func (o *Owner) release(c Class) {
	if o != nil {
		o.held[c].Add(-1)
	}
}
