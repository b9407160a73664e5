package jsonrpc

import "testing"

func TestSameID(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1`, true},
		{`1`, `2`, false},
		{`1`, `"1"`, false},
		{`"a"`, `"a"`, true},
		{`"\u0061"`, `"a"`, true},
		{`"a"`, `"\u0061"`, true},
		{`"l\u00e9"`, `"lé"`, true},
		{`"\u0061"`, `"b"`, false},
		{`"\u0031"`, `1`, false},
		{`"\"`, `"a"`, false},
		{``, ``, false},
		{``, `1`, false},
	} {
		if got := SameID([]byte(tt.a), []byte(tt.b)); got != tt.want {
			t.Errorf("SameID(%s, %s) = %v", tt.a, tt.b, got)
		}
	}
}
