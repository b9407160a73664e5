package mcp

import (
	"cmp"
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

// Server holds tools, prompts and resources and serves them to any number of
// clients, in all revisions of the protocol. It opens no connections: package server does, and
// drives it through Plan and Serve. All methods may be called by any goroutine
// at any time.
type Server struct {
	impl *Implementation
	opts ServerOptions
	log  *slog.Logger
	// head and fullHead are what results of the stateless era begin with; see
	// resultHead. The full one is for server/discover, the others are for results
	// that are not complete.
	head, fullHead, inputHead, taskHead []byte
	// stateless is what requests of the stateless era have for a session.
	stateless *sessionState

	guard atomic.Pointer[Guard]
	// receiving and sending are the middleware chains; receiving is nil when
	// there is no middleware.
	receiving, sending atomic.Pointer[MethodHandler]
	// current is the registry that requests see, nil after a change until the
	// next request.
	current atomic.Pointer[registry]

	// custom are the methods added with AddMethod, nil when there are none.
	custom atomic.Pointer[map[string]*method]
	// hub knows who is to be told of what.
	hub hub
	// tasks are those of the tasks extension.
	tasks *taskTable

	mu        sync.Mutex
	tools     map[string]*serverTool
	prompts   map[string]*serverPrompt
	resources map[string]*serverResource
	templates map[string]*serverTemplate
	skills    map[string]*serverSkill
	listed    map[string][]string // resources of directories, by their template
	cursors   *seal.Box
	states    *seal.Box
	sessions  map[*sessionState]*ServerSession // attached
	due       map[string]bool                  // list_changed notifications that wait for announceDelay
}

// ServerOptions configure a Server. The zero value works.
type ServerOptions struct {
	// Instructions for models on how to use this server; optional.
	Instructions string
	// Logger gets warnings about tools, and failures. Default: slog.Default().
	Logger *slog.Logger
	// KeepControls leaves the texts that tools return as they are. Default: control
	// characters but for tab and line ends, and those that override the direction of
	// text, are taken out of TextContent, because a terminal or an editor would act on
	// them. Structured content is left alone.
	KeepControls bool
	// InitializedHandler, if set, runs when a client of the legacy era sends
	// notifications/initialized.
	InitializedHandler func(context.Context, *InitializedRequest)
	// RootsListChangedHandler, if set, runs when a client of the legacy era sends
	// notifications/roots/list_changed.
	RootsListChangedHandler func(context.Context, *RootsListChangedRequest)
	// CompletionHandler, if set, answers completion/complete, for prompts and
	// templates that the caller can see.
	CompletionHandler func(context.Context, *CompleteRequest) (*CompleteResult, error)
	// SubscribeHandler and UnsubscribeHandler, if set, run when a client of the
	// legacy era subscribes to a resource, before it counts; an error of theirs is
	// the answer. ResourceUpdated reaches subscribers without them.
	SubscribeHandler   func(context.Context, *SubscribeRequest) error
	UnsubscribeHandler func(context.Context, *UnsubscribeRequest) error

	// ToolFilter, if set, decides which tools exist for a caller: others are
	// neither listed nor callable. Filters run on the pool for every list and
	// every use; lists that are filtered are private to who asked. They must not
	// block for long.
	ToolFilter func(context.Context, *Caller, *Tool) bool
	// PromptFilter, ResourceFilter and ResourceTemplateFilter are the same for
	// prompts, resources (those of skills too) and templates.
	PromptFilter           func(context.Context, *Caller, *Prompt) bool
	ResourceFilter         func(context.Context, *Caller, *Resource) bool
	ResourceTemplateFilter func(context.Context, *Caller, *ResourceTemplate) bool
	// PageSize is how many items one page of a list holds at most; a page also
	// ends at 512 KiB. Default: DefaultPageSize.
	PageSize int
	// Capabilities, if set, overrides what is inferred: a non-nil Tools is sent
	// even when there are no tools, and with ListChanged false clients are not
	// told of changes; the same for Prompts and Resources. When it is nil, Logging
	// is declared; otherwise only if it is set.
	Capabilities *ServerCapabilities
	// ToolTimeout is how long a call may take when its tool does not say.
	// Default: DefaultToolTimeout; negative: no limit.
	ToolTimeout time.Duration
	// InputTimeout is how long a client may take to answer what a handler asks: so
	// long the state that it carries on 2026-07-28 is good. Default:
	// DefaultInputTimeout.
	InputTimeout time.Duration
	// MaxSubscriptions is how many subscriptions/listen one principal may have
	// open at once. It does not hold for anonymous callers, whom the limit of
	// requests in flight on one connection bounds. Default:
	// DefaultMaxSubscriptions.
	MaxSubscriptions int
	// TaskStore keeps the tasks of tools that have a Task mode. Default: in memory.
	TaskStore TaskStore
	// TaskTTL is how long a task is kept after its creation. Default:
	// DefaultTaskTTL; negative: for ever.
	TaskTTL time.Duration
	// TaskPollInterval is how often clients are asked to look. Default:
	// DefaultTaskPollInterval.
	TaskPollInterval time.Duration
	// MaxTasks is how many tasks are kept for one principal, all anonymous callers
	// counting as one. Default: DefaultMaxTasks.
	MaxTasks int
	// MaxRunningTasks is how many of them may run or wait at once: each has a
	// goroutine of the pool. Default: DefaultMaxRunningTasks.
	MaxRunningTasks int
	// ListTTL is how long clients of 2026-07-28 may reuse a list or the answer
	// of server/discover (ttlMs). Default: 0, which means that they ask every
	// time. It is in whole milliseconds.
	ListTTL time.Duration
}

func (o *ServerOptions) setDefaults() {
	o.PageSize = cmp.Or(o.PageSize, DefaultPageSize)
	o.ToolTimeout = cmp.Or(o.ToolTimeout, DefaultToolTimeout)
	o.InputTimeout = cmp.Or(o.InputTimeout, DefaultInputTimeout)
	o.MaxSubscriptions = cmp.Or(o.MaxSubscriptions, DefaultMaxSubscriptions)
	o.TaskTTL = cmp.Or(o.TaskTTL, DefaultTaskTTL)
	o.TaskPollInterval = cmp.Or(o.TaskPollInterval, DefaultTaskPollInterval)
	o.MaxTasks = cmp.Or(o.MaxTasks, DefaultMaxTasks)
	o.MaxRunningTasks = cmp.Or(o.MaxRunningTasks, DefaultMaxRunningTasks)
}

// NewServer returns a server without tools. impl says who it is and must not
// be nil or changed afterwards; options may be nil. It panics on options that
// cannot be meant.
func NewServer(impl *Implementation, options *ServerOptions) *Server {
	if impl == nil {
		panic("mcp: NewServer: the Implementation is nil; pass at least a Name")
	}
	s := &Server{
		impl:      impl,
		tools:     make(map[string]*serverTool),
		prompts:   make(map[string]*serverPrompt),
		resources: make(map[string]*serverResource),
		templates: make(map[string]*serverTemplate),
		skills:    make(map[string]*serverSkill),
		listed:    make(map[string][]string),
		sessions:  make(map[*sessionState]*ServerSession),
	}
	keys := seal.NewRandom()
	s.cursors, s.states = keys.Box(cursorPurpose), keys.Box(statePurpose)
	if options != nil {
		s.opts = *options
	}
	if s.opts.PageSize < 0 || s.opts.ListTTL < 0 || s.opts.InputTimeout < 0 || s.opts.MaxTasks < 0 || s.opts.MaxRunningTasks < 0 || s.opts.MaxSubscriptions < 0 {
		panic(fmt.Sprintf("mcp: NewServer: PageSize %d, ListTTL %v, InputTimeout %v, MaxTasks %d, MaxRunningTasks %d and MaxSubscriptions %d must not be negative",
			s.opts.PageSize, s.opts.ListTTL, s.opts.InputTimeout, s.opts.MaxTasks, s.opts.MaxRunningTasks, s.opts.MaxSubscriptions))
	}
	s.opts.setDefaults()
	if s.log = s.opts.Logger; s.log == nil {
		s.log = slog.Default()
	}
	s.tasks = newTaskTable(s, s.opts.TaskStore)
	short := &Implementation{Name: impl.Name, Title: impl.Title, Version: impl.Version}
	s.fullHead, s.head = resultHead("complete", impl), resultHead("complete", short)
	s.inputHead, s.taskHead = resultHead("input_required", short), resultHead("task", short)
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
