package mcp

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"millrace/server/seal"
)

// DefaultPageSize is the default of ServerOptions.PageSize.
const DefaultPageSize = 1000

// DefaultToolTimeout is the default of ServerOptions.ToolTimeout.
const DefaultToolTimeout = 30 * time.Second

// Server holds tools and serves them to any number of clients, in all
// revisions of the protocol. It opens no connections: package server does, and
// drives it through Plan and Serve. All methods may be called by any goroutine
// at any time.
type Server struct {
	impl *Implementation
	opts ServerOptions
	log  *slog.Logger
	// head and fullHead are what results of the stateless era begin with; see
	// resultHead. The full one is for server/discover.
	head, fullHead []byte
	// stateless is what requests of the stateless era have for a session.
	stateless *sessionState

	// receiving and sending are the middleware chains; receiving is nil when
	// there is no middleware.
	receiving, sending atomic.Pointer[MethodHandler]
	// current is the registry that requests see, nil after a change until the
	// next request.
	current atomic.Pointer[registry]

	mu         sync.Mutex
	tools      map[string]*serverTool
	cursors    *seal.Box
	sessions   map[*sessionState]*ServerSession // attached
	announcing bool                             // a list_changed is due
}

// ServerOptions configure a Server. The zero value works.
type ServerOptions struct {
	// Instructions for models on how to use this server; optional.
	Instructions string
	// Logger gets warnings about tools, and failures. Default: slog.Default().
	Logger *slog.Logger
	// InitializedHandler, if set, runs when a client of the legacy era sends
	// notifications/initialized.
	InitializedHandler func(context.Context, *InitializedRequest)
	// PageSize is how many items one page of a list holds at most; a page also
	// ends at 512 KiB. Default: DefaultPageSize.
	PageSize int
	// Capabilities, if set, overrides what is inferred: a non-nil Tools is sent
	// even when there are no tools, and with ListChanged false clients are not
	// told of changes.
	Capabilities *ServerCapabilities
	// ToolTimeout is how long a call may take when its tool does not say.
	// Default: DefaultToolTimeout; negative: no limit.
	ToolTimeout time.Duration
	// ListTTL is how long clients of 2026-07-28 may reuse a list or the answer
	// of server/discover (ttlMs). Default: 0, which means that they ask every
	// time. It is in whole milliseconds.
	ListTTL time.Duration
}

// NewServer returns a server without tools. impl says who it is and must not
// be nil or changed afterwards; options may be nil. It panics on options that
// cannot be meant.
func NewServer(impl *Implementation, options *ServerOptions) *Server {
	if impl == nil {
		panic("mcp: NewServer: the Implementation is nil; pass at least a Name")
	}
	s := &Server{
		impl:     impl,
		tools:    make(map[string]*serverTool),
		cursors:  seal.NewRandom().Box(cursorPurpose),
		sessions: make(map[*sessionState]*ServerSession),
	}
	if options != nil {
		s.opts = *options
	}
	if s.opts.PageSize < 0 || s.opts.ListTTL < 0 {
		panic(fmt.Sprintf("mcp: NewServer: PageSize %d and ListTTL %v must not be negative", s.opts.PageSize, s.opts.ListTTL))
	}
	if s.opts.PageSize == 0 {
		s.opts.PageSize = DefaultPageSize
	}
	if s.opts.ToolTimeout == 0 {
		s.opts.ToolTimeout = DefaultToolTimeout
	}
	if s.log = s.opts.Logger; s.log == nil {
		s.log = slog.Default()
	}
	s.fullHead = resultHead(impl)
	s.head = resultHead(&Implementation{Name: impl.Name, Title: impl.Title, Version: impl.Version})
	s.stateless = &sessionState{server: s}
	send := MethodHandler(s.transmit)
	s.sending.Store(&send)
	return s
}

// Implementation returns who the server says it is. It must not be changed.
func (s *Server) Implementation() *Implementation { return s.impl }

// Capabilities returns what clients of the legacy era are told at initialize.
// The struct is the caller's.
func (s *Server) Capabilities() *ServerCapabilities {
	return s.capabilities(false)
}
