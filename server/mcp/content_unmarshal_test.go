package mcp

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestResultsDecode: what is sent in any revision decodes to what was meant.
func TestResultsDecode(t *testing.T) {
	s := fixture(nil)
	size := int64(7)
	all := []Content{
		&TextContent{Text: "t", Annotations: &Annotations{Audience: []Role{RoleUser}, Priority: 0.5, LastModified: "2025-01-12T15:00:58Z"}, Meta: Meta{"k": "v"}},
		&ImageContent{Data: []byte{1}, MIMEType: "image/png"},
		&AudioContent{Data: []byte{2}, MIMEType: "audio/wav"},
		&ResourceLink{URI: "file:///a", Name: "a", Title: "A", Description: "the a", MIMEType: "text/plain", Size: &size, Icons: []Icon{{Source: "data:,"}}},
		&EmbeddedResource{Resource: &ResourceContents{URI: "file:///b", Text: "b", MIMEType: "text/plain"}},
		&EmbeddedResource{Resource: &ResourceContents{URI: "file:///c", Blob: []byte{}, Meta: Meta{"k": "v"}}},
	}
	q := InputRequestMap{
		"form":  &ElicitParams{Mode: "form", Message: "m", RequestedSchema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}}}`)},
		"model": &CreateMessageWithToolsParams{MaxTokens: 5, Messages: []*SamplingMessageV2{{Role: RoleUser, Content: []Content{&TextContent{Text: "t"}}}}},
		"roots": &ListRootsParams{},
	}
	for _, tt := range []struct {
		in, out Result
	}{
		{&CallToolResult{Content: all, StructuredContent: map[string]any{"a": 1.0}, IsError: true}, &CallToolResult{}},
		{&CallToolResult{InputRequests: q, RequestState: "s"}, &CallToolResult{}},
		{&GetPromptResult{Description: "d", Messages: []*PromptMessage{{Role: RoleAssistant, Content: all[0]}, {Role: RoleUser, Content: all[4]}}}, &GetPromptResult{}},
		{&GetPromptResult{InputRequests: q, RequestState: "s"}, &GetPromptResult{}},
		{&ReadResourceResult{Cacheable: Cacheable{TTLMs: 5, CacheScope: CacheScopePublic}, Contents: []*ResourceContents{{URI: "a", Text: "t"}, {URI: "b", Blob: []byte{1}}}}, &ReadResourceResult{}},
		{&ReadResourceResult{InputRequests: q}, &ReadResourceResult{}},
	} {
		raw, err := s.appendResult(nil, tt.in, newest)
		if err == nil {
			err = json.Unmarshal(raw, tt.out)
		}
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		tt.out.SetMeta(nil)
		if !reflect.DeepEqual(tt.in, tt.out) {
			t.Errorf("%s\ndecoded as %s", raw, mustJSON(t, tt.out))
		}
		for rev := range newest {
			if r, ok := tt.in.(interactive); ok {
				if asked, _ := r.wants(); asked != nil {
					continue // no result of these revisions asks
				}
			}
			raw, err := s.appendResult(nil, tt.in, rev)
			if err == nil {
				err = json.Unmarshal(raw, reflect.New(reflect.TypeOf(tt.out).Elem()).Interface())
			}
			if err != nil {
				t.Errorf("%s: %s: %v", rev.version(), raw, err)
			}
		}
		// What encoding/json makes of a result is one too.
		again := reflect.New(reflect.TypeOf(tt.out).Elem()).Interface()
		if err := json.Unmarshal([]byte(mustJSON(t, tt.in)), again); err != nil || !reflect.DeepEqual(tt.in, again) {
			t.Errorf("%s: %v", mustJSON(t, tt.in), err)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestResultsDecodeStrictly(t *testing.T) {
	for _, tt := range []struct {
		into     json.Unmarshaler
		in, want string
	}{
		{&CallToolResult{}, `{`, ""},
		{&CallToolResult{}, `[]`, "must be an object"},
		{&CallToolResult{}, `{"content":1}`, "content must be an array"},
		{&CallToolResult{}, `{"content":[{"type":"text","text":"a"},{"type":"tool_use"}]}`, "content[1]: type must be one of text, image, audio, resource_link, resource here"},
		{&CallToolResult{}, `{"content":[{"type":"image","data":"*","mimeType":"x"}]}`, "content[0]: data must be base64"},
		{&CallToolResult{}, `{"content":[null]}`, "content[0]: must be an object"},
		{&CallToolResult{}, `{"isError":1}`, "isError must be a boolean"},
		{&CallToolResult{}, `{"inputRequests":{"a":{"method":"x"}}}`, `inputRequests: "a": method is none that a client can be asked`},
		{&CallToolResult{}, `{"inputRequests":{"a":{}}}`, `inputRequests: "a": method is missing`},
		{&CallToolResult{}, `{"inputRequests":{"a":1}}`, `inputRequests: "a": must be an object`},
		{&CallToolResult{}, `{"inputRequests":{"a":{"method":"elicitation/create","params":1}}}`, `inputRequests: "a": json`},
		{&CallToolResult{}, `{"inputRequests":[]}`, "inputRequests: must be an object"},
		{&GetPromptResult{}, `[]`, "must be an object"},
		{&GetPromptResult{}, `{"messages":[{"role":"user"}]}`, "messages[0]: content is missing"},
		{&GetPromptResult{}, `{"messages":[{"role":"x","content":{"type":"text","text":""}}]}`, `messages[0]: role must be "user" or "assistant"`},
		{&GetPromptResult{}, `{"messages":[1]}`, "messages[0]: must be an object"},
		{&ReadResourceResult{}, `[]`, "must be an object"},
		{&ReadResourceResult{}, `{"contents":[{"uri":"a"}]}`, "contents[0]: text or blob must be there, and not both"},
		{&ReadResourceResult{}, `{"contents":[1]}`, "contents[0]: must be an object"},
		{&ReadResourceResult{}, `{"ttlMs":"1"}`, "ttlMs must be a whole number"},
	} {
		before := reflect.ValueOf(tt.into).Elem().Interface()
		err := tt.into.UnmarshalJSON([]byte(tt.in))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.in, err, tt.want)
		}
		if !reflect.DeepEqual(before, reflect.ValueOf(tt.into).Elem().Interface()) {
			t.Errorf("%s: the value has changed", tt.in)
		}
	}
	res := &CallToolResult{}
	if err := json.Unmarshal([]byte(`{"content":null,"structuredContent":null,"unknown":1}`), res); err != nil || res.Content != nil {
		t.Errorf("null members: %+v, %v", res, err)
	}
}

func FuzzResultsDecode(f *testing.F) {
	s := fixture(nil)
	raw, err := s.appendResult(nil, contents(), newest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"content":[],"inputRequests":{"a":{"method":"roots/list","params":{}}},"requestState":"s"}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":{"type":"text","text":"t"}}],"contents":[{"uri":"a","blob":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range []json.Unmarshaler{&CallToolResult{}, &GetPromptResult{}, &ReadResourceResult{}} {
			if r.UnmarshalJSON(data) != nil {
				continue
			}
			if res, ok := r.(interactive); ok {
				if asked, _ := res.wants(); asked != nil {
					continue // may hold what a server must not ask
				}
			}
			if out, err := s.appendResult(nil, r.(Result), newest); err != nil || !json.Valid(out) {
				t.Errorf("%s decodes and does not encode: %s, %v", data, out, err)
			}
		}
	})
}
