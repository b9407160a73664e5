package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/codec/jsonrpc"
)

// asker is a client of a server with one tool, ask, that can be asked anything.
func asker(t testing.TB, version string, h func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error)) *client {
	s := empty(quiet())
	rawTool(s, &Tool{Name: "ask"}, h)
	c := dialWith(t, s, version, capsAll)
	c.notifier.reply = func(method, params string) (json.RawMessage, error) {
		switch method {
		case methodElicit:
			return json.RawMessage(`{"action":"accept","content":{"name":"Ada","color":"red"}}`), nil
		case methodCreateMessage:
			return json.RawMessage(`{"role":"assistant","content":{"type":"text","text":"Paris"},"model":"m"}`), nil
		}
		return json.RawMessage(`{"roots":[{"uri":"file:///home"}]}`), nil
	}
	return c
}

// converse plays the client of a call of ask until there is a result, and counts
// the rounds.
func (c *client) converse(params string) (out string, rounds int) {
	c.t.Helper()
	const call = `"name":"ask"`
	more := params
	for range 100 {
		rounds++
		out = c.ask("tools/call", call+more)
		var a asked
		if json.Unmarshal([]byte(out), &a) != nil || a.Result.ResultType != "input_required" {
			return out, rounds
		}
		var answers []string
		for _, key := range sortedKeys(a.Result.InputRequests) {
			q, err := parseInputRequest(a.Result.InputRequests[key])
			if err != nil {
				c.t.Fatal(err)
			}
			raw, _ := c.notifier.reply(inputMethod(q), "")
			name, _ := json.Marshal(key)
			answers = append(answers, string(name)+":"+string(raw))
		}
		more = a.with(params) + `,"inputResponses":{` + strings.Join(answers, ",") + `}`
	}
	c.t.Fatal("the conversation does not end")
	return "", 0
}

func TestAskEveryKind(t *testing.T) {
	c := func(version string) *client {
		return asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			form, err := req.Elicit(ctx, "form", form("name"))
			if err != nil {
				return nil, err
			}
			short, err := req.Sample(ctx, "short", sampling())
			if err != nil {
				return nil, err
			}
			long, err := req.SampleWithTools(ctx, "long", samplingTools())
			if err != nil {
				return nil, err
			}
			roots, err := req.ListRoots(ctx, "roots")
			if err != nil {
				return nil, err
			}
			all, err := req.Ask(ctx, InputRequestMap{"form": form2(), "again": &ListRootsParams{}})
			if err != nil {
				return nil, err
			}
			return said("%v %v %d %s %d", form.Content["name"], short.Content.(*TextContent).Text, len(long.Content), roots.Roots[0].URI, len(all)), nil
		})
	}
	const want = `Ada Paris 1 file:///home 2`
	for version, rounds := range map[string]int{Version20251125: 1, Version20260728: 6} {
		c := c(version)
		if out, n := c.converse(""); n != rounds || !strings.Contains(out, want) {
			t.Errorf("%s: %d rounds, %s", version, n, out)
		}
		sent := c.notifier.take()
		if want := map[string]int{Version20251125: 5, Version20260728: 0}[version]; len(sent) != want {
			t.Errorf("%s: sent %v", version, sent)
		}
	}
}

func form2() *ElicitParams { return form("name") }

func TestSessionAsks(t *testing.T) {
	h := func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		ss := req.Session
		a, err := ss.Elicit(ctx, form("name"))
		if err != nil {
			return nil, err
		}
		b, err := ss.Elicit(ctx, form("color"))
		if err != nil {
			return nil, err
		}
		m, err := ss.CreateMessage(ctx, sampling())
		if err != nil {
			return nil, err
		}
		if _, err = ss.CreateMessageWithTools(ctx, samplingTools()); err != nil {
			return nil, err
		}
		r, err := ss.ListRoots(ctx, nil)
		if err != nil {
			return nil, err
		}
		return said("%v %v %v %d", a.Content["name"], b.Content["color"], m.Content.(*TextContent).Text, len(r.Roots)), nil
	}
	for version, rounds := range map[string]int{Version20251125: 1, Version20260728: 6} {
		if out, n := asker(t, version, h).converse(""); n != rounds || !strings.Contains(out, "Ada red Paris 1") {
			t.Errorf("%s: %d rounds, %s", version, n, out)
		}
	}
}

