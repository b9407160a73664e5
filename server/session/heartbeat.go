package session

import "time"

// The transport that owns a connection asks PingDue now and then, sends a ping
// and calls PingSent; every pong goes to PongSeen; once PongOverdue is true it
// closes the connection and ends the session with NoPong. Whatever else is
// heard of the client (Touch) is as good as a pong. All of it is arithmetic on
// the times given.

// PingDue reports whether the client has been silent for Config.Ping and no
// ping is on its way. It is false when heartbeats are off.
func (s *Session) PingDue(now time.Time) bool {
	every := s.registry.ping
	return every > 0 && !s.pinged() && s.registry.clock(now)-s.heard() >= every
}

// PingSent notes that a ping was sent.
func (s *Session) PingSent(now time.Time) { s.ping.Store(s.registry.clock(now)) }

// PongSeen notes a pong. One that no ping asked for counts too: RFC 6455,
// section 5.5.3, calls it "a unidirectional heartbeat".
func (s *Session) PongSeen(now time.Time) { s.pong.Store(s.registry.clock(now)) }

// PongOverdue reports whether Config.Pong has passed since a ping was sent and
// nothing was heard since.
func (s *Session) PongOverdue(now time.Time) bool {
	// PingSent may come from another goroutine: read its time once.
	sent := s.ping.Load()
	return sent != never && sent >= s.heard() && s.registry.clock(now)-sent >= s.registry.pong
}

// pinged reports whether a ping waits for its answer.
func (s *Session) pinged() bool {
	sent := s.ping.Load()
	return sent != never && sent >= s.heard()
}

func (s *Session) heard() int64 { return max(s.active.Load(), s.pong.Load()) }
