package readme

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// elided stands in an expected output for what is not the same in every run.
const elided = "..."

// Match compares an output with the expected one and returns an error that says where they differ.
//
//   - json: both are one or more JSON documents, compared by structure: white space and the order of members do not
//     count, everything else does. The string "..." in want matches any value that is present.
//   - text: line by line, white space at the end of a line and empty lines at the end aside. "..." matches any run of
//     characters within its line.
//   - http: a status line, header fields and a body. Names of fields do not distinguish case and their order does not
//     count; each field shown must be there and none that is not shown may be, unless one line of want is just "...".
//     Values and body follow the rules above, the body those of json when both bodies are JSON.
func Match(form, want, got string) error {
	switch form {
	case "json":
		return matchJSON(want, got)
	case "text":
		return matchText(want, got)
	case "http":
		return matchHTTP(want, got)
	}
	return fmt.Errorf("unknown form of output %q", form)
}

func matchJSON(want, got string) error {
	w, err := documents(want)
	if err != nil {
		return fmt.Errorf("the expected output is not JSON: %w", err)
	}
	g, err := documents(got)
	if err != nil {
		return fmt.Errorf("the output is not JSON: %w: %q", err, got)
	}
	if len(w) != len(g) {
		return fmt.Errorf("%d JSON documents, want %d", len(g), len(w))
	}
	for i := range w {
		if err := matchValue("$", w[i], g[i]); err != nil {
			return err
		}
	}
	return nil
}

func documents(s string) ([]any, error) {
	var docs []any
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) && len(docs) > 0 {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		docs = append(docs, v)
	}
}

func matchValue(path string, want, got any) error {
	if want == elided {
		return nil
	}
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return matchObject(path, w, g)
		}
	case []any:
		if g, ok := got.([]any); ok {
			return matchArray(path, w, g)
		}
	case json.Number:
		if g, ok := got.(json.Number); ok && sameNumber(w, g) {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return fmt.Errorf("%s = %s, want %s", path, encode(got), encode(want))
}

func matchObject(path string, want, got map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[name]
		if !ok {
			return fmt.Errorf("%s.%s is missing", path, name)
		}
		if err := matchValue(path+"."+name, want[name], g); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("%s.%s = %s is not expected", path, name, encode(got[name]))
		}
	}
	return nil
}

func matchArray(path string, want, got []any) error {
	if len(want) != len(got) {
		return fmt.Errorf("%s has %d items, want %d: %s", path, len(got), len(want), encode(got))
	}
	for i := range want {
		if err := matchValue(fmt.Sprintf("%s[%d]", path, i), want[i], got[i]); err != nil {
			return err
		}
	}
	return nil
}

// sameNumber lets 1, 1.0 and 1e0 be one number and keeps integers beyond 2^53 apart.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	_, aErr := a.Int64()
	_, bErr := b.Int64()
	if aErr == nil && bErr == nil {
		return false
	}
	x, xErr := a.Float64()
	y, yErr := b.Float64()
	return xErr == nil && yErr == nil && x == y
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func matchText(want, got string) error {
	w, g := lines(want), lines(got)
	for i := range min(len(w), len(g)) {
		if !matchLine(w[i], g[i]) {
			return fmt.Errorf("line %d = %q, want %q", i+1, g[i], w[i])
		}
	}
	if len(w) != len(g) {
		return fmt.Errorf("%d lines, want %d: %q", len(g), len(w), got)
	}
	return nil
}

func lines(s string) []string {
	out := strings.Split(strings.TrimRight(s, " \t\r\n"), "\n")
	for i := range out {
		out[i] = strings.TrimRight(out[i], " \t\r")
	}
	return out
}

func matchLine(want, got string) bool {
	parts := strings.Split(want, elided)
	if len(parts) == 1 {
		return want == got
	}
	rest, ok := strings.CutPrefix(got, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[last])
}

func matchHTTP(want, got string) error {
	w, g := parseHTTP(want), parseHTTP(got)
	if !matchLine(w.status, g.status) {
		return fmt.Errorf("status line = %q, want %q", g.status, w.status)
	}
	for _, name := range slices.Sorted(maps.Keys(w.fields)) {
		value, ok := g.fields[name]
		if !ok {
			return fmt.Errorf("header field %s is missing", name)
		}
		if !matchLine(w.fields[name], value) {
			return fmt.Errorf("header field %s = %q, want %q", name, value, w.fields[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.fields)) {
		if _, ok := w.fields[name]; !ok && !w.open {
			return fmt.Errorf("header field %s: %q is not expected", name, g.fields[name])
		}
	}
	if json.Valid([]byte(w.body)) && json.Valid([]byte(g.body)) {
		return matchJSON(w.body, g.body)
	}
	return matchText(w.body, g.body)
}

type response struct {
	status string
	fields map[string]string // by lower-case name; repeated fields joined by a comma
	open   bool              // a line "..." stands for fields that are not shown
	body   string
}

func parseHTTP(s string) response {
	head, body, _ := strings.Cut(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n")
	status, rest, _ := strings.Cut(head, "\n")
	r := response{status: strings.TrimSpace(status), fields: map[string]string{}, body: body}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if line == elided {
			r.open = true
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if earlier, ok := r.fields[name]; ok {
			value = earlier + ", " + value
		}
		r.fields[name] = value
	}
	return r
}
