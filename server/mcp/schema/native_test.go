package schema

import (
	"fmt"
	"strings"
	"testing"
)

func TestNative(t *testing.T) {
	runSuite(t, []suiteCase{
		{"required string", `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`, true,
			[]string{`{"text":"a"}`, ` { "text" : "" } `, `{"te\u0078t":"a\n\ud83d\ude00"}`},
			map[string]string{
				`{}`:                   `missing required property "text"`,
				`{"text":1}`:           `text: must be string, got number`,
				`{"text":"a","foo":1}`: `unknown property "foo", allowed: "text"`,
				`[]`:                   `must be object, got array`,
				`"x"`:                  `must be object, got string`,
				`null`:                 `must be object, got null`,
				`{"text":null}`:        `text: must be string, got null`,
				`{"text":true}`:        `text: must be string, got boolean`,
				`{"a":1,"b":2}`:        `unknown property "a", allowed: "text"; unknown property "b", allowed: "text"; missing required property "text"`,
			}},
		{"nothing allowed", `{"type":"object","additionalProperties":false}`, true,
			[]string{`{}`}, map[string]string{`{"a":1}`: `unknown property "a", no properties are allowed here`}},
		{"type list", `{"type":["string","null"]}`, true,
			[]string{`"a"`, `null`}, map[string]string{`1`: `must be null or string, got number`}},
		{"booleans", `{"properties":{"no":false,"yes":true}}`, true,
			[]string{`{"yes":[1]}`, `5`}, map[string]string{`{"no":1}`: `unknown property "no", allowed: "no", "yes"`}},
		{"integer", `{"type":"integer"}`, true,
			[]string{`1`, `-0`, `1.0`, `1e2`, `1.5e1`, `10e-1`, `0e999999999999999999999`, `0.0e-5`, `1e1000000`, `123456789012345678901234567890`},
			map[string]string{`1.5`: `must be integer, got number`, `1e-1`: ``, `10e-2`: ``, `1e-1000000`: ``, `1.00000000000000000000001`: ``}},
		{"number", `{"type":"number"}`, true, []string{`1`, `1.5`, `-1e400`}, map[string]string{`"1"`: `must be number, got string`}},
		{"limits", `{"minimum":-1,"maximum":10.5}`, true,
			[]string{`-1`, `10.5`, `10.50`, `105e-1`, `0`, `-0.0`, `-1.000`, `1e-1000000`, `"x"`},
			map[string]string{`-2`: `must be at least -1`, `10.500000000000000000001`: `must be at most 10.5`, `-1.01`: ``, `1e1000000`: ``, `-1e1000000`: ``, `11`: ``}},
		{"exclusive", `{"exclusiveMinimum":0,"exclusiveMaximum":9007199254740993}`, true,
			[]string{`9007199254740992`, `1e-400`, `9007199254740992.99`},
			map[string]string{`0`: `must be greater than 0`, `0e5`: ``, `-0`: ``, `9007199254740993`: `must be less than 9007199254740993`, `9007199254740993.0`: ``}},
		{"multipleOf", `{"multipleOf":0.01}`, true,
			[]string{`0`, `0.00`, `1.1`, `19.99`, `1e1000000`, `100000000000000000000000000.25`},
			map[string]string{`0.001`: `must be a multiple of 0.01`, `19.999`: ``, `1e-1000000`: ``}},
		{"multipleOf integer", `{"multipleOf":3}`, true,
			[]string{`9`, `-9`, `3e50`, `111111111111111111111`, `9.0`}, map[string]string{`10`: ``, `1e50`: ``, `4.5`: ``, `111111111111111111112`: ``}},
		{"length", `{"minLength":2,"maxLength":3}`, true,
			[]string{`"äö"`, `"日本語"`, `"\ud83d\ude00a"`, `"\n\n\n"`, `7`},
			map[string]string{`"ä"`: `must have at least 2 characters, got 1`, `"\ud83d\ude00"`: ``, `"abcd"`: `must have at most 3 characters, got 4`, `"\ud800\ud800\ud800\ud800"`: ``, `"ab\u0063d"`: ``}},
		{"pattern", `{"pattern":"^a.c$"}`, true,
			[]string{`"abc"`, `"a\u0062c"`, `"aäc"`, `1`}, map[string]string{`"abcd"`: `must match the pattern "^a.c$"`, `"a\nc"`: ``}},
		{"enum", `{"enum":["a","b",1.0,null,true]}`, true,
			[]string{`"a"`, `"\u0062"`, `1`, `10e-1`, `null`, `true`},
			map[string]string{`"c"`: `must be one of ["a","b",1.0,null,true]`, `2`: ``, `false`: ``, `[]`: ``, `{}`: ``, `{"a":[1]}`: ``}},
		{"const", `{"const":false}`, true, []string{`false`}, map[string]string{`true`: `must be false`, `null`: ``, `0`: ``}},
		{"enum and const", `{"enum":["a","b"],"const":"a"}`, true, []string{`"a"`}, map[string]string{`"b"`: `must be "a"`, `"c"`: `must be one of ["a","b"]; must be "a"`}},
		{"items", `{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}},"minItems":1,"maxItems":2}`, true,
			[]string{`[{}]`, `[{"name":"a"},{}]`},
			map[string]string{`[]`: `must have at least 1 item, got 0`, `[{},{"name":1}]`: `[1].name: must be string, got number`, `[{},{},{}]`: `must have at most 2 items, got 3`, `[1]`: `[0]: must be object, got number`}},
		{"prefixItems", `{"prefixItems":[{"type":"string"},true],"items":false}`, true,
			[]string{`[]`, `["a"]`, `["a",{}]`}, map[string]string{`[1]`: `[0]: must be string, got number`, `["a",1,2]`: `[2]: must not be present`}},
		{"draft-07 tuple", `{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}],"additionalItems":{"type":"null"}}`, true,
			[]string{`["a",null]`}, map[string]string{`[null]`: ``, `["a",1]`: ``}},
		{"draft-07 format", `{"$schema":"http://json-schema.org/draft-07/schema#","format":"email"}`, true, []string{`"x"`}, nil},
		{"properties count", `{"minProperties":1,"maxProperties":2}`, true,
			[]string{`{"a":1}`}, map[string]string{`{}`: `must have at least 1 property, got 0`, `{"a":1,"b":1,"c":1}`: `must have at most 2 properties, got 3`}},
		{"additional schema", `{"properties":{"a":true},"additionalProperties":{"type":"integer"}}`, true,
			[]string{`{"a":"x","b":1}`}, map[string]string{`{"b":"x"}`: `b: must be integer, got string`}},
		{"required without property", `{"required":["x"],"additionalProperties":{"type":"integer"}}`, true,
			[]string{`{"x":1}`}, map[string]string{`{"x":"a"}`: `x: must be integer, got string`, `{"y":1}`: `missing required property "x"`}},
		{"local ref", `{"$defs":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/s","description":"d"},"b":{"$ref":"#/$defs/s"}}}`, true,
			[]string{`{"a":"x","b":"y"}`}, map[string]string{`{"a":1,"b":2}`: `a: must be string, got number; b: must be string, got number`}},
		{"recursive ref", `{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"integer"}}}`, true,
			[]string{`{"next":{"next":{"v":1}}}`}, map[string]string{`{"next":{"next":{"v":"x"}}}`: `next.next.v: must be integer, got string`}},
		{"annotations", `{"title":"t","description":"d","default":1,"examples":[1],"format":"email","$comment":"c","x-foo":{"type":1},"deprecated":true,"readOnly":true,"writeOnly":true,"type":"string"}`, true,
			[]string{`"no mail"`}, map[string]string{`1`: ``}},
		{"empty", `{}`, true, []string{`1`, `{"a":[{}]}`}, nil},
		{"false", `false`, true, nil, map[string]string{`1`: `must not be present`, `{"a":1}`: ``}},
		{"odd names", `{"properties":{"a.b":{"type":"string"},"":{"type":"string"},"x y":{"items":{"type":"string"}}}}`, true,
			nil, map[string]string{`{"a.b":1}`: `["a.b"]: must be string, got number`, `{"":1}`: `[""]: must be string, got number`, `{"x y":["a",1]}`: `["x y"][1]: must be string, got number`}},
	})
}

