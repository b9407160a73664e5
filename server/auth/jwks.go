package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	refreshEvery = 15 * time.Minute // keys are fetched again when one is wanted
	refreshPause = 30 * time.Second // between two fetches, whatever is asked
	staleFor     = 24 * time.Hour   // keys stay in use when the issuer does not answer
)

// keySet holds the keys of one issuer. They are fetched when a token wants them,
// by the goroutine that verifies it: never on an event loop. Any goroutine.
type keySet struct {
	fetch func(context.Context) ([]*verifyKey, error)
	now   func() time.Time
	log   *slog.Logger
	name  string // of the issuer, for the log

	mu      sync.Mutex
	keys    []*verifyKey
	fetched time.Time     // when keys came
	tried   time.Time     // when a fetch was begun
	busy    chan struct{} // closed when the fetch that runs is over; nil when none runs
	err     error         // of the last fetch
}

// find returns the key for a token that names kid and alg. A kid that is not
// there may be of a key that has just been added: then the set is fetched again,
// twice a minute at most, because anybody can make up a kid.
func (s *keySet) find(ctx context.Context, kid, alg string) (*verifyKey, error) {
	k, age := s.lookup(kid, alg)
	if k != nil && age < staleFor {
		if age >= refreshEvery {
			s.begin() // and nobody waits for an issuer that may hang
		}
		return k, nil
	}
	began := s.now()
	err := s.refresh(ctx)
	if again, age := s.lookup(kid, alg); again != nil && age < staleFor {
		return again, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", s.name, err)
	}
	if s.asked(began) || kid == "" {
		return nil, invalid("no key of its issuer signed it")
	}
	// Its key may be a new one. That it is not would be a guess, which a client would
	// take for a reason to throw its token away.
	return nil, fmt.Errorf("keys of %s: the key of the token is not known, and the issuer could not be asked again yet", s.name)
}

// asked reports whether the keys are as the issuer told them at since or later, or
// so lately that nobody could have rotated them and used the new one.
func (s *keySet) asked(since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetched.Before(since) || s.err == nil && since.Sub(s.fetched) < refreshPause
}

// lookup finds a key, and how old the set is.
func (s *keySet) lookup(kid, alg string) (*verifyKey, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := s.now().Sub(s.fetched)
	var found *verifyKey
	for _, k := range s.keys {
		if k.does(alg) && (kid == "" || k.id == kid) {
			if found != nil {
				return nil, age // without a kid, only when there is no choice
			}
			found = k
		}
	}
	return found, age
}

// refresh fetches the set, unless that was tried a moment ago; a fetch that runs
// already is waited for. It returns an error when there is no set to be used.
func (s *keySet) refresh(ctx context.Context) error {
	if busy := s.begin(); busy != nil {
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unusable()
}

// begin begins a fetch, if none runs and none was tried a moment ago. It returns
// what is closed at the end of the one that runs; nil when there is none.
func (s *keySet) begin() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy == nil && s.now().Sub(s.tried) >= refreshPause {
		s.tried, s.busy = s.now(), make(chan struct{})
		go s.run() // not bound to who asks: the next one wants the answer too
	}
	return s.busy
}

// unusable is why there are no keys. Under mu.
func (s *keySet) unusable() error {
	switch {
	case s.err == nil:
		return nil
	case len(s.keys) > 0 && s.now().Sub(s.fetched) < staleFor:
		return nil // stale, and better than nothing
	}
	return s.err
}

func (s *keySet) run() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*fetchTimeout)
	defer cancel()
	keys, err := s.safeFetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.keys, s.fetched = keys, s.now()
	} else {
		s.log.Warn("cannot fetch the keys of an issuer", "issuer", s.name, "err", err, "keys", len(s.keys))
	}
	close(s.busy)
	s.busy = nil
}

// safeFetch keeps a panic in a parser from ending the process.
func (s *keySet) safeFetch(ctx context.Context) (keys []*verifyKey, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the parser panicked")
		}
	}()
	return s.fetch(ctx)
}
