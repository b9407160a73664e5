package schema

import (
	"encoding/json"
	"math/bits"
	"regexp"
	"slices"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// types is a set of JSON types.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeInteger // the integral numbers
	typeFraction
	typeString
	typeArray
	typeObject

	typeNumber = typeInteger | typeFraction
	typeAny    = 1<<iota - 1
)

var typeBits = map[string]types{
	"null": typeNull, "boolean": typeBoolean, "integer": typeInteger, "number": typeNumber,
	"string": typeString, "array": typeArray, "object": typeObject,
}

// maxRequired is how many required properties of one object the native engine
// tracks, a bit for each, on the stack.
const maxRequired = 256

// node is one subschema of the native engine. Nodes are shared between the
// places that refer to them and may form cycles through properties and items.
type node struct {
	allow types
	never bool     // the schema `false`
	want  []string // the type names, for messages
	enums []*enumRule

	min, max, exMin, exMax *limit
	multiple               *divisor
	numeric                bool // some rule for numbers

	minLength, maxLength int // -1: none
	pattern              *regexp.Regexp

	minItems, maxItems int
	prefix             []*node
	items              *node // nil: anything

	minProps, maxProps int
	names              nameTable
	props              []property // in the order of names
	required           []uint64   // the slots that must be seen
	requiredNames      []string   // by slot
	additional         *node      // nil: anything
	known              []string   // for messages
}

// property is what a node knows about one member name.
type property struct {
	value *node // nil: anything
	slot  int   // its bit among the required; -1: optional
}

// enumRule is an enum or a const of scalars.
type enumRule struct {
	strings nameTable
	numbers []decimal
	words   words
	message string
}

// words is a set of the JSON literals that are words.
type words uint8

const (
	wordNull words = 1 << iota
	wordTrue
	wordFalse
)

// builder compiles the schema that the foreign engine has checked and resolved
// into nodes.
type builder struct {
	nodes map[*santhosh.Schema]*node
	fail  bool // a keyword that only the foreign engine knows
}

// newNative returns nil for a schema that needs the foreign engine.
func newNative(root *santhosh.Schema) *node {
	b := builder{nodes: map[*santhosh.Schema]*node{}}
	n := b.node(root)
	if b.fail {
		return nil
	}
	return n
}

func (b *builder) node(s *santhosh.Schema) *node {
	if s == nil || b.fail {
		return nil
	}
	if s.Ref != nil {
		if !onlyRef(s) {
			b.fail = true
			return nil
		}
		return b.node(s.Ref)
	}
	if n := b.nodes[s]; n != nil {
		return n
	}
	if !nativeKeywords(s) {
		b.fail = true
		return nil
	}
	n := &node{allow: typeAny, minLength: -1, maxLength: -1, minItems: -1, maxItems: -1, minProps: -1, maxProps: -1}
	b.nodes[s] = n
	if s.Bool != nil {
		n.never = !*s.Bool
		return n
	}
	if s.Types != nil {
		n.allow, n.want = 0, s.Types.ToStrings()
		for _, name := range n.want {
			n.allow |= typeBits[name]
		}
	}
	b.enums(n, s)
	b.numbers(n, s)
	b.strings(n, s)
	b.arrays(n, s)
	b.objects(n, s)
	return n
}

// onlyRef reports whether nothing stands beside the $ref that would constrain.
func onlyRef(s *santhosh.Schema) bool {
	object := s.MinProperties == nil && s.MaxProperties == nil && len(s.Required) == 0 && len(s.Properties) == 0 && s.AdditionalProperties == nil
	array := s.MinItems == nil && s.MaxItems == nil && len(s.PrefixItems) == 0 && s.Items == nil && s.Items2020 == nil && s.AdditionalItems == nil
	scalar := s.Types == nil && s.Enum == nil && s.Const == nil && s.MinLength == nil && s.MaxLength == nil && s.Pattern == nil &&
		s.Minimum == nil && s.Maximum == nil && s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil
	return object && array && scalar && nativeKeywords(s)
}

