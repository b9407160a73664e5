package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"millrace/pool"
	"millrace/server/auth"
	"millrace/server/mcp"
	"millrace/server/transport"
)

// asks are capabilities of a client that can be asked everything.
const asks = `{"elicitation":{},"sampling":{},"roots":{}}`

// addAsk adds the tool "ask", which asks the client's user for a name and
// returns what was answered, and "sample", which asks the client's model.
func (tl *tools) addAsk(timeout time.Duration) {
	tl.add("ask", timeout, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		res, err := req.Elicit(ctx, "name", &mcp.ElicitParams{
			Message: "Who?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}}}`),
		})
		if err != nil {
			tl.ended <- err
			return nil, err
		}
		return said(fmt.Sprint(res.Action, " ", res.Content["name"])), nil
	})
	tl.add("sample", timeout, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		res, err := req.Sample(ctx, "text", &mcp.CreateMessageParams{
			MaxTokens: 9, Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: "Hi"}}},
		})
		if err != nil {
			tl.ended <- err
			return nil, err
		}
		return said(strconv.Itoa(len(res.Content.(*mcp.TextContent).Text))), nil
	})
}

func said(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// initializeAs is initializeMessage of a client with capabilities.
func initializeAs(version, capabilities string) string {
	return strings.Replace(initializeMessage(version), `"capabilities":{}`, `"capabilities":`+capabilities, 1)
}

// open opens a session over HTTP for a client that can be asked everything.
func (r *runningServer) initializeAs(version, capabilities string) string {
	r.t.Helper()
	id := r.do("POST", initializeAs(version, capabilities)).header.Get("Mcp-Session-Id")
	r.do("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id: "+id)
	return "Mcp-Session-Id: " + id
}

// handshakeAs is handshake of a client with capabilities.
func handshakeAs(t *testing.T, p peer, version, capabilities string) {
	t.Helper()
	p.send(initializeAs(version, capabilities))
	if got := mustRead(t, p); !strings.Contains(got, `"protocolVersion":"`+version+`"`) {
		t.Fatalf("initialize: %s", got)
	}
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

func toolCall(id, tool string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `"}}`
}

func cancelMessage(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `}}`
}

// questionID is the id of a request of the server.
func questionID(t *testing.T, msg string) string {
	t.Helper()
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal([]byte(msg), &m); err != nil || m.ID == nil || m.Method == "" {
		t.Fatalf("not a request of the server: %s", msg)
	}
	return string(m.ID)
}

func accept(id, name string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"result":{"action":"accept","content":{"name":"` + name + `"}}}`
}

func textResult(id, text string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"result":{"content":[{"type":"text","text":"` + text + `"}]}}`
}

// withdrawn is what the client is told of a question that needs no answer.
func withdrawn(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `,"reason":"the request it belongs to has ended"}}`
}

// A client that does not answer is not waited for longer than InputTimeout, which
// is longer than the time limit of the tool: that one does not run meanwhile.
func TestInputTimeout(t *testing.T) {
	tl := newTools()
	tl.mcp = mcp.NewServer(&mcp.Implementation{Name: "test"}, &mcp.ServerOptions{Logger: quiet, InputTimeout: 600 * time.Millisecond})
	tl.addAsk(300 * time.Millisecond)
	p := serve(t, &Server{MCP: tl.mcp}).dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	begun := time.Now()
	p.send(toolCall("1", "ask"))
	id := questionID(t, mustRead(t, p))
	want(t, p, withdrawn(id))
	if got := mustRead(t, p); !strings.Contains(got, "no answer within 600ms") {
		t.Errorf("answer: %s", got)
	}
	if took := time.Since(begun); took < 600*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
}

// Every way of asking and answering: on a WebSocket, on stdio, and over HTTP on
// the stream of the call with the answer in a POST of its own.
func TestAsk(t *testing.T) {
	for _, version := range legacyVersions[:2] { // elicitation is younger than the others
		tl := newTools()
		tl.addAsk(300 * time.Millisecond)
		r := serve(t, &Server{MCP: tl.mcp})
		piped := newTools()
		piped.addAsk(300 * time.Millisecond)
		for _, p := range []peer{r.dial(), serveStdio(t, &Server{MCP: piped.mcp})} {
			handshakeAs(t, p, version, asks)
			p.send(toolCall("1", "ask"))
			id := questionID(t, mustRead(t, p))
			p.send(`{"jsonrpc":"2.0","id":` + id + `00,"result":{}}`) // nobody has asked that
			p.send(accept(id, "Ada"))
			p.send(accept(id, "Eve"))
			want(t, p, textResult("1", "accept Ada"))
			p.send(toolCall("1", "ask"))
			second := questionID(t, mustRead(t, p))
			if second == id {
				t.Errorf("the id %s is used twice", id)
			}
			p.send(`{"jsonrpc":"2.0","id":` + second + `,"error":{"code":-1,"message":"user is out"}}`)
			if got := mustRead(t, p); !strings.Contains(got, "the client answered with error -1: user is out") {
				t.Errorf("error of the client: %s", got)
			}
		}
		session := r.initializeAs(version, asks)
		s := r.stream("POST", toolCall("1", "ask"), session)
		if version == mcp.Version20251125 {
			s.prime()
		}
		id := questionID(t, s.next().data)
		time.Sleep(400 * time.Millisecond) // longer than the tool may take
		if rep := r.do("POST", accept(id, "Ada"), session); rep.status != 202 || rep.body() != "" {
			t.Errorf("%s: answer: %d %s", version, rep.status, rep.body())
		}
		s.want(textResult("1", "accept Ada"))
		s.wantEnd()
	}
}

// Who has not declared that it can be asked is not asked.
func TestNeverAskedUndeclared(t *testing.T) {
	for _, version := range legacyVersions {
		for _, tool := range []string{"ask", "sample"} {
			for _, capabilities := range []string{`{}`, `{"roots":{}}`, `{"sampling":{}}`, `{"elicitation":{}}`} {
				if capabilities == `{"sampling":{}}` && tool == "sample" || capabilities == `{"elicitation":{}}` && tool == "ask" {
					continue
				}
				tl := newTools()
				tl.addAsk(0)
				r := serve(t, &Server{MCP: tl.mcp})
				p := r.dial()
				handshakeAs(t, p, version, capabilities)
				p.send(toolCall("1", tool))
				if got := mustRead(t, p); !strings.Contains(got, "has not declared the capability") {
					t.Errorf("%s, %s, %s: %s", version, tool, capabilities, got)
				}
				rep := r.do("POST", toolCall("1", tool), r.initializeAs(version, capabilities))
				if len(rep.messages) != 1 || !strings.Contains(rep.body(), "has not declared the capability") {
					t.Errorf("%s, %s, %s over HTTP: %s", version, tool, capabilities, rep.body())
				}
			}
		}
	}
	// In the stateless era capabilities count for their request alone.
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	able := strings.Replace(modernCall("1", "ask"), `clientCapabilities":{}`, `clientCapabilities":{"elicitation":{}}`, 1)
	for range 2 {
		p.send(able)
		if got := mustRead(t, p); !strings.Contains(got, `"resultType":"input_required"`) {
			t.Errorf("able to be asked: %s", got)
		}
		p.send(modernCall("1", "ask"))
		if got := mustRead(t, p); !strings.Contains(got, `"code":-32021`) {
			t.Errorf("not able: %s", got)
		}
	}
	rep := r.do("POST", able, modernFields("tools/call", "ask")...)
	if rep.status != 200 || !strings.Contains(rep.body(), `"resultType":"input_required"`) {
		t.Errorf("able, HTTP: %d %s", rep.status, rep.body())
	}
	rep = r.do("POST", modernCall("1", "ask"), modernFields("tools/call", "ask")...)
	if rep.status != 400 || !strings.Contains(rep.body(), `"code":-32021`) {
		t.Errorf("not able, HTTP: %d %s", rep.status, rep.body())
	}
}

// A call that ends while its client is asked takes the question back, before its
// stream ends; then nothing more is sent for it.
func TestQuestionWithdrawn(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	tl.add("ping", 50*time.Millisecond, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		err := req.Session.Ping(context.Background(), nil)
		tl.ended <- err
		return nil, err
	})
	r := serve(t, &Server{MCP: tl.mcp})
	for range 20 { // it was a race
		session := r.initializeAs(mcp.Version20251125, asks)
		s := r.stream("POST", toolCall("1", "ask"), session)
		s.prime()
		id := questionID(t, s.next().data)
		if rep := r.do("POST", cancelMessage("1"), session); rep.status != 202 {
			t.Errorf("cancelled: %d", rep.status)
		}
		s.want(withdrawn(id))
		s.wantEnd()
		<-tl.ended
		if rep := r.do("POST", accept(id, "Ada"), session); rep.status != 202 {
			t.Errorf("late answer: %d", rep.status)
		}
		r.do("DELETE", "", session)
	}
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(toolCall("1", "ask"))
	id := questionID(t, mustRead(t, p))
	p.send(cancelMessage("1"))
	want(t, p, withdrawn(id))
	<-tl.ended
	p.send(accept(id, "Ada"))
	p.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, p, `{"jsonrpc":"2.0","id":2,"result":{}}`)
}

