package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"millrace/benchmarks/client"
)

const (
	httpProbeEvery = 25 * time.Millisecond
	proberPause    = 20 * time.Millisecond
)

// checkOverloaded judges a refusal: its code is that of the era, and it says when to try again.
func checkOverloaded(era client.Era, msg []byte) error {
	var m struct {
		Error struct {
			Code int
			Data struct {
				Type         string
				RetryAfterMs int
			}
		}
	}
	if err := json.Unmarshal(msg, &m); err != nil {
		return err
	}
	want := -32000
	if era == client.Modern {
		want = -31000
	}
	if e := m.Error; e.Code != want || e.Data.Type != "overloaded" || e.Data.RetryAfterMs <= 0 {
		return fmt.Errorf("no overload error of %s: %.300s", era, msg)
	}
	return nil
}

// probe calls over HTTP, every call on a connection of its own: one that is let in waits behind the whole queue.
func (v *overloadRun) probe(ctx context.Context) {
	var wg sync.WaitGroup
	for ctx.Err() == nil {
		wg.Go(func() {
			if err := v.probeOnce(ctx); err != nil && ctx.Err() == nil {
				v.faults.add("HTTP: %v", err)
			}
		})
		_ = sleep(ctx, httpProbeEvery)
	}
	wg.Wait()
}

// probeOnce makes a call that is served, late perhaps, or refused as it must be.
func (v *overloadRun) probeOnce(ctx context.Context) error {
	p := &httpPeer{addr: v.addr, path: v.path, era: client.Modern}
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer p.disconnect()
	var q question
	askBurn(&q, p.era, 1)
	if err := p.send(&q); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Now()) })
	defer stop()
	head, err := p.conn.ReadHead()
	if err != nil {
		return err
	}
	retry := string(head.Get("retry-after"))
	body, err := p.conn.ReadBody(head)
	if err != nil {
		return err
	}
	switch head.Status {
	case 200:
		v.httpServed.Add(1)
		if err := parseMessage(&p.answer, body); err != nil {
			return err
		}
		return q.check(&p.answer)
	case 503:
		v.httpRefused.Add(1)
		if n, err := strconv.Atoi(retry); err != nil || n < 1 {
			return fmt.Errorf("503 with Retry-After %q", retry)
		}
		return checkOverloaded(p.era, body)
	}
	return fmt.Errorf("status %d: %.200s", head.Status, body)
}

// calm calls until answers come as fast as they did before, and returns how long that took.
func (v *overloadRun) calm(ctx context.Context, normal time.Duration) (time.Duration, error) {
	start := time.Now()
	p, err := dialWS(ctx, v.addr, v.path, client.Modern)
	if err != nil {
		return 0, err
	}
	defer p.Abort()
	fast := max(2*normal, normal+10*time.Millisecond)
	var q question
	for id, row := int64(1), 0; time.Since(start) < 4*calmTime; id++ {
		askBurn(&q, client.Modern, id)
		asked := time.Now()
		err := p.call(&q)
		took := time.Since(asked)
		var no *refusal
		switch {
		case err != nil && !errors.As(err, &no):
			return time.Since(start), err
		case err != nil || took > fast:
			row = 0
		case row == calmAnswers-1:
			return time.Since(start), nil
		default:
			row++
		}
		if err := sleep(ctx, proberPause); err != nil {
			return 0, err
		}
	}
	return time.Since(start), errors.New("answers are still slow")
}

// shareCores gives the server the first core and all threads of this program the others, so that who asks for too much
// does not take the time of who should serve it. With one core both share it. unpin undoes it.
func shareCores() (server []int, unpin func(), err error) {
	var all, load unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	if all.Count() < 2 {
		return nil, func() {}, nil
	}
	load = all
	first := 0
	for !all.IsSet(first) {
		first++
	}
	load.Clear(first)
	return []int{first}, func() { _ = pinThreads(&all) }, pinThreads(&load)
}

// pinThreads pins all threads of this process. New threads inherit from the one that makes them; one that was made by
// a thread not yet pinned is found in the next round.
func pinThreads(set *unix.CPUSet) error {
	var done []string
	for range 10 {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		fresh := false
		for _, e := range entries {
			if slices.Contains(done, e.Name()) {
				continue
			}
			fresh = true
			done = append(done, e.Name())
			id, err := strconv.Atoi(e.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pinning thread %d: %w", id, err)
			}
		}
		if !fresh {
			break
		}
	}
	return nil
}
