package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"millrace/codec/jsonrpc"
)

// Limits of the front matter of a skill. Those of name and description are of
// the Agent Skills specification.
const (
	maxFrontMatter      = 64 << 10
	maxFrontMatterDepth = 32
	maxSkillName        = 64
	maxSkillDescription = 1024
)

// frontMatter is the front matter of a SKILL.md.
type frontMatter struct {
	name, description string
	raw               json.RawMessage // a JSON object, on one line
}

// skillName is what a skill may be called, besides that it has no "--".
var skillName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// parseFrontMatter reads the front matter of doc, a whole SKILL.md.
func parseFrontMatter(doc []byte) (*frontMatter, error) {
	text, err := cutFrontMatter(doc)
	if err != nil {
		return nil, err
	}
	root, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	m := &frontMatter{}
	if m.raw, err = appendYAML(nil, root, 0); err != nil {
		return nil, err
	}
	if m.name, err = stringField(root, "name"); err != nil {
		return nil, err
	}
	if m.description, err = stringField(root, "description"); err != nil {
		return nil, err
	}
	return m, m.check(root)
}

// cutFrontMatter returns what is between the first line of doc, which must be
// "---", and the next such line.
func cutFrontMatter(doc []byte) ([]byte, error) {
	if bytes.HasPrefix(doc, []byte("\ufeff")) {
		return nil, errors.New("the file begins with a byte order mark: save it without")
	}
	text, ok := bytes.CutPrefix(doc, []byte("---\n"))
	if !ok {
		text, ok = bytes.CutPrefix(doc, []byte("---\r\n"))
	}
	if !ok {
		return nil, errors.New(`the first line must be "---", and YAML with name and description must follow`)
	}
	n := 0
	for line := range bytes.Lines(text) {
		switch {
		case n > maxFrontMatter:
			return nil, fmt.Errorf("the front matter has more than %d bytes", maxFrontMatter)
		case string(bytes.TrimRight(line, " \t\r\n")) == "---":
			return text[:n], nil
		}
		n += len(line)
	}
	return nil, errors.New(`the front matter does not end: put a line "---" behind it`)
}

// parseYAML parses text, one document whose root is a mapping.
func parseYAML(text []byte) (*yaml.Node, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the front matter is empty: it needs name and description")
	case err != nil:
		return nil, fmt.Errorf("the front matter is not YAML (lines are counted behind the first ---): %w", err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("the front matter must be one YAML document")
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New(`the front matter must be a mapping: lines such as "name: my-skill"`)
	}
	return doc.Content[0], nil
}

// yamlError says where in SKILL.md something is wrong.
func yamlError(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line+1, fmt.Sprintf(format, args...))
}

// appendYAML appends a node as JSON. Aliases are refused, not resolved: that
// leaves nothing to multiply, and what is sent is no longer than what was
// written, but for escapes.
func appendYAML(dst []byte, n *yaml.Node, depth int) ([]byte, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return dst, yamlError(n, "aliases are not allowed: repeat the value of *%s", n.Value)
	case n.Style&yaml.TaggedStyle != 0:
		return dst, yamlError(n, "tags such as %s are not allowed", n.Tag)
	case depth > maxFrontMatterDepth:
		return dst, yamlError(n, "the front matter is nested more than %d levels deep", maxFrontMatterDepth)
	}
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		return appendMapping(dst, n, depth)
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendYAML(dst, item, depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}
	return appendScalar(dst, n)
}

func appendMapping(dst []byte, n *yaml.Node, depth int) ([]byte, error) {
	seen := make(map[string]bool, len(n.Content)/2)
	dst = append(dst, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0 || plainValue(key) != nil {
			return dst, yamlError(key, "a key must be a string: quote it")
		}
		if seen[key.Value] {
			return dst, yamlError(key, "the key %q is there twice", key.Value)
		}
		seen[key.Value] = true
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsonrpc.AppendString(dst, key.Value), ':')
		var err error
		if dst, err = appendYAML(dst, n.Content[i+1], depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	resolve := plainValue(n)
	if resolve == nil {
		return jsonrpc.AppendString(dst, n.Value), nil
	}
	out := resolve(n.Value)
	if out == "" {
		return dst, yamlError(n, "%q is a number that JSON does not have: quote it", n.Value)
	}
	return append(dst, out...), nil
}

// The plain scalars of the core schema of YAML 1.2 (section 10.3.2) that are not
// strings. The library's own idea of them is a mixture with YAML 1.1, in which
// 2026-07-28 is a time; clients compare what they are sent with what they parse.
var plainScalars = []struct {
	match   *regexp.Regexp
	resolve func(text string) string // "": not in JSON
}{
	{regexp.MustCompile(`^(~|null|Null|NULL|)$`), func(string) string { return "null" }},
	{regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`), strings.ToLower},
	{regexp.MustCompile(`^[-+]?[0-9]+$`), decimal},
	{regexp.MustCompile(`^0o[0-7]+$`), func(text string) string { return based(text[2:], 8) }},
	{regexp.MustCompile(`^0x[0-9a-fA-F]+$`), func(text string) string { return based(text[2:], 16) }},
	{regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`), floating},
	{regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.nan|\.NaN|\.NAN)$`), func(string) string { return "" }},
}

// plainValue returns what makes JSON of a scalar; nil: it is a string.
func plainValue(n *yaml.Node) func(string) string {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return nil
	}
	for _, s := range plainScalars {
		if s.match.MatchString(n.Value) {
			return s.resolve
		}
	}
	return nil
}

// decimal keeps the digits: they may be more than a float64 has.
func decimal(text string) string {
	if floating(text) == "" {
		return ""
	}
	sign := ""
	if text[0] == '-' {
		sign = "-"
	}
	digits := strings.TrimLeft(text, "+-0")
	if digits == "" {
		digits = "0"
	}
	return sign + digits
}

func based(digits string, base int) string {
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func floating(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return ""
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	return string(raw)
}

// field is the value of a key of a mapping, or nil.
func field(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func stringField(n *yaml.Node, key string) (string, error) {
	v := field(n, key)
	switch {
	case v == nil:
		return "", fmt.Errorf("the front matter needs a %s", key)
	case v.Kind != yaml.ScalarNode || plainValue(v) != nil:
		return "", yamlError(v, "%s must be a string: quote it", key)
	}
	return v.Value, nil
}

// check holds the front matter against the Agent Skills specification, in what
// clients rely on. Other members pass: "every other field the author wrote
// passes through unchanged".
func (m *frontMatter) check(root *yaml.Node) error {
	switch n := utf8.RuneCountInString(m.description); {
	case len(m.name) > maxSkillName || !skillName.MatchString(m.name) || strings.Contains(m.name, "--"):
		return fmt.Errorf("the name %q must be 1 to %d of a-z, 0-9 and single hyphens, with a letter or digit at both ends",
			shortName(m.name), maxSkillName)
	case strings.TrimSpace(m.description) == "":
		return errors.New("the description is empty: say what the skill does and when to use it")
	case n > maxSkillDescription:
		return fmt.Errorf("the description has %d characters; %d are allowed", n, maxSkillDescription)
	}
	meta := field(root, "metadata")
	if meta == nil || meta.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(meta.Content); i += 2 {
		if key := meta.Content[i]; strings.HasPrefix(key.Value, "io.modelcontextprotocol/") {
			return yamlError(key, "keys of metadata that begin with io.modelcontextprotocol/ are reserved")
		}
	}
	return nil
}
