package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"millrace/codec/jsonrpc"
)

// The values are what the YAML library of the official suite makes of them, which
// is the core schema of YAML 1.2.
func TestFrontMatterValues(t *testing.T) {
	for in, want := range map[string]string{
		"text":                      `"text"`,
		"2026-07-28":                `"2026-07-28"`,
		"yes":                       `"yes"`,
		"1:30":                      `"1:30"`,
		"1_000":                     `"1_000"`,
		"0b11":                      `"0b11"`,
		"NaN":                       `"NaN"`,
		"'12'":                      `"12"`,
		`"\u0041\n"`:                `"A\n"`,
		"|\n  a\n  b":               `"a\nb\n"`,
		">-\n  a\n  b":              `"a b"`,
		"a\n  b":                    `"a b"`,
		"":                          `null`,
		"~":                         `null`,
		"Null":                      `null`,
		"True":                      `true`,
		"FALSE":                     `false`,
		"12":                        `12`,
		"+5":                        `5`,
		"007":                       `7`,
		"-0":                        `-0`,
		"000":                       `0`,
		"-12":                       `-12`,
		"123456789012345678901234":  `123456789012345678901234`,
		"0o17":                      `15`,
		"0xfF":                      `255`,
		".5":                        `0.5`,
		"5.":                        `5`,
		"1.10":                      `1.1`,
		"12e3":                      `12000`,
		"-1.5E-3":                   `-0.0015`,
		"[a, 1, [true]]":            `["a",1,[true]]`,
		"{a: {b: c}, 'd': []}":      `{"a":{"b":"c"},"d":[]}`,
		"\n  <<: {a: 1}":            `{"<<":{"a":1}}`,
		"a # a comment":             `"a"`,
		"\n- 'it''s'\n- \U0001F600": `["it's","` + "\U0001F600" + `"]`,
	} {
		doc := "---\nname: x\ndescription: d\nv: " + in + "\n---\nbody\n"
		m, err := parseFrontMatter([]byte(doc))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if want := `{"name":"x","description":"d","v":` + want + `}`; string(m.raw) != want {
			t.Errorf("%q: got %s, want %s", in, m.raw, want)
		}
	}
}

