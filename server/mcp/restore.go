package mcp

import "encoding/json"

// SetID names the session once the host has made an id for it, which it does
// only after initialize has succeeded. It must be called before the session is
// used by anything but its first initialize.
func (ss *ServerSession) SetID(id string) { ss.id = id }

// RestoreSession returns the session of a client that initialized before a
// restart of the server: version and capabilities (raw JSON, may be nil) are
// what its id remembers. What the client said of its name is forgotten. It
// returns nil when version is not one of the legacy era.
func (s *Server) RestoreSession(id, version string, capabilities []byte, peer Peer) *ServerSession {
	rev, ok := revisionOf(version)
	if !ok || rev.modern() {
		return nil
	}
	p := &InitializeParams{ProtocolVersion: version}
	if len(capabilities) > 0 {
		// The token is sealed by us: what does not decode was never valid.
		_ = json.Unmarshal(capabilities, &p.Capabilities)
	}
	ss := s.NewSession(id, peer)
	ss.open(p, rev)
	ss.ready.Store(true)
	return ss
}
