package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"millrace/benchmarks/client"
)

const (
	limitConns  = steadyClients + 1 // one of them leaves
	limitKnocks = 50
	refuseTime  = 50 * time.Millisecond
)

// atlimit fills the server up to --max-connections and knocks.
func atlimit(ctx context.Context, o *options, b *bench, r *Report) error {
	if err := b.needOwn(); err != nil {
		return err
	}
	p, err := b.serve(ctx, 0, "--max-connections", fmt.Sprint(limitConns))
	if err != nil {
		return err
	}
	s, err := startSteady(ctx, p.Addr, o.path)
	if err != nil {
		return err
	}
	defer s.stop()
	last, err := dialWS(ctx, p.Addr, o.path, client.Modern)
	if err != nil {
		return err
	}
	defer last.Abort()
	slowest := newStopwatch()
	var bad faults
	for range limitKnocks {
		took, err := turnedAway(ctx, p.Addr)
		if err != nil {
			bad.add("%v", err)
		}
		slowest.record(took)
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	var q question
	q.askEcho(client.Modern, 1, "the last one in")
	lastErr := last.call(&q)
	counts, err := p.Counts(ctx)
	if err != nil {
		return err
	}
	last.Abort()
	back, backErr := untilServed(ctx, p.Addr, o.path)
	s.stop()

	r.count("--max-connections", limitConns)
	most := micros(slowest.latency().Max)
	bad.check(r, "one connection too many is answered 503 with Retry-After, and ended")
	r.promise("R4", "one connection too many", !o.noGate, most <= refuseTime, "503 and closed within 50 ms",
		"slowest of %d: %.2f ms", limitKnocks, millis(most))
	r.check("the server counts them", counts["connectionsturnedaway"] == limitKnocks && counts["connectionspeak"] == limitConns,
		"%.0f turned away, %.0f at most at once", counts["connectionsturnedaway"], counts["connectionspeak"])
	s.report(r, "meanwhile")
	r.check("the last connection works", lastErr == nil, "%s", errText(lastErr))
	r.promise("R4", "a place that becomes free", true, backErr == nil && back <= recoverTime, "is given to the next within 1 s",
		"%.1f ms, %s", millis(back), errText(backErr))
	return ctx.Err()
}

// turnedAway connects, sends nothing, and returns how long it took to be told 503 and the end.
func turnedAway(ctx context.Context, addr string) (time.Duration, error) {
	start := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return time.Since(start), err
	}
	defer conn.Close()
	if err := conn.SetDeadline(start.Add(answerTime)); err != nil {
		return time.Since(start), err
	}
	text, err := io.ReadAll(conn)
	took := time.Since(start)
	if err != nil {
		return took, err
	}
	head, _, err := client.ParseHead(text)
	if err == nil && (head.Status != 503 || !head.Close || string(head.Get("retry-after")) == "") {
		err = fmt.Errorf("answered %.200q", strings.TrimSpace(string(text)))
	}
	return took, err
}
