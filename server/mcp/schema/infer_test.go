package schema

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

type point struct {
	X int32    `json:"x" jsonschema:"the abscissa"`
	Y *float64 `json:"y,omitempty"`
}

type cyclic struct {
	Next *cyclic `json:"next"`
}

func TestFor(t *testing.T) {
	tests := []struct {
		name string
		t    reflect.Type
		want string
	}{
		{"any", reflect.TypeFor[any](), `{"type":"object"}`},
		{"empty struct", reflect.TypeFor[struct{}](), `{"type":"object","additionalProperties":false}`},
		{"map", reflect.TypeFor[map[string]any](), `{"type":"object","additionalProperties":true}`},
		{"map of strings", reflect.TypeFor[map[string]string](), `{"type":"object","additionalProperties":{"type":"string"}}`},
		{"struct", reflect.TypeFor[point](), `{"type":"object","properties":{"x":{"type":"integer","description":"the abscissa","minimum":-2147483648,"maximum":2147483647},"y":{"type":["null","number"]}},"required":["x"],"additionalProperties":false}`},
		{"pointer", reflect.TypeFor[*struct{}](), `{"type":"object","additionalProperties":false}`},
		{"string", reflect.TypeFor[string](), `{"type":"string"}`},
		{"time", reflect.TypeFor[time.Time](), `{"type":"string"}`},
		{"slice", reflect.TypeFor[[]bool](), `{"type":["null","array"],"items":{"type":"boolean"}}`},
		{"array", reflect.TypeFor[[2]uint](), `{"type":"array","items":{"type":"integer","minimum":0},"minItems":2,"maxItems":2}`},
	}
	for _, tt := range tests {
		s, err := ForType(tt.t)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s, want %s", tt.name, raw, tt.want)
		}
		if v := mustCompile(t, string(raw)); !v.Native() {
			t.Errorf("%s: %s is not native", tt.name, raw)
		}
	}
	if _, err := For[map[string]int](); err != nil {
		t.Errorf("For[map[string]int]: %v", err)
	}
}

func TestForErrors(t *testing.T) {
	for name, typ := range map[string]reflect.Type{
		"nil": nil, "chan": reflect.TypeFor[struct{ C chan int }](), "cycle": reflect.TypeFor[cyclic](), "func": reflect.TypeFor[func()](),
	} {
		if s, err := ForType(typ); err == nil {
			t.Errorf("%s: %v, want an error", name, s)
		}
	}
}