func TestNativeManyNames(t *testing.T) {
	var props, req []string
	for i := range 300 {
		props = append(props, fmt.Sprintf(`"p%d":{"type":"integer"}`, i))
		if i < maxRequired {
			req = append(req, fmt.Sprintf(`"p%d"`, i))
		}
	}
	schema := func(req []string) string {
		return `{"type":"object","properties":{` + strings.Join(props, ",") + `},"required":[` + strings.Join(req, ",") + `]}`
	}
	v := mustCompile(t, schema(req))
	if !v.Native() {
		t.Fatalf("%d required properties: not native", maxRequired)
	}
	members := make([]string, 0, 300)
	for i := range 300 {
		members = append(members, fmt.Sprintf(`"p%d":%d`, i, i))
	}
	if err := v.Validate([]byte("{" + strings.Join(members, ",") + "}")); err != nil {
		t.Errorf("all present: %v", err)
	}
	want := `missing required property "p255"`
	if err := v.Validate([]byte("{" + strings.Join(append(members[:255:255], members[256:]...), ",") + "}")); err == nil || err.Error() != want {
		t.Errorf("p255 absent: %v, want %s", err, want)
	}
	if v := mustCompile(t, schema(append(req, `"p299"`))); v.Native() {
		t.Errorf("%d required properties: native", maxRequired+1)
	}
}

