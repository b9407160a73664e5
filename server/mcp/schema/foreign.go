package schema

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// maxEvaluations bounds the work of the foreign engine on one value: the JSON
// values of the instance (long numbers count for more) times the schemas that
// one of them is checked against. The engine keeps every violation that it
// finds, some 200 bytes each, so this bounds memory as well: tens of MiB and
// less than a second at worst.
const maxEvaluations = 250_000

// documentURL is the base of references. Its scheme is known to no loader.
const documentURL = "tool:///schema"

// denyLoader is why no file is opened and no host is contacted:
// "Implementations MUST NOT automatically dereference $ref values that resolve
// to a network URI" (2026-07-28, basic, $ref Resolution).
type denyLoader struct{}

func (denyLoader) Load(url string) (any, error) { return nil, notLocalError(url) }

// notLocalError is the address of a reference out of the document.
type notLocalError string

func (e notLocalError) Error() string {
	return fmt.Sprintf("schema: $ref to %q leaves the schema; only references within it (#/$defs/...) are followed", string(e))
}

// compileForeign validates doc against its metaschema and resolves its
// references.
func compileForeign(doc any) (root *santhosh.Schema, err error) {
	// The engine indexes strings by computed lengths and panics on states it
	// holds impossible; what it is given comes from other servers.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("schema: %v", p)
		}
	}()
	var patternErr error
	c := santhosh.NewCompiler()
	c.UseLoader(denyLoader{})
	c.UseRegexpEngine(func(p string) (santhosh.Regexp, error) {
		re, err := compilePattern(p)
		if err != nil {
			if patternErr == nil {
				patternErr = fmt.Errorf("schema: %w", err)
			}
			return nil, err
		}
		return re, nil
	})
	if err := c.AddResource(documentURL, doc); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	root, err = c.Compile(documentURL)
	if patternErr != nil {
		return nil, patternErr
	}
	if err != nil {
		return nil, compileError(err)
	}
	return root, nil
}

func compileError(err error) error {
	if load := (*santhosh.LoadURLError)(nil); errors.As(err, &load) {
		return notLocalError(load.URL)
	}
	invalid := (*santhosh.SchemaValidationError)(nil)
	if errors.As(err, &invalid) {
		if ve, ok := errors.AsType[*santhosh.ValidationError](invalid.Err); ok {
			if all := flatten(ve, nil); len(all) > 0 {
				return fmt.Errorf("schema: not valid for its dialect: %w", newError(all))
			}
		}
	}
	return fmt.Errorf("schema: %w", errors.New(strings.ReplaceAll(err.Error(), documentURL, "")))
}

// harden replaces what the engine does unsafely or by dialect: format becomes
// an annotation, and uniqueItems a check whose hash cannot be made to collide.
// Schemas from outside of the document (the embedded metaschemas) are refused
// as every other reference that leaves it.
func (g *graph) harden() error {
	for _, s := range g.nodes {
		if !strings.HasPrefix(s.Location, documentURL+"#") {
			return notLocalError(s.Location)
		}
		s.Format = nil
		if s.UniqueItems {
			s.UniqueItems = false
			s.Extensions = append(s.Extensions, uniqueItems{})
		}
	}
	return nil
}

// foreign validates with santhosh-tekuri/jsonschema.
type foreign struct {
	schema    *santhosh.Schema
	maxValues int
}

func (f *foreign) validate(raw []byte) (err error) {
	// See compileForeign: the engine is not ours and panics are its way to say
	// that it met the unexpected.
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Message: "cannot be checked against the schema"}
		}
	}()
	s := scanner{b: raw, maxDepth: maxInstanceDepth, bounded: true}
	if !s.document() {
		return syntaxError(s.fault, s.at)
	}
	if s.cost > f.maxValues {
		return &Error{Message: fmt.Sprintf("has %d JSON values, more than the %d that can be checked against this schema", s.cost, f.maxValues)}
	}
	doc, err := santhosh.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return &Error{Message: "not valid JSON"}
	}
	invalid := f.schema.Validate(doc)
	if invalid == nil {
		return nil
	}
	ve, ok := errors.AsType[*santhosh.ValidationError](invalid)
	if !ok {
		return &Error{Message: invalid.Error()}
	}
	if all := flatten(ve, doc); len(all) > 0 {
		return newError(all)
	}
	return &Error{Message: "does not match the schema"}
}
