package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	badTokenConns = 32
	// silentTime is how soon the server must be rid of a WebSocket that shows no credential.
	silentTime = 5 * time.Second
)

// badtokens floods a server that authenticates with tokens that are none, beside clients with a key.
func badtokens(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	file := filepath.Join(b.dir, "badtokens.keys")
	token, err := b.newKey(ctx, file, "load")
	if err != nil {
		return err
	}
	p, err := b.serve(ctx, 0, "--api-keys", file, "--allow", "tool:*")
	if err != nil {
		return err
	}
	d := o.span(20*time.Second, 4*time.Second)
	base, err := watchSteady(ctx, p, o.path, token, func() error { return sleep(ctx, d/4) })
	if err != nil {
		return err
	}
	f := &tokenFlood{path: o.path, rate: pick(o, 5000, 500)}
	during, err := watchSteady(ctx, p, o.path, token, func() error { return f.run(ctx, p, d) })
	if err != nil {
		return err
	}
	took, err := strangerWebSocket(ctx, p.Addr, o.path)

	f.report(r, d, !o.noGate)
	base.report(r, "before")
	during.report(r, "during")
	compareP99(r, "R17", "p99 of clients with a key", !o.noGate, base, during)
	r.promise("R17", "WebSocket without a credential", true, err == nil && took <= silentTime, "refused or closed within 5 s",
		"refused after %.1f ms, %s", millis(took), errText(err))
	counts, err := p.Counts(ctx)
	if err != nil {
		return err
	}
	r.check("the server counts them", int64(counts["messagesunauthorized"]) >= f.refused.Load(), "%.0f unauthorized", counts["messagesunauthorized"])
	return nil
}

// newKey adds a key to a file of API keys and returns it.
func (b *bench) newKey(ctx context.Context, file, name string) (string, error) {
	cmd := exec.CommandContext(ctx, b.opts.bin, "key", "new", "--file", file, "--name", name)
	cmd.Stderr = b.log
	out, err := cmd.Output()
	key := strings.TrimSpace(string(out))
	if err != nil || key == "" || strings.ContainsAny(key, " \n") {
		return "", fmt.Errorf("millrace key new: %w, %.100q", errors.Join(err, os.ErrInvalid), out)
	}
	return key, nil
}

// watchSteady has the steady clients call while do runs.
func watchSteady(ctx context.Context, p *daemon.Process, path, token string, do func() error) (*steady, error) {
	s, err := startSteadyAs(ctx, p.Addr, path, token)
	if err != nil {
		return nil, err
	}
	err = do()
	s.stop()
	return s, err
}

// compareP99 judges what trouble has done to clients that had no part in it. Nobody has promised a number: the bound is
// twice what it was before, or 10 ms more, because those who make the trouble take time on the same cores.
func compareP99(r *Report, id, name string, judged bool, before, during *steady) {
	b, d := micros(before.latency.latency().P99), micros(during.latency.latency().P99)
	most := max(2*b, b+10*time.Millisecond)
	r.promise(id, name, judged, d <= most, "not noticed: <= twice, or + 10 ms", "%.2f ms, before %.2f ms", millis(d), millis(b))
}

// tokenFlood sends requests with tokens that are all different and all bad.
type tokenFlood struct {
	path          string
	rate          int // in a second, on all connections
	sent, refused atomic.Int64
	faults        faults
}

func (f *tokenFlood) run(ctx context.Context, p *daemon.Process, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	for i := range badTokenConns {
		wg.Go(func() { f.connection(ctx, p.Addr, i) })
	}
	wg.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return ctx.Err()
}

// connection sends its share of the rate, one request after the other, on a new connection when the server ends one.
func (f *tokenFlood) connection(ctx context.Context, addr string, i int) {
	p := &httpPeer{addr: addr, path: f.path, era: client.Modern}
	defer p.disconnect()
	pace := time.Second * badTokenConns / time.Duration(f.rate)
	var q question
	due := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		if p.conn == nil || p.close {
			p.disconnect()
			if err := p.connect(ctx); err != nil {
				if ctx.Err() == nil {
					f.faults.add("%v", err)
				}
				return
			}
		}
		p.token = badToken(i, n)
		q.askEcho(client.Modern, int64(n), "in vain")
		f.sent.Add(1)
		var status *client.StatusError
		if err := p.call(&q); !errors.As(err, &status) || status.Status != 401 {
			f.faults.add("token %d of connection %d: %s, want 401", n, i, errText(err))
			return
		}
		f.refused.Add(1)
		due = due.Add(pace)
		_ = sleep(ctx, time.Until(due))
	}
}

// badToken is now and then no key even in form.
func badToken(i, n int) string {
	text := strconv.Itoa(i) + "." + strconv.Itoa(n)
	switch n % 4 {
	case 0:
		return "eyJhbGciOiJub25lIn0.e30." + text
	case 1:
		return text
	default:
		return "mrk_" + strings.Repeat("A", 43-len(text)) + strings.ReplaceAll(text, ".", "_")
	}
}

// report judges the flood. judged says whether the rate must have been held, which a busy machine cannot.
func (f *tokenFlood) report(r *Report, d time.Duration, judged bool) {
	rate := float64(f.sent.Load()) / d.Seconds()
	r.count("bad tokens sent", f.sent.Load())
	r.figure("bad tokens a second", rate, "/s")
	r.check("the flood was a flood", f.sent.Load() > 2*badTokenConns && (!judged || rate >= 0.8*float64(f.rate)),
		"%.0f/s of %d/s", rate, f.rate)
	r.promise("R17", "bad tokens", true, f.refused.Load() == f.sent.Load() && f.sent.Load() > 0, "all are answered 401",
		"%d of %d", f.refused.Load(), f.sent.Load())
	f.faults.check(r, "nothing but 401")
}

// strangerWebSocket opens a WebSocket without a credential and returns how long it took to be rid of it.
func strangerWebSocket(ctx context.Context, addr, path string) (time.Duration, error) {
	start := time.Now()
	w, err := client.DialWebSocket(ctx, addr, path)
	var status *client.StatusError
	if errors.As(err, &status) && status.Status == 401 {
		return time.Since(start), nil
	}
	if err != nil {
		return time.Since(start), err
	}
	defer w.Abort()
	if err := w.SetDeadline(start.Add(2 * silentTime)); err != nil {
		return 0, err
	}
	_, err = w.Read()
	var closed *client.CloseError
	if errors.As(err, &closed) || isEnd(err) {
		err = nil
	}
	return time.Since(start), err
}
