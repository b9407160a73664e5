package mcp

import (
	"errors"
	"fmt"
	"math"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp/schema"
)

// Values of ToolChoice.Mode.
const (
	choiceAuto     = "auto"
	choiceRequired = "required"
	choiceNone     = "none"
)

// Values of IncludeContext.
const (
	contextNone       = "none"
	contextThisServer = "thisServer"
	contextAllServers = "allServers"
)

// check is checkInputRequest.
func (p *CreateMessageWithToolsParams) check() error {
	if p.MaxTokens <= 0 {
		return fmt.Errorf("MaxTokens is %d; set it to how many tokens may be written at most", p.MaxTokens)
	}
	switch p.IncludeContext {
	case "", contextNone, contextThisServer, contextAllServers:
	default:
		return fmt.Errorf(`IncludeContext is %q; leave it empty or set it to "none", "thisServer" or "allServers"`, p.IncludeContext)
	}
	if math.IsNaN(p.Temperature) || math.IsInf(p.Temperature, 0) {
		return errors.New("Temperature is not a finite number")
	}
	if p.Metadata != nil {
		raw, err := appendPart(nil, "", "Metadata", p.Metadata)
		if err != nil {
			return err
		}
		if !isObject(raw) {
			return errors.New("Metadata must be a JSON object; use a map or a struct")
		}
	}
	if err := p.ModelPreferences.check(); err != nil {
		return fmt.Errorf("ModelPreferences: %w", err)
	}
	if err := p.checkTools(); err != nil {
		return err
	}
	return p.checkMessages()
}

func (m *ModelPreferences) check() error {
	if m == nil {
		return nil
	}
	for _, v := range [...]struct {
		name  string
		value float64
	}{
		{"CostPriority", m.CostPriority}, {"SpeedPriority", m.SpeedPriority}, {"IntelligencePriority", m.IntelligencePriority},
	} {
		if v.value < 0 || v.value > 1 || math.IsNaN(v.value) {
			return fmt.Errorf("%s is %v; it must be from 0 to 1", v.name, v.value)
		}
	}
	for i, hint := range m.Hints {
		if hint == nil {
			return fmt.Errorf("Hints[%d] is nil", i)
		}
	}
	return nil
}

func (p *CreateMessageWithToolsParams) checkTools() error {
	names := map[string]bool{}
	for i, t := range p.Tools {
		if err := checkSamplingTool(t); err != nil {
			return fmt.Errorf("Tools[%d]: %w", i, err)
		}
		if names[t.Name] {
			return fmt.Errorf("Tools[%d]: there is another tool with the Name %q", i, t.Name)
		}
		names[t.Name] = true
	}
	if p.ToolChoice == nil {
		return nil
	}
	switch p.ToolChoice.Mode {
	case "", choiceAuto, choiceNone:
	case choiceRequired:
		if len(p.Tools) == 0 {
			return errors.New(`ToolChoice.Mode is "required", and there are no Tools`)
		}
	default:
		return fmt.Errorf(`ToolChoice.Mode is %q; leave it empty or set it to "auto", "required" or "none"`, p.ToolChoice.Mode)
	}
	return nil
}

func checkSamplingTool(t *Tool) error {
	if t == nil {
		return errors.New("is nil")
	}
	if t.InputSchema == nil {
		return errors.New("InputSchema is nil; use json.RawMessage(`{\"type\":\"object\"}`) for any arguments")
	}
	encoded, err := encodeTool(t)
	if err != nil {
		return err
	}
	if err := checkJSON(encoded.input); err != nil {
		return fmt.Errorf("InputSchema: %w", err)
	}
	if string(jsonrpc.Member(encoded.input, "type")) != `"object"` {
		return errors.New(`InputSchema must have "type": "object"`)
	}
	_, err = schema.LintTool(t.Name, encoded.input, encoded.output)
	return err
}

