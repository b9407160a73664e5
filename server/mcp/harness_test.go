package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/auth"
)

// wire records what is sent outside of responses.
type wire struct {
	mu   sync.Mutex
	msgs []string
	at   []time.Time

	// As a Host: what a client answers (nil: nothing), and what was answered early.
	reply   func(method, params string) (json.RawMessage, error)
	answers []string
	waits   int
	// What a host may refuse.
	deaf, over bool // Send, Answer
	busy       error
}

func (w *wire) Notify(msg []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.msgs = append(w.msgs, string(msg))
	w.at = append(w.at, time.Now())
}

func (w *wire) Send(msg []byte) bool {
	if w.deaf {
		return false
	}
	w.Notify(msg)
	return true
}

func (w *wire) Request(ctx context.Context, method string, params []byte) (json.RawMessage, error) {
	w.Notify(jsonrpc.AppendRequest(nil, []byte(`"s"`), method, params))
	w.mu.Lock()
	reply := w.reply
	w.mu.Unlock()
	if reply == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return reply(method, string(params))
}

func (w *wire) Wait(wait func()) error {
	w.mu.Lock()
	w.waits++
	w.mu.Unlock()
	if w.busy != nil {
		return w.busy
	}
	wait()
	return nil
}

func (w *wire) Answer(msg []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	w.answers = append(w.answers, string(msg))
	return true
}

func (w *wire) CloseStream(time.Duration) bool { return true }

func (w *wire) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	msgs := w.msgs
	w.msgs, w.at = nil, nil
	return msgs
}

func (w *wire) takeAnswers() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	answers := w.answers
	w.answers = nil
	return answers
}

// client drives a server as a host does.
type client struct {
	t         testing.TB
	s         *Server
	session   *ServerSession // legacy era
	notifier  *wire
	peer      *wire
	version   string
	principal *auth.Principal
	// caps are its capabilities, JSON; "" is {} on 2026-07-28.
	caps string
}

// Capabilities of clients.
const (
	capsRoots = `{"roots":{"listChanged":true}}`
	capsAll   = `{"roots":{},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}}}`
	capsTasks = `{"elicitation":{},"extensions":{"` + TasksExtension + `":{}}}`
)

// dial returns a client of the given revision, in the legacy era with an
// initialized session.
func dial(t testing.TB, s *Server, version string) *client {
	t.Helper()
	if IsModern(version) {
		return dialWith(t, s, version, "")
	}
	return dialWith(t, s, version, capsRoots)
}

