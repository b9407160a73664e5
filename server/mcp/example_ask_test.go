package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"millrace/server/mcp"
)

// A client of 2026-07-28 is asked by the result of its call, and calls again with
// the answer: the handler runs a second time, from its start. What stands before
// a question runs twice then, but for what Once keeps.
func ExampleServerRequest_Once() {
	var attempts, orders int
	s := mcp.NewServer(&mcp.Implementation{Name: "shop", Version: "1.0.0"}, nil)
	type none struct{}
	mcp.AddTool(s, &mcp.Tool{Name: "order", Description: "orders something"},
		func(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
			attempts++ // not repeatable: counts every run
			var number int
			err := req.Once(ctx, "number", &number, func() (any, error) {
				orders++ // once for the whole conversation
				return orders, nil
			})
			if err != nil {
				return nil, nil, err
			}
			answer, err := req.Elicit(ctx, "sure", &mcp.ElicitParams{
				Message: "Are you sure?", RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`),
			})
			if err != nil {
				return nil, nil, err
			}
			text := fmt.Sprintf("order %d: %s", number, answer.Action)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})

	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}`
	call := func(more string) string {
		out, _ := s.Serve(context.Background(), &mcp.Call{
			Method: "tools/call", ID: []byte("1"), Params: []byte(`{"name":"order",` + meta + more + `}`), Modern: true,
		}, nil)
		return string(out)
	}
	first := call("")
	fmt.Println("the client is asked:", strings.Contains(first, "Are you sure?"))
	var asked struct{ Result struct{ RequestState string } }
	if err := json.Unmarshal([]byte(first), &asked); err != nil {
		panic(err)
	}
	second := call(`,"inputResponses":{"sure":{"action":"accept"}},"requestState":"` + asked.Result.RequestState + `"`)
	fmt.Println("the order is placed:", strings.Contains(second, "order 1: accept"))
	fmt.Println("attempts:", attempts, "orders:", orders)
	// Output:
	// the client is asked: true
	// the order is placed: true
	// attempts: 2 orders: 1
}
