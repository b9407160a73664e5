// Command mcpgo is github.com/mark3labs/mcp-go as a peer of the bench suite: Streamable HTTP on /mcp over net/http.
//
// It is stateless, the mode that touches no table of sessions; it answers application/json by itself as long as a tool
// sends no notification. Validation of arguments is opt-in in this SDK and switched on, because all others validate.
// Tools have typed arguments, and their schemas are made from these types by WithInputSchema: the SDK keeps the result
// as JSON, while it would encode a schema of WithString and its kin anew for every validation.
package main

import (
	"context"
	"flag"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"millrace/benchmarks/servers/probe"
	"millrace/benchmarks/servers/work"
)

func main() {
	listen, probeAddr := probe.Flags()
	flag.Parse()
	s := server.NewMCPServer("bench", "1.0.0", server.WithToolCapabilities(false), server.WithInputSchemaValidation())
	s.AddTool(tool[echoArgs]("echo", "echo the text"), mcp.NewTypedToolHandler(echo))
	s.AddTool(tool[timeArgs]("burn", "compute for some milliseconds"), mcp.NewTypedToolHandler(burn))
	s.AddTool(tool[timeArgs]("sleep", "sleep for some milliseconds"), mcp.NewTypedToolHandler(sleep))
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s, server.WithStateLess(true)))
	probe.Serve(*listen, *probeAddr, mux)
}

func tool[Args any](name, description string) mcp.Tool {
	return mcp.NewTool(name, mcp.WithDescription(description), mcp.WithInputSchema[Args]())
}

type echoArgs struct {
	Text string `json:"text"`
}

type timeArgs struct {
	MS float64 `json:"ms"`
}

func echo(_ context.Context, _ mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(in.Text), nil
}

func burn(_ context.Context, _ mcp.CallToolRequest, in timeArgs) (*mcp.CallToolResult, error) {
	work.Burn(in.MS)
	return mcp.NewToolResultText("done"), nil
}

func sleep(ctx context.Context, _ mcp.CallToolRequest, in timeArgs) (*mcp.CallToolResult, error) {
	if err := work.Sleep(ctx, in.MS); err != nil {
		return nil, err
	}
	return mcp.NewToolResultText("done"), nil
}