// dialWith is dial for a client with other capabilities.
func dialWith(t testing.TB, s *Server, version, caps string) *client {
	t.Helper()
	c := &client{t: t, s: s, notifier: &wire{}, peer: &wire{}, version: version, caps: caps}
	if IsModern(version) {
		return c
	}
	c.session = s.NewSession("session-1", c.peer)
	out, status := c.raw(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":` + caps + `,"clientInfo":{"name":"tester","version":"1"}}}`)
	if status != 200 || !strings.Contains(out, `"result"`) {
		t.Fatalf("initialize = %d %s", status, out)
	}
	c.raw(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

// as is the same client for another principal.
func (c *client) as(id string, scopes ...string) *client {
	other := *c
	other.notifier = &wire{}
	other.principal = &auth.Principal{ID: id, Scopes: scopes}
	return &other
}

// parse makes the Call of a message as a host would.
func (c *client) parse(message string) (*Call, *jsonrpc.Error) {
	c.t.Helper()
	var m struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		c.t.Fatalf("%s: %v", message, err)
	}
	meta, err := ParseMeta(m.Params)
	call := &Call{
		Method: m.Method, ID: m.ID, Params: m.Params, Meta: meta, Session: c.session,
		Modern: c.session == nil, Version: c.version, Principal: c.principal,
	}
	if c.notifier != nil {
		call.Notifier, call.Host = c.notifier, c.notifier
	}
	return call, err
}

// raw runs one message, a request or a notification.
func (c *client) raw(message string) (string, int) {
	c.t.Helper()
	call, err := c.parse(message)
	if err == nil && call.Modern {
		if err = CheckModern(&call.Meta); err == nil {
			err = c.s.CheckVersion(call.Meta.ProtocolVersion)
		}
	}
	if err != nil {
		return string(jsonrpc.AppendError(nil, call.ID, err)), 400
	}
	c.s.Plan(call)
	if call.ID == nil {
		c.s.Notified(context.Background(), call)
		return "", 202
	}
	const before = "what was there"
	out, status := c.s.Serve(context.Background(), call, []byte(before))
	rest, ok := strings.CutPrefix(string(out), before)
	if !ok || !json.Valid([]byte(rest)) || !jsonrpc.SingleLine([]byte(rest)) {
		c.t.Errorf("%s: the answer is not one message after what was there: %q", message, out)
	}
	return rest, status
}

// ask runs a request with params given as the inside of an object, adding what
// the stateless era needs.
func (c *client) ask(method, params string) string {
	c.t.Helper()
	out, _ := c.raw(c.message(method, params))
	return out
}

// message is what ask sends.
func (c *client) message(method, params string) string {
	if c.session == nil {
		caps := c.caps
		if caps == "" {
			caps = "{}"
		}
		own := `"` + MetaKeyProtocolVersion + `":"2026-07-28","` + MetaKeyClientCapabilities + `":` + caps
		switch {
		case strings.Contains(params, `"_meta":{`):
			params = strings.Replace(params, `"_meta":{`, `"_meta":{`+own+`,`, 1)
		case params != "":
			params = `"_meta":{` + own + `},` + params
		default:
			params = `"_meta":{` + own + `}`
		}
	}
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `}}`
}

type echoArgs struct {
	Text string `json:"text" jsonschema:"what to send back"`
}

type addArgs struct {
	A int `json:"a"`
	B int `json:"b"`
}

type sum struct {
	Sum int `json:"sum"`
}

func echo(_ context.Context, _ *CallToolRequest, in echoArgs) (*CallToolResult, any, error) {
	return &CallToolResult{Content: []Content{&TextContent{Text: in.Text}}}, nil, nil
}

func quiet() *ServerOptions {
	return &ServerOptions{Logger: slog.New(slog.DiscardHandler)}
}

// fixture is a server with a tool for every kind of answer.
func fixture(o *ServerOptions) *Server {
	if o == nil {
		o = quiet()
	}
	s := NewServer(&Implementation{
		Name: "fixture", Version: "1.2.3", Title: "Fixture", WebsiteURL: "https://example.com",
		Icons: []Icon{{Source: "https://example.com/i.png", MIMEType: "image/png", Sizes: []string{"48x48"}, Theme: IconThemeDark}},
	}, o)
	no := false
	AddTool(s, &Tool{
		Name: "echo", Title: "Echo", Description: "sends back its text", Class: ClassInline,
		Annotations: &ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &no, Title: "Echo!"},
		Icons:       []Icon{{Source: "data:,"}},
		Meta:        Meta{"example.com/x": 1},
	}, echo)
	AddTool(s, &Tool{Name: "add", Description: "adds two numbers", Class: ClassCPU, Timeout: time.Second},
		func(_ context.Context, _ *CallToolRequest, in addArgs) (*CallToolResult, sum, error) {
			return nil, sum{in.A + in.B}, nil
		})
	AddTool(s, &Tool{Name: "list", Description: "returns an array"},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, []int, error) {
			return nil, []int{1, 2}, nil
		})
	AddTool(s, &Tool{Name: "fail", Description: "fails"},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
			return nil, nil, errors.New("no luck")
		})
	AddTool(s, &Tool{Name: "protocol", Description: "fails with a JSON-RPC error"},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
			return nil, nil, fmt.Errorf("wrapped: %w", &jsonrpc.Error{Code: -32002, Message: "gone"})
		})
	AddTool(s, &Tool{Name: "panic", Description: "panics"},
		func(context.Context, *CallToolRequest, any) (*CallToolResult, any, error) {
			panic("a secret argument")
		})
	s.AddTool(&Tool{Name: "contents", Description: "returns every kind of content", InputSchema: json.RawMessage(`{
		"type": "object"
	}`)}, func(context.Context, *CallToolRequest) (*CallToolResult, error) { return contents(), nil })
	return s
}

func contents() *CallToolResult {
	size := int64(7)
	return &CallToolResult{
		Meta: Meta{"example.com/k": "v", MetaKeyServerInfo: "not mine"},
		Content: []Content{
			&TextContent{Text: "a \"quoted\"\nline", Annotations: &Annotations{
				Audience: []Role{RoleUser, RoleAssistant}, Priority: 0.5, LastModified: "2025-01-12T15:00:58Z",
			}},
			nil,
			&ImageContent{Data: []byte{1, 2, 3}, MIMEType: "image/png"},
			&AudioContent{MIMEType: "audio/wav", Meta: Meta{"example.com/m": true}},
			&ResourceLink{
				URI: "file:///a", Name: "a", Title: "A", Description: "the a", MIMEType: "text/plain",
				Size: &size, Icons: []Icon{{Source: "data:,"}},
			},
			&EmbeddedResource{Resource: &ResourceContents{URI: "file:///b", Text: "", MIMEType: "text/plain"}},
			&EmbeddedResource{Resource: &ResourceContents{URI: "file:///c", Blob: []byte{0}, Meta: Meta{"example.com/b": 1}}},
		},
		StructuredContent: json.RawMessage("{\n\"n\": 1}"),
	}
}
