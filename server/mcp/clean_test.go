package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestCleaned(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain":                     "plain",
		"tab\tline\r\n":             "tab\tline\r\n",
		"\x1b[2Jgone":               "[2Jgone",
		"a\x00b\x07c\x7fd":          "abcd",
		"\u0085next\u009b31m":       "next31m",
		"user\u202etxt.exe\u2066x":  "usertxt.exex",
		"Grüße, 世界, \u200ea\u200d😀": "Grüße, 世界, \u200ea\u200d😀",
		"\u2029\u202f\u2065\u206a":  "\u2029\u202f\u2065\u206a",
	} {
		for _, pad := range []int{0, 1, 6, 7, 8, 9, 15} {
			in, want := strings.Repeat("x", pad)+in, strings.Repeat("x", pad)+want
			shared := &TextContent{Text: in}
			r := &CallToolResult{Content: []Content{&ImageContent{}, shared, &TextContent{Text: "other"}}, IsError: true}
			got := r.cleaned()
			if text := got.Content[1].(*TextContent).Text; text != want || shared.Text != in || !got.IsError || len(got.Content) != 3 {
				t.Errorf("%q becomes %q, want %q", in, text, want)
			}
			if (in == want) != (got == r) {
				t.Errorf("%q: copied %v", in, got != r)
			}
		}
	}
}

// TestKeepControls: what a handler returns is cleaned by default, errors too.
func TestKeepControls(t *testing.T) {
	for keep, want := range map[bool]string{false: `"text":"[1mbold"`, true: "\"text\":\"\\u001b[1mbold\""} {
		o := quiet()
		o.KeepControls = keep
		s := NewServer(&Implementation{Name: "s", Version: "1"}, o)
		s.AddTool(&Tool{Name: "bold", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *CallToolRequest) (*CallToolResult, error) {
			return &CallToolResult{Content: []Content{&TextContent{Text: "\x1b[1mbold"}}}, nil
		})
		AddTool(s, &Tool{Name: "fails"}, func(context.Context, *CallToolRequest, struct{}) (*CallToolResult, any, error) {
			return nil, nil, errors.New("\x1b[1mbold")
		})
		for _, name := range []string{"bold", "fails"} {
			if got := dial(t, s, Version20260728).ask("tools/call", `"name":"`+name+`","arguments":{}`); !strings.Contains(got, want) {
				t.Errorf("keep %v: %s: %s, want %s", keep, name, got, want)
			}
		}
	}
}

// FuzzCleaned: dirty is right, and what is cleaned is clean.
func FuzzCleaned(f *testing.F) {
	for _, s := range []string{"", "plain text of some length", "\x1b[31m", "ü\u202e", "\xff\xfe\x1b", "1234567\x7f", "12345678\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := dirty(s), strings.ContainsFunc(s, isControl); got != want {
			t.Fatalf("dirty(%q) = %v", s, got)
		}
		if clean := withoutControls(s); dirty(clean) {
			t.Fatalf("%q becomes %q", s, clean)
		}
	})
}

func BenchmarkDirty(b *testing.B) {
	for name, s := range map[string]string{"50": strings.Repeat("x", 50), "4KiB": strings.Repeat("some text of a tool\n", 205), "4MiB": strings.Repeat("x", 4<<20)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if dirty(s) {
					b.Fatal("dirty")
				}
			}
		})
	}
}
