package mcp

import (
	"bytes"
	"encoding/json"
	"testing"

	"millrace/codec/jsonrpc"
)

// fuzzMethods are the methods of FuzzParams, by index.
var fuzzMethods = []string{
	methodGetPrompt, methodReadResource, methodComplete, MethodListen, methodUpdateTask, methodGetTask, methodCancelTask,
	methodSubscribe, methodUnsubscribe, methodSetLevel, methodListPrompts, methodListResources, methodListTemplates, "example.com/echo",
}

const fuzzMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` +
	`{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// FuzzParams runs methods with arbitrary params in both eras. Every answer must
// be one line of JSON with the request's id, and nothing may be left behind.
func FuzzParams(f *testing.F) {
	o := quiet()
	// A filter makes lists pass through their handlers, too.
	s := scoped()
	s.opts.Logger = o.Logger
	legacy := dialWith(f, s, Version20251125, capsAll).session
	for i, params := range []string{
		`{"name":"greet","arguments":{"who":"x","tone":"y"},` + fuzzMeta + `}`,
		`{"uri":"file:///logs/a/b/c",` + fuzzMeta + `}`,
		`{"ref":{"type":"ref/resource","uri":"db:///{table}{?limit,after}"},"argument":{"name":"a","value":"b"},"context":{"arguments":{"tone":"x"}},` + fuzzMeta + `}`,
		`{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///dir"],"taskIds":["x"]},` + fuzzMeta + `}`,
		`{"taskId":"x","inputResponses":{"a":{"action":"accept"}},` + fuzzMeta + `}`,
		`{"taskId":"x",` + fuzzMeta + `}`, `{"taskId":"x",` + fuzzMeta + `}`,
		`{"uri":"file:///dir"}`, `{"uri":"file:///dir"}`, `{"level":"info"}`, `{"cursor":"x"}`, `{"cursor":null}`, `{}`, `{"a":[1],"_meta":{"b":{}}}`,
	} {
		f.Add(uint8(i), true, []byte(params))
		f.Add(uint8(i), false, []byte(params))
	}
	f.Fuzz(func(t *testing.T, method uint8, modern bool, params []byte) {
		meta, err := ParseMeta(params)
		if err == nil && jsonrpc.Validate(params, nil) != nil {
			return // no host lets it in
		}
		stream := &wire{}
		c := &Call{
			Method: fuzzMethods[int(method)%len(fuzzMethods)], ID: []byte(`"id"`), Params: params, Meta: meta,
			Session: legacy, Modern: modern, Notifier: stream, Host: stream,
		}
		if modern {
			c.Session = nil
		}
		if c.Method == MethodListen {
			fuzzListen(t, s, c, stream)
			return
		}
		s.Plan(c)
		out, status := s.Serve(t.Context(), c, nil)
		checkFuzzAnswer(t, out, status, modern)
		s.Detach(legacy)
	})
}

func fuzzListen(t *testing.T, s *Server, c *Call, stream *wire) {
	s.Plan(c)
	sub, out, status := s.Listen(t.Context(), c, nil)
	if sub == nil {
		checkFuzzAnswer(t, out, status, c.Modern)
	} else {
		checkFuzzAnswer(t, sub.AppendEnd(nil), 200, true)
		sub.Close()
	}
	for _, msg := range stream.take() {
		if !json.Valid([]byte(msg)) || !jsonrpc.SingleLine([]byte(msg)) {
			t.Errorf("sent %q", msg)
		}
	}
	if n := leftovers(s); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

func checkFuzzAnswer(t *testing.T, out []byte, status int, modern bool) {
	t.Helper()
	if !bytes.HasPrefix(out, []byte(`{"jsonrpc":"2.0","id":"id",`)) || !json.Valid(out) || !jsonrpc.SingleLine(out) {
		t.Errorf("status %d: %q", status, out)
	}
	if status != 200 && (!modern || status != 400 && status != 404) {
		t.Errorf("status %d", status)
	}
	if bytes.Contains(out, []byte("internal error")) {
		t.Errorf("a panic: %q", out)
	}
}

// FuzzConversation answers questions with arbitrary inputResponses, with and
// without the state that belongs to them, and with an arbitrary state.
func FuzzConversation(f *testing.F) {
	s := whole(nil)
	c := dialWith(f, s, Version20260728, capsAll)
	tools := []string{"confirm", "survey", "rounds", "connect"}
	states := make([]string, len(tools))
	for i, name := range tools {
		states[i] = c.rounds("tools/call", `"name":"`+name+`"`).Result.RequestState
	}
	f.Add(uint8(0), true, []byte(`{"color":{"action":"accept","content":{"color":"red"}}}`), ``)
	f.Add(uint8(1), true, []byte(`{"form":{"action":"accept","content":{"size":"L"}},"model":{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"},"roots":{"roots":[{"uri":"file:///a"}]}}`), ``)
	f.Add(uint8(2), false, []byte(`{"q":{"action":"cancel"},"r":{"roots":[]},"s":{"role":"user"}}`), `x`)
	f.Add(uint8(3), false, []byte(`null`), states[0])
	f.Add(uint8(2), true, []byte(`{"q":{"action":"accept","content":{"color":1e999}}}`), ``)
	f.Fuzz(func(t *testing.T, tool uint8, own bool, responses []byte, state string) {
		i := int(tool) % len(tools)
		if own {
			state = states[i]
		}
		quoted, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		params := []byte(`{"name":"` + tools[i] + `","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` +
			capsAll + `},"requestState":` + string(quoted) + `,"inputResponses":` + string(responses) + `}`)
		if jsonrpc.Validate(params, nil) != nil {
			return
		}
		stream := &wire{}
		call := &Call{Method: methodCallTool, ID: []byte(`"id"`), Params: params, Modern: true, Notifier: stream, Host: stream}
		out, status := s.Serve(t.Context(), call, nil)
		checkFuzzAnswer(t, out, status, true)
	})
}