func TestFrontMatter(t *testing.T) {
	long := strings.Repeat("é", maxSkillDescription)
	for _, tt := range []struct{ name, in, want, wantErr string }{
		{"least", "---\nname: x\ndescription: d\n---\n", `{"name":"x","description":"d"}`, ""},
		{"no line behind it", "---\nname: x\ndescription: d\n---", `{"name":"x","description":"d"}`, ""},
		{"carriage returns", "---\r\nname: x\r\ndescription: d\r\n--- \t\r\nbody", `{"name":"x","description":"d"}`, ""},
		{"order", "---\nz: 1\ndescription: d\nname: x-1-y\n---\n", `{"z":1,"description":"d","name":"x-1-y"}`, ""},
		{"dashes inside", "---\nname: x\ndescription: |\n  a\n  ---\n  b\n---\n", `{"name":"x","description":"a\n---\nb\n"}`, ""},
		{"longest", "---\nname: " + strings.Repeat("x", 64) + "\ndescription: " + long + "\n---\n",
			`{"name":"` + strings.Repeat("x", 64) + `","description":"` + long + `"}`, ""},

		{"empty", "", "", "the first line must be"},
		{"none", "# A skill\n", "", "the first line must be"},
		{"a space behind the dashes", "--- \nname: x\n---\n", "", "the first line must be"},
		{"byte order mark", "\ufeff---\nname: x\n---\n", "", "save it without"},
		{"open", "---\nname: x\n", "", `put a line "---" behind it`},
		{"four dashes", "---\nname: x\n----\n", "", `put a line "---" behind it`},
		{"nothing inside", "---\n---\n", "", "is empty"},
		{"a comment inside", "---\n# nothing\n---\n", "", "is empty"},
		{"not YAML", "---\nname: x: y\n---\n", "", "is not YAML"},
		{"control character", "---\nname: x\x01\n---\n", "", "is not YAML"},
		{"not UTF-8", "---\nname: \xff\n---\n", "", "is not YAML"},
		{"two documents", "---\nname: x\ndescription: d\n...\nname: y\n---\n", "", "one YAML document"},
		{"a list", "---\n- name\n---\n", "", "must be a mapping"},
		{"a text", "---\nname\n---\n", "", "must be a mapping"},
		{"no name", "---\ndescription: d\n---\n", "", "needs a name"},
		{"no description", "---\nname: x\n---\n", "", "needs a description"},
		{"name a number", "---\nname: 12\ndescription: d\n---\n", "", "line 2: name must be a string"},
		{"name a list", "---\nname: [x]\ndescription: d\n---\n", "", "line 2: name must be a string"},
		{"description nothing", "---\nname: x\ndescription:\n---\n", "", "line 3: description must be a string"},
		{"description blank", "---\nname: x\ndescription: ' '\n---\n", "", "say what the skill does"},
		{"description long", "---\nname: x\ndescription: " + long + "e\n---\n", "", "has 1025 characters; 1024 are allowed"},
		{"name long", "---\nname: " + strings.Repeat("x", 65) + "\ndescription: d\n---\n", "", "must be 1 to 64"},
		{"name upper case", "---\nname: X\ndescription: d\n---\n", "", "must be 1 to 64"},
		{"name with a hyphen first", "---\nname: -x\ndescription: d\n---\n", "", "must be 1 to 64"},
		{"name with a hyphen last", "---\nname: x-\ndescription: d\n---\n", "", "must be 1 to 64"},
		{"name with two hyphens", "---\nname: x--y\ndescription: d\n---\n", "", "must be 1 to 64"},
		{"name with a slash", "---\nname: ../x\ndescription: d\n---\n", "", "must be 1 to 64"},
		{"same key twice", "---\nname: x\nname: y\n---\n", "", `line 3: the key "name" is there twice`},
		{"key a number", "---\n1: x\n---\n", "", "line 2: a key must be a string"},
		{"key a list", "---\n? [a]\n: x\n---\n", "", "a key must be a string"},
		{"key an alias", "---\na: &x b\n*x : c\n---\n", "", "a key must be a string"},
		{"key a tag", "---\n!!str a: c\n---\n", "", "a key must be a string"},
		{"alias", "---\na: &x 1\nb: *x\n---\n", "", "line 3: aliases are not allowed"},
		{"alias to itself", "---\na: &x [*x]\n---\n", "", ""},
		{"tag", "---\na: !!binary aGk=\n---\n", "", "tags such as"},
		{"tag of its own", "---\na: !x {}\n---\n", "", "tags such as"},
		{"tag of a list", "---\na: [!!str 1]\n---\n", "", "tags such as"},
		{"infinite", "---\na: -.inf\n---\n", "", `"-.inf" is a number that JSON does not have`},
		{"not a number", "---\na: .nan\n---\n", "", "JSON does not have"},
		{"too large", "---\na: 1e400\n---\n", "", "JSON does not have"},
		{"too many digits", "---\na: " + strings.Repeat("9", 400) + "\n---\n", "", "JSON does not have"},
		{"too many hexadecimal digits", "---\na: 0x12345678901234567\n---\n", "", "JSON does not have"},
		{"deep", "---\na: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\n---\n", "", "more than 32 levels"},
		{"reserved", "---\nname: x\ndescription: d\nmetadata:\n  io.modelcontextprotocol/x: y\n---\n", "", "line 5: keys of metadata"},
		{"not reserved", "---\nname: x\ndescription: d\nmetadata: {version: '1'}\n---\n", `{"name":"x","description":"d","metadata":{"version":"1"}}`, ""},
		{"metadata a text", "---\nname: x\ndescription: d\nmetadata: m\n---\n", `{"name":"x","description":"d","metadata":"m"}`, ""},
	} {
		m, err := parseFrontMatter([]byte(tt.in))
		switch {
		case tt.want == "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.wantErr)
		case tt.want != "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && string(m.raw) != tt.want:
			t.Errorf("%s: got %s, want %s", tt.name, m.raw, tt.want)
		}
	}
}

