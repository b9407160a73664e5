package jsonrpc

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	type want struct {
		kind                              Kind
		id, method, params, result, error string
	}
	tests := []struct {
		name, in string
		want     want
	}{
		{
			"request", `{"jsonrpc":"2.0","id":1,"method":"ping"}`,
			want{kind: KindRequest, id: "1", method: "ping"},
		},
		{
			"request with params", `{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":[1,{"y":null}]}}`,
			want{kind: KindRequest, id: `"a"`, method: "m", params: `{"x":[1,{"y":null}]}`},
		},
		{
			"params as an array", `{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}`,
			want{kind: KindRequest, id: "1", method: "m", params: "[1]"},
		},
		{
			"white space", " \t\r\n{ \"id\" : 1 ,\n\"method\" : \"m\" , \"params\" : { } ,\r\n\"jsonrpc\" : \"2.0\" } \n",
			want{kind: KindRequest, id: "1", method: "m", params: "{ }"},
		},
		{
			"notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
			want{kind: KindNotification, method: "notifications/initialized"},
		},
		{
			"result", `{"jsonrpc":"2.0","id":7,"result":{"ok":true}}`,
			want{kind: KindResult, id: "7", result: `{"ok":true}`},
		},
		{
			"null result", `{"jsonrpc":"2.0","id":7,"result":null}`,
			want{kind: KindResult, id: "7", result: "null"},
		},
		{
			"error", `{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"m"}}`,
			want{kind: KindError, id: "7", error: `{"code":-1,"message":"m"}`},
		},
		{
			"error without an id", `{"jsonrpc":"2.0","error":{"code":-1,"message":"m"}}`,
			want{kind: KindError, error: `{"code":-1,"message":"m"}`},
		},
		{
			"error with a null id", `{"jsonrpc":"2.0","id":null,"error":{}}`,
			want{kind: KindError, error: "{}"},
		},
		{
			"id beyond 2^53", `{"jsonrpc":"2.0","id":-123456789012345678901234567890,"method":"m"}`,
			want{kind: KindRequest, id: "-123456789012345678901234567890", method: "m"},
		},
		{
			"id with escapes as sent", `{"jsonrpc":"2.0","id":"\u0061\"\ud83d\ude00","method":"m"}`,
			want{kind: KindRequest, id: `"\u0061\"\ud83d\ude00"`, method: "m"},
		},
		{
			"empty id", `{"jsonrpc":"2.0","id":"","method":"m"}`,
			want{kind: KindRequest, id: `""`, method: "m"},
		},
		{
			"escapes in names and values",
			`{"\u006a\u0073onrpc":"2\u002e0","\u0069d":1,"\u006dethod":"a\/b\u00e9","p\u0061rams":{}}`,
			want{kind: KindRequest, id: "1", method: "a/bé", params: "{}"},
		},
		{
			"names are case-sensitive",
			`{"jsonrpc":"2.0","id":1,"method":"good","METHOD":"evil","Method":"evil","ID":2,"Params":3}`,
			want{kind: KindRequest, id: "1", method: "good"},
		},
		{
			"names do not end at a NUL",
			`{"jsonrpc":"2.0","id":1,"method\u0000":"evil","method":"good","":0}`,
			want{kind: KindRequest, id: "1", method: "good"},
		},
		{
			"Kelvin sign and long s do not fold",
			`{"jsonrpc":"2.0","id":1,"method":"m","param` + "\u017f" + `":0,"par` + "\u212a" + `":0}`,
			want{kind: KindRequest, id: "1", method: "m"},
		},
		{
			"same name at two levels", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"id":2,"params":{"id":3}}}`,
			want{kind: KindRequest, id: "1", method: "m", params: `{"id":2,"params":{"id":3}}`},
		},
		{
			"params of a response are ignored", `{"jsonrpc":"2.0","id":1,"result":0,"params":3}`,
			want{kind: KindResult, id: "1", result: "0"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.in), nil)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			got := want{m.Kind, string(m.ID), string(m.Method), string(m.Params), string(m.Result), string(m.Error)}
			if got != tt.want {
				t.Errorf("Parse = %+v, want %+v", got, tt.want)
			}
			if m.ID == nil != (tt.want.id == "") || m.Params == nil != (tt.want.params == "") {
				t.Errorf("an absent member must be nil: %+v", m)
			}
		})
	}
}

// badJSON is refused wherever a value may stand.
var badJSON = []struct{ name, in string }{
	{"empty", ""},
	{"only space", " \n"},
	{"truncated literal", "tru"},
	{"misspelt literal", "nul0"},
	{"upper-case literal", "True"},
	{"NaN", "NaN"},
	{"leading zero", "01"},
	{"leading plus", "+1"},
	{"minus alone", "-"},
	{"minus zero one", "-01"},
	{"no digit after the point", "1."},
	{"no digit before the point", ".5"},
	{"no digit in the exponent", "1e"},
	{"no digit after the sign", "1E+"},
	{"hexadecimal", "0x10"},
	{"single quotes", "'a'"},
	{"open string", `"a`},
	{"raw newline", "\"a\nb\""},
	{"raw NUL", "\"a\x00b\""},
	{"raw tab at the ninth byte", "\"12345678\t\""},
	{"unknown escape", `"\x41"`},
	{"escape at the end", `"\`},
	{"upper-case escape", `"\N"`},
	{"three hexadecimal digits", `"\u004"`},
	{"bad hexadecimal digit", `"\u004g"`},
	{"lone high surrogate", `"\ud800"`},
	{"lone low surrogate", `"\udc00"`},
	{"two high surrogates", `"\ud800\ud800"`},
	{"swapped surrogates", `"\ude00\ud83d"`},
	{"high surrogate, then text", `"\ud83dxxxxxx"`},
	{"high surrogate, then another escape", `"\ud83d\u0041"`},
	{"invalid UTF-8", "\"\xff\""},
	{"overlong UTF-8", "\"\xc0\xaf\""},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\""},
	{"byte order mark", "\ufeff1"},
	{"comma at the end of an array", "[1,]"},
	{"comma at the start of an array", "[,1]"},
	{"no comma in an array", "[1 2]"},
	{"wrong closer of an array", "[1}"},
	{"open array", "[1"},
	{"comma at the end of an object", `{"a":1,}`},
	{"no colon", `{"a" 1}`},
	{"no value", `{"a":}`},
	{"two colons", `{"a"::1}`},
	{"name without quotes", `{a:1}`},
	{"number as a name", `{1:1}`},
	{"wrong closer of an object", `{"a":1]`},
	{"open object", `{"a":1`},
	{"comment", "/**/1"},
	{"no-break space", "\u00a01"},
	{"form feed", "\f1"},
	{"data after the value", "1 1"},
	{"closer after the value", "{}}"},
	{"NUL after the value", "{}\x00"},
}

func TestBadJSON(t *testing.T) {
	for _, tt := range badJSON {
		t.Run(tt.name, func(t *testing.T) {
			if err := Validate([]byte(tt.in), nil); err == nil || err.Code != CodeParse {
				t.Errorf("Validate = %v, want code %d", err, CodeParse)
			}
			for _, in := range []string{
				tt.in,
				`{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":` + tt.in + `}}`,
				`{"jsonrpc":"2.0","method":"m","x":` + tt.in + `,"id":1}`,
			} {
				m, err := Parse([]byte(in), nil)
				if err == nil || err.Code != CodeParse {
					t.Errorf("Parse(%q) = %v, want code %d", in, err, CodeParse)
				}
				if m.ID != nil {
					t.Errorf("Parse(%q) gave id %s of what is not JSON", in, m.ID)
				}
			}
		})
	}
}

