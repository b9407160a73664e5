package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"millrace/codec/jsonrpc"
	"millrace/server/mcp/schema"
)

// elicitForm is the schema of a form, taken apart. Its raw parts are JSON on
// one line.
type elicitForm struct {
	dialect  []byte // the $schema; nil: none
	fields   []formField
	required []byte // an array of names; nil: none
}

// formField is one property of a form.
type formField struct {
	name    string
	schema  []byte // an object
	kind    fieldKind
	options []formOption // of the choices
	titled  bool         // the options have titles
}

// formOption is what can be chosen.
type formOption struct{ value, title string }

// fieldKind is what a field looks like to a user.
type fieldKind uint8

const (
	textField fieldKind = iota
	numberField
	booleanField
	choiceField  // one of several
	choicesField // several of several
)

// fieldKeywords are what a field of a kind may have, "pattern" after the page
// client/elicitation of 2025-11-25, the others after the schemas.
var fieldKeywords = [...][]string{
	textField:    {"type", "title", "description", "default", "minLength", "maxLength", "pattern", "format"},
	numberField:  {"type", "title", "description", "default", "minimum", "maximum"},
	booleanField: {"type", "title", "description", "default"},
	choiceField:  {"type", "title", "description", "default", "enum", "enumNames", "oneOf"},
	choicesField: {"type", "title", "description", "default", "minItems", "maxItems", "items"},
}

// parseForm reads the RequestedSchema of a form. 2026-07-28, elicitation: "form
// mode elicitation schemas are limited to flat objects with primitive
// properties only". The error is for the author of the tool.
func parseForm(v any) (*elicitForm, error) {
	if v == nil {
		return nil, errors.New(`RequestedSchema is nil; set it, to json.RawMessage(` + "`" + `{"type":"object","properties":{}}` + "`" + `) for a question without fields`)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("RequestedSchema cannot be encoded as JSON: %w", err)
	}
	f := &elicitForm{}
	if err := checkJSON(raw); err != nil {
		return nil, fmt.Errorf("RequestedSchema: %w", err)
	}
	if err := f.parse(raw); err != nil {
		return nil, fmt.Errorf("RequestedSchema: %w", err)
	}
	return f, nil
}

func (f *elicitForm) parse(raw []byte) error {
	r := objectReader{obj: raw}
	for name := range jsonrpc.Members(raw) {
		switch string(name) {
		case "$schema", "type", "properties", "required", "title", "description":
		case "additionalProperties":
			var ignored bool
			r.decode("additionalProperties", "a boolean", &ignored)
		default:
			return fmt.Errorf("%q is not allowed in a form; it may have type, properties and required", name)
		}
	}
	if r.text("type") != "object" {
		r.fail("type", `"object"`)
	}
	r.optionalText("$schema")
	f.dialect = r.raw("$schema")
	properties := r.required("properties")
	if r.err == nil && !isObject(properties) {
		r.fail("properties", "an object")
	}
	if r.err != nil {
		return r.err
	}
	for name, value := range jsonrpc.Members(properties) {
		field := formField{name: string(name), schema: value}
		if err := field.parse(); err != nil {
			return fmt.Errorf("properties[%q]: %w", name, err)
		}
		f.fields = append(f.fields, field)
	}
	return f.parseRequired(r.raw("required"))
}

func (f *elicitForm) parseRequired(raw []byte) error {
	if raw == nil {
		return nil
	}
	names, err := texts(raw)
	if err != nil {
		return fmt.Errorf("required %w", err)
	}
	known := f.names()
	for _, name := range names {
		if !known[name] {
			return fmt.Errorf("required names %q, which is not in properties", name)
		}
	}
	if len(names) > 0 {
		f.required = raw
	}
	return nil
}

func (f *elicitForm) names() map[string]bool {
	names := make(map[string]bool, len(f.fields))
	for i := range f.fields {
		names[f.fields[i].name] = true
	}
	return names
}

// texts decodes an array of different strings.
func texts(raw []byte) ([]string, error) {
	if raw[0] != '[' {
		return nil, errors.New("must be an array")
	}
	var list []string
	seen := map[string]bool{}
	for item := range jsonrpc.Elements(raw) {
		text, ok := jsonrpc.Unquote(item)
		if !ok {
			return nil, errors.New("must hold strings only")
		}
		if seen[text] {
			return nil, fmt.Errorf("holds %q twice", text)
		}
		seen[text] = true
		list = append(list, text)
	}
	return list, nil
}

