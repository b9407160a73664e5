package mcp

import (
	"errors"
	"fmt"
	"strconv"

	"millrace/codec/jsonrpc"
)

// CreateMessageParams asks a client to have its model write a message
// (client/sampling). Sampling exists in all revisions; as of 2026-07-28 the
// protocol discourages new uses of it.
type CreateMessageParams struct {
	Meta `json:"_meta,omitempty"`
	// IncludeContext is what the client should add to the prompt: "none", the
	// default, "thisServer" or "allServers". The last two are discouraged, and
	// only for clients that declare sampling.context.
	IncludeContext string `json:"includeContext,omitempty"`
	// MaxTokens is how many tokens may be written at most; required.
	MaxTokens int64 `json:"maxTokens"`
	// Messages are the conversation so far, at least one.
	Messages []*SamplingMessage `json:"messages"`
	// Metadata is an object for the provider of the model, or nil.
	Metadata any `json:"metadata,omitempty"`
	// ModelPreferences tell which model to choose; the client may ignore them.
	ModelPreferences *ModelPreferences `json:"modelPreferences,omitempty"`
	// StopSequences end the message where the model writes one of them.
	StopSequences []string `json:"stopSequences,omitempty"`
	// SystemPrompt may be changed or ignored by the client.
	SystemPrompt string `json:"systemPrompt,omitempty"`
	// Temperature is the randomness, in the units of the provider; 0 leaves the
	// choice to the client.
	Temperature float64 `json:"temperature,omitempty"`
}

// CreateMessageWithToolsParams is CreateMessageParams with tools that the model
// may use, and messages of several contents; both from 2025-11-25 on. The
// tools are not run by the client: it answers with a ToolUseContent, and the
// server asks again with the ToolResultContent added to the messages.
type CreateMessageWithToolsParams struct {
	Meta `json:"_meta,omitempty"`
	// IncludeContext: see CreateMessageParams.
	IncludeContext string `json:"includeContext,omitempty"`
	// MaxTokens is how many tokens may be written at most; required.
	MaxTokens int64 `json:"maxTokens"`
	// Messages are the conversation so far, at least one. Each use of a tool is
	// followed by the message with its result.
	Messages []*SamplingMessageV2 `json:"messages"`
	// Metadata is an object for the provider of the model, or nil.
	Metadata any `json:"metadata,omitempty"`
	// ModelPreferences tell which model to choose; the client may ignore them.
	ModelPreferences *ModelPreferences `json:"modelPreferences,omitempty"`
	// StopSequences end the message where the model writes one of them.
	StopSequences []string `json:"stopSequences,omitempty"`
	// SystemPrompt may be changed or ignored by the client.
	SystemPrompt string `json:"systemPrompt,omitempty"`
	// Temperature is the randomness, in the units of the provider; 0 leaves the
	// choice to the client.
	Temperature float64 `json:"temperature,omitempty"`
	// Tools are for this message only, and need not be tools of the server. Each
	// needs an InputSchema.
	Tools []*Tool `json:"tools,omitempty"`
	// ToolChoice: nil leaves it to the model whether it uses tools.
	ToolChoice *ToolChoice `json:"toolChoice,omitempty"`
}

// SamplingMessage is a message to a model with one content.
type SamplingMessage struct {
	// Content is a *TextContent, *ImageContent or, from 2025-03-26 on,
	// *AudioContent; from 2025-11-25 on also a *ToolUseContent (of the
	// assistant) or *ToolResultContent (of the user).
	Content Content `json:"content"`
	Role    Role    `json:"role"`
}

// SamplingMessageV2 is a message to a model with any number of contents, of the
// types that SamplingMessage has; several of them from 2025-11-25 on.
type SamplingMessageV2 struct {
	// Content holds at least one content; tool results stand alone.
	Content []Content `json:"content"`
	Role    Role      `json:"role"`
}

// ModelPreferences tell which model to choose. The priorities are from 0, not
// important, to 1.
type ModelPreferences struct {
	// CostPriority is how much cheapness matters.
	CostPriority float64 `json:"costPriority,omitempty"`
	// Hints count more than priorities, the first one most.
	Hints []*ModelHint `json:"hints,omitempty"`
	// IntelligencePriority is how much ability matters.
	IntelligencePriority float64 `json:"intelligencePriority,omitempty"`
	// SpeedPriority is how much a quick answer matters.
	SpeedPriority float64 `json:"speedPriority,omitempty"`
}

// ModelHint is a hint for the choice of a model.
type ModelHint struct {
	// Name is a part of the model's name; the client may take a similar model of
	// another provider.
	Name string `json:"name,omitempty"`
}

