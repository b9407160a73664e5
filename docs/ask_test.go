package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"millrace/server/mcp"
)

// say answers with a text.
func say(format string, args ...any) (*mcp.CallToolResult, any, error) {
	text := &mcp.TextContent{Text: fmt.Sprintf(format, args...)}
	return &mcp.CallToolResult{Content: []mcp.Content{text}}, nil, nil
}

type bookArgs struct {
	City string `json:"city"`
}

var dateForm = json.RawMessage(`{
	"type": "object",
	"properties": {"date": {"type": "string", "format": "date", "description": "day of arrival"}},
	"required": ["date"]
}`)

func book(ctx context.Context, req *mcp.CallToolRequest, in bookArgs) (*mcp.CallToolResult, any, error) {
	answer, err := req.Elicit(ctx, "date", &mcp.ElicitParams{
		Message: "When do you want to arrive in " + in.City + "?", RequestedSchema: dateForm,
	})
	if err != nil {
		return nil, nil, err
	}
	if answer.Action != "accept" {
		return say("Nothing was booked.")
	}
	return say("Booked %s from %v on.", in.City, answer.Content["date"])
}

// Example_elicitModern is the conversation of a client of 2026-07-28.
func Example_elicitModern() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "book"}, book)
	client := dial(s)
	defer client.close()
	client.send(modern(1, "tools/call", `"name":"book","arguments":{"city":"Oslo"}`))
	first := client.read()
	state := stateOf(first)
	show(replace(first, state, "..."))
	client.send(modern(2, "tools/call", `"name":"book","arguments":{"city":"Oslo"},"requestState":"`+state+`",`+
		`"inputResponses":{"date":{"action":"accept","content":{"date":"2026-12-24"}}}`))
	show(client.read())
	// The state is good for this call only.
	client.send(modern(3, "tools/call", `"name":"book","arguments":{"city":"Rome"},"requestState":"`+state+`",`+
		`"inputResponses":{"date":{"action":"accept","content":{"date":"2026-12-24"}}}`))
	show(client.read())
	// Output:
	// {"id":1,"result":{"resultType":"input_required","inputRequests":{"date":{"method":"elicitation/create","params":{"mode":"form","message":"When do you want to arrive in Oslo?","requestedSchema":{"type":"object","properties":{"date":{"type":"string","format":"date","description":"day of arrival"}},"required":["date"]}}}},"requestState":"..."}}
	// {"id":2,"result":{"content":[{"type":"text","text":"Booked Oslo from 2026-12-24 on."}]}}
	// {"id":3,"error":{"code":-32602,"message":"params.requestState is not valid for this request, or has expired; begin again without it"}}
}

// Example_elicitLegacy is the same with a session.
func Example_elicitLegacy() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "book"}, book)
	talk(s, append(session[:len(session):len(session)],
		legacy(1, "tools/call", `"name":"book","arguments":{"city":"Oslo"}`),
		`{"jsonrpc":"2.0","id":1,"result":{"action":"decline"}}`,
	)...)
	// Output:
	// {"id":1,"method":"elicitation/create","params":{"mode":"form","message":"When do you want to arrive in Oslo?","requestedSchema":{"type":"object","properties":{"date":{"type":"string","format":"date","description":"day of arrival"}},"required":["date"]}}}
	// {"id":1,"result":{"content":[{"type":"text","text":"Nothing was booked."}]}}
}

// Example_cannotAsk is what a client gets that cannot be asked.
func Example_cannotAsk() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "book"}, book)
	talk(s, modernWith(1, "tools/call", `"name":"book","arguments":{"city":"Oslo"}`, `{}}`))
	// Output:
	// {"id":1,"error":{"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"elicitation":{}}}}}
}

type orderArgs struct {
	Item string `json:"item"`
}

// wrongOrder charges the card before it asks: on 2026-07-28 the handler runs
// twice, and so does charge.
func wrongOrder(ctx context.Context, req *mcp.CallToolRequest, in orderArgs) (*mcp.CallToolResult, any, error) {
	receipt := charge(in.Item)
	answer, err := req.Elicit(ctx, "wrap", wrapForm)
	if err != nil {
		return nil, nil, err
	}
	return say("%s, wrapped: %v", receipt, answer.Content["wrap"])
}

// order asks first, and keeps what must be the same in both runs.
func order(ctx context.Context, req *mcp.CallToolRequest, in orderArgs) (*mcp.CallToolResult, any, error) {
	var number int
	if err := req.Once(ctx, "number", &number, func() (any, error) { return newOrderNumber(), nil }); err != nil {
		return nil, nil, err
	}
	answer, err := req.Elicit(ctx, "wrap", wrapForm)
	if err != nil {
		return nil, nil, err
	}
	receipt := charge(in.Item)
	return say("order %d: %s, wrapped: %v", number, receipt, answer.Content["wrap"])
}

var wrapForm = &mcp.ElicitParams{
	Message:         "Shall we wrap it?",
	RequestedSchema: json.RawMessage(`{"type":"object","properties":{"wrap":{"type":"boolean"}},"required":["wrap"]}`),
}

var charged, numbers int

func charge(item string) string {
	charged++
	return fmt.Sprintf("%s charged %d times", item, charged)
}

func newOrderNumber() int {
	numbers++
	return rand.N(1000) + 1000
}

