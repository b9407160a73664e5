package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"millrace/loop"
	"millrace/pool"
	"millrace/server/auth"
	"millrace/server/limit"
	"millrace/server/mcp"
	"millrace/server/seal"
	"millrace/server/session"
	"millrace/server/transport"
)

// Server serves an mcp.Server. Fill in the fields, then call Run; they must not
// be changed afterwards. Zero fields stand for the defaults that their comments
// name.
type Server struct {
	// MCP is what to serve. Required.
	MCP *mcp.Server
	// Addr is the "host:port" to listen on for HTTP and WebSocket. Default
	// 127.0.0.1:8080 when Listeners is empty too.
	Addr string
	// Listeners are further addresses.
	Listeners []Listener
	// Path is the endpoint. Default "/mcp".
	Path string

	// Auth verifies who calls. Nil: everybody is anonymous, which is refused on
	// an address that other machines can reach unless Insecure is set.
	Auth auth.Authenticator
	// Policy says what callers may use. Required with Auth; auth.AllowAll() allows
	// everything. Nil without Auth: everything.
	Policy *auth.Policy
	// PublicURL is the URL of the endpoint as clients have it, such as
	// https://mcp.example.com/mcp. With AuthorizationServers it is told to clients
	// that come without a token (RFC 9728): they ask for one for this URL.
	PublicURL string
	// AuthorizationServers are the issuers whose tokens Auth accepts.
	AuthorizationServers []string
	// Scopes are what clients are told to ask for at first. Name the few that are
	// needed to begin: more are asked for when a call needs them.
	Scopes []string
	// Limits bound what one caller may do.
	Limits Limits
	// Insecure allows to serve other machines without authentication.
	Insecure bool
	// AllowedHosts are accepted in the Host header. Default: loopback names on
	// a loopback address, any elsewhere.
	AllowedHosts []string
	// AllowedOrigins are accepted in the Origin header besides the server's own
	// host, for pages in browsers: "https://app.example.com".
	AllowedOrigins []string
	// TrustedProxies may name the client in X-Forwarded-For. TrustUnixProxies lets who
	// connects to a unix socket do so, whose mode says who that may be.
	TrustedProxies   []netip.Prefix
	TrustUnixProxies bool
	// Keys seal session ids and cursors. Default: random, so that they end with
	// the process.
	Keys *seal.Keys

	// Loops is the number of event loops. Default: one for two cores, at least 1.
	Loops int
	// Workers is how many blocking tools may run at once. Default 1024.
	Workers int
	// Queue is how many calls may wait for a worker in each class. Default 4096.
	Queue int
	// MaxConnections: see loop.Config. Default: what the limit of open files allows.
	MaxConnections int
	// MaxInFlight is how many requests of one connection may run at once.
	// Default 64.
	MaxInFlight int
	// MaxBody is the longest request body or WebSocket message in bytes.
	// Default 4 MiB.
	MaxBody int
	// MaxSessions is how many legacy sessions may be open. Default 10,000.
	MaxSessions int
	// SessionIdle ends a legacy HTTP session that is not used. Default 30 min.
	SessionIdle time.Duration
	// MemoryLimit is how much memory Go may use, in bytes: when 85 % of it are in use,
	// new work is refused until 75 % are. Default: GOMEMLIMIT, or 90 % of the limit of
	// the control group, or none. Negative: none.
	MemoryLimit int64
	// DrainTimeout is how long Run waits for calls in flight when its context
	// ends. Default 15 s.
	DrainTimeout time.Duration
	// PingInterval and PongTimeout are the heartbeat of WebSockets. Default 30 s
	// and 10 s; a negative interval turns it off.
	PingInterval, PongTimeout time.Duration
	// LegacySSE serves clients of the HTTP+SSE transport of 2024-11-05 too, at
	// GET /sse and POST /messages. Path must be neither.
	LegacySSE bool
	// Greeting sends every new WebSocket an initialize request of the server's
	// own, for clients that wait for the server to speak first. The
	// specification has the client begin: off by default.
	Greeting bool

	// Admin is the "host:port" of /healthz, /readyz and /stats. Default: none.
	// It is refused on addresses that other machines can reach.
	Admin string
	// AdminToken is what requests that change anything, POST /drain and POST /reload,
	// must bring in "Authorization: Bearer ...". Default: they are refused. At least 16
	// characters.
	AdminToken string
	// Reload is what POST /reload calls, on a goroutine of its own. Nil: there is
	// nothing to reload.
	Reload func()
	// Pprof adds /debug/pprof/ to the admin listener.
	Pprof bool

	// Vendor and Description are told by Info.
	Vendor, Description string
	// Logger receives the logs. Default slog.Default().
	Logger *slog.Logger
	// Hooks are told what happens.
	Hooks Hooks

	silentFor time.Duration // transport.Config.SilentFor, for tests
	busy      atomic.Bool
	running   atomic.Pointer[runState]
}

