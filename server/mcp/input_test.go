package mcp

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

// everyField is a form with all that a form may have.
const everyField = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","title":"T","additionalProperties":false,` +
	`"properties":{` +
	`"name":{"type":"string","title":"Name","description":"d","minLength":1,"maxLength":9,"pattern":"^[a-z]+$","default":"joe"},` +
	`"mail":{"type":"string","format":"email"},` +
	`"age":{"type":"integer","minimum":0,"maximum":150,"default":30},` +
	`"rate":{"type":"number","default":0.5},` +
	`"ok":{"type":"boolean","default":true},` +
	`"plain":{"type":"string","enum":["a","b"],"default":"a"},` +
	`"titled":{"type":"string","oneOf":[{"const":"a","title":"A"},{"const":"b","title":"B"}],"default":"b"},` +
	`"legacy":{"type":"string","enum":["a","b"],"enumNames":["A","B"]}%s},` +
	`"required":["mail"]}`

const severalFields = `,"many":{"type":"array","items":{"type":"string","enum":["a","b"]},"minItems":1,"maxItems":2,"default":["a"]},` +
	`"manyTitled":{"type":"array","items":{"anyOf":[{"const":"a","title":"A"},{"const":"b","title":"B"}]}}`

func everyForm(several string) *ElicitParams {
	return &ElicitParams{Message: "m", RequestedSchema: rawJSON(strings.Replace(everyField, "%s", several, 1))}
}

func text(s string) []Content { return []Content{&TextContent{Text: s}} }

func sampling() *CreateMessageParams {
	return &CreateMessageParams{MaxTokens: 10, Messages: []*SamplingMessage{{Role: RoleUser, Content: &TextContent{Text: "hi"}}}}
}

func samplingTools() *CreateMessageWithToolsParams {
	return &CreateMessageWithToolsParams{
		MaxTokens: 10,
		Messages: []*SamplingMessageV2{
			{Role: RoleUser, Content: text("hi")},
			{Role: RoleAssistant, Content: []Content{&TextContent{Text: "wait"}, &ToolUseContent{ID: "1", Name: "t"}}},
			{Role: RoleUser, Content: []Content{&ToolResultContent{ToolUseID: "1", Content: text("done"), StructuredContent: 7, IsError: true}}},
		},
		Tools:      []*Tool{{Name: "t", Title: "T", InputSchema: rawJSON(`{"type":"object"}`)}},
		ToolChoice: &ToolChoice{Mode: "required"},
	}
}

