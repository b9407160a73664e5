package mcp

import (
	"encoding/json"
	"sync"
	"sync/atomic"
)

// ServerSession is one client as a handler sees it. Within a handler it also
// knows the call, so that NotifyProgress finds its way back; that ends with
// the call, the rest may be kept. All methods may be called by any goroutine.
type ServerSession struct {
	*sessionState
	call *activeCall // nil outside of calls
}

// sessionState is what all views of one session share.
type sessionState struct {
	server *Server
	id     string
	peer   Peer
	// opened is set once, by initialize.
	opened atomic.Pointer[InitializeParams]
	// version is of the negotiated revision; written before opened.
	version revision
	opening sync.Mutex
	// ready: the client has sent notifications/initialized.
	ready atomic.Bool
}

// activeCall is what handlers can reach of a running call. All bytes are its
// own.
type activeCall struct {
	server *Server
	rev    revision
	tool   *serverTool // as Plan found it; nil: none

	// Raw members of _meta in the stateless era, copied.
	clientInfo, clientCapabilities []byte
	decodeOnce                     sync.Once
	client                         *InitializeParams

	progress progress
}

// NewSession returns the session of a client of the legacy era that has not
// sent initialize yet. The server does not know it before Attach. peer may be
// nil: then nothing is sent outside of calls.
func (s *Server) NewSession(id string, peer Peer) *ServerSession {
	return &ServerSession{sessionState: &sessionState{server: s, id: id, peer: peer}}
}

// Attach makes ss receive notifications that belong to no call. It is cheap.
func (s *Server) Attach(ss *ServerSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[ss.sessionState] = ss
}

// Detach undoes Attach.
func (s *Server) Detach(ss *ServerSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ss.sessionState)
}

func (*ServerSession) isSession() {}

// ID returns the session's id, "" in the stateless era.
func (ss *ServerSession) ID() string { return ss.id }

// Version returns the revision of the protocol: the negotiated one ("" before
// initialize), in the stateless era that of the call.
func (ss *ServerSession) Version() string {
	switch {
	case ss == nil:
		return ""
	case ss.call != nil && ss.call.rev.modern():
		return ss.call.rev.version()
	case ss.opened.Load() != nil:
		return ss.version.version()
	}
	return ""
}

// InitializeParams returns what the client said of itself: at initialize (nil
// before), in the stateless era with the call. It must not be changed.
func (ss *ServerSession) InitializeParams() *InitializeParams {
	if c := ss.call; c != nil && c.rev.modern() {
		c.decodeOnce.Do(c.decodeClient)
		return c.client
	}
	return ss.opened.Load()
}

func (a *activeCall) decodeClient() {
	p := &InitializeParams{ProtocolVersion: a.rev.version()}
	// A client that describes itself wrongly is served as an unknown one.
	if len(a.clientInfo) > 0 {
		_ = json.Unmarshal(a.clientInfo, &p.ClientInfo)
	}
	if len(a.clientCapabilities) > 0 {
		_ = json.Unmarshal(a.clientCapabilities, &p.Capabilities)
	}
	a.client = p
}

// negotiated reports whether initialize has been answered.
func (ss *ServerSession) negotiated() bool { return ss != nil && ss.opened.Load() != nil }

// open records the first initialize; it is false for any other.
func (ss *sessionState) open(p *InitializeParams, rev revision) bool {
	ss.opening.Lock()
	defer ss.opening.Unlock()
	if ss.opened.Load() != nil {
		return false
	}
	ss.version = rev
	ss.opened.Store(p)
	return true
}

// start fills in what handlers may need of c. It copies, because c's bytes end
// with Serve.
func (a *activeCall) start(s *Server, c *Call) {
	a.server, a.rev, a.tool = s, c.rev, c.tool
	size := len(c.args)
	info, caps := c.Meta.ClientInfo, c.Meta.ClientCapabilities
	if !c.Modern {
		info, caps = nil, nil
	}
	token := c.Meta.ProgressToken
	if c.Notifier == nil {
		token = nil
	}
	if size += len(info) + len(caps) + len(token); size == 0 {
		return
	}
	own := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		from := len(own)
		own = append(own, b...)
		return own[from:len(own):len(own)]
	}
	a.clientInfo, a.clientCapabilities = keep(info), keep(caps)
	if token != nil {
		a.progress.token, a.progress.notifier = keep(token), c.Notifier
	}
	c.args = keep(c.args)
}
