package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"millrace/server/mcp"
)

// addPrompts adds prompts of all kinds. A client shows them to its user, who
// chooses one and fills in its arguments.
func addPrompts(s *mcp.Server) {
	addSimplePrompt(s)
	s.AddPrompt(&mcp.Prompt{
		Name: "test_prompt_with_arguments", Description: "A prompt with two arguments.",
		Arguments: []*mcp.PromptArgument{
			{Name: "arg1", Description: "First test argument", Required: true},
			{Name: "arg2", Description: "Second test argument", Required: true},
		},
	}, promptWithArguments)
	s.AddPrompt(&mcp.Prompt{
		Name: "test_prompt_with_embedded_resource", Description: "A prompt that brings a resource along.",
		Arguments: []*mcp.PromptArgument{{Name: "resourceUri", Description: "URI of the resource to embed", Required: true}},
	}, promptWithResource)
	s.AddPrompt(&mcp.Prompt{Name: "test_prompt_with_image", Description: "A prompt about an image."}, promptWithImage)
	s.AddPrompt(&mcp.Prompt{
		Name: "test_input_required_result_prompt", Description: "A prompt that asks your user for what it is about.",
	}, promptThatAsks)
}

func addSimplePrompt(s *mcp.Server) {
	s.AddPrompt(&mcp.Prompt{Name: "test_simple_prompt", Description: "A prompt without arguments."},
		func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return messages(text("This is a simple prompt for testing.")), nil
		})
}

// messages is a prompt in which the user says something.
func messages(contents ...mcp.Content) *mcp.GetPromptResult {
	r := &mcp.GetPromptResult{}
	for _, c := range contents {
		r.Messages = append(r.Messages, &mcp.PromptMessage{Role: "user", Content: c})
	}
	return r
}

func promptWithArguments(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	args := req.Params.Arguments
	return messages(text(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", args["arg1"], args["arg2"]))), nil
}

func promptWithResource(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	resource := &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{
		URI: req.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing.",
	}}
	return messages(resource, text("Please process the embedded resource above.")), nil
}

func promptWithImage(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	return messages(&mcp.ImageContent{Data: png, MIMEType: "image/png"}, text("Please analyze the image above.")), nil
}

// promptThatAsks asks as tools do.
func promptThatAsks(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	answer, err := req.Elicit(ctx, "user_context", form("Please provide context for the prompt", formContext))
	if err != nil {
		return nil, err
	}
	return messages(text(fmt.Sprintf("Context: %v", answer.Content["context"]))), nil
}

// complete suggests values while a user types an argument of a prompt, or a
// variable of a resource template.
func complete(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	var known []string
	switch req.Params.Argument.Name {
	case "arg1":
		known = []string{"testValue1", "testimony", "trial"}
	case "arg2":
		known = []string{"testValue2"}
	case "resourceUri":
		known = []string{"test://static-binary", "test://static-text", "test://watched-resource"}
	case "id":
		known = []string{"1", "12", "123"}
	}
	matches := slices.DeleteFunc(known, func(v string) bool { return !strings.HasPrefix(v, req.Params.Argument.Value) })
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: matches, Total: len(matches)}}, nil
}
