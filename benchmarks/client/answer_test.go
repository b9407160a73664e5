package client

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnswerParse(t *testing.T) {
	var a Answer
	if err := a.Parse([]byte(` {"jsonrpc":"2.0", "id": 12 ,"result":{"_meta":{"a":[{"}":"]"}]},"content":` +
		`[{"type":"text","text":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"},{"type":"text","text":"second"}],` +
		`"structuredContent":{"sum":3},"isError":false}}`)); err != nil {
		t.Fatal(err)
	}
	if !a.HasID || a.ID != 12 || a.Failed || a.ToolError {
		t.Errorf("answer = %+v", a)
	}
	if got, want := string(a.Text), "a\"\\/\b\f\n\r\té😀é"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	if got, want := string(a.Structured), `{"sum":3}`; got != want {
		t.Errorf("structured = %s, want %s", got, want)
	}
	if err := a.Parse([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}`)); err != nil {
		t.Fatal(err)
	}
	if a.HasID || !a.Failed || a.Code != -32700 || string(a.Message) != `"no"` || len(a.Text) != 0 {
		t.Errorf("error = %+v", a)
	}
	if err := a.Parse([]byte(`{"method":"notifications/progress","params":{"progressToken":5,"progress":0.5,"total":1}}`)); err != nil {
		t.Fatal(err)
	}
	if string(a.Method) != "notifications/progress" || a.Token != 5 || a.Progress != 0.5 || a.HasID {
		t.Errorf("progress = %+v", a)
	}
	if err := a.Parse([]byte(`{"id":1,"result":{"content":[],"isError":true}}`)); err != nil || !a.ToolError {
		t.Errorf("tool error = %+v, %v", a, err)
	}
}

func TestAnswerParseRejects(t *testing.T) {
	var a Answer
	for _, in := range []string{
		``, `[]`, `{`, `{}`, `{"id"}`, `{"id":}`, `{"id":1,}`, `{"id":1 "result":{}}`, `{id:1}`,
		`{"id":1}`, `{"id":1,"result":{},"error":{}}`, `{"id":"x","result":{}}`, `{"id":1.5,"result":{}}`,
		`{"id":1,"result":[]}`, `{"id":1,"result":{"content":{}}}`, `{"id":1,"result":{"content":[1]}}`,
		`{"id":1,"result":{"content":[{"text":1}]}}`, `{"id":1,"result":{"content":[{"text":"\x"}]}}`,
		`{"id":1,"result":{"content":[{"text":"\ud83d"}]}}`, `{"id":1,"result":{"content":[{"text":"\u12g4"}]}}`,
		`{"id":1,"error":{"code":"x"}}`, `{"id":1,"result":{"content":[{"text":"open}]}}`,
	} {
		if err := a.Parse([]byte(in)); err == nil {
			t.Errorf("%s: accepted as %+v", in, a)
		}
	}
}

func TestAnswerParseAllocs(t *testing.T) {
	var a Answer
	in := []byte(`{"jsonrpc":"2.0","id":123456,"result":{"content":[{"type":"text","text":"hello there"}]}}`)
	if n := testing.AllocsPerRun(100, func() {
		if err := a.Parse(in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("allocations = %v, want 0", n)
	}
}

// FuzzAnswer compares the scanner with encoding/json on texts that both accept and that name each member once.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a\u00e9\n"}],"structuredContent":{"sum":3}}}`)
	f.Add(`{"id":1,"result":{"content":[{"text":"\ud83d\ude00","type":"text"},{"type":"image"}],"isError":true}}`)
	f.Add(`{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"},"id":2}`)
	f.Fuzz(func(t *testing.T, in string) {
		var a Answer
		var want struct {
			Result struct {
				Content           []struct{ Text string }
				StructuredContent json.RawMessage
			}
		}
		if a.Parse([]byte(in)) != nil || !utf8.ValidString(in) || json.Unmarshal([]byte(in), &want) != nil || a.Result == nil {
			return
		}
		for _, name := range []string{"\"result\"", "\"content\"", "\"text\"", "\"structuredcontent\"", "\\u00"} {
			if strings.Count(strings.ToLower(in), name) > 1 {
				return // encoding/json joins members that differ in case or by an escape, the scanner does not
			}
		}
		if c := want.Result.Content; len(c) > 0 && c[0].Text != string(a.Text) {
			t.Errorf("text = %q, want %q", a.Text, c[0].Text)
		}
		if got := string(a.Structured); got != "" && got != string(want.Result.StructuredContent) {
			t.Errorf("structured = %s, want %s", got, want.Result.StructuredContent)
		}
	})
}

func BenchmarkAnswerParse(b *testing.B) {
	var a Answer
	in := []byte(`{"jsonrpc":"2.0","id":123456,"result":{"content":[{"type":"text","text":"hello there"}]}}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Parse(in); err != nil {
			b.Fatal(err)
		}
	}
}
