package mcptest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// maxRounds is how often one request is repeated with answers.
const maxRounds = 64

// CallTool calls a tool with arguments that encode as a JSON object, and returns
// its result, with what the server asks meanwhile answered. A result with
// IsError is a result. A JSON-RPC error fails the test.
func (c *Client) CallTool(name string, arguments any) *mcp.CallToolResult {
	c.t.Helper()
	res, err := c.TryCallTool(c.ctx, name, arguments)
	if err != nil {
		c.t.Fatalf("mcptest: calling the tool %q: %v", name, err)
	}
	return res
}

// TryCallTool is CallTool with an error, see TryRequest. When ctx ends the call
// is cancelled, a task too.
func (c *Client) TryCallTool(ctx context.Context, name string, arguments any) (*mcp.CallToolResult, error) {
	params := map[string]any{"name": name}
	if arguments != nil {
		params["arguments"] = arguments
	}
	return converse[mcp.CallToolResult](ctx, c, "tool "+name, "tools/call", params)
}

// GetPrompt gets the messages of a prompt, as CallTool calls a tool.
func (c *Client) GetPrompt(name string, arguments map[string]string) *mcp.GetPromptResult {
	c.t.Helper()
	res, err := c.TryGetPrompt(c.ctx, name, arguments)
	if err != nil {
		c.t.Fatalf("mcptest: getting the prompt %q: %v", name, err)
	}
	return res
}

// TryGetPrompt is GetPrompt with an error, see TryRequest.
func (c *Client) TryGetPrompt(ctx context.Context, name string, arguments map[string]string) (*mcp.GetPromptResult, error) {
	params := map[string]any{"name": name}
	if arguments != nil {
		params["arguments"] = arguments
	}
	return converse[mcp.GetPromptResult](ctx, c, "prompt "+name, "prompts/get", params)
}

// ReadResource reads a resource, as CallTool calls a tool.
func (c *Client) ReadResource(uri string) *mcp.ReadResourceResult {
	c.t.Helper()
	res, err := c.TryReadResource(c.ctx, uri)
	if err != nil {
		c.t.Fatalf("mcptest: reading the resource %q: %v", uri, err)
	}
	return res
}

// TryReadResource is ReadResource with an error, see TryRequest.
func (c *Client) TryReadResource(ctx context.Context, uri string) (*mcp.ReadResourceResult, error) {
	return converse[mcp.ReadResourceResult](ctx, c, "resource "+uri, "resources/read", map[string]any{"uri": uri})
}

// Complete completes an argument.
func (c *Client) Complete(params *mcp.CompleteParams) *mcp.CompletionResultDetails {
	c.t.Helper()
	res := &mcp.CompleteResult{}
	c.request("completion/complete", params, res)
	return &res.Completion
}

// Discover returns what the server says of itself: on 2026-07-28 with
// server/discover, in a session what initialize was answered.
func (c *Client) Discover() *mcp.DiscoverResult {
	c.t.Helper()
	if c.opened != nil {
		return &mcp.DiscoverResult{
			SupportedVersions: []string{c.opened.ProtocolVersion},
			Capabilities:      c.opened.Capabilities, Instructions: c.opened.Instructions,
		}
	}
	res := &mcp.DiscoverResult{}
	c.request("server/discover", nil, res)
	return res
}

// ListTools lists all tools, page by page.
func (c *Client) ListTools() []*mcp.Tool {
	c.t.Helper()
	return list(c, "tools/list", func(r *mcp.ListToolsResult) ([]*mcp.Tool, string) { return r.Tools, r.NextCursor })
}

// ListPrompts lists all prompts, page by page.
func (c *Client) ListPrompts() []*mcp.Prompt {
	c.t.Helper()
	return list(c, "prompts/list", func(r *mcp.ListPromptsResult) ([]*mcp.Prompt, string) { return r.Prompts, r.NextCursor })
}

