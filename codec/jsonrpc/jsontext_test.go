//go:build goexperiment.jsonv2

package jsonrpc

import (
	"bytes"
	"encoding/json/jsontext"
	"testing"
)

// FuzzStrict holds Validate against a second strict parser: within the limits
// both must take the same texts. Run it with GOEXPERIMENT=jsonv2.
func FuzzStrict(f *testing.F) {
	for _, tt := range badJSON {
		f.Add([]byte(tt.in))
	}
	f.Add([]byte(call350))
	f.Add([]byte(`[{"a":0,"\u0061":1}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		lim := &Limits{Depth: maxDepth, Keys: 1 << 30}
		ours, theirs := Validate(in, lim) == nil, jsontext.Value(bytes.Clone(in)).IsValid()
		if ours != theirs {
			t.Errorf("Validate(%q) accepts: %v, jsontext: %v", in, ours, theirs)
		}
	})
}
