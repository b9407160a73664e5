package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/server/seal"
)

const (
	stateRefused = `"code":-32602,"message":"params.requestState is not valid for this request, or has expired; begin again without it"`
	red          = `"inputResponses":{"color":{"action":"accept","content":{"color":"red"}}}`
	named        = `"inputResponses":{"name":{"action":"accept","content":{"name":"Ada"}}}`
)

// asked is what a client gets that is asked for something.
type asked struct {
	Result struct {
		ResultType    string
		InputRequests map[string]json.RawMessage
		RequestState  string
	}
}

// rounds runs a request that asks, and returns what it asks.
func (c *client) rounds(method, params string) asked {
	c.t.Helper()
	out := c.ask(method, params)
	var a asked
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.Result.ResultType != "input_required" || a.Result.RequestState == "" {
		c.t.Fatalf("%s %s asks nothing: %s", method, params, out)
	}
	return a
}

// with adds the state of a to params.
func (a asked) with(params string) string {
	return params + `,"requestState":"` + a.Result.RequestState + `"`
}

func TestStateIsBound(t *testing.T) {
	s := whole(nil)
	for _, name := range []string{"one", "two"} {
		s.AddPrompt(&Prompt{Name: name, Arguments: []*PromptArgument{{Name: "a"}, {Name: "b"}}}, func(ctx context.Context, req *GetPromptRequest) (*GetPromptResult, error) {
			_, err := req.Elicit(ctx, "name", form("name"))
			return nil, err
		})
		s.AddResource(&Resource{URI: "x:" + name, Name: name}, func(ctx context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
			_, err := req.Elicit(ctx, "name", form("name"))
			return &ReadResourceResult{Contents: []*ResourceContents{{}}}, err
		})
		rawTool(s, &Tool{Name: name}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			_, err := req.Elicit(ctx, "name", form("name"))
			return said("done"), err
		})
	}
	s.AddResourceTemplate(&ResourceTemplate{URITemplate: "y:{n}", Name: "n"}, func(ctx context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
		_, err := req.Elicit(ctx, "name", form("name"))
		return &ReadResourceResult{Contents: []*ResourceContents{{}}}, err
	})
	type request struct{ method, params string }
	tests := []struct {
		name        string
		first, then request
		ok          bool
	}{
		{"tool", request{"tools/call", `"name":"one"`}, request{"tools/call", `"name":"one"`}, true},
		{"no arguments and empty ones", request{"tools/call", `"name":"one"`}, request{"tools/call", `"name":"one","arguments":{}`}, true},
		{"null arguments", request{"tools/call", `"name":"one","arguments":null`}, request{"tools/call", `"name":"one","arguments":{}`}, true},
		{"order of arguments", request{"tools/call", `"name":"one","arguments":{"a":1,"b":{"c":[1,2],"d":"é"}}`}, request{"tools/call", `"arguments":{ "b":{"d":"\u00e9","c":[1, 2]},"a":1},"name":"o\u006ee"`}, true},
		{"another tool", request{"tools/call", `"name":"one"`}, request{"tools/call", `"name":"two"`}, false},
		{"other arguments", request{"tools/call", `"name":"one","arguments":{"a":1}`}, request{"tools/call", `"name":"one","arguments":{"a":2}`}, false},
		{"more arguments", request{"tools/call", `"name":"one","arguments":{"a":1}`}, request{"tools/call", `"name":"one","arguments":{"a":1,"b":1}`}, false},
		{"large numbers", request{"tools/call", `"name":"one","arguments":{"a":9007199254740993}`}, request{"tools/call", `"name":"one","arguments":{"a":9007199254740992}`}, false},
		{"order in arrays", request{"tools/call", `"name":"one","arguments":{"a":[1,2]}`}, request{"tools/call", `"name":"one","arguments":{"a":[2,1]}`}, false},
		{"another method", request{"tools/call", `"name":"one"`}, request{"prompts/get", `"name":"one"`}, false},
		{"prompt", request{"prompts/get", `"name":"one","arguments":{"a":"1","b":"2"}`}, request{"prompts/get", `"arguments":{"b":"2","a":"1"},"name":"one"`}, true},
		{"prompt without arguments", request{"prompts/get", `"name":"one"`}, request{"prompts/get", `"name":"one","arguments":{}`}, true},
		{"another prompt", request{"prompts/get", `"name":"one"`}, request{"prompts/get", `"name":"two"`}, false},
		{"other arguments of a prompt", request{"prompts/get", `"name":"one","arguments":{"a":"1"}`}, request{"prompts/get", `"name":"one","arguments":{"a":"2"}`}, false},
		{"resource", request{"resources/read", `"uri":"x:one"`}, request{"resources/read", `"uri":"x:one"`}, true},
		{"another resource", request{"resources/read", `"uri":"x:one"`}, request{"resources/read", `"uri":"x:two"`}, false},
		{"another one of a template", request{"resources/read", `"uri":"y:1"`}, request{"resources/read", `"uri":"y:2"`}, false},
	}
	for _, tt := range tests {
		c := dialWith(t, s, Version20260728, capsAll).as("alice")
		a := c.rounds(tt.first.method, tt.first.params)
		out, status := c.raw(c.message(tt.then.method, a.with(tt.then.params)+","+named))
		if refused := strings.Contains(out, stateRefused) && status == 400; refused == tt.ok || strings.Contains(out, "input_required") {
			t.Errorf("%s: %d %s", tt.name, status, out)
		}
		if out := c.as("bob").ask(tt.first.method, a.with(tt.first.params)+","+named); !strings.Contains(out, stateRefused) {
			t.Errorf("%s, as somebody else: %s", tt.name, out)
		}
	}
}

