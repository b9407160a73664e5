package jsonrpc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	id := []byte(`"a"`)
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"result", AppendResult(nil, id, []byte(`{"x":1}`)), `{"jsonrpc":"2.0","id":"a","result":{"x":1}}`},
		{"nothing as result", AppendResult(nil, nil, nil), `{"jsonrpc":"2.0","id":null,"result":null}`},
		{"result head", append(AppendResultHead(nil, id), "1}"...), `{"jsonrpc":"2.0","id":"a","result":1}`},
		{
			"error", AppendError(nil, id, &Error{Code: -32601, Message: "no \"m\"\n"}),
			`{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"no \"m\"\n"}}`,
		},
		{
			"error without an id", AppendError(nil, nil, &Error{Code: 1}),
			`{"jsonrpc":"2.0","error":{"code":1,"message":""}}`,
		},
		{
			"error with a null id", AppendError(nil, NullID, &Error{Code: 1}),
			`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}`,
		},
		{
			"error with data", AppendError(nil, id, &Error{Code: 1, Data: map[string]int{"x": 1}}),
			`{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":"","data":{"x":1}}}`,
		},
		{
			"error with raw data", AppendError(nil, id, &Error{Code: 1, Data: json.RawMessage("[1,\n2]")}),
			`{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":"","data":[1,2]}}`,
		},
		{
			"error with broken data", AppendError(nil, id, &Error{Code: 1, Data: json.RawMessage("[1")}),
			`{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":""}}`,
		},
		{
			"error with data of no JSON form", AppendError(nil, id, &Error{Code: 1, Data: func() {}}),
			`{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":""}}`,
		},
		{"notification", AppendNotification(nil, "m/\"n", nil), `{"jsonrpc":"2.0","method":"m/\"n"}`},
		{
			"notification with params", AppendNotification(nil, "m", []byte(`{"x":1}`)),
			`{"jsonrpc":"2.0","method":"m","params":{"x":1}}`,
		},
		{"request", AppendRequest(nil, []byte("12"), "m", nil), `{"jsonrpc":"2.0","id":12,"method":"m"}`},
		{
			"request with params", AppendRequest(nil, []byte("12"), "m", []byte("{}")),
			`{"jsonrpc":"2.0","id":12,"method":"m","params":{}}`,
		},
		{"after other bytes", AppendRequest([]byte("x"), []byte("1"), "m", nil), `x{"jsonrpc":"2.0","id":1,"method":"m"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("got  %s\nwant %s", tt.got, tt.want)
			}
			if !json.Valid([]byte(strings.TrimPrefix(string(tt.got), "x"))) {
				t.Errorf("%s is not JSON", tt.got)
			}
		})
	}
}

// What the appenders write, Parse reads back.
func TestAppendParse(t *testing.T) {
	tests := []struct {
		in   []byte
		kind Kind
	}{
		{AppendResult(nil, []byte("1"), []byte("{}")), KindResult},
		{AppendError(nil, []byte("1"), &Error{Code: 1, Message: "\x00\xff", Data: "d"}), KindError},
		{AppendError(nil, nil, &Error{Code: 1}), KindError},
		{AppendError(nil, NullID, &Error{Code: 1}), KindError},
		{AppendNotification(nil, "m", nil), KindNotification},
		{AppendRequest(nil, []byte(`"a"`), "m", []byte("{}")), KindRequest},
	}
	for _, tt := range tests {
		if m, err := Parse(tt.in, nil); err != nil || m.Kind != tt.kind {
			t.Errorf("Parse(%s) = %v, %v; want %v", tt.in, m.Kind, err, tt.kind)
		}
	}
}

func TestErrorIsAnError(t *testing.T) {
	var err error = &Error{Code: CodeInternal, Message: "boom"}
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeInternal {
		t.Errorf("errors.As gave %v", e)
	}
	if got, want := err.Error(), "jsonrpc: -32603: boom"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestSingleLine(t *testing.T) {
	tests := map[string]bool{"": true, `{"a":"\n"}`: true, "{}\n": false, "{\r}": false, "\u2028": true}
	for in, want := range tests {
		if got := SingleLine([]byte(in)); got != want {
			t.Errorf("SingleLine(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestAllocs(t *testing.T) {
	call := []byte(call350)
	m, perr := Parse(call, nil)
	if perr != nil {
		t.Fatal(perr)
	}
	list := []byte(`[1,"a",{}]`)
	batch := []byte(`[{"a":1},{"b":2}]`)
	dst := make([]byte, 0, 1024)
	n := 0
	tests := []struct {
		name string
		run  func()
	}{
		{"Parse", func() { Parse(call, nil) }},
		{"Validate", func() { Validate(call, nil) }},
		{"ParseBatch", func() { ParseBatch(batch, nil, func(raw []byte) { n += len(raw) }) }},
		{"Members", func() {
			for name, value := range Members(m.Params) {
				n += len(name) + len(value)
			}
		}},
		{"Elements", func() {
			for value := range Elements(list) {
				n += len(value)
			}
		}},
		{"Member", func() { n += len(Member(m.Params, "name")) }},
		{"UnquoteView", func() { UnquoteView(m.Params[8:26]) }},
		{"AppendResult", func() { dst = AppendResult(dst[:0], m.ID, m.Params) }},
		{"AppendError", func() { dst = AppendError(dst[:0], m.ID, &Error{Code: 1, Message: "m"}) }},
		{"AppendNotification", func() { dst = AppendNotification(dst[:0], "m", m.Params) }},
		{"AppendRequest", func() { dst = AppendRequest(dst[:0], m.ID, "m", m.Params) }},
		{"AppendString", func() { dst = AppendString(dst[:0], "say \"hi\"\n") }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.run); got != 0 {
			t.Errorf("%s allocates %v times, want 0", tt.name, got)
		}
	}
}
