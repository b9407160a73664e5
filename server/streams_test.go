package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/pool/buffer"
	"millrace/server/mcp"
	"millrace/server/session"
	"millrace/server/transport"
)

// event is a server-sent event as a client sees it.
type event struct{ id, data, retry string }

// eventReader is an event stream that a test reads.
type eventReader struct {
	t     *testing.T
	resp  *http.Response
	in    *bufio.Reader
	leave func() // breaks the connection
}

// stream opens an event stream with GET or POST.
func (r *runningServer) stream(method, body string, fields ...string) *eventReader {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := r.open(ctx, method, body, fields...)
	if err != nil {
		cancel()
		r.t.Fatalf("%s: %v", method, err)
	}
	s := &eventReader{t: r.t, resp: resp, in: bufio.NewReader(resp.Body), leave: func() { cancel(); resp.Body.Close() }}
	r.t.Cleanup(s.leave)
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		raw, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("%s: %d %s: %s", method, resp.StatusCode, got, raw)
	}
	return s
}

// read returns the next event, also one without a message.
func (s *eventReader) read() (e event, err error) {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return event{}, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "retry":
			e.retry = value
		case "data:", "":
			if line == "\n" && e != (event{}) {
				return e, nil
			}
		}
	}
}

func (s *eventReader) next() event {
	s.t.Helper()
	e, err := s.read()
	if err != nil {
		s.t.Fatalf("event stream: %v", err)
	}
	return e
}

// prime reads the priming event and returns its id.
func (s *eventReader) prime() string {
	s.t.Helper()
	e := s.next()
	if e.id == "" || e.data != "" {
		s.t.Fatalf("got %+v, want a priming event", e)
	}
	return e.id
}

func (s *eventReader) want(data string) event {
	s.t.Helper()
	e := s.next()
	if e.data != data {
		s.t.Fatalf("got  %s\nwant %s", e.data, data)
	}
	return e
}

func (s *eventReader) wantEnd() {
	s.t.Helper()
	if e, err := s.read(); err != io.EOF {
		s.t.Fatalf("got %+v, %v, want the end of the stream", e, err)
	}
}

// only is the one session of a server.
func (r *runningServer) only() *legacySession {
	r.t.Helper()
	all := r.Sessions().List()
	if len(all) != 1 {
		r.t.Fatalf("%d sessions, want 1", len(all))
	}
	return all[0].Attachment().(*legacySession)
}

// await waits for something that another goroutine does.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// httpSession is a session without a server around it.
func httpSession(t *testing.T, g *gate, version string) *legacySession {
	t.Helper()
	l := &transport.Link{ID: 1, Protocol: transport.HTTP}
	g.Opened(l)
	s := &script{answered: make(chan struct{}, 1)}
	body := initializeAs(version, asks)
	in := &inbound{
		gate: g, conn: stateOf(l), stream: s, who: stateOf(l).who.Load(), detached: true,
		req: &transport.Request{Kind: transport.Message, Link: l, Header: &transport.Header{}, Body: []byte(body)},
	}
	in.serve()
	<-s.answered
	all := g.sessions.List()
	if len(all) != 1 {
		t.Fatalf("%d sessions: %s", len(all), s.responses)
	}
	return all[0].Attachment().(*legacySession)
}

func (s *script) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(append(append([]string{}, s.notified...), s.responses...), " ")
}

func (s *script) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// What is sent between the look into the log and the moment the new connection
// is there must arrive, an answer above all.
func TestNothingIsLostWhileResuming(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	first := &script{}
	e := newEventStream(s, first, false)
	e.send([]byte("one"), false)
	id := s.replay.Prime(e.number)
	found, r, known, err := s.lookBack(id)
	if found != e || !known || err != nil || len(r.Events) != 1 {
		t.Fatalf("lookBack = %v, %+v, %v, %v", found, r, known, err)
	}
	e.send([]byte("two"), false)
	second := &script{}
	e.resume(second, id)
	if got := second.all(); got != "one two" {
		t.Errorf("resumed with %q, want one two", got)
	}
	if !first.isEnded() {
		t.Error("the old connection goes on")
	}
	e.respond(transport.Response{Status: 200, Body: buffer.Copy([]byte("answer"))})
	if got := second.all(); got != "one two answer" {
		t.Errorf("resumed with %q, want the answer too", got)
	}
	third := &script{}
	e.resume(third, id)
	if got := third.all(); got != "one two answer" || !third.isEnded() {
		t.Errorf("resumed with %q, want everything and the end", got)
	}
	if s.reg.Busy() {
		t.Error("the session is held without a connection")
	}
}