// The automatic keys begin anew with every run of the handler, also where the
// engine runs it again itself.
func TestAutomaticKeysInRounds(t *testing.T) {
	for _, version := range []string{Version20251125, Version20260728} {
		c := asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			if _, err := req.Session.Elicit(ctx, form("name")); err != nil {
				return nil, err
			}
			if req.Params.RequestState == "" {
				return &CallToolResult{InputRequests: InputRequestMap{"q": form("color")}, RequestState: "s"}, nil
			}
			return said("done"), nil
		})
		out, _ := c.converse("")
		if sent := c.notifier.take(); !strings.Contains(out, "done") || !IsModern(version) && len(sent) != 2 {
			t.Errorf("%s: asked %d times, %s", version, len(sent), out)
		}
	}
}

func TestRepeatedKeys(t *testing.T) {
	for version, rounds := range map[string]int{Version20251125: 1, Version20260728: 2} {
		c := asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			for range 3 {
				if res, err := req.Elicit(ctx, "same", form("name")); err != nil || res.Content["name"] != "Ada" {
					return nil, err
				}
			}
			return said("done"), nil
		})
		out, n := c.converse("")
		if sent := c.notifier.take(); n != rounds || !strings.Contains(out, "done") || len(sent) > 1 {
			t.Errorf("%s: %d rounds, asked %d times, %s", version, n, len(sent), out)
		}
	}
}

// What is written before a question runs in every round, and once in Once.
func TestRepeatable(t *testing.T) {
	for version, want := range map[string]string{Version20251125: "runs 1, once 1, kept 1", Version20260728: "runs 2, once 1, kept 1"} {
		var runs, once int
		c := asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			runs++
			var kept int
			if err := req.Once(ctx, "kept", &kept, func() (any, error) { once++; return once, nil }); err != nil {
				return nil, err
			}
			if _, err := req.Elicit(ctx, "name", form("name")); err != nil {
				return nil, err
			}
			return said("runs %d, once %d, kept %d", runs, once, kept), nil
		})
		if out, _ := c.converse(""); !strings.Contains(out, want) {
			t.Errorf("%s: %s, want %s", version, out, want)
		}
	}
}

func TestOnceFails(t *testing.T) {
	calls := 0
	c := asker(t, Version20260728, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		var n int
		boom := errors.New("boom")
		if err := req.Once(ctx, "a", &n, func() (any, error) { calls++; return nil, boom }); !errors.Is(err, boom) {
			t.Errorf("the error of fn: %v", err)
		}
		if err := req.Once(ctx, "a", &n, func() (any, error) { calls++; return 7, nil }); err != nil || n != 7 {
			t.Errorf("after an error: %v, %d", err, n)
		}
		if err := req.Once(ctx, "a", &n, func() (any, error) { calls++; return 8, nil }); err != nil || n != 7 {
			t.Errorf("the second time: %v, %d", err, n)
		}
		if err := req.Once(ctx, "b", &n, func() (any, error) { return make(chan int), nil }); err == nil {
			t.Error("a channel is kept")
		}
		if err := req.Once(ctx, "c", &n, func() (any, error) { return "text", nil }); err == nil {
			t.Error("a text is decoded into an int")
		}
		return nil, nil
	})
	if c.converse(""); calls != 2 {
		t.Errorf("fn ran %d times", calls)
	}
	outside := &CallToolRequest{Session: c.s.NewSession("", nil)}
	if err := outside.Once(t.Context(), "a", nil, nil); !errors.Is(err, errNoAsking) {
		t.Errorf("outside of a call: %v", err)
	}
}

