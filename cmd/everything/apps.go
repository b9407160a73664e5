package main

import (
	"context"
	_ "embed"
	"time"

	"millrace/server/mcp"
)

const clockURI = "ui://everything/clock"

//go:embed apps/clock.html
var clockPage string

type clockResult struct {
	Time time.Time `json:"time"`
}

// addApps adds a page, and a tool whose results a host shows in it. The text of
// the result is for the model, and for hosts without apps.
func addApps(s *mcp.Server) {
	s.AddApp(&mcp.App{URI: clockURI, Name: "clock", Description: "A page with a clock.", HTML: clockPage})
	mcp.AddTool(s, s.AppTool(clockURI, &mcp.Tool{
		Name: "clock", Description: "Tells the time, in a page where the host has such.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}), clock)
}

func clock(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, clockResult, error) {
	now := time.Now().UTC()
	said := text("It is " + now.Format(time.RFC1123) + ".")
	return &mcp.CallToolResult{Content: []mcp.Content{said}}, clockResult{Time: now}, nil
}
