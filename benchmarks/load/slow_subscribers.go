package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"millrace/benchmarks/client"
	"millrace/benchmarks/daemon"
)

const (
	floodResources = 8 // of the program stress
	healthy        = 10
	// slowBuffer is what the kernel takes in for a client that does not read.
	slowBuffer = 4 << 10
	fastBuffer = 4 << 20 // when it reads at last: through a window of 4 KiB that would take half a minute
	// mostHeld is what a slow subscriber may hold of the heap: the server queues 1 MiB and the message being written, in
	// buffers that may be half empty.
	mostHeld = 2 << 20
	// mostPerSlow is what it may hold of the resident memory: the heap becomes twice what is in use before it is
	// collected. baseGrowth is for the flood as such.
	mostPerSlow = 4 << 20
	baseGrowth  = 64 << 20
	// plateau is how much more of the heap may be in use at the end of the flood than in the middle of it.
	plateau = 1.15
	// catchUp is how long a slow subscriber may need to read what is left.
	catchUp = 20 * time.Second
)

// A subscriber listens for changes of all resources, on a WebSocket or on an event stream.
type subscriber struct {
	ws     *wsPeer
	http   *httpPeer
	head   client.Head
	events atomic.Int64
	told   chan struct{} // one for each event, for those who wait
}

// listenID is the id of every request for a subscription here.
const listenID = 1

