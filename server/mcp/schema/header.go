package schema

import (
	"errors"
	"fmt"
	"strings"
)

// headerKeyword mirrors a parameter into an HTTP header (2026-07-28,
// basic/transports/streamable-http, Custom Headers from Tool Parameters).
const headerKeyword = "x-mcp-header"

// HeaderParam is one parameter that clients repeat in the header
// Mcp-Param-{Name}.
type HeaderParam struct {
	// Name is the annotation as written; header names compare without case.
	Name string
	// Path is the chain of property names from the arguments to the value.
	Path []string
	// Type is the parameter's JSON type: string, integer or boolean.
	Type string
}

// Headers returns the x-mcp-header annotations of an input schema, in the
// order of their paths, or an error that names the rule that one of them
// breaks. A client has to drop a tool whose annotations are invalid, so such a
// tool should not be registered.
func Headers(input []byte) ([]HeaderParam, error) {
	doc, err := decode(input)
	if err != nil {
		return nil, err
	}
	return headers(doc)
}

func headers(doc any) ([]HeaderParam, error) {
	var params []HeaderParam
	seen := map[string]bool{}
	err := walk(doc, func(p place) error {
		if p.depth > maxDepth {
			return fmt.Errorf("schema: subschemas are nested deeper than the bound of %d", maxDepth)
		}
		annotation, ok := p.object()[headerKeyword]
		if !ok {
			return nil
		}
		param, err := headerParam(annotation, p)
		if err != nil {
			return fmt.Errorf("schema: %s: %w", headerKeyword, err)
		}
		folded := strings.ToLower(param.Name)
		if seen[folded] {
			return fmt.Errorf("schema: %s: the name %q is used twice (case does not count)", headerKeyword, param.Name)
		}
		seen[folded] = true
		params = append(params, param)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return params, nil
}

// headerParam applies the rules for one annotation: "MUST match HTTP
// field-name token syntax", "MUST only be applied to parameters with primitive
// types (integer, string, boolean)", "MUST only be applied to properties that
// are statically reachable from the schema root".
func headerParam(annotation any, p place) (HeaderParam, error) {
	name, ok := annotation.(string)
	if !ok || name == "" {
		return HeaderParam{}, errors.New("must be a string that is not empty")
	}
	for i := range len(name) {
		if !tchar(name[i]) {
			return HeaderParam{}, fmt.Errorf("%q is not an HTTP field name", name)
		}
	}
	if !p.reachable || len(p.path) == 0 {
		return HeaderParam{}, fmt.Errorf("%q is on a schema that is not reached from the root through properties alone", name)
	}
	kind, _ := p.object()["type"].(string)
	if kind != "string" && kind != "integer" && kind != "boolean" {
		return HeaderParam{}, fmt.Errorf("%q is on a property whose type is not string, integer or boolean", name)
	}
	return HeaderParam{Name: name, Path: p.path, Type: kind}, nil
}

// tchar is RFC 9110 section 5.6.2.
func tchar(c byte) bool {
	switch {
	case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
