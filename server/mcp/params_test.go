package mcp

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// Prompts and resources ask by results, too, in both eras.
func TestPromptsAndResourcesByResults(t *testing.T) {
	s := empty(quiet())
	s.AddPrompt(&Prompt{Name: "p"}, func(_ context.Context, req *GetPromptRequest) (*GetPromptResult, error) {
		if len(req.Params.InputResponses) == 0 {
			return &GetPromptResult{InputRequests: InputRequestMap{"q": form("name")}, RequestState: "s"}, nil
		}
		text := req.Params.RequestState + " " + req.Params.InputResponses["q"].(*ElicitResult).Action
		return &GetPromptResult{Messages: []*PromptMessage{{Role: RoleUser, Content: &TextContent{Text: text}}}}, nil
	})
	s.AddResource(&Resource{URI: "x:r", Name: "r"}, func(_ context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
		if len(req.Params.InputResponses) == 0 {
			return &ReadResourceResult{InputRequests: InputRequestMap{"q": form("name")}, RequestState: "s"}, nil
		}
		text := req.Params.RequestState + " " + req.Params.InputResponses["q"].(*ElicitResult).Action
		return &ReadResourceResult{Contents: []*ResourceContents{{Text: text}}}, nil
	})
	for method, params := range map[string]string{"prompts/get": `"name":"p"`, "resources/read": `"uri":"x:r"`} {
		modern := dialWith(t, s, Version20260728, capsAll)
		a := modern.rounds(method, params)
		if out := modern.ask(method, a.with(params)+`,"inputResponses":{"q":{"action":"decline"}}`); !strings.Contains(out, `"text":"s decline"`) {
			t.Errorf("2026-07-28: %s", out)
		}
		legacy := dialWith(t, s, Version20251125, capsAll)
		legacy.notifier.reply = func(string, string) (json.RawMessage, error) { return rawJSON(`{"action":"decline"}`), nil }
		if out := legacy.ask(method, params); !strings.Contains(out, `"text":"s decline"`) {
			t.Errorf("2025-11-25: %s", out)
		}
	}
}

func TestBadPromptResults(t *testing.T) {
	for name, messages := range map[string][]*PromptMessage{
		"nil":         {nil},
		"no content":  {{Role: RoleUser}},
		"unencodable": {{Role: RoleUser, Content: &TextContent{Meta: Meta{"x": make(chan int)}}}},
	} {
		s := empty(quiet())
		s.AddPrompt(&Prompt{Name: "p"}, func(context.Context, *GetPromptRequest) (*GetPromptResult, error) {
			return &GetPromptResult{Messages: messages}, nil
		})
		if out := dial(t, s, Version20251125).ask("prompts/get", `"name":"p"`); !strings.Contains(out, `"code":-32603`) {
			t.Errorf("%s: %s", name, out)
		}
	}
	s := empty(quiet())
	s.AddResource(&Resource{URI: "x:", Name: "x"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{Contents: []*ResourceContents{{Meta: Meta{"x": make(chan int)}}}}, nil
	})
	if out := dial(t, s, Version20251125).ask("resources/read", `"uri":"x:"`); !strings.Contains(out, `"code":-32603`) {
		t.Errorf("a resource: %s", out)
	}
}

func TestProgressTokens(t *testing.T) {
	s := empty(quiet())
	var got []any
	s.AddPrompt(&Prompt{Name: "p"}, func(ctx context.Context, req *GetPromptRequest) (*GetPromptResult, error) {
		got = append(got, req.Params.GetProgressToken())
		return nil, req.Session.NotifyProgress(ctx, &ProgressNotificationParams{Progress: 1})
	})
	s.AddResource(&Resource{URI: "x:", Name: "x"}, func(ctx context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
		got = append(got, req.Params.GetProgressToken())
		return nil, req.Session.NotifyProgress(ctx, &ProgressNotificationParams{Progress: 1})
	})
	for _, version := range SupportedVersions() {
		got = nil
		c := dial(t, s, version)
		c.ask("prompts/get", `"name":"p","_meta":{"progressToken":"a"}`)
		c.ask("resources/read", `"uri":"x:","_meta":{"progressToken":5}`)
		sent := strings.Join(c.notifier.take(), " ")
		if len(got) != 2 || got[0] != "a" || got[1] != 5.0 || !strings.Contains(sent, `"progressToken":"a"`) || !strings.Contains(sent, `"progressToken":5`) {
			t.Errorf("%s: tokens %v, sent %s", version, got, sent)
		}
	}
}

func TestRootsListChanged(t *testing.T) {
	o := quiet()
	calls := 0
	o.RootsListChangedHandler = func(_ context.Context, req *RootsListChangedRequest) {
		calls++
		if req.ProtocolVersion() != Version20250618 || req.ClientInfo().Name != "tester" || !req.ClientCapabilities().Roots.ListChanged {
			t.Errorf("request %+v", req)
		}
	}
	for i, s := range []*Server{empty(o), empty(quiet())} {
		c := dial(t, s, Version20250618)
		calls = 0
		c.raw(`{"method":"notifications/roots/list_changed","params":{"_meta":{"x":1}}}`)
		c.raw(`{"method":"notifications/roots/list_changed","params":[]}`)
		if calls != 1-i {
			t.Errorf("server %d: %d calls", i, calls)
		}
	}
}

// Params of a wrong type are refused by every method.
func TestWrongTypes(t *testing.T) {
	legacy, modern := dial(t, whole(nil), Version20251125), dialWith(t, whole(nil), Version20260728, capsTasks)
	for method, params := range map[string]string{
		"prompts/list": `"cursor":[]`, "prompts/get": `"name":{}`, "resources/read": `"uri":[]`, "resources/subscribe": `"uri":{}`,
		"resources/unsubscribe": `"uri":1`, "completion/complete": `"ref":5`, "logging/setLevel": `"level":1`,
		"tasks/get": `"taskId":[]`, "tasks/update": `"taskId":"x","inputResponses":1`, "tasks/cancel": `"taskId":{}`,
	} {
		if m := methods[method]; m.serves(false) {
			if out := legacy.ask(method, params); !strings.Contains(out, `"code":-32602`) {
				t.Errorf("%s: %s", method, out)
			}
		}
		if m := methods[method]; m.serves(true) && method != "prompts/list" {
			if out, status := modern.raw(modern.message(method, params)); status != 400 || !strings.Contains(out, `"code":-32602`) {
				t.Errorf("%s: %d %s", method, status, out)
			}
		}
	}
}
