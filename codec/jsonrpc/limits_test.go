package jsonrpc

import (
	"fmt"
	"strings"
	"testing"
)

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func TestDepth(t *testing.T) {
	tests := []struct {
		lim   *Limits
		depth int
		ok    bool
	}{
		{nil, 63, true},
		{nil, 64, true},
		{nil, 65, false},
		{&Limits{}, 64, true},
		{&Limits{Depth: -1}, 65, false},
		{&Limits{Depth: 3}, 2, true},
		{&Limits{Depth: 3}, 3, true},
		{&Limits{Depth: 3}, 4, false},
		{&Limits{Depth: 1 << 40}, maxDepth, true},
		{&Limits{Depth: 1 << 40}, maxDepth + 1, false},
	}
	for _, tt := range tests {
		err := Validate([]byte(nested(tt.depth)), tt.lim)
		if (err == nil) != tt.ok || err != nil && err.Code != CodeParse {
			t.Errorf("Validate at depth %d with %+v = %v, want ok %v", tt.depth, tt.lim, err, tt.ok)
		}
		// An object counts as an array does, the envelope as the first level.
		in := `{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":` + nested(tt.depth-2) + `}}`
		if tt.depth == 2 {
			continue
		}
		m, err := Parse([]byte(in), tt.lim)
		if (err == nil) != tt.ok || err != nil && err.Code != CodeParse {
			t.Errorf("Parse at depth %d with %+v = %v, want ok %v", tt.depth, tt.lim, err, tt.ok)
		}
		if string(m.ID) != "1" {
			t.Errorf("Parse at depth %d: ID = %q, want the id before the limit", tt.depth, m.ID)
		}
	}
}

// The depth goes down again: siblings do not add up, empty or not.
func TestDepthOfSiblings(t *testing.T) {
	for _, in := range []string{
		"[" + strings.Repeat("[],", 100) + "[]]",
		"[" + strings.Repeat("[0],", 100) + "[0]]",
		"[" + strings.Repeat("{},", 100) + "{}]",
		"[" + strings.Repeat(`{"a":{}},`, 100) + "{}]",
	} {
		if err := Validate([]byte(in), &Limits{Depth: 3}); err != nil {
			t.Errorf("Validate(%.20s...) = %v", in, err)
		}
	}
}

func keyed(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	return b.String()
}

func TestKeys(t *testing.T) {
	tests := []struct {
		lim  *Limits
		keys int
		ok   bool
	}{
		{nil, 9_999, true},
		{nil, 10_000, true},
		{nil, 10_001, false},
		{&Limits{Keys: 20}, 19, true},
		{&Limits{Keys: 20}, 20, true},
		{&Limits{Keys: 20}, 21, false},
	}
	for _, tt := range tests {
		for name, in := range map[string]string{
			"envelope": `{"jsonrpc":"2.0","id":1,"method":"m"` + keyed(tt.keys-3) + `}`,
			"params":   `{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":0` + keyed(tt.keys-5) + `}}`,
			"spread": `{"jsonrpc":"2.0","id":1,"method":"m","params":[{"x":0}` +
				strings.Repeat(`,{"x":0}`, tt.keys-5) + `]}`,
		} {
			m, err := Parse([]byte(in), tt.lim)
			if (err == nil) != tt.ok || err != nil && err.Code != CodeParse {
				t.Errorf("%s: Parse with %d keys = %v, want ok %v", name, tt.keys, err, tt.ok)
			}
			if string(m.ID) != "1" {
				t.Errorf("%s: ID = %q, want the id before the limit", name, m.ID)
			}
		}
	}
}

func TestIDBytes(t *testing.T) {
	tests := []struct {
		lim *Limits
		n   int
		ok  bool
	}{
		{nil, 255, true},
		{nil, 256, true},
		{nil, 257, false},
		{&Limits{IDBytes: 4}, 4, true},
		{&Limits{IDBytes: 4}, 5, false},
	}
	for _, tt := range tests {
		for _, id := range []string{`"` + strings.Repeat("a", tt.n) + `"`, strings.Repeat("1", tt.n)} {
			m, err := Parse([]byte(`{"jsonrpc":"2.0","method":"m","id":`+id+`}`), tt.lim)
			if tt.ok && (err != nil || string(m.ID) != id) {
				t.Errorf("Parse with an id of %d bytes = %s, %v", tt.n, m.ID, err)
			}
			if !tt.ok && (err == nil || err.Code != CodeInvalidRequest || m.ID != nil) {
				t.Errorf("Parse with an id of %d bytes = %s, %v; want code %d", tt.n, m.ID, err, CodeInvalidRequest)
			}
		}
	}
}

