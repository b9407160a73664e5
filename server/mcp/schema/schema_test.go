package schema

import (
	"errors"
	"testing"
)

// suiteCase is a schema with values that match it and values that do not,
// each with the error it must give ("" leaves it open).
type suiteCase struct {
	name    string
	schema  string
	native  bool
	valid   []string
	invalid map[string]string
}

func mustCompile(t testing.TB, schema string) *Validator {
	t.Helper()
	v, err := Compile([]byte(schema))
	if err != nil {
		t.Fatalf("Compile(%s) = %v", schema, err)
	}
	return v
}

func runSuite(t *testing.T, cases []suiteCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := mustCompile(t, c.schema)
			if v.Native() != c.native {
				t.Errorf("Native() = %v, want %v", v.Native(), c.native)
			}
			for _, in := range c.valid {
				if err := v.Validate([]byte(in)); err != nil {
					t.Errorf("Validate(%s) = %v, want valid", in, err)
				}
			}
			for in, want := range c.invalid {
				err := v.Validate([]byte(in))
				if err == nil {
					t.Errorf("Validate(%s) = valid, want %q", in, want)
					continue
				}
				if _, ok := errors.AsType[*Error](err); !ok {
					t.Errorf("Validate(%s) = %T, want *Error", in, err)
				}
				if want != "" && err.Error() != want {
					t.Errorf("Validate(%s)\n got %q\nwant %q", in, err, want)
				}
			}
		})
	}
}
