package schema

import (
	"strings"
	"testing"
	"time"
)

func TestForeign(t *testing.T) {
	runSuite(t, []suiteCase{
		{"anyOf types", `{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}}}`, false,
			[]string{`{"a":"x"}`, `{"a":null}`}, map[string]string{`{"a":1}`: `a: must be null or string, got number`}},
		{"anyOf forms", `{"anyOf":[{"type":"object","required":["phone"]},{"type":"object","required":["email"]}]}`, false,
			[]string{`{"phone":1}`}, map[string]string{`{}`: `matches none of the allowed forms (missing required property "phone" | missing required property "email")`}},
		{"anyOf refs", `{"$defs":{"s":{"type":"string"},"n":{"type":"integer"}},"anyOf":[{"$ref":"#/$defs/s"},{"$ref":"#/$defs/n"}]}`, false,
			[]string{`1`, `"a"`}, map[string]string{`true`: `must be integer or string, got boolean`}},
		{"oneOf", `{"oneOf":[{"minimum":1},{"maximum":5}]}`, false,
			[]string{`0`, `6`}, map[string]string{`3`: `matches more than one of the allowed forms (1 and 2)`}},
		{"oneOf none", `{"oneOf":[{"const":1},{"properties":{"a":{"const":[1]}},"type":"object"}]}`, false,
			[]string{`1`}, map[string]string{`{"a":2}`: `matches none of the allowed forms (must be 1 | a: must be [1])`}},
		{"allOf", `{"allOf":[{"required":["a"]},{"properties":{"a":{"type":"integer"}}}]}`, false,
			[]string{`{"a":1}`}, map[string]string{`{"a":"x"}`: `a: must be integer, got string`, `{}`: `missing required property "a"`}},
		{"not", `{"not":{"type":"string"}}`, false, []string{`1`}, map[string]string{`"a"`: `matches a form that is excluded`}},
		{"if then else", `{"if":{"properties":{"k":{"const":"p"}}},"then":{"required":["p"]},"else":{"required":["e"]}}`, false,
			[]string{`{"k":"p","p":1}`, `{"k":"e","e":1}`}, map[string]string{`{"k":"p"}`: `missing required property "p"`, `{"k":"x"}`: `missing required property "e"`}},
		{"uniqueItems", `{"uniqueItems":true}`, false,
			[]string{`[1,2]`, `[1,"1"]`, `[{"a":1,"b":2},{"a":1,"b":3}]`, `["ab"]`, `[["a","b"],["ab"]]`, `[0,false,null,"",[],{}]`, `"x"`, `[1]`},
			map[string]string{`[1,2,1.0]`: `items must be unique, 0 and 2 are equal`, `[{"a":1,"b":[true]},{"b":[true],"a":10e-1}]`: ``, `["a","\u0061"]`: ``, `[0,-0.0]`: ``}},
		{"patternProperties", `{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}`, false,
			[]string{`{"x-a":"1"}`}, map[string]string{`{"x-a":1}`: `x-a: must be string, got number`, `{"y":1}`: `unknown property "y"`}},
		{"propertyNames", `{"propertyNames":{"maxLength":2}}`, false, []string{`{"ab":1}`}, map[string]string{`{"abc":1}`: `property name "abc" is not allowed`}},
		{"dependentRequired", `{"dependentRequired":{"a":["b"]}}`, false, []string{`{"a":1,"b":1}`}, map[string]string{`{"a":1}`: `missing required property "b", needed beside "a"`}},
		{"dependentSchemas", `{"dependentSchemas":{"a":{"required":["b"]}}}`, false, []string{`{}`}, map[string]string{`{"a":1}`: `missing required property "b"`}},
		{"draft-07 dependencies", `{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"],"c":{"required":["d"]}}}`, false,
			[]string{`{}`}, map[string]string{`{"a":1}`: `missing required property "b", needed beside "a"`, `{"c":1}`: `missing required property "d"`}},
		{"draft-07 format stays an annotation", `{"$schema":"http://json-schema.org/draft-07/schema","format":"email","anyOf":[{"format":"regex"}]}`, false, []string{`"("`}, nil},
		{"contains", `{"contains":{"const":1},"minContains":2,"maxContains":3}`, false, []string{`[1,1]`},
			map[string]string{`[1]`: `must have at least 2 items of the required form, got 1`, `[1,1,1,1]`: `must have at most 3 items of the required form, got 4`}},
		{"contains none", `{"contains":{"const":1}}`, false, []string{`[1]`}, map[string]string{`[]`: `no item has the required form`}},
		{"unevaluated", `{"allOf":[{"properties":{"a":true}}],"unevaluatedProperties":false}`, false,
			[]string{`{"a":1}`}, map[string]string{`{"a":1,"b":2}`: `unknown property "b"`}},
		{"unevaluatedItems", `{"prefixItems":[true],"unevaluatedItems":false}`, false, []string{`[1]`}, map[string]string{`[1,2]`: `[1]: must not be present`}},
		{"limits", `{"allOf":[{"minimum":1,"maximum":2,"exclusiveMinimum":0.5,"exclusiveMaximum":2.5,"multipleOf":0.5,"minLength":2,"maxLength":3,"pattern":"a","minItems":1,"maxItems":2,"minProperties":1,"maxProperties":2}]}`, false,
			[]string{`1.5`, `"aa"`, `[1]`, `{"a":1}`},
			map[string]string{
				`0`:                   `must be at least 1; must be greater than 0.5`,
				`3`:                   `must be at most 2; must be less than 2.5`,
				`1.7`:                 `must be a multiple of 0.5`,
				`"a"`:                 `must have at least 2 characters, got 1`,
				`"aaaa"`:              `must have at most 3 characters, got 4`,
				`"bb"`:                `must match the pattern "a"`,
				`[]`:                  `must have at least 1 item, got 0`,
				`[1,2,3]`:             `must have at most 2 items, got 3`,
				`{}`:                  `must have at least 1 property, got 0`,
				`{"a":1,"b":1,"c":1}`: `must have at most 2 properties, got 3`,
			}},
		{"enum of objects", `{"enum":[{"a":1},[2]]}`, false, []string{`{"a":1.0}`, `[2]`}, map[string]string{`1`: `must be one of [{"a":1},[2]]`}},
		{"multipleOf with many digits", `{"multipleOf":1.0000000000000000001}`, false, []string{`0`}, map[string]string{`1`: ``}},
		{"ref with siblings", `{"$defs":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/s","minLength":2}}}`, false,
			[]string{`{"a":"xx"}`}, map[string]string{`{"a":"x"}`: ``}},
		{"anchor", `{"$defs":{"s":{"$anchor":"here","type":"string"}},"allOf":[{"$ref":"#here"}]}`, false, []string{`"a"`}, map[string]string{`1`: ``}},
		{"nested id", `{"$id":"https://example.com/root","$defs":{"s":{"$id":"sub","type":"string"}},"allOf":[{"$ref":"sub"}]}`, false, []string{`"a"`}, map[string]string{`1`: ``}},
		{"dynamicRef", `{"$dynamicAnchor":"n","type":"object","properties":{"c":{"$dynamicRef":"#n"}}}`, false, []string{`{"c":{"c":{}}}`}, map[string]string{`{"c":{"c":1}}`: ``}},
		{"recursiveRef", `{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"type":"object","properties":{"c":{"$recursiveRef":"#"}}}`, false, []string{`{"c":{}}`}, map[string]string{`{"c":{"c":1}}`: ``}},
		{"draft-07 additionalItems", `{"$schema":"http://json-schema.org/draft-07/schema#","allOf":[{"items":[true],"additionalItems":false}]}`, false, []string{`[1]`}, map[string]string{`[1,2,3]`: `has 2 items too many`}},
		{"ref outside of keywords", `{"components":{"schemas":{"A":{"type":"string","uniqueItems":true}}},"allOf":[{"$ref":"#/components/schemas/A"}]}`, false, []string{`"a"`}, map[string]string{`1`: ``}},
		{"false", `{"anyOf":[{"properties":{"a":false},"required":["a"]},{"type":"null"}]}`, false, []string{`null`}, map[string]string{`{"a":1}`: `matches none of the allowed forms (a: must not be present | must be null, got object)`}},
		{"big exponents are refused", `{"anyOf":[{"type":"integer"}]}`, false, []string{`1e400`, `1e1000`},
			map[string]string{`1e1001`: `a number is longer than 1000 characters or its exponent is beyond 1000`, `1e-999999999`: ``, `1e1000000000000000000000`: ``}},
	})
}