func TestInputWire(t *testing.T) {
	const older = "exist from protocol version"
	full := sampling()
	full.Meta = Meta{"progressToken": "p"}
	full.IncludeContext, full.SystemPrompt, full.Temperature = "none", "be brief", 0.5
	full.StopSequences, full.Metadata = []string{"END"}, rawJSON("{\n\"k\":1}")
	full.ModelPreferences = &ModelPreferences{CostPriority: 1, SpeedPriority: 0.25, Hints: []*ModelHint{{Name: "small"}}}
	const fullWire = `{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}],"maxTokens":10,"systemPrompt":"be brief","includeContext":"none",` +
		`"modelPreferences":{"costPriority":1,"hints":[{"name":"small"}],"speedPriority":0.25},"temperature":0.5,"stopSequences":["END"],"metadata":{"k":1},"_meta":{"progressToken":"p"}}`
	const toolsWire = `{"messages":[{"role":"user","content":{"type":"text","text":"hi"}},` +
		`{"role":"assistant","content":[{"type":"text","text":"wait"},{"type":"tool_use","id":"1","name":"t","input":{}}]},` +
		`{"role":"user","content":{"type":"tool_result","toolUseId":"1","content":[{"type":"text","text":"done"}]%s,"isError":true}}],` +
		`"maxTokens":10,"tools":[{"name":"t","title":"T","inputSchema":{"type":"object"}}],"toolChoice":{"mode":"required"}}`
	newTools, oldTools := strings.Replace(toolsWire, "%s", `,"structuredContent":7`, 1), strings.Replace(toolsWire, "%s", "", 1)
	url := &ElicitParams{Message: "open <it>", URL: "https://example.com/a?b=c&d", ElicitationID: "e1"}
	form := strings.Replace(everyField, `"title":"T","additionalProperties":false,`, "", 1)
	audio := sampling()
	audio.Messages[0].Content = &AudioContent{Data: []byte{1}, MIMEType: "audio/wav"}
	const audioWire = `{"messages":[{"role":"user","content":{"type":"audio","data":"AQ==","mimeType":"audio/wav"}}],"maxTokens":10}`
	two := &CreateMessageWithToolsParams{MaxTokens: 1, Messages: []*SamplingMessageV2{{Role: RoleUser, Content: append(text("a"), text("b")...)}}}
	const twoWire = `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],"maxTokens":1}`
	choice := sampling().withTools()
	choice.ToolChoice = &ToolChoice{}
	const choiceWire = `{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}],"maxTokens":10,"toolChoice":{}}`

	tests := []struct {
		name string
		r    InputRequest
		want [revisions]string // by revision, oldest first; older: the error has these words
	}{
		{"roots", &ListRootsParams{}, [revisions]string{`{}`, `{}`, `{}`, `{}`, `{}`}},
		{"roots with meta", &ListRootsParams{Meta: Meta{"a": 1}}, [revisions]string{`{"_meta":{"a":1}}`, `{"_meta":{"a":1}}`, `{"_meta":{"a":1}}`, `{"_meta":{"a":1}}`, `{"_meta":{"a":1}}`}},
		{"sampling", full, [revisions]string{fullWire, fullWire, fullWire, fullWire, fullWire}},
		{"audio", audio, [revisions]string{older, audioWire, audioWire, audioWire, audioWire}},
		{"two contents", two, [revisions]string{older, older, older, twoWire, twoWire}},
		{"tools", samplingTools(), [revisions]string{older, older, older, oldTools, newTools}},
		{"choice alone", choice, [revisions]string{older, older, older, choiceWire, choiceWire}},
		{"url", url, [revisions]string{
			older, older, older,
			`{"mode":"url","message":"open <it>","url":"https://example.com/a?b=c&d","elicitationId":"e1"}`,
			`{"mode":"url","message":"open <it>","url":"https://example.com/a?b=c&d"}`,
		}},
		{"form", everyForm(""), [revisions]string{
			older, older,
			`{"message":"m","requestedSchema":{"type":"object","properties":{` +
				`"name":{"type":"string","title":"Name","description":"d","minLength":1,"maxLength":9,"pattern":"^[a-z]+$"},` +
				`"mail":{"type":"string","format":"email"},"age":{"type":"integer","minimum":0,"maximum":150},"rate":{"type":"number"},` +
				`"ok":{"type":"boolean","default":true},"plain":{"type":"string","enum":["a","b"]},` +
				`"titled":{"type":"string","enum":["a","b"],"enumNames":["A","B"]},"legacy":{"type":"string","enum":["a","b"],"enumNames":["A","B"]}},"required":["mail"]}}`,
			`{"mode":"form","message":"m","requestedSchema":` + strings.Replace(form, "%s", "", 1) + `}`,
			`{"mode":"form","message":"m","requestedSchema":` + strings.Replace(form, "%s", "", 1) + `}`,
		}},
		{"form with choices of several", everyForm(severalFields), [revisions]string{
			older, older, older,
			`{"mode":"form","message":"m","requestedSchema":` + strings.Replace(form, "%s", severalFields, 1) + `}`,
			`{"mode":"form","message":"m","requestedSchema":` + strings.Replace(form, "%s", severalFields, 1) + `}`,
		}},
		{"question", &ElicitParams{Mode: "form", Message: "sure?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}, "required": []string{}}, Meta: Meta{"a": 1}}, [revisions]string{
			older, older,
			`{"message":"sure?","requestedSchema":{"type":"object","properties":{}},"_meta":{"a":1}}`,
			`{"mode":"form","message":"sure?","requestedSchema":{"type":"object","properties":{}},"_meta":{"a":1}}`,
			`{"mode":"form","message":"sure?","requestedSchema":{"type":"object","properties":{}},"_meta":{"a":1}}`,
		}},
	}
	for _, tt := range tests {
		if err := checkInputRequest(tt.r); err != nil {
			t.Errorf("%s: checkInputRequest: %v", tt.name, err)
		}
		for rev, want := range tt.want {
			rev := revision(rev)
			out, err := appendInputParams([]byte("before"), tt.r, rev)
			if want == older {
				if err == nil || !strings.Contains(err.Error(), older) || !strings.Contains(err.Error(), rev.version()) {
					t.Errorf("%s, %s: error %v, want %q", tt.name, rev.version(), err, older)
				}
				continue
			}
			if err != nil || string(out) != "before"+want {
				t.Errorf("%s, %s: %v\n got %s\nwant %s", tt.name, rev.version(), err, out, "before"+want)
			}
			out, err = appendInputRequest(nil, tt.r, rev)
			if wrapped := `{"method":"` + inputMethod(tt.r) + `","params":` + want + `}`; err != nil || string(out) != wrapped || !json.Valid(out) {
				t.Errorf("%s, %s: %v\n got %s\nwant %s", tt.name, rev.version(), err, out, wrapped)
			}
		}
	}
}