// nativeKeywords reports whether the schema uses none of the keywords that
// the native engine lacks.
func nativeKeywords(s *santhosh.Schema) bool {
	same := s.RecursiveRef == nil && s.DynamicRef == nil && s.Not == nil && len(s.AllOf) == 0 && len(s.AnyOf) == 0 && len(s.OneOf) == 0 &&
		s.If == nil && s.Then == nil && s.Else == nil && s.Format == nil && len(s.Extensions) == 0
	object := s.PropertyNames == nil && len(s.PatternProperties) == 0 && len(s.Dependencies) == 0 && len(s.DependentRequired) == 0 &&
		len(s.DependentSchemas) == 0 && s.UnevaluatedProperties == nil
	array := s.Contains == nil && s.UnevaluatedItems == nil && !s.UniqueItems
	return same && object && array && s.ContentEncoding == nil && s.ContentMediaType == nil && s.ContentSchema == nil
}

func (b *builder) enums(n *node, s *santhosh.Schema) {
	if s.Enum != nil {
		b.enum(n, s.Enum.Values)
	}
	if s.Const != nil {
		b.enum(n, []any{*s.Const})
	}
}

func (b *builder) enum(n *node, values []any) {
	rule := &enumRule{message: enumMessage(values)}
	var texts []string
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			rule.words |= wordNull
		case bool:
			if v {
				rule.words |= wordTrue
			} else {
				rule.words |= wordFalse
			}
		case string:
			texts = append(texts, v)
		case json.Number:
			rule.numbers = append(rule.numbers, parseDecimal([]byte(v)))
		default:
			b.fail = true
		}
	}
	rule.strings = newNameTable(texts)
	n.enums = append(n.enums, rule)
}

func (b *builder) numbers(n *node, s *santhosh.Schema) {
	n.min, n.max = newLimit(s.Minimum), newLimit(s.Maximum)
	n.exMin, n.exMax = newLimit(s.ExclusiveMinimum), newLimit(s.ExclusiveMaximum)
	if s.MultipleOf != nil {
		var ok bool
		if n.multiple, ok = newDivisor(s.MultipleOf); !ok {
			b.fail = true
		}
	}
	n.numeric = n.min != nil || n.max != nil || n.exMin != nil || n.exMax != nil || n.multiple != nil
}

func (b *builder) strings(n *node, s *santhosh.Schema) {
	n.minLength, n.maxLength = optional(s.MinLength), optional(s.MaxLength)
	if s.Pattern != nil {
		n.pattern = s.Pattern.(*regexp.Regexp) // made by compilePattern
	}
}

func optional(v *int) int {
	if v == nil {
		return -1
	}
	return *v
}

func (b *builder) arrays(n *node, s *santhosh.Schema) {
	n.minItems, n.maxItems = optional(s.MinItems), optional(s.MaxItems)
	prefix, items := itemsOf(s)
	for _, sub := range prefix {
		n.prefix = append(n.prefix, b.node(sub))
	}
	n.items = b.rest(items)
}

// rest compiles a keyword that is a schema or a boolean; nil: anything.
func (b *builder) rest(keyword any) *node {
	switch v := keyword.(type) {
	case bool:
		if !v {
			return &node{never: true}
		}
	case *santhosh.Schema:
		return b.node(v)
	}
	return nil
}

func (b *builder) objects(n *node, s *santhosh.Schema) {
	n.minProps, n.maxProps = optional(s.MinProperties), optional(s.MaxProperties)
	n.additional = b.rest(s.AdditionalProperties)
	slots := map[string]int{}
	for _, name := range s.Required {
		if _, dup := slots[name]; !dup {
			slots[name] = len(n.requiredNames)
			n.requiredNames = append(n.requiredNames, name)
		}
	}
	if len(n.requiredNames) > maxRequired {
		b.fail = true
		return
	}
	n.required = make([]uint64, (len(n.requiredNames)+63)/64)
	for slot := range n.requiredNames {
		n.required[slot/64] |= 1 << (slot % 64)
	}
	n.known = sortedNames(s.Properties)
	names := slices.Clone(n.known)
	for _, name := range n.requiredNames {
		if _, ok := s.Properties[name]; !ok {
			names = append(names, name)
		}
	}
	n.names = newNameTable(names)
	for _, name := range names {
		p := property{value: n.additional, slot: -1}
		if sub, ok := s.Properties[name]; ok {
			p.value = b.node(sub)
		}
		if slot, ok := slots[name]; ok {
			p.slot = slot
		}
		n.props = append(n.props, p)
	}
}

// missing returns the names of the required properties without a bit in seen.
func (n *node) missing(seen *[maxRequired / 64]uint64) []string {
	var names []string
	for i, want := range n.required {
		for rest := want &^ seen[i]; rest != 0; rest &= rest - 1 {
			names = append(names, n.requiredNames[i*64+bits.TrailingZeros64(rest)])
		}
	}
	return names
}