// ToolChoice says whether a model uses tools; from 2025-11-25 on.
type ToolChoice struct {
	// Mode is "auto", the default: as the model likes; "required": at least one;
	// or "none".
	Mode string `json:"mode,omitempty"`
}

// CreateMessageResult is what a client's model wrote, in one content.
type CreateMessageResult struct {
	Meta `json:"_meta,omitempty"`
	// Content is a *TextContent, *ImageContent or *AudioContent.
	Content Content `json:"content"`
	// Model is the name of the model.
	Model string `json:"model"`
	Role  Role   `json:"role"`
	// StopReason is "endTurn", "stopSequence", "maxTokens" or what the provider
	// says; may be empty.
	StopReason string `json:"stopReason,omitempty"`
}

// CreateMessageWithToolsResult is what a client's model wrote, in any number of
// contents.
type CreateMessageWithToolsResult struct {
	Meta `json:"_meta,omitempty"`
	// Content holds *TextContent, *ImageContent and *AudioContent, and
	// *ToolUseContent if the request had tools. It may be empty.
	Content []Content `json:"content"`
	// Model is the name of the model.
	Model string `json:"model"`
	Role  Role   `json:"role"`
	// StopReason is "endTurn", "stopSequence", "maxTokens", "toolUse" or what the
	// provider says; may be empty.
	StopReason string `json:"stopReason,omitempty"`
}

// ToolUseContent is a model's wish to use a tool. It is for sampling only; from
// 2025-11-25 on.
type ToolUseContent struct {
	// ID comes back in ToolResultContent.ToolUseID.
	ID string
	// Name is that of the tool.
	Name string
	// Input are the arguments, not checked; nil is an empty object.
	Input map[string]any
	Meta  Meta
}

// ToolResultContent is what a tool returned to a model. It is for sampling
// only; from 2025-11-25 on.
type ToolResultContent struct {
	// ToolUseID is the ID of the ToolUseContent.
	ToolUseID string
	// Content is what the model reads; the types are those of CallToolResult.
	Content []Content
	// StructuredContent is any value that marshals to JSON, or a
	// json.RawMessage; in 2025-11-25 only when it is an object.
	StructuredContent any
	// IsError tells the model that the tool failed.
	IsError bool
	Meta    Meta
}

func (*CreateMessageParams) isParams()                 {}
func (*CreateMessageParams) isInputRequest()           {}
func (*CreateMessageWithToolsParams) isParams()        {}
func (*CreateMessageWithToolsParams) isInputRequest()  {}
func (*CreateMessageResult) isResult()                 {}
func (*CreateMessageResult) isInputResponse()          {}
func (*CreateMessageWithToolsResult) isResult()        {}
func (*CreateMessageWithToolsResult) isInputResponse() {}

// GetProgressToken returns the token, or nil.
func (p *CreateMessageParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// GetProgressToken returns the token, or nil.
func (p *CreateMessageWithToolsParams) GetProgressToken() any { return p.Meta[metaKeyProgressToken] }

// MarshalJSON implements Content.
func (c *ToolUseContent) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }

// MarshalJSON implements Content.
func (c *ToolResultContent) MarshalJSON() ([]byte, error) { return c.appendContent(nil, newest) }

func (c *ToolUseContent) appendContent(dst []byte, rev revision) ([]byte, error) {
	if rev < rev20251125 {
		return dst, newerOnly("uses of tools", rev20251125, rev)
	}
	dst = append(dst, `{"type":"tool_use","id":`...)
	dst = jsonrpc.AppendString(dst, c.ID)
	dst = append(dst, `,"name":`...)
	dst = jsonrpc.AppendString(dst, c.Name)
	input := c.Input
	if input == nil {
		input = map[string]any{}
	}
	dst, err := appendPart(dst, `,"input":`, "Input", input)
	if err != nil {
		return dst, err
	}
	return appendMeta(dst, c.Meta)
}

func (c *ToolResultContent) appendContent(dst []byte, rev revision) ([]byte, error) {
	if rev < rev20251125 {
		return dst, newerOnly("results of tools", rev20251125, rev)
	}
	dst = append(dst, `{"type":"tool_result","toolUseId":`...)
	dst = jsonrpc.AppendString(dst, c.ToolUseID)
	dst = append(dst, `,"content":`...)
	dst, err := appendContents(dst, c.Content, rev)
	if err != nil {
		return dst, err
	}
	if c.StructuredContent != nil {
		if dst, err = appendStructured(dst, c.StructuredContent, rev); err != nil {
			return dst, fmt.Errorf("StructuredContent cannot be encoded as JSON: %w", err)
		}
	}
	if c.IsError {
		dst = append(dst, `,"isError":true`...)
	}
	return appendMeta(dst, c.Meta)
}

