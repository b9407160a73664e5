package docs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// addNotes adds a resource and a template.
func addNotes(s *mcp.Server, notes map[string]string) {
	s.AddResource(&mcp.Resource{
		URI: "note:///index", Name: "index", Description: "The names of all notes.", MIMEType: "text/plain",
	}, func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		var names []string
		for name := range notes {
			names = append(names, name)
		}
		slices.Sort(names)
		return &mcp.ReadResourceResult{
			Contents:  []*mcp.ResourceContents{{Text: strings.Join(names, "\n")}},
			Cacheable: mcp.Cacheable{TTLMs: 5000, CacheScope: mcp.CacheScopePublic},
		}, nil
	})
	s.AddResourceTemplate(&mcp.ResourceTemplate{
		URITemplate: "note:///notes/{name}", Name: "note", Description: "One note.", MIMEType: "text/markdown",
	}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		text, ok := notes[req.Params.Variables["name"]]
		if !ok {
			return nil, mcp.ResourceNotFoundError(req.Params.URI)
		}
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{Text: text}}}, nil
	})
}

func Example_resources() {
	s := newServer()
	addNotes(s, map[string]string{"today": "# Today", "later": "# Later"})
	talk(s,
		modern(1, "resources/read", `"uri":"note:///index"`),
		modern(2, "resources/read", `"uri":"note:///notes/today"`),
		modern(3, "resources/read", `"uri":"note:///notes/never"`),
	)
	// Output:
	// {"id":1,"result":{"contents":[{"uri":"note:///index","mimeType":"text/plain","text":"later\ntoday"}],"ttlMs":5000,"cacheScope":"public"}}
	// {"id":2,"result":{"contents":[{"uri":"note:///notes/today","mimeType":"text/markdown","text":"# Today"}],"ttlMs":0,"cacheScope":"private"}}
	// {"id":3,"error":{"code":-32602,"message":"Resource not found","data":{"uri":"note:///notes/never"}}}
}

// saveNote is what a program does when a resource has changed.
func saveNote(ctx context.Context, s *mcp.Server, name string) error {
	// ... write it, then:
	return s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "note:///notes/" + name})
}

func Example_subscription() {
	s := newServer()
	addNotes(s, map[string]string{"today": "# Today"})
	client := dial(s)
	defer client.close()
	client.send(modern(1, "subscriptions/listen", `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["note:///notes/today","note:///nothing"]}`))
	show(client.read())
	_ = saveNote(context.Background(), s, "today")
	show(client.read())
	addConvert(s)
	// Nothing comes of that: there were no tools when the subscription was granted.
	// Output:
	// {"method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"notifications":{"resourceSubscriptions":["note:///notes/today"]}}}
	// {"method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"uri":"note:///notes/today"}}
}

// addReview adds a prompt with arguments.
func addReview(s *mcp.Server) {
	s.AddPrompt(&mcp.Prompt{
		Name: "review", Title: "Review a change", Description: "Asks for a review.",
		Arguments: []*mcp.PromptArgument{
			{Name: "language", Description: "programming language", Required: true},
			{Name: "focus", Description: "what to look at"},
		},
	}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		text := "Review this " + req.Params.Arguments["language"] + " code."
		if focus := req.Params.Arguments["focus"]; focus != "" {
			text += " Look at " + focus + "."
		}
		return &mcp.GetPromptResult{
			Messages: []*mcp.PromptMessage{{Role: mcp.RoleUser, Content: &mcp.TextContent{Text: text}}},
		}, nil
	})
}

func Example_prompts() {
	s := newServer()
	addReview(s)
	talk(s,
		modern(1, "prompts/get", `"name":"review","arguments":{"language":"Go"}`),
		modern(2, "prompts/get", `"name":"review"`),
	)
	// Output:
	// {"id":1,"result":{"messages":[{"role":"user","content":{"type":"text","text":"Review this Go code."}}]}}
	// {"id":2,"error":{"code":-32602,"message":"prompt \"review\" needs the argument \"language\""}}
}

var languages = []string{"C", "Go", "Gleam", "Rust"}

// completeLanguage suggests values for the argument language of the prompt review.
func completeLanguage(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	res := &mcp.CompleteResult{}
	if req.Params.Ref.Name == "review" && req.Params.Argument.Name == "language" {
		for _, l := range languages {
			if strings.HasPrefix(l, req.Params.Argument.Value) {
				res.Completion.Values = append(res.Completion.Values, l)
			}
		}
	}
	return res, nil
}

func Example_completion() {
	s := mcp.NewServer(&mcp.Implementation{Name: "docs", Version: "1"}, &mcp.ServerOptions{
		CompletionHandler: completeLanguage,
	})
	addReview(s)
	talk(s, modern(1, "completion/complete", `"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"language","value":"G"}`))
	// Output:
	// {"id":1,"result":{"completion":{"values":["Go","Gleam"]}}}
}

// importFiles logs to the client that calls it, with the logger of the program's
// own habit.
func importFiles(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	log := slog.New(mcp.NewLoggingHandler(req.Session, &mcp.LoggingHandlerOptions{LoggerName: "import"}))
	log.DebugContext(ctx, "looking for files")
	err := req.Session.Log(ctx, &mcp.LoggingMessageParams{
		Level: "warning", Logger: "import", Data: map[string]any{"skipped": 2},
	})
	return nil, nil, err
}

func Example_logging() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "import_files"}, importFiles)
	talk(s,
		modernWith(1, "tools/call", `"name":"import_files"`, `{},"io.modelcontextprotocol/logLevel":"info"}`),
		modern(2, "tools/call", `"name":"import_files"`), // asks for no messages
	)
	// Output:
	// {"method":"notifications/message","params":{"level":"warning","logger":"import","data":{"skipped":2}}}
	// {"id":1,"result":{"content":[]}}
	// {"id":2,"result":{"content":[]}}
}

