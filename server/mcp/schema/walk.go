package schema

import (
	"maps"
	"slices"
)

// The keywords that hold schemas, of every dialect that is accepted: one
// schema, a list of them, or a map of them. Some keywords take two forms.
var (
	oneKeywords  = []string{"additionalProperties", "additionalItems", "items", "contains", "propertyNames", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "contentSchema"}
	listKeywords = []string{"allOf", "anyOf", "oneOf", "prefixItems", "items"}
	mapKeywords  = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)

// place is one schema inside a schema document.
type place struct {
	schema any // map[string]any or bool; anything else is invalid
	depth  int // 1 for the document's root
	// path is the chain of property names that leads here when every step from
	// the root is a `properties` keyword; otherwise reachable is false.
	path      []string
	reachable bool
}

func (p place) object() map[string]any {
	obj, _ := p.schema.(map[string]any)
	return obj
}

// walk visits the schemas of a document in a fixed order, parents first, until
// visit returns an error.
func walk(doc any, visit func(place) error) error {
	return walkFrom(place{schema: doc, depth: 1, reachable: true}, visit)
}

func walkFrom(p place, visit func(place) error) error {
	if err := visit(p); err != nil {
		return err
	}
	obj := p.object()
	inner := func(schema any) error {
		return walkFrom(place{schema: schema, depth: p.depth + 1}, visit)
	}
	for _, key := range oneKeywords {
		switch s := obj[key].(type) {
		case map[string]any, bool:
			if err := inner(s); err != nil {
				return err
			}
		}
	}
	for _, key := range listKeywords {
		list, _ := obj[key].([]any)
		for _, s := range list {
			if err := inner(s); err != nil {
				return err
			}
		}
	}
	for _, key := range mapKeywords {
		schemas, _ := obj[key].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(schemas)) {
			next := place{schema: schemas[name], depth: p.depth + 1}
			if _, list := next.schema.([]any); list {
				continue // draft-07 dependencies: a list of property names
			}
			if key == "properties" && p.reachable {
				next.reachable, next.path = true, append(slices.Clip(p.path), name)
			}
			if err := walkFrom(next, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