func TestBadEnvelope(t *testing.T) {
	tests := []struct{ name, in, id string }{
		{"array", `[{"jsonrpc":"2.0","id":1,"method":"m"}]`, ""},
		{"string", `"m"`, ""},
		{"null", "null", ""},
		{"empty object", "{}", ""},
		{"no jsonrpc", `{"id":1,"method":"m"}`, "1"},
		{"jsonrpc 1.0", `{"jsonrpc":"1.0","id":1,"method":"m"}`, "1"},
		{"jsonrpc as a number", `{"jsonrpc":2.0,"id":1,"method":"m"}`, "1"},
		{"JSONRPC", `{"JSONRPC":"2.0","id":1,"method":"m"}`, "1"},
		{"method as a number", `{"jsonrpc":"2.0","id":1,"method":1}`, "1"},
		{"method null", `{"jsonrpc":"2.0","id":1,"method":null}`, "1"},
		{"no method", `{"jsonrpc":"2.0","id":1}`, "1"},
		{"only METHOD", `{"jsonrpc":"2.0","id":1,"METHOD":"m"}`, "1"},
		{"only method and NUL", `{"jsonrpc":"2.0","id":1,"method\u0000":"m"}`, "1"},
		{"method and result", `{"jsonrpc":"2.0","id":1,"method":"m","result":1}`, "1"},
		{"method and error", `{"jsonrpc":"2.0","id":1,"method":"m","error":{}}`, "1"},
		{"result and error", `{"jsonrpc":"2.0","id":1,"result":1,"error":{}}`, "1"},
		{"result without an id", `{"jsonrpc":"2.0","result":1}`, ""},
		{"result with a null id", `{"jsonrpc":"2.0","id":null,"result":1}`, ""},
		{"error as a string", `{"jsonrpc":"2.0","id":1,"error":"m"}`, "1"},
		{"error null", `{"jsonrpc":"2.0","id":1,"error":null}`, "1"},
		{"params null", `{"jsonrpc":"2.0","id":1,"method":"m","params":null}`, "1"},
		{"params as a string", `{"jsonrpc":"2.0","id":"a","method":"m","params":"p"}`, `"a"`},
		{"params as a number", `{"jsonrpc":"2.0","id":1,"method":"m","params":1}`, "1"},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"m"}`, ""},
		{"id true", `{"jsonrpc":"2.0","id":true,"method":"m"}`, ""},
		{"id as an object", `{"jsonrpc":"2.0","id":{},"method":"m"}`, ""},
		{"id as an array", `{"jsonrpc":"2.0","id":[1],"method":"m"}`, ""},
		{"id with a fraction", `{"jsonrpc":"2.0","id":1.0,"method":"m"}`, ""},
		{"id with an exponent", `{"jsonrpc":"2.0","id":1E3,"method":"m"}`, ""},
		{"duplicate method", `{"jsonrpc":"2.0","id":1,"method":"m","method":"m"}`, "1"},
		{"duplicate method by an escape", `{"jsonrpc":"2.0","id":1,"method":"m","\u006dethod":"n"}`, "1"},
		{"duplicate id", `{"jsonrpc":"2.0","id":1,"method":"m","id":2}`, ""},
		{"duplicate id by an escape", `{"jsonrpc":"2.0","id":1,"method":"m","i\u0064":1}`, ""},
		{"duplicate unknown member", `{"jsonrpc":"2.0","id":1,"method":"m","x":1,"x":1}`, "1"},
		{"duplicate empty name", `{"jsonrpc":"2.0","id":1,"method":"m","":1,"":1}`, "1"},
		{"duplicate in params", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","name":"b"}}`, "1"},
		{"duplicate deep in params", `{"jsonrpc":"2.0","id":1,"method":"m","params":[[{"x":[{"\u00e9":1,"é":2}]}]]}`, "1"},
		{"duplicate of two escaped names", `{"jsonrpc":"2.0","id":1,"method":"m","params":{"\u0061b":1,"a\u0062":2}}`, "1"},
		{"duplicate in a result", `{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}`, "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.in), nil)
			if err == nil || err.Code != CodeInvalidRequest {
				t.Fatalf("Parse = %v, want code %d", err, CodeInvalidRequest)
			}
			if string(m.ID) != tt.id || (m.ID == nil) != (tt.id == "") {
				t.Errorf("ID = %q, want %q", m.ID, tt.id)
			}
			m.ID = nil
			if m.Kind != 0 || m.Method != nil || m.Params != nil || m.Result != nil || m.Error != nil {
				t.Errorf("more than the ID is set: %+v", m)
			}
		})
	}
}

