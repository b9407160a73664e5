package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"millrace/server"
	"millrace/server/mcp"
	"millrace/server/reload"
	"millrace/server/seal"
)

// toolFlags are what serve and stdio have in common.
type toolFlags struct {
	Demo         bool          `help:"Serve the built-in tools echo, add and sleep."`
	ToolTimeout  time.Duration `default:"30s" help:"Longest time a tool may take."`
	Workers      int           `default:"1024" help:"Most blocking tools at once."`
	Queue        int           `default:"4096" help:"Most calls that wait for a worker, in each class of tools."`
	DrainTimeout time.Duration `default:"15s" help:"Longest time to finish requests after SIGTERM; a second signal ends at once."`
	MaxBody      int           `default:"4194304" help:"Longest request body or message in bytes."`
}

// logFlags choose the logs.
type logFlags struct {
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Least level to log: ${enum}."`
	LogFormat string `default:"text" enum:"text,json" help:"Format of the logs: ${enum}."`
}

type serveCmd struct {
	Listen     []string `placeholder:"HOST:PORT" help:"Address for HTTP and WebSocket, or unix:/path of a socket (repeatable). Default: 127.0.0.1:8080 when no address is given."`
	HTTPListen []string `name:"http-listen" placeholder:"HOST:PORT" help:"Address for HTTP only (repeatable)."`
	WSListen   []string `name:"ws-listen" placeholder:"HOST:PORT" help:"Address for WebSocket only (repeatable)."`
	Path       string   `default:"/mcp" help:"Path of the endpoint."`
	Admin      string   `default:"127.0.0.1:9090" placeholder:"HOST:PORT" help:"Address of /healthz, /readyz and /stats; empty turns it off. Default: ${default}."`
	Pprof      bool     `help:"Serve /debug/pprof/ on the admin address."`
	AdminToken string   `name:"admin-token-file" placeholder:"FILE" help:"File with the token that POST /drain and POST /reload on the admin address take."`

	Loops          int   `help:"Event loops. Default: one for two cores."`
	MaxConnections int   `help:"Most open connections. Default: what the limit of open files allows."`
	MemoryLimit    int64 `help:"Bytes of memory that Go may use: near it new work is refused. Default: GOMEMLIMIT, or 90 % of the limit of the control group; negative for none."`
	MaxSessions    int   `default:"10000" help:"Most open sessions of clients before 2026-07-28."`

	AllowedOrigins []string `placeholder:"ORIGIN" help:"Origins of web pages that may connect, such as https://app.example.com."`
	AllowedHosts   []string `placeholder:"HOST" help:"Accepted Host headers. Default: loopback names on loopback addresses, any elsewhere."`
	Insecure       bool     `help:"Allow to serve other machines without authentication."`
	KeyFile        string   `placeholder:"FILE" help:"Keys that seal session ids, so that sessions survive a restart. Read again when it changes, and on SIGHUP."`
	LegacySSE      bool     `name:"legacy-sse" help:"Serve the HTTP+SSE transport of 2024-11-05 too, at GET /sse and POST /messages."`
	WSGreeting     bool     `name:"ws-greeting" help:"Send an initialize request to every new WebSocket, for clients that wait for it."`

	socketFlags
	tlsFlags
	proxyFlags
	authFlags
	limitFlags
	dataFlags
	toolFlags
	logFlags
}

// Run implements the serve command.
func (c *serveCmd) Run(e *env) error {
	var hangups <-chan struct{}
	if e.hangups != nil {
		hangups = e.hangups() // from now on SIGHUP does not end us
	}
	srv, sources, err := c.server(e)
	if err != nil {
		return err
	}
	log := srv.Logger
	store, closeStore, err := c.openTasks(log)
	if err != nil {
		return err
	}
	srv.MCP = c.tools(log, store)
	srv.Hooks.Started = func(server.Info) { c.announce(e, srv) }
	if c.ToolTimeout > 60*time.Second {
		log.Warn("many clients give up after 60 s: a longer tool timeout will not be waited for", "tool_timeout", c.ToolTimeout)
	}
	more, err := c.authFlags.apply(srv, &c.tlsFlags, log)
	if err != nil {
		closeStore()
		return err
	}
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	now := make(chan struct{}, 1)
	srv.Reload = func() { ask(now) }
	if hangups != nil {
		go relay(ctx, hangups, now)
	}
	go reload.Watch(ctx, reloadEvery, now, log, append(sources, more...)...)
	return unlessForced(e, func() error {
		defer closeStore()
		return srv.Run(e.ctx)
	})
}

