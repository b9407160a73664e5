package readme

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func fence(info string, lines ...string) string {
	return "```" + info + "\n" + strings.Join(lines, "\n") + "\n```\n"
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     []Example
	}{
		{
			"one command", "# A\n\n" + fence("sh", "curl -s http://a") + "prints\n" + fence("json", `{"a":1}`),
			[]Example{{3, []string{"curl -s http://a"}, "json", `{"a":1}`}},
		},
		{
			"continued, commented and repeated",
			fence("sh", "# first", `curl -s \`, "  http://a", "", "curl -s http://b") + fence("text", "x", "", "y"),
			[]Example{{1, []string{"curl -s \\\n  http://a", "curl -s http://b"}, "text", "x\n\ny"}},
		},
		{
			"other blocks are left alone",
			fence("sh", "make run") + fence("go", "curl x") + fence("", "curl x") + fence("sh", "curl http://a") + fence("http", "HTTP/1.1 200 OK"),
			[]Example{{10, []string{"curl http://a"}, "http", "HTTP/1.1 200 OK"}},
		},
		{
			"indented and CRLF",
			"- item\r\n  ```sh\r\n  curl http://a\r\n  ```\r\n  ```text\r\n  x\r\n    y\r\n  ```\r\n",
			[]Example{{2, []string{"curl http://a"}, "text", "x\n  y"}},
		},
		{
			"longer fence holds a shorter one",
			"````text\n```sh\ncurl no\n```\n````\n" + fence("sh", "curl http://a") + fence("text", "x"),
			[]Example{{6, []string{"curl http://a"}, "text", "x"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Parse = %#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ErrNoExamples.Error()},
		{"no curl", fence("sh", "make run"), ErrNoExamples.Error()},
		{"curl in prose only", "curl http://a\n", ErrNoExamples.Error()},
		{"no output", fence("sh", "curl http://a"), "line 1: no block of json, text or http follows"},
		{"output of another kind", fence("sh", "curl http://a") + fence("go", "x"), "line 1: no block of json, text or http follows"},
		{"mixed", fence("sh", "make run &", "curl http://a") + fence("json", "1"), `holds another one: "make run &"`},
		{"open fence", "```sh\ncurl http://a\n", "line 1: the fence is never closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v, %v, want error %q", got, err, tt.want)
			}
		})
	}
	if _, err := Parse("nothing"); !errors.Is(err, ErrNoExamples) {
		t.Errorf("Parse(nothing) = %v, want ErrNoExamples", err)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct{ name, form, want, got, err string }{
		{"json equal", "json", `{"a":1,"b":[true,null,"x"]}`, ` {"b":[true,null,"x"],"a":1} `, ""},
		{"json elided", "json", `{"id":"...","a":["..."]}`, `{"id":{"x":1},"a":[7]}`, ""},
		{"json number forms", "json", `[1,2.50]`, `[1.0,2.5]`, ""},
		{"json large integers", "json", `9007199254740993`, `9007199254740992`, "$ = 9007199254740992"},
		{"json several", "json", "{\"a\":1}\n{\"b\":2}", `{"a":1}{"b":2}`, ""},
		{"json fewer", "json", "1 2", "1", "1 JSON documents, want 2"},
		{"json value", "json", `{"a":{"b":1}}`, `{"a":{"b":2}}`, "$.a.b = 2, want 1"},
		{"json type", "json", `{"a":"1"}`, `{"a":1}`, `$.a = 1, want "1"`},
		{"json missing though elided", "json", `{"a":"..."}`, `{}`, "$.a is missing"},
		{"json extra", "json", `{}`, `{"a":1}`, "$.a = 1 is not expected"},
		{"json array length", "json", `[1]`, `[1,2]`, "$ has 2 items, want 1"},
		{"json array item", "json", `[1,2]`, `[1,3]`, "$[1] = 3, want 2"},
		{"json null", "json", `null`, `false`, "$ = false, want null"},
		{"json empty output", "json", `{}`, ``, "the output is not JSON"},
		{"json bad expectation", "json", `{...}`, `{}`, "the expected output is not JSON"},
		{"text equal", "text", "a\nb\n", "a  \r\nb", ""},
		{"text elided", "text", "id: ... of ...\n...", "id: 7 of 9 lives\nx", ""},
		{"text elided twice in order", "text", "a...b...c", "a1c2b3c", ""},
		{"text elided, wrong middle", "text", "a...b...c", "a1c", "line 1"},
		{"text elided, wrong start", "text", "a...", "b", "line 1"},
		{"text elided, wrong end", "text", "...c", "cd", "line 1"},
		{"text line", "text", "a\nb", "a\nc", `line 2 = "c", want "b"`},
		{"text longer", "text", "a", "a\nb", "2 lines, want 1"},
		{"http equal", "http", "HTTP/1.1 200 OK\nA: 1\nB: ...\n\n{\"x\":\"...\"}", "HTTP/1.1 200 OK\r\nb: 7\r\na: 1\r\n\r\n{\"x\":1}\n", ""},
		{"http open", "http", "HTTP/1.1 200 OK\n...\n\nx", "HTTP/1.1 200 OK\r\nb: 7\r\n\r\nx", ""},
		{"http no body", "http", "HTTP/1.1 202 Accepted\nContent-Length: 0", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", ""},
		{"http repeated field", "http", "HTTP/1.1 200 OK\nVary: a, b", "HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\r\n\r\n", ""},
		{"http status", "http", "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found\r\n\r\n", "status line"},
		{"http missing field", "http", "HTTP/1.1 200 OK\nA: 1", "HTTP/1.1 200 OK\r\n\r\n", "header field a is missing"},
		{"http field value", "http", "HTTP/1.1 200 OK\nA: 1", "HTTP/1.1 200 OK\r\nA: 2\r\n\r\n", `header field a = "2"`},
		{"http extra field", "http", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nA: 2\r\n\r\n", "header field a"},
		{"http JSON body", "http", "HTTP/1.1 200 OK\n\n{\"a\":1}", "HTTP/1.1 200 OK\r\n\r\n{\"a\":2}", "$.a = 2"},
		{"http text body", "http", "HTTP/1.1 200 OK\n\ndata: x", "HTTP/1.1 200 OK\r\n\r\ndata: y", "line 1"},
		{"unknown form", "yaml", "", "", "unknown form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Match(tt.form, tt.want, tt.got)
			switch {
			case tt.err == "" && err != nil:
				t.Errorf("Match = %v, want nil", err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("Match = %v, want %q", err, tt.err)
			}
		})
	}
}