// runState is what exists while a Server runs.
type runState struct {
	cfg      *Server
	log      *slog.Logger
	gate     *gate
	engine   *loop.Engine           // nil on stdio and in a Handler
	handler  *transport.HTTPHandler // of Handler, else nil
	admin    *adminServer
	started  time.Time
	draining atomic.Bool
	quit     chan struct{} // closed by Shutdown
	quitOnce sync.Once
	patience context.Context    // ends when draining must not wait any longer
	cut      context.CancelFunc // ends it
	ended    chan struct{}
	err      error              // what Run returned; read after ended
	sweeping context.Context    // of the sweeps of sessions and tasks
	unsweep  context.CancelFunc // ends them
	swept    sync.WaitGroup
	memory   *memory
	undo     func() // of what start has done to the Go runtime
}

var (
	// ErrRunning is returned by Run when the server already runs.
	ErrRunning = errors.New("server is already running")
	// ErrNotRunning is returned by Shutdown when it does not.
	ErrNotRunning = errors.New("server is not running")
)

// ListenAndServe serves m on addr until the process ends or serving fails.
func ListenAndServe(addr string, m *mcp.Server) error {
	return (&Server{Addr: addr, MCP: m}).Run(context.Background())
}

// Run serves until ctx ends or Shutdown is called, then drains: it stops
// accepting, answers what is in flight, and returns nil if that was done within
// DrainTimeout. It returns an error, and leaves nothing behind, when it cannot
// start: an address in use, a limit that does not fit, an unsafe address. A
// Server that has ended may be run again.
func (s *Server) Run(ctx context.Context) (err error) {
	if !s.busy.CompareAndSwap(false, true) {
		return ErrRunning
	}
	r, err := s.start(ctx)
	if err != nil {
		s.busy.Store(false)
		return err
	}
	defer func() { r.stopped(err) }()
	r.began()
	select {
	case <-ctx.Done():
	case <-r.quit:
	case <-r.engine.Done():
		r.release()
		return fmt.Errorf("serving: %w", r.engine.Err())
	}
	return r.drain(r.engine.Drain)
}

// began tells that the server runs.
func (r *runState) began() {
	if f := r.cfg.Hooks.Started; f != nil {
		r.gate.hooks.guard(func() { f(r.cfg.Info()) })
	}
}

// stopped tells that the server has ended. Who waits in Shutdown comes last, so
// that it may call Run again.
func (r *runState) stopped(err error) {
	r.cfg.running.Store(nil)
	r.cut()
	if f := r.cfg.Hooks.Stopped; f != nil {
		r.gate.hooks.guard(func() { f(err) })
	}
	r.cfg.busy.Store(false)
	r.err = err
	close(r.ended)
}

// Shutdown makes Run drain, waits for it, and returns what Run returns. When
// ctx ends first, connections that are still busy are cut. Any goroutine, any
// number of times: the first ctx to end counts.
func (s *Server) Shutdown(ctx context.Context) error {
	r := s.running.Load()
	if r == nil {
		return ErrNotRunning
	}
	r.quitOnce.Do(func() { close(r.quit) })
	select {
	case <-r.ended:
	case <-ctx.Done():
		r.cut()
		<-r.ended
	}
	return r.err
}

// AdminAddr is the address of the admin listener; "" when there is none.
func (s *Server) AdminAddr() string {
	if r := s.running.Load(); r != nil && r.admin != nil {
		return r.admin.addr()
	}
	return ""
}

func (s *Server) loops() int {
	if s.Loops > 0 {
		return s.Loops
	}
	return max(1, runtime.NumCPU()/2)
}

