package schema

import (
	"encoding/binary"
	"encoding/json"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// uniqueItems is the keyword for the foreign engine. The engine's own check
// hashes strings without their lengths, so that a client can send thousands of
// different items with one hash and make it compare them all in pairs. Here
// two items are equal when their canonical bytes are.
type uniqueItems struct{}

// Validate implements santhosh.SchemaExt.
func (uniqueItems) Validate(ctx *santhosh.ValidatorContext, v any) {
	items, ok := v.([]any)
	if !ok || len(items) < 2 {
		return
	}
	seen := make(map[string]int, len(items))
	var buf []byte
	for i, item := range items {
		buf = appendCanonical(buf[:0], item)
		if first, dup := seen[string(buf)]; dup {
			ctx.AddError(&kind.UniqueItems{Duplicates: [2]int{first, i}})
			return
		}
		seen[string(buf)] = i
	}
}

// appendCanonical appends bytes that are the same for equal JSON values only:
// members sorted, strings with their length, numbers as sign, magnitude and
// significant digits (1, 1.0 and 10e-1 are one number).
func appendCanonical(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, 'n')
	case bool:
		if v {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case string:
		return appendText(append(dst, '"'), v)
	case json.Number:
		return appendNumber(append(dst, '0'), v)
	case []any:
		dst = binary.AppendUvarint(append(dst, '['), uint64(len(v)))
		for _, item := range v {
			dst = appendCanonical(dst, item)
		}
	case map[string]any:
		dst = binary.AppendUvarint(append(dst, '{'), uint64(len(v)))
		for _, name := range sortedNames(v) {
			dst = appendCanonical(appendText(dst, name), v[name])
		}
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendNumber(dst []byte, n json.Number) []byte {
	d := parseDecimal([]byte(n))
	dst = append(dst, byte(d.sign()+1))
	if d.n == 0 {
		return dst
	}
	dst = binary.AppendVarint(dst, d.mag)
	dst = binary.AppendUvarint(dst, uint64(d.n))
	for k := range d.n {
		dst = append(dst, d.digit(k))
	}
	return dst
}