func TestForeignNumberBytes(t *testing.T) {
	v := mustCompile(t, `{"anyOf":[{"type":"integer"}]}`)
	for n, ok := range map[int]bool{maxNumberBytes - 1: true, maxNumberBytes: true, maxNumberBytes + 1: false} {
		if err := v.Validate([]byte(strings.Repeat("1", n))); (err == nil) != ok {
			t.Errorf("%d digits: %v, want valid %v", n, err, ok)
		}
	}
}

func TestForeignWorkIsBounded(t *testing.T) {
	v := mustCompile(t, `{"items":{"anyOf":[{"type":"string"},{"type":"object","properties":{"a":true}}]}}`)
	limit := v.foreign.maxValues
	if want := maxEvaluations / 3; limit != want {
		t.Errorf("an item is checked by 3 schemas: maxValues = %d, want %d", limit, want)
	}
	list := func(values int) []byte {
		return []byte("[" + strings.TrimSuffix(strings.Repeat(`"",`, values-1), ",") + "]")
	}
	for n, ok := range map[int]bool{limit - 1: true, limit: true, limit + 1: false} {
		if err := v.Validate(list(n)); (err == nil) != ok {
			t.Errorf("%d values: %v, want valid %v", n, err, ok)
		}
	}
	bad := []byte(strings.ReplaceAll(string(list(limit)), `""`, `1`))
	start := time.Now()
	err := v.Validate(bad)
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("%d violations: an error of %d bytes", limit, len(err.Error()))
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("%d violations took %v", limit, d)
	}
}