// appendContents appends an array of contents.
func appendContents(dst []byte, contents []Content, rev revision) ([]byte, error) {
	dst = append(dst, '[')
	for i, c := range contents {
		if i > 0 {
			dst = append(dst, ',')
		}
		err := checkContent(c)
		if err != nil {
			return dst, fmt.Errorf("Content[%d] %w", i, err)
		}
		if dst, err = c.appendContent(dst, rev); err != nil {
			return dst, fmt.Errorf("Content[%d]: %w", i, err)
		}
	}
	return append(dst, ']'), nil
}

// MarshalJSON encodes m in the form of the newest revision.
func (m *SamplingMessageV2) MarshalJSON() ([]byte, error) { return m.append(nil, newest) }

// UnmarshalJSON decodes a message with one content. It is strict: it is an
// error for a member to be missing or of a wrong type.
func (m *SamplingMessage) UnmarshalJSON(data []byte) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	r := objectReader{obj: data}
	v := SamplingMessage{Role: r.role(), Content: r.single(messageTypes...)}
	if r.err == nil {
		*m = v
	}
	return r.err
}

// UnmarshalJSON decodes a message with one content or an array of them, as
// strictly as that of SamplingMessage.
func (m *SamplingMessageV2) UnmarshalJSON(data []byte) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	r := objectReader{obj: data}
	v := SamplingMessageV2{Role: r.role(), Content: r.contents(messageTypes...)}
	if r.err == nil {
		*m = v
	}
	return r.err
}

// UnmarshalJSON decodes a result with one content, as strictly as that of
// SamplingMessage.
func (m *CreateMessageResult) UnmarshalJSON(data []byte) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	r := objectReader{obj: data}
	v := CreateMessageResult{
		Role: r.role(), Content: r.single(mediaTypes...), Model: r.text("model"),
		StopReason: r.optionalText("stopReason"), Meta: r.meta(),
	}
	if r.err == nil {
		*m = v
	}
	return r.err
}

// UnmarshalJSON decodes a result with one content or an array of them, as
// strictly as that of SamplingMessage.
func (m *CreateMessageWithToolsResult) UnmarshalJSON(data []byte) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	v, err := parseMessageResult(data, answerTypes)
	if err == nil {
		*m = *v
	}
	return err
}

// MarshalJSON encodes m in the form of the newest revision, one content without
// an array.
func (m *CreateMessageWithToolsResult) MarshalJSON() ([]byte, error) {
	dst := []byte(`{"role":`)
	dst = jsonrpc.AppendString(dst, string(m.Role))
	dst, err := appendOneOrMore(append(dst, `,"content":`...), m.Content, newest)
	if err != nil {
		return nil, err
	}
	dst = append(dst, `,"model":`...)
	dst = jsonrpc.AppendString(dst, m.Model)
	dst = appendMember(dst, `,"stopReason":`, m.StopReason)
	return appendMeta(dst, m.Meta)
}

// single returns m as the answer to a request without tools. It is an error for
// it to have other than one content.
func (m *CreateMessageWithToolsResult) single() (*CreateMessageResult, error) {
	if len(m.Content) != 1 {
		return nil, fmt.Errorf("the client's message has %d contents; use CreateMessageWithTools", len(m.Content))
	}
	return &CreateMessageResult{Meta: m.Meta, Content: m.Content[0], Model: m.Model, Role: m.Role, StopReason: m.StopReason}, nil
}

// withTools is p as the more general type. It shares p's parts.
func (p *CreateMessageParams) withTools() *CreateMessageWithToolsParams {
	v := &CreateMessageWithToolsParams{
		Meta: p.Meta, IncludeContext: p.IncludeContext, MaxTokens: p.MaxTokens, Metadata: p.Metadata,
		ModelPreferences: p.ModelPreferences, StopSequences: p.StopSequences, SystemPrompt: p.SystemPrompt,
		Temperature: p.Temperature,
	}
	for _, m := range p.Messages {
		var message *SamplingMessageV2
		if m != nil {
			message = &SamplingMessageV2{Role: m.Role, Content: []Content{m.Content}}
		}
		v.Messages = append(v.Messages, message)
	}
	return v
}

