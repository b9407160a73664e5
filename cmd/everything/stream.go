package main

import (
	"context"
	"time"

	"millrace/server/mcp"
)

// addStreamTools adds tools that say something before they answer. Over HTTP
// that makes the answer an event stream.
func addStreamTools(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "test_tool_with_logging", Description: "Sends three log messages."}, logThrice)
	mcp.AddTool(s, &mcp.Tool{Name: "test_logging_tool", Description: "Sends a log message to clients that want them."}, logOnce)
	mcp.AddTool(s, &mcp.Tool{Name: "test_tool_with_progress", Description: "Reports progress three times."}, progress)
	mcp.AddTool(s, &mcp.Tool{Name: "test_reconnection", Description: "Ends its event stream before it answers."}, reconnection)
}

// step is how long the steps of a tool take.
const step = 50 * time.Millisecond

// pause waits for d, unless the call ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logThrice logs at a level that reaches only clients that want it: those that
// sent logging/setLevel, or from 2026-07-28 on a level with their request.
func logThrice(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	for i, message := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
		if i > 0 {
			if err := pause(ctx, step); err != nil {
				return nil, nil, err
			}
		}
		if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Logger: "everything", Data: message}); err != nil {
			return nil, nil, err
		}
	}
	return say("logged three messages")
}

func logOnce(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	data := map[string]any{"tool": "test_logging_tool", "arguments": 0} // anything that can be JSON
	if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: data}); err != nil {
		return nil, nil, err
	}
	return say("logged a message, if you want such")
}

// progress reports nothing to a client that has not asked for it with a progress
// token.
func progress(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	for _, done := range []float64{0, 50, 100} {
		report := &mcp.ProgressNotificationParams{Progress: done, Total: 100, Message: "still at it"}
		if err := req.Session.NotifyProgress(ctx, report); err != nil {
			return nil, nil, err
		}
		if err := pause(ctx, step); err != nil {
			return nil, nil, err
		}
	}
	return say("done")
}

// reconnection lets the client go and answers when it is back: a call that takes
// long need not hold a connection. It does nothing to clients whose stream
// cannot be resumed.
func reconnection(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	req.CloseStream(10 * time.Millisecond)
	if err := pause(ctx, 100*time.Millisecond); err != nil {
		return nil, nil, err
	}
	return say("here is the answer that you came back for")
}
