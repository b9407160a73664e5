package server_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"millrace/server"
	"millrace/server/mcp"
)

type greetArgs struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

func greet(_ context.Context, _ *mcp.CallToolRequest, in greetArgs) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "Hi " + in.Name}}}, nil, nil
}

func newGreeter() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "greet", Description: "say hi"}, greet)
	return s
}

func ExampleListenAndServe() {
	log.Fatal(server.ListenAndServe("127.0.0.1:8080", newGreeter()))
}

func ExampleServer_Run() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv := &server.Server{
		Addr:         "127.0.0.1:8080",
		MCP:          newGreeter(),
		Admin:        "127.0.0.1:9090",
		DrainTimeout: 20 * time.Second,
	}
	if err := srv.Run(ctx); err != nil { // nil when every request was answered
		log.Fatal(err)
	}
}

func ExampleHandler() {
	http.Handle("/mcp", server.Handler(newGreeter()))
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

func ExampleServer_Handler() {
	srv := &server.Server{MCP: newGreeter(), MaxInFlight: 16}
	h, err := srv.Handler()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", h)
	hs := &http.Server{Addr: "127.0.0.1:8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = srv.Shutdown(context.Background()) // first: it ends event streams, and answers what is in flight
		_ = hs.Shutdown(context.Background())
	}()
	if err := hs.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func ExampleServeStdio() {
	if err := server.ServeStdio(context.Background(), newGreeter()); err != nil {
		log.Fatal(err)
	}
}