// A handler cannot ask for a call that is over.
func TestNothingIsAskedForACancelledCall(t *testing.T) {
	tl := newTools()
	asked := make(chan error, 1)
	tl.add("late", 0, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tl.running <- struct{}{}
		<-ctx.Done()
		_, err := req.Elicit(context.Background(), "x", &mcp.ElicitParams{Message: "?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`)})
		_ = req.Session.Log(context.Background(), &mcp.LoggingMessageParams{Level: "error", Data: "x"})
		_ = req.Session.NotifyProgress(context.Background(), &mcp.ProgressNotificationParams{Progress: 1})
		asked <- err
		return nil, err
	})
	r := serve(t, &Server{MCP: tl.mcp})
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(`{"jsonrpc":"2.0","id":0,"method":"logging/setLevel","params":{"level":"debug"}}`)
	mustRead(t, p)
	p.send(strings.Replace(toolCall("1", "late"), `"name"`, `"_meta":{"progressToken":1},"name"`, 1))
	<-tl.running
	p.send(cancelMessage("1"))
	if err := <-asked; err == nil {
		t.Error("asked for a cancelled call")
	}
	p.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, p, `{"jsonrpc":"2.0","id":2,"result":{}}`)

	session := r.initializeAs(mcp.Version20251125, asks)
	r.do("POST", `{"jsonrpc":"2.0","id":0,"method":"logging/setLevel","params":{"level":"debug"}}`, session)
	got := make(chan reply, 1)
	go func() {
		rep, _ := r.try(t.Context(), "POST", strings.Replace(toolCall("1", "late"), `"name"`, `"_meta":{"progressToken":1},"name"`, 1), session)
		got <- rep
	}()
	<-tl.running
	r.do("POST", cancelMessage("1"), session)
	if rep := <-got; rep.body() != "" {
		t.Errorf("sent for a cancelled call: %s", rep.body())
	}
	<-asked
}