func TestStateTampered(t *testing.T) {
	s := whole(nil)
	c := dialWith(t, s, Version20260728, capsAll)
	state := c.rounds("tools/call", `"name":"confirm"`).Result.RequestState
	for i := range state {
		other := []byte(state)
		if other[i]++; other[i] > 'z' || other[i] == '\\' {
			other[i] = 'A'
		}
		if out := c.ask("tools/call", `"name":"confirm","requestState":"`+string(other)+`",`+red); !strings.Contains(out, stateRefused) {
			t.Fatalf("byte %d changed: %s", i, out)
		}
	}
	for _, other := range []string{"", state[1:], state + "A", strings.Repeat("A", seal.MaxToken+1), sealCursor(s.snapshot().states, "x", "y")} {
		if out := c.ask("tools/call", `"name":"confirm","requestState":"`+other+`",`+red); !strings.Contains(out, stateRefused) {
			t.Errorf("%.40q: %s", other, out)
		}
	}
	// One that is sealed for the call, and holds something else.
	call, _ := c.parse(c.message("tools/call", `"name":"confirm"`))
	s.Plan(call)
	if _, err := call.method.decode(s, call); err != nil {
		t.Fatal(err)
	}
	foreign := s.snapshot().states.Seal(nil, []byte("not JSON"), call.active.stateContext())
	if out := c.ask("tools/call", `"name":"confirm","requestState":"`+string(foreign)+`",`+red); !strings.Contains(out, stateRefused) {
		t.Errorf("not JSON: %s", out)
	}
}

func TestStateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.InputTimeout = time.Minute
		c := dialWith(t, whole(o), Version20260728, capsAll)
		a := c.rounds("tools/call", `"name":"confirm"`)
		time.Sleep(time.Minute - time.Second)
		for range 2 { // single use is nobody's promise
			if out := c.ask("tools/call", a.with(`"name":"confirm"`)+","+red); !strings.Contains(out, "accept map[color:red]") {
				t.Errorf("before the end: %s", out)
			}
		}
		time.Sleep(time.Second)
		if out := c.ask("tools/call", a.with(`"name":"confirm"`)+","+red); !strings.Contains(out, stateRefused) {
			t.Errorf("at the end: %s", out)
		}
	})
}

// A state holds across processes with the same keys, and in no others.
func TestStateAndKeys(t *testing.T) {
	keys := seal.NewRandom()
	server := func(keys *seal.Keys, runs *int) *client {
		s := empty(quiet())
		s.SetKeys(keys)
		rawTool(s, &Tool{Name: "once"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
			var n int
			if err := req.Once(ctx, "n", &n, func() (any, error) { *runs++; return 41 + *runs, nil }); err != nil {
				return nil, err
			}
			if _, err := req.Elicit(ctx, "name", form("name")); err != nil {
				return nil, err
			}
			return said("%d", n), nil
		})
		return dialWith(t, s, Version20260728, capsAll)
	}
	var first, second int
	a := server(keys, &first).rounds("tools/call", `"name":"once"`)
	out := server(keys, &second).ask("tools/call", a.with(`"name":"once"`)+","+named)
	if first != 1 || second != 0 || !strings.Contains(out, `"text":"42"`) {
		t.Errorf("ran %d and %d times: %s", first, second, out)
	}
	if out := server(seal.NewRandom(), &second).ask("tools/call", a.with(`"name":"once"`)+","+named); !strings.Contains(out, stateRefused) {
		t.Errorf("with other keys: %s", out)
	}
}

func TestStateSize(t *testing.T) {
	s := empty(quiet())
	size := 0
	rawTool(s, &Tool{Name: "keep"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		var kept string
		if err := req.Once(ctx, "k", &kept, func() (any, error) { return strings.Repeat("k", size), nil }); err != nil {
			return nil, err
		}
		if _, err := req.Elicit(ctx, "name", form("name")); err != nil {
			return nil, err
		}
		return said("kept %d", len(kept)), nil
	})
	c := dialWith(t, s, Version20260728, capsAll)
	const frame = 32 // what surrounds the value
	size = maxState - 2*frame
	a := c.rounds("tools/call", `"name":"keep"`)
	if out := c.ask("tools/call", a.with(`"name":"keep"`)+","+named); !strings.Contains(out, fmt.Sprintf("kept %d", size)) {
		t.Errorf("just fits: %.300s", out)
	}
	size = maxState
	if out := c.ask("tools/call", `"name":"keep"`); !strings.Contains(out, `"code":-32603`) || !strings.Contains(out, "262144 are allowed") {
		t.Errorf("too large: %.300s", out)
	}
}

