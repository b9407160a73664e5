package schema

import (
	"strings"
	"testing"
)

const (
	echoSchema = `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`
	echoValue  = `{"text":"hello, world"}`

	toolSchema = `{"type":"object","properties":{
		"query":{"type":"string","minLength":1,"maxLength":200},
		"limit":{"type":"integer","minimum":1,"maximum":100,"default":10},
		"mode":{"enum":["fast","exact","fuzzy"]},
		"score":{"type":"number","exclusiveMinimum":0,"multipleOf":0.25},
		"tags":{"type":["array","null"],"items":{"type":"string","pattern":"^[a-z]+$"},"maxItems":10},
		"filter":{"type":"object","properties":{"from":{"type":"string"},"to":{"type":"string"},"deep":{"type":"boolean"}},"additionalProperties":false}},
		"required":["query","mode"],"additionalProperties":false}`
	toolValue = `{"query":"weather in \u00dcbersee","limit":20,"mode":"exact","score":1.25,"tags":["a","bc","def"],"filter":{"from":"2026-01-01","to":"2026-02-01","deep":true}}`
)

func TestAllocs(t *testing.T) {
	tests := []struct{ name, schema, value string }{
		{"echo", echoSchema, echoValue},
		{"tool", toolSchema, toolValue},
		{"escaped name", echoSchema, `{"te\u0078t":"a\nb"}`},
		{"numbers", `{"items":{"type":"integer","minimum":-1e300,"maximum":1e300,"multipleOf":0.5}}`, `[1,1.0,1e200,12345678901234567890,-5e0]`},
		{"recursive", `{"properties":{"next":{"$ref":"#"}}}`, strings.Repeat(`{"next":`, 60) + `1` + strings.Repeat(`}`, 60)},
		{"many names", `{"properties":{"a":true,"b":true,"c":true,"d":true,"e":true,"f":true,"g":true,"h":true,"i":{"type":"null"}}}`, `{"i":null,"\u0061":1,"zz":2}`},
	}
	for _, tt := range tests {
		v := mustCompile(t, tt.schema)
		in := []byte(tt.value)
		if err := v.Validate(in); err != nil || !v.Native() {
			t.Fatalf("%s: %v, native %v", tt.name, err, v.Native())
		}
		if n := testing.AllocsPerRun(100, func() { _ = v.Validate(in) }); n != 0 {
			t.Errorf("%s: Validate allocates %v times, want 0", tt.name, n)
		}
		full := v.ApplyDefaults(in)
		if n := testing.AllocsPerRun(100, func() { full = v.ApplyDefaults(full) }); n != 0 {
			t.Errorf("%s: ApplyDefaults without work allocates %v times, want 0", tt.name, n)
		}
	}
	v, in := mustCompile(t, toolSchema), []byte(`{"query":"x"}`)
	if n := testing.AllocsPerRun(100, func() { _ = v.ApplyDefaults(in) }); n > 2 {
		t.Errorf("ApplyDefaults with one insertion allocates %v times, want 2", n)
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, bm := range []struct{ name, schema, value string }{
		{"echo", echoSchema, echoValue},
		{"tool", toolSchema, toolValue},
		{"text-64KiB", echoSchema, `{"text":"` + strings.Repeat("lorem ipsum ", 5461) + `"}`},
		{"numbers-1000", `{"items":{"type":"number","minimum":0}}`, `[` + strings.TrimSuffix(strings.Repeat("12.25,", 1000), ",") + `]`},
	} {
		doc, err := decode([]byte(bm.schema))
		if err != nil {
			b.Fatal(err)
		}
		root, err := compileForeign(doc)
		if err != nil {
			b.Fatal(err)
		}
		in := []byte(bm.value)
		engines := []struct {
			name     string
			validate func([]byte) error
		}{
			{"native", mustCompile(b, bm.schema).Validate},
			{"santhosh", (&foreign{schema: root, maxValues: maxEvaluations}).validate},
		}
		for _, e := range engines {
			b.Run(bm.name+"/"+e.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(in)))
				for b.Loop() {
					if err := e.validate(in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkValidateInvalid(b *testing.B) {
	v, in := mustCompile(b, echoSchema), []byte(`{"text":1}`)
	b.ReportAllocs()
	for b.Loop() {
		if v.Validate(in) == nil {
			b.Fatal("valid")
		}
	}
}

func BenchmarkApplyDefaults(b *testing.B) {
	v := mustCompile(b, toolSchema)
	for _, bm := range []struct{ name, value string }{{"nothing", toolValue}, {"one", `{"query":"x","mode":"fast"}`}} {
		b.Run(bm.name, func(b *testing.B) {
			in := []byte(bm.value)
			b.ReportAllocs()
			for b.Loop() {
				v.ApplyDefaults(in)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile([]byte(toolSchema)); err != nil {
			b.Fatal(err)
		}
	}
}
