package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"millrace/server/mcp"
)

// Forms that a client shows to its user.
const (
	formName    = `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`
	formColor   = `{"type":"object","properties":{"color":{"type":"string"}},"required":["color"]}`
	formContext = `{"type":"object","properties":{"context":{"type":"string"}},"required":["context"]}`
	formOK      = `{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}`
	formConfirm = `{"type":"object","properties":{"confirm":{"type":"boolean"}},"required":["confirm"]}`
	formUser    = `{
		"type": "object",
		"properties": {
			"username": {"type": "string", "description": "User's response"},
			"email": {"type": "string", "description": "User's email address"}
		},
		"required": ["username", "email"]
	}`
	formDefaults = `{
		"type": "object",
		"properties": {
			"name": {"type": "string", "description": "User name", "default": "John Doe"},
			"age": {"type": "integer", "description": "User age", "default": 30},
			"score": {"type": "number", "description": "User score", "default": 95.5},
			"status": {"type": "string", "description": "User status", "enum": ["active", "inactive", "pending"], "default": "active"},
			"verified": {"type": "boolean", "description": "Verification status", "default": true}
		}
	}`
	formEnums = `{
		"type": "object",
		"properties": {
			"untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
			"titledSingle": {"type": "string", "oneOf": [
				{"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"}, {"const": "value3", "title": "Third Option"}]},
			"legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
			"untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
			"titledMulti": {"type": "array", "items": {"anyOf": [
				{"const": "value1", "title": "First Choice"}, {"const": "value2", "title": "Second Choice"}, {"const": "value3", "title": "Third Choice"}]}}
		}
	}`
)

// form is a question to the user.
func form(message, schema string) *mcp.ElicitParams {
	return &mcp.ElicitParams{Message: message, RequestedSchema: json.RawMessage(schema)}
}

// prompt is a question to the model.
func prompt(question string, maxTokens int64) *mcp.CreateMessageParams {
	return &mcp.CreateMessageParams{
		Messages:  []*mcp.SamplingMessage{{Role: "user", Content: text(question)}},
		MaxTokens: maxTokens,
	}
}

// addAskingTools adds tools that ask the client. They are written once for all
// revisions: a handler waits for the answer in a session, and is run again with
// the answer on 2026-07-28, where asking returns mcp.ErrInputRequired the first
// time. All it has to do is to return the errors that it gets.
func addAskingTools(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "test_sampling", Description: "Asks your model."}, askModel)
	mcp.AddTool(s, &mcp.Tool{Name: "test_elicitation", Description: "Asks your user."}, askUser)
	mcp.AddTool(s, &mcp.Tool{Name: "test_elicitation_sep1034_defaults", Description: "Asks your user with a form that is filled in."},
		askWith(form("Test defaults for primitives", formDefaults)))
	mcp.AddTool(s, &mcp.Tool{Name: "test_elicitation_sep1330_enums", Description: "Asks your user to choose."},
		askWith(form("Test enum schemas", formEnums)))
	mcp.AddTool(s, &mcp.Tool{Name: "test_streaming_elicitation", Description: "Reports progress, then asks your user."}, progressAndAsk)
	mcp.AddTool(s, &mcp.Tool{Name: "visit_page", Description: "Sends your user to a page."}, visitPage)
	mcp.AddTool(s, &mcp.Tool{Name: "test_missing_capability", Description: "Needs a client with a model."}, needModel)
}

func askModel(ctx context.Context, req *mcp.CallToolRequest, in struct {
	Prompt string `json:"prompt" jsonschema:"what to ask"`
}) (*mcp.CallToolResult, any, error) {
	answer, err := req.Sample(ctx, "prompt", prompt(in.Prompt, 100))
	if err != nil {
		return nil, nil, err
	}
	return say("LLM response: %s", contentText(answer.Content))
}

// contentText is the text of a content; models may also answer with images and
// sounds.
func contentText(c mcp.Content) string {
	if t, ok := c.(*mcp.TextContent); ok {
		return t.Text
	}
	return fmt.Sprintf("(a %T)", c)
}

func askUser(ctx context.Context, req *mcp.CallToolRequest, in struct {
	Message string `json:"message" jsonschema:"what to ask"`
}) (*mcp.CallToolResult, any, error) {
	answer, err := req.Elicit(ctx, "user", form(in.Message, formUser))
	if err != nil {
		return nil, nil, err
	}
	return say("User response: action: %s, content: %v", answer.Action, answer.Content)
}

// askWith is a handler that asks one question.
func askWith(question *mcp.ElicitParams) mcp.ToolHandlerFor[none, any] {
	return func(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
		answer, err := req.Elicit(ctx, "form", question)
		if err != nil {
			return nil, nil, err
		}
		return say("Elicitation completed: action=%s, content=%v", answer.Action, answer.Content)
	}
}

func progressAndAsk(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{Progress: 1, Total: 2}); err != nil {
		return nil, nil, err
	}
	answer, err := req.Elicit(ctx, "user_name", form("What is your name?", formName))
	if err != nil {
		return nil, nil, err
	}
	return say("your user chose to %s", answer.Action)
}

// visitPage asks for what must not pass through the client: passwords, payments.
// Accepting means that the user agreed to open the page, no more.
func visitPage(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	page := &mcp.ElicitParams{Message: "Please sign in.", URL: "https://example.com/sign-in", ElicitationID: rand.Text()}
	answer, err := req.Elicit(ctx, "page", page)
	if err != nil {
		return nil, nil, err
	}
	if answer.Action == "accept" {
		// When the page has what it asks for, which we do not wait for here, clients
		// of 2025-11-25 can be told.
		done := &mcp.ElicitationCompleteParams{ElicitationID: page.ElicitationID}
		if err := req.Session.NotifyElicitationComplete(ctx, done); err != nil {
			return nil, nil, err
		}
	}
	return say("your user chose to %s the page", answer.Action)
}

// needModel does not check the capabilities of the client: asking for what it
// has not declared is answered with the error that names what is missing.
func needModel(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answer, err := req.Sample(ctx, "greeting", prompt("Say hello.", 20))
	if err != nil {
		return nil, nil, err
	}
	return say("%s", contentText(answer.Content))
}