// A GET stream that ends before its connection is attached ends it.
func TestStreamEndedBeforeItsStart(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	e := newEventStream(s, nil, true)
	if !s.open(e) {
		t.Fatal("not opened")
	}
	e.end() // as the end of the session does
	out := &script{}
	e.start(out)
	if !out.isEnded() || e.attached() || s.reg.Busy() {
		t.Error("the client waits on a stream that has ended")
	}
}

// A connection that is closed while its stream is resumed is let go: else the
// session would never expire.
func TestClosedWhileResuming(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	e := newEventStream(s, &script{}, false)
	e.send([]byte("one"), false)
	l := &transport.Link{ID: 2, Protocol: transport.HTTP}
	g.Opened(l)
	cn := stateOf(l)
	in := &inbound{gate: g, conn: cn, stream: &script{}, detached: true, req: &transport.Request{Link: l}}
	e.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !in.replayed(s, s.primeOf(e)) {
			t.Error("not resumed")
		}
	}()
	await(t, "the stream is the connection's", func() bool {
		cn.mu.Lock()
		defer cn.mu.Unlock()
		return cn.get == e
	})
	cn.mu.Lock()
	cn.closed = true
	cn.mu.Unlock()
	e.mu.Unlock()
	<-done
	if e.attached() || s.reg.Busy() {
		t.Error("a connection that is gone holds the session")
	}
}

func (s *legacySession) primeOf(e *eventStream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replay.Prime(e.number)
}

// After the answer no event stream comes into being: nobody would end it.
func TestNoStreamAfterTheAnswer(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	l := &transport.Link{ID: 2, Protocol: transport.HTTP}
	g.Opened(l)
	out := &script{}
	c := &call{gate: g, conn: stateOf(l), stream: out, session: s}
	c.respond(transport.Response{Status: 200})
	c.push([]byte("late"), true)
	c.primeEvents()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.numbered) != 0 || s.replay.Bytes() != 0 {
		t.Errorf("%d streams and %d bytes stay behind", len(s.numbered), s.replay.Bytes())
	}
}

// A question that the client will never see is not waited for.
func TestUnseenQuestion(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp})
	id := r.initializeAs(mcp.Version20251125, asks)
	rep := r.do("POST", toolCall("1", "ask"), id, "Accept: application/json")
	if rep.status != 200 || !strings.Contains(rep.body(), errNoStream.Error()) {
		t.Errorf("a client that takes no events: %d %s", rep.status, rep.body())
	}
	// A client of an older revision that goes before its first event has no id.
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20250618)
	e := newEventStream(s, nil, true)
	s.open(e)
	out := &script{}
	e.start(out)
	e.away(out)
	if s.Send([]byte("question")) || s.replay.Bytes() != 0 {
		t.Error("a question waits for a client that cannot come back")
	}
}

// CloseStream leaves the connection to a client that could not come back.
func TestCloseStreamNeedsAnID(t *testing.T) {
	for _, version := range legacyVersions {
		tl := newTools()
		tl.add("leave", 0, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return said(fmt.Sprint(req.CloseStream(5 * time.Millisecond))), nil
		})
		tl.add("say", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			_ = req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "error", Data: "x"})
			return said(fmt.Sprint(req.CloseStream(5 * time.Millisecond))), nil
		})
		r := serve(t, &Server{MCP: tl.mcp})
		id := r.initializeAs(version, asks)
		r.do("POST", `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}`, id)
		if version < mcp.Version20251125 {
			if rep := r.do("POST", toolCall("1", "leave"), id); rep.body() != textResult("1", "false") {
				t.Errorf("%s: %s", version, rep.body())
			}
			// "The server SHOULD NOT close the SSE stream before sending the JSON-RPC
			// response" (25-06-18:basic/transports).
			if rep := r.do("POST", toolCall("2", "say"), id); !strings.Contains(rep.body(), textResult("2", "false")) {
				t.Errorf("%s: %s", version, rep.body())
			}
			continue
		}
		s := r.stream("POST", toolCall("2", "say"), id)
		last := ""
		for {
			e, err := s.read()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.id != "" {
				last = e.id
			}
			if strings.Contains(e.data, `"result"`) {
				t.Errorf("%s: answered on the closed stream: %s", version, e.data)
			}
		}
		again := r.stream("GET", "", id, "Last-Event-ID: "+last)
		again.want(textResult("2", "true"))
		again.wantEnd()
	}
}

