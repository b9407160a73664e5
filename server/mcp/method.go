package mcp

import (
	"context"

	"millrace/codec/jsonrpc"
)

// Methods of the protocol.
const (
	methodInitialize    = "initialize"
	methodPing          = "ping"
	methodDiscover      = "server/discover"
	methodListTools     = "tools/list"
	methodCallTool      = "tools/call"
	methodListPrompts   = "prompts/list"
	methodGetPrompt     = "prompts/get"
	methodListResources = "resources/list"
	methodListTemplates = "resources/templates/list"
	methodReadResource  = "resources/read"
	methodSubscribe     = "resources/subscribe"
	methodUnsubscribe   = "resources/unsubscribe"
	methodComplete      = "completion/complete"
	methodSetLevel      = "logging/setLevel"
	methodGetTask       = "tasks/get"
	methodUpdateTask    = "tasks/update"
	methodCancelTask    = "tasks/cancel"
	methodListSkills    = "skills/list"
	methodGetSkill      = "skills/get"
	methodReadDirectory = "resources/directory/read"

	// MethodListen is subscriptions/listen, which is served by Server.Listen.
	MethodListen = "subscriptions/listen"

	methodInitialized      = "notifications/initialized"
	methodRootsChanged     = "notifications/roots/list_changed"
	methodProgress         = "notifications/progress"
	methodMessage          = "notifications/message"
	methodToolsChanged     = "notifications/tools/list_changed"
	methodPromptsChanged   = "notifications/prompts/list_changed"
	methodResourcesChanged = "notifications/resources/list_changed"
	methodResourceUpdated  = "notifications/resources/updated"
	methodAcknowledged     = "notifications/subscriptions/acknowledged"
	methodCancelled        = "notifications/cancelled"
	methodTaskStatus       = "notifications/tasks"
)

// eras tells in which eras a method exists.
type eras uint8

const (
	legacyEra eras = 1 << iota
	modernEra
	bothEras = legacyEra | modernEra
)

// method is what the engine knows of a method of clients.
type method struct {
	eras
	// early methods are served before initialize.
	early bool
	// tool: the call runs a tool, which decides on its class.
	tool         bool
	notification bool
	// offered reports whether the server has what the method is about; nil: always.
	// 2026-07-28, schema: -32601 is for "a genuinely unknown method, or one gated
	// behind a server capability the server did not advertise".
	offered func(*Server) bool
	// hook reports whether the method runs user code: then it may block.
	hook func(*Server) bool
	// fast, when there is one, appends the result without a Request: for calls
	// that no middleware sees and that every caller gets the same answer to.
	fast func(s *Server, c *Call, dst []byte) ([]byte, *jsonrpc.Error)
	// decode makes the Request that middleware and handle get. It sets c.active.
	decode func(s *Server, c *Call) (Request, *jsonrpc.Error)
	handle MethodHandler
}

func (m *method) serves(modern bool) bool {
	if modern {
		return m.eras&modernEra != 0
	}
	return m.eras&legacyEra != 0
}

