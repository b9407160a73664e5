package schema

import "fmt"

// Validator is one compiled schema. It is immutable: any goroutine may use it.
type Validator struct {
	native   *node // nil: the foreign engine validates
	foreign  foreign
	defaults *defaults // nil: nothing to insert
	warnings []string
}

// Compile checks and compiles one schema. It keeps no reference to raw.
//
// Accepted dialects are 2020-12 (also without $schema), 2019-09 and draft-07;
// "implementations MUST support JSON Schema 2020-12 for schemas without an
// explicit $schema field" and "MUST handle unsupported dialects gracefully"
// (2026-07-28, basic, JSON Schema Usage). The schema must be valid against its
// metaschema. References that leave the document are refused, whatever their
// scheme. A schema over a static bound is refused with an error that names the
// bound: 1 MiB, 32 levels and 2,000 subschemas, 100,000 expanded paths, 1,000
// bytes and 10,000 states of a pattern, exponents of 1,000.
func Compile(raw []byte) (*Validator, error) {
	doc, err := decode(raw)
	if err != nil {
		return nil, err
	}
	switch doc.(type) {
	case map[string]any, bool:
	default:
		return nil, fmt.Errorf("schema: must be a JSON object or a boolean, got %s", jsonType(doc))
	}
	if err := checkDocument(doc); err != nil {
		return nil, err
	}
	root, err := compileForeign(doc)
	if err != nil {
		return nil, err
	}
	g, err := newGraph(root)
	if err != nil {
		return nil, err
	}
	fan, err := g.fan()
	if err != nil {
		return nil, err
	}
	if err := g.harden(); err != nil {
		return nil, err
	}
	v := &Validator{foreign: foreign{schema: root, maxValues: maxEvaluations / fan}}
	v.native = newNative(root)
	v.defaults = v.newDefaults(root, nil)
	if v.native != nil {
		v.foreign = foreign{}
	}
	return v, nil
}

// Validate checks one JSON value. raw should have passed the message
// envelope's checks (UTF-8, no duplicate keys); on anything else Validate is
// safe, and malformed JSON is an error. The error is an [*Error]. Valid input
// costs the native engine no allocation, except for patterns against strings
// with escapes. raw is not kept.
func (v *Validator) Validate(raw []byte) error {
	if v.native != nil {
		return v.native.validate(raw)
	}
	return v.foreign.validate(raw)
}

// Native reports which engine validates: true for the compiled one, false for
// santhosh-tekuri/jsonschema.
func (v *Validator) Native() bool { return v.native != nil }

// Warnings lists defaults that do not match their own schema. ApplyDefaults
// leaves them out, since with them every call would fail.
func (v *Validator) Warnings() []string { return v.warnings }
