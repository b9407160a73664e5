package jsonrpc

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"testing"
)

// FuzzParse holds Parse against encoding/json: what is accepted there must be
// accepted with the same values, no name may occur twice, and the message
// must survive being written again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(call350))
	for _, tt := range badJSON {
		f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":` + tt.in + `}}`))
	}
	f.Add([]byte(`{"jsonrpc":"2.0","id":"\ud83d\ude00","error":{"code":1,"message":"m"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":[{"a":{},"\u0061":[]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		m, err := Parse(in, nil)
		if !bytes.Equal(in, before) {
			t.Fatal("Parse changed its input")
		}
		if err != nil {
			if err.Code != CodeParse && err.Code != CodeInvalidRequest {
				t.Fatalf("code %d", err.Code)
			}
			if err.Code == CodeInvalidRequest && !json.Valid(in) {
				t.Fatalf("%v of what is not JSON", err)
			}
			if m.ID != nil && !json.Valid(m.ID) {
				t.Fatalf("id %q is not JSON", m.ID)
			}
			return
		}
		sameValue(t, in)
		var want map[string]any
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatal(err)
		}
		if method, _ := want["method"].(string); method != string(m.Method) {
			t.Fatalf("method %q, encoding/json has %q", m.Method, method)
		}
		again, err := Parse(rewrite(m), nil)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// rewrite writes m with the appenders.
func rewrite(m Message) []byte {
	switch m.Kind {
	case KindRequest:
		return AppendRequest(nil, m.ID, string(m.Method), m.Params)
	case KindNotification:
		return AppendNotification(nil, string(m.Method), m.Params)
	case KindResult:
		return AppendResult(nil, m.ID, m.Result)
	default:
		head := `{"jsonrpc":"2.0","error":` + string(m.Error)
		if m.ID != nil {
			head += `,"id":` + string(m.ID)
		}
		return []byte(head + "}")
	}
}

// FuzzValidate is FuzzParse for any value.
func FuzzValidate(f *testing.F) {
	for _, tt := range badJSON {
		f.Add([]byte(tt.in))
	}
	f.Add([]byte(call350))
	f.Add([]byte(` {"a":[1,-0.5e+3,"\u00e9\n",true,false,null,{"":[]}],"b":{"a":0}} `))
	f.Fuzz(func(t *testing.T, in []byte) {
		err := Validate(in, nil)
		// Neither of these may panic, whatever the text.
		for range Members(in) {
		}
		n := 0
		for range Elements(in) {
			n++
		}
		Unquote(in)
		if err == nil {
			sameValue(t, in)
			if batch := ParseBatch(in, nil, func([]byte) { n-- }); batch == nil && n != 0 {
				t.Fatalf("ParseBatch and Elements differ by %d elements", n)
			}
		} else if err.Code == CodeInvalidRequest && !json.Valid(in) {
			t.Fatalf("%v of what is not JSON", err)
		}
	})
}

// FuzzAppendString holds AppendString against encoding/json.
func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\b\f\n\r\t\x00\x1f\x7f\u2028😀")
	f.Add("\xff\xed\xa0\x80 and \xe2\x82")
	f.Fuzz(func(t *testing.T, in string) {
		raw := AppendString(nil, in)
		var got string
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(in)); got != want {
			t.Fatalf("%q reads back as %q, want %q", raw, got, want)
		}
		if ours, ok := Unquote(raw); !ok || ours != got {
			t.Fatalf("Unquote(%q) = %q, %v", raw, ours, ok)
		}
	})
}

// sameValue walks valid text with Members and Elements and compares what it
// finds with encoding/json.
func sameValue(t *testing.T, in []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(in))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", in, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("data after the value in %q", in)
	}
	if got := valueOf(t, bytes.Trim(in, " \t\r\n")); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is %v, encoding/json has %v", in, got, want)
	}
}

func valueOf(t *testing.T, raw []byte) any {
	switch raw[0] {
	case '{':
		obj := map[string]any{}
		for name, value := range Members(raw) {
			if _, twice := obj[string(name)]; twice {
				t.Fatalf("%q has %q twice", raw, name)
			}
			obj[string(name)] = valueOf(t, value)
		}
		return obj
	case '[':
		arr := []any{}
		for value := range Elements(raw) {
			arr = append(arr, valueOf(t, value))
		}
		return arr
	case '"':
		s, ok := Unquote(raw)
		if !ok {
			t.Fatalf("Unquote refuses %q", raw)
		}
		return s
	case 't', 'f':
		return string(raw) == "true"
	case 'n':
		return nil
	}
	return json.Number(raw)
}
