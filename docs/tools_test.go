package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// newServer is a server without anything.
func newServer() *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "docs", Version: "1"}, nil)
}

type convertArgs struct {
	Celsius float64 `json:"celsius" jsonschema:"the temperature to convert"`
	Digits  int     `json:"digits,omitempty" jsonschema:"digits behind the point"`
}

type convertResult struct {
	Fahrenheit float64 `json:"fahrenheit"`
}

func convert(_ context.Context, _ *mcp.CallToolRequest, in convertArgs) (*mcp.CallToolResult, convertResult, error) {
	if in.Celsius < -273.15 {
		return nil, convertResult{}, errors.New("nothing is colder than -273.15")
	}
	return nil, convertResult{Fahrenheit: in.Celsius*9/5 + 32}, nil
}

func addConvert(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{
		Name:        "convert",
		Title:       "Celsius to Fahrenheit",
		Description: "Converts a temperature.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
		Class:       mcp.ClassInline, // microseconds, and it waits for nothing
	}, convert)
}

func Example_convert() {
	s := newServer()
	addConvert(s)
	talk(s,
		modern(1, "tools/call", `"name":"convert","arguments":{"celsius":100}`),
		modern(2, "tools/call", `"name":"convert","arguments":{"celsius":-300}`),
		modern(3, "tools/call", `"name":"convert","arguments":{"celsius":"hot"}`),
		modern(4, "tools/call", `"name":"invert","arguments":{}`),
	)
	// Output:
	// {"id":1,"result":{"content":[{"type":"text","text":"{\"fahrenheit\":212}"}],"structuredContent":{"fahrenheit":212}}}
	// {"id":2,"result":{"content":[{"type":"text","text":"nothing is colder than -273.15"}],"isError":true}}
	// {"id":3,"result":{"content":[{"type":"text","text":"invalid arguments for tool \"convert\": celsius: must be number, got string"}],"isError":true}}
	// {"id":4,"error":{"code":-32602,"message":"unknown tool \"invert\""}}
}

// addRaw adds a tool with a schema of its own and a raw handler.
func addRaw(s *mcp.Server) {
	s.AddTool(&mcp.Tool{
		Name: "route",
		InputSchema: json.RawMessage(`{
			"type": "object",
			"properties": {
				"region": {"type": "string", "enum": ["eu", "us"], "default": "eu", "x-mcp-header": "Region"}
			}
		}`),
	}, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var in struct{ Region string }
		if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
			return nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "routed to " + in.Region}}}, nil
	})
}

func Example_raw() {
	s := newServer()
	addRaw(s)
	talk(s, modern(1, "tools/call", `"name":"route"`))
	// Output:
	// {"id":1,"result":{"content":[{"type":"text","text":"routed to eu"}]}}
}

// lookUp shows the three ways to fail.
func lookUp(_ context.Context, _ *mcp.CallToolRequest, in struct {
	Name string `json:"name"`
}) (*mcp.CallToolResult, any, error) {
	switch in.Name {
	case "":
		// An error: the model reads its text in a result with isError.
		return nil, nil, errors.New("the name is empty: give one")
	case "half":
		// A result of one's own with SetError: content that is there stays.
		res := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "found half of it"}}}
		res.SetError(errors.New("the other half is missing"))
		return res, nil, nil
	case "secret":
		// A *jsonrpc.Error: the call itself fails, and the model may not see it.
		return nil, nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "that name is not served"}
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "found " + in.Name}}}, nil, nil
}

func Example_errors() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "look_up"}, lookUp)
	talk(s,
		modern(1, "tools/call", `"name":"look_up","arguments":{"name":""}`),
		modern(2, "tools/call", `"name":"look_up","arguments":{"name":"half"}`),
		modern(3, "tools/call", `"name":"look_up","arguments":{"name":"secret"}`),
	)
	// Output:
	// {"id":1,"result":{"content":[{"type":"text","text":"the name is empty: give one"}],"isError":true}}
	// {"id":2,"result":{"content":[{"type":"text","text":"found half of it"}],"isError":true}}
	// {"id":3,"error":{"code":-32602,"message":"that name is not served"}}
}

// addPrimes adds a tool that computes, with a time limit of its own.
func addPrimes(s *mcp.Server) {
	type args struct {
		Below int64 `json:"below"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "primes", Class: mcp.ClassCPU, Timeout: 2 * time.Second},
		func(ctx context.Context, req *mcp.CallToolRequest, in args) (*mcp.CallToolResult, any, error) {
			count := 0
			for n := int64(2); n < in.Below; n++ {
				if n%1000 == 0 {
					if err := ctx.Err(); err != nil {
						return nil, nil, err // nobody waits any more
					}
					err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
						Progress: float64(n), Total: float64(in.Below), Message: fmt.Sprintf("%d primes so far", count),
					})
					if err != nil {
						return nil, nil, err
					}
				}
				if big.NewInt(n).ProbablyPrime(0) {
					count++
				}
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(count)}}}, nil, nil
		})
}

func Example_progress() {
	s := newServer()
	addPrimes(s)
	talk(s, modernWith(1, "tools/call", `"name":"primes","arguments":{"below":1500}`, `{},"progressToken":"p"}`))
	// Output:
	// {"method":"notifications/progress","params":{"progressToken":"p","progress":1000,"total":1500,"message":"168 primes so far"}}
	// {"id":1,"result":{"content":[{"type":"text","text":"239"}]}}
}

func Example_timeout() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "wait", Timeout: 50 * time.Millisecond},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err() // too late: it is dropped
		})
	talk(s, modern(1, "tools/call", `"name":"wait"`))
	// Output:
	// {"id":1,"result":{"content":[{"type":"text","text":"tool \"wait\" did not finish within 50ms"}],"isError":true}}
}