// appendParams appends p in the form of rev; see appendInputParams.
func (p *CreateMessageWithToolsParams) appendParams(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `{"messages":[`...)
	var err error
	for i, m := range p.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = m.append(dst, rev); err != nil {
			return dst, fmt.Errorf("Messages[%d]: %w", i, err)
		}
	}
	dst = append(dst, `],"maxTokens":`...)
	dst = strconv.AppendInt(dst, p.MaxTokens, 10)
	dst = appendMember(dst, `,"systemPrompt":`, p.SystemPrompt)
	dst = appendMember(dst, `,"includeContext":`, p.IncludeContext)
	for _, part := range [...]struct {
		head, name string
		value      any
		absent     bool
	}{
		{`,"modelPreferences":`, "ModelPreferences", p.ModelPreferences, p.ModelPreferences == nil},
		{`,"temperature":`, "Temperature", p.Temperature, p.Temperature == 0},
		{`,"stopSequences":`, "StopSequences", p.StopSequences, len(p.StopSequences) == 0},
		{`,"metadata":`, "Metadata", p.Metadata, p.Metadata == nil},
	} {
		if part.absent {
			continue
		}
		if dst, err = appendPart(dst, part.head, part.name, part.value); err != nil {
			return dst, err
		}
	}
	if dst, err = p.appendTools(dst, rev); err != nil {
		return dst, err
	}
	return appendMeta(dst, p.Meta)
}

func (p *CreateMessageWithToolsParams) appendTools(dst []byte, rev revision) ([]byte, error) {
	if rev < rev20251125 && (len(p.Tools) > 0 || p.ToolChoice != nil) {
		return dst, newerOnly("Tools and ToolChoice", rev20251125, rev)
	}
	if len(p.Tools) > 0 {
		dst = append(dst, `,"tools":[`...)
		for i, t := range p.Tools {
			encoded, err := encodeTool(t)
			if err != nil {
				return dst, fmt.Errorf("Tools[%d]: %w", i, err)
			}
			dst = (&serverTool{tool: t, encoded: encoded}).appendFeature(dst, rev)
			dst = append(dst, ',')
		}
		dst[len(dst)-1] = ']'
	}
	if p.ToolChoice == nil {
		return dst, nil
	}
	return appendPart(dst, `,"toolChoice":`, "ToolChoice", p.ToolChoice)
}

// append appends m in the form of rev.
func (m *SamplingMessageV2) append(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, `{"role":`...)
	dst = jsonrpc.AppendString(dst, string(m.Role))
	dst, err := appendOneOrMore(append(dst, `,"content":`...), m.Content, rev)
	return append(dst, '}'), err
}

// appendOneOrMore appends one content as it is and others as an array, which
// there is from 2025-11-25 on. What stands for an audio in the results of tools
// would make no sense to a model.
func appendOneOrMore(dst []byte, contents []Content, rev revision) ([]byte, error) {
	if len(contents) != 1 {
		if rev < rev20251125 {
			return dst, newerOnly("messages of other than one content", rev20251125, rev)
		}
		return appendContents(dst, contents, rev)
	}
	c := contents[0]
	if err := checkContent(c); err != nil {
		return dst, fmt.Errorf("Content %w", err)
	}
	if _, ok := c.(*AudioContent); ok && rev < rev20250326 {
		return dst, newerOnly("audio contents", rev20250326, rev)
	}
	return c.appendContent(dst, rev)
}

// parseResult decodes a client's answer to p. Without tools to use, or when
// none may be used, the model must not want to.
func (p *CreateMessageWithToolsParams) parseResult(raw []byte) (*CreateMessageWithToolsResult, error) {
	allowed := answerTypes
	if len(p.Tools) == 0 || p.ToolChoice != nil && p.ToolChoice.Mode == choiceNone {
		allowed = mediaTypes
	}
	return parseMessageResult(raw, allowed)
}

func parseMessageResult(raw []byte, allowed []string) (*CreateMessageWithToolsResult, error) {
	r := objectReader{obj: raw}
	res := &CreateMessageWithToolsResult{
		Role: r.role(), Content: r.contents(allowed...), Model: r.text("model"),
		StopReason: r.optionalText("stopReason"), Meta: r.meta(),
	}
	if r.err == nil {
		r.err = res.checkUses()
	}
	return res, r.err
}

// checkUses reports whether uses of tools cannot be answered.
func (m *CreateMessageWithToolsResult) checkUses() error {
	ids := map[string]bool{}
	for i, c := range m.Content {
		use, ok := c.(*ToolUseContent)
		switch {
		case !ok:
		case m.Role != RoleAssistant:
			return errors.New(`role of a message with a tool_use must be "assistant"`)
		case ids[use.ID]:
			return fmt.Errorf("content[%d]: id must be different in each tool_use", i)
		default:
			ids[use.ID] = true
		}
	}
	return nil
}
