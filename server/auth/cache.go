package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// tokenKey stands for a token where the token itself should not stay in memory.
type tokenKey [sha256.Size]byte

func keyOf[T string | []byte](token T) tokenKey { return sha256.Sum256([]byte(token)) }

// remembered is what is known of a token: its holder, or why it is bad.
type remembered struct {
	who   *Principal
	err   error
	until time.Time
}

// tokenCache remembers a bounded number of tokens for a bounded time. When it is
// full, whatever the map yields first makes room: an attacker cannot choose it,
// and a token that is in use is back after one verification. Any goroutine.
type tokenCache struct {
	shards [16]tokenShard
	most   int // of each shard
}

type tokenShard struct {
	mu sync.RWMutex
	m  map[tokenKey]remembered
}

func newTokenCache(most int) *tokenCache {
	c := &tokenCache{}
	c.most = max(1, most/len(c.shards))
	c.clear()
	return c
}

func (c *tokenCache) shard(k *tokenKey) *tokenShard { return &c.shards[int(k[0])%len(c.shards)] }

func (c *tokenCache) get(k *tokenKey, now time.Time) (remembered, bool) {
	s := c.shard(k)
	s.mu.RLock()
	r, ok := s.m[*k]
	s.mu.RUnlock()
	if !ok || !now.Before(r.until) {
		return remembered{}, false
	}
	return r, true
}

func (c *tokenCache) put(k tokenKey, r remembered, now time.Time) {
	s := c.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.m[k]; !there && len(s.m) >= c.most {
		s.makeRoom(now)
	}
	s.m[k] = r
}

// makeRoom drops one entry at least, and some that are over. Under mu.
func (s *tokenShard) makeRoom(now time.Time) {
	const look = 8
	n := 0
	for k, r := range s.m {
		if n == 0 || !now.Before(r.until) {
			delete(s.m, k)
		}
		if n++; n == look {
			return
		}
	}
}

func (c *tokenCache) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.m = map[tokenKey]remembered{}
		s.mu.Unlock()
	}
}

func (c *tokenCache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}