// Once a question is open, the client is asked, whatever the handler returns.
func TestQuestionsWin(t *testing.T) {
	returns := map[string]func(err error) (*CallToolResult, error){
		"the error":     func(err error) (*CallToolResult, error) { return nil, err },
		"wrapped":       func(err error) (*CallToolResult, error) { return nil, fmt.Errorf("asking: %w", err) },
		"another error": func(error) (*CallToolResult, error) { return nil, errors.New("x") },
		"a result":      func(error) (*CallToolResult, error) { return said("too early"), nil },
		"nothing":       func(error) (*CallToolResult, error) { return nil, nil },
		"questions": func(error) (*CallToolResult, error) {
			return &CallToolResult{InputRequests: InputRequestMap{"z": form("z")}}, nil
		},
	}
	for name, f := range returns {
		c := asker(t, Version20260728, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, err := req.Elicit(ctx, "name", form("name"))
			if !errors.Is(err, ErrInputRequired) {
				t.Errorf("Elicit: %v", err)
			}
			return f(err)
		})
		if a := c.rounds("tools/call", `"name":"ask"`); len(a.Result.InputRequests) != 1 || a.Result.InputRequests["name"] == nil {
			t.Errorf("%s: asks %v", name, a.Result.InputRequests)
		}
	}
	c := asker(t, Version20260728, func(context.Context, *CallToolRequest) (*CallToolResult, error) { return nil, ErrInputRequired })
	if out, _ := c.converse(""); !strings.Contains(out, `"code":-32603`) {
		t.Errorf("ErrInputRequired without a question: %s", out)
	}
	c = asker(t, Version20260728, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		_, _ = req.Elicit(ctx, "name", form("name"))
		panic("x")
	})
	if out, _ := c.converse(""); !strings.Contains(out, "internal error") {
		t.Errorf("a panic after a question: %s", out)
	}
}

// The handler asks two things in turn and does not stop at the first: both come
// in one round.
func TestQuestionsGather(t *testing.T) {
	c := asker(t, Version20260728, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		_, err1 := req.Elicit(ctx, "a", form("name"))
		_, err2 := req.ListRoots(ctx, "b")
		return said("done"), errors.Join(err1, err2)
	})
	if out, n := c.converse(""); n != 2 || !strings.Contains(out, "done") {
		t.Errorf("%d rounds: %s", n, out)
	}
}

func TestBadQuestions(t *testing.T) {
	many := make(InputRequestMap)
	for i := range maxQuestions + 1 {
		many[fmt.Sprint(i)] = &ListRootsParams{}
	}
	tests := []struct {
		name string
		ask  func(ctx context.Context, req *CallToolRequest) error
		want string
	}{
		{"no key", func(ctx context.Context, req *CallToolRequest) error {
			_, err := req.Elicit(ctx, "", form("a"))
			return err
		}, "1 to 256 bytes"},
		{"long key", func(ctx context.Context, req *CallToolRequest) error {
			_, err := req.ListRoots(ctx, strings.Repeat("k", maxKey+1))
			return err
		}, "1 to 256 bytes"},
		{"nil", func(ctx context.Context, req *CallToolRequest) error { _, err := req.Elicit(ctx, "k", nil); return err }, "the request is nil"},
		{"nil in a session", func(ctx context.Context, req *CallToolRequest) error {
			_, err := req.Session.CreateMessage(ctx, nil)
			return err
		}, "the request is nil"},
		{"no message", func(ctx context.Context, req *CallToolRequest) error {
			_, err := req.Elicit(ctx, "k", &ElicitParams{})
			return err
		}, "Message is empty"},
		{"many at once", func(ctx context.Context, req *CallToolRequest) error { _, err := req.Ask(ctx, many); return err }, "65 questions at once"},
		{"unencodable", func(ctx context.Context, req *CallToolRequest) error {
			p := form("a")
			p.Meta = Meta{"x": make(chan int)}
			_, err := req.Elicit(ctx, "k", p)
			return err
		}, "cannot be encoded"},
	}
	for _, version := range []string{Version20251125, Version20260728} {
		for _, tt := range tests {
			c := asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) { return nil, tt.ask(ctx, req) })
			if out, _ := c.converse(""); strings.Contains(out, "input_required") || !strings.Contains(out, tt.want) {
				t.Errorf("%s, %s: %s", version, tt.name, out)
			}
			if sent := c.notifier.take(); sent != nil {
				t.Errorf("%s, %s: sent %v", version, tt.name, sent)
			}
		}
	}
	c := asker(t, Version20260728, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		var err error
		for i := range maxQuestions + 1 {
			if _, err = req.ListRoots(ctx, fmt.Sprint(i)); !errors.Is(err, ErrInputRequired) {
				break
			}
		}
		if err == nil || errors.Is(err, ErrInputRequired) {
			t.Errorf("one by one: %v", err)
		}
		return nil, err
	})
	if a := c.rounds("tools/call", `"name":"ask"`); len(a.Result.InputRequests) != maxQuestions {
		t.Errorf("%d questions", len(a.Result.InputRequests))
	}
	outside := &CallToolRequest{Session: c.s.NewSession("", nil)}
	if _, err := outside.Elicit(t.Context(), "k", form("a")); !errors.Is(err, errNoAsking) {
		t.Errorf("outside of a call: %v", err)
	}
}

