package main

import (
	"context"
	"encoding/json"
	"fmt"

	"millrace/server/mcp"
)

// none are the arguments of a tool that has none.
type none struct{}

// text is a content.
func text(s string) mcp.Content { return &mcp.TextContent{Text: s} }

// say is what the handler of a tool returns to answer with one text.
func say(format string, args ...any) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{text(fmt.Sprintf(format, args...))}}, nil, nil
}

// aboutResult is structured output: the schema that clients see is inferred from
// it.
type aboutResult struct {
	Server          string `json:"server" jsonschema:"what this server is called"`
	ProtocolVersion string `json:"protocolVersion" jsonschema:"the revision of this request"`
	Client          string `json:"client,omitempty" jsonschema:"who is asking, as it says itself"`
}

// addAbout adds a tool that takes no arguments and cannot fail. The suite calls
// the first tool of the list like that, so this one has to come first.
func addAbout(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{
		Name:        "about",
		Title:       "About this server",
		Description: "Says what this server is, and what it knows about you.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
		Class:       mcp.ClassInline, // takes microseconds, waits for nothing
	}, about)
}

func about(_ context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, aboutResult, error) {
	out := aboutResult{Server: "everything", ProtocolVersion: req.ProtocolVersion()}
	if client := req.ClientInfo(); client != nil {
		out.Client = client.Name + " " + client.Version
	}
	return nil, out, nil
}

// Schemas that are not inferred reach clients as they are written here.
const (
	schema202012 = `{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"type": "object",
		"$defs": {
			"address": {
				"$anchor": "addressDef",
				"type": "object",
				"properties": {"street": {"type": "string"}, "city": {"type": "string"}}
			}
		},
		"properties": {
			"name": {"type": "string"},
			"address": {"$ref": "#/$defs/address"},
			"contactMethod": {"type": "string", "enum": ["phone", "email"]},
			"phone": {"type": "string"},
			"email": {"type": "string"}
		},
		"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
		"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
		"then": {"required": ["phone"]},
		"else": {"required": ["email"]},
		"additionalProperties": false
	}`
	// From 2026-07-28 on, clients repeat the argument region in the header
	// Mcp-Param-Region, for proxies to route by. The engine compares the two.
	schemaHeader = `{
		"type": "object",
		"properties": {
			"region": {"type": "string", "description": "where to compute", "x-mcp-header": "Region"},
			"level": {"type": "integer"}
		}
	}`
)

// addSchemaTools adds tools that bring their own schema. Arguments are validated
// against it before the handler runs.
func addSchemaTools(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{
		Name:        "json_schema_2020_12_tool",
		Description: "Takes an address, described with all of JSON Schema 2020-12.",
		InputSchema: json.RawMessage(schema202012),
	}, func(_ context.Context, _ *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, any, error) {
		return say("accepted %d members", len(in))
	})
	mcp.AddTool(s, &mcp.Tool{
		Name:        "test_x_mcp_header",
		Description: "Has an argument that is repeated in a header.",
		InputSchema: json.RawMessage(schemaHeader),
	}, func(_ context.Context, _ *mcp.CallToolRequest, in struct {
		Region string `json:"region"`
		Level  int    `json:"level"`
	}) (*mcp.CallToolResult, any, error) {
		return say("region %q, level %d", in.Region, in.Level)
	})
}
