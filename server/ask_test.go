package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/server/mcp"
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
	tl.mcp = mcp.NewServer(&mcp.Implementation{Name: "test"}, &mcp.ServerOptions{Logger: quiet, InputTimeout: 100 * time.Millisecond})
	tl.addAsk(30 * time.Millisecond)
	p := serve(t, &Server{MCP: tl.mcp}).dial()
	handshakeAs(t, p, mcp.Version20251125, asks)
	begun := time.Now()
	p.send(toolCall("1", "ask"))
	id := questionID(t, mustRead(t, p))
	want(t, p, withdrawn(id))
	if got := mustRead(t, p); !strings.Contains(got, "no answer within 100ms") {
		t.Errorf("answer: %s", got)
	}
	if took := time.Since(begun); took < 100*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
}