// Duplicates are found on both sides of the switch from comparing to hashing,
// wherever in the object they are.
func TestDuplicateAmongMany(t *testing.T) {
	for _, n := range []int{fewNames - 1, fewNames, fewNames + 1, 2 * fewNames, 1000} {
		distinct := make([]string, n)
		for i := range distinct {
			distinct[i] = fmt.Sprintf("k%d", i)
		}
		if err := Validate(object(distinct), nil); err != nil {
			t.Errorf("%d distinct names: %v", n, err)
		}
		for _, at := range [][2]int{{0, 1}, {0, n - 1}, {n / 2, n - 1}, {n - 2, n - 1}} {
			for _, twin := range []string{distinct[at[0]], `\u006b` + distinct[at[0]][1:]} {
				names := append([]string(nil), distinct...)
				names[at[1]] = twin
				if err := Validate(object(names), nil); err == nil || err.Code != CodeInvalidRequest {
					t.Errorf("%d names, %s at %v twice: %v, want code %d", n, twin, at, err, CodeInvalidRequest)
				}
			}
		}
	}
}

func object(names []string) []byte {
	return []byte(`{"` + strings.Join(names, `":0,"`) + `":0}`)
}

func TestParseBatch(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
		code     int
	}{
		{"one", `[{"a":1}]`, []string{`{"a":1}`}, 0},
		{"any values", " [ 1 , \"a,]\" ,\n[2], {} ] ", []string{"1", `"a,]"`, "[2]", "{}"}, 0},
		{"duplicates are left to Parse", `[{"a":1,"a":2},1]`, []string{`{"a":1,"a":2}`, "1"}, 0},
		{"empty", "[]", nil, CodeInvalidRequest},
		{"empty with space", " [ ] ", nil, CodeInvalidRequest},
		{"object", "{}", nil, CodeInvalidRequest},
		{"bad object", "{", nil, CodeParse},
		{"nothing", "", nil, CodeParse},
		{"open", `[{"a":1}`, nil, CodeParse},
		{"bad last element", `[{"a":1},{"a"}]`, nil, CodeParse},
		{"trailing data", "[1]]", nil, CodeParse},
		{"invalid UTF-8", "[\"\xff\"]", nil, CodeParse},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := ParseBatch([]byte(tt.in), nil, func(raw []byte) { got = append(got, string(raw)) })
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("elements = %q, want %q", got, tt.want)
			}
			if code := codeOf(err); code != tt.code {
				t.Errorf("ParseBatch = %v, want code %d", err, tt.code)
			}
		})
	}
}

func codeOf(err *Error) int {
	if err == nil {
		return 0
	}
	return err.Code
}

func TestBatchLimits(t *testing.T) {
	tests := []struct {
		name string
		lim  *Limits
		in   string
		code int
	}{
		{"63", nil, "[1" + strings.Repeat(",1", 62) + "]", 0},
		{"64", nil, "[1" + strings.Repeat(",1", 63) + "]", 0},
		{"65", nil, "[1" + strings.Repeat(",1", 64) + "]", CodeInvalidRequest},
		{"2 of 2", &Limits{Batch: 2}, "[1,1]", 0},
		{"3 of 2", &Limits{Batch: 2}, "[1,1,1]", CodeInvalidRequest},
		{"element at the depth", nil, "[" + nested(64) + "]", 0},
		{"element over the depth", nil, "[" + nested(65) + "]", CodeParse},
		{"keys of the whole batch", &Limits{Keys: 2}, `[{"a":0},{"a":0}]`, 0},
		{"too many keys", &Limits{Keys: 2}, `[{"a":0},{"a":0,"b":0}]`, CodeParse},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			err := ParseBatch([]byte(tt.in), tt.lim, func([]byte) { calls++ })
			if code := codeOf(err); code != tt.code {
				t.Errorf("ParseBatch = %v, want code %d", err, tt.code)
			}
			if (calls > 0) != (tt.code == 0) {
				t.Errorf("%d elements were handed out with %v", calls, err)
			}
		})
	}
}

func TestIsBatch(t *testing.T) {
	tests := map[string]bool{"[": true, " \t\r\n[]": true, "": false, " ": false, "{": false, "1[": false}
	for in, want := range tests {
		if got := IsBatch([]byte(in)); got != want {
			t.Errorf("IsBatch(%q) = %v, want %v", in, got, want)
		}
	}
}
