package schema

import (
	"bytes"
	"encoding/json"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// defaults is what ApplyDefaults may insert into one object.
type defaults struct {
	names nameTable
	props []defaultProperty // in the order of names
}

type defaultProperty struct {
	insert []byte    // `"name":value` for when the property is absent; nil: nothing
	inner  *defaults // for when it is present; nil: nothing
}

// insertion is text to insert at a byte offset.
type insertion struct {
	at    int
	comma bool
	text  []byte
}

// ApplyDefaults returns raw with the schema's defaults for absent properties,
// at every level that `properties` keywords lead to without a $ref. Without
// anything to insert, or when raw is not a valid JSON object, the result is
// raw itself and nothing is allocated; otherwise it is a new slice that the
// caller owns.
//
// As in jsonschema-go's ApplyDefaults, required properties get no default, a
// default may be completed by the defaults of its own properties, and an
// absent object whose properties have defaults is created. Unlike there, it is
// not created where it would lack a required property, objects under required
// properties are completed too, and a default that does not match its schema
// is left out (see [Validator.Warnings]).
func (v *Validator) ApplyDefaults(raw []byte) []byte {
	if v.defaults == nil {
		return raw
	}
	return v.defaults.apply(raw)
}

func (d *defaults) apply(raw []byte) []byte {
	p := patcher{scanner: scanner{b: raw, maxDepth: maxInstanceDepth}}
	i := p.object(d, skipSpace(raw, 0))
	if i < 0 || skipSpace(raw, i) != len(raw) || len(p.patches) == 0 {
		return raw
	}
	size := len(raw)
	for _, patch := range p.patches {
		size += len(patch.text) + 1
	}
	out := make([]byte, 0, size)
	from := 0
	for _, patch := range p.patches {
		out = append(out, raw[from:patch.at]...)
		if patch.comma {
			out = append(out, ',')
		}
		out = append(out, patch.text...)
		from = patch.at
	}
	return append(out, raw[from:]...)
}

// patcher finds the insertions, in ascending order of their offsets: an
// object's members are inserted before its closing bracket.
type patcher struct {
	scanner
	patches []insertion
}

// object walks over the value at i, completing it if it is an object.
func (p *patcher) object(d *defaults, i int) int {
	if i >= len(p.b) || p.b[i] != '{' || d == nil {
		return p.value(i)
	}
	if !p.enter() {
		return p.fail(faultDepth, i)
	}
	var few [4]uint64
	seen := few[:]
	if words := (len(d.props) + 63) / 64; words > len(few) {
		seen = make([]uint64, words)
	}
	empty := true
	i = skipSpace(p.b, i+1)
	if i < len(p.b) && p.b[i] == '}' {
		i++
	} else {
		empty = false
		for more := true; more; {
			key := scanKey(p.b, i)
			if key.value < 0 {
				return p.fail(faultSyntax, i)
			}
			var inner *defaults
			if k := d.names.find(key.name, key.escaped); k >= 0 {
				seen[k/64] |= 1 << (k % 64)
				inner = d.props[k].inner
			}
			if i = p.object(inner, key.value); i < 0 {
				return -1
			}
			if i, more = scanNext(p.b, i, '}'); i < 0 {
				return -1
			}
		}
	}
	p.depth--
	for k := range d.props {
		if d.props[k].insert != nil && seen[k/64]&(1<<(k%64)) == 0 {
			p.patches = append(p.patches, insertion{at: i - 1, comma: !empty, text: d.props[k].insert})
			empty = false
		}
	}
	return i
}

// newDefaults compiles the defaults below s; nil when there are none. path
// leads from the root to s.
func (v *Validator) newDefaults(s *santhosh.Schema, path []segment) *defaults {
	d := &defaults{}
	var names []string
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	for _, name := range sortedNames(s.Properties) {
		sub := s.Properties[name]
		at := append(path[:len(path):len(path)], segment{name, -1})
		p := defaultProperty{inner: v.newDefaults(sub, at)}
		if !required[name] {
			if value := v.defaultOf(sub, p.inner, at); value != nil {
				p.insert = append(append(encode(name), ':'), value...)
			}
		}
		if p.insert != nil || p.inner != nil {
			names = append(names, name)
			d.props = append(d.props, p)
		}
	}
	if len(names) == 0 {
		return nil
	}
	d.names = newNameTable(names)
	return d
}

// defaultOf is the value that an absent property gets; nil: none.
func (v *Validator) defaultOf(s *santhosh.Schema, inner *defaults, path []segment) []byte {
	var value []byte
	switch {
	case s.Default != nil:
		value = encode(*s.Default)
		if inner != nil {
			value = inner.apply(value)
		}
	case inner != nil && len(s.Required) == 0:
		if value = inner.apply([]byte("{}")); len(value) == 2 {
			return nil
		}
	default:
		return nil
	}
	check := foreign{schema: s, maxValues: v.foreign.maxValues}
	if err := check.validate(value); err != nil {
		if s.Default != nil {
			v.warnings = append(v.warnings, "default of "+pathString(path)+" is left out, it does not match its own schema: "+err.Error())
		}
		return nil
	}
	return value
}

// encode writes a decoded value as JSON, without HTML escapes.
func encode(v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