// start brings everything up, or nothing.
func (s *Server) start(ctx context.Context) (*runState, error) {
	r, err := s.openRunState(ctx)
	if err != nil {
		return nil, err
	}
	lcfg, tcfg, err := r.configs()
	if err != nil {
		return nil, err
	}
	if err := r.startAdmin(); err != nil {
		return nil, err
	}
	unprocs, ungc, unlimit := addProcs(s.loops(), r.log), collector.add(r.log), r.memory.begin()
	r.undo = func() {
		unprocs()
		ungc()
		unlimit()
	}
	r.serve()
	r.engine, err = loop.Start(lcfg, transport.NewHandler(tcfg, r.gate))
	if err != nil {
		r.release()
		return nil, err
	}
	s.running.Store(r)
	r.log.LogAttrs(context.Background(), slog.LevelInfo, "serving", r.logAttrs()...)
	return r, nil
}

// openRunState reads what an earlier process has left, and builds what does not need
// a listener. It starts nothing.
func (s *Server) openRunState(ctx context.Context) (*runState, error) {
	if s.MCP != nil {
		if err := s.MCP.RecoverTasks(ctx); err != nil {
			return nil, err
		}
	}
	return s.newRunState()
}

// newRunState builds what does not need a listener.
func (s *Server) newRunState() (*runState, error) {
	if s.MCP == nil {
		return nil, errors.New("Server.MCP is not set")
	}
	log := s.Logger
	if log == nil {
		log = slog.Default()
	}
	revive := s.Keys != nil
	keys := s.Keys
	if keys == nil {
		keys = seal.NewRandom()
	}
	if err := s.checkPolicy(); err != nil {
		return nil, err
	}
	resource, err := s.newProtectedResource()
	if err != nil {
		return nil, err
	}
	rates, err := newRates(&s.Limits, time.Now())
	if err != nil {
		return nil, err
	}
	policy := s.Policy
	if policy.AllowsAll() {
		policy = nil // lists are then the same for all, and encoded once
	}
	r := &runState{
		cfg: s, log: log, started: time.Now(), undo: func() {},
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	r.memory = newMemory(s.MemoryLimit, log)
	r.sweeping, r.unsweep = context.WithCancel(context.Background())
	r.patience, r.cut = context.WithCancel(context.Background())
	g := &gate{
		mcp: s.MCP, memory: r.memory, auth: s.Auth, policy: policy, resource: resource, rates: rates, log: log, maxInFlight: s.MaxInFlight,
		trace: log.Enabled(context.Background(), slog.LevelDebug),
	}
	if n := orDefault(s.Limits.InFlightPerPrincipal, defaultInFlightPerPrincipal, 0); n > 0 && s.Auth != nil {
		g.principals = limit.NewCounter[string](n)
	}
	g.methodRules = policy != nil && policy.NamesMethods()
	g.recall, _ = s.Auth.(auth.Recaller)
	g.revoker, _ = s.Auth.(auth.Revoker)
	if g.maxInFlight == 0 {
		g.maxInFlight = 64
	}
	g.sessions = session.NewRegistry(session.Config{
		Keys: keys, Revive: revive, Max: s.MaxSessions, Idle: s.SessionIdle, Unused: unusedSession,
		MaxPerPrincipal: orDefault(s.Limits.SessionsPerPrincipal, defaultSessionsPerPrincipal, 0),
		OnCreated: func(_ time.Time, ss *session.Session) {
			log.Debug("session created", "session", shortID(ss.ID()), "type", ss.Type().String(), "version", ss.Version())
			g.hooks.sessionCreated(ss)
		},
		OnEnded: func(_ time.Time, ss *session.Session, why session.Reason) {
			g.sessionEnded(ss)
			log.Debug("session ended", "session", shortID(ss.ID()), "reason", why.String())
			g.hooks.sessionDestroyed(ss, why)
		},
	})
	r.gate = g
	return r, nil
}

// defaultPinned is how many bytes incomplete requests and messages may hold.
const defaultPinned = 256 << 20

// unusedSession is how long a session lives whose client sends nothing after
// initialize.
const unusedSession = time.Minute

// serve starts the goroutines behind the gate.
func (r *runState) serve() {
	g := r.gate
	if k := r.cfg.Keys; k != nil {
		r.cfg.MCP.SetKeys(k) // cursors too survive a restart then
	}
	if g.policy != nil {
		r.cfg.MCP.SetGuard(visible{g.policy})
	}
	g.hooks = newHookRunner(r.cfg.Hooks, r.log)
	g.pool = pool.New(pool.Config{CPUWorkers: cpus(), BlockingWorkers: r.cfg.Workers, Queue: r.cfg.Queue, Logger: r.log})
	g.judges = max(1, int64(g.pool.Stats().Blocking.Limit)/8)
	g.judgedFrom = limit.NewCounter[netip.Prefix](max(1, int(g.judges)/4))
	g.room = newWaitingRoom()
	g.calls.start()
	r.cfg.MCP.LimitTasks(max(1, g.pool.Stats().Blocking.Limit/2))
	r.cfg.MCP.ResumeTasks()
	r.every(time.Second, func(now time.Time) {
		g.sessions.Sweep(now)
		procs.sweep(now)
		g.sweepLeases(now)
	})
	if s := r.cfg; s.Auth != nil {
		r.every(waitingTime/8, g.sweepStrangers)
	}
	r.every(sweepLogsEvery, g.sweepLogs)
	if r.memory.limit > 0 {
		r.every(memoryLook, r.memory.look)
	}
	// On a goroutine of its own: it may wait for the store.
	r.every(time.Second, func(now time.Time) { r.cfg.MCP.SweepTasks(r.sweeping, now) })
}

// every calls f with the time, on a goroutine that ends with sweeping.
func (r *runState) every(d time.Duration, f func(now time.Time)) {
	r.swept.Go(func() {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				f(now)
			case <-r.sweeping.Done():
				return
			}
		}
	})
}

