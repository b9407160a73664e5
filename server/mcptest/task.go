package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// firstPoll is how soon a task is looked at; it doubles up to what the server
// asks for.
const firstPoll = time.Millisecond

// taskState is what tasks/get returns.
type taskState struct {
	Status         mcp.TaskStatus  `json:"status"`
	StatusMessage  string          `json:"statusMessage"`
	PollIntervalMS int64           `json:"pollIntervalMs"`
	InputRequests  json.RawMessage `json:"inputRequests"`
	Result         json.RawMessage `json:"result"`
	Error          json.RawMessage `json:"error"`
}

// follow looks at the task that a call has become until it ends, and answers
// what it asks.
func (c *Client) follow(ctx context.Context, running *call) (json.RawMessage, error) {
	id := running.task()
	returned := running.returned
	pause := firstPoll
	for asked := 0; ; {
		state, err := c.task(ctx, id)
		if err != nil {
			return nil, c.giveUp(ctx, id, err)
		}
		switch state.Status {
		case mcp.TaskCompleted:
			return state.Result, nil
		case mcp.TaskFailed:
			return nil, parseError(state.Error)
		case mcp.TaskCancelled:
			return nil, errors.New("the task was cancelled")
		case mcp.TaskInputRequired:
			if asked++; asked > maxRounds {
				return nil, c.giveUp(ctx, id, fmt.Errorf("the task asked for input %d times", maxRounds))
			}
			if err := c.update(ctx, id, state.InputRequests); err != nil {
				return nil, c.giveUp(ctx, id, err)
			}
			pause = firstPoll
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-returned:
			returned = nil // once
		case <-timer.C:
			pause = min(2*pause, max(time.Duration(state.PollIntervalMS)*time.Millisecond, firstPoll))
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (c *Client) task(ctx context.Context, id string) (*taskState, error) {
	raw, err := c.TryRequest(ctx, "tasks/get", map[string]any{"taskId": id})
	if err != nil {
		return nil, err
	}
	state := &taskState{}
	return state, json.Unmarshal(raw, state)
}

// update answers what a task asks.
func (c *Client) update(ctx context.Context, id string, requests []byte) error {
	answers, err := c.replies(requests)
	if err != nil {
		return err
	}
	_, err = c.TryRequest(ctx, "tasks/update", map[string]any{"taskId": id, "inputResponses": answers})
	return err
}

// giveUp cancels a task that nobody follows any more.
func (c *Client) giveUp(ctx context.Context, id string, err error) error {
	c.cancelTask(id)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// cancelTask sends tasks/cancel, also at the end of the test. A task that is not
// there any more is no error.
func (c *Client) cancelTask(id string) {
	running, err := c.newCall("tasks/cancel", "tasks/cancel", map[string]any{"taskId": id})
	if err != nil {
		return
	}
	defer running.cancel()
	c.server.Plan(running.mcp)
	out, _ := c.server.Serve(running.ctx, running.mcp, nil)
	_, err = running.result(out)
	if wrong, ok := errors.AsType[*jsonrpc.Error](err); ok && wrong.Code != jsonrpc.CodeInvalidParams {
		c.t.Errorf("mcptest: cancelling a task: %v", wrong)
	}
}
