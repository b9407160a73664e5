package mcp

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestCheckSampling(t *testing.T) {
	plain := func(f func(*CreateMessageParams)) InputRequest {
		p := sampling()
		f(p)
		return p
	}
	tools := func(f func(*CreateMessageWithToolsParams)) InputRequest {
		p := samplingTools()
		f(p)
		return p
	}
	tool := func(t *Tool) InputRequest {
		return tools(func(p *CreateMessageWithToolsParams) { p.Tools = append(p.Tools, t) })
	}
	messages := func(m ...*SamplingMessageV2) InputRequest {
		return tools(func(p *CreateMessageWithToolsParams) { p.Messages = m })
	}
	user := func(c ...Content) *SamplingMessageV2 { return &SamplingMessageV2{Role: RoleUser, Content: c} }
	assistant := func(c ...Content) *SamplingMessageV2 { return &SamplingMessageV2{Role: RoleAssistant, Content: c} }
	use := func(id string) *ToolUseContent { return &ToolUseContent{ID: id, Name: "t"} }
	result := func(id string) *ToolResultContent { return &ToolResultContent{ToolUseID: id} }
	hi := &TextContent{Text: "hi"}
	resource := &EmbeddedResource{Resource: &ResourceContents{URI: "file:///a"}}
	object := rawJSON(`{"type":"object"}`)
	tests := []struct {
		name string
		r    InputRequest
		want string // the error; "": none
	}{
		{"plain", sampling(), ""},
		{"media", messages(user(hi, &ImageContent{}, &AudioContent{})), ""},
		{"full", plain(func(p *CreateMessageParams) {
			p.Metadata, p.ModelPreferences = map[string]any{}, &ModelPreferences{CostPriority: 1, Hints: []*ModelHint{{}}}
		}), ""},
		{"parallel", messages(user(hi), assistant(hi, use("1"), use("2")), user(result("2"), result("1")), assistant(use("1")), user(result("1"))), ""},
		{"rich result", messages(assistant(use("1")), user(&ToolResultContent{ToolUseID: "1", Content: []Content{hi, &ImageContent{}, &AudioContent{}, &ResourceLink{}, resource}})), ""},
		{"choice alone", tools(func(p *CreateMessageWithToolsParams) { p.Tools, p.ToolChoice = nil, &ToolChoice{Mode: "none"} }), ""},

		{"tokens", plain(func(p *CreateMessageParams) { p.MaxTokens = 0 }), "MaxTokens is 0; set it"},
		{"negative tokens", plain(func(p *CreateMessageParams) { p.MaxTokens = -1 }), "MaxTokens is -1; set it"},
		{"context", plain(func(p *CreateMessageParams) { p.IncludeContext = "all" }), `IncludeContext is "all"; leave it empty or set it to`},
		{"temperature", plain(func(p *CreateMessageParams) { p.Temperature = math.NaN() }), "Temperature is not a finite number"},
		{"metadata", plain(func(p *CreateMessageParams) { p.Metadata = []int{1} }), "Metadata must be a JSON object"},
		{"metadata code", plain(func(p *CreateMessageParams) { p.Metadata = make(chan int) }), "Metadata cannot be encoded"},
		{"metadata raw", plain(func(p *CreateMessageParams) { p.Metadata = json.RawMessage("{") }), "Metadata cannot be encoded"},
		{"priority", plain(func(p *CreateMessageParams) { p.ModelPreferences = &ModelPreferences{SpeedPriority: 1.5} }), "ModelPreferences: SpeedPriority is 1.5; it must be from 0 to 1"},
		{"priority NaN", plain(func(p *CreateMessageParams) { p.ModelPreferences = &ModelPreferences{CostPriority: math.NaN()} }), "CostPriority is NaN"},
		{"hint", plain(func(p *CreateMessageParams) { p.ModelPreferences = &ModelPreferences{Hints: []*ModelHint{nil}} }), "ModelPreferences: Hints[0] is nil"},
		{"no messages", plain(func(p *CreateMessageParams) { p.Messages = nil }), "Messages is empty"},
		{"nil message", plain(func(p *CreateMessageParams) { p.Messages[0] = nil }), "Messages[0] is nil"},
		{"nil content", plain(func(p *CreateMessageParams) { p.Messages[0].Content = nil }), "Messages[0]: Content[0] is nil"},
		{"role", plain(func(p *CreateMessageParams) { p.Messages[0].Role = "system" }), `Messages[0]: Role is "system"; set it to RoleUser or RoleAssistant`},

		{"nil tool", tool(nil), "Tools[1]: is nil"},
		{"same tool", tool(&Tool{Name: "t", InputSchema: object}), `Tools[1]: there is another tool with the Name "t"`},
		{"no schema", tool(&Tool{Name: "u"}), "Tools[1]: InputSchema is nil; use"},
		{"bad schema", tool(&Tool{Name: "u", InputSchema: make(chan int)}), "Tools[1]: InputSchema cannot be encoded"},
		{"boolean schema", tool(&Tool{Name: "u", InputSchema: true}), "Tools[1]: InputSchema: must be an object"},
		{"other schema", tool(&Tool{Name: "u", InputSchema: rawJSON(`{"type":"string"}`)}), `Tools[1]: InputSchema must have "type": "object"`},
		{"no name", tool(&Tool{InputSchema: object}), "Tools[1]: schema: a tool needs a name"},
		{"choice", tools(func(p *CreateMessageWithToolsParams) { p.ToolChoice.Mode = "any" }), `ToolChoice.Mode is "any"; leave it empty or set it to`},
		{"required", tools(func(p *CreateMessageWithToolsParams) { p.Tools = nil }), `ToolChoice.Mode is "required", and there are no Tools`},

		{"empty", messages(user()), "Messages[0]: Content is empty"},
		{"nil text", messages(user((*TextContent)(nil))), "Content[0] is nil; leave it out"},
		{"nil image", messages(user((*ImageContent)(nil))), "Content[0] is nil; leave it out"},
		{"nil audio", messages(user((*AudioContent)(nil))), "Content[0] is nil; leave it out"},
		{"nil link", messages(user((*ResourceLink)(nil))), "Content[0] is nil; leave it out"},
		{"nil resource", messages(user((*EmbeddedResource)(nil))), "Content[0] is nil; leave it out"},
		{"nil use", messages(user((*ToolUseContent)(nil))), "Content[0] is nil; leave it out"},
		{"nil result", messages(user((*ToolResultContent)(nil))), "Content[0] is nil; leave it out"},
		{"empty resource", messages(user(&EmbeddedResource{})), "Content[0] is an EmbeddedResource without Resource"},
		{"link", messages(user(hi, &ResourceLink{})), "Content[1] is a *mcp.ResourceLink, which models are not sent"},
		{"resource", messages(user(resource)), "Content[0] is a *mcp.EmbeddedResource, which models are not sent"},
		{"use without id", messages(assistant(&ToolUseContent{Name: "t"})), "Content[0] is a ToolUseContent without ID or Name"},
		{"result without id", messages(user(&ToolResultContent{})), "Content[0] is a ToolResultContent without ToolUseID"},
		{"result of nil", messages(user(&ToolResultContent{ToolUseID: "1", Content: []Content{hi, nil}})), "Content[0] has a Content[1] that is nil"},
		{"nested result", messages(user(&ToolResultContent{ToolUseID: "1", Content: []Content{result("2")}})), "has a *mcp.ToolResultContent in Content[0]"},
		{"nested use", messages(user(&ToolResultContent{ToolUseID: "1", Content: []Content{use("2")}})), "has a *mcp.ToolUseContent in Content[0]"},
		{"user uses", messages(user(use("1"))), "Role of a message with a ToolUseContent must be RoleAssistant"},
		{"assistant results", messages(assistant(result("1"))), "Role of a message with a ToolResultContent must be RoleUser"},
		{"mixed", messages(assistant(use("1")), user(hi, result("1"))), "Messages[1]: Content mixes ToolResultContent with other content"},
		{"missing result", messages(assistant(use("1"), use("2")), user(result("1"))), "Messages[1]: every ToolUseContent of the message before"},
		{"no result", messages(assistant(use("1")), user(hi)), "Messages[1]: every ToolUseContent of the message before"},
		{"result at the end", messages(user(hi), assistant(use("1"))), "Messages[1]: every ToolUseContent needs a message"},
		{"unknown result", messages(user(result("1"))), `Messages[0]: a ToolResultContent has the ToolUseID "1"`},
		{"result twice", messages(assistant(use("1")), user(result("1"), result("1"))), `Messages[1]: a ToolResultContent has the ToolUseID "1"`},
		{"same ids", messages(assistant(use("1"), use("1"))), `Messages[0]: two uses of tools have the ID "1"`},
	}
	for _, tt := range tests {
		err := checkInputRequest(tt.r)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestParseMessageResult(t *testing.T) {
	plain, tools := sampling(), samplingTools()
	none := samplingTools()
	none.ToolChoice.Mode = "none"
	hi := text("hi")
	const contentHi = `{"type":"text","text":"hi"}`
	const use = `{"type":"tool_use","id":"1","name":"t","input":{"a":[1]}}`
	answer := func(content string) string { return `{"role":"assistant","model":"m","content":` + content + `}` }
	used := &ToolUseContent{ID: "1", Name: "t", Input: map[string]any{"a": []any{1.0}}}
	runParse(t, []parseTest{
		{"one", plain, answer(contentHi), &CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: hi}, ""},
		{"array of one", plain, answer("[ " + contentHi + " ]"), &CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: hi}, ""},
		{"empty", plain, answer("[]"), &CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: []Content{}}, ""},
		{"all members", plain, `{"role":"user","model":"","stopReason":"endTurn","content":` + contentHi + `,"_meta":{"a":"b"},"more":1}`,
			&CreateMessageWithToolsResult{Role: RoleUser, Content: hi, StopReason: "endTurn", Meta: Meta{"a": "b"}}, ""},
		{"media", plain, answer(`[{"type":"image","data":"AQI=","mimeType":"image/png"},{"type":"audio","data":"","mimeType":"audio/wav","annotations":null}]`),
			&CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: []Content{
				&ImageContent{Data: []byte{1, 2}, MIMEType: "image/png"}, &AudioContent{Data: []byte{}, MIMEType: "audio/wav"},
			}}, ""},
		{"uses", tools, answer(`[` + contentHi + `,` + use + `]`), &CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: []Content{hi[0], used}}, ""},
		{"one use", tools, answer(use), &CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: []Content{used}}, ""},

		{"use without tools", plain, answer(use), nil, "content: type must be one of text, image, audio here"},
		{"use without choice", none, answer("[" + use + "]"), nil, "content[0]: type must be one of text, image, audio here"},
		{"result", tools, answer(`{"type":"tool_result","toolUseId":"1","content":[]}`), nil, "content: type must be one of text, image, audio, tool_use here"},
		{"user uses", tools, strings.Replace(answer(use), "assistant", "user", 1), nil, `role of a message with a tool_use must be "assistant"`},
		{"same ids", tools, answer("[" + use + "," + use + "]"), nil, "content[1]: id must be different in each tool_use"},
		{"no role", plain, `{"model":"m","content":` + contentHi + `}`, nil, "role is missing"},
		{"role", plain, `{"role":"system","model":"m","content":` + contentHi + `}`, nil, `role must be "user" or "assistant"`},
		{"no model", plain, `{"role":"user","content":` + contentHi + `}`, nil, "model is missing"},
		{"model", plain, `{"role":"user","model":{},"content":` + contentHi + `}`, nil, "model must be a string"},
		{"reason", plain, `{"role":"user","model":"m","stopReason":1,"content":` + contentHi + `}`, nil, "stopReason must be a string"},
		{"no content", plain, `{"role":"user","model":"m"}`, nil, "content is missing"},
		{"null content", plain, answer(`null`), nil, "content is missing"},
		{"null in array", plain, answer(`[null]`), nil, "content[0]: must be an object"},
		{"text content", plain, answer(`"hi"`), nil, "content: must be an object"},
		{"too many", plain, answer("[" + strings.TrimSuffix(strings.Repeat(contentHi+",", maxContents+1), ",") + "]"), nil, "content must have at most 1000 items"},
	})
}