func TestInputMethods(t *testing.T) {
	for want, r := range map[string]InputRequest{
		"elicitation/create": &ElicitParams{}, "sampling/createMessage": &CreateMessageParams{}, "roots/list": &ListRootsParams{}, "": nil,
	} {
		if got := inputMethod(r); got != want {
			t.Errorf("inputMethod(%T) = %q, want %q", r, got, want)
		}
	}
	if got := inputMethod(&CreateMessageWithToolsParams{}); got != methodCreateMessage {
		t.Errorf("inputMethod = %q", got)
	}
	if methodElicitationComplete != "notifications/elicitation/complete" || methodRootsChanged != "notifications/roots/list_changed" {
		t.Error("notifications are misspelt")
	}
}

func TestInputRequestMap(t *testing.T) {
	tests := []struct {
		m       InputRequestMap
		want    string
		wantErr string
	}{
		{nil, `null`, ""},
		{InputRequestMap{}, `{}`, ""},
		{
			InputRequestMap{"b\"": &ListRootsParams{}, "a": sampling()},
			`{"a":{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}],"maxTokens":10}},"b\"":{"method":"roots/list","params":{}}}`, "",
		},
		{InputRequestMap{"x": nil}, "", `input request "x": the request is nil`},
		{InputRequestMap{"x": (*ElicitParams)(nil)}, "", "the request is nil"},
		{InputRequestMap{"x": &ElicitParams{}}, "", "Message is empty"},
	}
	for _, tt := range tests {
		out, err := json.Marshal(tt.m)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want %q", err, tt.wantErr)
			}
		} else if err != nil || string(out) != tt.want {
			t.Errorf("%v\n got %s\nwant %s", err, out, tt.want)
		}
	}
}

func TestNilInput(t *testing.T) {
	for _, r := range []InputRequest{
		nil, (*ElicitParams)(nil), (*CreateMessageParams)(nil), (*CreateMessageWithToolsParams)(nil), (*ListRootsParams)(nil),
	} {
		if checkInputRequest(r) == nil {
			t.Errorf("%T: checkInputRequest accepts nil", r)
		}
		if _, err := appendInputRequest(nil, r, newest); err == nil {
			t.Errorf("%T: appendInputRequest accepts nil", r)
		}
		if res, err := parseInputResponse(r, []byte(`{}`)); res != nil || err == nil {
			t.Errorf("%T: parseInputResponse = %v, %v", r, res, err)
		}
		if neededCapability(r) != nil || declares(&ClientCapabilities{RootsV2: &RootCapabilities{}}, r) {
			t.Errorf("%T: nil needs no capability", r)
		}
	}
}

