package main

import (
	"context"
	"encoding/base64"
	"errors"

	"millrace/server/mcp"
)

// The files of the suite: a picture of one red pixel and a sound of one silent
// sample.
var (
	png = decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
	wav = decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=")
)

func decode(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// addContentTools adds a tool for each kind of content, and one that fails.
func addContentTools(s *mcp.Server) {
	image := &mcp.ImageContent{Data: png, MIMEType: "image/png"}
	returning := func(name, description string, content ...mcp.Content) {
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: description},
			func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
				return &mcp.CallToolResult{Content: content}, nil, nil
			})
	}
	returning("test_simple_text", "Returns a text.", text("This is a simple text response for testing."))
	returning("test_image_content", "Returns an image.", image)
	returning("test_audio_content", "Returns a sound.", &mcp.AudioContent{Data: wav, MIMEType: "audio/wav"})
	returning("test_embedded_resource", "Returns an embedded resource.", &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{
		URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content.",
	}})
	returning("test_multiple_content_types", "Returns a text, an image and a resource.",
		text("Multiple content types test:"), image, &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{
			URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`,
		}})

	// An error of the handler is told to the model, in a result with isError.
	mcp.AddTool(s, &mcp.Tool{Name: "test_error_handling", Description: "Always fails."},
		func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
			return nil, nil, errors.New("This tool intentionally returns an error for testing")
		})
}