// ask says that files are to be read again now, if nobody has said so already.
func ask(now chan<- struct{}) {
	select {
	case now <- struct{}{}:
	default:
	}
}

// relay asks for every signal until ctx ends.
func relay(ctx context.Context, signals <-chan struct{}, now chan<- struct{}) {
	for {
		select {
		case <-signals:
			ask(now)
		case <-ctx.Done():
			return
		}
	}
}

// adminToken reads the file with the token of the admin listener.
func (c *serveCmd) adminToken() (string, error) {
	if c.AdminToken == "" {
		return "", nil
	}
	text, _, err := reload.File{What: "admin token", Path: c.AdminToken, Max: 4096, Forbidden: 0o077}.Read()
	if token := strings.TrimSpace(string(text)); token != "" || err != nil {
		return token, err
	}
	return "", fmt.Errorf("admin token: %s is empty", c.AdminToken)
}

// reloadEvery is how often files are looked at that may have changed.
const reloadEvery = 2 * time.Second

// server builds the server that the flags describe, but for its tools and who may use
// them. sources are the files that it is made of.
func (c *serveCmd) server(e *env) (srv *server.Server, sources []reload.Source, err error) {
	log := c.logger(e.stderr)
	srv = &server.Server{
		Path: c.Path, Admin: c.Admin, Pprof: c.Pprof, Logger: log,
		Loops: c.Loops, Workers: c.Workers, Queue: c.Queue, MaxConnections: c.MaxConnections,
		MaxSessions: c.MaxSessions, MemoryLimit: c.MemoryLimit, MaxBody: c.MaxBody, DrainTimeout: c.DrainTimeout,
		AllowedOrigins: c.AllowedOrigins, AllowedHosts: c.AllowedHosts,
		Insecure: c.Insecure, Greeting: c.WSGreeting, LegacySSE: c.LegacySSE,
	}
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	if srv.Limits, err = c.limits(); err != nil {
		return nil, nil, err
	}
	if !strings.HasPrefix(c.Path, "/") {
		return nil, nil, usageError{fmt.Errorf("--path: %q must begin with a slash", c.Path)}
	}
	if srv.AdminToken, err = c.adminToken(); err != nil {
		return nil, nil, err
	}
	if c.KeyFile != "" {
		if srv.Keys, err = seal.LoadFile(c.KeyFile); err != nil {
			return nil, nil, err
		}
		sources = append(sources, reload.Source{Name: "key file", Reload: srv.Keys.Reload})
	}
	for _, a := range c.Listen {
		srv.Listeners = append(srv.Listeners, server.Listener{Addr: a})
	}
	for _, a := range c.HTTPListen {
		srv.Listeners = append(srv.Listeners, server.Listener{Addr: a, HTTPOnly: true})
	}
	for _, a := range c.WSListen {
		srv.Listeners = append(srv.Listeners, server.Listener{Addr: a, WebSocketOnly: true})
	}
	files, err := c.listen(srv, log)
	if err != nil {
		return nil, nil, err
	}
	if files != nil {
		sources = append(sources, reload.Source{Name: "certificates", Reload: renewed(files, log)})
	}
	if len(srv.Listeners) == 0 {
		srv.Listeners = []server.Listener{{Addr: "127.0.0.1:8080"}}
	}
	for i := range srv.Listeners {
		if err := c.socketFlags.apply(&srv.Listeners[i]); err != nil {
			return nil, nil, err
		}
	}
	return srv, sources, c.proxyFlags.apply(srv)
}