// methods is the protocol: what clients may send, and in which era.
var methods = map[string]*method{
	methodInitialize: {
		eras: legacyEra, early: true,
		decode: decodeInitialize, handle: handleInitialize,
	},
	methodInitialized: {
		eras: legacyEra, notification: true,
		hook:   func(s *Server) bool { return s.opts.InitializedHandler != nil },
		decode: decodeParams[InitializedParams], handle: handleInitialized,
	},
	methodRootsChanged: {
		eras: legacyEra, notification: true,
		hook:   func(s *Server) bool { return s.opts.RootsListChangedHandler != nil },
		decode: decodeParams[RootsListChangedParams], handle: handleRootsChanged,
	},
	methodPing: {
		eras: legacyEra, early: true,
		fast: fastPing, decode: decodeParams[PingParams], handle: handlePing,
	},
	methodDiscover: {
		eras: modernEra,
		fast: fastDiscover, decode: decodeParams[DiscoverParams], handle: handleDiscover,
	},
	methodListTools: {
		eras: bothEras, offered: offers(toolKind), hook: isFiltered(toolKind),
		fast: fastList(toolKind, toolList), decode: decodeParams[ListToolsParams], handle: handleListTools,
	},
	methodCallTool: {
		eras: bothEras, offered: offers(toolKind), tool: true,
		decode: decodeCallTool, handle: handleCallTool,
	},
	methodListPrompts: {
		eras: bothEras, offered: offers(promptKind), hook: isFiltered(promptKind),
		fast: fastList(promptKind, promptList), decode: decodeParams[ListPromptsParams], handle: handleListPrompts,
	},
	methodGetPrompt: {
		eras: bothEras, offered: offers(promptKind), hook: always,
		decode: decodeGetPrompt, handle: handleGetPrompt,
	},
	methodListResources: {
		eras: bothEras, offered: offers(resourceKind), hook: isFiltered(resourceKind),
		fast: fastList(resourceKind, resourceList), decode: decodeParams[ListResourcesParams], handle: handleListResources,
	},
	methodListTemplates: {
		eras: bothEras, offered: offers(resourceKind), hook: isFiltered(templateKind),
		fast: fastList(templateKind, templateList), decode: decodeParams[ListResourceTemplatesParams], handle: handleListTemplates,
	},
	methodReadResource: {
		eras: bothEras, offered: offers(resourceKind), hook: always,
		decode: decodeReadResource, handle: handleReadResource,
	},
	methodSubscribe: {
		eras: legacyEra, offered: (*Server).declaresSubscribe, hook: always,
		decode: decodeSubscribe, handle: handleSubscribe,
	},
	methodUnsubscribe: {
		eras: legacyEra, offered: (*Server).declaresSubscribe,
		hook:   func(s *Server) bool { return s.opts.UnsubscribeHandler != nil },
		decode: decodeUnsubscribe, handle: handleUnsubscribe,
	},
	methodComplete: {
		eras: bothEras, hook: always,
		offered: func(s *Server) bool { return s.opts.CompletionHandler != nil },
		decode:  decodeComplete, handle: handleComplete,
	},
	methodSetLevel: {
		eras: legacyEra, offered: (*Server).declaresLogging,
		decode: decodeSetLevel, handle: handleSetLevel,
	},
	MethodListen: {
		eras: modernEra, hook: listensToUserCode,
		decode: decodeListen, handle: handleListen,
	},
	methodGetTask:    {eras: modernEra, offered: hasTasks, hook: tasksBlock, decode: decodeGetTask, handle: handleGetTask},
	methodUpdateTask: {eras: modernEra, offered: hasTasks, hook: always, decode: decodeUpdateTask, handle: handleUpdateTask},
	methodCancelTask: {eras: modernEra, offered: hasTasks, hook: tasksBlock, decode: decodeCancelTask, handle: handleCancelTask},
	methodListSkills: {
		eras: modernEra, offered: hasSkills, hook: isFiltered(resourceKind),
		fast: fastList(resourceKind, skillList), decode: decodeParams[ListSkillsParams], handle: handleListSkills,
	},
	methodGetSkill: {
		eras: modernEra, offered: hasSkills, hook: isFiltered(resourceKind),
		decode: decodeGetSkill, handle: handleGetSkill,
	},
	methodReadDirectory: {
		eras: modernEra, offered: hasSkills, hook: isFiltered(resourceKind),
		decode: decodeReadDirectory, handle: handleReadDirectory,
	},
}

// tasksBlock: a store of the author's may block. That in memory does not, and
// tasks that have all workers can still be looked at and cancelled.
func tasksBlock(s *Server) bool {
	_, memory := s.tasks.store.(*memoryTasks)
	return !memory
}

func offers(k kind) func(*Server) bool {
	return func(s *Server) bool { return s.declaresList(k) }
}

func isFiltered(k kind) func(*Server) bool {
	return func(s *Server) bool { return s.filtered(k) }
}

// hasTasks: tasks outlive the tools that made them.
func hasTasks(s *Server) bool { return s.tasks.offered() }

// listensToUserCode: which resources a subscription may watch depends on
// templates and filters, and which tasks on the store, whose ids a client may name
// whether there are tasks or not.
func listensToUserCode(s *Server) bool {
	return s.filtered(resourceKind) || s.filtered(templateKind) || hasTasks(s) || tasksBlock(s) || len(s.snapshot().templates.sorted) > 0
}

// method finds a method by its name; nil: there is none.
func (s *Server) method(name string) *method {
	if m := methods[name]; m != nil {
		return m
	}
	if custom := s.custom.Load(); custom != nil {
		return (*custom)[name]
	}
	return nil
}

func methodNotFound() *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "Method not found"}
}

// dispatch is the innermost receiving MethodHandler.
func (s *Server) dispatch(ctx context.Context, name string, req Request) (Result, error) {
	m := s.method(name)
	if m == nil {
		return nil, methodNotFound()
	}
	return m.handle(ctx, name, req)
}

func fastPing(_ *Server, _ *Call, dst []byte) ([]byte, *jsonrpc.Error) {
	return append(dst, `{}`...), nil
}

func handlePing(context.Context, string, Request) (Result, error) { return &emptyResult{}, nil }
