package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"millrace/codec/jsonrpc"
)

// form is a question to the user for one string called name.
func form(name string) *ElicitParams {
	return &ElicitParams{Message: "which " + name + "?", RequestedSchema: rawJSON(
		`{"type":"object","properties":{"` + name + `":{"type":"string"}},"required":["` + name + `"]}`)}
}

// said is a tool result with one text.
func said(format string, args ...any) *CallToolResult {
	return &CallToolResult{Content: []Content{&TextContent{Text: fmt.Sprintf(format, args...)}}}
}

// rawTool adds a tool that takes any arguments.
func rawTool(s *Server, t *Tool, h func(context.Context, *CallToolRequest) (*CallToolResult, error)) {
	t.InputSchema = rawJSON(`{"type":"object"}`)
	s.AddTool(t, h)
}

// whole is a server with everything that the protocol has beside tools.
func whole(o *ServerOptions) *Server {
	if o == nil {
		o = quiet()
	}
	if o.CompletionHandler == nil {
		o.CompletionHandler = complete
	}
	s := NewServer(&Implementation{Name: "whole", Version: "1"}, o)
	addPrompts(s)
	addResources(s)
	addAskingTools(s)
	addTaskTools(s)
	s.AddMethod("example.com/echo", func(_ context.Context, req *CustomRequest) (any, error) {
		var params map[string]any
		if err := json.Unmarshal(req.Params.Raw, &params); err != nil {
			return nil, err
		}
		delete(params, "_meta")
		return map[string]any{"params": params, "meta": req.Params.Meta["example.com/m"]}, nil
	})
	return s
}

func complete(_ context.Context, req *CompleteRequest) (*CompleteResult, error) {
	values := []string{req.Params.Ref.Type, req.Params.Argument.Name + "=" + req.Params.Argument.Value}
	if c := req.Params.Context; c != nil {
		values = append(values, "after "+c.Arguments["tone"])
	}
	return &CompleteResult{Completion: CompletionResultDetails{Values: values, Total: 7, HasMore: true}}, nil
}

func addPrompts(s *Server) {
	s.AddPrompt(&Prompt{
		Name: "greet", Title: "Greeting", Description: "greets", Icons: []Icon{{Source: "data:,g"}}, Meta: Meta{"example.com/p": 1},
		Arguments: []*PromptArgument{
			{Name: "who", Title: "Who", Description: "whom to greet", Required: true},
			{Name: "tone", Title: "Tone"},
		},
	}, func(_ context.Context, req *GetPromptRequest) (*GetPromptResult, error) {
		a := req.Params.Arguments
		return &GetPromptResult{Description: "a greeting", Meta: Meta{"example.com/r": true}, Messages: []*PromptMessage{
			{Role: RoleUser, Content: &TextContent{Text: "greet " + a["who"] + a["tone"]}},
		}}, nil
	})
	s.AddPrompt(&Prompt{Name: "kinds"}, func(context.Context, *GetPromptRequest) (*GetPromptResult, error) {
		res := &GetPromptResult{}
		for _, c := range contents().Content {
			if c != nil {
				res.Messages = append(res.Messages, &PromptMessage{Role: RoleAssistant, Content: c})
			}
		}
		return res, nil
	})
	s.AddPrompt(&Prompt{Name: "lost"}, func(context.Context, *GetPromptRequest) (*GetPromptResult, error) {
		return nil, fmt.Errorf("wrapped: %w", &jsonrpc.Error{Code: -31000, Message: "lost", Data: rawJSON(`{"a":1}`)})
	})
	s.AddPrompt(&Prompt{Name: "nothing"}, func(context.Context, *GetPromptRequest) (*GetPromptResult, error) { return nil, nil })
	s.AddPrompt(&Prompt{Name: "personal", Arguments: []*PromptArgument{{Name: "style"}}},
		func(ctx context.Context, req *GetPromptRequest) (*GetPromptResult, error) {
			res, err := req.Elicit(ctx, "name", form("name"))
			if err != nil {
				return nil, err
			}
			return &GetPromptResult{Messages: []*PromptMessage{
				{Role: RoleUser, Content: &TextContent{Text: fmt.Sprintf("%s %v", res.Action, res.Content["name"])}},
			}}, nil
		})
}

