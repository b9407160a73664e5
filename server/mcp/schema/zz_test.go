package schema

import (
	"os"
	"testing"
	"time"
)

func FuzzSlow(f *testing.F) {
	f.Add([]byte(`{"pattern":"(a{9}){9}","patternProperties":{"^x":false}}`))
	f.Add([]byte(`{"multipleOf":1e-999,"minimum":-1.5E3}`))
	f.Add([]byte(`{"$id":"http://x/","$defs":{"a":{"$id":"y","$anchor":"z"}},"$ref":"y#z"}`))
	f.Add([]byte(`{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b"]},"items":[true]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		timer := time.AfterFunc(time.Second, func() { os.WriteFile("/tmp/slow.json", raw, 0o644) })
		defer timer.Stop()
		_, _ = Headers(raw)
		_, _ = LintTool("a", raw, raw)
		v, err := Compile(raw)
		if err != nil {
			return
		}
		for _, in := range []string{`{"a":{"b":[1,"x",null]}}`, `[1,2]`, `"a"`, `1.5`} {
			_ = v.Validate([]byte(in))
			v.ApplyDefaults([]byte(in))
		}
	})
}
