package schema

import (
	"errors"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// For infers the schema of T as go-sdk's AddTool does: struct tags `json` and
// `jsonschema`, no additional properties in structs, pointers of T itself
// dereferenced. The empty interface is an object without rules. Whether the
// result may be used as an input schema (its type must be "object") is the
// caller's decision. A type with a cycle, or one that JSON cannot carry, is an
// error.
func For[T any]() (*jsonschema.Schema, error) {
	return ForType(reflect.TypeFor[T]())
}

// ForType is [For] for a reflected type. The result belongs to the caller.
func ForType(t reflect.Type) (*jsonschema.Schema, error) {
	if t == nil {
		return nil, errors.New("schema: no type to infer from")
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[any]() {
		return &jsonschema.Schema{Type: "object"}, nil
	}
	return jsonschema.ForType(t, &jsonschema.ForOptions{})
}