// Only tools, prompts and resources may ask on 2026-07-28, in sessions others too.
func TestCustomMethodAsks(t *testing.T) {
	s := empty(quiet())
	s.AddMethod("example.com/ask", func(ctx context.Context, req *CustomRequest) (any, error) {
		res, err := req.Elicit(ctx, "k", form("name"))
		if err != nil {
			return nil, err
		}
		return res.Content, nil
	})
	c := dialWith(t, s, Version20260728, capsAll)
	if out := c.ask("example.com/ask", ""); !strings.Contains(out, "tools, prompts and resources only") {
		t.Errorf("2026-07-28: %s", out)
	}
	c = dialWith(t, s, Version20251125, capsAll)
	c.notifier.reply = func(string, string) (json.RawMessage, error) {
		return json.RawMessage(`{"action":"accept","content":{"name":"Ada"}}`), nil
	}
	if out := c.ask("example.com/ask", ""); !strings.Contains(out, `"result":{"name":"Ada"}`) {
		t.Errorf("2025-11-25: %s", out)
	}
}

func TestRoundsAreBounded(t *testing.T) {
	runs := 0
	c := asker(t, Version20251125, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
		runs++
		return &CallToolResult{InputRequests: InputRequestMap{}}, nil
	})
	if out, _ := c.converse(""); runs != maxRounds || !strings.Contains(out, "again and again") {
		t.Errorf("%d runs: %s", runs, out)
	}
}

// A result with a state and no questions is asked for again at once.
func TestStateWithoutQuestions(t *testing.T) {
	for version, rounds := range map[string]int{Version20251125: 1, Version20260728: 3} {
		c := asker(t, version, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
			if s := req.Params.RequestState; len(s) < 2 {
				return &CallToolResult{RequestState: s + "x"}, nil
			}
			return said("done"), nil
		})
		if out, n := c.converse(""); n != rounds || !strings.Contains(out, "done") {
			t.Errorf("%s: %d rounds: %s", version, n, out)
		}
	}
}

func TestInterviewFails(t *testing.T) {
	ask := func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		_, err := req.Ask(ctx, InputRequestMap{"a": form("name"), "b": &ListRootsParams{}, "c": sampling()})
		return nil, err
	}
	c := asker(t, Version20251125, ask)
	reply := c.notifier.reply
	c.notifier.reply = func(method, params string) (json.RawMessage, error) {
		if method == methodListRoots {
			return nil, &ClientError{&jsonrpc.Error{Code: -1, Message: "no roots today"}}
		}
		return reply(method, params)
	}
	if out, _ := c.converse(""); !strings.Contains(out, `"code":-32603,"message":"asking the client (b): the client answered with error -1: no roots today"`) {
		t.Errorf("an error of the client: %s", out)
	}
	c.notifier.busy = errors.New("too many wait")
	if out, _ := c.converse(""); !strings.Contains(out, "too many wait") {
		t.Errorf("a busy host: %s", out)
	}
	c.notifier.busy = nil
	call, _ := c.parse(c.message("tools/call", `"name":"ask"`))
	call.Host = nil
	if out, _ := c.s.Serve(t.Context(), call, nil); !strings.Contains(string(out), "no way to ask") {
		t.Errorf("without a host: %s", out)
	}
	synctest.Test(t, func(t *testing.T) {
		c := asker(t, Version20251125, ask)
		c.notifier.reply = nil
		began := time.Now()
		out, _ := c.converse("")
		if waited := time.Since(began); waited != DefaultInputTimeout || !strings.Contains(out, "deadline exceeded") {
			t.Errorf("a silent client: after %v %s", waited, out)
		}
	})
}