// check finds values that mean nothing.
func (c *serveCmd) check() error {
	if c.Pprof && c.Admin == "" {
		return usageError{errors.New("--pprof needs the admin listener: set --admin")}
	}
	return cmp.Or(c.toolFlags.check(), c.dataFlags.check(), positive("drain-timeout", c.DrainTimeout),
		notNegative("loops", c.Loops), notNegative("max-connections", c.MaxConnections), notNegative("max-sessions", c.MaxSessions))
}

func (f *toolFlags) check() error {
	return cmp.Or(positive("tool-timeout", f.ToolTimeout),
		notNegative("workers", f.Workers), notNegative("queue", f.Queue), notNegative("max-body", f.MaxBody))
}

func notNegative(flag string, n int) error {
	if n < 0 {
		return usageError{fmt.Errorf("--%s: %d is negative", flag, n)}
	}
	return nil
}

func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return usageError{fmt.Errorf("--%s: %v is not a positive time", flag, d)}
	}
	return nil
}

// announce tells a person what to do next.
func (c *serveCmd) announce(e *env, srv *server.Server) {
	w := e.stderr
	endpoints := srv.Endpoints()
	for _, u := range endpoints {
		fmt.Fprintf(w, "endpoint   %s\n", u)
	}
	if a := srv.AdminAddr(); a != "" {
		fmt.Fprintf(w, "admin      http://%s/stats\n", a)
	}
	st := srv.Stats()
	fmt.Fprintf(w, "access     %s\n", c.describe(&c.tlsFlags))
	fmt.Fprintf(w, "loops      %d, GOMAXPROCS %d\n", st.Loops, st.GOMAXPROCS)
	fmt.Fprintf(w, "workers    %d blocking, %d cpu, queue %d each\n", st.Pool.Blocking.Limit, st.Pool.CPU.Limit, c.Queue)
	fmt.Fprintf(w, "limits     %d connections, %d sessions, %d bytes a message, %s a tool\n",
		srv.ConnectionLimit(), c.MaxSessions, c.MaxBody, c.ToolTimeout)
	if len(endpoints) > 0 && strings.Contains(endpoints[0], "://") {
		kind := "http"
		if strings.HasPrefix(endpoints[0], "ws") {
			kind = "ws"
		}
		fmt.Fprintf(w, "client     {\"mcpServers\": {%q: {\"type\": %q, \"url\": %q}}}\n", srv.MCP.Implementation().Name, kind, endpoints[0])
	}
}

type stdioCmd struct {
	// Who starts us may be a service with a state directory of its own.
	dataFlags `embed:"" set:"state_directory="`
	toolFlags
	logFlags
}

// Run implements the stdio command.
func (c *stdioCmd) Run(e *env) error {
	if err := cmp.Or(c.toolFlags.check(), c.dataFlags.check()); err != nil {
		return err
	}
	log := c.logger(e.stderr)
	store, closeStore, err := c.openTasks(log)
	if err != nil {
		return err
	}
	srv := &server.Server{
		MCP: c.tools(log, store), Workers: c.Workers, Queue: c.Queue, MaxBody: c.MaxBody,
		DrainTimeout: c.DrainTimeout, Logger: log,
	}
	return unlessForced(e, func() error {
		defer closeStore()
		return srv.RunStdio(e.ctx, e.stdin, e.stdout)
	})
}

// unlessForced runs f, and returns at once when a second signal comes.
func unlessForced(e *env, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-e.force:
		return errors.New("ended by a second signal before everything was answered")
	}
}

// tools builds the MCP server with the tools that the flags ask for. store may be
// nil.
func (f *toolFlags) tools(log logger, store mcp.TaskStore) *mcp.Server {
	s := mcp.NewServer(
		&mcp.Implementation{Name: "millrace", Title: "Millrace", Version: buildVersion()},
		&mcp.ServerOptions{ToolTimeout: f.ToolTimeout, Logger: log, TaskStore: store})
	if f.Demo {
		addDemoTools(s)
	} else {
		log.Warn("there are no tools: --demo serves built-in ones, and a program of yours is what serves others (see Write a tool in the README)")
	}
	return s
}
