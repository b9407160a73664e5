package report

import (
	"strings"
	"testing"
)

// of makes a subject of ours whose rounds have the given values of CPU.
func of(name string, values ...float64) Subject {
	s := Subject{Name: name, Kind: Ours}
	for _, v := range values {
		s.Rounds = append(s.Rounds, Sample{CPU: v})
	}
	return s
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   Spread
		ok     bool
	}{
		{"none", nil, Spread{}, false},
		{"one", []float64{3}, Spread{3, 3, 3}, true},
		{"two", []float64{4, 1}, Spread{1, 2.5, 4}, true},
		{"three", []float64{9, 1, 2}, Spread{1, 2, 9}, true},
		{"four", []float64{9, 1, 4, 2}, Spread{1, 3, 9}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := of("s", tt.values...)
			s.Rounds = append(s.Rounds, Sample{Rate: 7}) // a round without the figure does not count
			got, ok := s.Spread(CPU)
			if got != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestPercent(t *testing.T) {
	if p, ok := (Spread{9, 10, 12}).percent(); !ok || p != 15 {
		t.Errorf("got %v, %v, want 15", p, ok)
	}
	if _, ok := (Spread{0, 0, 1}).percent(); ok {
		t.Error("a median of zero has no percent")
	}
}

func TestRatio(t *testing.T) {
	s := Scenario{Subjects: []Subject{of("a", 6, 2, 4), of("b", 2), of("zero", 0), of("empty")}}
	for _, tt := range []struct {
		a, b string
		want float64
		ok   bool
	}{
		{"a", "b", 2, true},
		{"b", "a", 0.5, true},
		{"zero", "a", 0, true},
		{"a", "zero", 0, false},
		{"a", "empty", 0, false},
		{"empty", "a", 0, false},
		{"a", "absent", 0, false},
		{"absent", "a", 0, false},
	} {
		got, ok := s.Ratio(CPU, tt.a, tt.b)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s over %s: got %v, %v, want %v, %v", tt.a, tt.b, got, ok, tt.want, tt.ok)
		}
	}
}

func TestFactor(t *testing.T) {
	s := Scenario{Subjects: []Subject{
		{Name: "peer", Kind: Peer, Rounds: []Sample{{CPU: 30, Rate: 100}}},
		{Name: "millrace", Kind: Ours, Rounds: []Sample{{CPU: 10, Rate: 400}}},
	}}
	for f, want := range map[Figure]float64{CPU: 3, Rate: 4} {
		if got, ok := s.Factor(f, "peer"); !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", f, got, ok, want)
		}
	}
	s.Subjects = s.Subjects[:1]
	if got, ok := s.Factor(CPU, "peer"); ok {
		t.Errorf("without ours: got %v", got)
	}
}

func TestBase(t *testing.T) {
	floor := Subject{Name: "floor", Kind: Floor}
	for _, tt := range []struct {
		name, want string
		subjects   []Subject
	}{
		{"by name", "millrace", []Subject{floor, of("millrace inline"), of("millrace")}},
		{"by kind", "1 loop", []Subject{floor, of("1 loop"), of("2 loops")}},
		{"none", "", []Subject{floor}},
	} {
		s := Scenario{Subjects: tt.subjects}
		got := ""
		if base := s.Base(); base != nil {
			got = base.Name
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRanked(t *testing.T) {
	s := Scenario{Subjects: []Subject{of("none"), of("b", 2), of("same", 2), of("a", 1), of("none too")}}
	for i := range s.Subjects {
		for _, r := range s.Subjects[i].Rounds {
			r[Rate] = r[CPU]
		}
	}
	for f, want := range map[Figure]string{CPU: "a b same none none too", Rate: "b same a none none too"} {
		var names []string
		for _, subject := range s.ranked(f) {
			names = append(names, subject.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

func TestTrouble(t *testing.T) {
	for _, tt := range []struct {
		name    string
		subject Subject
		want    string
		short   string
	}{
		{"none", of("s", 1, 2), "", ""},
		{"errors", Subject{Rounds: []Sample{{Errors: 0}, {Errors: 3}}}, "wrong or missing answers: 3, in 1 of 2 rounds", "! errors: 3"},
		{"a round less", of("s", 1), "measured in 1 of 2 rounds", "! 1 of 2 rounds"},
		{"told", Subject{Rounds: []Sample{{}, {}}, Error: "it\n broke"}, "it broke", "! 2 of 2 rounds"},
		{"nothing", Subject{Error: "no node"}, "measured in 0 of 2 rounds; no node", "! no result"},
	} {
		if got := tt.subject.trouble(2); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := shortTrouble(&tt.subject, 2); got != tt.short {
			t.Errorf("%s: short: got %q, want %q", tt.name, got, tt.short)
		}
	}
}

func TestAbout(t *testing.T) {
	for _, name := range []string{"millrace", "millrace inline", "1 loop", "2 loops", "go-sdk", "go-sdk stateful",
		"go-sdk websocket", "mcp-go", "typescript", "net/http", "floor", "floor bytes"} {
		if about(name) == "" {
			t.Errorf("nothing is said about %s", name)
		}
	}
	if got := about("stranger"); got != "" {
		t.Errorf("got %q about a stranger", got)
	}
}