// A stream that is in use stays resumable however long it is silent.
func TestStreamsInUseStay(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	s := httpSession(t, g, mcp.Version20251125)
	read, left, call := newEventStream(s, nil, true), newEventStream(s, nil, true), newEventStream(s, &script{}, false)
	for _, e := range []*eventStream{read, left} {
		s.open(e)
		out := &script{}
		e.start(out)
		if e == left {
			e.away(out)
		}
	}
	call.send([]byte("one"), true)
	ids := map[*eventStream]string{read: s.primeOf(read), left: s.primeOf(left), call: s.primeOf(call)}
	s.expireLog(time.Now().Add(logKept + time.Second))
	for e, stays := range map[*eventStream]bool{read: true, left: false, call: true} {
		if found, _, known, err := s.lookBack(ids[e]); known != stays || err != nil || stays && found != e {
			t.Errorf("after a long silence: known = %v, %v, want %v", known, err, stays)
		}
	}
	call.respond(transport.Response{Status: 200, Body: buffer.Copy([]byte("answer"))})
	s.expireLog(time.Now().Add(logKept + time.Second))
	if _, _, known, _ := s.lookBack(ids[call]); known {
		t.Error("the answer is kept for ever")
	}
}

// talk adds a tool that logs what it is told to, until there is no more.
func (tl *tools) addTalk() (say chan string) {
	say = make(chan string)
	tl.add("talk", -1, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tl.running <- struct{}{}
		for {
			select {
			case text := <-say:
				if text == "" { // or closed
					return said("done"), nil
				}
				if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "error", Data: text}); err != nil {
					return nil, err
				}
			case <-ctx.Done():
				tl.ended <- ctx.Err()
				return nil, ctx.Err()
			}
		}
	})
	return say
}

func logged(text string) string {
	return `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"` + text + `"}}`
}

const setLevel = `{"jsonrpc":"2.0","id":0,"method":"logging/setLevel","params":{"level":"error"}}`

