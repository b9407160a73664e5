package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCompileErrors(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte(`{"type":"string"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, schema, want string }{
		{"empty", ``, `not valid JSON at byte 0`},
		{"malformed", `{"type":}`, `not valid JSON at byte 8`},
		{"array", `[]`, `must be a JSON object or a boolean, got array`},
		{"null", `null`, `got null`},
		{"string", `"x"`, `got string`},
		{"number", `1`, `got number`},
		{"unknown type", `{"type":"strnig"}`, `not valid for its dialect: type: `},
		{"minLength", `{"minLength":-1}`, `minLength: must be at least 0`},
		{"required", `{"required":"a"}`, `required: must be array, got string`},
		{"invalid in $defs", `{"$defs":{"a":{"type":7}}}`, `$defs.a.type`},
		{"invalid under properties", `{"properties":{"a":7}}`, `properties.a: `},
		{"draft-04", `{"$schema":"http://json-schema.org/draft-04/schema#"}`, `dialect "http://json-schema.org/draft-04/schema#" is not supported; use https://json-schema.org/draft/2020-12/schema (the default), https://json-schema.org/draft/2019-09/schema or http://json-schema.org/draft-07/schema#`},
		{"draft-06", `{"$schema":"http://json-schema.org/draft-06/schema#"}`, `is not supported`},
		{"latest", `{"$schema":"https://json-schema.org/schema"}`, `is not supported`},
		{"own dialect", `{"$schema":"https://example.com/dialect"}`, `is not supported`},
		{"scheme", `{"$schema":"ftp://json-schema.org/draft-07/schema#"}`, `is not supported`},
		{"nested dialect", `{"properties":{"a":{"$schema":"urn:x"}}}`, `is not supported`},
		{"$schema type", `{"$schema":1}`, `$schema must be a string`},
		{"file", `{"$ref":"file://` + secret + `"}`, `leaves the schema`},
		{"path", `{"$ref":"` + secret + `"}`, `leaves the schema`},
		{"relative", `{"properties":{"a":{"$ref":"other.json#/x"}}}`, `leaves the schema`},
		{"http", `{"$ref":"http://127.0.0.1:1/x"}`, `"http://127.0.0.1:1/x" leaves the schema`},
		{"https", `{"items":{"$ref":"https://example.com/x#/y"}}`, `leaves the schema`},
		{"urn", `{"$ref":"urn:example:x"}`, `leaves the schema`},
		{"dynamic", `{"$dynamicRef":"https://example.com/x#y"}`, `leaves the schema`},
		{"metaschema", `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, `leaves the schema`},
		{"through $id", `{"$id":"file:///etc/","properties":{"a":{"$ref":"passwd"}}}`, `leaves the schema`},
		{"dangling", `{"$ref":"#/$defs/none"}`, `/$defs/none`},
		{"dangling anchor", `{"$ref":"#none"}`, `anchor`},
		{"self", `{"$ref":"#"}`, `leads back to itself`},
		{"self in allOf", `{"allOf":[{"not":{"$ref":"#"}}]}`, `leads back to itself`},
		{"cycle", `{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"properties":{"x":{"$ref":"#/$defs/a"}}}`, `leads back to itself`},
		{"dynamic anchors", `{"$dynamicAnchor":"a","$defs":{"x":{"$dynamicAnchor":"a"}}}`, `declared more than once`},
		{"recursive anchor", `{"$schema":"https://json-schema.org/draft/2019-09/schema","$defs":{"x":{"$id":"x","$recursiveAnchor":true}}}`, `at the root only`},
		{"lookahead", `{"pattern":"(?=a)"}`, `RE2 syntax`},
		{"patternProperties", `{"patternProperties":{"(":true}}`, `RE2 syntax`},
		{"duplicate ids", `{"$defs":{"a":{"$id":"x"},"b":{"$id":"x"}}}`, `duplicate id`},
		{"exponent", `{"minimum":1e1001}`, `over the bound of 1000 characters or of exponent 1000`},
		{"exponent in data", `{"const":1e999999999}`, `exponent 1000`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := Compile([]byte(tt.schema))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "schema: ") {
				t.Errorf("Compile(%s)\n got %v\nwant %q", tt.schema, err, tt.want)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestCompileDialects(t *testing.T) {
	for _, uri := range []string{
		"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#", "https://json-schema.org/draft/2019-09/schema",
		"http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-07/schema", "https://json-schema.org/draft-07/schema#",
	} {
		mustCompile(t, `{"$schema":"`+uri+`","type":"object"}`)
	}
}

// doubling is a chain of n definitions that each apply the next one twice.
func doubling(n int, format string) string {
	var sb strings.Builder
	sb.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		ref := fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, i+1)
		fmt.Fprintf(&sb, `"d%d":`+format+`,`, i, ref, ref)
	}
	fmt.Fprintf(&sb, `"d%d":{"type":"object"}}}`, n)
	return sb.String()
}

func TestBounds(t *testing.T) {
	nested := func(n int) string { // n subschemas in a row
		return strings.Repeat(`{"items":`, n-1) + `{}` + strings.Repeat(`}`, n-1)
	}
	wide := func(n int) string { // n subschemas in all
		return `{"anyOf":[` + strings.TrimSuffix(strings.Repeat(`{},`, n-1), ",") + `]}`
	}
	data := func(n int) string { // n nested arrays and objects
		return `{"const":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	size := func(n int) string {
		return `{"title":"` + strings.Repeat("x", n-len(`{"title":""}`)) + `"}`
	}
	// 1 for the root, 368 references that count 1 each and lead to 1+269
	// schemas, and as many more as are missing: n paths in all.
	paths := func(n int) string {
		refs := strings.Repeat(`{"$ref":"#/$defs/w"},`, 368)
		rest := strings.Repeat(`{},`, n-1-368*271)
		return `{"$defs":{"w":` + wide(270) + `},"allOf":[` + refs + strings.TrimSuffix(rest, ",") + `]}`
	}
	pattern := func(n int) string { return `{"pattern":"` + strings.Repeat("a", n) + `"}` }
	states := func(n int) string { return fmt.Sprintf(`{"pattern":"(?:abcdefghi){%d}"}`, n) } // 11 each
	exponent := func(n int) string { return fmt.Sprintf(`{"minimum":1e%d}`, n) }
	tests := []struct {
		name  string
		limit int
		make  func(int) string
		want  string
	}{
		{"depth", maxDepth, nested, "nested deeper than the bound of 32"},
		{"subschemas", maxSubschemas, wide, "more subschemas than the bound of 2000"},
		{"JSON depth", maxJSONDepth, data, "nested deeper than the bound of 128"},
		{"bytes", maxSchemaBytes, size, "over the bound of 1048576"},
		{"pattern bytes", maxPatternBytes, pattern, "over the bound of 1000"},
		{"exponent", maxExponent, exponent, "exponent 1000"},
		{"pattern states", maxPatternSize / 11, states, "over the bound of 10000"},
		{"paths", maxPaths, paths, "more than the bound of 100000 paths"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for n, ok := range map[int]bool{tt.limit - 1: true, tt.limit: true, tt.limit + 1: false} {
				_, err := Compile([]byte(tt.make(n)))
				if (err == nil) != ok {
					t.Errorf("%d: %v, want accepted %v", n, err, ok)
				}
				if err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%d: %v does not say %q", n, err, tt.want)
				}
			}
		})
	}
}