func TestInputResponsesBounds(t *testing.T) {
	c := dialWith(t, whole(nil), Version20260728, capsAll)
	answers := func(n int, key string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%s%d":{"action":"cancel"}`, key, i)
		}
		return `"name":"confirm","inputResponses":{` + b.String()[1:] + `}`
	}
	long := strings.Repeat("k", maxKey-1)
	for params, refused := range map[string]bool{
		answers(maxQuestions, "k"): false, answers(maxQuestions+1, "k"): true,
		answers(1, long): false, answers(1, long+"k"): true,
	} {
		out, status := c.raw(c.message("tools/call", params))
		if got := strings.Contains(out, "params.inputResponses may have 64 members"); got != refused || refused && status != 400 {
			t.Errorf("%.80s: %d %s", params, status, out)
		}
	}
}

// What comes in a state by results is read as an answer to what was asked; other
// things are left out.
func TestAnswersOfResults(t *testing.T) {
	s := empty(quiet())
	rawTool(s, &Tool{Name: "ask"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		if req.Params.RequestState == "" {
			return &CallToolResult{RequestState: "s", InputRequests: InputRequestMap{
				"form": form("name"), "url": &ElicitParams{Message: "m", URL: "https://example.com"},
				"model": samplingTools(), "roots": &ListRootsParams{},
			}}, nil
		}
		raw, err := json.Marshal(req.Params.InputResponses)
		return said("%s", raw), err
	})
	c := dialWith(t, s, Version20260728, capsAll)
	model := `{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"}`
	tests := []struct{ responses, want string }{
		{`{}`, `{}`},
		{`{"form":{"action":"accept","content":{"name":"x","more":1}},"url":{"action":"accept"},"model":` + model + `,"roots":{"roots":[]}}`,
			`{"form":{"action":"accept","content":{"name":"x"}},"model":` + model + `,"roots":{"roots":[]},"url":{"action":"accept"}}`},
		{`{"form":{"roots":[]},"url":5,"model":{"action":"accept"},"roots":{"roots":{}}}`, `{}`},
		{`{"form":null,"url":[],"model":"x","roots":{"roots":[{"uri":"http://x"}]}}`, `{}`},
	}
	a := c.rounds("tools/call", `"name":"ask"`)
	for _, tt := range tests {
		out := c.ask("tools/call", a.with(`"name":"ask"`)+`,"inputResponses":`+tt.responses)
		var r struct {
			Result struct{ Content []struct{ Text string } }
		}
		if json.Unmarshal([]byte(out), &r) != nil || len(r.Result.Content) != 1 || r.Result.Content[0].Text != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.responses, out, tt.want)
		}
	}
}

// What a client answers without the state of a question is no answer: nothing is
// known that it could be checked against.
func TestResponsesWithoutState(t *testing.T) {
	s := empty(quiet())
	rawTool(s, &Tool{Name: "ask"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		if len(req.Params.InputResponses) > 0 {
			return said("answered"), nil
		}
		return &CallToolResult{InputRequests: InputRequestMap{"form": form("name")}}, nil
	})
	c := dialWith(t, s, Version20260728, capsAll)
	out := c.ask("tools/call", `"name":"ask","inputResponses":{"form":{"action":"whatever","content":{"evil":1}}}`)
	if !strings.Contains(out, `"input_required"`) {
		t.Errorf("got %s", out)
	}
}

func TestParseInputRequest(t *testing.T) {
	for _, raw := range []string{``, `[]`, `{"method":"elicitation/create"}`, `{"method":"elicitation/create","params":[]}`, `{"method":"sampling/createMessage","params":5}`} {
		if q, err := parseInputRequest([]byte(raw)); err == nil {
			t.Errorf("%s: %#v", raw, q)
		}
	}
}

// A handler owns its arguments: what it does with them changes no state.
func TestStateAfterArgumentsChange(t *testing.T) {
	s := empty(quiet())
	rawTool(s, &Tool{Name: "spoil"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		for i := range req.Params.Arguments {
			req.Params.Arguments[i] = 'X'
		}
		_, err := req.Elicit(ctx, "name", form("name"))
		return said("done"), err
	})
	c := dialWith(t, s, Version20260728, capsAll)
	const params = `"name":"spoil","arguments":{"a":1}`
	a := c.rounds("tools/call", params)
	if out := c.ask("tools/call", a.with(params)+","+named); !strings.Contains(out, "done") {
		t.Errorf("got %s", out)
	}
	if out := c.ask("tools/call", a.with(`"name":"spoil","arguments":{"a":2}`)+","+named); !strings.Contains(out, stateRefused) {
		t.Errorf("with other arguments: %s", out)
	}
}