func (f *formField) parse() error {
	if !isObject(f.schema) {
		return errNotObject
	}
	r := objectReader{obj: f.schema}
	switch r.text("type") {
	case "string":
		if r.raw("enum") != nil || r.raw("oneOf") != nil {
			f.kind = choiceField
		}
	case "number", "integer":
		f.kind = numberField
	case "boolean":
		f.kind = booleanField
	case "array":
		f.kind = choicesField
	default:
		r.err = errors.New("type must be one of string, number, integer, boolean, and array for a choice of several; objects cannot be asked for, nor may type be a list (make pointer fields plain)")
	}
	for name, value := range jsonrpc.Members(f.schema) {
		switch {
		case r.err != nil:
		case !slices.Contains(fieldKeywords[f.kind], string(name)):
			r.err = fmt.Errorf("%q is not allowed here; allowed are %s", name, strings.Join(fieldKeywords[f.kind], ", "))
		case string(value) == "null":
			r.err = fmt.Errorf("%q is null; leave it out", name)
		}
	}
	r.optionalText("title")
	r.optionalText("description")
	switch f.kind {
	case textField:
		f.checkText(&r)
	case numberField:
		checkRange(&r, "minimum", "maximum")
	case choiceField:
		f.parseChoice(&r, "oneOf")
	case choicesField:
		f.parseChoices(&r)
	}
	return r.err
}

func (f *formField) checkText(r *objectReader) {
	checkRange(r, "minLength", "maxLength")
	switch r.optionalText("format") {
	case "", "email", "uri", "date", "date-time":
	default:
		r.fail("format", "email, uri, date or date-time")
	}
}

// checkRange refuses bounds that no value can keep.
func checkRange(r *objectReader, lower, upper string) {
	var low, high float64
	r.decode(lower, "a number", &low)
	r.decode(upper, "a number", &high)
	if low > high && r.raw(upper) != nil && r.raw(lower) != nil {
		r.fail(lower, "at most "+upper)
	}
}

// parseChoice reads the options of r, which are an enum or stand in the keyword
// titled. SEP-1330 has five forms of them.
func (f *formField) parseChoice(r *objectReader, titled string) {
	plain, entries := r.raw("enum"), r.raw(titled)
	names := r.raw("enumNames")
	switch {
	case r.err != nil:
	case (plain == nil) == (entries == nil):
		r.fail("enum or "+titled, "there, and not both")
	case entries != nil && names != nil:
		r.err = errors.New("enumNames must stand beside enum; give titles in " + titled)
	case entries != nil:
		f.titled = true
		f.parseTitled(r, titled, entries)
	default:
		f.parseEnum(r, plain, names)
	}
	if r.err == nil && len(f.options) == 0 {
		r.err = errors.New("there must be at least one value to choose")
	}
}

func (f *formField) parseEnum(r *objectReader, plain, names []byte) {
	values, err := texts(plain)
	if err != nil {
		r.err = fmt.Errorf("enum %w", err)
		return
	}
	var titles []string
	r.decode("enumNames", "an array of strings", &titles)
	if names != nil && len(titles) != len(values) {
		r.fail("enumNames", "as long as enum")
		return
	}
	f.titled = names != nil
	for i, value := range values {
		option := formOption{value: value}
		if f.titled {
			option.title = titles[i]
		}
		f.options = append(f.options, option)
	}
}

// parseTitled reads an array of {"const": ..., "title": ...}.
func (f *formField) parseTitled(r *objectReader, keyword string, entries []byte) {
	if entries[0] != '[' {
		r.fail(keyword, "an array")
	}
	seen := map[string]bool{}
	for entry := range jsonrpc.Elements(entries) {
		in := objectReader{obj: entry}
		option := formOption{value: in.text("const"), title: in.text("title")}
		for name := range jsonrpc.Members(entry) {
			if string(name) != "const" && string(name) != "title" {
				in.fail("each value", "made of const and title only")
			}
		}
		if seen[option.value] {
			in.fail("const", "different in each value")
		}
		seen[option.value] = true
		r.nest(fmt.Sprintf("%s[%d]", keyword, len(f.options)), entry, in.err)
		f.options = append(f.options, option)
	}
}

// parseChoices reads a choice of several.
func (f *formField) parseChoices(r *objectReader) {
	checkRange(r, "minItems", "maxItems")
	items := r.required("items")
	if r.err != nil {
		return
	}
	in := objectReader{obj: items}
	for name := range jsonrpc.Members(items) {
		switch string(name) {
		case "type", "enum", "anyOf":
		default:
			in.err = fmt.Errorf("%q is not allowed here; allowed are type and enum, or anyOf", name)
		}
	}
	if kind := in.optionalText("type"); kind != "string" && (kind != "" || in.raw("anyOf") == nil) {
		in.fail("type", `"string"`)
	}
	f.parseChoice(&in, "anyOf")
	r.nest("items", items, in.err)
}

