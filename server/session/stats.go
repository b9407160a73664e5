package session

import "sync/atomic"

// Stats is a view of a Registry, ready to encode. Its numbers are read one
// after the other, so they may disagree by what happened meanwhile.
type Stats struct {
	Open      int `json:"open"` // sessions now: the sum of the four
	HTTP      int `json:"http"`
	WebSocket int `json:"websocket"`
	Stdio     int `json:"stdio"`
	SSE       int `json:"sse"`

	Created uint64 `json:"created"` // by Create
	Revived uint64 `json:"revived"` // from a token
	Refused uint64 `json:"refused"` // for a limit
	Unknown uint64 `json:"unknown"` // ids that Get answered with ErrUnknown
	// Ended counts by Reason.String; reasons that did not occur are absent.
	Ended map[string]uint64 `json:"ended"`

	Tombstones int `json:"tombstones"` // ended sessions that could otherwise revive
}

type counters struct {
	created, revived, refused, unknown atomic.Uint64
	ended                              [reasons]atomic.Uint64
}

// Stats returns the present numbers.
func (r *Registry) Stats() Stats {
	s := Stats{
		Open:      r.Len(),
		HTTP:      int(r.byType[HTTP].Load()),
		WebSocket: int(r.byType[WebSocket].Load()),
		Stdio:     int(r.byType[Stdio].Load()),
		SSE:       int(r.byType[SSE].Load()),
		Created:   r.stats.created.Load(),
		Revived:   r.stats.revived.Load(),
		Refused:   r.stats.refused.Load(),
		Unknown:   r.stats.unknown.Load(),
		Ended:     make(map[string]uint64),
	}
	for i := range r.stats.ended {
		if n := r.stats.ended[i].Load(); n > 0 {
			s.Ended[Reason(i).String()] = n
		}
	}
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		s.Tombstones += len(sh.queue)
		sh.mu.Unlock()
	}
	return s
}