// A call goes on without its connection; who comes back with Last-Event-ID gets
// what was sent meanwhile, and the answer once.
func TestResumeCall(t *testing.T) {
	for _, version := range legacyVersions[:3] {
		t.Run(version, func(t *testing.T) {
			tl := newTools()
			say := tl.addTalk()
			r := serve(t, &Server{MCP: tl.mcp})
			session := r.initializeAs(version, `{}`)
			r.do("POST", setLevel, session)
			s := r.stream("POST", toolCallWhenTold(say, "one"), session)
			prime := ""
			if version == mcp.Version20251125 {
				prime = s.prime()
			}
			one := s.want(logged("one"))
			if one.id == "" || one.id == prime {
				t.Errorf("id of an event: %q", one.id)
			}
			active := r.Stats().Connections.Active
			s.leave()
			await(t, "the connection is gone", func() bool { return r.Stats().Connections.Active < active })
			say <- "two"
			second := r.stream("GET", "", session, "Last-Event-ID: "+one.id)
			second.want(logged("two"))
			say <- "three"
			three := second.want(logged("three"))
			// The client comes back before we know that it was gone.
			third := r.stream("GET", "", session, "Last-Event-ID: "+three.id)
			second.wantEnd()
			say <- "four"
			third.want(logged("four"))
			third.leave()
			say <- ""
			await(t, "the call is over", func() bool { return r.only().inFlight() == 0 })
			fourth := r.stream("GET", "", session, "Last-Event-ID: "+three.id)
			fourth.want(logged("four"))
			answer := fourth.want(textResult("1", "done"))
			fourth.wantEnd()
			r.stream("GET", "", session, "Last-Event-ID: "+answer.id).wantEnd() // nothing comes twice
			if prime != "" {
				again := r.stream("GET", "", session, "Last-Event-ID: "+prime)
				for _, text := range []string{"one", "two", "three", "four"} {
					again.want(logged(text))
				}
				again.want(textResult("1", "done"))
				again.wantEnd()
			}
			// Another session learns nothing with the id: its stream is a new one.
			other := r.initializeAs(version, `{}`)
			stranger := r.stream("GET", "", other, "Last-Event-ID: "+one.id)
			if version == mcp.Version20251125 {
				stranger.prime()
			}
			tl.add("more", 0, nothing)
			stranger.want(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			if logs := &r.running.Load().gate.logs; logs.Bytes() == 0 {
				t.Error("nothing is kept")
			} else {
				r.do("DELETE", "", session)
				r.do("DELETE", "", other)
				if n := logs.Bytes(); n != 0 {
					t.Errorf("%d bytes of sessions that have ended are kept", n)
				}
			}
			stranger.wantEnd()
		})
	}
}

// toolCallWhenTold is a call of talk that is told its first word.
func toolCallWhenTold(say chan string, word string) string {
	go func() { say <- word }()
	return toolCall("1", "talk")
}

// Ids that nobody gave out make a new stream; ids whose successors are gone are
// refused, because the client may wait for what was there.
func TestResumeUnknown(t *testing.T) {
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	id := r.initializeAs(mcp.Version20251125, `{}`)
	for _, last := range []string{"x", "0-0", "99999999999-1", strings.Repeat("z", 5000)} {
		r.stream("GET", "", id, "Last-Event-ID: "+last).prime()
	}
	s := r.stream("GET", "", id)
	prime := s.prime()
	open := r.only().gets()
	for range session.MaxReplayEvents + 1 {
		open[len(open)-1].send([]byte(`{"n":1}`), true)
	}
	if rep := r.do("GET", "", id, "Last-Event-ID: "+prime); rep.status != 400 || !strings.Contains(rep.body(), "cannot resume") {
		t.Errorf("an event that was pushed out: %d %s", rep.status, rep.body())
	}
	s.next() // who was there all the time has lost nothing
}

// gets are the GET streams of a session, oldest first.
func (s *legacySession) gets() []*eventStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.standby)
}

// Of several GET streams each message is sent on one, the newest that is read;
// one that nobody reads keeps it for its client.
func TestGetStreams(t *testing.T) {
	const changed = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	tl := newTools()
	r := serve(t, &Server{MCP: tl.mcp})
	session := r.initializeAs(mcp.Version20251125, `{}`)
	one, two := r.stream("GET", "", session), r.stream("GET", "", session)
	one.prime()
	id := two.prime()
	streams := r.only().gets()
	tl.add("a", 0, nothing)
	two.want(changed)
	two.leave()
	await(t, "the newest is gone", func() bool { return !streams[1].attached() })
	tl.mcp.RemoveTools("a")
	one.want(changed)
	back := r.stream("GET", "", session, "Last-Event-ID: "+id)
	back.want(changed) // what was sent on it, and not what was sent on the other
	tl.add("a", 0, nothing)
	last := back.want(changed)
	one.leave()
	back.leave()
	await(t, "nobody reads", func() bool { return !streams[0].attached() && !streams[1].attached() })
	if r.only().reg.Busy() {
		t.Error("a session without a connection is held")
	}
	tl.mcp.RemoveTools("a")
	await(t, "it is kept", func() bool {
		s := r.only()
		s.mu.Lock()
		defer s.mu.Unlock()
		res, err := s.replay.Resume(last.id)
		return err == nil && len(res.Events) == 1
	})
	again := r.stream("GET", "", session, "Last-Event-ID: "+last.id)
	again.want(changed)
	r.do("DELETE", "", session)
	again.wantEnd()
}

