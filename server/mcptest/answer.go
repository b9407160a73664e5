package mcptest

import (
	"encoding/json"
	"errors"
	"fmt"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp"
)

// codeRejected is the error with which a client answers when its user rejects a
// sampling: "Error code -1" (client/sampling).
const codeRejected = -1

// reply answers a request of the server, as a client of a session does.
func (c *Client) reply(method string, params []byte) (json.RawMessage, error) {
	v, err := c.respond(method, params)
	if err != nil {
		if wrong, ok := errors.AsType[*jsonrpc.Error](err); ok {
			return nil, &mcp.ClientError{Err: wrong}
		}
		return nil, err
	}
	return json.Marshal(v)
}

// replies answers what an input_required result, or a task, asks for: an object
// of requests by key.
func (c *Client) replies(requests []byte) (map[string]json.RawMessage, error) {
	answers := make(map[string]json.RawMessage)
	for name, raw := range jsonrpc.Members(requests) {
		key := string(name)
		var q struct {
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		if err := json.Unmarshal(raw, &q); err != nil {
			return nil, fmt.Errorf("input request %q: %w", key, err)
		}
		v, err := c.respond(q.Method, q.Params)
		if err != nil {
			return nil, fmt.Errorf("input request %q, %s: %w", key, q.Method, err)
		}
		if answers[key], err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("input request %q: the answer: %w", key, err)
		}
	}
	return answers, nil
}

// respond makes the answer to one request of the server.
func (c *Client) respond(method string, params []byte) (any, error) {
	switch {
	case method == "ping":
		return struct{}{}, nil
	case method == "elicitation/create" && c.o.Elicit != nil:
		p := &mcp.ElicitParams{}
		if err := json.Unmarshal(params, p); err != nil {
			return nil, err
		}
		if r := c.o.Elicit(p); r != nil {
			return r, nil
		}
		return &mcp.ElicitResult{Action: "cancel"}, nil
	case method == "sampling/createMessage" && c.o.Sample != nil:
		p := &mcp.CreateMessageWithToolsParams{}
		if err := json.Unmarshal(params, p); err != nil {
			return nil, err
		}
		if r := c.o.Sample(p); r != nil {
			return r, nil
		}
		return nil, &jsonrpc.Error{Code: codeRejected, Message: "User rejected sampling request"}
	case method == "roots/list" && c.o.Capabilities.RootsV2 != nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		return &mcp.ListRootsResult{Roots: append([]*mcp.Root{}, c.roots...)}, nil
	}
	return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "Method not found"}
}