// What frees workers is read also when there are none: a long answer of the
// client's model, and the cancellation behind it.
func TestLongAnswerToAFullPool(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp, Workers: 1, Queue: 1})
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(toolCall("1", "sample"))
	id := questionID(t, mustRead(t, p))
	for range 2 { // one runs, one is queued
		go func() {
			_, _ = r.try(t.Context(), "POST", modernCall("1", "hold"), modernFields("tools/call", "hold")...)
		}()
	}
	<-tl.running
	await(t, "the queue is full", func() bool { return r.Stats().Pool.Blocking.Depth == 1 })
	text := strings.Repeat("x", largeBody)
	p.send(`{"jsonrpc":"2.0","id":` + id + `,"result":{"role":"assistant","model":"m","content":{"type":"text","text":"` + text + `"}}}`)
	want(t, p, textResult("1", strconv.Itoa(len(text))))
	close(tl.gate)
}

// TestManyQuestions: calls that wait for a person keep nothing else from being
// served, up to a bound of their own.
func TestManyQuestions(t *testing.T) {
	t.Run("websocket", func(t *testing.T) {
		tl := newTools()
		tl.addAsk(500 * time.Millisecond)
		r := serve(t, &Server{MCP: tl.mcp, Workers: 1})
		p := r.dial()
		handshakeAs(t, p, mcp.Version20251125, asks)
		ids := make([]string, 0, maxWaiting)
		ask := func(n int) {
			for len(ids) < n {
				p.send(toolCall(strconv.Itoa(1000+len(ids)), "ask"))
				ids = append(ids, questionID(t, mustRead(t, p)))
			}
		}
		others := func() {
			t.Helper()
			p.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			want(t, p, `{"jsonrpc":"2.0","id":1,"result":{}}`)
			p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`)
			want(t, p, textResult("2", "x"))
			p.send(toolCall("3", "wait"))
			<-tl.running
			p.send(cancelMessage("3"))
			<-tl.ended
			p.send(toolCall("1000", "now")) // still in flight
			if got := mustRead(t, p); !strings.Contains(got, errDuplicate.Error()) {
				t.Errorf("second request with an id in flight: %s", got)
			}
		}
		ask(64)
		others()
		ask(maxWaiting)
		p.send(toolCall(`"more"`, "ask"))
		if got := mustRead(t, p); !strings.Contains(got, errManyWait.Error()) {
			t.Errorf("one question too many: %s", got)
		}
		<-tl.ended
		others()
		p.send(cancelMessage("1000"))
		want(t, p, withdrawn(ids[0]))
		if err := <-tl.ended; err == nil {
			t.Error("a cancelled call was answered")
		}
		for i, id := range ids[1:] {
			p.send(accept(id, "Ada"))
			want(t, p, textResult(strconv.Itoa(1001+i), "accept Ada"))
		}
		await(t, "nothing waits", func() bool { return r.Stats().Pool.Suspended == 0 })
	})
	t.Run("http", func(t *testing.T) {
		tl := newTools()
		tl.addAsk(500 * time.Millisecond)
		r := serve(t, &Server{MCP: tl.mcp, Workers: 1})
		session := r.initializeAs(mcp.Version20251125, asks)
		r.http.Timeout = time.Minute
		ids := make([]string, maxWaiting)
		streams := make([]*eventReader, maxWaiting)
		for i := range streams {
			streams[i] = r.stream("POST", toolCall("7", "ask"), session) // over HTTP ids may repeat
			streams[i].prime()
			ids[i] = questionID(t, streams[i].next().data)
			if i == 63 || i == maxWaiting-1 {
				if rep := r.do("POST", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`, session); rep.body() != textResult("2", "x") {
					t.Fatalf("call beside %d that wait: %s", i+1, rep.body())
				}
			}
		}
		if rep := r.do("POST", toolCall("8", "ask"), session); !strings.Contains(rep.body(), errManyWait.Error()) {
			t.Errorf("one question too many: %s", rep.body())
		}
		for i := len(ids) - 1; i >= 0; i-- { // each on the stream of its own call, in whatever order
			if rep := r.do("POST", accept(ids[i], strconv.Itoa(i)), session); rep.status != 202 {
				t.Fatalf("answer: %d", rep.status)
			}
			streams[i].want(textResult("7", "accept "+strconv.Itoa(i)))
			streams[i].wantEnd()
		}
		s := r.only()
		await(t, "the calls are over", func() bool { return s.inFlight() == 0 })
		if n := len(s.asked.open); n != 0 {
			t.Errorf("%d questions stay", n)
		}
	})
}