// A call that is silent for long becomes a stream that its client can come back
// to, and nothing but a comment for older clients.
func TestSilentCall(t *testing.T) {
	tl := newTools()
	say := tl.addTalk()
	r := serve(t, &Server{MCP: tl.mcp, silentFor: 30 * time.Millisecond})
	session := r.initializeAs(mcp.Version20251125, `{}`)
	s := r.stream("POST", toolCall("1", "talk"), session)
	id := s.prime()
	s.leave()
	s = r.stream("GET", "", session, "Last-Event-ID: "+id)
	say <- "unheard" // the client has not set a level
	say <- ""
	s.want(textResult("1", "done"))
	s.wantEnd()
	for _, version := range legacyVersions[1:] {
		held := newTools()
		r := serve(t, &Server{MCP: held.mcp, silentFor: 30 * time.Millisecond})
		session := r.initializeAs(version, `{}`)
		s := r.stream("POST", toolCall("1", "hold"), session)
		close(held.gate)
		s.want(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
		s.wantEnd()
	}
}

// DELETE ends everything of its session.
func TestDeleteEndsStreams(t *testing.T) {
	tl := newTools()
	say := tl.addTalk()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp})
	session := r.initializeAs(mcp.Version20251125, asks)
	r.do("POST", setLevel, session)
	get := r.stream("GET", "", session)
	get.prime()
	read := r.stream("POST", toolCallWhenTold(say, "one"), session)
	read.prime()
	one := read.want(logged("one"))
	left := r.stream("POST", toolCall("1", "ask"), session)
	left.prime()
	left.next()
	left.leave()
	r.do("DELETE", "", session)
	get.wantEnd()
	read.wantEnd()
	<-tl.ended
	<-tl.ended
	if rep := r.do("GET", "", session, "Last-Event-ID: "+one.id); rep.status != 404 {
		t.Errorf("resuming in a session that has ended: %d", rep.status)
	}
	if n := r.running.Load().gate.logs.Bytes(); n != 0 {
		t.Errorf("%d bytes are kept", n)
	}
	await(t, "nothing runs", func() bool { return r.Stats().Pool.Blocking.Busy == 0 })
}

// GET streams end with the drain, and the answers of calls still arrive.
func TestStreamsDrain(t *testing.T) {
	tl := newTools()
	say := tl.addTalk()
	r := serve(t, &Server{MCP: tl.mcp})
	session := r.initializeAs(mcp.Version20251125, `{}`)
	r.do("POST", setLevel, session)
	get := r.stream("GET", "", session)
	get.prime()
	call := r.stream("POST", toolCallWhenTold(say, "one"), session)
	call.prime()
	call.want(logged("one"))
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	get.wantEnd()
	say <- "two"
	call.want(logged("two"))
	say <- ""
	call.want(textResult("1", "done"))
	call.wantEnd()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestUnrulyClients: clients ask, answer, break off, come back, cancel and delete
// as they like. When they are gone nothing is left of them.
func TestUnrulyClients(t *testing.T) {
	const clients, rounds = 16, 40
	tl := newTools()
	tl.addAsk(0)
	say := tl.addTalk()
	close(say) // talk ends at once
	r := serve(t, &Server{MCP: tl.mcp, Workers: 8, SessionIdle: time.Hour})
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c := unruly{r: r, dice: rand.New(rand.NewPCG(1, uint64(n))), ctx: t.Context()}
			for range rounds {
				c.turn()
			}
		})
	}
	all.Wait()
	g := r.running.Load().gate
	r.http.CloseIdleConnections()
	await(t, "the connections are gone", func() bool { return r.Stats().Connections.Active == 0 })
	for _, reg := range g.sessions.List() {
		s := reg.Attachment().(*legacySession)
		for _, e := range s.gets() {
			if e.attached() {
				t.Error("a GET stream is read by nobody")
			}
		}
		calls := s.inFlight()
		s.mu.Lock()
		for _, e := range s.numbered {
			if e.attached() {
				t.Error("a stream is read by nobody")
			}
		}
		s.mu.Unlock()
		if calls == 0 && reg.Busy() {
			t.Error("a session without calls or connections is held")
		}
		reg.End(time.Now(), session.Revoked)
		await(t, "its calls are over", func() bool { return s.inFlight() == 0 && len(s.numbered) == 0 && len(s.asked.open) == 0 })
	}
	await(t, "nothing runs", func() bool {
		p := r.Stats().Pool
		return p.Suspended == 0 && p.Blocking.Busy == 0 && p.Blocking.Depth == 0
	})
	g.calls.mu.Lock()
	defer g.calls.mu.Unlock()
	if n := g.logs.Bytes(); n != 0 || g.calls.count != 0 {
		t.Errorf("%d bytes and %d calls are left", n, g.calls.count)
	}
}

