package mcp_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"millrace/server/mcp"
)

type greetArgs struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

func greet(_ context.Context, _ *mcp.CallToolRequest, in greetArgs) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "Hi " + in.Name}}}, nil, nil
}

func ExampleNewServer() {
	s := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "greet", Description: "say hi"}, greet)
	// A program would now hand s to package server. This is what that does:
	call := &mcp.Call{
		Method: "tools/call",
		ID:     []byte("1"),
		Params: []byte(`{"name":"greet","arguments":{"name":"Ada"}}`),
		Modern: true,
	}
	out, status := s.Serve(context.Background(), call, nil)
	fmt.Println(status)
	fmt.Println(string(out))
	// Output:
	// 200
	// {"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"greeter","version":"1.0.0"}},"content":[{"type":"text","text":"Hi Ada"}]}}
}

func ExampleAddTool() {
	type addArgs struct {
		A int `json:"a"`
		B int `json:"b"`
	}
	type sum struct {
		Sum int `json:"sum"`
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "calculator", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "add", Description: "adds two numbers", Class: mcp.ClassCPU},
		func(_ context.Context, _ *mcp.CallToolRequest, in addArgs) (*mcp.CallToolResult, sum, error) {
			return nil, sum{in.A + in.B}, nil
		})
}

func ExampleServerSession_NotifyProgress() {
	type args struct {
		Steps int `json:"steps"`
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "worker", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "work", Description: "works in steps"},
		func(ctx context.Context, req *mcp.CallToolRequest, in args) (*mcp.CallToolResult, any, error) {
			for i := range in.Steps {
				err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
					Progress: float64(i + 1), Total: float64(in.Steps),
				})
				if err != nil {
					return nil, nil, err
				}
			}
			return nil, nil, nil
		})
}

func ExampleServer_AddSkill() {
	s := mcp.NewServer(&mcp.Implementation{Name: "desk", Version: "1.0.0"}, nil)
	root, err := os.OpenRoot("/srv/skills")
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()
	// /srv/skills/billing/refunds/SKILL.md is skill://billing/refunds/SKILL.md
	if err := s.AddSkill(root.FS(), "billing/refunds"); err != nil {
		log.Fatal(err)
	}
}

func ExampleServer_AddDirectory() {
	s := mcp.NewServer(&mcp.Implementation{Name: "files", Version: "1.0.0"}, nil)
	root, err := os.OpenRoot("/srv/project")
	if err != nil {
		log.Fatal(err)
	}
	// /srv/project/src/main.go is file:///project/src/main.go
	err = s.AddDirectory(&mcp.Directory{URI: "file:///project/", Root: root, Name: "project", List: true})
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleServer_AppTool() {
	s := mcp.NewServer(&mcp.Implementation{Name: "weather", Version: "1.0.0"}, nil)
	s.AddApp(&mcp.App{URI: "ui://weather/map", Name: "map", HTML: "<!doctype html><p>A map"})
	mcp.AddTool(s, s.AppTool("ui://weather/map", &mcp.Tool{Name: "weather"}),
		func(_ context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			text := "sunny, 21 °C, wind from the west" // what the model reads, with and without the map
			if req.ClientCapabilities().SupportsApps() {
				text = "sunny, 21 °C; the user sees a map"
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
}
