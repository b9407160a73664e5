package jsonrpc

import (
	"slices"
	"testing"
)

func TestMembers(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"none", "{}", nil},
		{"spaced", " { \"a\" : 1 ,\n\"b\" : \"x\" } ", []string{"a", "1", "b", `"x"`}},
		{"nested", `{"a":{"b":[1,{}]},"c":[[],"]}"]}`, []string{"a", `{"b":[1,{}]}`, "c", `[[],"]}"]`}},
		{"escaped names", `{"\u0061\"\\":1,"b":2}`, []string{`a"\`, "1", "b", "2"}},
		{"escaped values", `{"a":"\"","b":"\\","c":["\\\""]}`, []string{"a", `"\""`, "b", `"\\"`, "c", `["\\\""]`}},
		{"literals", `{"a":true,"b":null,"c":-1.5e3}`, []string{"a", "true", "b", "null", "c", "-1.5e3"}},
		{"array", `["a",1]`, nil},
		{"string", `"{"`, nil},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for name, value := range Members([]byte(tt.in)) {
				got = append(got, string(name), string(value))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Members = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestElements(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"none", " [ ] ", nil},
		{"spaced", " [ 1 , \"a,\" ,\n[2,[3]] , {\"x\":[]} ] ", []string{"1", `"a,"`, "[2,[3]]", `{"x":[]}`}},
		{"object", `{"a":1}`, nil},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for value := range Elements([]byte(tt.in)) {
				got = append(got, string(value))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Elements = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRangesStop(t *testing.T) {
	n := 0
	for range Members([]byte(`{"a":1,"b":2}`)) {
		n++
		break
	}
	for range Elements([]byte("[1,2]")) {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d turns, want 2", n)
	}
}

func TestMember(t *testing.T) {
	obj := []byte(`{"a":{"x":0},"\u0062":2,"A":3}`)
	tests := []struct{ key, want string }{{"a", `{"x":0}`}, {"b", "2"}, {"A", "3"}, {"x", ""}, {"B", ""}}
	for _, tt := range tests {
		got := Member(obj, tt.key)
		if string(got) != tt.want || (got == nil) != (tt.want == "") {
			t.Errorf("Member(%s) = %q, want %q", tt.key, got, tt.want)
		}
	}
}

// Text that was never checked may give anything, but no panic and no endless
// loop.
func TestMembersOfInvalidText(t *testing.T) {
	for _, in := range []string{
		`{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":}`, `{"a":"`, `{"a":"\`, `{"a":[`, `{"a":[}`, `{"a":1 2}`,
		`{"a":,"b":1}`, `{"a":1,}`, `{"\`, `{"\u12":1}`, `{]`, `{:`, `{"a":]}`,
	} {
		for range Members([]byte(in)) {
		}
	}
	for _, in := range []string{`[`, `["`, `[1,`, `[,`, `[}`, `[[`, `[:`, `["\`, `[1 2]`} {
		for range Elements([]byte(in)) {
		}
	}
}