func TestCapabilitiesOfInput(t *testing.T) {
	form := &ElicitParams{Message: "m"}
	url := &ElicitParams{URL: "https://example.com"}
	plain, context := sampling(), sampling()
	context.IncludeContext = "allServers"
	choice := &CreateMessageWithToolsParams{ToolChoice: &ToolChoice{}}
	history := &CreateMessageWithToolsParams{Messages: []*SamplingMessageV2{nil, {Content: []Content{&ToolUseContent{}}}}}
	everything := &CreateMessageWithToolsParams{Tools: []*Tool{nil}, IncludeContext: "thisServer"}
	roots := &ListRootsParams{}
	tests := []struct {
		r    InputRequest
		need string
		yes  []string // capabilities of clients that may be asked
		no   []string
	}{
		{form, `{"elicitation":{}}`, []string{`{"elicitation":{}}`, `{"elicitation":{"form":{}}}`, `{"elicitation":{"form":{},"url":{}}}`}, []string{`{}`, `{"elicitation":{"url":{}}}`}},
		{url, `{"elicitation":{"url":{}}}`, []string{`{"elicitation":{"url":{}}}`, `{"elicitation":{"form":{},"url":{}}}`}, []string{`{}`, `{"elicitation":{}}`, `{"elicitation":{"form":{}}}`}},
		{plain, `{"sampling":{}}`, []string{`{"sampling":{}}`, `{"sampling":{"tools":{}}}`}, []string{`{}`, `{"elicitation":{}}`}},
		{context, `{"sampling":{"context":{}}}`, []string{`{"sampling":{"context":{}}}`}, []string{`{"sampling":{}}`, `{"sampling":{"tools":{}}}`}},
		{choice, `{"sampling":{"tools":{}}}`, []string{`{"sampling":{"tools":{}}}`}, []string{`{"sampling":{}}`, `{}`}},
		{history, `{"sampling":{"tools":{}}}`, []string{`{"sampling":{"tools":{}}}`}, []string{`{"sampling":{"context":{}}}`}},
		{everything, `{"sampling":{"context":{},"tools":{}}}`, []string{`{"sampling":{"context":{},"tools":{}}}`}, []string{`{"sampling":{"tools":{}}}`}},
		{roots, `{"roots":{}}`, []string{`{"roots":{}}`, `{"roots":{"listChanged":true}}`}, []string{`{}`, `{"sampling":{}}`}},
	}
	for _, tt := range tests {
		data := MissingRequiredClientCapabilityData{RequiredCapabilities: neededCapability(tt.r)}
		if out, err := json.Marshal(data); err != nil || string(out) != `{"requiredCapabilities":`+tt.need+`}` {
			t.Errorf("%T: needs %s, %v, want %s", tt.r, out, err, tt.need)
		}
		for i, caps := range append(tt.yes, tt.no...) {
			var have ClientCapabilities
			if err := json.Unmarshal([]byte(caps), &have); err != nil {
				t.Fatal(err)
			}
			if got, want := declares(&have, tt.r), i < len(tt.yes); got != want {
				t.Errorf("declares(%s, %s) = %v, want %v", caps, tt.need, got, want)
			}
		}
		if declares(nil, tt.r) {
			t.Errorf("%T: a client without capabilities declares it", tt.r)
		}
	}
	out, err := json.Marshal(UnsupportedProtocolVersionData{Supported: []string{"a"}, Requested: "b"})
	if err != nil || string(out) != `{"supported":["a"],"requested":"b"}` {
		t.Errorf("%s, %v", out, err)
	}
}

// TestInputParams uses the types as Params, RequestParams and Result.
func TestInputParams(t *testing.T) {
	for _, p := range []RequestParams{
		&ElicitParams{}, &CreateMessageParams{}, &CreateMessageWithToolsParams{}, &ListRootsParams{}, &RootsListChangedParams{},
	} {
		if p.isParams(); p.GetProgressToken() != nil {
			t.Errorf("%T has a token", p)
		}
		p.SetMeta(map[string]any{"progressToken": "x"})
		if p.GetProgressToken() != "x" || p.GetMeta()["progressToken"] != "x" {
			t.Errorf("%T: token %v", p, p.GetProgressToken())
		}
		if r, ok := p.(InputRequest); ok {
			r.isInputRequest()
		}
	}
	(&ElicitationCompleteParams{ElicitationID: "x"}).isParams()
	for _, r := range []Result{&ElicitResult{}, &CreateMessageResult{}, &CreateMessageWithToolsResult{}, &ListRootsResult{}} {
		r.isResult()
		r.(InputResponse).isInputResponse()
	}
}

// TestParseInputResponse is what all answers have in common.
func TestParseInputResponse(t *testing.T) {
	for raw, want := range map[string]string{
		``: "", `x`: "", `[]`: "must be an object", `null`: "must be an object", `{}`: "roots is missing", `{"roots":[],"roots":[]}`: "",
		`{"roots":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`: "", `{"roots":[]} x`: "", "{\"roots\":\"\xff\"}": "",
	} {
		if res, err := parseInputResponse(&ListRootsParams{}, []byte(raw)); err == nil || res != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", raw, res, err, want)
		}
	}
}

// parseTest is an answer and what is made of it.
type parseTest struct {
	name    string
	r       InputRequest
	raw     string
	want    InputResponse
	wantErr string
}

func runParse(t *testing.T, tests []parseTest) {
	t.Helper()
	for _, tt := range tests {
		raw := []byte(tt.raw)
		got, err := parseInputResponse(tt.r, raw)
		for i := range raw {
			raw[i] = 'x' // what was returned must not change
		}
		if tt.wantErr != "" {
			if err == nil || got != nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s: %v, %v, want error %q", tt.name, got, err, tt.wantErr)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			out, _ := json.Marshal(got)
			t.Errorf("%s: %v\n got %s\nwant %+v", tt.name, err, out, tt.want)
			continue
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if again, err := parseInputResponse(tt.r, out); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: back from %s: %+v, %v", tt.name, out, again, err)
		}
	}
}

