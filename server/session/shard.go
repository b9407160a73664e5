package session

import "sync"

const (
	// shards keeps loops from waiting for each other, and a sweep from holding
	// up requests: 10,000 sessions are 160 in a shard, 3 µs. Two cores that do
	// nothing but Get take 100 ns each time, under one mutex for all 300 ns; a
	// read-write lock in each shard gains nothing.
	shards = 64

	// maxTombstones is for one shard, 64 Ki together, at most 5 MiB.
	maxTombstones = 1024
)

// A shard holds the sessions whose ids hash to it.
type shard struct {
	mu   sync.Mutex
	live map[string]*Session

	// Tombstones are kept for revived sessions only. For a session of this
	// registry the token itself tells: if it opens, and names this instance,
	// and is not live, it has ended.
	dead  map[sessionID]struct{}
	queue []sealedIdentity // of dead, in the order they ended
	// floor is the latest creation among tombstones that had to give way. A
	// foreign token not younger than that may be one of theirs and is refused:
	// an ended session never comes back, at the price that one not yet revived
	// may be refused as well.
	floor int64

	_ [8]byte // 64 bytes in all: no two locks share a cache line
}

// remove takes s out of the live ones. The caller holds mu.
func (sh *shard) remove(s *Session, why Reason) {
	delete(sh.live, s.id)
	s.ended.Store(1 + uint32(why))
	if s.revived {
		sh.bury(s.token)
	}
}

// bury adds a tombstone. The caller holds mu.
func (sh *shard) bury(t sealedIdentity) {
	if len(sh.queue) >= maxTombstones {
		oldest := sh.queue[0]
		sh.floor = max(sh.floor, oldest.created)
		sh.unbury()
	}
	sh.dead[t.sid] = struct{}{}
	sh.queue = append(sh.queue, t)
}

func (sh *shard) unbury() {
	delete(sh.dead, sh.queue[0].sid)
	sh.queue = sh.queue[1:]
}

// isDead reports whether a foreign token may not revive. The caller holds mu.
func (sh *shard) isDead(t sealedIdentity) bool {
	_, ok := sh.dead[t.sid]
	return ok || t.created <= sh.floor
}

// sweep removes the sessions that are over at t, appends them to ended, and
// drops tombstones that have expired at wall, in Unix ms. A tombstone behind
// one that expires later stays with it.
func (sh *shard) sweep(t, wall int64, ended []*Session) []*Session {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.live {
		if why, over := s.over(t); over {
			sh.remove(s, why)
			ended = append(ended, s)
		}
	}
	for len(sh.queue) > 0 && sh.queue[0].expires <= wall {
		sh.unbury()
	}
	if len(sh.queue) == 0 {
		sh.queue = nil
	}
	return ended
}

// snapshot appends the live sessions to dst.
func (sh *shard) snapshot(dst []*Session) []*Session {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.live {
		dst = append(dst, s)
	}
	return dst
}
