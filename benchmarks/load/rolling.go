package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	rollingConns   = 40 // HTTP clients
	rollingSockets = 6
	rollingStreams = 2
	// rollingSlack is what a process may need to end on top of its drain timeout.
	rollingSlack = time.Second
	// rollingPause lies between restarts: long enough for both servers to get their share again.
	rollingPause = 500 * time.Millisecond
)

// rollingRun is what the clients of a rolling restart share.
type rollingRun struct {
	opts    *options
	proxy   *haproxy
	rate    int
	signal  atomic.Int64 // when the last SIGTERM was sent, in nanoseconds of the Unix epoch
	leave   chan struct{}
	latency *stopwatch

	answered, failed          atomic.Int64 // requests over HTTP
	wsAnswered, wsCut, wsEnds atomic.Int64
	streamEnds                atomic.Int64
	faults, ends              faults
}

// rollingServer is one of the two daemons and how to start it again.
type rollingServer struct {
	haproxyServer
	command daemon.Command
	process *daemon.Process
}

// rolling restarts two daemons behind HAProxy in turn, while clients call through it.
func rolling(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		r.Skipped = "haproxy is not installed (apt-get install haproxy)"
		return nil
	}
	servers, err := b.rollingServers(ctx)
	if err != nil {
		return err
	}
	h, err := b.startHAProxy(ctx, bin, []haproxyServer{servers[0].haproxyServer, servers[1].haproxyServer})
	if err != nil {
		return err
	}
	defer h.stop()
	bareErr := withoutHeader(ctx, servers[1].Addr, o.path)

	run := &rollingRun{opts: o, proxy: h, rate: pick(o, 500, 200), leave: make(chan struct{}), latency: newStopwatch()}
	start := time.Now()
	wait := run.connect(ctx)
	exits, err := run.restart(ctx, b, servers, pick(o, 10, 3))
	took := time.Since(start)
	close(run.leave)
	wait()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, h.logTail())
	}
	rows, err := h.rows(ctx)
	if err != nil {
		return err
	}
	r.check("a connection without a PROXY header, where there must be one, is closed", bareErr == nil, "%s", errText(bareErr))
	run.report(r, took, rows)
	exits.report(r, o)
	if !r.passed() {
		fmt.Fprintf(b.stdout, "log of haproxy, its end:\n%s\n", h.logTail())
	}
	return nil
}

// rollingServers starts two daemons; the second takes connections with a PROXY header alone.
func (b *bench) rollingServers(ctx context.Context) (servers [2]*rollingServer, err error) {
	for i := range servers {
		s := &rollingServer{haproxyServer: haproxyServer{Name: fmt.Sprintf("daemon%d", i+1), Proxied: i == 1}}
		var flags []string
		if s.Proxied {
			flags = []string{"--proxy-protocol", "127.0.0.1"}
		}
		if s.command, err = b.command(flags...); err != nil {
			return servers, err
		}
		s.Addr, s.admin = s.command.Addr, s.command.Admin
		if s.process, err = b.start(ctx, s.command); err != nil {
			return servers, err
		}
		servers[i] = s
	}
	return servers, nil
}

// withoutHeader calls a server that wants PROXY headers, without one.
func withoutHeader(ctx context.Context, addr, path string) error {
	p := &httpPeer{addr: addr, path: path, era: client.Modern}
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	q.askEcho(client.Modern, 1, "who am I?")
	switch err := p.call(&q); {
	case err == nil:
		return errors.New("it was answered")
	case !errors.Is(err, client.ErrNoAnswer):
		return err
	}
	return nil
}

// rollingExits is how the restarted processes have ended.
type rollingExits struct {
	restarts, codes int // codes counts those with exit code 0
	slowest         time.Duration
}

