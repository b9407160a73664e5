package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// addTaskTools adds tools that may take long. To a client with the tasks
// extension, a call of a tool with Task set is answered with a task at once,
// and the client comes back for the result. The handlers are the same as ever.
func addTaskTools(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "greet", Description: "Says hello, at once."}, greet)
	mcp.AddTool(s, &mcp.Tool{
		Name: "slow_compute", Description: "Computes for a while.",
		Task: mcp.TaskOptional, Timeout: 10 * time.Minute,
	}, slowCompute)
	mcp.AddTool(s, &mcp.Tool{
		Name: "failing_job", Description: "Fails after half a second. Needs a client with tasks.",
		Task: mcp.TaskRequired,
	}, failingJob)
	mcp.AddTool(s, &mcp.Tool{
		Name: "protocol_error_job", Description: "Ends with a protocol error.",
		Task: mcp.TaskOptional,
	}, protocolErrorJob)
	destructive := true
	mcp.AddTool(s, &mcp.Tool{
		Name: "confirm_delete", Description: "Asks your user before it pretends to delete a file.",
		Annotations: &mcp.ToolAnnotations{DestructiveHint: &destructive},
		Task:        mcp.TaskOptional,
	}, confirmDelete)
	mcp.AddTool(s, &mcp.Tool{
		Name: "multi_input", Description: "Asks two things at once, which may be answered one by one.",
		Task: mcp.TaskOptional,
	}, multiInput)
	mcp.AddTool(s, &mcp.Tool{
		Name: "test_tool_with_task", Description: "Asks for a name, then goes on as a task.",
		Task: mcp.TaskManual,
	}, askThenTask)
}

func greet(_ context.Context, _ *mcp.CallToolRequest, in struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}) (*mcp.CallToolResult, any, error) {
	return say("Hello, %s!", in.Name)
}

type slowComputeArgs struct {
	Seconds float64 `json:"seconds" jsonschema:"how long to compute, at most 300"`
	Label   string  `json:"label,omitempty" jsonschema:"what to call the result"`
}

// slowCompute ends early when its context does: when the client cancels the
// task, or the server ends.
func slowCompute(ctx context.Context, req *mcp.CallToolRequest, in slowComputeArgs) (*mcp.CallToolResult, any, error) {
	if in.Seconds < 0 || in.Seconds > 300 {
		return nil, nil, errors.New("seconds must be between 0 and 300")
	}
	total := time.Duration(in.Seconds * float64(time.Second))
	for done := time.Duration(0); done < total; {
		d := min(total-done, 250*time.Millisecond)
		if err := pause(ctx, d); err != nil {
			return nil, nil, err
		}
		done += d
		// Progress is told to who asked for it, and is no reason to stop.
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			Progress: done.Seconds(), Total: in.Seconds, Message: fmt.Sprintf("computing %s", in.Label),
		})
	}
	return say("computed %s for %s", in.Label, total)
}

// failingJob fails like any tool: the task is completed, its result says isError.
func failingJob(ctx context.Context, _ *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return nil, nil, err
	}
	return nil, nil, errors.New("the job failed, as it always does")
}

// protocolErrorJob returns an error that is not the tool's: the task has failed.
func protocolErrorJob(ctx context.Context, _ *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	if err := pause(ctx, step); err != nil {
		return nil, nil, err
	}
	return nil, nil, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: "the job broke down"}
}

// confirmDelete waits for the answer in a task, which needs input meanwhile.
func confirmDelete(ctx context.Context, req *mcp.CallToolRequest, in struct {
	Filename string `json:"filename" jsonschema:"what to delete"`
}) (*mcp.CallToolResult, any, error) {
	answer, err := req.Elicit(ctx, "confirm", form(fmt.Sprintf("Delete %s?", in.Filename), formConfirm))
	if err != nil {
		return nil, nil, err
	}
	if answer.Action != "accept" || answer.Content["confirm"] != true {
		return say("%s was not deleted", in.Filename)
	}
	return say("%s was deleted (not really)", in.Filename)
}

func multiInput(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answers, err := req.Ask(ctx, mcp.InputRequestMap{
		"name":    form("What is your name?", formName),
		"confirm": form("Is that so?", formConfirm),
	})
	if err != nil {
		return nil, nil, err
	}
	name, confirm := answers["name"].(*mcp.ElicitResult), answers["confirm"].(*mcp.ElicitResult)
	return say("name: %v, confirmed: %v", name.Content["name"], confirm.Content["confirm"])
}

// askThenTask makes itself a task only when it has all it needs. Without the
// extension it goes on as an ordinary call.
func askThenTask(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
	answer, err := req.Elicit(ctx, "user_name", form("What is your name?", formName))
	if err != nil {
		return nil, nil, err
	}
	taskCtx, err := req.StartTask(ctx, nil)
	switch {
	case err == nil:
		ctx = taskCtx // the request that ctx belongs to is answered
	case !errors.Is(err, mcp.ErrNoTask):
		return nil, nil, err
	}
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return nil, nil, err
	}
	return say("Hello, %v, and thank you for waiting!", answer.Content["name"])
}
