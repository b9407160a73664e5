package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// flatten turns the foreign engine's tree of errors into violations in the
// words of the native engine, in a fixed order. doc is the instance, which
// tells indexes from property names; nil reads every step as a name.
func flatten(ve *santhosh.ValidationError, doc any) []violation {
	var all []violation
	explain(ve, doc, &all)
	slices.SortStableFunc(all, func(a, b violation) int {
		return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.message, b.message))
	})
	return slices.Compact(all)
}

// maxExplained is how many violations are put into words. The engine finds
// them in the order of Go's maps; with fewer than this the outcome is sorted
// and always the same.
const maxExplained = 256

// explain appends the violations of ve and its causes to all.
func explain(ve *santhosh.ValidationError, doc any, all *[]violation) {
	if len(*all) >= maxExplained {
		return
	}
	switch k := ve.ErrorKind.(type) {
	case *kind.AnyOf:
		explainAlternatives(ve, doc, all)
		return
	case *kind.OneOf:
		if len(k.Subschemas) == 0 {
			explainAlternatives(ve, doc, all)
			return
		}
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range ve.Causes {
			explain(cause, doc, all)
		}
		return
	}
	path := locate(ve.InstanceLocation, doc)
	for _, msg := range kindMessages(ve, &path) {
		*all = append(*all, violation{pathString(path), msg})
	}
}

// explainAlternatives reports anyOf and oneOf of which no branch matched as
// one violation. Branches that differ in their type only, as in "string or
// null", read as one type.
func explainAlternatives(ve *santhosh.ValidationError, doc any, all *[]violation) {
	var want, forms []string
	got, onlyTypes := "", true
	for _, cause := range ve.Causes {
		cause = dereference(cause)
		if k, ok := cause.ErrorKind.(*kind.Type); ok && len(cause.InstanceLocation) == len(ve.InstanceLocation) {
			want, got = append(want, k.Want...), k.Got
		} else {
			onlyTypes = false
		}
		if len(forms) < maxViolations {
			if branch := flatten(cause, doc); len(branch) > 0 {
				first := Error{Path: branch[0].path, Message: branch[0].message}
				forms = append(forms, clip(first.Error(), maxListed))
			}
		}
	}
	path := pathString(locate(ve.InstanceLocation, doc))
	if onlyTypes && len(want) > 0 {
		slices.Sort(want)
		*all = append(*all, violation{path, typeMessage(slices.Compact(want), got)})
		return
	}
	*all = append(*all, violation{path, "matches none of the allowed forms (" + joinListed(forms, " | ") + ")"})
}

// dereference steps over the errors that only say "in the target of $ref".
func dereference(ve *santhosh.ValidationError) *santhosh.ValidationError {
	for {
		if _, ok := ve.ErrorKind.(*kind.Reference); !ok || len(ve.Causes) != 1 {
			return ve
		}
		ve = ve.Causes[0]
	}
}

// kindMessages says what one error of the engine means. It shortens path where
// the native engine reports at the parent.
func kindMessages(ve *santhosh.ValidationError, path *[]segment) []string {
	switch k := ve.ErrorKind.(type) {
	case *kind.Type:
		return []string{typeMessage(k.Want, k.Got)}
	case *kind.Enum:
		return []string{enumMessage(k.Want)}
	case *kind.Const:
		return []string{enumMessage([]any{k.Want})}
	case *kind.Required:
		return eachMessage(k.Missing, missingMessage)
	case *kind.AdditionalProperties:
		return eachMessage(k.Properties, func(name string) string { return "unknown property " + quoteName(name) })
	case *kind.FalseSchema:
		if n := len(*path); n > 0 && strings.HasSuffix(ve.SchemaURL, "/unevaluatedProperties") {
			name := (*path)[n-1].name
			*path = (*path)[:n-1]
			return []string{"unknown property " + quoteName(name)}
		}
		return []string{"must not be present"}
	case *kind.PropertyNames:
		return []string{"property name " + quoteName(k.Property) + " is not allowed"}
	case *kind.Dependency:
		return eachMessage(k.Missing, func(name string) string { return missingMessage(name) + ", needed beside " + quoteName(k.Prop) })
	case *kind.DependentRequired:
		return eachMessage(k.Missing, func(name string) string { return missingMessage(name) + ", needed beside " + quoteName(k.Prop) })
	case *kind.Not:
		return []string{"matches a form that is excluded"}
	case *kind.OneOf:
		return []string{fmt.Sprintf("matches more than one of the allowed forms (%d and %d)", k.Subschemas[0]+1, k.Subschemas[1]+1)}
	case *kind.UniqueItems:
		return []string{fmt.Sprintf("items must be unique, %d and %d are equal", k.Duplicates[0], k.Duplicates[1])}
	}
	return []string{limitMessage(ve.ErrorKind)}
}

// limitMessage covers the keywords that compare with a number or a pattern.
func limitMessage(e santhosh.ErrorKind) string {
	switch k := e.(type) {
	case *kind.Minimum:
		return boundMessage("at least", k.Want)
	case *kind.Maximum:
		return boundMessage("at most", k.Want)
	case *kind.ExclusiveMinimum:
		return boundMessage("greater than", k.Want)
	case *kind.ExclusiveMaximum:
		return boundMessage("less than", k.Want)
	case *kind.MultipleOf:
		return boundMessage("a multiple of", k.Want)
	case *kind.MinLength:
		return countMessage("at least", k.Want, "character", k.Got)
	case *kind.MaxLength:
		return countMessage("at most", k.Want, "character", k.Got)
	case *kind.MinItems:
		return countMessage("at least", k.Want, "item", k.Got)
	case *kind.MaxItems:
		return countMessage("at most", k.Want, "item", k.Got)
	case *kind.MinProperties:
		return countMessage("at least", k.Want, "property", k.Got)
	case *kind.MaxProperties:
		return countMessage("at most", k.Want, "property", k.Got)
	case *kind.Contains:
		return "no item has the required form"
	case *kind.MinContains:
		return fmt.Sprintf("must have at least %d items of the required form, got %d", k.Want, len(k.Got))
	case *kind.MaxContains:
		return fmt.Sprintf("must have at most %d items of the required form, got %d", k.Want, len(k.Got))
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %d items too many", k.Count)
	case *kind.Pattern:
		return patternMessage(k.Want)
	case *kind.Format:
		return "must be a valid " + k.Want
	}
	return "does not match the schema"
}

func boundMessage(relation string, want *big.Rat) string {
	return "must be " + relation + " " + shorten(ratText(want))
}

// eachMessage is one message per name, in the order of the names.
func eachMessage(names []string, message func(string) string) []string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		out = append(out, message(name))
	}
	return out
}

// locate reads the steps of an instance location against the instance.
func locate(steps []string, doc any) []segment {
	path := make([]segment, 0, len(steps))
	for _, step := range steps {
		s := segment{name: step, index: -1}
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
				s, doc = segment{index: i}, v[i]
			}
		}
		path = append(path, s)
	}
	return path
}

// jsonType names the type of a decoded value.
func jsonType(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