// listenRequest asks for the given notifications.
func listenRequest(notifications string) []byte {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"subscriptions/listen","params":{"notifications":{%s},`, listenID, notifications)
	return append(client.AppendMeta(body, client.Modern, false, 0), "}}"...)
}

// subscribe opens a subscription and reads up to its acknowledgement.
func subscribe(ctx context.Context, addr, path string, webSocket bool, uris string) (*subscriber, error) {
	notifications := `"resourceSubscriptions":[` + uris + `]`
	if !webSocket {
		return listen(ctx, addr, path, notifications)
	}
	ws, err := dialWS(ctx, addr, path, client.Modern)
	if err != nil {
		return nil, err
	}
	s := &subscriber{ws: ws, told: make(chan struct{}, 64)}
	return s, errors.Join(ws.SetDeadline(time.Now().Add(answerTime)), ws.Write(listenRequest(notifications)), s.acknowledged(ws.receive))
}

// listen opens a subscription over HTTP and reads the head of its event stream.
func listen(ctx context.Context, addr, path, notifications string) (*subscriber, error) {
	s := &subscriber{http: &httpPeer{addr: addr, path: path, era: client.Modern}, told: make(chan struct{}, 64)}
	if err := s.http.connect(ctx); err != nil {
		return nil, err
	}
	r := s.http.request("POST")
	r.RPC = "subscriptions/listen"
	if err := s.http.write(r, listenRequest(notifications)); err != nil {
		return s, err
	}
	var err error
	if s.head, err = s.http.conn.ReadHead(); err == nil && (s.head.Status != 200 || !s.head.EventStream) {
		err = fmt.Errorf("status %d, event stream %v", s.head.Status, s.head.EventStream)
	}
	return s, err
}

// readToAnswer reads an event stream to its last chunk, before which the answer must come that ends the subscription.
func (s *subscriber) readToAnswer(deadline time.Time) error {
	if err := s.http.conn.SetDeadline(deadline); err != nil {
		return err
	}
	answered := false
	a := &s.http.answer
	err := s.http.conn.ReadEvents(s.head, func(e client.Event) error {
		if err := parseMessage(a, e.Data); err != nil {
			return err
		}
		if len(a.Method) > 0 && !answered {
			return s.event(string(a.Method))
		}
		if answered || !a.HasID || a.ID != listenID || a.Failed {
			return fmt.Errorf("unexpected message %.200s", e.Data)
		}
		answered = true
		return nil
	})
	if err == nil && !answered {
		err = errors.New("the event stream ended without its answer")
	}
	return err
}

func (s *subscriber) acknowledged(receive func() ([]byte, error)) error {
	msg, err := receive()
	if err == nil && string(s.ws.answer.Method) != "notifications/subscriptions/acknowledged" {
		err = fmt.Errorf("instead of the acknowledgement: %.200s", msg)
	}
	return err
}

// read counts events until the deadline, the end of the connection, or, on a WebSocket, the answer with the given id.
func (s *subscriber) read(deadline time.Time, id int64) error {
	if s.ws != nil {
		return s.readWebSocket(deadline, id)
	}
	if err := s.http.conn.SetDeadline(deadline); err != nil {
		return err
	}
	return s.http.conn.ReadEvents(s.head, func(e client.Event) error {
		if err := parseMessage(&s.http.answer, e.Data); err != nil {
			return err
		}
		return s.event(string(s.http.answer.Method))
	})
}

func (s *subscriber) readWebSocket(deadline time.Time, id int64) error {
	if err := s.ws.SetDeadline(deadline); err != nil {
		return err
	}
	for {
		if _, err := s.ws.receive(); err != nil {
			return err
		}
		a := &s.ws.answer
		if a.HasID && a.ID == id {
			return nil
		}
		if err := s.event(string(a.Method)); err != nil {
			return err
		}
	}
}

func (s *subscriber) event(method string) error {
	switch method {
	case "notifications/resources/updated":
		s.events.Add(1)
		select {
		case s.told <- struct{}{}:
		default: // nobody waits for the events of this one
		}
	case "notifications/subscriptions/acknowledged":
	default:
		return fmt.Errorf("unexpected message %q", method)
	}
	return nil
}

func (s *subscriber) setReadBuffer(n int) error {
	if s.ws != nil {
		return s.ws.SetReadBuffer(n)
	}
	return s.http.conn.SetReadBuffer(n)
}

func (s *subscriber) close() {
	if s.ws != nil {
		s.ws.Abort()
	} else {
		s.http.disconnect()
	}
}

// slowRun is subscribers of both kinds, half of them on WebSockets.
type slowRun struct {
	healthy, slow []*subscriber
	rounds        int64
	answered, cut atomic.Int64
	faults        faults
}

func slowSubscribers(ctx context.Context, o *options, p *daemon.Process, r *Report) error {
	caller, err := dialWS(ctx, p.Addr, o.path, client.Modern)
	if err != nil {
		return err
	}
	defer caller.Abort()
	uris, err := stressURIs(caller)
	if err != nil {
		return err
	}
	s := &slowRun{}
	defer s.close()
	if err := s.subscribe(ctx, p, o.path, pick(o, 100, 20), uris); err != nil {
		return err
	}
	before, err := readIdle(ctx, p)
	if err != nil {
		return err
	}
	readers := s.readHealthy(ctx)
	defer readers()
	most, middle, err := s.flood(ctx, caller, p, pick(o, 20*time.Second, 4*time.Second))
	if err != nil {
		return err
	}
	held, err := readIdle(ctx, p)
	if err != nil {
		return err
	}
	s.catchUp(ctx)
	counts, err := p.Counts(ctx)
	if err != nil {
		return err
	}
	var events int64
	for _, h := range s.healthy {
		events += h.events.Load()
	}
	r.count("slow subscribers", int64(len(s.slow)))
	r.count("rounds of events", s.rounds)
	r.figure("events dropped", counts["messagesdropped"], "")
	want := s.rounds * floodResources * healthy
	r.promise("R5", "healthy subscribers", true, events == want && want > 0, "get every event", "%d of %d", events, want)
	r.promise("R5", "slow subscribers", true, s.faults.count() == 0 && s.answered.Load()+s.cut.Load() == int64(len(s.slow)),
		"lose notifications alone, or are cut", "%d read on and missed no answer, %d were cut", s.answered.Load(), s.cut.Load())
	// The client of an event stream has nothing to send, and so may not learn of it while the kernel waits for room.
	left := held.gauges.Connections - healthy - 1 // who asks for the flood
	r.promise("R5", "who takes nothing", !o.short, left == 0, "is cut within 15 s", "%d of %d are connected after the flood", left, len(s.slow))
	s.faults.check(r, "slow subscribers: nothing unexpected")
	r.check("the flood was too much for them", counts["messagesdropped"] > 0 || s.cut.Load() > 0, "%.0f dropped, %d cut",
		counts["messagesdropped"], s.cut.Load())
	s.judgeMemory(r, before, middle, held, most, !o.short)
	return ctx.Err()
}

// judgeMemory judges what the slow subscribers hold, and that it does not become more with time. In a short flood the
// queues are still being filled in the second half: growth is not judged.
func (s *slowRun) judgeMemory(r *Report, before, middle, held idleReading, most int64, long bool) {
	n := int64(len(s.slow))
	each := (max(middle.heap, held.heap) - before.heap) / n
	r.promise("R5", "heap of a slow subscriber", true, each <= mostHeld, fmt.Sprintf("bounded: <= %d KiB", mostHeld>>10), "%d KiB", each>>10)
	grown, bound := most-before.rss, n*mostPerSlow+baseGrowth
	r.promise("R5", "memory", true, grown <= bound, fmt.Sprintf("bounded: <= %d MiB here", bound>>20),
		"%+.1f MiB, %.1f MiB before", mebi(grown), mebi(before.rss))
	r.promise("R5", "heap at the end of the flood", long, float64(held.heap) <= plateau*float64(middle.heap),
		"no more than in the middle of it", "%.1f MiB, in the middle %.1f MiB", mebi(held.heap), mebi(middle.heap))
}

// stressURIs asks for the resources and returns their quoted names, separated by commas.
func stressURIs(caller *wsPeer) (string, error) {
	q := question{Call: client.Call{Era: client.Modern, ID: 1, Tool: "uris", Args: []byte("{}")}}
	if err := caller.call(&q); err != nil {
		return "", err
	}
	return string(caller.answer.Text), nil
}

func (s *slowRun) subscribe(ctx context.Context, p *daemon.Process, path string, n int, uris string) error {
	for i := range healthy + n {
		sub, err := subscribe(ctx, p.Addr, path, i%2 == 0, uris)
		if sub != nil && i < healthy {
			s.healthy = append(s.healthy, sub)
		} else if sub != nil {
			s.slow = append(s.slow, sub)
		}
		if err == nil && i >= healthy {
			err = sub.setReadBuffer(slowBuffer)
		}
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
	}
	return nil
}

// readHealthy reads for those who behave, until the returned function is called.
func (s *slowRun) readHealthy(ctx context.Context) (stop func()) {
	var wg sync.WaitGroup
	var stopping atomic.Bool
	for i, h := range s.healthy {
		wg.Go(func() {
			if err := h.read(time.Now().Add(time.Hour), -1); !stopping.Load() && ctx.Err() == nil {
				s.faults.add("healthy subscriber %d: %v", i, err)
			}
		})
	}
	return func() {
		stopping.Store(true)
		for _, h := range s.healthy {
			h.close()
		}
		wg.Wait()
	}
}

// flood has the server tell of changes, round by round: the next comes when all healthy subscribers have been told of
// the last. It returns the most memory that the server used, and what was in use in the middle of the time.
func (s *slowRun) flood(
	ctx context.Context, caller *wsPeer, p *daemon.Process, d time.Duration,
) (most int64, middle idleReading, err error) {
	q := question{Call: client.Call{Era: client.Modern, Tool: "flood", Args: []byte("{}")}}
	asked := false
	for start := time.Now(); time.Since(start) < d; {
		q.ID++
		if err := caller.call(&q); err != nil {
			return most, middle, err
		}
		s.rounds++
		if err := s.told(ctx); err != nil {
			return most, middle, err
		}
		if !asked && time.Since(start) > d/4 {
			asked = true
			s.askSlow()
		}
		use, err := p.Usage()
		if err != nil {
			return most, middle, err
		}
		most = max(most, use.RSS)
		if middle.heap == 0 && time.Since(start) > d/2 {
			if middle, err = readIdle(ctx, p); err != nil {
				return most, middle, err
			}
		}
	}
	return most, middle, ctx.Err()
}

// told waits until every healthy subscriber has had the events of a round.
func (s *slowRun) told(ctx context.Context) error {
	late := time.After(answerTime)
	for i, h := range s.healthy {
		for n := range floodResources {
			select {
			case <-h.told:
			case <-late:
				return fmt.Errorf("healthy subscriber %d has had %d of %d events of round %d", i, n, floodResources, s.rounds)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// slowID is the id of the call that slow subscribers make on their WebSockets; its answer must not be dropped.
const slowID = 2

// askSlow sends a call on every slow WebSocket. It does not fail on one that was cut already.
func (s *slowRun) askSlow() {
	var q question
	q.askEcho(client.Modern, slowID, "must not be lost")
	for _, sub := range s.slow {
		if sub.ws != nil {
			_ = sub.ws.send(&q.Call)
		}
	}
}

// catchUp has the slow subscribers read at last: they must find whole messages and their answer, or the end.
func (s *slowRun) catchUp(ctx context.Context) {
	var wg sync.WaitGroup
	for i, sub := range s.slow {
		wg.Go(func() {
			deadline := time.Now().Add(catchUp)
			if sub.http != nil { // nothing says which event is the last
				deadline = time.Now().Add(6 * time.Second)
			}
			err := sub.setReadBuffer(fastBuffer)
			if err == nil {
				err = sub.read(deadline, slowID)
			}
			var closed *client.CloseError
			switch {
			case err == nil, sub.http != nil && errors.Is(err, os.ErrDeadlineExceeded):
				s.answered.Add(1)
			case isEnd(err), errors.As(err, &closed):
				s.cut.Add(1)
			case ctx.Err() == nil:
				s.faults.add("slow subscriber %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func (s *slowRun) close() {
	for _, sub := range append(s.healthy, s.slow...) {
		sub.close()
	}
}
