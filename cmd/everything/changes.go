package main

import (
	"context"

	"millrace/server/mcp"
)

// addChangeTools adds tools that change the lists of the server while it runs.
// Clients are told: sessions, and from 2026-07-28 on who listens. Each adds again
// what is there already, so that the lists stay as they are for everybody else.
func addChangeTools(s *mcp.Server) {
	change := func(name, description string, add func(*mcp.Server)) {
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: description},
			func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
				add(s)
				return say("changed, you will be told")
			})
	}
	change("test_trigger_tool_change", "Replaces a tool.", addAbout)
	change("test_trigger_prompt_change", "Replaces a prompt.", addSimplePrompt)
}
