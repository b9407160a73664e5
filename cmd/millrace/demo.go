package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/server/mcp"
)

type echoArgs struct {
	Text string `json:"text" jsonschema:"what to say back"`
}

type addArgs struct {
	A float64 `json:"a" jsonschema:"first number"`
	B float64 `json:"b" jsonschema:"second number"`
}

type addResult struct {
	Sum float64 `json:"sum" jsonschema:"a plus b"`
}

type sleepArgs struct {
	Seconds float64 `json:"seconds" jsonschema:"how long to sleep, at most 3600"`
}

// addDemoTools registers tools that show text, structured output, and progress; to
// clients with the tasks extension the last one is a task.
func addDemoTools(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{
		Name: "echo", Description: "Says back what it is told.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, echo)
	mcp.AddTool(s, &mcp.Tool{
		Name: "add", Description: "Adds two numbers.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, add)
	mcp.AddTool(s, &mcp.Tool{
		Name: "sleep", Description: "Sleeps, and reports progress while it does.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
		Task:        mcp.TaskOptional,
	}, sleep)
}

func echo(_ context.Context, _ *mcp.CallToolRequest, in echoArgs) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
}

func add(_ context.Context, _ *mcp.CallToolRequest, in addArgs) (*mcp.CallToolResult, addResult, error) {
	return nil, addResult{Sum: in.A + in.B}, nil
}

// sleep reports progress ten times, or every 100 ms of a short sleep.
func sleep(ctx context.Context, req *mcp.CallToolRequest, in sleepArgs) (*mcp.CallToolResult, any, error) {
	if in.Seconds < 0 || in.Seconds > 3600 {
		return nil, nil, errors.New("seconds must be between 0 and 3600")
	}
	total := time.Duration(in.Seconds * float64(time.Second))
	step := max(total/10, 100*time.Millisecond)
	for slept := time.Duration(0); slept < total; {
		d := min(step, total-slept)
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		slept += d
		// A client that did not ask for progress gets none, and no error here.
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			Progress: slept.Seconds(), Total: total.Seconds(), Message: fmt.Sprintf("slept %s of %s", slept, total),
		})
	}
	text := fmt.Sprintf("slept %s", total)
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}
