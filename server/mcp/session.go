package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
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
	// level is the rank of the least severe log message the client wants; 0: none.
	level atomic.Int32
	// own are tools that only this session has.
	own atomic.Pointer[map[string]*serverTool]

	// What the session watches, under opening.
	watched      map[string]struct{} // resources
	watchedBytes int
	detached     bool
}

// activeCall is what handlers can reach of a running call. All bytes are its
// own.
type activeCall struct {
	server    *Server
	session   *ServerSession // the view that the handler has
	rev       revision
	tool      *serverTool // as Plan found it; nil: none
	method    string
	id        []byte
	principal *auth.Principal
	notifier  Notifier
	host      Host  // nil: the call cannot ask, become a task, or be cut off
	logLevel  int32 // of the stateless era
	origin    *Call // of subscriptions/listen only
	mismatch  *jsonrpc.Error
	permitted bool // see Call.Permitted

	// What a conversation is bound to, and whether there can be one.
	subject     string
	arguments   []byte
	interactive bool

	mu   sync.Mutex
	talk *asking
	run  *taskRun
	// over: the handler has returned; what it has kept of its session is not of
	// the call any more.
	over atomic.Bool

	// Raw members of _meta in the stateless era, copied.
	clientInfo, clientCapabilities []byte
	decodeOnce                     sync.Once
	client                         *InitializeParams

	progress *progress // nil when the client wants none

	small [160]byte // memory for what start copies, if it is little
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

// Detach undoes Attach, and ends the session's subscriptions.
func (s *Server) Detach(ss *ServerSession) {
	s.mu.Lock()
	delete(s.sessions, ss.sessionState)
	s.mu.Unlock()
	ss.unwatchAll(s)
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
		caps := new(ClientCapabilities)
		if caps.UnmarshalJSON(a.clientCapabilities) == nil {
			p.Capabilities = caps
		}
	}
	a.client = p
}

// negotiated reports whether initialize has been answered.
func (ss *ServerSession) negotiated() bool { return ss != nil && ss.opened.Load() != nil }

// open records the first initialize; it is false for any other.
func (st *sessionState) open(p *InitializeParams, rev revision) bool {
	st.opening.Lock()
	defer st.opening.Unlock()
	if st.opened.Load() != nil {
		return false
	}
	st.version = rev
	st.opened.Store(p)
	return true
}

// running is the call that ss is the view of; nil outside of calls and when it is
// over.
func (ss *ServerSession) running() *activeCall {
	if ss.call != nil && ss.call.over.Load() {
		return nil
	}
	return ss.call
}

// end is the end of the handler.
func (a *activeCall) end() {
	a.progress.end()
	a.over.Store(true)
}

// start fills in what handlers may need of c. It copies, because c's bytes end
// with Serve.
func (a *activeCall) start(s *Server, c *Call) {
	a.server, a.rev, a.tool, a.method, a.principal = s, c.rev, c.tool, c.Method, c.Principal
	if a.principal == nil {
		a.principal = auth.Anonymous
	}
	a.notifier, a.host, a.mismatch, a.permitted = c.Notifier, c.Host, c.Mismatch, c.Permitted
	info, caps := c.Meta.ClientInfo, c.Meta.ClientCapabilities
	if c.Modern && s.declaresLogging() {
		a.logLevel = LoggingLevel(c.Meta.LogLevel).rank()
	}
	if !c.Modern {
		info, caps = nil, nil
	}
	token := c.Meta.ProgressToken
	if c.Notifier == nil {
		token = nil
	}
	var bound []byte // a state is bound to: the handler owns the other copy
	if c.Modern {
		bound = c.args
	}
	if c.Meta.known { // they are immutable
		a.clientInfo, a.clientCapabilities = info, caps
		info, caps = nil, nil
	}
	size := len(c.args) + len(bound) + len(info) + len(caps) + len(token) + len(c.ID)
	if size == 0 {
		return
	}
	own := a.small[:0]
	if size > len(a.small) {
		own = make([]byte, 0, size)
	}
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		from := len(own)
		own = append(own, b...)
		return own[from:len(own):len(own)]
	}
	if !c.Meta.known {
		a.clientInfo, a.clientCapabilities = keep(info), keep(caps)
	}
	a.id = keep(c.ID)
	if token != nil {
		a.progress = &progress{token: keep(token), notifier: c.Notifier}
	}
	c.args, a.arguments = keep(c.args), keep(bound)
}

// maxOwnTools is how many tools one session may have for itself.
const maxOwnTools = 256

var errStateless = errors.New("mcp: only sessions up to " + Version20251125 + " have tools of their own: on " + Version20260728 + " lists do not depend on the connection")

// ownTools are the tools that only this session has.
func (ss *ServerSession) ownTools() map[string]*serverTool {
	if own := ss.own.Load(); own != nil {
		return *own
	}
	return nil
}

// AddTool adds a tool that only this session has, as Server.AddTool does for all.
// It hides a tool of the server with the same name. The client is told that its
// list has changed. It panics when the tool cannot be offered; the error is for
// requests of 2026-07-28, and beyond 256 tools.
func (ss *ServerSession) AddTool(t *Tool, h ToolHandler) error {
	if ss.sessionState == ss.server.stateless {
		return errStateless
	}
	st, err := ss.server.newTool(t, h)
	if err != nil {
		panic(fmt.Sprintf("mcp: AddTool %q: %v", t.Name, err))
	}
	return ss.changeTools(func(own map[string]*serverTool) error {
		if _, ok := own[t.Name]; !ok && len(own) >= maxOwnTools {
			return fmt.Errorf("mcp: a session may have %d tools of its own", maxOwnTools)
		}
		own[t.Name] = st
		return nil
	})
}

// RemoveTools removes tools that were added to this session; unknown names are
// ignored.
func (ss *ServerSession) RemoveTools(names ...string) {
	_ = ss.changeTools(func(own map[string]*serverTool) error {
		before := len(own)
		for _, name := range names {
			delete(own, name)
		}
		if len(own) == before {
			return errNothingRemoved // nor is anybody told
		}
		return nil
	})
}

var errNothingRemoved = errors.New("no such tool")

// AddSessionTool adds a tool that only this session has, as the function AddTool
// does for all; see ServerSession.AddTool.
func AddSessionTool[In, Out any](ss *ServerSession, t *Tool, h ToolHandlerFor[In, Out]) error {
	tool, handler, err := typed(t, h)
	if err != nil {
		panic(fmt.Sprintf("mcp: AddSessionTool %q: %v", t.Name, err))
	}
	return ss.AddTool(tool, handler)
}

// changeTools replaces the session's own tools by a changed copy.
func (ss *ServerSession) changeTools(change func(map[string]*serverTool) error) error {
	ss.opening.Lock()
	own := maps.Clone(ss.ownTools())
	if own == nil {
		own = make(map[string]*serverTool)
	}
	err := change(own)
	if err == nil {
		ss.own.Store(&own)
	}
	ss.opening.Unlock()
	if err == nil && ss.ready.Load() && ss.server.announces(toolKind) {
		ss.server.notifySession(&ServerSession{sessionState: ss.sessionState}, changeOf(methodToolsChanged))
	}
	return err
}
