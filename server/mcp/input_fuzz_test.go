package mcp

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParseInputResponse answers every kind of request with anything. What is
// accepted must be what comes back from its own JSON, and must not change with
// the memory of the answer.
func FuzzParseInputResponse(f *testing.F) {
	requests := []InputRequest{
		&ListRootsParams{}, everyForm(severalFields), &ElicitParams{Message: "m", URL: "https://example.com"}, sampling(), samplingTools(),
	}
	f.Add(uint8(0), []byte(`{"roots":[{"uri":"file:///a","name":"a"}]}`))
	f.Add(uint8(1), []byte(`{"action":"accept","content":{"mail":"a@b","many":["b"],"age":1e1,"x":null}}`))
	f.Add(uint8(2), []byte(`{"action":"decline","_meta":{}}`))
	f.Add(uint8(3), []byte(`{"role":"assistant","model":"m","content":{"type":"image","data":"AQ==","mimeType":"image/png"}}`))
	f.Add(uint8(4), []byte(`{"role":"assistant","model":"m","content":[{"type":"tool_use","id":"1","name":"t","input":{}},{"type":"text","text":"x"}]}`))
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		r := requests[int(kind)%len(requests)]
		res, err := parseInputResponse(r, raw)
		if (res == nil) != (err != nil) {
			t.Fatalf("%v, %v", res, err)
		}
		if err != nil {
			return
		}
		out, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			raw[i] ^= 0xff
		}
		if after, err := json.Marshal(res); err != nil || string(after) != string(out) {
			t.Errorf("with the answer changed: %v\n got %s\nwant %s", err, after, out)
		}
		again, err := parseInputResponse(r, out)
		if err != nil {
			t.Fatalf("%v from %s", err, out)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(out) {
			t.Errorf("back again: %v\n got %s\nwant %s", err, twice, out)
		}
	})
}

// FuzzSamplingMessage decodes what messages hold beyond answers: results of
// tools, with every kind of content.
func FuzzSamplingMessage(f *testing.F) {
	f.Add([]byte(`{"role":"user","content":[{"type":"tool_result","toolUseId":"1","content":[{"type":"resource","resource":{"uri":"a","blob":"AQ=="}}],"structuredContent":[1]}]}`))
	f.Add([]byte(`{"role":"user","content":{"type":"text","text":"\ud83d\ude00","annotations":{"audience":["user"],"priority":1}}}`))
	f.Add([]byte(`{"role":"user","content":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m, again SamplingMessageV2
		if m.UnmarshalJSON(raw) != nil {
			return
		}
		out, err := m.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalJSON(out); err != nil {
			t.Fatalf("%v from %s", err, out)
		}
		if twice, err := again.MarshalJSON(); err != nil || string(twice) != string(out) {
			t.Errorf("%v\n got %s\nwant %s", err, twice, out)
		}
	})
}

// FuzzForm checks anything as the schema of a form. What passes must be sent as
// a form that passes again and means the same, and must not fail on an answer
// for another reason than the answer.
func FuzzForm(f *testing.F) {
	f.Add([]byte(everyForm(severalFields).RequestedSchema.(json.RawMessage)), []byte(`{"mail":"a"}`))
	f.Add([]byte(`{"type":"object","properties":{"a\n":{"type":"string","enum":["\u0000"],"default":"\u0000"}},"required":[]}`), []byte(`{"a\n":"\u0000"}`))
	f.Add([]byte(`{"type":"object","properties":{"":{"type":"number","minimum":-1e3,"default":0}}}`), []byte(`{"":1}`))
	f.Fuzz(func(t *testing.T, schema, content []byte) {
		p := &ElicitParams{Message: "m", RequestedSchema: json.RawMessage(schema)}
		if checkInputRequest(p) != nil {
			return
		}
		answer := append(append([]byte(`{"action":"accept","content":`), content...), '}')
		res, err := parseInputResponse(p, answer)
		for rev := rev20250618; rev < revisions; rev++ {
			out, wireErr := appendInputParams(nil, p, rev)
			if wireErr != nil {
				if rev == rev20250618 {
					continue // choices of several
				}
				t.Fatalf("%s: %v", rev.version(), wireErr)
			}
			var wire struct{ RequestedSchema json.RawMessage }
			if err := json.Unmarshal(out, &wire); err != nil {
				t.Fatalf("%s: %v in %s", rev.version(), err, out)
			}
			sent := &ElicitParams{Message: "m", RequestedSchema: wire.RequestedSchema}
			if err := checkInputRequest(sent); err != nil {
				t.Fatalf("%s: %v in %s", rev.version(), err, out)
			}
			if rev == rev20250618 {
				continue // has no defaults
			}
			again, againErr := parseInputResponse(sent, answer)
			if (err == nil) != (againErr == nil) || !reflect.DeepEqual(again, res) {
				t.Errorf("%s: %+v, %v after sending, %+v, %v before", rev.version(), again, againErr, res, err)
			}
		}
	})
}