func newPagedServer() *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "docs", Version: "1"}, &mcp.ServerOptions{
		PageSize: 100,
		ListTTL:  30 * time.Second,
	})
}

func Example_caching() {
	s := newPagedServer()
	s.AddPrompt(&mcp.Prompt{Name: "hello"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{}, nil
	})
	talk(s,
		modern(1, "prompts/list", ""),
		modern(2, "prompts/list", `"cursor":"made up"`),
	)
	// Output:
	// {"id":1,"result":{"prompts":[{"name":"hello"}],"ttlMs":30000,"cacheScope":"public"}}
	// {"id":2,"error":{"code":-32602,"message":"params.cursor is not a cursor of prompts/list; begin again without one"}}
}

// newScopedServer shows tools only to who may use them.
func newScopedServer() *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "docs", Version: "1"}, &mcp.ServerOptions{
		ToolFilter: func(_ context.Context, c *mcp.Caller, t *mcp.Tool) bool {
			if scope, ok := t.Meta["example.com/scope"].(string); ok {
				return c.Principal.HasScope(scope)
			}
			return true
		},
	})
}

func Example_views() {
	s := newScopedServer()
	addConvert(s)
	mcp.AddTool(s, &mcp.Tool{Name: "erase", Meta: mcp.Meta{"example.com/scope": "admin"}},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return nil, nil, nil
		})
	talk(s, modern(1, "tools/call", `"name":"erase"`))
	// Output:
	// {"id":1,"error":{"code":-32602,"message":"unknown tool \"erase\""}}
}

// logIn adds a tool to the session of who calls it.
func logIn(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	err := mcp.AddSessionTool(req.Session, &mcp.Tool{Name: "log_out"},
		func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			req.Session.RemoveTools("log_out")
			return nil, nil, nil
		})
	return nil, nil, err
}

func Example_sessionTools() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "log_in"}, logIn)
	talk(s, append(session[:len(session):len(session)],
		legacy(1, "tools/call", `"name":"log_in"`),
		legacy(2, "tools/call", `"name":"log_out"`),
		legacy(3, "tools/call", `"name":"log_out"`),
	)...)
	talk(s, modern(4, "tools/call", `"name":"log_in"`))
	// Output:
	// {"method":"notifications/tools/list_changed"}
	// {"id":1,"result":{"content":[]}}
	// {"method":"notifications/tools/list_changed"}
	// {"id":2,"result":{"content":[]}}
	// {"id":3,"error":{"code":-32602,"message":"unknown tool \"log_out\""}}
	// {"id":4,"result":{"content":[{"type":"text","text":"mcp: only sessions up to 2025-11-25 have tools of their own: on 2026-07-28 lists do not depend on the connection"}],"isError":true}}
}

// newSearchServer has a method of our own, and declares the extension that it belongs to.
func newSearchServer() *mcp.Server {
	caps := &mcp.ServerCapabilities{Logging: &mcp.LoggingCapabilities{}}
	caps.AddExtension("example.com/search", map[string]any{"maxResults": 10})
	s := mcp.NewServer(&mcp.Implementation{Name: "docs", Version: "1"}, &mcp.ServerOptions{Capabilities: caps})
	s.AddMethod("example.com/search", func(_ context.Context, req *mcp.CustomRequest) (any, error) {
		var p struct {
			Query string `json:"query"`
		}
		if json.Unmarshal(req.Params.Raw, &p) != nil || p.Query == "" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "example.com/search needs params.query, a string"}
		}
		if _, ok := req.ClientExtension("example.com/search"); !ok {
			return nil, &jsonrpc.Error{
				Code: mcp.CodeMissingClientCapability, Message: "Missing required client capability",
				Data: mcp.MissingRequiredClientCapabilityData{
					RequiredCapabilities: &mcp.ClientCapabilities{Extensions: map[string]any{"example.com/search": struct{}{}}},
				},
			}
		}
		return map[string]any{"found": []string{p.Query}}, nil
	})
	return s
}

func Example_extensions() {
	s := newSearchServer()
	talk(s,
		modern(1, "example.com/search", `"query":"mill"`),
		modernWith(2, "example.com/search", `"query":"mill"`, `{"extensions":{"example.com/search":{}}}}`),
	)
	// Output:
	// {"id":1,"error":{"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"extensions":{"example.com/search":{}}}}}}
	// {"id":2,"result":{"found":["mill"]}}
}

type searchParams struct {
	mcp.ParamsBase
	Query string `json:"query"`
}

type searchResult struct {
	mcp.ResultBase
	Found []string `json:"found"`
}

// addTypedSearch adds a method with decoded params, in the form of the official SDK.
func addTypedSearch(s *mcp.Server) error {
	return mcp.AddReceivingCustomMethod(s, "example.com/search",
		func(_ context.Context, _ *mcp.ServerSession, p *searchParams) (*searchResult, error) {
			return &searchResult{Found: []string{p.Query}}, nil
		})
}

func Example_typedMethod() {
	s := newServer()
	if err := addTypedSearch(s); err != nil {
		fmt.Println(err)
	}
	talk(s,
		modern(1, "example.com/search", `"query":"mill"`),
		modern(2, "example.com/search", `"query":7`),
	)
	// Output:
	// {"id":1,"result":{"found":["mill"]}}
	// {"id":2,"error":{"code":-32602,"message":"invalid params of example.com/search: query must not be a JSON number"}}
}

// letGo is for a call that takes long.
func letGo(req *mcp.CallToolRequest) {
	req.CloseStream(10 * time.Second)
}

var _ = letGo
