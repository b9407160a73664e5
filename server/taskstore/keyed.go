package taskstore

import (
	"context"
	"sync"
)

// keyed is a lock for every id. Those who wait for one get it in the order in
// which they came.
type keyed struct {
	mu    sync.Mutex
	locks map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // of one
	users int           // who hold it or wait; under keyed.mu
}

// lock waits for the lock of id, or for the end of ctx.
func (k *keyed) lock(ctx context.Context, id string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	l := k.locks[id]
	if l == nil {
		if k.locks == nil {
			k.locks = make(map[string]*keyLock)
		}
		l = &keyLock{held: make(chan struct{}, 1)}
		k.locks[id] = l
	}
	l.users++
	k.mu.Unlock()
	select {
	case l.held <- struct{}{}:
		return func() {
			<-l.held
			k.leave(id, l)
		}, nil
	case <-ctx.Done():
		k.leave(id, l)
		return nil, ctx.Err()
	}
}

func (k *keyed) leave(id string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.locks, id)
	}
}
