package schema

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// What clients can take, beyond the specification.
const (
	maxToolName     = 128 // the specification
	modelToolName   = 64  // model APIs
	cursorToolName  = 60  // Cursor: server name and tool name together
	largeSchemaSize = 64 << 10
)

// Report is what a tool's author should know at registration.
type Report struct {
	// Warnings name the client that a definition breaks and what to do, one
	// sentence each.
	Warnings []string
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// LintTool examines a tool's name and schemas as they will stand in
// tools/list; output is empty for a tool without an output schema. The error
// says what the specification forbids; the report holds what it allows and
// some clients cannot read. LintTool does not compile the schemas: that, and
// the errors of it, are [Compile]'s.
func LintTool(name string, input, output []byte) (Report, error) {
	var r Report
	if err := r.lintName(name); err != nil {
		return r, err
	}
	if err := r.lintInput(input); err != nil {
		return r, err
	}
	if len(output) == 0 {
		return r, nil
	}
	return r, r.lintOutput(output)
}

// lintName warns of names that only a SHOULD forbids ("Tool names SHOULD NOT
// contain spaces, commas, or other special characters") and refuses what no
// client can carry.
func (r *Report) lintName(name string) error {
	length := utf8.RuneCountInString(name)
	if length == 0 {
		return errors.New("schema: a tool needs a name")
	}
	if length > maxToolName {
		return fmt.Errorf("schema: tool name of %d characters, at most %d are allowed", length, maxToolName)
	}
	if !utf8.ValidString(name) {
		return errors.New("schema: tool name is not valid UTF-8")
	}
	special := false
	for _, c := range name {
		if unicode.IsControl(c) || unicode.IsSpace(c) {
			return fmt.Errorf("schema: tool name %q contains white space or a control character", name)
		}
		special = special || !toolNameRune(c)
	}
	if special {
		r.warn("tool name %q has characters outside A-Z a-z 0-9 _ - . and model APIs (Claude, OpenAI) reject it: rename the tool", name)
	}
	switch {
	case length > modelToolName:
		r.warn("tool name has %d characters: model APIs take at most %d and Cursor drops tools whose server and tool names exceed %d together: shorten it", length, modelToolName, cursorToolName)
	case length > cursorToolName:
		r.warn("tool name has %d characters: Cursor drops tools whose server and tool names exceed %d together: shorten it", length, cursorToolName)
	}
	return nil
}

func toolNameRune(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '_' || c == '-' || c == '.'
}

func (r *Report) lintInput(input []byte) error {
	doc, err := decode(input)
	if err != nil {
		return fmt.Errorf("input %w", err)
	}
	obj, ok := doc.(map[string]any)
	if !ok {
		return fmt.Errorf("input schema: must be a JSON object, got %s", jsonType(doc))
	}
	if obj["type"] != "object" {
		return errors.New(`input schema: must have "type":"object" at its top`)
	}
	if _, err := headers(doc); err != nil {
		return fmt.Errorf("input %w", err)
	}
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		if _, ok := obj[key]; ok {
			r.warn("input schema has %s at its top: Cursor and the Claude API reject requests with such a tool: use plain properties and check the combination in the handler", key)
		}
	}
	if hasRef(doc) {
		r.warn("input schema uses $ref: Gemini clients cannot read it: write the referenced schema out")
	}
	r.lintSize("input", input)
	return nil
}

func (r *Report) lintOutput(output []byte) error {
	doc, err := decode(output)
	if err != nil {
		return fmt.Errorf("output %w", err)
	}
	obj, ok := doc.(map[string]any)
	if !ok {
		return fmt.Errorf("output schema: must be a JSON object, got %s", jsonType(doc))
	}
	if obj["type"] != "object" {
		r.warn(`output schema has no "type":"object" at its top: clients of 2025-11-25 and older require it and TypeScript SDK clients drop the whole tools/list: wrap the result in an object`)
	}
	r.lintSize("output", output)
	return nil
}

func (r *Report) lintSize(which string, raw []byte) {
	if len(raw) > largeSchemaSize {
		r.warn("%s schema has %d bytes, over %d: clients such as Claude Code and Cursor put it into the model's context: shorten descriptions or split the tool", which, len(raw), largeSchemaSize)
	}
}

var errFound = errors.New("found")

func hasRef(doc any) bool {
	return walk(doc, func(p place) error {
		if _, ok := p.object()["$ref"]; ok {
			return errFound
		}
		return nil
	}) != nil
}