func addResources(s *Server) {
	readme := &ReadResourceResult{Contents: []*ResourceContents{{Text: "hello"}}}
	s.AddResource(&Resource{
		URI: "file:///readme.txt", Name: "readme", Title: "Read me", Description: "what this is", MIMEType: "text/plain", Size: 5,
		Annotations: &Annotations{Audience: []Role{RoleUser}, Priority: 0.5, LastModified: "2025-01-12T15:00:58Z"},
		Icons:       []Icon{{Source: "data:,r"}}, Meta: Meta{"example.com/r": 1},
	}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) { return readme, nil })
	s.AddResource(&Resource{URI: "file:///dir", Name: "dir"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return &ReadResourceResult{
			Meta: Meta{"example.com/d": 1}, Cacheable: Cacheable{TTLMs: 1000, CacheScope: CacheScopePublic},
			Contents: []*ResourceContents{
				{URI: "file:///dir/a", Text: "a", MIMEType: "text/x-a", Meta: Meta{"example.com/c": 1}},
				nil,
				{URI: "file:///dir/b", Blob: []byte{0, 255}},
				{URI: "file:///dir/empty", Blob: []byte{}},
			},
		}, nil
	})
	s.AddResource(&Resource{URI: "file:///gone", Name: "gone"}, func(_ context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
		return nil, fmt.Errorf("looking: %w", ResourceNotFoundError(req.Params.URI))
	})
	s.AddResource(&Resource{URI: "file:///failing", Name: "failing"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return nil, errors.New("the disk is on fire")
	})
	s.AddResource(&Resource{URI: "file:///nothing", Name: "nothing"}, func(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) {
		return nil, nil
	})
	s.AddResource(&Resource{URI: "file:///personal", Name: "personal"}, func(ctx context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
		res, err := req.Elicit(ctx, "name", form("name"))
		if err != nil {
			return nil, err
		}
		return &ReadResourceResult{Contents: []*ResourceContents{{Text: fmt.Sprintf("%s %v", res.Action, res.Content["name"])}}}, nil
	})
	variables := func(_ context.Context, req *ReadResourceRequest) (*ReadResourceResult, error) {
		text, err := json.Marshal(req.Params.Variables)
		return &ReadResourceResult{Contents: []*ResourceContents{{Text: string(text)}}}, err
	}
	s.AddResourceTemplate(&ResourceTemplate{
		URITemplate: "file:///logs/{day}/{+path}", Name: "logs", Title: "Logs", Description: "of a day", MIMEType: "text/log",
		Annotations: &Annotations{Priority: 1, LastModified: "2025-01-12T15:00:58Z"},
		Icons:       []Icon{{Source: "data:,t"}}, Meta: Meta{"example.com/t": 1},
	}, variables)
	s.AddResourceTemplate(&ResourceTemplate{URITemplate: "db:///{table}{?limit,after}", Name: "rows"}, variables)
}

func addAskingTools(s *Server) {
	AddTool(s, &Tool{Name: "log"}, func(ctx context.Context, req *CallToolRequest, in struct {
		Level string `json:"level"`
	}) (*CallToolResult, any, error) {
		err := req.Session.Log(ctx, &LoggingMessageParams{
			Level: LoggingLevel(in.Level), Logger: "tests", Data: map[string]any{"n": 1}, Meta: Meta{"example.com/l": 1},
		})
		return said("logged"), nil, err
	})
	rawTool(s, &Tool{Name: "confirm"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		res, err := req.Elicit(ctx, "color", form("color"))
		if err != nil {
			return nil, err
		}
		return said("%s %v", res.Action, res.Content), nil
	})
	rawTool(s, &Tool{Name: "survey"}, func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		answers, err := req.Ask(ctx, InputRequestMap{"form": form("size"), "model": sampling(), "roots": &ListRootsParams{}})
		if err != nil {
			return nil, err
		}
		var all []string
		for _, key := range sortedKeys(answers) {
			raw, err := json.Marshal(answers[key])
			if err != nil {
				return nil, err
			}
			all = append(all, key+" "+string(raw))
		}
		return said("%s", strings.Join(all, "; ")), nil
	})
	rawTool(s, &Tool{Name: "rounds"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		p := req.Params
		if len(p.RequestState) < 2 {
			key := "q" + p.RequestState
			return &CallToolResult{InputRequests: InputRequestMap{key: form("color")}, RequestState: p.RequestState + "x"}, nil
		}
		raw, err := json.Marshal(p.InputResponses)
		return said("state %s, answers %s", p.RequestState, raw), err
	})
	rawTool(s, &Tool{Name: "connect"}, func(_ context.Context, req *CallToolRequest) (*CallToolResult, error) {
		if len(req.Params.InputResponses) == 0 {
			return nil, URLElicitationRequiredError([]*ElicitParams{{Message: "connect", URL: "https://example.com/c", ElicitationID: "e1"}})
		}
		return said("connected"), nil
	})
}

func addTaskTools(s *Server) {
	job := func(ctx context.Context, req *CallToolRequest) (*CallToolResult, error) {
		if err := req.SetTaskMessage(ctx, "asking"); err != nil {
			return nil, err
		}
		res, err := req.Elicit(ctx, "color", form("color"))
		if err != nil {
			return nil, err
		}
		return said("painted %v", res.Content["color"]), nil
	}
	rawTool(s, &Tool{Name: "job", Task: TaskOptional}, job)
	rawTool(s, &Tool{Name: "must", Task: TaskRequired}, job)
	rawTool(s, &Tool{Name: "broken", Task: TaskRequired}, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
		return nil, &jsonrpc.Error{Code: -31000, Message: "broken"}
	})
}

func noResource(context.Context, *ReadResourceRequest) (*ReadResourceResult, error) { return nil, nil }

func noPrompt(context.Context, *GetPromptRequest) (*GetPromptResult, error) { return nil, nil }
