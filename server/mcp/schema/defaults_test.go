package schema

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// In defaultsCases agrees says whether jsonschema-go, which go-sdk uses, does
// the same.
var defaultsCases = []struct {
	name, schema, in, want string
	agrees                 bool
}{
	{"absent", `{"properties":{"a":{"default":1},"b":{"default":"<x>"}}}`, `{}`, `{"a":1,"b":"<x>"}`, true},
	{"some present", `{"properties":{"a":{"default":1},"b":{"default":2}}}`, `{ "b" : 3 }`, `{ "b" : 3 ,"a":1}`, true},
	{"present as null", `{"properties":{"a":{"default":1}}}`, `{"a":null}`, `{"a":null}`, true},
	{"all present", `{"properties":{"a":{"default":1}}}`, `{"a":2}`, `{"a":2}`, true},
	{"escaped name", `{"properties":{"a":{"default":1}}}`, `{"\u0061":2}`, `{"\u0061":2}`, true},
	{"nested", `{"properties":{"o":{"type":"object","properties":{"a":{"default":[1,2]}}},"z":{"default":0}}}`, `{"o":{"b":1}}`, `{"o":{"b":1,"a":[1,2]},"z":0}`, true},
	{"nested of another type", `{"properties":{"o":{"properties":{"a":{"default":1}}}}}`, `{"o":[{}]}`, `{"o":[{}]}`, true},
	{"absent object is created", `{"properties":{"o":{"properties":{"p":{"properties":{"a":{"default":1}}}}}}}`, `{}`, `{"o":{"p":{"a":1}}}`, true},
	{"default completed by its properties", `{"properties":{"o":{"default":{"b":2},"properties":{"a":{"default":1}}}}}`, `{}`, `{"o":{"b":2,"a":1}}`, true},
	{"required has none", `{"properties":{"a":{"default":1}},"required":["a"]}`, `{}`, `{}`, true},
	{"exact number", `{"properties":{"a":{"default":12345678901234567890.10}}}`, `{}`, `{"a":12345678901234567890.10}`, true},
	{"root default", `{"default":{"a":1},"properties":{"b":{"default":2}}}`, `{}`, `{"b":2}`, true},
	{"items", `{"properties":{"l":{"items":{"properties":{"a":{"default":1}}}}}}`, `{"l":[{}]}`, `{"l":[{}]}`, true},
	{"$ref", `{"$defs":{"o":{"properties":{"a":{"default":1}}}},"properties":{"o":{"$ref":"#/$defs/o"}}}`, `{"o":{}}`, `{"o":{}}`, true},
	{"not an object", `{"properties":{"a":{"default":1}}}`, ` [1] `, ` [1] `, true},
	{"null default", `{"properties":{"a":{"default":null}}}`, `{}`, `{"a":null}`, true},
	{"foreign engine", `{"anyOf":[true],"properties":{"a":{"default":1}}}`, `{}`, `{"a":1}`, true},
	{"object with a required member is not created", `{"properties":{"o":{"properties":{"a":{"default":1},"b":true},"required":["b"]}}}`, `{}`, `{}`, false},
	{"object under a required property", `{"properties":{"o":{"properties":{"a":{"default":1}}}},"required":["o"]}`, `{"o":{}}`, `{"o":{"a":1}}`, false},
	{"default of the wrong type", `{"properties":{"a":{"type":"string","default":null},"b":{"default":1}}}`, `{}`, `{"b":1}`, false},
	{"no defaults", `{"properties":{"a":{"type":"string"}}}`, `{}`, `{}`, true},
}

func TestApplyDefaults(t *testing.T) {
	for _, tt := range defaultsCases {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			got := mustCompile(t, tt.schema).ApplyDefaults(in)
			if string(got) != tt.want {
				t.Errorf("ApplyDefaults(%s) = %s, want %s", tt.in, got, tt.want)
			}
			if string(in) != tt.in {
				t.Errorf("ApplyDefaults wrote into its argument: %s", in)
			}
			if tt.in == tt.want && &got[0] != &in[0] {
				t.Error("nothing was inserted and the result is a copy")
			}
			var want any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if agrees := reflect.DeepEqual(libraryDefaults(t, tt.schema, tt.in), want); agrees != tt.agrees {
				t.Errorf("jsonschema-go does the same: %v, want %v", agrees, tt.agrees)
			}
		})
	}
}

func libraryDefaults(t *testing.T, schema, in string) any {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(in), &v); err != nil {
		t.Fatal(err)
	}
	if err := resolved.ApplyDefaults(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestApplyDefaultsMany(t *testing.T) {
	var props, want []string
	for i := range 300 {
		props = append(props, `"p`+strconv.Itoa(1000+i)+`":{"default":`+strconv.Itoa(i)+`}`)
		if i != 290 {
			want = append(want, `"p`+strconv.Itoa(1000+i)+`":`+strconv.Itoa(i))
		}
	}
	v := mustCompile(t, `{"properties":{`+strings.Join(props, ",")+`}}`)
	got := string(v.ApplyDefaults([]byte(`{"p1290":"x"}`)))
	if want := `{"p1290":"x",` + strings.Join(want, ",") + `}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestApplyDefaultsDepth(t *testing.T) {
	v := mustCompile(t, `{"properties":{"a":{"default":1}}}`)
	deep := `{"b":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`
	if got := v.ApplyDefaults([]byte(deep)); string(got) != deep {
		t.Errorf("a value over the depth bound was changed to %s", got)
	}
}

func TestWarnings(t *testing.T) {
	v := mustCompile(t, `{"properties":{"a":{"type":"string","default":null},"o":{"properties":{"b":{"minimum":2,"default":1}}},"c":{"default":1}}}`)
	want := []string{
		`default of a is left out, it does not match its own schema: must be string, got null`,
		`default of o.b is left out, it does not match its own schema: must be at least 2`,
	}
	if got := v.Warnings(); !reflect.DeepEqual(got, want) {
		t.Errorf("Warnings() = %q, want %q", got, want)
	}
}
