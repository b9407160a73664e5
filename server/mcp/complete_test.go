package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCompletions(t *testing.T) {
	o := quiet()
	var details *CompletionResultDetails
	o.CompletionHandler = func(context.Context, *CompleteRequest) (*CompleteResult, error) {
		if details == nil {
			return nil, nil
		}
		return &CompleteResult{Completion: *details, Meta: Meta{"example.com/x": 1}}, nil
	}
	c := dial(t, whole(o), Version20251125)
	values := make([]string, maxCompletions+1)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	const params = `"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"who","value":""}`
	for name, tt := range map[string]struct {
		details *CompletionResultDetails
		want    CompletionResultDetails
	}{
		"nil":           {nil, CompletionResultDetails{Values: []string{}}},
		"none":          {&CompletionResultDetails{}, CompletionResultDetails{Values: []string{}}},
		"at the limit":  {&CompletionResultDetails{Values: values[:100]}, CompletionResultDetails{Values: values[:100]}},
		"one too many":  {&CompletionResultDetails{Values: values}, CompletionResultDetails{Values: values[:100], HasMore: true, Total: 101}},
		"more is known": {&CompletionResultDetails{Values: values, Total: 500}, CompletionResultDetails{Values: values[:100], HasMore: true, Total: 500}},
	} {
		details = tt.details
		out := c.ask("completion/complete", params)
		var r struct{ Result CompleteResult }
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Result.Completion.Values == nil || fmt.Sprint(r.Result.Completion) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %s", name, out)
		}
	}
	if details = (&CompletionResultDetails{Values: values}); len(details.Values) != 101 {
		t.Error("the handler's own result has changed")
	}
	o.CompletionHandler = func(context.Context, *CompleteRequest) (*CompleteResult, error) { return nil, errors.New("boom") }
	if out := dial(t, whole(o), Version20251125).ask("completion/complete", params); !strings.Contains(out, `"code":-32603,"message":"boom"`) {
		t.Errorf("an error: %s", out)
	}
	// Middleware that makes another method of a request.
	s := empty(quiet())
	AddTool(s, &Tool{Name: "x"}, echo)
	s.AddReceivingMiddleware(func(h MethodHandler) MethodHandler {
		return func(ctx context.Context, _ string, req Request) (Result, error) {
			return h(ctx, methodComplete, outgoing(req.GetSession().(*ServerSession), &CompleteParams{}))
		}
	})
	if out := dialModern(t, s).ask("tools/list", ""); !strings.Contains(out, "-32601") {
		t.Errorf("without a handler: %s", out)
	}
}

func dialModern(t testing.TB, s *Server) *client { return dial(t, s, Version20260728) }

func TestTemplates(t *testing.T) {
	s := empty(quiet())
	for _, template := range []string{"a:{x}", "b:{+x}", "c:{x,y}", "d:{?q,r}", "e:{/p*}", "f:{m*}", "g:{x}/{x}", "a:fixed"} {
		s.AddResourceTemplate(&ResourceTemplate{URITemplate: template, Name: template}, func(_ context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
			text, err := json.Marshal(req.Params.Variables)
			return &ReadResourceResult{Contents: []*ResourceContents{{Text: string(text), URI: "seen:"}}}, err
		})
	}
	c := dialModern(t, s)
	for uri, want := range map[string]string{
		"a:1": `{"x":"1"}`, "a:%2F%C3%A9": `{"x":"/é"}`, "a:": `{"x":""}`, "a:1/2": "", "a:fixed": `{}`,
		"b:1/2?x": `{"x":"1/2?x"}`, "c:1,2": `{"x":"1","y":"2"}`,
		"d:?q=1&r=2": `{"q":"1","r":"2"}`, "d:?q=1": `{"q":"1"}`, "d:": `{}`,
		"e:/a/b": `{"p":"a,b"}`, "A:1": "", "z:": "", "a:" + strings.Repeat("x", maxURI): "",
	} {
		out := c.ask("resources/read", `"uri":"`+uri+`"`)
		var r struct {
			Result struct{ Contents []struct{ URI, Text string } }
			Error  struct{ Message string }
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if want == "" && r.Error.Message != "Resource not found" || want != "" && (len(r.Result.Contents) != 1 || r.Result.Contents[0].Text != want) {
			t.Errorf("%.50s: %.300s, want %s", uri, out, want)
		}
	}
}

func TestResourceNotFoundCodes(t *testing.T) {
	s := empty(quiet())
	s.AddResource(&Resource{URI: "x:own", Name: "own"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return nil, fmt.Errorf("x: %w", ResourceNotFoundError("bad \xff utf"))
	})
	for version, code := range map[string]string{Version20260728: "-32602", Version20251125: "-32002", Version20241105: "-32002"} {
		if out := dial(t, s, version).ask("resources/read", `"uri":"x:own"`); !strings.Contains(out, `"code":`+code+`,"message":"Resource not found","data":{"uri":"bad  utf"}`) {
			t.Errorf("%s: %s", version, out)
		}
	}
}
