// Command fdhog is a server with a tool that opens files until no descriptor is left. The load program runs it under
// a small ulimit -n, to see that the engine lives through it.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"millrace/server"
	"millrace/server/mcp"
)

// hold is how long the files stay open.
const hold = time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "`host:port` to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := mcp.NewServer(&mcp.Implementation{Name: "fdhog", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "Return the text."}, echo)
	mcp.AddTool(s, &mcp.Tool{Name: "hog", Description: "Open /dev/null until it fails, hold the files for a second."}, hog)
	srv := &server.Server{Addr: *listen, MCP: s}
	if err := srv.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

type echoArgs struct {
	Text string `json:"text"`
}

func echo(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
	return textResult(in.Text), nil, nil
}

// hog answers with the number of files it could open.
func hog(_ context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	time.Sleep(hold)
	return textResult(strconv.Itoa(len(files))), nil, nil
}

func textResult(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}