func Example_once() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "wrong_order"}, wrongOrder)
	mcp.AddTool(s, &mcp.Tool{Name: "order"}, order)
	for _, tool := range []string{"wrong_order", "order"} {
		charged, numbers = 0, 0
		client := dial(s)
		client.send(modern(1, "tools/call", `"name":"`+tool+`","arguments":{"item":"vase"}`))
		state := stateOf(client.read())
		client.send(modern(2, "tools/call", `"name":"`+tool+`","arguments":{"item":"vase"},"requestState":"`+state+`",`+
			`"inputResponses":{"wrap":{"action":"accept","content":{"wrap":true}}}`))
		client.read()
		client.close()
		fmt.Println(tool, "charged", charged, "times")
	}
	// Output:
	// wrong_order charged 2 times
	// order charged 1 times
}

// askAtOnce asks the user, the model and the client in one round.
func askAtOnce(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	answers, err := req.Ask(ctx, mcp.InputRequestMap{
		"wrap": wrapForm,
		"poem": &mcp.CreateMessageParams{
			Messages:  []*mcp.SamplingMessage{{Role: mcp.RoleUser, Content: &mcp.TextContent{Text: "Two lines about a vase."}}},
			MaxTokens: 100,
		},
		"roots": &mcp.ListRootsParams{},
	})
	if err != nil {
		return nil, nil, err
	}
	wrap := answers["wrap"].(*mcp.ElicitResult)
	poem := answers["poem"].(*mcp.CreateMessageWithToolsResult)
	roots := answers["roots"].(*mcp.ListRootsResult)
	return say("%v, %d contents, %d roots", wrap.Action, len(poem.Content), len(roots.Roots))
}

// confirm asks with its result, as the official SDK does: the handler gets the
// answers and its own state with the next request.
func confirm(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	answer, ok := req.Params.InputResponses["wrap"].(*mcp.ElicitResult)
	if !ok {
		return &mcp.CallToolResult{
			InputRequests: mcp.InputRequestMap{"wrap": wrapForm},
			RequestState:  "asked on page 2",
		}, nil, nil
	}
	return say("%s, %s", answer.Action, req.Params.RequestState)
}

func Example_ask() {
	s := newServer()
	mcp.AddTool(s, &mcp.Tool{Name: "ask_at_once"}, askAtOnce)
	mcp.AddTool(s, &mcp.Tool{Name: "confirm"}, confirm)
	client := dial(s)
	defer client.close()
	client.send(modern(1, "tools/call", `"name":"ask_at_once"`))
	state := stateOf(client.read())
	client.send(modern(2, "tools/call", `"name":"ask_at_once","requestState":"`+state+`","inputResponses":{`+
		`"wrap":{"action":"cancel"},"roots":{"roots":[]},`+
		`"poem":{"role":"assistant","model":"m","content":{"type":"text","text":"..."}}}`))
	show(client.read())
	client.send(modern(3, "tools/call", `"name":"confirm"`))
	state = stateOf(client.read())
	client.send(modern(4, "tools/call", `"name":"confirm","requestState":"`+state+`","inputResponses":{"wrap":{"action":"cancel"}}`))
	show(client.read())
	// Output:
	// {"id":2,"result":{"content":[{"type":"text","text":"cancel, 1 contents, 0 roots"}]}}
	// {"id":4,"result":{"content":[{"type":"text","text":"cancel, asked on page 2"}]}}
}

// watchLater keeps the session and asks its user when nothing is being called.
func watchLater(ctx context.Context, ss *mcp.ServerSession) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	answer, err := ss.Elicit(ctx, wrapForm)
	if err != nil {
		return "", err
	}
	return answer.Action, nil
}

var _ = watchLater

// addReport adds a tool whose calls become tasks where the client can handle one.
func addReport(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "report", Task: mcp.TaskOptional},
		func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			if err := req.SetTaskMessage(ctx, "collecting"); err != nil {
				return nil, nil, err
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done(): // cancelled, too old, or the server ends
				return nil, nil, ctx.Err()
			}
			return say("the report")
		})
}

// reportLater decides for itself when it becomes a task.
func reportLater(ctx context.Context, req *mcp.CallToolRequest, in struct {
	Pages int `json:"pages"`
}) (*mcp.CallToolResult, any, error) {
	if in.Pages <= 1 {
		return say("a short report") // an ordinary answer
	}
	taskCtx, err := req.StartTask(ctx, &mcp.TaskOptions{TTL: 10 * time.Minute, StatusMessage: "writing"})
	switch {
	case err == nil:
		ctx = taskCtx // the call is answered; its context has ended
	case !errors.Is(err, mcp.ErrNoTask):
		return nil, nil, err
	}
	select {
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	return say("a report of %d pages", in.Pages)
}

func Example_tasks() {
	s := newServer()
	addReport(s)
	mcp.AddTool(s, &mcp.Tool{Name: "report_later", Task: mcp.TaskManual}, reportLater)
	withTasks := `{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
	client := dial(s)
	defer client.close()
	client.send(modernWith(1, "tools/call", `"name":"report_later","arguments":{"pages":3}`, withTasks))
	id := client.taskID(client.read())
	for {
		client.send(modernWith(2, "tasks/get", `"taskId":"`+id+`"`, withTasks))
		var m struct {
			Result struct {
				Status, StatusMessage string
				Result                struct{ Content []struct{ Text string } }
			}
		}
		_ = json.Unmarshal([]byte(client.read()), &m)
		if m.Result.Status == "completed" {
			fmt.Println(m.Result.Status, m.Result.Result.Content[0].Text)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	talk(s, modern(3, "tools/call", `"name":"report"`)) // a client without the extension
	talk(s, modern(4, "tasks/get", `"taskId":"`+id+`"`))
	// Output:
	// completed a report of 3 pages
	// {"id":3,"result":{"content":[{"type":"text","text":"the report"}]}}
	// {"id":4,"error":{"code":-32021,"message":"Missing required client capability","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}
}