// checkMessages checks each message and that tools are used and answered in
// turn. 2026-07-28, sampling, "Tool Use and Result Balance": "every assistant
// message containing ToolUseContent blocks MUST be followed by a user message
// that consists entirely of ToolResultContent blocks, with each tool use
// matched by a corresponding tool result".
func (p *CreateMessageWithToolsParams) checkMessages() error {
	if len(p.Messages) == 0 {
		return errors.New("Messages is empty; give at least one message for the model to answer")
	}
	var open map[string]bool // the uses of tools in the message before
	for i, m := range p.Messages {
		if m == nil {
			return fmt.Errorf("Messages[%d] is nil", i)
		}
		uses, results, err := m.check()
		if err != nil {
			return fmt.Errorf("Messages[%d]: %w", i, err)
		}
		for _, id := range results {
			if !open[id] {
				return fmt.Errorf("Messages[%d]: a ToolResultContent has the ToolUseID %q, which the message before does not use or which has a result already", i, id)
			}
			delete(open, id)
		}
		if len(open) > 0 {
			return fmt.Errorf("Messages[%d]: every ToolUseContent of the message before needs its ToolResultContent here, and nothing else", i)
		}
		open = map[string]bool{}
		for _, id := range uses {
			if open[id] {
				return fmt.Errorf("Messages[%d]: two uses of tools have the ID %q", i, id)
			}
			open[id] = true
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("Messages[%d]: every ToolUseContent needs a message with its ToolResultContent after it", len(p.Messages)-1)
	}
	return nil
}

// check returns the ids of the uses and results of tools in m.
//
// 2026-07-28, sampling, "Tool Result Messages": "When a user message contains
// tool results, it MUST contain ONLY tool results."
func (m *SamplingMessageV2) check() (uses, results []string, err error) {
	if !m.Role.known() {
		return nil, nil, fmt.Errorf("Role is %q; set it to RoleUser or RoleAssistant", m.Role)
	}
	if len(m.Content) == 0 {
		return nil, nil, errors.New("Content is empty; give at least one content")
	}
	for i, c := range m.Content {
		if err := checkContent(c); err != nil {
			return nil, nil, fmt.Errorf("Content[%d] %w", i, err)
		}
		switch c := c.(type) {
		case *ToolUseContent:
			uses = append(uses, c.ID)
		case *ToolResultContent:
			results = append(results, c.ToolUseID)
		case *ResourceLink, *EmbeddedResource:
			return nil, nil, fmt.Errorf("Content[%d] is a %T, which models are not sent; use a TextContent", i, c)
		}
	}
	switch {
	case len(uses) > 0 && m.Role != RoleAssistant:
		return nil, nil, errors.New("Role of a message with a ToolUseContent must be RoleAssistant")
	case len(results) > 0 && m.Role != RoleUser:
		return nil, nil, errors.New("Role of a message with a ToolResultContent must be RoleUser")
	case len(results) > 0 && len(results) != len(m.Content):
		return nil, nil, errors.New("Content mixes ToolResultContent with other content; give each a message of its own")
	}
	return uses, results, nil
}

// checkContent reports whether c cannot be sent, wherever it stands.
func checkContent(c Content) error {
	missing := false
	switch c := c.(type) {
	case nil:
		missing = true
	case *TextContent:
		missing = c == nil
	case *ImageContent:
		missing = c == nil
	case *AudioContent:
		missing = c == nil
	case *ResourceLink:
		missing = c == nil
	case *EmbeddedResource:
		if missing = c == nil; !missing && c.Resource == nil {
			return errors.New("is an EmbeddedResource without Resource; set it")
		}
	case *ToolUseContent:
		if missing = c == nil; !missing && (c.ID == "" || c.Name == "") {
			return errors.New("is a ToolUseContent without ID or Name; set both as the model gave them")
		}
	case *ToolResultContent:
		if missing = c == nil; !missing {
			return c.check()
		}
	}
	if missing {
		return errors.New("is nil; leave it out")
	}
	return nil
}

func (c *ToolResultContent) check() error {
	if c.ToolUseID == "" {
		return errors.New("is a ToolResultContent without ToolUseID; set it to the ID of the ToolUseContent")
	}
	for i, inner := range c.Content {
		switch inner.(type) {
		case *ToolUseContent, *ToolResultContent:
			return fmt.Errorf("has a %T in Content[%d], which results of tools cannot hold", inner, i)
		}
		if err := checkContent(inner); err != nil {
			return fmt.Errorf("has a Content[%d] that %w", i, err)
		}
	}
	return nil
}

// usesTools reports whether p is for clients that know of tools in sampling.
func (p *CreateMessageWithToolsParams) usesTools() bool {
	if len(p.Tools) > 0 || p.ToolChoice != nil {
		return true
	}
	for _, m := range p.Messages {
		if m == nil {
			continue
		}
		for _, c := range m.Content {
			switch c.(type) {
			case *ToolUseContent, *ToolResultContent:
				return true
			}
		}
	}
	return false
}

// needed is neededCapability.
//
// 2026-07-28, sampling: "Servers MUST NOT send tool-enabled sampling requests
// to Clients that have not declared support for tool use via the
// sampling.tools capability", and SHOULD NOT use the discouraged values of
// includeContext "unless the client declares sampling.context capability".
func (p *CreateMessageWithToolsParams) needed() *SamplingCapabilities {
	need := &SamplingCapabilities{}
	if p.usesTools() {
		need.Tools = &SamplingToolsCapabilities{}
	}
	if p.IncludeContext == contextThisServer || p.IncludeContext == contextAllServers {
		need.Context = &SamplingContextCapabilities{}
	}
	return need
}