// Panics of what a handler hands over stay in its goroutine.
type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }

func TestQuestionPanics(t *testing.T) {
	for _, version := range []string{Version20251125, Version20260728} {
		c := asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			p := form("name")
			p.Meta = Meta{"x": panicking{}}
			_, err := req.Elicit(ctx, "k", p)
			return nil, err
		})
		if out, _ := c.converse(""); !strings.Contains(out, "internal error") {
			t.Errorf("%s: %s", version, out)
		}
	}
}

// A goroutine that a handler has left behind may still ask and keep while its
// result is encoded: the race detector watches.
func TestAskingGoroutines(t *testing.T) {
	var left sync.WaitGroup
	c := asker(t, Version20260728, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		_, err := req.Elicit(ctx, "first", form("name"))
		left.Go(func() {
			for i := range 50 {
				key := fmt.Sprint(i)
				_, _ = req.ListRoots(ctx, key)
				var n int
				_ = req.Once(ctx, key, &n, func() (any, error) { return i, nil })
			}
		})
		return nil, err
	})
	for range 20 {
		c.ask("tools/call", `"name":"ask"`)
	}
	left.Wait()
}

func TestConcurrentQuestions(t *testing.T) {
	c := asker(t, Version20251125, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := req.Elicit(ctx, fmt.Sprint(i), form("name")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return said("done"), nil
	})
	if out, _ := c.converse(""); !strings.Contains(out, "done") || len(c.notifier.take()) != 8 || c.notifier.waits != 8 {
		t.Errorf("%s", out)
	}
}