func (s *Server) drainTimeout() time.Duration {
	if s.DrainTimeout > 0 {
		return s.DrainTimeout
	}
	return 15 * time.Second
}

// drain ends a running server gently; wait is what waits for its connections.
func (r *runState) drain(wait func(context.Context) error) error {
	r.draining.Store(true)
	limit := r.cfg.drainTimeout()
	ctx, cancel := context.WithTimeout(r.patience, limit)
	defer cancel()
	r.log.Info("draining", "timeout", limit)
	// What is not done shortly before the end is told so, while there is time to
	// send it.
	var cut atomic.Int64
	last := time.AfterFunc(limit-limit/10, func() {
		for _, c := range r.gate.calls.all() {
			if c.cut() {
				cut.Add(1)
			}
		}
	})
	err := wait(ctx)
	last.Stop()
	r.release()
	if err == nil && cut.Load() > 0 {
		err = fmt.Errorf("%d calls did not end in time and were answered with an error", cut.Load())
	}
	if err != nil {
		return fmt.Errorf("draining: %w", err)
	}
	r.log.Info("stopped")
	return nil
}

// release ends everything that start began, but for the engine. Tools that are
// still running are left behind: nobody waits for them any more.
func (r *runState) release() {
	r.cfg.MCP.StopTasks()
	g := r.gate
	g.sessions.CloseAll(time.Now(), session.Shutdown)
	ctx, cancel := context.WithTimeout(context.Background(), releaseGrace)
	defer cancel()
	if err := g.pool.Drain(ctx); err != nil {
		r.log.Warn("tools are still running", "err", err)
	}
	g.sessions.CloseAll(time.Now(), session.Shutdown) // of an initialize that was on a worker
	g.calls.close()
	r.unsweep()
	r.swept.Wait()
	g.hooks.close()
	if r.admin != nil {
		r.admin.close()
	}
	r.undo()
}

// releaseGrace is how long release waits for tools whose calls are over.
const releaseGrace = 100 * time.Millisecond

func (r *runState) maxConnections() int {
	if r.engine == nil {
		return 0
	}
	return r.engine.MaxConnections()
}

// ConnectionLimit is how many connections may be open at once: what was asked
// for, or what the limit of open files allows. 0 when the server does not run.
func (s *Server) ConnectionLimit() int {
	if r := s.running.Load(); r != nil {
		return r.maxConnections()
	}
	return 0
}
