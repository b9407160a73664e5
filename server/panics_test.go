package server

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/session"
)

// bomb is what every function of the host program does in TestPanics.
type bomb struct {
	armed atomic.Bool
	went  atomic.Int64
}

const secret = "a secret in a panic"

func (b *bomb) off() {
	if b.armed.Load() {
		b.went.Add(1)
		panic(secret)
	}
}

// program is a host program, all functions of which may panic.
type program struct {
	bomb
	opts mcp.ServerOptions
	mcp  *mcp.Server
	srv  *Server
}

func newProgram() *program {
	p := &program{srv: &Server{Logger: quiet}}
	p.opts.Logger = quiet
	p.opts.Capabilities = &mcp.ServerCapabilities{Resources: &mcp.ResourceCapabilities{Subscribe: true, ListChanged: true}}
	return p
}

// start builds the server of the options and runs it.
func (p *program) start(t *testing.T) *runningServer {
	p.mcp = mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &p.opts)
	tool := func(name string, class mcp.Class, task mcp.TaskMode, h mcp.ToolHandler) {
		p.mcp.AddTool(&mcp.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`), Class: class, Task: task}, h)
	}
	bad := func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { p.off(); return nil, nil }
	tool("good", 0, 0, nothing)
	tool("bad", 0, 0, bad)
	tool("bad_inline", mcp.ClassInline, 0, bad)
	tool("bad_cpu", mcp.ClassCPU, 0, bad)
	tool("bad_task", 0, mcp.TaskRequired, bad)
	tool("good_task", 0, mcp.TaskRequired, nothing)
	read := func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		p.off()
		return &mcp.ReadResourceResult{}, nil
	}
	p.mcp.AddResource(&mcp.Resource{URI: "test://r", Name: "r"}, read)
	p.mcp.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "test://of/{x}", Name: "t"}, read)
	p.mcp.AddPrompt(&mcp.Prompt{Name: "p"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		p.off()
		return &mcp.GetPromptResult{}, nil
	})
	p.mcp.AddMethod("example/bad", func(context.Context, *mcp.CustomRequest) (any, error) { p.off(); return nil, nil })
	p.srv.MCP = p.mcp
	return serve(t, p.srv)
}

// ask sends one request of 2026-07-28 on a connection of its own.
func (p *program) ask(r *runningServer, method, name, params string) string {
	r.t.Helper()
	r.http.CloseIdleConnections()
	rep, err := r.try(context.Background(), "POST", taskMessage("1", method, join(params, `"x":0`)),
		append(modernFields(method, name), "Authorization: Bearer tok")...)
	if err != nil {
		return err.Error() // a connection that has ended is an answer too
	}
	return rep.body()
}

// legacy opens a session over WebSocket, sends a request or notification, and returns what came
// up to the answers to it and to a ping, or how the connection has ended.
func (p *program) legacy(r *runningServer, message string) string {
	ws := r.dial("Authorization: Bearer tok")
	defer ws.close()
	ids := []string{`"id":"last"`}
	if strings.Contains(message, `"id":1`) {
		ids = append(ids, `"id":1`)
	}
	for _, m := range []string{initializeMessage(mcp.Version20251125), `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		message, `{"jsonrpc":"2.0","id":"last","method":"ping"}`} {
		ws.send(m)
	}
	var all []string
	for seen := 0; seen < len(ids); {
		msg, err := ws.read()
		if err != nil {
			return err.Error()
		}
		all = append(all, msg)
		for _, id := range ids {
			if strings.Contains(msg, id) {
				seen++
			}
		}
	}
	return strings.Join(all, "\n")
}

// panickyAuth is an Authenticator whose every method may panic.
type panickyAuth struct {
	authenticate, recall, revoked func()
}

func (a panickyAuth) Authenticate(context.Context, auth.Credentials) (*auth.Principal, error) {
	run(a.authenticate)
	return &auth.Principal{ID: "ann"}, nil
}

func (a panickyAuth) Recall([]byte, *x509.Certificate) (*auth.Principal, error) {
	run(a.recall)
	return nil, nil
}

