package schema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// maxViolations is how many violations one Error tells of.
const maxViolations = 5

// Error says why a value does not match a schema, in words meant for the
// model that made the call. It names property names, types and limits, never
// the values of the instance. The caller owns it.
type Error struct {
	// Path is where the first violation is, like "items[2].name"; empty for
	// the value itself.
	Path string
	// Message says what is wrong there and what is allowed. Further
	// violations, up to five in all, follow after "; " with their paths.
	Message string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// violation is one broken rule.
type violation struct{ path, message string }

func newError(all []violation) *Error {
	e := &Error{Path: all[0].path, Message: all[0].message}
	for _, v := range all[1:min(len(all), maxViolations)] {
		more := Error{Path: v.path, Message: v.message}
		e.Message += "; " + more.Error()
	}
	return e
}

func syntaxError(f fault, at int) *Error {
	switch f {
	case faultDepth:
		return &Error{Message: fmt.Sprintf("nested deeper than %d levels", maxInstanceDepth)}
	case faultNumber:
		return &Error{Message: fmt.Sprintf("a number is longer than %d characters or its exponent is beyond %d", maxNumberBytes, maxExponent)}
	}
	return &Error{Message: fmt.Sprintf("not valid JSON at byte %d", at)}
}

// segment is one step of a path: a property name or an array index.
type segment struct {
	name  string
	index int // -1: a property
}

func pathString(path []segment) string {
	var sb strings.Builder
	for _, s := range path {
		switch {
		case s.index >= 0:
			sb.WriteString("[" + strconv.Itoa(s.index) + "]")
		case !plainName(s.name):
			sb.WriteString("[" + quoteName(s.name) + "]")
		default:
			if sb.Len() > 0 {
				sb.WriteByte('.')
			}
			sb.WriteString(s.name)
		}
	}
	return sb.String()
}

func plainName(name string) bool {
	for _, r := range name {
		if r <= ' ' || strings.ContainsRune(`.[]":`, r) {
			return false
		}
	}
	return name != "" && len(name) <= maxShown
}

// maxShown is how many bytes of a name that the client chose are repeated.
const maxShown = 64

func quoteName(name string) string { return strconv.Quote(shorten(name)) }

func shorten(s string) string { return clip(s, maxShown) }

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// maxListed is how many bytes of a list of allowed values are shown.
const maxListed = 256

// joinListed joins until the list is long enough.
func joinListed(parts []string, sep string) string {
	var sb strings.Builder
	for i, p := range parts {
		if i > 0 {
			sb.WriteString(sep)
			if sb.Len()+len(p) > maxListed {
				sb.WriteString("...")
				break
			}
		}
		sb.WriteString(p)
	}
	return sb.String()
}

func typeMessage(want []string, got string) string {
	return "must be " + strings.Join(want, " or ") + ", got " + got
}

func missingMessage(name string) string {
	return "missing required property " + quoteName(name)
}

// unknownMessage names what would have been allowed.
func unknownMessage(name string, known []string) string {
	msg := "unknown property " + quoteName(name)
	if len(known) == 0 {
		return msg + ", no properties are allowed here"
	}
	quoted := make([]string, len(known))
	for i, k := range known {
		quoted[i] = quoteName(k)
	}
	return msg + ", allowed: " + joinListed(quoted, ", ")
}

func enumMessage(values []any) string {
	parts := make([]string, len(values))
	for i, v := range values {
		text, _ := json.Marshal(v)
		parts[i] = shorten(string(text))
	}
	if len(parts) == 1 {
		return "must be " + parts[0]
	}
	return "must be one of [" + joinListed(parts, ",") + "]"
}

func countMessage(bound string, want int, unit string, got int) string {
	if want != 1 {
		unit += "s"
		if unit == "propertys" {
			unit = "properties"
		}
	}
	return fmt.Sprintf("must have %s %d %s, got %d", bound, want, unit, got)
}

func patternMessage(pattern string) string {
	return "must match the pattern " + strconv.Quote(pattern)
}
