// Package bench is the MCP server that the two peers on the official Go SDK serve: three tools with typed arguments,
// whose schemas the SDK infers and validates.
package bench

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"millrace/benchmarks/servers/work"
)

// NewServer returns the server. It logs nothing, the SDK's default. One server serves all requests and connections,
// so schemas are inferred and resolved once.
func NewServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "echo the text"}, echo)
	mcp.AddTool(s, &mcp.Tool{Name: "burn", Description: "compute for some milliseconds"}, burn)
	mcp.AddTool(s, &mcp.Tool{Name: "sleep", Description: "sleep for some milliseconds"}, sleep)
	return s
}

type echoArgs struct {
	Text string `json:"text"`
}

type timeArgs struct {
	MS float64 `json:"ms"`
}

func echo(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
	return text(in.Text), nil, nil
}

func burn(_ context.Context, _ *mcp.CallToolRequest, in timeArgs) (*mcp.CallToolResult, any, error) {
	work.Burn(in.MS)
	return text("done"), nil, nil
}

func sleep(ctx context.Context, _ *mcp.CallToolRequest, in timeArgs) (*mcp.CallToolResult, any, error) {
	if err := work.Sleep(ctx, in.MS); err != nil {
		return nil, nil, err
	}
	return text("done"), nil, nil
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}
