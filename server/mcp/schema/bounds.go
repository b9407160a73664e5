package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// Static bounds of a schema. The specification asks implementations to bound
// what a schema may cost (2026-07-28, basic, JSON Schema Usage); no library
// has a budget for steps or time, so what is too expensive is refused at
// registration.
const (
	maxSchemaBytes = 1 << 20
	maxJSONDepth   = 128
	maxDepth       = 32
	maxSubschemas  = 2000
	maxPaths       = 100_000
)

const (
	draft2020 = "json-schema.org/draft/2020-12/schema"
	draft2019 = "json-schema.org/draft/2019-09/schema"
	draft07   = "json-schema.org/draft-07/schema"
)

// sizeKeywords take a whole number that the foreign engine narrows to an int.
var sizeKeywords = []string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}

// maxSize replaces larger values of the size keywords: no string, array or
// object comes near it, so the meaning stays the same.
const maxSize = json.Number("1000000000")

// decode reads a schema into what encoding/json makes of it, numbers kept as
// written.
func decode(raw []byte) (any, error) {
	if len(raw) > maxSchemaBytes {
		return nil, fmt.Errorf("schema: %d bytes are over the bound of %d", len(raw), maxSchemaBytes)
	}
	s := scanner{b: raw, maxDepth: maxJSONDepth, bounded: true}
	if !s.document() {
		switch s.fault {
		case faultDepth:
			return nil, fmt.Errorf("schema: JSON is nested deeper than the bound of %d", maxJSONDepth)
		case faultNumber:
			return nil, fmt.Errorf("schema: the number at byte %d is over the bound of %d characters or of exponent %d", s.at, maxNumberBytes, maxExponent)
		}
		return nil, fmt.Errorf("schema: not valid JSON at byte %d", s.at)
	}
	doc, err := santhosh.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return doc, nil
}

// checkDocument applies the bounds that need no reference resolved, checks the
// dialects, and narrows absurd sizes in place.
func checkDocument(doc any) error {
	count := 0
	anchors := map[string]bool{}
	return walk(doc, func(p place) error {
		if count++; count > maxSubschemas {
			return fmt.Errorf("schema: more subschemas than the bound of %d", maxSubschemas)
		}
		if p.depth > maxDepth {
			return fmt.Errorf("schema: subschemas are nested deeper than the bound of %d", maxDepth)
		}
		obj := p.object()
		if err := checkDialect(obj); err != nil {
			return err
		}
		for _, key := range sizeKeywords {
			if n, ok := obj[key].(json.Number); ok {
				obj[key] = narrow(n)
			}
		}
		return checkDynamic(obj, p.depth == 1, anchors)
	})
}

// checkDialect accepts the absence of $schema as 2020-12: "Default dialect:
// When a schema does not include a $schema field, it defaults to JSON Schema
// 2020-12" (2026-07-28, basic, Schema Dialect).
func checkDialect(obj map[string]any) error {
	v, ok := obj["$schema"]
	if !ok {
		return nil
	}
	uri, ok := v.(string)
	if !ok {
		return errors.New("schema: $schema must be a string")
	}
	scheme, name, _ := strings.Cut(strings.TrimSuffix(uri, "#"), "://")
	known := name == draft2020 || name == draft2019 || name == draft07
	if !known || scheme != "https" && scheme != "http" {
		return fmt.Errorf("schema: dialect %q is not supported; use https://%s (the default), https://%s or http://%s#", uri, draft2020, draft2019, draft07)
	}
	return nil
}

func narrow(n json.Number) json.Number {
	d := parseDecimal([]byte(n))
	bound := parseDecimal([]byte(maxSize))
	if d.integral() && d.compare(&bound) > 0 {
		return maxSize
	}
	return n
}

