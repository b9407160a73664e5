package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"millrace/codec/jsonrpc"
)

func TestCheckElicit(t *testing.T) {
	type answer struct {
		Name string `json:"name" jsonschema:"who you are"`
		Age  int    `json:"age,omitempty"`
	}
	inferred, err := jsonschema.For[answer](nil)
	if err != nil {
		t.Fatal(err)
	}
	pointers, err := jsonschema.For[struct {
		A *string `json:"a"`
	}](nil)
	if err != nil {
		t.Fatal(err)
	}
	form := func(schema any) *ElicitParams { return &ElicitParams{Message: "m", RequestedSchema: schema} }
	object := func(members string) *ElicitParams { return form(rawJSON(`{"type":"object",` + members + `}`)) }
	field := func(schema string) *ElicitParams { return object(`"properties":{"a":` + schema + `}`) }
	url := func(u string) *ElicitParams { return &ElicitParams{Message: "m", URL: u} }
	var nilSchema *jsonschema.Schema
	tests := []struct {
		name string
		p    *ElicitParams
		want string // the error; "": none
	}{
		{"every field", everyForm(severalFields), ""},
		{"inferred", form(inferred), ""},
		{"map", form(map[string]any{"type": "object", "properties": map[string]any{"a": map[string]any{"type": "string"}}}), ""},
		{"url", url("https://example.com/a%20b?c#d"), ""},
		{"url of a developer", url("http://localhost:8080"), ""},
		{"url with mode", &ElicitParams{Message: "m", Mode: "url", URL: "https://[::1]/"}, ""},
		{"equal bounds", field(`{"type":"number","minimum":1,"maximum":1}`), ""},
		{"negative maximum", field(`{"type":"number","maximum":-1}`), ""},
		{"typed anyOf", field(`{"type":"array","items":{"type":"string","anyOf":[{"const":"a","title":"A"}]}}`), ""},

		{"no message", &ElicitParams{}, "Message is empty; tell the user"},
		{"mode", &ElicitParams{Message: "m", Mode: "voice"}, `Mode is "voice"; set it to "form" or "url"`},
		{"form with url", &ElicitParams{Message: "m", Mode: "form", URL: "https://x"}, `must be empty in mode "form"`},
		{"form with id", &ElicitParams{Message: "m", Mode: "form", ElicitationID: "x"}, `must be empty in mode "form"`},
		{"url with schema", &ElicitParams{Message: "m", URL: "https://x", RequestedSchema: inferred}, "RequestedSchema must be nil"},
		{"url missing", &ElicitParams{Message: "m", Mode: "url"}, "URL is not an absolute http or https URL"},
		{"url relative", url("/a"), "URL is not an absolute"},
		{"url scheme", url("javascript:alert(1)"), "URL is not an absolute"},
		{"url host", url("https://:80/"), "URL is not an absolute"},
		{"url broken", url("https://%zz"), "URL is not an absolute"},
		{"url user", url("https://me:secret@example.com"), "URL holds a user"},
		{"url space", url("https://example.com/a b"), "percent-encode it"},
		{"url unicode", url("https://exämple.com/"), "percent-encode it"},

		{"no schema", form(nil), "RequestedSchema is nil; set it, to json.RawMessage"},
		{"nil schema", form(nilSchema), "RequestedSchema: must be an object"},
		{"not JSON", form(make(chan int)), "RequestedSchema cannot be encoded"},
		{"twice", object(`"properties":{},"properties":{}`), "RequestedSchema: "},
		{"no object", form(rawJSON(`{"type":"string","properties":{}}`)), `type must be "object"`},
		{"no type", form(rawJSON(`{"properties":{}}`)), "type is missing"},
		{"no properties", form(rawJSON(`{"type":"object"}`)), "properties is missing"},
		{"list of properties", object(`"properties":[]`), "properties must be an object"},
		{"composition", object(`"properties":{},"anyOf":[]`), `"anyOf" is not allowed in a form`},
		{"additional", object(`"properties":{},"additionalProperties":{}`), "additionalProperties must be a boolean"},
		{"dialect", object(`"properties":{},"$schema":1`), "$schema must be a string"},
		{"required", object(`"properties":{},"required":["a"]`), `required names "a", which is not in properties`},
		{"required type", object(`"properties":{},"required":"a"`), "required must be an array"},
		{"required numbers", object(`"properties":{},"required":[1]`), "required must hold strings only"},
		{"required twice", object(`"properties":{"a":{"type":"string"}},"required":["a","a"]`), `required holds "a" twice`},

		{"boolean schema", field(`true`), `properties["a"]: must be an object`},
		{"nested", field(`{"type":"object","properties":{}}`), "objects cannot be asked for"},
		{"untyped", field(`{}`), "type must be one of"},
		{"pointer", form(pointers), "make pointer fields plain"},
		{"keyword", field(`{"type":"string","minimum":1}`), `"minimum" is not allowed here; allowed are type, title`},
		{"null", field(`{"type":"string","title":null}`), `"title" is null; leave it out`},
		{"title", field(`{"type":"string","title":1}`), "title must be a string"},
		{"description", field(`{"type":"boolean","description":1}`), "description must be a string"},
		{"format", field(`{"type":"string","format":"uuid"}`), "format must be email, uri, date or date-time"},
		{"pattern", field(`{"type":"string","pattern":"("}`), "RequestedSchema: "},
		{"negative", field(`{"type":"string","minLength":-1}`), "RequestedSchema: "},
		{"lengths", field(`{"type":"string","minLength":2,"maxLength":1}`), "minLength must be at most maxLength"},
		{"range", field(`{"type":"integer","minimum":2,"maximum":1}`), "minimum must be at most maximum"},
		{"bound", field(`{"type":"integer","minimum":"2"}`), "minimum must be a number"},
		{"items range", field(`{"type":"array","minItems":2,"maxItems":1,"items":{"type":"string","enum":["a"]}}`), "minItems must be at most"},

		{"empty enum", field(`{"type":"string","enum":[]}`), "at least one value to choose"},
		{"enum of numbers", field(`{"type":"string","enum":[1]}`), "enum must hold strings only"},
		{"enum no list", field(`{"type":"string","enum":"a"}`), "enum must be an array"},
		{"enum twice", field(`{"type":"string","enum":["a","a"]}`), `enum holds "a" twice`},
		{"two enums", field(`{"type":"string","enum":["a"],"oneOf":[{"const":"a","title":"A"}]}`), "enum or oneOf must be there, and not both"},
		{"names", field(`{"type":"string","enum":["a"],"enumNames":["A","B"]}`), "enumNames must be as long as enum"},
		{"names type", field(`{"type":"string","enum":["a"],"enumNames":"A"}`), "enumNames must be an array of strings"},
		{"names of titled", field(`{"type":"string","oneOf":[{"const":"a","title":"A"}],"enumNames":["A"]}`), "enumNames must stand beside enum"},
		{"names alone", field(`{"type":"string","enumNames":["A"]}`), `"enumNames" is not allowed here`},
		{"oneOf no list", field(`{"type":"string","oneOf":{}}`), "oneOf must be an array"},
		{"oneOf empty", field(`{"type":"string","oneOf":[]}`), "at least one value"},
		{"oneOf untitled", field(`{"type":"string","oneOf":[{"const":"a"}]}`), "oneOf[0]: title is missing"},
		{"oneOf number", field(`{"type":"string","oneOf":[{"const":1,"title":"A"}]}`), "oneOf[0]: const must be a string"},
		{"oneOf twice", field(`{"type":"string","oneOf":[{"const":"a","title":"A"},{"const":"a","title":"B"}]}`), "oneOf[1]: const must be different"},
		{"oneOf more", field(`{"type":"string","oneOf":[{"const":"a","title":"A","type":"string"}]}`), "made of const and title only"},
		{"oneOf text", field(`{"type":"string","oneOf":["a"]}`), "oneOf[0] must be an object"},
		{"no items", field(`{"type":"array"}`), "items is missing"},
		{"items list", field(`{"type":"array","items":[]}`), "items must be an object"},
		{"free items", field(`{"type":"array","items":{"type":"string"}}`), "items: enum or anyOf must be there"},
		{"items type", field(`{"type":"array","items":{"type":"integer","enum":["a"]}}`), `items: type must be "string"`},
		{"items untyped", field(`{"type":"array","items":{"enum":["a"]}}`), `items: type must be "string"`},
		{"items keyword", field(`{"type":"array","items":{"type":"string","minLength":1}}`), `items: "minLength" is not allowed here`},
		{"items titles", field(`{"type":"array","items":{"anyOf":[{"const":"a"}]}}`), "items: anyOf[0]: title is missing"},

		{"default text", field(`{"type":"string","default":1}`), "default of a: must be string, got number"},
		{"default null", field(`{"type":"string","default":null}`), "is null; leave it out"},
		{"default integer", field(`{"type":"integer","default":1.5}`), "default of a: must be integer"},
		{"default range", field(`{"type":"number","maximum":1,"default":2}`), "default of a: must be at most 1"},
		{"default boolean", field(`{"type":"boolean","default":"true"}`), "default of a: must be boolean"},
		{"default choice", field(`{"type":"string","oneOf":[{"const":"a","title":"A"}],"default":"A"}`), "default of a: must be "},
		{"default choices", field(`{"type":"array","items":{"type":"string","enum":["a"]},"default":["b"]}`), "default of a[0]: must be "},
		{"default of required", object(`"properties":{"a":{"type":"string","default":1}},"required":["a"]`), "default of a: must be string"},
	}
	for _, tt := range tests {
		err := checkInputRequest(tt.p)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestParseElicitResult(t *testing.T) {
	form := everyForm(severalFields)
	question := &ElicitParams{Message: "m", RequestedSchema: rawJSON(`{"type":"object","properties":{}}`)}
	number := &ElicitParams{Message: "m", RequestedSchema: rawJSON(`{"type":"object","properties":{"n":{"type":"number"}}}`)}
	url := &ElicitParams{Message: "m", URL: "https://example.com"}
	defaults := map[string]any{
		"name": "joe", "mail": "a@b", "age": 30.0, "rate": 0.5, "ok": true, "plain": "a", "titled": "b", "many": []any{"a"},
	}
	runParse(t, []parseTest{
		{"defaults", form, `{"action":"accept","content":{"mail":"a@b"}}`, &ElicitResult{Action: "accept", Content: defaults}, ""},
		{"nulls and unknown", form, `{"action":"accept","_meta":{"a":1},"content":{"mail":"a@b","age":null,"legacy":null,"x":{"y":[1e999]}}}`,
			&ElicitResult{Action: "accept", Meta: Meta{"a": 1.0}, Content: defaults}, ""},
		{"all", form, `{"action":"accept","content":{"name":"x","mail":"a\u0040b","age":1.0,"rate":1e2,"ok":false,"plain":"b","titled":"a","legacy":"b","many":["b","a"],"manyTitled":[]}}`,
			&ElicitResult{Action: "accept", Content: map[string]any{
				"name": "x", "mail": "a@b", "age": 1.0, "rate": 100.0, "ok": false, "plain": "b", "titled": "a", "legacy": "b",
				"many": []any{"b", "a"}, "manyTitled": []any{},
			}}, ""},
		{"question", question, `{"action":"accept"}`, &ElicitResult{Action: "accept", Content: map[string]any{}}, ""},
		{"question null", question, `{"action":"accept","content":null}`, &ElicitResult{Action: "accept", Content: map[string]any{}}, ""},
		{"decline", form, `{"action":"decline","content":{"mail":1}}`, &ElicitResult{Action: "decline"}, ""},
		{"cancel", form, `{"action":"cancel","content":7}`, &ElicitResult{Action: "cancel"}, ""},
		{"url", url, `{"action":"accept","content":{"secret":"x"}}`, &ElicitResult{Action: "accept"}, ""},
		{"url declined", url, `{"action":"decline"}`, &ElicitResult{Action: "decline"}, ""},

		{"no action", form, `{}`, nil, "action is missing"},
		{"action", form, `{"action":"Accept"}`, nil, `action must be "accept", "decline" or "cancel"`},
		{"action type", form, `{"action":1}`, nil, "action must be a string"},
		{"meta", form, `{"action":"cancel","_meta":1}`, nil, "_meta must be an object"},
		{"content type", question, `{"action":"accept","content":[]}`, nil, "content must be an object"},
		{"required", form, `{"action":"accept"}`, nil, `content: missing required property "mail"`},
		{"required null", form, `{"action":"accept","content":{"mail":null}}`, nil, `missing required property "mail"`},
		{"integer", form, `{"action":"accept","content":{"mail":"a","age":1.5}}`, nil, "content: age: must be integer"},
		{"range", form, `{"action":"accept","content":{"mail":"a","age":151}}`, nil, "content: age: must be at most 150"},
		{"length", form, `{"action":"accept","content":{"mail":"a","name":""}}`, nil, "content: name: must have at least 1 character"},
		{"pattern", form, `{"action":"accept","content":{"mail":"a","name":"A"}}`, nil, "content: name: must match the pattern"},
		{"choice", form, `{"action":"accept","content":{"mail":"a","titled":"c"}}`, nil, `content: titled: must be one of ["a","b"]`},
		{"legacy choice", form, `{"action":"accept","content":{"mail":"a","legacy":"A"}}`, nil, "content: legacy: must be one of"},
		{"choices", form, `{"action":"accept","content":{"mail":"a","manyTitled":["a","A"]}}`, nil, "content: manyTitled[1]: must be one of"},
		{"items", form, `{"action":"accept","content":{"mail":"a","many":[]}}`, nil, "content: many: must have at least 1 item"},
		{"huge", number, `{"action":"accept","content":{"n":1e999}}`, nil, "content: a number is too large"},
		{"unchecked schema", &ElicitParams{}, `{"action":"accept"}`, nil, "RequestedSchema is nil"},
		{"schema that does not compile", &ElicitParams{RequestedSchema: rawJSON(`{"type":"object","properties":{"a":{"type":"string","pattern":"("}}}`)},
			`{"action":"accept"}`, nil, "content: "},
	})
}

func TestURLElicitationRequiredError(t *testing.T) {
	p := &ElicitParams{Message: "m", URL: "https://example.com", ElicitationID: "e"}
	wire := func(err error) string {
		e, ok := errors.AsType[*jsonrpc.Error](err)
		if !ok {
			t.Fatalf("%T is not a *jsonrpc.Error", err)
		}
		return string(jsonrpc.AppendError(nil, []byte("1"), e))
	}
	const want = `{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"URL elicitation required","data":{"elicitations":[` +
		`{"mode":"url","message":"m","url":"https://example.com","elicitationId":"e"},{"mode":"url","message":"m","url":"https://example.com","elicitationId":"e"}]}}}`
	if got := wire(URLElicitationRequiredError([]*ElicitParams{p, p})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	var ids [2]string
	for i := range ids {
		p := &ElicitParams{Mode: "url", Message: "m", URL: "https://example.com"}
		var e struct {
			Error struct {
				Data struct{ Elicitations []ElicitParams }
			}
		}
		if err := json.Unmarshal([]byte(wire(URLElicitationRequiredError([]*ElicitParams{p}))), &e); err != nil {
			t.Fatal(err)
		}
		ids[i] = e.Error.Data.Elicitations[0].ElicitationID
		if p.ElicitationID != "" {
			t.Error("the params were changed")
		}
	}
	if len(ids[0]) < 20 || ids[0] == ids[1] {
		t.Errorf("random ids %q", ids)
	}

	for want, list := range map[string][]*ElicitParams{
		"URLElicitationRequiredError: there is no elicitation": nil,
		`elicitations[0]: Mode must be \"url\"`:                {everyForm("")},
		"elicitations[1]: the request is nil":                  {p, nil},
		"elicitations[0]: URL is not an absolute":              {{Message: "m", ElicitationID: "x"}},
		"elicitations[0]: _meta cannot be encoded":             {{Message: "m", URL: "https://x", Meta: Meta{"a": math.NaN()}}},
	} {
		if got := wire(URLElicitationRequiredError(list)); !strings.Contains(got, `"code":-32603`) || !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestElicitationComplete: within a call it goes to the stream of the call,
// outside to that of the session, and nowhere in other revisions.
func TestElicitationComplete(t *testing.T) {
	const want = `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e"}}`
	s := fixture(nil)
	done := &ElicitationCompleteParams{ElicitationID: "e"}
	AddTool(s, &Tool{Name: "wait"}, func(ctx context.Context, req *CallToolRequest, _ any) (*CallToolResult, any, error) {
		return nil, nil, req.Session.NotifyElicitationComplete(ctx, done)
	})
	for _, version := range SupportedVersions() {
		var sent []string
		if version == Version20251125 {
			sent = []string{want}
		}
		c := dial(t, s, version)
		if got := c.ask("tools/call", `"name":"wait"`); strings.Contains(got, "isError") {
			t.Errorf("%s: %s", version, got)
		}
		if got := c.notifier.take(); !slices.Equal(got, sent) {
			t.Errorf("%s: sent %q in the call, want %q", version, got, sent)
		}
		if c.session == nil {
			continue
		}
		if err := c.session.NotifyElicitationComplete(t.Context(), done); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		if got := c.peer.take(); !slices.Equal(got, sent) {
			t.Errorf("%s: sent %q to the session, want %q", version, got, sent)
		}
	}
	ss := dial(t, s, Version20251125).session
	for _, p := range []*ElicitationCompleteParams{nil, {}} {
		if err := ss.NotifyElicitationComplete(t.Context(), p); err == nil {
			t.Errorf("%+v: no error without an id", p)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ss.NotifyElicitationComplete(ended, done); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}
