// Command millrace is the server of this repository through its public API, with the tools of the suite and defaults
// for everything else. "echo" is of the default tool class, "echo-inline" the same handler of class inline.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"millrace/benchmarks/servers/probe"
	"millrace/benchmarks/servers/work"
	"millrace/server"
	"millrace/server/mcp"
)

// watched is the resource that clients subscribe to; "touch" changes it.
const watched = "bench://watched"

// maxSessions is above the default for the sake of the scenario with 15,000 idle ones.
const maxSessions = 20_000

func main() {
	loops := flag.Int("loops", 1, "event loops")
	few := flag.Bool("few", false, "no tools but those that the peers have")
	secure := flag.Bool("tls", false, "speak TLS")
	guarded := flag.Bool("guarded", false, "ask for a token, and judge and limit every call")
	listen, probeAddr := probe.Flags()
	flag.Parse()
	if err := run(*listen, *probeAddr, *loops, *few, *secure, *guarded); err != nil {
		fmt.Fprintln(os.Stderr, "millrace:", err)
		os.Exit(1)
	}
}

func run(listen, probeAddr string, loops int, few, secure, guarded bool) error {
	if err := probe.Start(probeAddr); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &server.Server{MCP: newServer(few), Loops: loops, MaxSessions: maxSessions, DrainTimeout: time.Second}
	l := server.Listener{Addr: listen}
	if secure {
		var err error
		if l.TLS, err = probe.SelfSigned(); err != nil {
			return err
		}
	}
	srv.Listeners = []server.Listener{l}
	if guarded {
		if err := guard(srv); err != nil {
			return err
		}
	}
	return srv.Run(ctx)
}

func newServer(few bool) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1.0.0"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{
			Tools:     &mcp.ToolCapabilities{},
			Resources: &mcp.ResourceCapabilities{Subscribe: true},
		},
	})
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "echo the text"}, echo)
	mcp.AddTool(s, &mcp.Tool{Name: "burn", Description: "compute", Class: mcp.ClassCPU}, burn)
	mcp.AddTool(s, &mcp.Tool{Name: "sleep", Description: "wait"}, sleep)
	if few {
		return s
	}
	mcp.AddTool(s, &mcp.Tool{Name: "echo-inline", Description: "echo the text", Class: mcp.ClassInline}, echo)
	mcp.AddTool(s, &mcp.Tool{Name: "progress", Description: "report progress"}, progress)
	mcp.AddTool(s, &mcp.Tool{Name: "touch", Description: "change the watched resource"}, toucher(s))
	s.AddResource(&mcp.Resource{URI: watched, Name: "watched"}, readWatched)
	return s
}

type echoArgs struct {
	Text string `json:"text" jsonschema:"what to send back"`
}

func echo(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
	return text(in.Text), nil, nil
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

type durationArgs struct {
	MS float64 `json:"ms" jsonschema:"milliseconds"`
}

func burn(_ context.Context, _ *mcp.CallToolRequest, in durationArgs) (*mcp.CallToolResult, any, error) {
	work.Burn(in.MS)
	return text("done"), nil, nil
}

func sleep(ctx context.Context, _ *mcp.CallToolRequest, in durationArgs) (*mcp.CallToolResult, any, error) {
	if err := work.Sleep(ctx, in.MS); err != nil {
		return nil, nil, err
	}
	return text("done"), nil, nil
}

type progressArgs struct {
	Steps int `json:"steps" jsonschema:"how often to report"`
}

func progress(ctx context.Context, req *mcp.CallToolRequest, in progressArgs) (*mcp.CallToolResult, any, error) {
	for i := range in.Steps {
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			ProgressToken: req.Params.GetProgressToken(), Progress: float64(i + 1), Total: float64(in.Steps),
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return text("done"), nil, nil
}

func toucher(s *mcp.Server) mcp.ToolHandlerFor[struct{}, any] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		return text("done"), nil, s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: watched})
	}
}

func readWatched(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: watched, Text: "watched"}}}, nil
}