// The bound of all clients together.
func TestQuestionsOfAll(t *testing.T) {
	const each = 250
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp, Workers: 2})
	var peers []*wsPeer
	for range pool.DefaultSuspended / each {
		p := r.dial()
		peers = append(peers, p)
		handshakeAs(t, p, mcp.Version20251125, asks)
		for i := range each {
			p.send(toolCall(strconv.Itoa(i), "ask"))
			questionID(t, mustRead(t, p))
		}
	}
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(toolCall("1", "ask"))
	if got := mustRead(t, p); !strings.Contains(got, "(of all clients together)") {
		t.Errorf("over the bound: %s", got)
	}
	for _, p := range peers {
		p.close() // nobody is left who could answer
	}
	await(t, "nothing waits", func() bool { return r.Stats().Pool.Suspended == 0 && r.Stats().Sessions.Open == 1 })
	p.send(toolCall("1", "ask"))
	p.send(accept(questionID(t, mustRead(t, p)), "Ada"))
	want(t, p, textResult("1", "accept Ada"))
}

// The end of a session, and of the server, ends what waits.
func TestEndWhileWaiting(t *testing.T) {
	tl := newTools()
	tl.addAsk(time.Minute)
	r := serve(t, &Server{MCP: tl.mcp, DrainTimeout: 300 * time.Millisecond})
	session := r.initializeAs(mcp.Version20251125, asks)
	s := r.stream("POST", toolCall("1", "ask"), session)
	s.prime()
	s.next()
	r.do("DELETE", "", session)
	// The handler may be quick enough to say that it was left.
	if e, err := s.read(); err == nil {
		if !strings.Contains(e.data, errAskedOut.Error()) {
			t.Errorf("got %+v, want the end of the stream", e)
		}
		s.wantEnd()
	}
	if err := <-tl.ended; !strings.Contains(err.Error(), errAskedOut.Error()) {
		t.Errorf("handler: %v", err)
	}
	await(t, "nothing waits", func() bool { return r.Stats().Pool.Suspended == 0 })

	session = r.initializeAs(mcp.Version20251125, asks)
	s = r.stream("POST", toolCall("1", "ask"), session)
	s.prime()
	id := questionID(t, s.next().data)
	p := r.dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(toolCall("1", "ask"))
	other := questionID(t, mustRead(t, p))
	done := make(chan error, 1)
	go func() { done <- r.stop() }()
	s.want(withdrawn(id))
	if e := s.next(); !strings.Contains(e.data, "server is shutting down") {
		t.Errorf("call over HTTP: %+v", e)
	}
	want(t, p, withdrawn(other))
	if got := mustRead(t, p); !strings.Contains(got, "server is shutting down") {
		t.Errorf("call on a WebSocket: %s", got)
	}
	if err := <-done; err == nil {
		t.Error("Run does not tell that calls were cut")
	}
	for range 2 {
		<-tl.ended
	}
}