// restart ends one server after the other and starts it again on the same addresses.
func (r *rollingRun) restart(ctx context.Context, b *bench, servers [2]*rollingServer, n int) (*rollingExits, error) {
	exits := &rollingExits{}
	for i := range n {
		if err := sleep(ctx, rollingPause); err != nil {
			return exits, err
		}
		s := servers[i%2]
		took, err := r.end(ctx, s.process)
		if err != nil {
			return exits, fmt.Errorf("restart %d, %s: %w", i+1, s.Name, err)
		}
		exits.add(took, s.process.ExitCode())
		if s.process, err = b.start(ctx, s.command); err == nil {
			err = r.proxy.waitUp(ctx, s.Name)
		}
		if err != nil {
			return exits, fmt.Errorf("restart %d, %s: %w", i+1, s.Name, err)
		}
	}
	return exits, sleep(ctx, rollingPause)
}

// end sends SIGTERM and returns how long the process needed to go.
func (r *rollingRun) end(ctx context.Context, p *daemon.Process) (time.Duration, error) {
	start := time.Now()
	r.signal.Store(start.UnixNano())
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.Done():
		return time.Since(start), nil
	case <-time.After(r.opts.drainTimeout + 10*time.Second):
		return 0, errors.New("it does not end")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (e *rollingExits) add(took time.Duration, code int) {
	e.restarts++
	e.slowest = max(e.slowest, took)
	if code == 0 {
		e.codes++
	}
}

func (e *rollingExits) report(r *Report, o *options) {
	r.count("restarts", int64(e.restarts))
	most := o.drainTimeout + rollingSlack
	r.promise("R13", "exit", true, e.codes == e.restarts && e.slowest <= most, fmt.Sprintf("code 0 within the drain timeout + 1 s, %v", most),
		"%d of %d with code 0, the slowest after %.2f s", e.codes, e.restarts, e.slowest.Seconds())
}

// connect sends all clients; wait returns when they have left.
func (r *rollingRun) connect(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	for i := range rollingConns {
		wg.Go(func() { r.http(ctx, i) })
	}
	for i := range rollingSockets {
		wg.Go(func() { r.webSocket(ctx, int64(i)) })
	}
	for range rollingStreams {
		wg.Go(func() { r.stream(ctx) })
	}
	return wg.Wait
}

func (r *rollingRun) report(rep *Report, took time.Duration, rows map[string]map[string]string) {
	total := r.answered.Load() + r.failed.Load()
	rate := float64(total) / took.Seconds()
	rep.figure("rate wanted", float64(r.rate), "requests/s")
	rep.figure("rate sent", rate, "requests/s")
	rep.count("HTTP: answered right", r.answered.Load())
	rep.count("HTTP: failed", r.failed.Load())
	rep.count("WebSocket: answered right", r.wsAnswered.Load())
	rep.count("WebSocket: sent while the Close frame came, not answered", r.wsCut.Load())
	all := rows["BACKEND"]
	rep.count("haproxy: connections tried again", number(all, "wretr"))
	rep.count("haproxy: given to the other server", number(all, "wredis"))
	rep.count("haproxy: connections reused", number(all, "reuse"))
	rep.Latency = r.latency.latency()

	rep.promise("R13", "requests", true, r.failed.Load() == 0 && total > 0, "0 failed", "%d of %d", r.failed.Load(), total)
	r.faults.check(rep, "every answer right")
	rep.check("rate held", r.opts.noGate || rate >= 0.98*float64(r.rate), "%.0f/s of %d/s", rate, r.rate)
	first, second := number(rows["daemon1"], "stot"), number(rows["daemon2"], "stot")
	rep.check("both daemons served, the second with PROXY headers", first > total/10 && second > total/10, "%d and %d requests", first, second)
	rep.promise("R13", "streams", true, r.ends.count() == 0 && r.wsEnds.Load() > 0 && r.streamEnds.Load() > 0, "get a graceful end",
		"%d WebSockets closed with 1001, %d event streams ended with their answer and last chunk", r.wsEnds.Load(), r.streamEnds.Load())
	r.ends.check(rep, "every WebSocket and event stream ended properly and was opened again")
}