// appendSchema appends f as rev defines forms. What needs a later revision is
// left out, or written in the older way where there is one; choices of several
// have none and are an error.
func (f *elicitForm) appendSchema(dst []byte, rev revision) ([]byte, error) {
	dst = append(dst, '{')
	if f.dialect != nil && rev >= rev20251125 {
		dst = append(dst, `"$schema":`...)
		dst = append(append(dst, f.dialect...), ',')
	}
	dst = append(dst, `"type":"object","properties":{`...)
	for i := range f.fields {
		field := &f.fields[i]
		dst = append(jsonrpc.AppendString(dst, field.name), ':')
		switch {
		case rev >= rev20251125:
			dst = append(dst, field.schema...)
		case field.kind == choicesField:
			return dst, fmt.Errorf("properties[%q]: %w", field.name, newerOnly("choices of several", rev20251125, rev))
		default:
			dst = field.appendOld(dst)
		}
		dst = append(dst, ',')
	}
	dst = append(bytes.TrimSuffix(dst, []byte(",")), '}')
	dst = appendRaw(dst, `,"required":`, f.required)
	return append(dst, '}'), nil
}

// appendOld appends f as 2025-06-18 has it: booleans alone have defaults, and
// the titles of choices are in enumNames.
func (f *formField) appendOld(dst []byte) []byte {
	switch f.kind {
	case booleanField:
		return append(dst, f.schema...)
	case textField, numberField:
		return append(f.appendMembers(append(dst, '{'), "default"), '}')
	}
	dst = f.appendMembers(append(dst, '{'), "default", "enum", "enumNames", "oneOf")
	dst = f.appendValues(append(dst, `,"enum":`...))
	if f.titled {
		dst = append(dst, `,"enumNames":[`...)
		for _, option := range f.options {
			dst = append(jsonrpc.AppendString(dst, option.title), ',')
		}
		dst[len(dst)-1] = ']'
	}
	return append(dst, '}')
}

// appendMembers appends the members of f's schema without those of the given
// names. There is always the type.
func (f *formField) appendMembers(dst []byte, without ...string) []byte {
	for name, value := range jsonrpc.Members(f.schema) {
		if !slices.Contains(without, string(name)) {
			dst = append(jsonrpc.AppendStringBytes(dst, name), ':')
			dst = append(append(dst, value...), ',')
		}
	}
	return bytes.TrimSuffix(dst, []byte(","))
}

// appendValues appends the array of the options' values.
func (f *formField) appendValues(dst []byte) []byte {
	dst = append(dst, '[')
	for _, option := range f.options {
		dst = append(jsonrpc.AppendString(dst, option.value), ',')
	}
	dst[len(dst)-1] = ']'
	return dst
}

// validator compiles f, with all choices written as enums, which our validator
// runs itself, and in the default dialect, in which all that a form may have
// means the same.
func (f *elicitForm) validator(required bool) (*schema.Validator, error) {
	dst := []byte(`{"type":"object","properties":{`)
	for i := range f.fields {
		field := &f.fields[i]
		dst = append(jsonrpc.AppendString(dst, field.name), `:{`...)
		dst = field.appendMembers(dst, "enum", "enumNames", "oneOf", "items")
		switch field.kind {
		case choiceField:
			dst = field.appendValues(append(dst, `,"enum":`...))
		case choicesField:
			dst = field.appendValues(append(dst, `,"items":{"type":"string","enum":`...))
			dst = append(dst, '}')
		}
		dst = append(dst, `},`...)
	}
	dst = append(bytes.TrimSuffix(dst, []byte(",")), '}')
	if required {
		dst = appendRaw(dst, `,"required":`, f.required)
	}
	return schema.Compile(append(dst, '}'))
}

// checkDefaults reports whether the form compiles and its defaults are values
// that it accepts, also those of required fields.
func (f *elicitForm) checkDefaults() error {
	v, err := f.validator(false)
	if err != nil {
		return fmt.Errorf("RequestedSchema: %w", err)
	}
	dst := []byte{'{'}
	for i := range f.fields {
		if value := jsonrpc.Member(f.fields[i].schema, "default"); value != nil {
			dst = append(jsonrpc.AppendString(dst, f.fields[i].name), ':')
			dst = append(append(dst, value...), ',')
		}
	}
	if err := v.Validate(append(bytes.TrimSuffix(dst, []byte(",")), '}')); err != nil {
		return fmt.Errorf("RequestedSchema: default of %w", err)
	}
	return nil
}

// fill returns what a user filled in, raw, an object: what was asked for with
// its defaults, checked. Other properties are dropped, so that a handler finds
// in it nothing but what its schema vouches for. One that is null was left
// empty: that is how some clients write it.
func (f *elicitForm) fill(raw []byte) (map[string]any, error) {
	v, err := f.validator(true)
	if err != nil {
		return nil, err
	}
	known := f.names()
	content := []byte{'{'}
	for name, value := range jsonrpc.Members(raw) {
		if known[string(name)] && string(value) != "null" {
			content = append(jsonrpc.AppendStringBytes(content, name), ':')
			content = append(append(content, value...), ',')
		}
	}
	content = v.ApplyDefaults(append(bytes.TrimSuffix(content, []byte(",")), '}'))
	if err := v.Validate(content); err != nil {
		return nil, err
	}
	var m map[string]any
	if json.Unmarshal(content, &m) != nil {
		return nil, errors.New("a number is too large")
	}
	return m, nil
}