func TestSingleResult(t *testing.T) {
	res := &CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", StopReason: "r", Meta: Meta{"a": 1}, Content: text("hi")}
	want := &CreateMessageResult{Role: RoleAssistant, Model: "m", StopReason: "r", Meta: Meta{"a": 1}, Content: &TextContent{Text: "hi"}}
	if got, err := res.single(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	res.Content = nil
	if _, err := res.single(); err == nil || !strings.Contains(err.Error(), "0 contents; use CreateMessageWithTools") {
		t.Errorf("error %v", err)
	}
}

// TestSamplingJSON goes from values to JSON and back.
func TestSamplingJSON(t *testing.T) {
	size := int64(3)
	everything := []Content{&ToolResultContent{
		ToolUseID: "1", IsError: true, StructuredContent: map[string]any{"a": 1.0}, Meta: Meta{"m": true},
		Content: []Content{
			&TextContent{Text: "a\n", Annotations: &Annotations{Audience: []Role{RoleUser}, Priority: 0.5, LastModified: "2025-01-12T15:00:58Z"}},
			&ImageContent{Data: []byte{1}, MIMEType: "image/png", Meta: Meta{"i": 1.0}},
			&AudioContent{Data: []byte{}, MIMEType: "audio/wav"},
			&ResourceLink{URI: "file:///a", Name: "a", Title: "A", Description: "d", MIMEType: "text/plain", Size: &size, Icons: []Icon{{Source: "data:,"}}},
			&EmbeddedResource{Resource: &ResourceContents{URI: "file:///b", MIMEType: "text/plain", Text: ""}},
			&EmbeddedResource{Resource: &ResourceContents{URI: "file:///c", Blob: []byte{0}, Meta: Meta{"b": "c"}}, Annotations: &Annotations{}},
		},
	}}
	for _, v := range []any{
		&SamplingMessage{Role: RoleUser, Content: &TextContent{Text: "x"}},
		&SamplingMessage{Role: RoleUser, Content: everything[0]},
		&SamplingMessageV2{Role: RoleAssistant, Content: []Content{&ToolUseContent{ID: "1", Name: "t", Input: map[string]any{}, Meta: Meta{"a": 1.0}}}},
		&SamplingMessageV2{Role: RoleUser, Content: append(everything, &ToolResultContent{ToolUseID: "2", Content: []Content{}, StructuredContent: []any{}})},
		&SamplingMessageV2{Role: RoleUser, Content: []Content{}},
		&CreateMessageResult{Role: RoleAssistant, Model: "m", Content: &ImageContent{Data: []byte{}, MIMEType: "image/png"}, StopReason: "r", Meta: Meta{"a": "b"}},
		&CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", Content: text("x"), Meta: Meta{"a": "b"}},
		&CreateMessageWithToolsResult{Role: RoleAssistant, Model: "m", StopReason: "toolUse", Content: []Content{&TextContent{}, &ToolUseContent{ID: "1", Name: "t", Input: map[string]any{}}}},
	} {
		out, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%T: %v", v, err)
			continue
		}
		back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := json.Unmarshal(out, back); err != nil || !reflect.DeepEqual(back, v) {
			t.Errorf("%T: %v from %s\n got %+v\nwant %+v", v, err, out, back, v)
		}
		// Whatever is wrong leaves the value as it was.
		for _, wrong := range []string{`{}`, `[]`, `{"role":1}`, `{"role":"user","content":{"type":"text"}}`, `{"role":"user","content":[{"type":"link"}],"model":"m"}`} {
			if err := json.Unmarshal([]byte(wrong), back); err == nil || !reflect.DeepEqual(back, v) {
				t.Errorf("%T from %s: %v", v, wrong, err)
			}
			if err := back.(json.Unmarshaler).UnmarshalJSON([]byte(wrong[1:])); err == nil {
				t.Errorf("%T from %s: no error", v, wrong[1:])
			}
		}
	}
	bad := &CreateMessageWithToolsResult{Content: []Content{nil, nil}}
	if _, err := json.Marshal(bad); err == nil {
		t.Error("nil contents were encoded")
	}
}

