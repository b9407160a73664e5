// Command stress is a server for the load program, with tools that the daemon does not have: one that computes, and one
// that floods subscribers with events.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"millrace/benchmarks/servers/work"
	"millrace/server"
	"millrace/server/mcp"
)

// Resources are what flood changes. Their names are long, so that a few events fill the buffer of a socket.
const (
	resources  = 8
	nameLength = 4 << 10
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "`host:port` to listen on")
	admin := flag.String("admin", "127.0.0.1:9090", "`host:port` of the admin endpoint")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &server.Server{Addr: *listen, Admin: *admin, Pprof: true, MCP: newServer(), DrainTimeout: time.Second}
	if err := srv.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

func newServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "stress", Version: "1.0.0"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{Resources: &mcp.ResourceCapabilities{Subscribe: true}},
	})
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "Return the text."}, echo)
	mcp.AddTool(s, &mcp.Tool{Name: "burn", Description: "Compute.", Class: mcp.ClassCPU}, burn)
	var uris []string
	for i := range resources {
		uri := fmt.Sprintf("stress://%d/%s", i, strings.Repeat("x", nameLength))
		uris = append(uris, uri)
		s.AddResource(&mcp.Resource{URI: uri, Name: fmt.Sprint(i)}, read)
	}
	mcp.AddTool(s, &mcp.Tool{Name: "uris", Description: "Tell what flood changes."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return textResult(`"` + strings.Join(uris, `","`) + `"`), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "flood", Description: "Tell of a change of every resource."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			for _, uri := range uris {
				if err := s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
					return nil, nil, err
				}
			}
			return textResult("told"), nil, nil
		})
	return s
}

type echoArgs struct {
	Text string `json:"text"`
}

func echo(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
	return textResult(in.Text), nil, nil
}

type burnArgs struct {
	MS float64 `json:"ms" jsonschema:"milliseconds"`
}

func burn(_ context.Context, _ *mcp.CallToolRequest, in burnArgs) (*mcp.CallToolResult, any, error) {
	work.Burn(in.MS)
	return textResult("done"), nil, nil
}

func read(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "changing"}}}, nil
}

func textResult(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}
