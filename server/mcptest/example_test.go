package mcptest_test

import (
	"context"
	"fmt"
	"testing"

	"millrace/server/mcp"
	"millrace/server/mcptest"
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

// A whole test of a tool.
func Example() {
	t := testingT() // TestGreet(t *testing.T) has one
	c := mcptest.NewClient(t, newGreeter(), nil)
	res := c.CallTool("greet", map[string]any{"name": "Bob"})
	if got := mcptest.Text(res); got != "Hi Bob" {
		t.Errorf("greet = %q, want %q", got, "Hi Bob")
	}
	if res := c.CallTool("greet", nil); !res.IsError {
		t.Error("greet does without a name")
	}
	fmt.Println(mcptest.Text(res))
	// Output: Hi Bob
}

// A tool that asks its user, tested in the oldest and the newest way of asking.
func ExampleOptions_elicit() {
	t := testingT()
	s := mcp.NewServer(&mcp.Implementation{Name: "shop", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "order", Description: "orders a pizza"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ any) (*mcp.CallToolResult, any, error) {
			answer, err := req.Elicit(ctx, "size", &mcp.ElicitParams{
				Message:         "Which size?",
				RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"size": map[string]any{"type": "integer"}}},
			})
			if err != nil {
				return nil, nil, err
			}
			text := fmt.Sprintf("%s: %v", answer.Action, answer.Content["size"])
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	for _, version := range []string{mcp.Version20250618, mcp.Version20260728} {
		c := mcptest.NewClient(t, s, &mcptest.Options{
			Version: version,
			Elicit: func(p *mcp.ElicitParams) *mcp.ElicitResult {
				return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"size": 32}}
			},
		})
		fmt.Println(mcptest.Text(c.CallTool("order", nil)))
	}
	// Output:
	// accept: 32
	// accept: 32
}

// testingT stands in for the *testing.T that a test is given.
func testingT() testing.TB { return exampleT{} }

type exampleT struct{ testing.TB }

func (exampleT) Helper()                  {}
func (exampleT) Cleanup(func())           {}
func (exampleT) Context() context.Context { return context.Background() }
