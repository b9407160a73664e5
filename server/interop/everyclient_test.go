package interop

import (
	"context"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// everyClient is a client of the go-sdk that can do all that it can be asked for, and keeps what it is told.
type everyClient struct {
	*mcp.ClientSession
	sdk      *mcp.Client
	revision string

	logs      chan *mcp.LoggingMessageParams
	progress  chan *mcp.ProgressNotificationParams
	updated   chan string // URIs
	tools     chan struct{}
	prompts   chan struct{}
	completed chan string // elicitation ids

	mu    sync.Mutex
	pages []*mcp.ElicitParams // that the user was sent to
}

// enough is the capacity of the channels: no test is told more.
const enough = 100

// answers are what the user fills in, whatever the form: the fields that it has.
var answers = map[string]any{
	"name": "Alice", "color": "blue", "ok": true, "confirm": true, "context": "tests", "username": "alice",
	"email": "a@example.com", "untitledSingle": "option1", "titledSingle": "value2", "legacyEnum": "opt3",
	"untitledMulti": []any{"option1", "option3"}, "titledMulti": []any{"value1"},
}

// defaults is the message of the form that is accepted as it comes.
const defaults = "Test defaults for primitives"

func newEveryClient(revision string) *everyClient {
	c := &everyClient{
		revision: revision,
		logs:     make(chan *mcp.LoggingMessageParams, enough), progress: make(chan *mcp.ProgressNotificationParams, enough),
		updated: make(chan string, enough), tools: make(chan struct{}, enough), prompts: make(chan struct{}, enough),
		completed: make(chan string, enough),
	}
	c.sdk = mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1.0.0"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{
			RootsV2:     &mcp.RootCapabilities{ListChanged: true},
			Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{}},
		},
		ElicitationHandler:          c.elicit,
		CreateMessageHandler:        c.sample,
		LoggingMessageHandler:       func(_ context.Context, r *mcp.LoggingMessageRequest) { c.logs <- r.Params },
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { c.progress <- r.Params },
		ResourceUpdatedHandler:      func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { c.updated <- r.Params.URI },
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { c.tools <- struct{}{} },
		PromptListChangedHandler:    func(context.Context, *mcp.PromptListChangedRequest) { c.prompts <- struct{}{} },
		ElicitationCompleteHandler: func(_ context.Context, r *mcp.ElicitationCompleteNotificationRequest) {
			c.completed <- r.Params.ElicitationID
		},
	})
	c.sdk.AddRoots(&mcp.Root{URI: "file:///work", Name: "work"})
	return c
}

// connectEverything opens a session. Its context is that of the test: the event stream of HTTP+SSE lives as long.
func connectEverything(t *testing.T, transport mcp.Transport, revision string) *everyClient {
	t.Helper()
	c := newEveryClient(revision)
	session, err := c.sdk.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatalf("connect with %s: %v", revision, err)
	}
	t.Cleanup(func() { _ = session.Close() })
	c.ClientSession = session
	if got := session.InitializeResult().ProtocolVersion; got != revision {
		t.Fatalf("negotiated %s, want %s", got, revision)
	}
	t.Logf("ran: go-sdk client, %T, %s", transport, revision)
	return c
}

func everythingStdio() *mcp.CommandTransport {
	return &mcp.CommandTransport{Command: exec.Command(everyBin, "--stdio", "--page", "3", "--log-level", "error")}
}

func (c *everyClient) elicit(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	if req.Params.URL != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pages = append(c.pages, req.Params)
		return &mcp.ElicitResult{Action: "accept"}, nil
	}
	content := map[string]any{}
	schema, _ := req.Params.RequestedSchema.(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		if v, ok := answers[name]; ok && req.Params.Message != defaults {
			content[name] = v
		}
	}
	return &mcp.ElicitResult{Action: "accept", Content: content}, nil
}

func (c *everyClient) sample(_ context.Context, req *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	question, _ := req.Params.Messages[0].Content.(*mcp.TextContent)
	return &mcp.CreateMessageResult{Role: "assistant", Model: "m", Content: &mcp.TextContent{Text: "re: " + question.Text}}, nil
}

// takePages returns where the user was sent since the last time.
func (c *everyClient) takePages() []*mcp.ElicitParams {
	c.mu.Lock()
	defer c.mu.Unlock()
	pages := c.pages
	c.pages = nil
	return pages
}

// modern reports whether the client speaks the stateless revision.
func (c *everyClient) modern() bool { return c.revision >= modern }

// run calls a tool and returns all text of the result; an error of the tool is no failure.
func (c *everyClient) run(t *testing.T, params *mcp.CallToolParams) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	res, err := c.CallTool(ctx, params)
	if err != nil {
		return err.Error(), true
	}
	var text string
	for _, content := range res.Content {
		if c, ok := content.(*mcp.TextContent); ok {
			text += c.Text
		}
	}
	return text, res.IsError
}

// await returns the next value of a channel.
func await[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(10 * time.Second):
		t.Errorf("%s: nothing after 10s", what)
	}
	return v
}

// provoke does something until what it causes is seen: the stream for it may be open only a moment after the session.
func provoke[T any](t *testing.T, from <-chan T, what string, do func()) {
	t.Helper()
	for range 20 {
		do()
		select {
		case <-from:
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
	t.Errorf("%s: not told of it", what)
}