func TestBoundOfSubschemasCountsReferences(t *testing.T) {
	var sb strings.Builder
	sb.WriteString(`{"x-data":{`)
	for i := range maxSubschemas {
		fmt.Fprintf(&sb, `"s%d":{"allOf":[true]},`, i)
	}
	sb.WriteString(`"end":1},"anyOf":[`)
	for i := range 900 {
		fmt.Fprintf(&sb, `{"$ref":"#/x-data/s%d"},`, i)
	}
	_, err := Compile([]byte(sb.String() + `{}]}`))
	if err == nil || !strings.Contains(err.Error(), "more subschemas than the bound") {
		t.Errorf("2,700 schemas, most of them outside of keywords: %v", err)
	}
}

// Chains of references are longer than subschemas may nest, so doubling needs
// no depth: 2^14 paths are under the bound, 2^18 and 2^60 are not.
func TestBoundOfDoubling(t *testing.T) {
	for _, format := range []string{
		`{"allOf":[%s,%s]}`, `{"anyOf":[%s,%s]}`, `{"not":%s,"if":%s}`, `{"oneOf":[%s],"dependentSchemas":{"x":%s}}`,
	} {
		for n, ok := range map[int]bool{14: true, 18: false, 60: false} {
			start := time.Now()
			v, err := Compile([]byte(doubling(n, format)))
			if (err == nil) != ok {
				t.Errorf("%s doubled %d times: %v, want accepted %v", format, n, err, ok)
			}
			if err != nil && !strings.Contains(err.Error(), "100000 paths") {
				t.Errorf("%s doubled %d times: %v does not name the bound", format, n, err)
			}
			if err == nil {
				_ = v.Validate([]byte(`{"x":1}`))
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("%s doubled %d times took %v", format, n, d)
			}
		}
	}
}

