package schema

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const plain = `{"type":"object"}`

func TestLintToolErrors(t *testing.T) {
	tests := []struct{ name, tool, input, output, want string }{
		{"no name", "", plain, "", "needs a name"},
		{"long name", strings.Repeat("a", 129), plain, "", "129 characters, at most 128"},
		{"space", "a b", plain, "", "white space"},
		{"newline", "a\n", plain, "", "white space"},
		{"control", "a\x7f", plain, "", "control character"},
		{"no-break space", "a\u00a0b", plain, "", "white space"},
		{"UTF-8", "a\xff", plain, "", "UTF-8"},
		{"no input", "a", ``, "", "not valid JSON"},
		{"null input", "a", `null`, "", "input schema: must be a JSON object, got null"},
		{"boolean input", "a", `true`, "", "got boolean"},
		{"array input", "a", `[]`, "", "got array"},
		{"no type", "a", `{}`, "", `"type":"object"`},
		{"other type", "a", `{"type":"array"}`, "", `"type":"object"`},
		{"type list", "a", `{"type":["object"]}`, "", `"type":"object"`},
		{"header", "a", `{"type":"object","x-mcp-header":"A"}`, "", "x-mcp-header"},
		{"boolean output", "a", plain, `true`, "output schema: must be a JSON object"},
		{"malformed output", "a", plain, `{`, "output schema: not valid JSON"},
	}
	for _, tt := range tests {
		_, err := LintTool(tt.tool, []byte(tt.input), []byte(tt.output))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestLintToolWarnings(t *testing.T) {
	big := func(n int) string { return fmt.Sprintf(`{"type":"object","title":%q}`, strings.Repeat("x", n-28)) }
	if len(big(largeSchemaSize)) != largeSchemaSize {
		t.Fatal("the test's schema has another size")
	}
	tests := []struct {
		name, tool, input, output string
		want                      []string // a part of each warning
	}{
		{"clean", "get_weather.v-2", `{"type":"object","properties":{"a":{"anyOf":[{"type":"string"}]}}}`, plain, nil},
		{"60", strings.Repeat("a", 60), plain, "", nil},
		{"61", strings.Repeat("a", 61), plain, "", []string{"Cursor drops"}},
		{"64", strings.Repeat("a", 64), plain, "", []string{"Cursor drops"}},
		{"65", strings.Repeat("a", 65), plain, "", []string{"model APIs take at most 64"}},
		{"128", strings.Repeat("a", 128), plain, "", []string{"model APIs take at most 64"}},
		{"special", "größe", plain, "", []string{"rename the tool"}},
		{"anyOf", "a", `{"type":"object","anyOf":[true]}`, "", []string{"anyOf at its top: Cursor and the Claude API"}},
		{"all three", "a", `{"type":"object","allOf":[true],"oneOf":[true],"anyOf":[true]}`, "", []string{"oneOf", "anyOf", "allOf"}},
		{"ref", "a", `{"type":"object","$defs":{"s":true},"properties":{"a":{"items":{"$ref":"#/$defs/s"}}}}`, "", []string{"Gemini"}},
		{"property called $ref", "a", `{"type":"object","properties":{"$ref":{"type":"string"}},"default":{"$ref":"x"}}`, "", nil},
		{"size", "a", big(largeSchemaSize), "", nil},
		{"large", "a", big(largeSchemaSize + 1), big(largeSchemaSize + 1), []string{"input schema has 65537 bytes", "output schema has 65537 bytes"}},
		{"output", "a", plain, `{"type":"array"}`, []string{"TypeScript SDK"}},
		{"output without type", "a", plain, `{}`, []string{"2025-11-25"}},
	}
	for _, tt := range tests {
		r, err := LintTool(tt.tool, []byte(tt.input), []byte(tt.output))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(r.Warnings) != len(tt.want) {
			t.Errorf("%s: %q, want %d warnings", tt.name, r.Warnings, len(tt.want))
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(r.Warnings[i], want) {
				t.Errorf("%s: %q does not say %q", tt.name, r.Warnings[i], want)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	in := `{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},
		"deep":{"type":"object","properties":{"properties":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"!#$%&'*+-.^_` + "`" + `|~09"}}}}},
		"x-mcp-header":{"type":"string","default":{"x-mcp-header":"data"},"enum":[{"x-mcp-header":1}]},
		"flag":{"type":"boolean","x-mcp-header":"flag"}}}`
	want := []HeaderParam{
		{"!#$%&'*+-.^_`|~09", []string{"deep", "properties", "n"}, "integer"},
		{"flag", []string{"flag"}, "boolean"},
		{"Region", []string{"region"}, "string"},
	}
	got, err := Headers([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Headers = %v, %v, want %v", got, err, want)
	}
	if got, err := Headers([]byte(plain)); got != nil || err != nil {
		t.Errorf("Headers(%s) = %v, %v", plain, got, err)
	}
}

func TestHeadersErrors(t *testing.T) {
	annotated := `{"type":"string","x-mcp-header":"A"}`
	tests := []struct{ name, schema, want string }{
		{"malformed", `{`, "not valid JSON"},
		{"empty", `{"properties":{"a":{"type":"string","x-mcp-header":""}}}`, "not empty"},
		{"number", `{"properties":{"a":{"type":"string","x-mcp-header":1}}}`, "not empty"},
		{"null", `{"properties":{"a":{"type":"string","x-mcp-header":null}}}`, "not empty"},
		{"space", `{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}`, "field name"},
		{"CRLF", `{"properties":{"a":{"type":"string","x-mcp-header":"a\r\nb"}}}`, "field name"},
		{"colon", `{"properties":{"a":{"type":"string","x-mcp-header":"a:"}}}`, "field name"},
		{"not ASCII", `{"properties":{"a":{"type":"string","x-mcp-header":"ä"}}}`, "field name"},
		{"twice", `{"properties":{"a":{"type":"string","x-mcp-header":"Ab"},"b":{"properties":{"c":{"type":"string","x-mcp-header":"aB"}}}}}`, "used twice"},
		{"type number", `{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}`, "whose type"},
		{"type list", `{"properties":{"a":{"type":["string","null"],"x-mcp-header":"A"}}}`, "whose type"},
		{"no type", `{"properties":{"a":{"x-mcp-header":"A"}}}`, "whose type"},
		{"object", `{"properties":{"a":{"type":"object","x-mcp-header":"A"}}}`, "whose type"},
		{"root", `{"type":"string","x-mcp-header":"A"}`, "not reached"},
		{"items", `{"properties":{"a":{"items":` + annotated + `}}}`, "not reached"},
		{"below items", `{"properties":{"a":{"items":{"properties":{"b":` + annotated + `}}}}}`, "not reached"},
		{"prefixItems", `{"prefixItems":[` + annotated + `]}`, "not reached"},
		{"allOf", `{"allOf":[{"properties":{"b":` + annotated + `}}]}`, "not reached"},
		{"not", `{"not":` + annotated + `}`, "not reached"},
		{"then", `{"if":true,"then":{"properties":{"b":` + annotated + `}}}`, "not reached"},
		{"$defs", `{"$defs":{"b":` + annotated + `},"properties":{"a":{"$ref":"#/$defs/b"}}}`, "not reached"},
		{"patternProperties", `{"patternProperties":{"b":` + annotated + `}}`, "not reached"},
		{"additionalProperties", `{"additionalProperties":` + annotated + `}`, "not reached"},
		{"too deep", strings.Repeat(`{"properties":{"a":`, 33) + annotated + strings.Repeat(`}}`, 33), "bound of 32"},
	}
	for _, tt := range tests {
		if got, err := Headers([]byte(tt.schema)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}