// unruly is a client of TestUnrulyClients.
type unruly struct {
	r       *runningServer
	ctx     context.Context
	dice    *rand.Rand
	session string
	ids     []string // of events
	asked   []string // questions
}

func (c *unruly) turn() {
	if c.session == "" {
		if rep, err := c.r.try(c.ctx, "POST", initializeAs(mcp.Version20251125, asks)); err == nil {
			c.session = "Mcp-Session-Id: " + rep.header.Get("Mcp-Session-Id")
		}
		c.ids, c.asked = nil, nil
	}
	switch c.dice.IntN(8) {
	case 0, 1:
		c.read("POST", toolCall("1", "ask"))
	case 2:
		c.read("POST", toolCall("1", "talk"))
	case 3:
		c.read("GET", "")
	case 4:
		if n := len(c.ids); n > 0 {
			c.read("GET", "", "Last-Event-ID: "+c.ids[c.dice.IntN(n)])
		}
	case 5:
		if n := len(c.asked); n > 0 {
			_, _ = c.r.try(c.ctx, "POST", accept(c.asked[c.dice.IntN(n)], "Ada"), c.session)
		}
	case 6:
		_, _ = c.r.try(c.ctx, "POST", cancelMessage("1"), c.session)
	case 7:
		if c.dice.IntN(4) == 0 {
			_, _ = c.r.try(c.ctx, "DELETE", "", c.session)
			c.session = ""
		}
	}
}

// read reads a stream for some time, and breaks off.
func (c *unruly) read(method, body string, fields ...string) {
	ctx, cancel := context.WithTimeout(c.ctx, time.Duration(c.dice.IntN(8000))*time.Microsecond)
	defer cancel()
	resp, err := c.r.open(ctx, method, body, append(fields, c.session)...)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	s := &eventReader{in: bufio.NewReader(resp.Body)}
	for {
		e, err := s.read()
		if err != nil {
			return
		}
		if e.id != "" {
			c.ids = append(c.ids, e.id)
		}
		if _, rest, ok := strings.Cut(e.data, `{"jsonrpc":"2.0","id":`); ok && strings.Contains(rest, `"elicitation/create"`) {
			c.asked = append(c.asked, rest[:strings.Index(rest, ",")])
		}
	}
}

// A call that its client has come back to is answered while the server drains.
func TestResumedCallDrains(t *testing.T) {
	tl := newTools()
	say := tl.addTalk()
	r := serve(t, &Server{MCP: tl.mcp})
	session := r.initializeAs(mcp.Version20251125, `{}`)
	r.do("POST", setLevel, session)
	s := r.stream("POST", toolCallWhenTold(say, "one"), session)
	id := s.prime()
	s.want(logged("one"))
	s.leave()
	s = r.stream("GET", "", session, "Last-Event-ID: "+id)
	s.want(logged("one"))
	get := r.stream("GET", "", session)
	get.prime()
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	get.wantEnd()
	say <- ""
	s.want(textResult("1", "done"))
	s.wantEnd()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// What waits for a person, or for news, does not count as slow.
func TestLatencyOfWhatWaits(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(listenMessage("1", lists))
	want(t, p, acknowledged("1", lists))
	p.send(toolCall("2", "ask"))
	id := questionID(t, mustRead(t, p))
	time.Sleep(500 * time.Millisecond)
	p.send(accept(id, "Ada"))
	want(t, p, textResult("2", "accept Ada"))
	p.send(cancelMessage("1"))
	p.send(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	want(t, p, `{"jsonrpc":"2.0","id":3,"result":{}}`)
	st := r.Stats()
	if st.Messages.Processed != 4 || st.Latency.Count != 3 || st.Latency.Max > 400*time.Millisecond {
		t.Errorf("%d processed, latency %+v", st.Messages.Processed, st.Latency)
	}
}