// The engine's own check hashes these items alike and compares them in pairs.
func TestUniqueItemsDoesNotCollide(t *testing.T) {
	var sb strings.Builder
	const parts = 14
	for i := range 1 << parts {
		sb.WriteString(`,["a`)
		for bit := range parts {
			if i>>bit&1 == 0 {
				sb.WriteString(`\u0004a`)
			} else {
				sb.WriteString(`","a`)
			}
		}
		sb.WriteString(`"]`)
	}
	v := mustCompile(t, `{"uniqueItems":true}`)
	in := []byte("[" + sb.String()[1:] + "]")
	start := time.Now()
	if err := v.Validate(in); err != nil {
		t.Errorf("distinct items: %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("%d bytes took %v", len(in), d)
	}
}

func TestLongNumbersCostMore(t *testing.T) {
	tests := []struct {
		lit  string
		cost int
		ok   bool
	}{
		{"1", 0, true}, {"-1.5e-10", 0, true}, {"1e200", 1, true}, {"1e-1000", 5, true}, {"1E1001", 5, false},
		{strings.Repeat("1", 250), 2, true}, {strings.Repeat("1", 1001), 0, false},
	}
	for _, tt := range tests {
		if cost, ok := numberCost([]byte(tt.lit)); cost != tt.cost || ok != tt.ok {
			t.Errorf("numberCost(%.10s) = %d, %v, want %d, %v", tt.lit, cost, ok, tt.cost, tt.ok)
		}
	}
	v := mustCompile(t, `{"items":{"anyOf":[{"type":"integer"}]}}`)
	n := v.foreign.maxValues / 6
	list := func(n int) []byte {
		return []byte("[" + strings.TrimSuffix(strings.Repeat("1e1000,", n), ",") + "]")
	}
	if err := v.Validate(list(n - 1)); err != nil {
		t.Errorf("%d costly numbers: %v", n-1, err)
	}
	if err := v.Validate(list(n + 1)); err == nil {
		t.Errorf("%d costly numbers are checked", n+1)
	}
}
