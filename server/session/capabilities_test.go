package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCapabilities(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	tests := []struct {
		name, in, want string
	}{
		{"none", ``, ``},
		{"null", ` null `, ``},
		{"empty", `{}`, ``},
		{"nested", `{"roots":{"listChanged":true},"sampling":{}}`, `roots roots.listChanged sampling`},
		{"false and null", `{"roots":{"listChanged":false},"sampling":null}`, `roots`},
		{"scalars", `{"a":1,"b":"x","c":0,"d":""}`, `a b c d`},
		{"arrays", `{"a":[{"b":{}},[1,2]],"c":{}}`, `a c`},
		{"three levels", `{"tasks":{"requests":{"sampling":{"createMessage":{}}}}}`,
			`tasks tasks.requests tasks.requests.sampling tasks.requests.sampling.createMessage`},
		{"repeated", `{"a":{"b":true},"a":{"c":true}}`, `a a.b a.c`},
		{"escape", `{"\u0061":true}`, `a`},
		{"deep", deep, `a a.a a.a.a a.a.a.a a.a.a.a.a a.a.a.a.a.a a.a.a.a.a.a.a a.a.a.a.a.a.a.a`},
		{"long name, with what is in it", `{"` + strings.Repeat("n", maxName+1) + `":{"a":[{}]},"b":true}`, `b`},
		{"name, limit", `{"` + strings.Repeat("n", maxName) + `":true}`, strings.Repeat("n", maxName)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c Capabilities
			if err := c.load([]byte(tt.in)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.names, " "); got != tt.want {
				t.Errorf("names = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCapabilitiesRefused(t *testing.T) {
	for _, in := range []string{`[]`, `1`, `"a"`, `{`, `{"a"`, `{"a":`, `{"a":{`, `{"a":{"b":[`, `{"a":1]`, `{a:1}`, `{}{}`, `{} x`, `{"a":[}`} {
		var c Capabilities
		if err := c.load([]byte(in)); !errors.Is(err, ErrParams) {
			t.Errorf("load(%s): error = %v, want ErrParams", in, err)
		}
	}
}

func TestCapabilitiesSize(t *testing.T) {
	for _, tt := range []struct {
		size int
		ok   bool
	}{{MaxCapabilities - 1, true}, {MaxCapabilities, true}, {MaxCapabilities + 1, false}} {
		var c Capabilities
		err := c.load([]byte(`{"a":"` + strings.Repeat("x", tt.size-8) + `"}`))
		if (err == nil) != tt.ok {
			t.Errorf("%d bytes: error = %v, want success %v", tt.size, err, tt.ok)
		}
	}
}

// Short members of a long one would multiply the long name.
func TestCapabilitiesAmplification(t *testing.T) {
	var in strings.Builder
	fmt.Fprintf(&in, `{"%s":{"x":1`, strings.Repeat("n", 100))
	for i := range 5000 {
		fmt.Fprintf(&in, `,"%d":1`, i)
	}
	in.WriteString(`}}`)
	var c Capabilities
	if err := c.load([]byte(in.String())); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range c.names {
		total += len(n)
	}
	if total > maxNameBytes || total != c.size || len(c.names) < 30 {
		t.Errorf("%d names of %d bytes (counted %d), want at most %d bytes", len(c.names), total, c.size, maxNameBytes)
	}
}

func TestCapabilitiesAddRemove(t *testing.T) {
	var c Capabilities
	for _, name := range []string{"roots", "roots.listChanged", "rootsy", "sampling", "sampling"} {
		if !c.Add(name) {
			t.Errorf("Add(%s) = false", name)
		}
	}
	c.Remove("roots")
	c.Remove("none")
	for name, want := range map[string]bool{"roots": false, "roots.listChanged": false, "rootsy": true, "sampling": true, "sampl": false, "": false} {
		if got := c.Has(name); got != want {
			t.Errorf("Has(%q) = %v, want %v", name, got, want)
		}
	}
	if c.size != len("rootsy")+len("sampling") {
		t.Errorf("size = %d", c.size)
	}
	if c.Add(strings.Repeat("n", maxName+1)) || !c.Add(strings.Repeat("n", maxName)) {
		t.Error("name limit")
	}
	for i := len(c.names); i < maxNames; i++ {
		if !c.Add(fmt.Sprint(i)) {
			t.Fatalf("name %d refused", i+1)
		}
	}
	if c.Add("one more") {
		t.Errorf("name %d accepted", maxNames+1)
	}
	if !c.Add("sampling") {
		t.Error("Add of a present name in a full set = false")
	}
}