// The answers of one session do nothing in another, though the ids are the same.
func TestAnswersOfOthers(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp, Auth: fakeAuth{make(chan auth.Credentials, 100)}, Policy: auth.AllowAll()})
	alice, eve := "Authorization: Bearer ann", "Authorization: Bearer bob"
	open := func(who string) string {
		return "Mcp-Session-Id: " + r.do("POST", initializeAs(mcp.Version20251125, asks), who).header.Get("Mcp-Session-Id")
	}
	a, a2, b := open(alice), open(alice), open(eve)
	s := r.stream("POST", toolCall("1", "ask"), a, alice)
	s.prime()
	id := questionID(t, s.next().data)
	for _, fields := range [][]string{{a2, alice}, {b, eve}} {
		if rep := r.do("POST", accept(id, "Eve"), fields...); rep.status != 202 {
			t.Errorf("answer of another session: %d", rep.status)
		}
	}
	if rep := r.do("POST", accept(id, "Eve"), a, eve); rep.status != 404 {
		t.Errorf("answer of another principal: %d", rep.status)
	}
	p := r.dial(alice)
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(accept(id, "Eve"))
	p.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	want(t, p, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	if rep := r.do("POST", accept(id, "Ada"), a, alice); rep.status != 202 {
		t.Errorf("answer: %d", rep.status)
	}
	s.want(textResult("1", "accept Ada"))
	for _, method := range []string{"GET", "DELETE"} {
		if rep := r.do(method, "", a, eve); rep.status != 404 {
			t.Errorf("%s of another principal: %d", method, rep.status)
		}
	}
	if rep := r.do("POST", cancelMessage("1"), a, eve); rep.status != 404 {
		t.Errorf("cancellation of another principal: %d", rep.status)
	}
}

// A client of stdio that has closed our input will not answer: who waits for it is
// told at once, but not before the last messages are read.
func TestEndOfInputWhileWaiting(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	p := serveStdio(t, &Server{MCP: tl.mcp})
	handshakeAs(t, p, mcp.Version20251125, asks)
	p.send(toolCall("1", "ask"))
	mustRead(t, p)
	p.send(toolCall("2", "sample"))
	id := questionID(t, mustRead(t, p))
	begun := time.Now()
	text := strings.Repeat("x", largeBody)
	p.send(`{"jsonrpc":"2.0","id":` + id + `,"result":{"role":"assistant","model":"m","content":{"type":"text","text":"` + text + `"}}}`)
	p.in.Close()
	both := mustRead(t, p) + mustRead(t, p)
	if !strings.Contains(both, textResult("2", strconv.Itoa(len(text)))) || !strings.Contains(both, errAskedOut.Error()) {
		t.Errorf("answers: %s", both)
	}
	p.close()
	if took := time.Since(begun); p.err != nil || took > stdioGrace/2 {
		t.Errorf("ended after %v with %v", took, p.err)
	}
}

