package schema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// generator makes schemas of the native subset and values that come near to
// matching them.
type generator struct {
	r *rand.Rand
}

func (g *generator) pick(options ...string) string { return options[g.r.IntN(len(options))] }

func (g *generator) name() string { return g.pick("a", "b", "c", "text", "x.y", "") }

func (g *generator) number() string {
	return g.pick("0", "-0", "1", "-1", "2", "1.0", "1.5", "10e-1", "2E0", "-2.50", "0.1", "1e3", "1000", "9007199254740993", "9007199254740992.5", "1e400", "1e-400", "123456789012345678901", "3")
}

func (g *generator) text() string {
	return g.pick(`"a"`, `"b"`, `""`, `"\u0061"`, `"äö"`, `"\ud83d\ude00"`, `"\ud83d"`, `"text"`, `"a\n\"b"`, `"日本語テキスト"`, `"aaaa"`)
}

func (g *generator) value(depth int) string {
	n := g.r.IntN(9)
	if depth <= 0 {
		n %= 6
	}
	switch {
	case n < 2:
		return g.text()
	case n < 4:
		return g.number()
	case n < 6:
		return g.pick("null", "true", "false", "[]", "{}", g.number())
	case n < 7:
		var items []string
		for range g.r.IntN(4) {
			items = append(items, g.value(depth-1))
		}
		return "[" + strings.Join(items, g.pick(",", " , ")) + "]"
	}
	var members []string
	seen := map[string]bool{}
	for range g.r.IntN(5) {
		name := g.name()
		if !seen[name] {
			seen[name] = true
			members = append(members, g.key(name)+g.pick(":", " : ")+g.value(depth-1))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// key writes a name, sometimes with an escape.
func (g *generator) key(name string) string {
	if name != "" && g.r.IntN(4) == 0 {
		return fmt.Sprintf(`"\u%04x%s"`, name[0], name[1:])
	}
	return `"` + name + `"`
}

func (g *generator) schema(depth int) string {
	if g.r.IntN(12) == 0 {
		return g.pick("true", "false", "{}", `{"$ref":"#/$defs/s"}`, `{"$ref":"#/$defs/o","title":"t"}`)
	}
	var kw []string
	add := func(odds int, format string, args ...any) {
		if g.r.IntN(odds) == 0 {
			kw = append(kw, fmt.Sprintf(format, args...))
		}
	}
	add(2, `"type":%s`, g.pick(`"object"`, `"array"`, `"string"`, `"number"`, `"integer"`, `"boolean"`, `"null"`, `["string","null"]`, `["null","array"]`, `["integer","object"]`, `["object","array","number"]`))
	add(6, `"minimum":%s`, g.number())
	add(6, `"maximum":%s`, g.number())
	add(9, `"exclusiveMinimum":%s`, g.number())
	add(9, `"exclusiveMaximum":%s`, g.number())
	add(9, `"multipleOf":%s`, g.pick("1", "2", "0.5", "0.01", "3", "1e3", "2.50"))
	add(7, `"minLength":%d`, g.r.IntN(4))
	add(7, `"maxLength":%d`, g.r.IntN(6))
	add(9, `"pattern":%s`, g.pick(`"^a"`, `"b$"`, `"^.$"`, `"[a-c]+"`, `"\\n"`, `"ä"`))
	add(7, `"minItems":%d`, g.r.IntN(3))
	add(7, `"maxItems":%d`, g.r.IntN(4))
	add(9, `"minProperties":%d`, g.r.IntN(3))
	add(9, `"maxProperties":%d`, g.r.IntN(4))
	add(9, `"enum":[%s,%s,%s]`, g.text(), g.number(), g.pick("null", "true", "false", g.text()))
	add(12, `"const":%s`, g.pick(g.text(), g.number(), "null", "true"))
	add(5, `"required":["%s"]`, g.name())
	add(9, `"description":"d","format":"email","x-y":{"type":3}`)
	if depth > 0 {
		add(2, `"properties":{"a":%s,"text":%s,"":%s}`, g.schema(depth-1), g.schema(depth-1), g.schema(depth-1))
		add(3, `"additionalProperties":%s`, g.pick("false", "true", g.schema(depth-1)))
		add(3, `"items":%s`, g.schema(depth-1))
		add(6, `"prefixItems":[%s,%s]`, g.schema(depth-1), g.schema(depth-1))
	}
	return "{" + strings.Join(kw, ",") + "}"
}

func (g *generator) root() string {
	body := strings.TrimSuffix(strings.TrimPrefix(g.schema(3), "{"), "}")
	if body == "true" || body == "false" {
		return body
	}
	defs := `"$defs":{"s":{"type":["string","integer"]},"o":{"properties":{"a":{"$ref":"#/$defs/o"},"b":` + g.schema(1) + `}}}`
	if body == "" {
		return "{" + defs + "}"
	}
	return "{" + defs + "," + body + "}"
}

// compileOracle compiles for the foreign engine only.
func compileOracle(t *testing.T, schema string) *foreign {
	t.Helper()
	doc, err := decode([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkDocument(doc); err != nil {
		t.Fatal(err)
	}
	root, err := compileForeign(doc)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGraph(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.harden(); err != nil {
		t.Fatal(err)
	}
	return &foreign{schema: root, maxValues: maxEvaluations}
}

func agree(t *testing.T, v *Validator, oracle *foreign, schema, value string) (valid bool) {
	t.Helper()
	got, want := v.Validate([]byte(value)), oracle.validate([]byte(value))
	if (got == nil) != (want == nil) {
		t.Errorf("schema %s\nvalue %s\nnative: %v\nsanthosh: %v", schema, value, got, want)
	}
	return got == nil
}

// FuzzNative holds the native engine against the foreign one.
func FuzzNative(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		schema := g.root()
		v, err := Compile([]byte(schema))
		if err != nil || !v.Native() {
			t.Fatalf("%s: native %v, %v", schema, err == nil, err)
		}
		oracle := compileOracle(t, schema)
		for range 20 {
			agree(t, v, oracle, schema, g.value(3))
		}
	})
}

// TestNativeAgainstOracle also sees to it that the generated cases are worth
// something: both verdicts have to occur often.
func TestNativeAgainstOracle(t *testing.T) {
	counts := map[bool]int{}
	for seed := range uint64(400) {
		g := generator{rand.New(rand.NewPCG(seed, 2))}
		schema := g.root()
		v := mustCompile(t, schema)
		if !v.Native() {
			t.Fatalf("not native: %s", schema)
		}
		oracle := compileOracle(t, schema)
		for range 20 {
			counts[agree(t, v, oracle, schema, g.value(3))]++
		}
	}
	if counts[true] < 800 || counts[false] < 800 {
		t.Errorf("verdicts are one-sided: %v", counts)
	}
}

// FuzzValidate feeds arbitrary bytes: nothing panics, malformed JSON is never
// valid, and the engines agree on what both can read.
func FuzzValidate(f *testing.F) {
	schemas := []string{
		`{"type":"object","properties":{"text":{"type":"string","minLength":1,"pattern":"^a"},"n":{"type":"integer","minimum":-5,"multipleOf":0.5}},"required":["text"],"additionalProperties":{"type":["array","null"],"items":{"enum":["a",1.0,true]}}}`,
		`{"properties":{"next":{"$ref":"#"},"v":{"maxLength":3}},"maxProperties":3}`,
		`{}`,
	}
	for _, s := range []string{`{"text":"a","n":1.5}`, `{"te\u0078t":"\ud83d","x":["\u0061",10e-1]}`, `{"next":{"next":{"v":"日本語"}}}`, `[[[]]]`, `{"a":1,"a":2}`, `1e9999999999`, "{\"\xff\":1}", `"\ud800\u0041"`} {
		f.Add([]byte(s))
	}
	validators := make([]*Validator, len(schemas))
	for i, s := range schemas {
		validators[i] = mustCompile(f, s)
	}
	defaults := mustCompile(f, `{"properties":{"a":{"default":1},"o":{"properties":{"b":{"default":{}}}}}}`)
	f.Fuzz(func(t *testing.T, in []byte) {
		for i, v := range validators {
			err := v.Validate(in)
			if err == nil && !json.Valid(in) && !hasBareControl(in) {
				t.Errorf("%q is not JSON and valid", in)
			}
			if comparable(in) {
				agree(t, v, compileOracle(t, schemas[i]), schemas[i], string(in))
			}
		}
		out := defaults.ApplyDefaults(in)
		if json.Valid(in) && !json.Valid(out) {
			t.Errorf("ApplyDefaults(%q) = %q", in, out)
		}
	})
}

// comparable reports whether both engines read in the same way: no duplicate
// names (the decoder keeps the last), valid UTF-8 (it replaces), and numbers
// that the foreign engine takes at no extra cost.
func comparable(in []byte) bool {
	var v any
	if json.Unmarshal(in, &v) != nil || strings.ContainsRune(string(in), '\ufffd') || !json.Valid(in) {
		return false
	}
	s := scanner{b: in, maxDepth: maxInstanceDepth, bounded: true}
	return s.document() && s.cost == countValues(v) && strings.ToValidUTF8(string(in), "") == string(in)
}

func countValues(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n += countValues(item)
		}
	case map[string]any:
		for _, item := range v {
			n += countValues(item)
		}
	}
	return n
}

// hasBareControl reports what the envelope rejects and the scanner does not
// look for.
func hasBareControl(in []byte) bool {
	return strings.ContainsFunc(string(in), func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }) ||
		strings.ContainsAny(string(in), "\n\r\t")
}

// FuzzCompile feeds arbitrary schemas: nothing panics or hangs, and what
// compiles validates.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`{"$ref":"#"}`, `{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"type":"object"}}}`, `{"type":"object","properties":{"a":{"default":1,"x-mcp-header":"A","type":"integer"}}}`,
		`{"$id":"http://x/","$defs":{"a":{"$id":"y","$anchor":"z"}},"$ref":"y#z"}`, `{"$dynamicRef":"#a","$dynamicAnchor":"a"}`, `{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"]},"items":[true]}`,
		`{"pattern":"(a{9}){9}","patternProperties":{"^x":false}}`, `{"multipleOf":1e-999,"minimum":-1.5E3}`, `{"if":{},"then":{"unevaluatedProperties":false}}`, `{"$vocabulary":{"x":true},"$recursiveRef":"#"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = Headers(raw)
		_, _ = LintTool("a", raw, raw)
		v, err := Compile(raw)
		if err != nil {
			return
		}
		for _, in := range []string{`{"a":{"b":[1,"x",null]}}`, `[1,2]`, `"a"`, `1.5`} {
			_ = v.Validate([]byte(in))
			if out := v.ApplyDefaults([]byte(in)); !json.Valid(out) {
				t.Errorf("%s: ApplyDefaults(%s) = %s", raw, in, out)
			}
		}
	})
}

// TestInferenceIsNative covers what jsonschema-go can emit for Go types.
func TestInferenceIsNative(t *testing.T) {
	type inner struct {
		Tags   []string       `json:"tags,omitempty"`
		Scores map[string]int `json:"scores"`
		Raw    any            `json:"raw,omitempty"`
	}
	type args struct {
		Text  string    `json:"text" jsonschema:"what to say"`
		Count *int      `json:"count,omitempty"`
		Ratio float64   `json:"ratio,omitzero"`
		Pair  [2]uint8  `json:"pair"`
		Inner *inner    `json:"inner"`
		List  []inner   `json:"list"`
		Raw   []float32 `json:"raw"`
	}
	s, err := For[args]()
	if err != nil {
		t.Fatal(err)
	}
	s.Properties["text"].Default = json.RawMessage(`"hi"`)
	s.Properties["count"].Enum = []any{1, 2, nil}
	s.Properties["ratio"].Minimum = jsonschema.Ptr(0.5)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	v := mustCompile(t, string(raw))
	if !v.Native() {
		t.Fatalf("%s is not native", raw)
	}
	good := `{"text":"a","count":null,"ratio":0.5,"pair":[0,255],"inner":null,"list":[{"tags":null,"scores":{"a":1},"raw":{}}],"raw":[]}`
	if err := v.Validate([]byte(good)); err != nil {
		t.Error(err)
	}
	for from, want := range map[string]string{
		`"pair":[0,256]`: `pair[1]: must be at most 255`, `"pair":[0]`: `pair: must have at least 2 items, got 1`, `"count":3`: `count: must be one of [1,2,null]`,
		`"inner":{"scores":{"x":1.5}}`: `inner.scores.x: must be integer, got number`, `"ratio":0.25`: `ratio: must be at least 0.5`,
	} {
		key := from[:strings.IndexByte(from, ':')]
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(good), &m); err != nil {
			t.Fatal(err)
		}
		m[strings.Trim(key, `"`)] = json.RawMessage(from[len(key)+1:])
		in, _ := json.Marshal(m)
		if err := v.Validate(in); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}