// A schema that applies itself twice to the same child costs 2^depth.
func TestBoundOfRecursion(t *testing.T) {
	tests := []struct {
		name, schema string
		ok           bool
	}{
		{"one child twice", `{"properties":{"c":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}}}`, false},
		{"two keywords", `{"properties":{"c":{"$ref":"#"}},"patternProperties":{"^c":{"$ref":"#"}}}`, false},
		{"items and contains", `{"items":{"$ref":"#"},"contains":{"$ref":"#"}}`, false},
		{"tree", `{"properties":{"l":{"$ref":"#"},"r":{"$ref":"#"}},"additionalProperties":{"$ref":"#"},"items":{"$ref":"#"}}`, true},
		{"expressions", `{"anyOf":[{"type":"string"},{"properties":{"and":{"items":{"$ref":"#"}}},"required":["and"]},{"properties":{"or":{"items":{"$ref":"#"}}},"required":["or"]},{"properties":{"not":{"$ref":"#"}},"required":["not"]}]}`, true},
		{"tuple", `{"prefixItems":[{"$ref":"#"},{"$ref":"#"}],"items":{"$ref":"#"},"anyOf":[true]}`, true},
		{"properties do not double", doubling(60, `{"properties":{"a":%s,"b":%s}}`), true},
	}
	for _, tt := range tests {
		_, err := Compile([]byte(tt.schema))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want accepted %v", tt.name, err, tt.ok)
		}
	}
}

// The same cost at each of the 65 levels of an instance adds up:
// 1+n schemas at the root, and 2+n below it, through the reference.
func TestBoundOfLevels(t *testing.T) {
	for n, ok := range map[int]bool{1535: true, 1536: true, 1537: false} {
		branches := strings.TrimSuffix(strings.Repeat(`{},`, n), ",")
		_, err := Compile([]byte(`{"anyOf":[` + branches + `],"properties":{"c":{"$ref":"#"}}}`))
		if (err == nil) != ok {
			t.Errorf("%d branches at each level: %v, want accepted %v", n, err, ok)
		}
	}
}

func TestCompileWorstCase(t *testing.T) {
	var chain strings.Builder
	chain.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range 1990 {
		fmt.Fprintf(&chain, `"d%d":{"$ref":"#/$defs/d%d"},`, i, i+1)
	}
	chain.WriteString(`"d1990":{}}}`)
	var props []string
	for i := range 1900 {
		props = append(props, `"p`+strconv.Itoa(i)+`":{"$ref":"#"}`)
	}
	schemas := map[string]string{
		"chain of references": chain.String(),
		"wide recursion":      `{"anyOf":[true],"properties":{` + strings.Join(props, ",") + `}}`,
	}
	for name, schema := range schemas {
		start := time.Now()
		_, err := Compile([]byte(schema))
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v (%v)", name, d, err)
		}
	}
}

func TestSizesAreNarrowed(t *testing.T) {
	v := mustCompile(t, `{"type":"object","properties":{"a":{"maxLength":18446744073709551616},"b":{"minItems":9223372036854775808},"c":{"maxItems":3.0}}}`)
	if err := v.Validate([]byte(`{"a":"x","c":[1,2,3]}`)); err != nil {
		t.Error(err)
	}
	if err := v.Validate([]byte(`{"b":[1]}`)); err == nil {
		t.Error("one item is enough for minItems 2^63")
	}
	if err := v.Validate([]byte(`{"c":[1,2,3,4]}`)); err == nil {
		t.Error("four items pass maxItems 3.0")
	}
}