func TestNativeLimitsErrors(t *testing.T) {
	v := mustCompile(t, `{"items":{"type":"string"}}`)
	err := v.Validate([]byte(`[1,2,3,4,5,6,7]`))
	if err == nil || strings.Count(err.Error(), "must be string") != maxViolations {
		t.Errorf("seven violations give %q, want %d of them", err, maxViolations)
	}
	long := strings.Repeat("x", 1000)
	err = mustCompile(t, `{"additionalProperties":false}`).Validate([]byte(`{"` + long + `":1}`))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("a name of 1,000 bytes is repeated in full: %q", err)
	}
}

func TestMalformed(t *testing.T) {
	schemas := []string{
		`{}`, `{"type":"object","properties":{"a":{"type":"array","items":{"type":"number","minimum":1}}},"required":["a"]}`,
		`{"anyOf":[{"type":"object"}]}`,
	}
	inputs := []string{
		``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `[1,]`, `[1 2]`, `[`, `"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`,
		`tru`, `nul`, `falsee`, `01`, `1.`, `.5`, `-`, `1e`, `1e+`, `+1`, `{} {}`, `{"a":[1}`, `{"a":[1]]`, "\x00", `{"a":[1,`, `{"a":["\`, `{"a":[x]}`, `{"a" 1}`,
		`{1:2}`, `{"a":[1] "b"}`, `{"a\`,
	}
	for _, schema := range schemas {
		v := mustCompile(t, schema)
		for _, in := range inputs {
			if err := v.Validate([]byte(in)); err == nil {
				t.Errorf("%s: Validate(%q) = valid", schema, in)
			}
			if got := v.ApplyDefaults([]byte(in)); string(got) != in {
				t.Errorf("%s: ApplyDefaults(%q) = %q", schema, in, got)
			}
		}
	}
}

func TestMalformedPrefixes(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{"type":"array","items":{"type":"string","minLength":1}},"b":{"enum":[1,true]}},"required":["a"]}`
	const doc = ` { "a" : [ "x\u00e9\"" , "y" ] , "b" : 1.0e0 , "c" : { "d" : [ null , false ] } } `
	v := mustCompile(t, schema)
	if err := v.Validate([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	for i := range len(strings.TrimRight(doc, " ")) {
		if err := v.Validate([]byte(doc[:i])); err == nil {
			t.Errorf("the first %d bytes are valid", i)
		}
	}
}

func TestInstanceDepth(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
	}
	for _, schema := range []string{`{}`, `{"items":{"$ref":"#"}}`, `{"anyOf":[true]}`} {
		v := mustCompile(t, schema)
		for depth, ok := range map[int]bool{maxInstanceDepth - 1: true, maxInstanceDepth: true, maxInstanceDepth + 1: false, 1_000_000: false} {
			if err := v.Validate(nested(depth)); (err == nil) != ok {
				t.Errorf("%s: depth %d: %v, want valid %v", schema, depth, err, ok)
			}
		}
	}
}