func (a panickyAuth) Revoked(*auth.Principal) bool {
	run(a.revoked)
	return false
}

func run(f func()) {
	if f != nil {
		f()
	}
}

// panickyStore is a TaskStore whose methods may panic.
type panickyStore struct {
	put, get, remove func()
}

func (s *panickyStore) Put(context.Context, *mcp.TaskRecord) error { run(s.put); return nil }
func (s *panickyStore) Get(context.Context, string) (*mcp.TaskRecord, error) {
	run(s.get)
	return nil, mcp.ErrTaskNotFound
}
func (s *panickyStore) Delete(context.Context, string) error { run(s.remove); return nil }
func (s *panickyStore) All(context.Context) iter.Seq2[*mcp.TaskRecord, error] {
	return func(func(*mcp.TaskRecord, error) bool) {}
}

const internal = "internal error"

// TestPanics: whatever function of the host program panics, who asked is told no
// more than that it failed, and the next request is answered.
func TestPanics(t *testing.T) {
	for _, tt := range []struct {
		name string
		// prepare puts off where it is called; provoke has it called and returns the answer.
		prepare func(p *program)
		provoke func(p *program, r *runningServer) string
		want    string // in the answer
	}{
		{"tool", nil, func(p *program, r *runningServer) string { return p.ask(r, "tools/call", "bad", `"name":"bad"`) }, internal},
		{"tool on the loop", nil, func(p *program, r *runningServer) string {
			return p.ask(r, "tools/call", "bad_inline", `"name":"bad_inline"`)
		}, internal},
		{"tool that computes", nil, func(p *program, r *runningServer) string {
			return p.ask(r, "tools/call", "bad_cpu", `"name":"bad_cpu"`)
		}, internal},
		{"task", nil, func(p *program, r *runningServer) string {
			return p.ask(r, "tools/call", "bad_task", `"name":"bad_task"`)
		}, `"taskId"`},
		{"resource", nil, func(p *program, r *runningServer) string {
			return p.ask(r, "resources/read", "test://r", `"uri":"test://r"`)
		}, internal},
		{"template", nil, func(p *program, r *runningServer) string {
			return p.ask(r, "resources/read", "test://of/1", `"uri":"test://of/1"`)
		}, internal},
		{"prompt", nil, func(p *program, r *runningServer) string { return p.ask(r, "prompts/get", "p", `"name":"p"`) }, internal},
		{"method", nil, func(p *program, r *runningServer) string { return p.ask(r, "example/bad", "", "") }, internal},
		{"completion", func(p *program) {
			p.opts.CompletionHandler = func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) { p.off(); return nil, nil }
		}, func(p *program, r *runningServer) string {
			return p.ask(r, "completion/complete", "", `"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}`)
		}, internal},
		{"SubscribeHandler", func(p *program) {
			p.opts.SubscribeHandler = func(context.Context, *mcp.SubscribeRequest) error { p.off(); return nil }
		}, func(p *program, r *runningServer) string {
			return p.legacy(r, `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"test://r"}}`)
		}, internal},
		{"UnsubscribeHandler", func(p *program) {
			p.opts.SubscribeHandler = func(context.Context, *mcp.SubscribeRequest) error { return nil }
			p.opts.UnsubscribeHandler = func(context.Context, *mcp.UnsubscribeRequest) error { p.off(); return nil }
		}, func(p *program, r *runningServer) string {
			return p.legacy(r, `{"jsonrpc":"2.0","id":1,"method":"resources/unsubscribe","params":{"uri":"test://r"}}`)
		}, internal},
		{"InitializedHandler", func(p *program) {
			p.opts.InitializedHandler = func(context.Context, *mcp.InitializedRequest) { p.off() }
		}, func(p *program, r *runningServer) string {
			return p.legacy(r, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		}, `"id":1,"result"`},
		{"RootsListChangedHandler", func(p *program) {
			p.opts.RootsListChangedHandler = func(context.Context, *mcp.RootsListChangedRequest) { p.off() }
		}, func(p *program, r *runningServer) string {
			return p.legacy(r, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
		}, `"last","result"`},
		{"ToolFilter", func(p *program) {
			p.opts.ToolFilter = func(context.Context, *mcp.Caller, *mcp.Tool) bool { p.off(); return true }
		}, func(p *program, r *runningServer) string { return p.ask(r, "tools/list", "", "") }, internal},
		{"ToolFilter of a call", func(p *program) {
			p.opts.ToolFilter = func(context.Context, *mcp.Caller, *mcp.Tool) bool { p.off(); return true }
		}, func(p *program, r *runningServer) string { return p.ask(r, "tools/call", "good", `"name":"good"`) }, internal},
		{"PromptFilter", func(p *program) {
			p.opts.PromptFilter = func(context.Context, *mcp.Caller, *mcp.Prompt) bool { p.off(); return true }
		}, func(p *program, r *runningServer) string { return p.ask(r, "prompts/list", "", "") }, internal},
		{"ResourceFilter", func(p *program) {
			p.opts.ResourceFilter = func(context.Context, *mcp.Caller, *mcp.Resource) bool { p.off(); return true }
		}, func(p *program, r *runningServer) string { return p.ask(r, "resources/list", "", "") }, internal},
		{"ResourceFilter of a subscription", func(p *program) {
			p.opts.ResourceFilter = func(context.Context, *mcp.Caller, *mcp.Resource) bool { p.off(); return true }
		}, func(p *program, r *runningServer) string {
			return p.ask(r, "subscriptions/listen", "", `"notifications":{"resourceSubscriptions":["test://r"]}`)
		}, internal},
		{"ResourceTemplateFilter", func(p *program) {
			p.opts.ResourceTemplateFilter = func(context.Context, *mcp.Caller, *mcp.ResourceTemplate) bool { p.off(); return true }
		}, func(p *program, r *runningServer) string { return p.ask(r, "resources/templates/list", "", "") }, internal},
		{"receiving middleware", nil, func(p *program, r *runningServer) string {
			p.mcp.AddReceivingMiddleware(func(h mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
					p.off()
					return h(ctx, method, req)
				}
			})
			return p.ask(r, "tools/list", "", "")
		}, internal},
		{"sending middleware", nil, func(p *program, r *runningServer) string {
			p.mcp.AddSendingMiddleware(func(h mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
					p.off()
					return h(ctx, method, req)
				}
			})
			ws := r.dial()
			defer ws.close()
			handshake(t, ws, mcp.Version20251125)
			ws.send(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"test://r"}}`)
			got := mustRead(t, ws)
			if err := p.mcp.ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: "test://r"}); err != nil {
				t.Error(err)
			}
			return got
		}, `"result"`},
		{"Authenticate", func(p *program) { p.srv.Auth, p.srv.Policy = panickyAuth{authenticate: p.off}, auth.AllowAll() },
			func(p *program, r *runningServer) string { return p.ask(r, "tools/list", "", "") }, "cannot verify credentials"},
		// It is asked on the event loop: the connection ends.
		{"Recall", func(p *program) { p.srv.Auth, p.srv.Policy = panickyAuth{recall: p.off}, auth.AllowAll() },
			func(p *program, r *runningServer) string { return p.ask(r, "tools/list", "", "") }, "EOF"},
		{"Revoked", func(p *program) { p.srv.Auth, p.srv.Policy = panickyAuth{revoked: p.off}, auth.AllowAll() },
			func(p *program, r *runningServer) string {
				return p.legacy(r, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			}, "4401"},
		{"TaskStore.Put", func(p *program) { p.opts.TaskStore = &panickyStore{put: p.off} },
			func(p *program, r *runningServer) string {
				return p.ask(r, "tools/call", "good_task", `"name":"good_task"`)
			}, "could not be stored"},
		{"TaskStore.Get", func(p *program) { p.opts.TaskStore = &panickyStore{get: p.off} },
			func(p *program, r *runningServer) string { return p.ask(r, "tasks/get", "x", `"taskId":"x"`) }, internal},
		{"TaskStore.Delete", func(p *program) { p.opts.TaskStore, p.opts.TaskTTL = &panickyStore{remove: p.off}, 1 },
			func(p *program, r *runningServer) string {
				return p.ask(r, "tools/call", "good_task", `"name":"good_task"`)
			}, `"taskId"`},
		{"SessionCreated", func(p *program) { p.srv.Hooks.SessionCreated = func(*session.Session) { p.off() } },
			func(p *program, r *runningServer) string {
				return p.legacy(r, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			}, `"id":1,"result"`},
		{"SessionDestroyed", func(p *program) { p.srv.Hooks.SessionDestroyed = func(*session.Session, session.Reason) { p.off() } },
			func(p *program, r *runningServer) string {
				return p.legacy(r, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			}, `"id":1,"result"`},
		{"SessionError", func(p *program) { p.srv.MaxSessions = 1; p.srv.Hooks.SessionError = func(error) { p.off() } },
			func(p *program, r *runningServer) string {
				r.initialize(mcp.Version20251125)
				return r.do("POST", initializeMessage(mcp.Version20251125)).body()
			}, "session limit"},
		{"RequestProcessed", func(p *program) { p.srv.Hooks.RequestProcessed = func(RequestEvent) { p.off() } },
			func(p *program, r *runningServer) string { return p.ask(r, "tools/call", "good", `"name":"good"`) }, `"result"`},
		{"RequestError", func(p *program) { p.srv.Hooks.RequestError = func(RequestEvent) { p.off() } },
			func(p *program, r *runningServer) string { return p.ask(r, "no/such", "", "") }, "-32601"},
		{"Reload", func(p *program) {
			p.srv.Reload = p.off
			p.srv.Admin, p.srv.AdminToken = "127.0.0.1:0", "0123456789abcdef"
		},
			func(p *program, r *runningServer) string {
				_, body := change(t, r, "/reload", "Authorization: Bearer "+p.srv.AdminToken)
				return body
			}, "reloading"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProgram()
			if tt.prepare != nil {
				tt.prepare(p)
			}
			p.armed.Store(true)
			r := p.start(t)
			got := tt.provoke(p, r)
			await(t, "it panicked", func() bool { return p.went.Load() > 0 })
			p.armed.Store(false)
			if !strings.Contains(got, tt.want) || strings.Contains(got, secret) {
				t.Errorf("answered %s, want %s", got, tt.want)
			}
			if got := p.ask(r, "tools/call", "good", `"name":"good"`); !strings.Contains(got, `"result"`) {
				t.Errorf("the next request is answered %s", got)
			}
			if err := r.stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// Panics of Started and Stopped keep the server from nothing, and nobody who waits for its end waiting.
func TestPanicsAtBothEnds(t *testing.T) {
	started := make(chan struct{})
	s := &Server{MCP: newTools().mcp, Addr: "127.0.0.1:0", Logger: quiet, Loops: 1}
	s.Hooks.Started = func(Info) { close(started); panic(secret) }
	s.Hooks.Stopped = func(error) { panic(secret) }
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	select {
	case <-started:
	case err := <-result:
		t.Fatalf("Run: %v", err)
	}
	r := &runningServer{Server: s, t: t, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if rep := r.do("POST", modernCall("1", "headers"), modernFields("tools/call", "headers")...); rep.status != 200 {
		t.Errorf("%d %s", rep.status, rep.body())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-result; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := s.Shutdown(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a second Shutdown: %v", err)
	}
}

// A TaskStore that panics when it is told of the tasks that a drain cuts off does not keep the server from ending.
func TestPanicInDrain(t *testing.T) {
	p := newProgram()
	p.opts.TaskStore = &panickyStore{put: p.off}
	r := p.start(t)
	working := make(chan struct{})
	p.mcp.AddTool(&mcp.Tool{Name: "endless", InputSchema: json.RawMessage(`{"type":"object"}`), Task: mcp.TaskRequired},
		func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			close(working)
			<-ctx.Done()
			return nil, ctx.Err()
		})
	if got := p.ask(r, "tools/call", "endless", `"name":"endless"`); !strings.Contains(got, `"taskId"`) {
		t.Fatalf("no task: %s", got)
	}
	<-working
	p.armed.Store(true)
	if err := r.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if p.went.Load() == 0 {
		t.Error("the store was told nothing: this test sees nothing")
	}
}