// What is not JSON at all is a parse error, even after a duplicate name.
func TestParseErrorComesFirst(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":1,"id":1,"method":"m"`
	if _, err := Parse([]byte(in), nil); err == nil || err.Code != CodeParse {
		t.Errorf("Parse = %v, want code %d", err, CodeParse)
	}
}

func TestEveryPrefixIsAnError(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":-10,"method":"a\u00e9\ud83d\ude00","params":{"a":[true,false,null,1.5e-3],"é":""}}`
	if _, err := Parse([]byte(in), nil); err != nil {
		t.Fatal(err)
	}
	for n := range len(in) {
		cut := []byte(in)[:n:n]
		if _, err := Parse(cut, nil); err == nil || err.Code != CodeParse {
			t.Errorf("Parse(%q) = %v, want code %d", cut, err, CodeParse)
		}
		// Members is for valid text only, but must stay within any.
		for range Members(cut) {
		}
		for range Elements(cut) {
		}
	}
}

// An append to a view must not write into the message behind it.
func TestViewsAreCapped(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1,"b":[2,3]}}`
	b := []byte(in)
	m, err := Parse(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	views := [][]byte{m.ID, m.Method, m.Params}
	for name, value := range Members(m.Params) {
		views = append(views, name, value)
	}
	for value := range Elements(Member(m.Params, "b")) {
		views = append(views, value)
	}
	for _, v := range views {
		_ = append(v, "XXXX"...)
	}
	if string(b) != in {
		t.Errorf("message became %s", b)
	}
}

func TestMessageIsViews(t *testing.T) {
	b := []byte(`{"jsonrpc":"2.0","id":1,"method":"m","params":{}}`)
	m, err := Parse(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(b, strings.Repeat("Z", len(b)))
	if string(m.ID)+string(m.Method)+string(m.Params) != "ZZZZ" {
		t.Errorf("%s %s %s: copies, want views", m.ID, m.Method, m.Params)
	}
}

func TestKindString(t *testing.T) {
	tests := map[Kind]string{
		0: "invalid", KindRequest: "request", KindNotification: "notification",
		KindResult: "result", KindError: "error", 99: "invalid",
	}
	for k, want := range tests {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) = %s, want %s", k, got, want)
		}
	}
}