func TestParseRoots(t *testing.T) {
	many := func(n int) string {
		return `{"roots":[` + strings.TrimSuffix(strings.Repeat(`{"uri":"file:///"},`, n), ",") + `]}`
	}
	full := make([]*Root, maxRoots)
	for i := range full {
		full[i] = &Root{URI: "file:///"}
	}
	r := &ListRootsParams{}
	runParse(t, []parseTest{
		{"none", r, `{"roots":[]}`, &ListRootsResult{Roots: []*Root{}}, ""},
		{"one", r, `{"roots":[{"uri":"file:///a%20b","name":"\u0061","_meta":{"x":1}}],"_meta":{"y":null},"resultType":"complete"}`,
			&ListRootsResult{Meta: Meta{"y": nil}, Roots: []*Root{{URI: "file:///a%20b", Name: "a", Meta: Meta{"x": 1.0}}}}, ""},
		{"nulls", r, `{"roots":[{"uri":"file://host/x","name":null,"_meta":null}],"_meta":null}`, &ListRootsResult{Roots: []*Root{{URI: "file://host/x"}}}, ""},
		{"most", r, many(maxRoots), &ListRootsResult{Roots: full}, ""},
		{"too many", r, many(maxRoots + 1), nil, "roots must have at most 1000 items"},
		{"no array", r, `{"roots":{}}`, nil, "roots must be an array"},
		{"not an object", r, `{"roots":["file:///"]}`, nil, "roots[0]: must be an object"},
		{"http", r, `{"roots":[{"uri":"file:///"},{"uri":"http://x"}]}`, nil, "roots[1]: uri must be a file:// URI"},
		{"relative", r, `{"roots":[{"uri":"file:a"}]}`, nil, "uri must be a file:// URI"},
		{"control", r, `{"roots":[{"uri":"file:///a\u0000"}]}`, nil, "uri must be a file:// URI"},
		{"long", r, `{"roots":[{"uri":"file:///` + strings.Repeat("a", maxRootURI) + `"}]}`, nil, "at most 8192 bytes"},
		{"no uri", r, `{"roots":[{"URI":"file:///"}]}`, nil, "roots[0]: uri is missing"},
		{"name", r, `{"roots":[{"uri":"file:///","name":1}]}`, nil, "roots[0]: name must be a string"},
		{"meta", r, `{"roots":[],"_meta":[]}`, nil, "_meta must be an object"},
		{"huge", r, `{"roots":[],"_meta":{"a":1e999}}`, nil, "_meta must be without numbers beyond the range of a double"},
	})
}

func TestUnencodable(t *testing.T) {
	bad := Meta{"x": math.Inf(1)}
	withTool := func(f func(*Tool)) InputRequest {
		p := samplingTools()
		f(p.Tools[0])
		return p
	}
	content := func(c Content) InputRequest {
		p := samplingTools()
		p.Messages = []*SamplingMessageV2{{Role: RoleUser, Content: []Content{c}}}
		return p
	}
	prefs := sampling()
	prefs.ModelPreferences = &ModelPreferences{CostPriority: math.NaN()}
	for want, r := range map[string]InputRequest{
		"_meta cannot be encoded":                   &ListRootsParams{Meta: bad},
		"RequestedSchema is nil":                    &ElicitParams{Message: "m"},
		"Tools[0]: Meta cannot be encoded":          withTool(func(t *Tool) { t.Meta = bad }),
		"Input cannot be encoded":                   content(&ToolUseContent{ID: "a", Name: "b", Input: bad}),
		"StructuredContent cannot be encoded":       content(&ToolResultContent{ToolUseID: "a", StructuredContent: bad}),
		"Content[0] that is nil":                    content(&ToolResultContent{ToolUseID: "a", Content: []Content{nil}}),
		"Content[0]: json: unsupported value":       content(&ToolResultContent{ToolUseID: "a", Content: []Content{&TextContent{Meta: bad}}}),
		"Messages[0]: Content is nil":               content(nil),
		"ModelPreferences cannot be encoded as JSO": prefs,
	} {
		if _, err := appendInputRequest(nil, r, newest); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