func TestToolContentWire(t *testing.T) {
	use := &ToolUseContent{ID: "1", Name: "t", Input: map[string]any{"a": 1}, Meta: Meta{"m": 1}}
	result := &ToolResultContent{ToolUseID: "1", StructuredContent: map[string]any{"a": 1}, Meta: Meta{"m": 1}}
	for rev := range revisions {
		for want, c := range map[string]Content{
			`{"type":"tool_use","id":"1","name":"t","input":{"a":1},"_meta":{"m":1}}`:                         use,
			`{"type":"tool_result","toolUseId":"1","content":[],"structuredContent":{"a":1},"_meta":{"m":1}}`: result,
		} {
			out, err := c.appendContent(nil, rev)
			if newest, err := json.Marshal(c); err != nil || string(newest) != want {
				t.Errorf("%s, %v, want %s", newest, err, want)
			}
			if rev < rev20251125 {
				if err == nil || !strings.Contains(err.Error(), "of tools exist from protocol version 2025-11-25 on") {
					t.Errorf("%s: error %v", rev.version(), err)
				}
			} else if err != nil || string(out) != want {
				t.Errorf("%s: %s, %v, want %s", rev.version(), out, err, want)
			}
		}
	}
}

func TestParseContent(t *testing.T) {
	all := append(append([]string{}, messageTypes...), typeResourceLink, typeResource)
	for raw, want := range map[string]string{
		`1`:                                   "must be an object",
		`{}`:                                  "type is missing",
		`{"type":1}`:                          "type must be a string",
		`{"type":"video"}`:                    "type must be one of text, image",
		`{"Type":"text"}`:                     "type is missing",
		`{"type":"text"}`:                     "text is missing",
		`{"type":"text","text":null}`:         "text is missing",
		`{"type":"text","text":1}`:            "text must be a string",
		`{"type":"text","text":"","_meta":1}`: "_meta must be an object",
		`{"type":"text","text":"","annotations":1}`:                                     "annotations must be an object",
		`{"type":"text","text":"","annotations":{"audience":"user"}}`:                   "annotations: audience must be an array of roles",
		`{"type":"text","text":"","annotations":{"audience":["me"]}}`:                   "annotations: audience must be of",
		`{"type":"text","text":"","annotations":{"priority":2}}`:                        "annotations: priority must be from 0 to 1",
		`{"type":"text","text":"","annotations":{"priority":"1"}}`:                      "annotations: priority must be a number",
		`{"type":"text","text":"","annotations":{"lastModified":1}}`:                    "annotations: lastModified must be a string",
		`{"type":"image","mimeType":"a/b"}`:                                             "data is missing",
		`{"type":"image","data":"AQ=="}`:                                                "mimeType is missing",
		`{"type":"image","data":"AQ","mimeType":""}`:                                    "data must be base64",
		`{"type":"image","data":"AR==","mimeType":""}`:                                  "data must be base64",
		`{"type":"audio","data":"AQ\n==","mimeType":""}`:                                "data must be base64",
		`{"type":"audio","data":[1],"mimeType":""}`:                                     "data must be a string",
		`{"type":"resource_link","name":"a"}`:                                           "uri is missing",
		`{"type":"resource_link","uri":"a"}`:                                            "name is missing",
		`{"type":"resource_link","uri":"a","name":"a","size":1.5}`:                      "size must be a whole number",
		`{"type":"resource_link","uri":"a","name":"a","icons":{}}`:                      "icons must be an array",
		`{"type":"resource"}`:                                                           "resource is missing",
		`{"type":"resource","resource":1}`:                                              "resource must be an object",
		`{"type":"resource","resource":{"uri":"a"}}`:                                    "resource: text or blob must be there, and not both",
		`{"type":"resource","resource":{"uri":"a","text":"","blob":""}}`:                "resource: text or blob must be there, and not both",
		`{"type":"resource","resource":{"text":""}}`:                                    "resource: uri is missing",
		`{"type":"resource","resource":{"uri":"a","blob":"!"}}`:                         "resource: blob must be base64",
		`{"type":"tool_use","id":"1","name":"t"}`:                                       "input is missing",
		`{"type":"tool_use","id":"1","name":"t","input":[]}`:                            "input must be an object",
		`{"type":"tool_use","id":"1","name":"t","input":{"a":1e999}}`:                   "input must be without numbers beyond the range",
		`{"type":"tool_use","id":"","name":"t","input":{}}`:                             "id and name must be not empty",
		`{"type":"tool_use","name":"t","input":{}}`:                                     "id is missing",
		`{"type":"tool_result","toolUseId":"","content":[]}`:                            "toolUseId must be not empty",
		`{"type":"tool_result","content":[]}`:                                           "toolUseId is missing",
		`{"type":"tool_result","toolUseId":"1"}`:                                        "content is missing",
		`{"type":"tool_result","toolUseId":"1","content":{}}`:                           "content must be an array",
		`{"type":"tool_result","toolUseId":"1","content":[],"isError":"no"}`:            "isError must be a boolean",
		`{"type":"tool_result","toolUseId":"1","content":[],"structuredContent":1e999}`: "structuredContent must be without numbers",
		`{"type":"tool_result","toolUseId":"1","content":[{"type":"tool_use"}]}`:        "content[0]: type must be one of text, image, audio, resource_link, resource here",
	} {
		if c, err := parseContent([]byte(raw), all...); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", raw, c, err, want)
		}
	}
}