func TestFrontMatterSize(t *testing.T) {
	doc := func(size int) []byte {
		head := "name: x\ndescription: d\n#"
		return []byte("---\n" + head + strings.Repeat("c", size-len(head)-1) + "\n---\nbody")
	}
	for size, ok := range map[int]bool{maxFrontMatter - 1: true, maxFrontMatter: true, maxFrontMatter + 1: false, 10 * maxFrontMatter: false} {
		if _, err := parseFrontMatter(doc(size)); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	many := []byte("---\n" + strings.Repeat("a: b\n", 1<<20)) // is not read to its end
	if _, err := parseFrontMatter(many); err == nil || !strings.Contains(err.Error(), "more than 65536 bytes") {
		t.Errorf("without an end: %v", err)
	}
}

// bomb makes YAML that grows tenfold with each line.
func bomb() string {
	var b strings.Builder
	b.WriteString("---\nname: x\ndescription: d\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		a := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Join([]string{a, a, a, a, a, a, a, a, a, a}, ", "))
	}
	return b.String() + "---\n"
}

func TestFrontMatterBombs(t *testing.T) {
	for name, doc := range map[string]string{
		"aliases":  bomb(),
		"brackets": "---\n" + strings.Repeat("[", maxFrontMatter-8) + "\n---\n",
		"indents":  "---\n" + strings.Repeat("- ", maxFrontMatter/2-8) + "\n---\n",
		"braces":   "---\n" + strings.Repeat("{a: ", maxFrontMatter/4-8) + "\n---\n",
		"keys":     "---\n" + strings.Repeat("? ", maxFrontMatter/2-8) + "\n---\n",
	} {
		if _, err := parseFrontMatter([]byte(doc)); err == nil {
			t.Errorf("%s pass", name)
		}
	}
}

// FuzzFrontMatter checks what is accepted: it is one line of JSON, with the name
// and the description, and, since JSON is YAML, front matter that means the same.
func FuzzFrontMatter(f *testing.F) {
	f.Add([]byte("---\nname: x\ndescription: d\nmetadata: {version: 1.0, \"b\": [~, true]}\n---\nbody"))
	f.Add([]byte("---\r\nname: x\r\ndescription: >-\r\n  a\r\n  b\r\n---"))
	f.Add([]byte(bomb()))
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := parseFrontMatter(doc)
		if err != nil {
			return
		}
		if !json.Valid(m.raw) || m.raw[0] != '{' || !jsonrpc.SingleLine(m.raw) || jsonrpc.Validate(m.raw, nil) != nil {
			t.Fatalf("not a JSON object on a line: %q", m.raw)
		}
		if len(m.raw) > 6*len(doc) {
			t.Errorf("%d bytes become %d", len(doc), len(m.raw))
		}
		var got struct{ Name, Description string }
		var exact map[string]any
		if err := json.Unmarshal(m.raw, &exact); err != nil {
			t.Fatal(err)
		}
		got.Name, _ = exact["name"].(string)
		got.Description, _ = exact["description"].(string)
		if got.Name != m.name || got.Description != m.description || m.name == "" || m.description == "" {
			t.Errorf("%q is not %q: %q", got, *m, m.raw)
		}
		again, err := parseFrontMatter(append(append([]byte("---\n"), m.raw...), "\n---\n"...))
		if err != nil {
			return // a key of more than 1024 bytes, or a character that YAML wants escaped
		}
		if !bytes.Equal(again.raw, m.raw) {
			t.Errorf("got %s, and of that %s", m.raw, again.raw)
		}
	})
}