// HTTP+SSE is a connection that is shared, with answers by POST.
func TestAskOverLegacySSE(t *testing.T) {
	tl := newTools()
	tl.addAsk(0)
	r := serve(t, &Server{MCP: tl.mcp, LegacySSE: true})
	base := strings.TrimSuffix(r.Endpoints()[0], "/mcp")
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	s := &eventReader{t: t, in: bufio.NewReader(resp.Body)}
	endpoint := base + s.next().data
	post := func(msg string) {
		t.Helper()
		resp, err := r.http.Post(endpoint, "application/json", strings.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 202 {
			t.Errorf("%s: %d", msg, resp.StatusCode)
		}
	}
	post(initializeAs(mcp.Version20250618, asks))
	s.next()
	for range 3 {
		post(toolCall("1", "ask"))
		id := questionID(t, s.next().data)
		post(accept(id, "Ada"))
		s.want(textResult("1", "accept Ada"))
		post(toolCall("2", "ask"))
		id = questionID(t, s.next().data)
		post(cancelMessage("2"))
		s.want(withdrawn(id))
		<-tl.ended
	}
}

// The bound of waiting calls is exact, whoever comes at the same time.
func TestWaitingBound(t *testing.T) {
	g := newGate(t, &Server{MCP: newTools().mcp})
	cn := stateOf(g.link(nil))
	for range 2 * maxWaiting {
		c := &call{gate: g, conn: cn}
		c.state.Store(callRunning)
		cn.calls = append(cn.calls, c)
	}
	var all sync.WaitGroup
	var waiting atomic.Int64
	for _, c := range cn.calls {
		all.Go(func() {
			if c.stopClock() {
				waiting.Add(1)
			}
		})
	}
	all.Wait()
	if n := waiting.Load(); n != maxWaiting {
		t.Errorf("%d calls wait, want %d", n, maxWaiting)
	}
}

// The clock of a call stands still once for all that wait at the same time.
func TestClockStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &transport.Link{Protocol: transport.WebSocket}
		c := &call{conn: &connection{link: l}, started: time.Now(), timeout: time.Second}
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				c.stopClock()
				time.Sleep(time.Hour)
				if c.late(time.Now()) {
					t.Error("late while somebody waits")
				}
				c.startClock()
			})
		}
		all.Wait()
		if waited := time.Hour + 9*time.Millisecond; time.Duration(c.paused.Load()) != waited {
			t.Errorf("the clock stood still for %v, want %v", time.Duration(c.paused.Load()), waited)
		}
		time.Sleep(999 * time.Millisecond)
		if c.late(time.Now()) {
			t.Error("late before its time")
		}
		time.Sleep(2 * time.Millisecond)
		if !c.late(time.Now()) {
			t.Error("not late")
		}
	})
}

// A drained connection is not closed before the answer to a call that was cut is
// handed over, however quickly its handler returns.
func TestAnsweredBeforeClosed(t *testing.T) {
	tl := newTools()
	g := newGate(t, &Server{MCP: tl.mcp})
	closed := make(chan uint16, 1)
	l, s := g.link(closed), &script{answered: make(chan struct{})} // whose Respond takes its time
	g.deliver(l, modernCall("1", "wait"), s)
	<-tl.running
	g.Drain(l)
	c := stateOf(l).lookup([]byte("1"))
	cut := make(chan bool, 1)
	go func() { cut <- c.cut() }()
	<-tl.ended
	await(t, "the handler has returned", func() bool { return g.pool.Stats().Blocking.Busy == 0 })
	select {
	case code := <-closed:
		t.Error("closed before the answer was handed over")
		closed <- code
	default:
	}
	<-s.answered
	if !<-cut {
		t.Error("not cut")
	}
	if code := <-closed; code != 1001 {
		t.Errorf("closed with %d", code)
	}
}