// ListResources lists all resources, page by page.
func (c *Client) ListResources() []*mcp.Resource {
	c.t.Helper()
	return list(c, "resources/list", func(r *mcp.ListResourcesResult) ([]*mcp.Resource, string) { return r.Resources, r.NextCursor })
}

// ListResourceTemplates lists all resource templates, page by page.
func (c *Client) ListResourceTemplates() []*mcp.ResourceTemplate {
	c.t.Helper()
	return list(c, "resources/templates/list", func(r *mcp.ListResourceTemplatesResult) ([]*mcp.ResourceTemplate, string) {
		return r.ResourceTemplates, r.NextCursor
	})
}

func list[R, F any](c *Client, method string, of func(*R) ([]F, string)) []F {
	c.t.Helper()
	var all []F
	var params map[string]any
	for {
		res := new(R)
		c.request(method, params, res)
		page, next := of(res)
		all = append(all, page...)
		if next == "" {
			return all
		}
		params = map[string]any{"cursor": next}
	}
}

// request is Request with a decoded result.
func (c *Client) request(method string, params, res any) {
	c.t.Helper()
	if err := json.Unmarshal(c.Request(method, params), res); err != nil {
		c.t.Fatalf("mcptest: the result of %s: %v", method, err)
	}
}

// converse sends a request that may ask for input and report progress, and
// decodes the result that it comes to.
func converse[R any](ctx context.Context, c *Client, name, method string, params map[string]any) (*R, error) {
	raw, err := c.rounds(ctx, name, method, params)
	if err != nil {
		return nil, err
	}
	res := new(R)
	if err := json.Unmarshal(raw, res); err != nil {
		return nil, fmt.Errorf("the result of %s: %w", method, err)
	}
	return res, nil
}

// rounds repeats a request until it has a result: "the client MUST ... retry the
// original request" with inputResponses and requestState (2026-07-28,
// basic/patterns/mrtr).
func (c *Client) rounds(ctx context.Context, name, method string, params map[string]any) (json.RawMessage, error) {
	token := fmt.Sprintf("progress-%d", c.lastID.Add(1))
	for range maxRounds {
		round := maps.Clone(params)
		round["_meta"] = map[string]any{"progressToken": token}
		raw, running, err := c.exchange(ctx, name, method, round)
		if err != nil {
			return nil, err
		}
		switch string(jsonrpc.Member(raw, "resultType")) {
		case `"input_required"`:
			answers, err := c.replies(jsonrpc.Member(raw, "inputRequests"))
			if err != nil {
				return nil, err
			}
			params = withInput(params, answers, jsonrpc.Member(raw, "requestState"))
		case `"task"`:
			return c.follow(ctx, running)
		default:
			return raw, nil
		}
	}
	return nil, fmt.Errorf("the server asked for input %d times", maxRounds)
}

// withInput returns params with the answers of one round instead of those of an
// earlier one.
func withInput(params map[string]any, answers map[string]json.RawMessage, state []byte) map[string]any {
	params = maps.Clone(params)
	delete(params, "inputResponses")
	delete(params, "requestState")
	if len(answers) > 0 {
		params["inputResponses"] = answers
	}
	if state != nil {
		params["requestState"] = json.RawMessage(state)
	}
	return params
}

// Text returns the texts of a result, joined by line breaks.
func Text(res *mcp.CallToolResult) string {
	var texts []string
	for _, c := range res.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			texts = append(texts, text.Text)
		}
	}
	return strings.Join(texts, "\n")
}

// Output decodes the structured content of a result. It fails the test when
// there is none, when it does not fit, and when the tool has failed.
func Output[Out any](t testing.TB, res *mcp.CallToolResult) Out {
	t.Helper()
	var out Out
	if res.IsError || res.StructuredContent == nil {
		t.Fatalf("mcptest: the result has no output: %s", Text(res))
	}
	raw, err := json.Marshal(res.StructuredContent)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatalf("mcptest: the output is no %T: %v", out, err)
	}
	return out
}
