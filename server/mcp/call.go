package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"millrace/codec/jsonrpc"
)

// maxEchoedName bounds how much of an unknown tool's name is repeated.
const maxEchoedName = 128

// resolveTool finds the tool of a tools/call, and its arguments.
func (s *Server) resolveTool(c *Call) {
	name, args := c.Meta.beside.name, c.Meta.beside.arguments
	// Some clients send null for no arguments.
	if isNull(args) {
		args = noArguments
	}
	c.args = args
	var named bool
	c.name, named = jsonrpc.UnquoteView(name)
	switch {
	case !named:
		c.fail(statusBadRequest, jsonrpc.CodeInvalidParams, "tools/call needs params.name, a string")
	case !isObject(args):
		c.fail(statusBadRequest, jsonrpc.CodeInvalidParams, "params.arguments must be an object")
	default:
		c.tool = s.findTool(c.Session, c.name)
	}
}

// findTool finds a tool by its name, one of a session's own first.
func (s *Server) findTool(ss *ServerSession, name []byte) *serverTool {
	if ss != nil {
		if t := ss.ownTools()[string(name)]; t != nil {
			return t
		}
	}
	return s.snapshot().tools.byKey[string(name)]
}

var noArguments = []byte("{}")

// toolName is the name of the tool that c calls, for people.
func (c *Call) toolName() string {
	if c.tool != nil {
		return c.tool.tool.Name
	}
	return shortName(string(c.name))
}

func shortName(name string) string {
	if len(name) > maxEchoedName {
		return name[:maxEchoedName] + "..."
	}
	return name
}

func decodeCallTool(s *Server, c *Call) (Request, *jsonrpc.Error) {
	f := newFrame[CallToolParamsRaw](s, c)
	f.params.Arguments = c.args
	if c.tool != nil {
		f.params.Name = c.tool.tool.Name
	} else {
		f.params.Name = string(c.name)
	}
	f.call.subject = f.params.Name
	if c.Meta.custom {
		f.params.Meta = decodeMeta(c.Meta.raw)
	}
	return f.interactive(c, &f.params.InputResponses, &f.params.RequestState)
}

// handleCallTool finds a tool, and runs it, as a task where it is one.
func handleCallTool(ctx context.Context, _ string, request Request) (res Result, err error) {
	req := request.(*CallToolRequest)
	s, call := req.Session.server, req.Session.call
	t := call.tool
	if t == nil || t.tool.Name != req.Params.Name { // middleware may have renamed it
		t = s.findTool(req.Session, []byte(req.Params.Name))
	}
	if t == nil || !s.mayCall(ctx, req, t) {
		return nil, &jsonrpc.Error{
			Code:    jsonrpc.CodeInvalidParams,
			Message: "unknown tool " + strconv.Quote(shortName(req.Params.Name)),
		}
	}
	if call.mismatch != nil {
		return nil, call.mismatch
	}
	call.tool = t
	if t.tool.Task == TaskNever {
		return t.run(ctx, req)
	}
	if t.tool.Task != TaskManual {
		tctx, err := t.begin(ctx, req)
		if err != nil {
			return nil, err
		}
		ctx = tctx
	}
	done := false
	defer func() { call.finishTask(res, err, done) }() // also when the handler panics
	res, err = t.run(ctx, req)
	done = true
	return res, err
}

// mayCall asks the guard, unless the host has, and the filter.
func (s *Server) mayCall(ctx context.Context, req *CallToolRequest, t *serverTool) bool {
	call := req.Session.call
	asked := call.permitted && t == call.tool // middleware may have renamed it
	if !asked && !s.mayTool(req.Extra.Principal, t.tool) {
		return false
	}
	return s.opts.ToolFilter == nil || s.opts.ToolFilter(ctx, req.caller(), t.tool)
}

// begin makes a call a task if its client can handle one. An error is for a tool
// that cannot run otherwise.
func (t *serverTool) begin(ctx context.Context, req *CallToolRequest) (context.Context, error) {
	if t.tool.Task == TaskRequired {
		if err := req.Session.call.needTasks(); err != nil {
			return nil, err
		}
	}
	tctx, err := req.StartTask(ctx, nil)
	switch {
	case err == nil:
		return tctx, nil
	case t.tool.Task == TaskOptional && errors.Is(err, ErrNoTask):
		return ctx, nil
	}
	return nil, err
}

// run runs a tool between the checks of its arguments and output.
func (t *serverTool) run(ctx context.Context, req *CallToolRequest) (Result, error) {
	s, call := req.Session.server, req.Session.call
	if len(req.Params.Arguments) == 0 { // middleware again
		req.Params.Arguments = json.RawMessage("{}")
	}
	req.Params.Arguments = t.input.ApplyDefaults(req.Params.Arguments)
	if err := t.input.Validate(req.Params.Arguments); err != nil {
		return t.refuse(call.rev, err)
	}
	answer, err := converse(ctx, req, func() (*CallToolResult, error) { return t.handler(ctx, req) })
	if err != nil {
		if wrong, ok := errors.AsType[*argumentError](err); ok {
			return t.refuse(call.rev, wrong.err)
		}
		return nil, err
	}
	res, ok := answer.(*CallToolResult)
	if ok && !s.opts.KeepControls {
		res = res.cleaned()
		answer = res
	}
	if !ok || res.NeedsInput() || t.output == nil || res.IsError {
		return answer, nil
	}
	if err := t.checkOutput(res); err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "mcp: a tool's output does not match its OutputSchema",
			slog.String("tool", t.tool.Name), slog.String("err", err.Error()))
		wrong := &CallToolResult{}
		wrong.SetError(fmt.Errorf("tool %q returned an output that does not match its output schema: %w", t.tool.Name, err))
		return wrong, nil
	}
	return res, nil
}

// refuse answers wrong arguments. 2025-11-25 (SEP-1303) made input validation
// errors tool execution errors, which "language models can use to self-correct
// and retry"; before, invalid arguments were protocol errors.
func (t *serverTool) refuse(rev revision, err error) (Result, error) {
	wrong := fmt.Errorf("invalid arguments for tool %q: %w", t.tool.Name, err)
	if rev < rev20251125 {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: wrong.Error()}
	}
	res := &CallToolResult{}
	res.SetError(wrong)
	return res, nil
}

var errNoOutput = errors.New("there is no structured content")

// checkOutput checks the structured content of res and leaves it encoded, so
// that it is encoded once.
func (t *serverTool) checkOutput(res *CallToolResult) error {
	if res.StructuredContent == nil {
		return errNoOutput
	}
	raw, ok := res.StructuredContent.(json.RawMessage)
	if !ok {
		encoded, err := json.Marshal(res.StructuredContent)
		if err != nil {
			return err
		}
		raw = encoded
		res.StructuredContent = raw
	}
	return t.output.Validate(bytes.TrimSpace(raw))
}