// checkDynamic refuses what would need a dynamic scope: with one anchor of a
// name a dynamic reference has one target, and the static bounds see it.
func checkDynamic(obj map[string]any, root bool, seen map[string]bool) error {
	if on, _ := obj["$recursiveAnchor"].(bool); on && !root {
		return errors.New("schema: $recursiveAnchor is supported at the root only")
	}
	name, ok := obj["$dynamicAnchor"].(string)
	if !ok {
		return nil
	}
	if seen[name] {
		return fmt.Errorf("schema: $dynamicAnchor %q is declared more than once, which is not supported", name)
	}
	seen[name] = true
	return nil
}

// graph is a compiled schema with its references resolved. Nodes are numbered
// as they are found from the root, which is 0.
type graph struct {
	nodes []*santhosh.Schema
	ids   map[*santhosh.Schema]int
	edges []edges
}

// edges are the schemas that a node applies: to the same value, to each
// child, or to one child.
type edges struct {
	same   []int
	object children
	array  children
}

// children says which schemas apply to a child: those of always, and the one
// under its name (array: "0", "1", ...) or else rest.
type children struct {
	always []int
	named  map[string]int
	rest   int // -1: none
}

func newGraph(root *santhosh.Schema) (*graph, error) {
	g := &graph{ids: map[*santhosh.Schema]int{}}
	g.id(root)
	for i := 0; i < len(g.nodes); i++ {
		if len(g.nodes) > maxSubschemas {
			return nil, fmt.Errorf("schema: more subschemas than the bound of %d", maxSubschemas)
		}
		g.edges = append(g.edges, g.edgesOf(g.nodes[i]))
	}
	return g, nil
}

func (g *graph) id(s *santhosh.Schema) int {
	if s == nil {
		return -1
	}
	id, ok := g.ids[s]
	if !ok {
		id = len(g.nodes)
		g.ids[s] = id
		g.nodes = append(g.nodes, s)
	}
	return id
}

func (g *graph) edgesOf(s *santhosh.Schema) edges {
	var e edges
	e.same = g.add(e.same, s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else)
	if s.DynamicRef != nil {
		e.same = g.add(e.same, s.DynamicRef.Ref)
	}
	e.same = g.add(e.same, s.AllOf...)
	e.same = g.add(e.same, s.AnyOf...)
	e.same = g.add(e.same, s.OneOf...)
	for _, dep := range s.DependentSchemas {
		e.same = g.add(e.same, dep)
	}
	for _, dep := range s.Dependencies {
		if dep, ok := dep.(*santhosh.Schema); ok {
			e.same = g.add(e.same, dep)
		}
	}

	e.object.always = g.add(e.object.always, s.PropertyNames, s.UnevaluatedProperties)
	for _, sub := range s.PatternProperties {
		e.object.always = g.add(e.object.always, sub)
	}
	e.object.named = map[string]int{}
	for name, sub := range s.Properties {
		e.object.named[name] = g.id(sub)
	}
	additional, _ := s.AdditionalProperties.(*santhosh.Schema)
	e.object.rest = g.id(additional)

	e.array.always = g.add(e.array.always, s.Contains, s.UnevaluatedItems)
	e.array.named = map[string]int{}
	prefix, items := itemsOf(s)
	for i, sub := range prefix {
		e.array.named[fmt.Sprint(i)] = g.id(sub)
	}
	rest, _ := items.(*santhosh.Schema)
	e.array.rest = g.id(rest)
	return e
}

func (g *graph) add(ids []int, schemas ...*santhosh.Schema) []int {
	for _, s := range schemas {
		if s != nil {
			ids = append(ids, g.id(s))
		}
	}
	return ids
}

// itemsOf gives the array keywords of every dialect in the form of 2020-12:
// the schemas of the first items, and what applies to the others (nil, a bool
// or a *santhosh.Schema).
func itemsOf(s *santhosh.Schema) (prefix []*santhosh.Schema, items any) {
	if s.DraftVersion >= 2020 {
		if s.Items2020 == nil {
			return s.PrefixItems, nil
		}
		return s.PrefixItems, s.Items2020
	}
	if list, ok := s.Items.([]*santhosh.Schema); ok {
		return list, s.AdditionalItems
	}
	return nil, s.Items
}

// sortedNames keeps the order of reports independent of map iteration.
func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