func TestAskOutsideOfCalls(t *testing.T) {
	s := empty(quiet())
	c := dialWith(t, s, Version20251125, capsAll)
	ss := c.session
	c.peer.reply = func(method, _ string) (json.RawMessage, error) {
		switch method {
		case methodPing:
			return json.RawMessage(`{}`), nil
		case methodElicit:
			return json.RawMessage(`{"action":"decline"}`), nil
		case methodCreateMessage:
			return json.RawMessage(`{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"model":"m"}`), nil
		}
		return nil, errors.New("gone")
	}
	if err := ss.Ping(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if res, err := ss.Elicit(t.Context(), form("name")); err != nil || res.Action != "decline" {
		t.Errorf("Elicit: %v, %v", res, err)
	}
	if _, err := ss.CreateMessage(t.Context(), sampling()); err == nil {
		t.Error("two contents are one")
	}
	if _, err := ss.ListRoots(t.Context(), &ListRootsParams{}); err == nil {
		t.Error("an error of the peer is lost")
	}
	if _, err := ss.Elicit(t.Context(), &ElicitParams{}); err == nil {
		t.Error("bad params are sent")
	}
	if sent := c.peer.take(); len(sent) != 4 {
		t.Errorf("sent %v", sent)
	}
	undeclared := dialWith(t, s, Version20251125, `{}`).session
	if _, err := undeclared.Elicit(t.Context(), form("name")); err == nil || !strings.Contains(err.Error(), "has not declared") {
		t.Errorf("without the capability: %v", err)
	}
	// A view that a handler has kept is the session's when the call is over.
	var kept *CallToolRequest
	rawTool(s, &Tool{Name: "keep"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) { kept = req; return nil, nil })
	c.ask("tools/call", `"name":"keep"`)
	if res, err := kept.Session.Elicit(t.Context(), form("name")); err != nil || res.Action != "decline" || len(c.peer.take()) != 1 {
		t.Errorf("after the call: %v, %v", res, err)
	}
	if _, err := kept.Elicit(t.Context(), "k", form("name")); !errors.Is(err, errNoAsking) {
		t.Errorf("with a key, after the call: %v", err)
	}
	modern := dialWith(t, s, Version20260728, capsAll)
	modern.ask("tools/call", `"name":"keep"`)
	if _, err := kept.Session.Elicit(t.Context(), form("name")); !errors.Is(err, errNoWayBack) {
		t.Errorf("after a call of 2026-07-28: %v", err)
	}
	for name, ss := range map[string]*ServerSession{
		"fresh": s.NewSession("", c.peer), "peerless": dialPeerless(t, s),
	} {
		if _, err := ss.Elicit(t.Context(), form("name")); !errors.Is(err, errNoWayBack) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := dialPeerless(t, s).Ping(t.Context(), nil); !errors.Is(err, errNoWayBack) {
		t.Errorf("Ping without a peer: %v", err)
	}
}

func TestWaysBackWithinCalls(t *testing.T) {
	for _, version := range []string{Version20251125, Version20260728} {
		c := asker(t, version, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			return said("ping %v, closed %v", req.Session.Ping(ctx, nil), req.CloseStream(time.Second)), nil
		})
		want := map[string]string{Version20251125: "ping <nil>, closed true", Version20260728: "ping " + errNoWayBack.Error() + ", closed false"}[version]
		if out, _ := c.converse(""); !strings.Contains(out, want) {
			t.Errorf("%s: %s", version, out)
		}
	}
}

func TestURLsRequired(t *testing.T) {
	two := []*ElicitParams{{Message: "a", URL: "https://a.example"}, {Message: "b", URL: "https://b.example", ElicitationID: "b"}}
	fail := func(err error) func(context.Context, *CallToolRequest) (*CallToolResult, error) {
		return func(context.Context, *CallToolRequest) (*CallToolResult, error) { return nil, err }
	}
	c := asker(t, Version20260728, fail(fmt.Errorf("wrapped: %w", URLElicitationRequiredError(two))))
	a := c.rounds("tools/call", `"name":"ask"`)
	if keys := sortedKeys(a.Result.InputRequests); len(keys) != 2 || !slices.Contains(keys, "b") {
		t.Errorf("asks %v", keys)
	}
	odd := func(data any) error {
		return &jsonrpc.Error{Code: CodeURLElicitationRequired, Message: "x", Data: data}
	}
	for name, err := range map[string]error{
		"no data": odd(nil), "not JSON": odd(rawJSON(`{`)), "none": odd(rawJSON(`{"elicitations":[]}`)), "null": odd(rawJSON(`{"elicitations":[null]}`)),
	} {
		c := asker(t, Version20260728, fail(err))
		if out, _ := c.converse(""); name == "not JSON" && !strings.Contains(out, "error") || name != "not JSON" && !strings.Contains(out, `"code":-32603`) {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// A handler may ask the same again; in a task the client sees another key then.
func TestAskedAgain(t *testing.T) {
	ask := func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		n := len(req.Params.RequestState)
		if n == 3 {
			return said("%s", req.Params.InputResponses["q"].(*ElicitResult).Content["name"]), nil
		}
		return &CallToolResult{InputRequests: InputRequestMap{"q": form("name")}, RequestState: strings.Repeat("x", n+1)}, nil
	}
	for _, version := range []string{Version20251125, Version20260728} {
		c := asker(t, version, ask)
		n := 0
		c.notifier.reply = func(string, string) (json.RawMessage, error) {
			n++
			return json.RawMessage(fmt.Sprintf(`{"action":"accept","content":{"name":"%d"}}`, n)), nil
		}
		if version == Version20251125 {
			if out, _ := c.converse(""); n != 3 || !strings.Contains(out, `"text":"3"`) {
				t.Errorf("%s: asked %d times: %s", version, n, out)
			}
		}
	}
	a := &activeCall{talk: &asking{given: map[string]json.RawMessage{"q": nil, "p": rawJSON(`{}`), "p#2": rawJSON(`{}`)}}}
	a.rev = newest
	a.interactive = true
	if _, err := a.askAnew(t.Context(), InputRequestMap{"p": form("name")}); !errors.Is(err, ErrInputRequired) || a.talk.asked["p#3"] == nil {
		t.Errorf("asks %v, %v", a.talk.asked, err)
	}
}
