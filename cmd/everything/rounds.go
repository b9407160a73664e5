package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"millrace/server/mcp"
)

// addRoundTools adds tools that show what can be done with questions, in the
// words of 2026-07-28: each round of questions is a result that asks, and a new
// request with the answers. They work in older sessions too.
func addRoundTools(s *mcp.Server) {
	add := func(name, description string, h mcp.ToolHandlerFor[none, any]) {
		mcp.AddTool(s, &mcp.Tool{Name: "test_input_required_result_" + name, Description: description}, h)
	}
	add("elicitation", "Asks your user for a name.", askName)
	add("sampling", "Asks your model for a capital.", askCapital)
	add("list_roots", "Asks for your roots.", askRoots)
	add("multiple_inputs", "Asks three things at once.", askThree)
	add("multi_round", "Asks one thing after the other.", askTwice)
	add("capabilities", "Asks for all that you can be asked for.", askWhatCanBeAsked)
	add("request_state", "Asks for a confirmation and keeps a state meanwhile.", askWithState)
	add("tampered_state", "Asks for a confirmation and keeps a state that cannot be changed.", askWithState)
}

// askName is the simplest form: ask, and go on with the answer.
func askName(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answer, err := req.Elicit(ctx, "user_name", form("What is your name?", formName))
	if err != nil {
		return nil, nil, err
	}
	if answer.Action != "accept" {
		return say("Hello, whoever you are!")
	}
	return say("Hello, %s!", answer.Content["name"])
}

func askCapital(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answer, err := req.Sample(ctx, "capital_question", prompt("What is the capital of France?", 100))
	if err != nil {
		return nil, nil, err
	}
	return say("%s says: %s", answer.Model, contentText(answer.Content))
}

func askRoots(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answer, err := req.ListRoots(ctx, "client_roots")
	if err != nil {
		return nil, nil, err
	}
	return say("%d roots: %s", len(answer.Roots), rootURIs(answer))
}

func rootURIs(r *mcp.ListRootsResult) string {
	var uris []string
	for _, root := range r.Roots {
		uris = append(uris, root.URI)
	}
	return strings.Join(uris, ", ")
}

// askThree asks several questions in one round.
func askThree(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answers, err := req.Ask(ctx, mcp.InputRequestMap{
		"user_name":    form("What is your name?", formName),
		"greeting":     prompt("Generate a greeting", 50),
		"client_roots": &mcp.ListRootsParams{},
	})
	if err != nil {
		return nil, nil, err
	}
	return say("%s", strings.Join(summaries(answers), "; "))
}

// summaries says what was answered. The answer to a question has the type that
// belongs to it.
func summaries(answers mcp.InputResponseMap) []string {
	var said []string
	for _, key := range []string{"user_name", "greeting", "client_roots"} {
		switch a := answers[key].(type) {
		case *mcp.ElicitResult:
			said = append(said, fmt.Sprintf("%s: %s %v", key, a.Action, a.Content["name"]))
		case *mcp.CreateMessageWithToolsResult:
			for _, c := range a.Content {
				said = append(said, fmt.Sprintf("%s: %s", key, contentText(c)))
			}
		case *mcp.ListRootsResult:
			said = append(said, fmt.Sprintf("%s: %s", key, rootURIs(a)))
		}
	}
	return said
}

// askTwice asks a second question that follows from the answer to the first. The
// handler may run three times: what it does before a question must not matter
// twice, and what must be the same each time is kept with Once.
func askTwice(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	var began time.Time
	if err := req.Once(ctx, "began", &began, func() (any, error) { return time.Now(), nil }); err != nil {
		return nil, nil, err
	}
	name, err := req.Elicit(ctx, "step1", form("Step 1: What is your name?", formName))
	if err != nil {
		return nil, nil, err
	}
	color, err := req.Elicit(ctx, "step2", form("Step 2: What is your favorite color?", formColor))
	if err != nil {
		return nil, nil, err
	}
	return say("%v likes %v; it took %s to find out", name.Content["name"], color.Content["color"], time.Since(began).Round(time.Millisecond))
}

// askWhatCanBeAsked looks at what the client has declared before it asks.
func askWhatCanBeAsked(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	questions := mcp.InputRequestMap{}
	if caps := req.ClientCapabilities(); caps != nil {
		if caps.Elicitation != nil {
			questions["user_name"] = form("What is your name?", formName)
		}
		if caps.Sampling != nil {
			questions["greeting"] = prompt("Generate a greeting", 50)
		}
		if caps.RootsV2 != nil {
			questions["client_roots"] = &mcp.ListRootsParams{}
		}
	}
	if len(questions) == 0 {
		return say("you cannot be asked anything")
	}
	answers, err := req.Ask(ctx, questions)
	if err != nil {
		return nil, nil, err
	}
	return say("%s", strings.Join(summaries(answers), "; "))
}

// askWithState is the form of the official SDK: the handler returns its questions
// and a state, and gets both the answers and the state with the next request. The
// engine seals the state: a client can neither read nor change it, and a
// changed one never reaches the handler.
func askWithState(_ context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answer, ok := req.Params.InputResponses["confirm"].(*mcp.ElicitResult)
	if !ok {
		return &mcp.CallToolResult{
			InputRequests: mcp.InputRequestMap{"confirm": form("Please confirm", formOK)},
			RequestState:  "asked for a confirmation",
		}, nil, nil
	}
	return say("state-ok: I had %s, and your user chose to %s", req.Params.RequestState, answer.Action)
}
