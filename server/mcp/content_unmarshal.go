package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"millrace/codec/jsonrpc"
)

// This file decodes what a server sends, for clients and tests: the results with
// contents in them. It is strict: a member of a wrong type, or a content that no
// revision knows, is an error that names the member, and leaves the value as it
// was. Members that are null count as absent, and unknown ones are ignored.

// resultLimits are for messages of our own.
var resultLimits = jsonrpc.Limits{Depth: 10_000, Keys: math.MaxInt}

// resultReader is an objectReader of data, which may be anything.
func resultReader(data []byte) *objectReader {
	r := &objectReader{obj: data}
	if err := jsonrpc.Validate(data, &resultLimits); err != nil {
		r.err = errors.New(err.Message)
	} else if !isObject(data) {
		r.err = errNotObject
	}
	return r
}

// UnmarshalJSON decodes a result of tools/call in the form of any revision.
// StructuredContent becomes what encoding/json makes of it.
func (r *CallToolResult) UnmarshalJSON(data []byte) error {
	in := resultReader(data)
	if in.err != nil {
		return in.err
	}
	v := CallToolResult{Meta: in.meta(), RequestState: in.optionalText("requestState")}
	in.each("content", func(raw []byte) error {
		c, err := parseContent(raw, resultTypes...)
		v.Content = append(v.Content, c)
		return err
	})
	in.decode("structuredContent", wantDouble, &v.StructuredContent)
	in.decode("isError", "a boolean", &v.IsError)
	in.nested("inputRequests", &v.InputRequests)
	if in.err == nil {
		*r = v
	}
	return in.err
}

// UnmarshalJSON decodes a result of prompts/get in the form of any revision.
func (r *GetPromptResult) UnmarshalJSON(data []byte) error {
	in := resultReader(data)
	if in.err != nil {
		return in.err
	}
	v := GetPromptResult{Meta: in.meta(), Description: in.optionalText("description"), RequestState: in.optionalText("requestState")}
	in.each("messages", func(raw []byte) error {
		m := &PromptMessage{}
		v.Messages = append(v.Messages, m)
		return m.UnmarshalJSON(raw)
	})
	in.nested("inputRequests", &v.InputRequests)
	if in.err == nil {
		*r = v
	}
	return in.err
}

// UnmarshalJSON decodes a message of a prompt.
func (m *PromptMessage) UnmarshalJSON(data []byte) error {
	in := resultReader(data)
	if in.err != nil {
		return in.err
	}
	v := PromptMessage{Role: in.role(), Content: in.single(resultTypes...)}
	if in.err == nil {
		*m = v
	}
	return in.err
}

// UnmarshalJSON decodes a result of resources/read in the form of any revision.
func (r *ReadResourceResult) UnmarshalJSON(data []byte) error {
	in := resultReader(data)
	if in.err != nil {
		return in.err
	}
	v := ReadResourceResult{Meta: in.meta(), RequestState: in.optionalText("requestState")}
	in.decode("ttlMs", "a whole number", &v.TTLMs)
	v.CacheScope = in.optionalText("cacheScope")
	in.each("contents", func(raw []byte) error {
		c := &ResourceContents{}
		v.Contents = append(v.Contents, c)
		return c.UnmarshalJSON(raw)
	})
	in.nested("inputRequests", &v.InputRequests)
	if in.err == nil {
		*r = v
	}
	return in.err
}

// MarshalJSON encodes r in the form of the newest revision.
func (r *ResourceContents) MarshalJSON() ([]byte, error) { return r.appendContents(nil, newest) }

// UnmarshalJSON decodes what a resource holds, which is a text or a blob.
func (r *ResourceContents) UnmarshalJSON(data []byte) error {
	in := resultReader(data)
	if in.err != nil {
		return in.err
	}
	v := in.resourceContents()
	if in.err == nil {
		*r = *v
	}
	return in.err
}

// UnmarshalJSON decodes what a server asks for. A form keeps its schema as a
// json.RawMessage.
func (m *InputRequestMap) UnmarshalJSON(data []byte) error {
	in := resultReader(data)
	if in.err != nil {
		return in.err
	}
	v := make(InputRequestMap)
	for name, raw := range jsonrpc.Members(data) {
		key := string(name)
		q, err := decodeInputRequest(raw)
		if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		v[key] = q
	}
	*m = v
	return nil
}

func decodeInputRequest(raw []byte) (InputRequest, error) {
	if !isObject(raw) {
		return nil, errNotObject
	}
	in := objectReader{obj: raw}
	switch method := in.text("method"); {
	case in.err != nil:
		return nil, in.err
	case method == methodElicit, method == methodCreateMessage, method == methodListRoots:
		return parseInputRequest(raw)
	}
	return nil, errors.New("method is none that a client can be asked")
}

// each visits the elements of an array, if it is there.
func (r *objectReader) each(name string, visit func(raw []byte) error) {
	if r.raw(name) == nil {
		return
	}
	list := r.array(name)
	if r.err != nil {
		return
	}
	i := 0
	for raw := range jsonrpc.Elements(list) {
		if err := visit(raw); err != nil {
			r.err = fmt.Errorf("%s[%d]: %w", name, i, err)
			return
		}
		i++
	}
}

// nested decodes a member whose own UnmarshalJSON says what is wrong.
func (r *objectReader) nested(name string, v json.Unmarshaler) {
	raw := r.raw(name)
	if raw == nil || r.err != nil {
		return
	}
	if err := v.UnmarshalJSON(raw); err != nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
}
